//! The account from the command line: the real program against a real `keyhaven serve`, on the real clock.

#![allow(clippy::unwrap_used, reason = "tests")]

mod audit;
mod backup;
mod backup_codes;
mod device;
mod harness;
mod import;
mod lost;
mod main_path;
mod password;
mod people;
mod recover;
mod rotate;
mod secrecy;
mod serve;
mod settings;
mod startup_key;
mod up;
