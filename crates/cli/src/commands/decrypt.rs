//! `keyhaven decrypt`: the plain volume as a file or on standard output.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;

use block_io::{BlockRead, FileDisk};
use clap::Args;
use fve::UnlockedVolume;
use serde_json::json;

use crate::drive::{self, DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::{output, progress};

/// Runs of zeros of this length become holes with --sparse.
const HOLE_BYTES: usize = 64 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven decrypt usb-stick.img --output plain.img --recovery-password-file key.txt")]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where the plain volume goes; an existing file is never overwritten (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Leave holes where the plain volume is zero
    #[arg(long)]
    sparse: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &DecryptArgs, json: bool) -> Outcome {
    let volume = drive::unlock(&arguments.drive.drive, &arguments.unlock)?;
    let length_bytes = volume.geometry().length_bytes;
    if arguments.output.as_os_str() == "-" {
        return copy(&volume, io::stdout().lock(), false, "to standard output");
    }
    let path = &arguments.output;
    let file = File::options().write(true).create_new(true).open(path).map_err(|error| refuse(path, &error))?;
    let name = path.display().to_string();
    let written = copy(&volume, file, arguments.sparse, &name);
    if let Err(failure) = written {
        // Half a volume would be taken for a whole one later.
        let removed = std::fs::remove_file(path).is_ok();
        return Err(if removed {
            failure.hint("the partial file was removed; nothing else was changed")
        } else {
            failure
        });
    }
    let document = json!({ "output": name, "bytes": length_bytes });
    output::report(json, &document, &format!("{} decrypted to {name}.\n", output::size(length_bytes)))
}

fn refuse(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::could_not(format!("cannot create {}", path.display())).because(error);
    if error.kind() == io::ErrorKind::AlreadyExists {
        failure.hint("choose another name, or remove that file yourself")
    } else {
        failure
    }
}

/// What stops a copy: one side or the other.
enum Stop {
    Read(block_io::Error),
    Write(io::Error),
}

impl From<block_io::Error> for Stop {
    fn from(error: block_io::Error) -> Self {
        Self::Read(error)
    }
}

fn copy<W: Target>(volume: &UnlockedVolume<FileDisk>, mut target: W, sparse: bool, name: &str) -> Outcome {
    let length = volume.geometry().length_bytes;
    let bar = progress::bytes(length, "decrypting");
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let copied = volume.stream(workers, |chunk| {
        let written = if sparse { target.write_with_holes(chunk) } else { target.write_all(chunk) };
        bar.inc(chunk.len() as u64);
        written.map_err(Stop::Write)
    });
    bar.finish_and_clear();
    copied.and_then(|()| target.finish(length).map_err(Stop::Write)).map_err(|stop| match stop {
        Stop::Read(error) => Failure::could_not("cannot read the drive any further").because(&error),
        Stop::Write(error) => Failure::writing(name, &error),
    })
}

/// Where the plain volume goes.
trait Target: Write {
    /// Skips zeros instead of writing them, where that is possible.
    fn write_with_holes(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.write_all(chunk)
    }
    /// Everything was written; makes it durable.
    fn finish(&mut self, length_bytes: u64) -> io::Result<()>;
}

impl Target for io::StdoutLock<'_> {
    fn finish(&mut self, _: u64) -> io::Result<()> {
        self.flush()
    }
}

impl Target for File {
    fn write_with_holes(&mut self, chunk: &[u8]) -> io::Result<()> {
        for part in chunk.chunks(HOLE_BYTES) {
            if part.iter().all(|byte| *byte == 0) {
                self.seek(SeekFrom::Current(part.len().cast_signed() as i64))?;
            } else {
                self.write_all(part)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, length_bytes: u64) -> io::Result<()> {
        self.set_len(length_bytes)?;
        self.sync_all()
    }
}
