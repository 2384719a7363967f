//! `keyhaven tar`: files and folders of a drive as an archive on standard output.
//!
//! The header of a file tells its length before its content comes, so that a file that cannot be read on cannot be left
//! out any more. Small files are read before their header is written; the rest of a large one becomes zeros, and is named.

mod header;
mod links;

use std::collections::HashMap;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write, stdout};
use std::ops::ControlFlow;

use ::tar::EntryType;
use clap::{Args, ValueHint};
use fs_view::{Entry, EntryKind, Visited};
use indicatif::ProgressBar;

use super::files::{self, Drive, shown};
use super::listed::{Problems, not_written};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::progress;

/// Files up to this size are read before their header is written.
const SMALL_BYTES: u64 = 1 << 20;
/// Content is padded to whole blocks; an archive ends with two of zeros.
const BLOCK_BYTES: u64 = 512;
const END: [u8; 1024] = [0; 1024];

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven tar usb-stick.img Documents --password-file password.txt > files.tar\n\n\
    Names in the archive are the paths from the root of the drive, without a leading `/`. Dates, links between names of \
    the same file and long names are kept (POSIX format). A symbolic link is stored where it leads to something else in \
    the archive; other links are named and left out. Alternate data streams and Windows permissions are not stored; holes \
    of sparse files become zeros.\n\n\
    What cannot be read is named, and the exit status is 1: a small file is left out, of a large one (above 1 MiB) the \
    part from the damage on is stored as zeros.")]
pub(crate) struct TarArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Files and folders on the drive; without any: everything
    #[arg(value_name = "PATH", value_hint = ValueHint::Other)]
    paths: Vec<String>,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &TarArgs) -> Outcome {
    if stdout().is_terminal() {
        return Err(Failure::could_not("an archive is not written to a terminal")
            .hint("send it to a file or a program: `keyhaven tar DRIVE > files.tar`, `keyhaven tar DRIVE | tar -tv`"));
    }
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let mut paths = arguments.paths.as_slice();
    let everything = ["/".to_owned()];
    if paths.is_empty() {
        paths = &everything;
    }
    // Before anything is written.
    let starts = paths.iter().map(|path| files::find(&drive, path)).collect::<Outcome<Vec<_>>>()?;
    let mut archive = Archive {
        drive: &drive,
        roots: starts.iter().map(|(path, _)| path.trim_start_matches('/').to_owned()).collect(),
        out: BufWriter::with_capacity(256 * 1024, stdout().lock()),
        problems: Problems::default(),
        names: HashMap::new(),
        bar: progress::counted("archiving"),
    };
    for (path, entry) in &starts {
        archive.add_all(path, entry)?;
    }
    archive.bar.finish_and_clear();
    let ended = archive.out.write_all(&END).and_then(|()| archive.out.flush());
    ended.map_err(|error| not_written(&error))?;
    archive.problems.tell_as("could not be archived whole")
}

struct Archive<'a> {
    drive: &'a Drive,
    /// What was asked for, by the names in the archive; the empty name is everything.
    roots: Vec<String>,
    out: BufWriter<StdoutLock<'static>>,
    problems: Problems,
    /// Name in the archive, and names still to come, of files that have several.
    names: HashMap<u64, (String, u32)>,
    bar: ProgressBar,
}

