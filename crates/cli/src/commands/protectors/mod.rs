//! `keyhaven protectors`: the keys that open a drive.

mod add;
mod list;
mod package;
mod password;
mod remove;

use clap::Subcommand;

use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum ProtectorsCommand {
    /// The key protectors of a drive; with a key, its recovery keys too
    List(list::ListArgs),
    /// Add a key
    Add {
        /// What kind
        #[command(subcommand)]
        command: add::AddCommand,
    },
    /// Remove a key; never the last one that opens the drive
    Remove(remove::RemoveArgs),
    /// Change the password of a drive
    ChangePassword(password::ChangePasswordArgs),
    /// Write a key package: with a recovery key it decrypts a drive whose metadata is lost
    ExportPackage(package::ExportPackageArgs),
}

pub(crate) fn run(command: &ProtectorsCommand, json: bool) -> Outcome {
    match command {
        ProtectorsCommand::List(arguments) => list::run(arguments, json),
        ProtectorsCommand::Add { command } => add::run(command, json),
        ProtectorsCommand::Remove(arguments) => remove::run(arguments, json),
        ProtectorsCommand::ChangePassword(arguments) => password::run(arguments, json),
        ProtectorsCommand::ExportPackage(arguments) => package::run(arguments, json),
    }
}
