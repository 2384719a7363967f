//! `keyhaven`: opens BitLocker drives on any computer and keeps their recovery keys in an account.
//!
//! Exit status: 0 done, 1 a well-formed no (wrong key, not BitLocker, refused), 2 could not try.

#![allow(rustdoc::bare_urls, reason = "comments of arguments are help texts")]

mod account;
mod args;
mod commands;
mod copy;
mod drive;
mod hardening;
mod output;
mod printed;
mod progress;
mod prompt;
mod secrets;
mod signals;
mod times;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use drive_ops::{disk, failure, files, host, lock, recovery_file};

fn main() -> ExitCode {
    drive_ops::note::tell_with(output::tell_note);
    hardening::keep_secrets_out_of_core_dumps();
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::exit(error),
    };
    let json = arguments.json;
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, json);
            ExitCode::from(failure.status())
        }
    }
}
