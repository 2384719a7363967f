//! `keyhaven decrypt`: the plain volume as a file or on standard output, or the drive itself, where it lies.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use block_io::{BlockRead, BlockWrite, FileDisk};
use clap::Args;
use serde_json::json;

use crate::commands::convert;
use crate::drive::{self, DriveArgs, UnlockArgs, Unlocked};
use crate::failure::{Failure, Outcome};
use crate::{host, output, progress};

/// Runs of zeros of this length become holes with --sparse.
const HOLE_BYTES: usize = 64 * 1024;
/// After so much the target is flushed while work goes on, so that little is left to wait for at the end.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven decrypt usb-stick.img --output plain.img --recovery-password-file key.txt")]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where the plain volume goes; an existing file is never overwritten (`-`: standard output)
    #[arg(long, value_name = "FILE", required_unless_present = "in_place")]
    output: Option<PathBuf>,
    /// Decrypt the drive itself, where it lies: afterwards it is a plain drive. Ctrl-C pauses, `keyhaven resume` goes on
    #[arg(long, conflicts_with_all = ["output", "sparse", "allow_short"])]
    in_place: bool,
    /// Leave holes where the plain volume is zero
    #[arg(long)]
    sparse: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &DecryptArgs, json: bool) -> Outcome {
    let Some(path) = &arguments.output else {
        return convert::decrypt(&arguments.drive.drive, &arguments.unlock.secrets, json);
    };
    let volume = drive::unlock(&arguments.drive.drive, &arguments.unlock)?;
    if path.as_os_str() == "-" {
        return to_standard_output(&volume);
    }
    let length_bytes = volume.geometry().length_bytes;
    let target = FileDisk::create_new(path, length_bytes).map_err(|error| refuse(path, &error))?;
    let name = path.display().to_string();
    if let Err(failure) = to_file(&volume, &target, arguments.sparse, &name) {
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

pub(super) fn refuse(path: &Path, error: &block_io::Error) -> Failure {
    let failure = Failure::could_not(format!("cannot create {}", path.display())).because(error);
    let block_io::Error::Io { source, .. } = error else {
        return failure;
    };
    match source.kind() {
        io::ErrorKind::AlreadyExists => failure.hint("choose another name, or remove that file yourself"),
        io::ErrorKind::FileTooLarge => {
            failure.hint("no file there may be as large as the drive; choose a place whose file system is not FAT32")
        }
        _ => failure,
    }
}

/// What stops a copy: one side or the other.
enum Stop<W> {
    Read(block_io::Error),
    Write(W),
}

impl<W> From<block_io::Error> for Stop<W> {
    fn from(error: block_io::Error) -> Self {
        Self::Read(error)
    }
}

fn cannot_read(error: &block_io::Error) -> Failure {
    Failure::could_not("cannot read the drive any further").because(error)
}

fn to_standard_output(volume: &Unlocked) -> Outcome {
    let bar = progress::bytes(volume.geometry().length_bytes, "decrypting");
    let mut target = io::stdout().lock();
    let copied = volume.stream(host::workers(), |chunk| {
        bar.inc(chunk.len() as u64);
        target.write_all(chunk).map_err(Stop::Write)
    });
    bar.finish_and_clear();
    copied.and_then(|()| target.flush().map_err(Stop::Write)).map_err(|stop| match stop {
        Stop::Read(error) => cannot_read(&error),
        Stop::Write(error) => Failure::writing("to standard output", &error),
    })
}

/// Every worker writes what it decrypted, at its place: reading, decrypting, writing and making durable all go on at once.
fn to_file(volume: &Unlocked, target: &FileDisk, sparse: bool, name: &str) -> Outcome {
    let bar = progress::bytes(volume.geometry().length_bytes, "decrypting");
    let written_bytes = AtomicU64::new(0);
    let copied = thread::scope(|scope| {
        // Ends when the last sender is dropped.
        let (flush, requests) = sync_channel::<()>(1);
        let flusher = scope.spawn(move || requests.iter().try_for_each(|()| target.flush()));
        let copied = volume.for_each_chunk(host::workers(), |offset_bytes, chunk| {
            if sparse {
                write_with_holes(target, offset_bytes, chunk).map_err(Stop::Write)?;
            } else {
                target.write_all_at(offset_bytes, chunk).map_err(Stop::Write)?;
            }
            bar.inc(chunk.len() as u64);
            let before = written_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if before / FLUSH_BYTES != (before + chunk.len() as u64) / FLUSH_BYTES {
                // A flush that is still going on is enough.
                let _ = flush.try_send(());
            }
            Ok(())
        });
        drop(flush);
        // A flush that failed is reported by the system once only, so it must not be lost.
        let flushed = flusher.join().unwrap_or(Ok(()));
        copied.and_then(|()| flushed.and_then(|()| target.flush()).map_err(Stop::Write))
    });
    bar.finish_and_clear();
    copied.map_err(|stop| match stop {
        Stop::Read(error) => cannot_read(&error),
        Stop::Write(block_io::Error::Io { source, .. }) => Failure::writing(name, &source),
        Stop::Write(error) => Failure::could_not(format!("cannot write {name}")).because(&error),
    })
}

/// Leaves out what is zero: the new file is full of zeros already.
pub(super) fn write_with_holes(target: &FileDisk, offset_bytes: u64, chunk: &[u8]) -> Result<(), block_io::Error> {
    for (index, part) in chunk.chunks(HOLE_BYTES).enumerate() {
        if part.iter().any(|byte| *byte != 0) {
            target.write_all_at(offset_bytes + (index * HOLE_BYTES) as u64, part)?;
        }
    }
    Ok(())
}
