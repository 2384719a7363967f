//! Giving files their names, once they are durable.
//!
//! Waiting for the disk file by file is what makes careful copying slow. Written files are gathered, the disk is waited for
//! once, and then they get their names; meanwhile the next ones are written.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::outcome::Outcomes;
use super::plan::{Item, Plan};
use super::report::Shared;
use super::{FEW_FILES, host};

/// Files that are made durable together.
const BATCH_FILES: usize = 1024;
/// Bytes of files that are made durable together.
const BATCH_BYTES: u64 = 256 << 20;

/// A file that is whole.
pub(super) struct Written {
    pub(super) index: usize,
    pub(super) partial: PathBuf,
    pub(super) whole: PathBuf,
    pub(super) bytes: u64,
}

/// What the finisher is told.
pub(super) enum Message {
    /// A file wants its name.
    Written(Written),
    /// A large file has got much longer: time for the disk to begin.
    Flush(Arc<File>),
}

/// Runs beside those who write.
pub(super) struct Finisher<'f> {
    pub(super) plan: &'f Plan,
    pub(super) items: &'f [Item],
    pub(super) report: &'f Shared,
    pub(super) outcomes: &'f Outcomes,
}

impl Finisher<'_> {
    /// Works until the last sender is gone.
    pub(super) fn run(&self, messages: &Receiver<Message>) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for message in messages {
            match message {
                // An error comes again when the file is made durable, and is told then.
                Message::Flush(file) => drop(file.sync_data()),
                Message::Written(written) => {
                    bytes += written.bytes;
                    batch.push(written);
                }
            }
            if batch.len() >= BATCH_FILES || bytes >= BATCH_BYTES {
                self.settle(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        self.settle(batch);
    }

    fn settle(&self, batch: Vec<Written>) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.make_durable(&batch) {
            let mut report = self.report.lock();
            report.partials.extend(batch.into_iter().map(|written| written.partial));
            drop(report);
            return self.report.stop(self.base().display().to_string(), error);
        }
        for written in batch {
            self.name(&written);
        }
    }

    fn base(&self) -> &Path {
        self.plan.base().unwrap_or(Path::new("."))
    }

    fn make_durable(&self, batch: &[Written]) -> io::Result<()> {
        if batch.len() > FEW_FILES && host::sync_all_of(self.base())? {
            return Ok(());
        }
        batch.iter().try_for_each(|written| host::reopen(&written.partial)?.sync_all())
    }

    fn name(&self, written: &Written) {
        let Err(error) = host::rename_new(&written.partial, &written.whole) else {
            self.outcomes.copied(written.index);
            let mut report = self.report.lock();
            report.files += 1;
            report.bytes += written.bytes;
            return;
        };
        // Nobody is to take it for something of theirs.
        let _ = std::fs::remove_file(&written.partial);
        self.outcomes.failed(written.index);
        let path = self.items.get(written.index).map(|item| &item.path[..]).unwrap_or_default();
        let reason = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} appeared meanwhile, and is never overwritten", written.whole.display())
            }
            _ => format!("cannot write {}: {error}", written.whole.display()),
        };
        self.report.lock().problem(path, reason);
    }
}
