//! `keyhaven export`: a drive for other programs, over the network's protocols.

mod nbd;
mod webdav;

use clap::Subcommand;

use crate::failure::Outcome;

/// How to export.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// The plain volume as a network block device, for virtual machines, disk tools and other computers
    Nbd(nbd::NbdArgs),
    /// The files, for file managers of this computer, over WebDAV
    Webdav(webdav::WebdavArgs),
}

pub(crate) fn run(command: &ExportCommand, json: bool) -> Outcome {
    match command {
        ExportCommand::Nbd(arguments) => nbd::run(arguments, json),
        ExportCommand::Webdav(arguments) => webdav::run(arguments, json),
    }
}
