//! Writing files under the names of unfinished ones.

use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use block_io::BlockRead;
use fs_view::{Entry, FileSystem, OpenFile};

use super::existing::{self, There};
use super::finish::{Message, Written};
use super::outcome::Outcomes;
use super::plan::{Item, Plan};
use super::queue::{Buffers, CHUNK_BYTES, Job};
use super::report::Shared;
use drive_ops::names;

use super::{Options, host};
use crate::progress::FilesBar;

/// Unfinished files of at least this size are kept when something goes wrong.
const WORTH_KEEPING_BYTES: u64 = 16 << 20;
/// So much of a large file is written before the disk is told to begin.
const FLUSH_BYTES: u64 = 128 << 20;
/// Zeros of files with holes are left out in pieces of this size.
const HOLE_BYTES: usize = 64 << 10;

/// The work of one round.
pub(super) struct Writing<'w, D> {
    pub(super) drive: &'w FileSystem<D>,
    pub(super) plan: &'w Plan,
    pub(super) items: &'w [Item],
    pub(super) options: Options,
    pub(super) report: &'w Shared,
    pub(super) outcomes: &'w Outcomes,
    pub(super) bar: &'w FilesBar,
    pub(super) to_finish: Sender<Message>,
}

/// A file in the works.
pub(super) struct Begun {
    index: usize,
    content: OpenFile,
    file: Arc<File>,
    partial: PathBuf,
    whole: PathBuf,
    /// So much was there from an earlier copy.
    there_bytes: u64,
    done_bytes: AtomicU64,
    failed: AtomicBool,
    /// The target can never hold it: nothing to go on with later.
    hopeless: AtomicBool,
}

/// Why a file is not copied.
pub(super) enum Fault {
    /// The drive is at fault.
    Read(fs_view::Error),
    /// The target is.
    Write(io::Error),
}

/// The dates of an entry, for a file or folder of the host.
pub(super) fn dates(entry: &Entry) -> FileTimes {
    let mut times = FileTimes::new();
    if let Some(modified) = entry.modified {
        times = times.set_modified(modified);
    }
    if let Some(accessed) = entry.accessed {
        times = times.set_accessed(accessed);
    }
    times
}

impl<D: BlockRead> Job for Writing<'_, D> {
    type Large = Begun;

    fn size(&self, index: usize) -> u64 {
        self.items.get(index).map_or(0, |item| item.size_bytes)
    }

    fn small(&self, index: usize, buffers: &mut Buffers) {
        let Some((item, begun)) = self.begin(index) else { return };
        let mut offset = 0;
        while offset < item.size_bytes {
            let length = usize::try_from(CHUNK_BYTES.min(item.size_bytes - offset)).unwrap_or_default();
            if let Err(fault) = self.part(item, &begun, offset, length, buffers) {
                return self.fail(item, &begun, fault);
            }
            offset += length as u64;
        }
        self.end(item, &begun);
    }

    fn open(&self, index: usize) -> Option<Begun> {
        self.begin(index).map(|(_, begun)| begun)
    }

    fn chunk(&self, begun: &Begun, offset_bytes: u64, length: usize, buffers: &mut Buffers) -> bool {
        let Some(item) = self.items.get(begun.index) else { return false };
        match self.part(item, begun, offset_bytes, length, buffers) {
            Ok(done) => {
                if done / FLUSH_BYTES != (done - length as u64) / FLUSH_BYTES {
                    // Without a finisher there is nothing to hurry for.
                    let _ = self.to_finish.send(Message::Flush(Arc::clone(&begun.file)));
                }
                true
            }
            Err(fault) => {
                if !begun.failed.swap(true, Ordering::AcqRel) {
                    self.tell(item, begun, fault);
                }
                false
            }
        }
    }

    fn close(&self, begun: &Begun) {
        let Some(item) = self.items.get(begun.index) else { return };
        if begun.done_bytes.load(Ordering::Acquire) == item.size_bytes && !begun.failed.load(Ordering::Acquire) {
            self.end(item, begun);
        } else {
            self.give_up(begun);
        }
    }

    fn stopped(&self) -> bool {
        self.report.stopped()
    }
}