impl Archive<'_> {
    /// A file or folder that was asked for, with everything below.
    fn add_all(&mut self, path: &str, entry: &Entry) -> Outcome {
        if !path.is_empty() {
            self.add(path, entry)?;
        }
        if entry.kind != EntryKind::Directory {
            return Ok(());
        }
        let mut added = Ok(());
        let drive = self.drive;
        let mut visit = |visited: Visited<'_>| {
            match visited {
                Visited::Entry { path, entry } => added = self.add(path, entry),
                Visited::Problem(problem) => self.problems.keep(problem),
            }
            if added.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let walked = drive.walk(path, &mut visit);
        added?;
        walked.map_err(|error| files::explain(&error, &shown(path)))
    }

    fn add(&mut self, path: &str, entry: &Entry) -> Outcome {
        let name = path.trim_start_matches('/');
        match entry.kind {
            EntryKind::Directory => self.write(&header::of(name, entry, EntryType::Directory, 0, None)),
            EntryKind::File if entry.links > 1 => self.add_named_twice(path, name, entry),
            EntryKind::File => self.add_file(path, name, entry).map(drop),
            EntryKind::SymbolicLink => self.add_link(path, name, entry),
            EntryKind::Junction => {
                self.problems.add(path, "a junction, which an archive cannot hold; it is left out");
                Ok(())
            }
            _ => {
                self.problems.add(path, "neither a file nor a folder nor a link; it is left out");
                Ok(())
            }
        }
    }

    /// One of several names of a file: the first gets the content, the others lead to it.
    fn add_named_twice(&mut self, path: &str, name: &str, entry: &Entry) -> Outcome {
        if let Some((first, left)) = self.names.get_mut(&entry.id) {
            let bytes = header::of(name, entry, EntryType::Link, 0, Some(first));
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.names.remove(&entry.id);
            }
            return self.write(&bytes);
        }
        if self.add_file(path, name, entry)? {
            self.names.insert(entry.id, (name.to_owned(), entry.links - 1));
        }
        Ok(())
    }

    fn add_link(&mut self, path: &str, name: &str, entry: &Entry) -> Outcome {
        let target = match self.drive.link_target(entry) {
            Ok(target) => target.unwrap_or_default(),
            Err(error) => {
                self.problems.add(path, &error.to_string());
                return Ok(());
            }
        };
        match links::inside(name, &target, &self.roots) {
            Some(target) => self.write(&header::of(name, entry, EntryType::Symlink, 0, Some(&target))),
            None => {
                self.problems.add(path, &format!("a link out of the archive, to {}; it is left out", shown(&target)));
                Ok(())
            }
        }
    }

    /// A file with its content; false when it had to be left out.
    fn add_file(&mut self, path: &str, name: &str, entry: &Entry) -> Outcome<bool> {
        let mut left_out = |error: fs_view::Error| {
            self.problems.add(path, &format!("{error}; it is left out"));
            Ok(false)
        };
        let file = match self.drive.open_entry(entry, path) {
            Ok(file) => file,
            Err(error) => return left_out(error),
        };
        let size_bytes = file.size_bytes();
        let header = header::of(name, entry, EntryType::Regular, size_bytes, None);
        if size_bytes <= SMALL_BYTES {
            let mut content = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
            if let Err(error) = self.drive.read_open(&file, &mut content, &mut |_| {}) {
                return left_out(error);
            }
            self.write(&header)?;
            self.write(&content)?;
            self.bar.inc(size_bytes);
        } else {
            self.write(&header)?;
            self.stream(path, &file)?;
        }
        let behind = size_bytes.next_multiple_of(BLOCK_BYTES) - size_bytes;
        self.zeros(behind)?;
        Ok(true)
    }

    /// The content of a large file; from damage on it is zeros.
    fn stream(&mut self, path: &str, file: &fs_view::OpenFile) -> Outcome {
        let (mut written, before) = (0, self.bar.position());
        let bar = &self.bar;
        let read = self.drive.read_open(file, &mut self.out, &mut |done| {
            written = done;
            bar.set_position(before + done);
        });
        match read {
            Ok(_) => Ok(()),
            Err(fs_view::Error::Sink(error)) => Err(not_written(&error)),
            Err(error) => {
                self.problems.add(path, &format!("{error}; from byte {written} on it is zeros in the archive"));
                self.zeros(file.size_bytes() - written)
            }
        }
    }

    fn zeros(&mut self, mut count: u64) -> Outcome {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        while count > 0 {
            let part = &ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len())];
            self.write(part)?;
            count -= part.len() as u64;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.out.write_all(bytes).map_err(|error| not_written(&error))
    }
}
