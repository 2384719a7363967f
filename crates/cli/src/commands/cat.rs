//! `keyhaven cat`: one file of a drive on standard output.

use std::io::{Write, stdout};

use clap::Args;

use super::files::{self, shown};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven cat usb-stick.img Documents/letter.txt --password-file password.txt")]
pub(crate) struct CatArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// File on the drive
    path: String,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &CatArgs) -> Outcome {
    let files = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let mut out = stdout().lock();
    files.read(&arguments.path, &mut out, &mut |_| {}).map_err(|error| match &error {
        fs_view::Error::Sink(cause) => Failure::writing("to standard output", cause),
        other => files::explain(other, &shown(&arguments.path)),
    })?;
    out.flush().map_err(|error| Failure::writing("to standard output", &error))
}
