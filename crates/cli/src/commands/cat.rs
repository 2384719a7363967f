//! `keyhaven cat`: files of a drive on standard output.

use std::io::{Write, stdout};

use clap::{Args, ValueHint};
use fs_view::OpenFile;

use super::create::parse_size;
use super::files::{self, Drive, shown};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};

/// Read at once where a part of a file is wanted.
const PART_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven cat usb-stick.img Documents/letter.txt --password-file password.txt\n\n\
    Of files on NTFS, FILE:STREAM is an alternate data stream; `keyhaven ls --streams` lists them.")]
pub(crate) struct CatArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Files on the drive, one after the other
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::Other)]
    paths: Vec<String>,
    /// Leave out so many bytes at the start of each file, for instance 4096 or 1M
    #[arg(long, value_name = "BYTES", value_parser = parse_size, default_value = "0", hide_default_value = true)]
    offset: u64,
    /// Write so many bytes of each file at most
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    length: Option<u64>,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &CatArgs) -> Outcome {
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let mut out = stdout().lock();
    for path in &arguments.paths {
        let written = drive.open_file(path).and_then(|file| {
            if arguments.offset == 0 && arguments.length.is_none() {
                drive.read_open(&file, &mut out, &mut |_| {}).map(drop)
            } else {
                part(&drive, &file, arguments.offset, arguments.length, &mut out)
            }
        });
        written.map_err(|error| match &error {
            fs_view::Error::Sink(cause) => Failure::writing("to standard output", cause),
            other => files::explain(other, &shown(path)),
        })?;
    }
    out.flush().map_err(|error| Failure::writing("to standard output", &error))
}

/// Writes what a file has from `offset` on, at most `length` bytes.
fn part(
    drive: &Drive,
    file: &OpenFile,
    mut offset: u64,
    length: Option<u64>,
    out: &mut dyn Write,
) -> Result<(), fs_view::Error> {
    let mut left = length.unwrap_or(u64::MAX).min(file.size_bytes().saturating_sub(offset));
    let mut buffer = vec![0; PART_BYTES];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PART_BYTES).min(PART_BYTES);
        let count = drive.read_at(file, offset, &mut buffer[..wanted])?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count]).map_err(fs_view::Error::Sink)?;
        (offset, left) = (offset + count as u64, left - count as u64);
    }
    Ok(())
}
