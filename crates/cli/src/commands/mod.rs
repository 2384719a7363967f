//! One module per command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod decrypt;
mod delete_account;
pub(crate) mod device;
pub(crate) mod drives;
mod edit;
pub(crate) mod encrypt;
#[cfg(feature = "export")]
pub(crate) mod export;
pub(crate) mod factors;
mod files;
pub(crate) mod find;
pub(crate) mod info;
pub(crate) mod keys;
mod listed;
pub(crate) mod ls;
pub(crate) mod man;
#[cfg(all(feature = "mount", target_os = "linux"))]
pub(crate) mod mount;
mod new_kit;
pub(crate) mod protectors;
mod recover;
pub(crate) mod repair;
mod reset_factors;
pub(crate) mod rotate;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(any(feature = "mount", feature = "export"))]
mod sharing;
#[cfg(any(feature = "mount", feature = "export"))]
mod shown_tree;
pub(crate) mod solve;
mod start_over;
pub(crate) mod suspend;
pub(crate) mod tar;
pub(crate) mod tree;
mod two_factor;
#[cfg(feature = "panel")]
pub(crate) mod up;
pub(crate) mod verify;

use crate::args::{Arguments, Command};
use crate::failure::Outcome;

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let json = arguments.json;
    match arguments.command {
        Command::Drives(arguments) => drives::run(&arguments, json),
        Command::Info(arguments) => info::run(&arguments, json),
        Command::Verify(arguments) => verify::run(&arguments, json),
        Command::Decrypt(arguments) => decrypt::run(&arguments, json),
        Command::Encrypt(arguments) => encrypt::run(&arguments, json),
        Command::Resume(arguments) => convert::run_resume(&arguments, json),
        Command::Pause(arguments) => convert::run_pause(&arguments, json),
        Command::Repair(arguments) => repair::run(&arguments, json),
        Command::Ls(arguments) => ls::run(&arguments, json),
        Command::Tree(arguments) => tree::run(&arguments, json),
        Command::Find(arguments) => find::run(&arguments, json),
        Command::Cat(arguments) => cat::run(&arguments),
        Command::Cp(arguments) => cp::run(&arguments, json),
        Command::Tar(arguments) => tar::run(&arguments),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Mount(arguments) => mount::run(&arguments, json),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Unmount(arguments) => mount::run_unmount(&arguments, json),
        #[cfg(feature = "export")]
        Command::Export { command } => export::run(&command, json),
        Command::Create(arguments) => create::run(&arguments, json),
        Command::Solve(arguments) => solve::run(&arguments, json),
        Command::Backup(arguments) => backup::run(&arguments, json),
        Command::Protectors { command } => protectors::run(&command, json),
        Command::Rotate(arguments) => rotate::run(&arguments, json),
        Command::Suspend(arguments) => suspend::run(&arguments, json),
        Command::Unsuspend(arguments) => suspend::run_unsuspend(&arguments, json),
        Command::Account { command } => account::run(&command, json),
        Command::Factors { command } => factors::run(&command, json),
        Command::Device { command } => device::run(&command, json),
        Command::Keys { command } => keys::run(&command, json),
        Command::Audit { command } => audit::run(&command, json),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(&arguments, json),
        #[cfg(feature = "panel")]
        Command::Up(arguments) => up::run(&arguments, json),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, json),
    }
}