impl<D: BlockRead> Writing<'_, D> {
    /// Opens a file on the drive and its unfinished twin, unless the file is there or cannot be had.
    fn begin(&self, index: usize) -> Option<(&Item, Begun)> {
        let item = self.items.get(index)?;
        let Some(whole) = self.plan.place(item.folder, &item.name) else {
            // That its folder is missing was told.
            self.outcomes.failed(index);
            return None;
        };
        let problem = |reason: String| {
            self.outcomes.failed(index);
            self.bar.file(item.size_bytes);
            self.report.lock().problem(&item.path, reason);
        };
        match existing::look(self.drive, item, &whole, self.options.resume) {
            There::Nothing => {}
            There::TheSame => {
                self.outcomes.passed_over(index);
                self.bar.file(item.size_bytes);
                self.report.lock().passed_over += 1;
                return None;
            }
            There::Other(reason) => {
                problem(reason);
                return None;
            }
        }
        let content = match self.open_content(item) {
            Ok(content) => content,
            Err(error) => {
                problem(error.to_string());
                return None;
            }
        };
        match self.open_partial(item, index, whole) {
            Ok((file, partial, whole, there_bytes)) => {
                let done_bytes = AtomicU64::new(0);
                let (failed, hopeless) = (AtomicBool::new(false), AtomicBool::new(false));
                let file = Arc::new(file);
                Some((item, Begun { index, content, file, partial, whole, there_bytes, done_bytes, failed, hopeless }))
            }
            Err((path, error)) if host::stops_everything(&error) => {
                self.report.stop(path.display().to_string(), error);
                None
            }
            Err((path, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                problem("an unfinished copy of it is there; --resume goes on with it".to_owned());
                self.report.lock().partials.push(path);
                None
            }
            Err((path, error)) => {
                problem(format!("cannot write {}: {error}", path.display()));
                None
            }
        }
    }

    fn open_content(&self, item: &Item) -> Result<OpenFile, fs_view::Error> {
        let content = self.drive.open_stream(&item.entry, &item.stream, &item.path)?;
        if item.stream.is_empty() {
            for stream in self.drive.streams_of(&item.entry).unwrap_or_default() {
                self.report.lock().stream(&item.path, &stream.name);
            }
        }
        Ok(content)
    }

    /// The unfinished file, its name, its later name, and how much was there. A name that the target refuses although it
    /// looked right is replaced by the plainest one.
    #[allow(clippy::type_complexity, reason = "its parts are taken at once")]
    fn open_partial(
        &self,
        item: &Item,
        index: usize,
        whole: PathBuf,
    ) -> Result<(File, PathBuf, PathBuf, u64), (PathBuf, io::Error)> {
        match self.open_partial_of(&whole) {
            Err((_, error)) if host::refuses_name(&error) => {
                let plain = whole.with_file_name(names::plainest(&item.name.to_string_lossy()));
                let (file, partial, there) = self.open_partial_of(&plain)?;
                self.outcomes.is_elsewhere(index, plain.clone());
                self.report.lock().renamed(&item.path, &plain);
                Ok((file, partial, plain, there))
            }
            opened => opened.map(|(file, partial, there)| (file, partial, whole, there)),
        }
    }

    fn open_partial_of(&self, whole: &Path) -> Result<(File, PathBuf, u64), (PathBuf, io::Error)> {
        let partial = partial_path(whole);
        match host::create(&partial) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.options.resume => {
                let opened = host::reopen(&partial).and_then(|file| {
                    let length = file.metadata()?.len();
                    Ok((file, length))
                });
                // What cannot be gone on with is a problem, not an invitation to resume.
                let opened = opened.map_err(|error| io::Error::other(error.to_string()));
                opened.map(|(file, length)| (file, partial.clone(), length)).map_err(|error| (partial, error))
            }
            created => created.map(|file| (file, partial.clone(), 0)).map_err(|error| (partial, error)),
        }
    }

    /// Copies a part; tells how much of the file is done. What is there already and right is not written again.
    fn part(
        &self,
        item: &Item,
        begun: &Begun,
        offset: u64,
        length: usize,
        buffers: &mut Buffers,
    ) -> Result<u64, Fault> {
        let (read, there) = buffers.pair(length);
        existing::read_whole(self.drive, &begun.content, offset, read).map_err(Fault::Read)?;
        let end = offset + length as u64;
        let known =
            begun.there_bytes >= end && host::read_exact_at(&begun.file, there, offset).is_ok() && *there == *read;
        if !known {
            let fresh = begun.there_bytes <= offset;
            let written = if item.entry.attributes.sparse() && fresh {
                write_around_holes(&begun.file, read, offset)
            } else {
                host::write_all_at(&begun.file, read, offset)
            };
            written.map_err(Fault::Write)?;
        }
        self.bar.bytes(length as u64);
        Ok(begun.done_bytes.fetch_add(length as u64, Ordering::AcqRel) + length as u64)
    }

    /// Everything is written: the length is made right, the dates are set, the finisher gives the name.
    fn end(&self, item: &Item, begun: &Begun) {
        let length_differs = begun.there_bytes > item.size_bytes || item.entry.attributes.sparse();
        if length_differs && let Err(error) = begun.file.set_len(item.size_bytes) {
            return self.fail(item, begun, Fault::Write(error));
        }
        if begun.file.set_times(dates(&item.entry)).is_err() {
            self.report.lock().undated += 1;
        }
        self.bar.file(0);
        let (partial, whole) = (begun.partial.clone(), begun.whole.clone());
        let written = Written { index: begun.index, partial, whole, bytes: item.size_bytes };
        // The finisher lives as long as there is a sender.
        let _ = self.to_finish.send(Message::Written(written));
    }

    fn fail(&self, item: &Item, begun: &Begun, fault: Fault) {
        self.tell(item, begun, fault);
        self.give_up(begun);
    }

    fn tell(&self, item: &Item, begun: &Begun, fault: Fault) {
        match fault {
            Fault::Write(error) if host::stops_everything(&error) => {
                self.report.stop(begun.whole.display().to_string(), error);
                return;
            }
            Fault::Write(error) => {
                if error.kind() == io::ErrorKind::FileTooLarge {
                    begun.hopeless.store(true, Ordering::Release);
                }
                self.report.lock().problem(&item.path, format!("cannot write {}: {error}", begun.whole.display()));
            }
            Fault::Read(error) => self.report.lock().problem(&item.path, with_cause(&error)),
        }
        self.outcomes.failed(begun.index);
    }

    /// Removes what is unfinished, or keeps it where much would be lost.
    fn give_up(&self, begun: &Begun) {
        let worth = begun.there_bytes.max(begun.done_bytes.load(Ordering::Acquire));
        if worth >= WORTH_KEEPING_BYTES && !begun.hopeless.load(Ordering::Acquire) {
            self.report.lock().partials.push(begun.partial.clone());
        } else {
            // Where this fails, the name still says that it is unfinished.
            let _ = std::fs::remove_file(&begun.partial);
        }
    }
}

fn partial_path(whole: &Path) -> PathBuf {
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    whole.with_file_name(names::partial(&name))
}

/// The reason and what is behind it.
fn with_cause(error: &fs_view::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        text = format!("{text}: {deeper}");
        source = deeper.source();
    }
    text
}

fn write_around_holes(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut offset = offset;
    for piece in bytes.chunks(HOLE_BYTES) {
        if piece.iter().any(|byte| *byte != 0) {
            host::write_all_at(file, piece, offset)?;
        }
        offset += piece.len() as u64;
    }
    Ok(())
}
