//! Downloads: a file as it is, folders as a ZIP archive, written while they are read.
//!
//! Nothing is compressed: it would cost more than it gives on one machine. Names are such as every system can have, and never lead
//! out of the folder they are unpacked in. What could not be read at all is told in a file at the end; a file that fails half way
//! breaks the download off, so that nobody takes the half for the whole.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use drive_ops::drive::Unlocked;
use drive_ops::names::{Names, Rules};
use fs_view::{Entry, EntryKind, Error, FileSystem, OpenFile, Visited};
use tokio::sync::mpsc;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::views::View;

/// What is handed over at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that may wait for a slow reader.
const CHUNKS: usize = 4;
/// Names of things that were left out, told at the end.
const MOST_PROBLEMS: usize = 1000;
const PROBLEMS: &str = "NOT COPIED.txt";

type Drive = FileSystem<Unlocked>;

/// A body that is written by a thread.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        // Whoever asked has gone away.
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A body that `write` writes, in a thread of its own.
fn body(write: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { sender, buffer: Vec::with_capacity(CHUNK_BYTES) };
        if let Err(error) = write(&mut pipe).and_then(|()| pipe.flush()) {
            // The connection is broken off: there is no other way to say so after it began.
            let _ = pipe.sender.blocking_send(Err(error));
        }
    });
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    Body::from_stream(chunks)
}

/// A file, or a part of it, as it is.
pub(crate) fn part(view: Arc<View>, file: OpenFile, start: u64, end: u64) -> Body {
    body(move |pipe| {
        let mut offset = start;
        let mut buffer = vec![0; CHUNK_BYTES];
        while offset < end {
            let length = usize::try_from(end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (into, _) = buffer.split_at_mut(length);
            let read = view.files.read_at(&file, offset, into).map_err(io::Error::other)?;
            let read = into.get(..read).filter(|read| !read.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            pipe.write_all(read)?;
            offset += read.len() as u64;
        }
        Ok(())
    })
}

/// Files and folders as a ZIP archive.
pub(crate) fn zip(view: Arc<View>, paths: Vec<String>) -> Body {
    body(move |pipe| {
        let mut archive = Archive { zip: ZipWriter::new_stream(pipe), drive: &view.files, problems: Vec::new() };
        let mut names = Names::new(rules());
        for path in &paths {
            archive.add(path, &mut names)?;
        }
        archive.tell_problems(&mut names)?;
        archive.zip.finish().map(drop).map_err(io::Error::other)
    })
}

fn rules() -> Rules {
    Rules { windows: true, folds_case: true }
}

fn choose(names: &mut Names, name: &str) -> String {
    names.choose(name, &|name| name.len() <= 200)
}

struct Archive<'a, W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    drive: &'a Drive,
    problems: Vec<String>,
}

impl<W: Write> Archive<'_, W> {
    fn problem(&mut self, path: &str, reason: &dyn std::fmt::Display) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(drive_ops::words::shown(&format!("{path}: {reason}")));
        }
    }

    /// Adds what stands behind a path, with everything below it.
    fn add(&mut self, path: &str, names: &mut Names) -> io::Result<()> {
        let entry = match self.drive.stat(path) {
            Ok(entry) => entry,
            Err(error) => {
                self.problem(path, &error);
                return Ok(());
            }
        };
        let name = if entry.name.is_empty() { "drive" } else { &entry.name };
        let name = choose(names, name);
        match entry.kind {
            EntryKind::Directory => self.folder(path, &entry, &name),
            _ => self.entry(path, &entry, &name),
        }
    }

    fn folder(&mut self, path: &str, entry: &Entry, name: &str) -> io::Result<()> {
        self.directory(name, entry)?;
        let start = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
        let start = start.fold(String::new(), |path, part| path + "/" + part);
        // What folders that were seen and not yet entered are called.
        let mut called = HashMap::from([(start.clone(), name.to_owned())]);
        let mut here = (String::from("\0"), String::new(), Names::new(rules()));
        let mut failed = None;
        let drive = self.drive;
        let walked = drive.walk(&start, &mut |visited| {
            let (path, entry) = match visited {
                Visited::Problem(problem) => {
                    self.problem(&problem.path, &problem.reason);
                    return ControlFlow::Continue(());
                }
                Visited::Entry { path, entry } => (path, entry),
            };
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if here.0 != parent {
                let called = called.remove(parent).unwrap_or_else(|| name.to_owned());
                here = (parent.to_owned(), called, Names::new(rules()));
            }
            let inside = format!("{}/{}", here.1, choose(&mut here.2, &entry.name));
            let done = if entry.kind == EntryKind::Directory {
                called.insert(path.to_owned(), inside.clone());
                self.directory(&inside, entry)
            } else {
                self.entry(path, entry, &inside)
            };
            match done {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Err(error) = walked {
            self.problem(path, &error);
        }
        failed.map_or(Ok(()), Err)
    }

    fn directory(&mut self, name: &str, entry: &Entry) -> io::Result<()> {
        let options = options(entry.modified, 0);
        self.zip.add_directory(name, options).map_err(io::Error::other)
    }

    fn entry(&mut self, path: &str, entry: &Entry, name: &str) -> io::Result<()> {
        if entry.kind != EntryKind::File {
            self.problem(path, &if entry.kind.is_link() { "a link" } else { "not a file" });
            return Ok(());
        }
        let file = match self.drive.open_entry(entry, path) {
            Ok(file) => file,
            Err(error) => {
                self.problem(path, &error);
                return Ok(());
            }
        };
        self.zip.start_file(name, options(entry.modified, file.size_bytes())).map_err(io::Error::other)?;
        self.drive.read_open(&file, &mut self.zip, &mut |_| {}).map(drop).map_err(|error| match error {
            Error::Sink(error) => error,
            error => io::Error::other(error),
        })
    }

    fn tell_problems(&mut self, names: &mut Names) -> io::Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let name = choose(names, PROBLEMS);
        self.zip.start_file(name, options(Some(SystemTime::now()), 0)).map_err(io::Error::other)?;
        for problem in &self.problems {
            self.zip.write_all(problem.as_bytes())?;
            self.zip.write_all(b"\r\n")?;
        }
        Ok(())
    }
}

fn options(modified: Option<SystemTime>, bytes: u64) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(bytes >= u64::from(u32::MAX))
        .last_modified_time(modified.and_then(dos_time).unwrap_or_default());
    options.unix_permissions(0o644)
}

/// ZIP has times from 1980 to 2107, without a zone: UTC.
fn dos_time(time: SystemTime) -> Option<DateTime> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, clock) = (i64::try_from(seconds / 86_400).ok()?, seconds % 86_400);
    // Days of the calendar from days since 1970, by the 400 years after which it repeats; years begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u8::try_from(number).ok();
    let part = |seconds: u64| u8::try_from(seconds).ok();
    DateTime::from_date_and_time(
        u16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        part(clock / 3600)?,
        part(clock / 60 % 60)?,
        part(clock % 60)?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds, expected: (u16, u8, u8, u8, u8, u8)| {
            let time = dos_time(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            let found = (time.year(), time.month(), time.day(), time.hour(), time.minute(), time.second());
            assert_eq!(found, expected);
        };
        check(951_782_400, (2000, 2, 29, 0, 0, 0));
        check(1_700_000_000, (2023, 11, 14, 22, 13, 20));
        check(4_102_444_798, (2099, 12, 31, 23, 59, 58));
        assert!(dos_time(UNIX_EPOCH).is_none(), "before 1980");
    }
}
