//! `keyhaven repair`: what can be had of a damaged drive, into a file; or the drive mended where it lies.

mod in_place;
mod locate;
mod mapfile;
mod open;
mod output;
mod patient;
mod report;

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::drive::DriveArgs;
use crate::failure::Outcome;
use crate::secrets::SecretArgs;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven repair /dev/sdb1 --output rescued.img --recovery-password-file key.txt\n\n\
    Nothing is written to the drive unless --in-place is given. A lost first sector, lost metadata copies and a lost partition \
    table are worked around: the metadata is found by its signature. What cannot be read is left out, tried again at the end, \
    and listed in the map. The same command goes on where it was broken off.\n\n\
    Exit status: 0 everything was rescued, 1 a part is lost (listed) or a well-formed no, 2 could not try.")]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where the plain volume goes: a new file, or with its map one that an earlier run left
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "in_place")]
    output: Option<PathBuf>,
    /// What was read and what was not, in the form of GNU ddrescue; else FILE.map, which goes when all is rescued
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "in_place")]
    map: Option<PathBuf>,
    /// The drive's key package, for when all its metadata is lost; the secret must be the one it was made for
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "in_place")]
    key_package: Option<PathBuf>,
    /// How often sectors that cannot be read are tried again at the end
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=100))]
    retries: u32,
    /// Look for the metadata by its signature, even where the first sector says where it is
    #[arg(long)]
    search: bool,
    /// Mend the drive itself: damaged metadata copies from a good one, and the first sector
    #[arg(long, conflicts_with = "output", requires = "keeping")]
    in_place: bool,
    /// Keep what --in-place overwrites in this new file, which must not lie on the drive
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "in_place", group = "keeping")]
    backup_file: Option<PathBuf>,
    /// Only tell what --in-place would write
    #[arg(long, requires = "in_place", group = "keeping")]
    dry_run: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &RepairArgs, json: bool) -> Outcome {
    match &arguments.output {
        Some(output) => output::run(arguments, output, json),
        None => in_place::run(arguments, json),
    }
}
