//! The command line.

use clap::{Parser, Subcommand};

use crate::commands;

/// Opens BitLocker drives on any computer and keeps their recovery keys in an account
///
/// The account stays protected by two-factor authentication while keys are saved, and its server cannot read them.
#[derive(Debug, Parser)]
#[command(name = "keyhaven", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 a well-formed no (wrong key, not BitLocker, refused), 2 could not try.")]
pub(crate) struct Arguments {
    /// Report as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What a drive is: method, state, key protectors, health of its metadata; needs no key
    Info(commands::info::InfoArgs),
    /// Whether a key opens the drive, and which protector it belongs to; writes nothing
    Verify(commands::verify::VerifyArgs),
    /// Write the plain volume to a file
    Decrypt(commands::decrypt::DecryptArgs),
    /// Make a new, empty BitLocker volume in an image file
    Create(commands::create::CreateArgs),
}
