//! Copies files and folders of a drive to this computer.
//!
//! - Several threads read, decrypt and write; a large file is shared among them.
//! - A file is written under a name of its own (`NAME.keyhaven-partial`) and gets its name when it is whole and durable, so
//!   that whatever has its name is whole. Nothing that exists is ever overwritten.
//! - One file that cannot be copied stops nothing but itself. Only a target that takes no more ends a copy.
//! - Links are never followed, neither on the drive nor below the target.
//! - Going on trusts nothing: what is there of an unfinished file is compared with the drive.
//!
//! Why it is built so: `docs/designs/2026-11-25-files.md`. Words for people are the command's.

mod check;
mod existing;
mod finish;
mod host;
mod outcome;
mod plan;
mod queue;
mod report;
mod write;

use std::path::{Path, PathBuf};
use std::time::Instant;

use block_io::BlockRead;
use drive_ops::names;
use fs_view::FileSystem;

use self::outcome::Outcomes;
use self::plan::{Item, Plan};
pub(crate) use self::report::Report;
use self::report::Shared;
use crate::progress::FilesBar;

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Pass over what is there, go on with unfinished files.
    pub(crate) resume: bool,
    /// Compare everything with the drive afterwards.
    pub(crate) verify: bool,
    /// Do not begin when the target is surely too small.
    pub(crate) check_space: bool,
}

/// Nothing was begun.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The target, or the folder it is to be made in, is not a folder.
    NotAFolder(PathBuf),
    /// The only source cannot be found.
    Source {
        /// Its path.
        path: String,
        /// Why.
        error: fs_view::Error,
    },
    /// The target has less room than the files need.
    NoSpace {
        /// What they need at least.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
}

/// Files that are small enough in number are made durable one by one: a busy computer may have much else to write.
const FEW_FILES: usize = 16;

/// Copies `sources` into the folder `target`, or a single one to `target` itself where that does not exist.
pub(crate) fn copy<D: BlockRead>(
    drive: &FileSystem<D>,
    sources: &[String],
    target: &Path,
    options: Options,
) -> Result<Report, Refusal> {
    let start = Instant::now();
    let mut report = Report::default();
    let mut plan = plan::plan(drive, sources, target, options.resume, &mut report)?;
    if options.check_space {
        check_space(&plan, options)?;
    }
    let shared = Shared::new(report);
    make_folders(&mut plan, &shared);
    let copier = Copier { drive, plan: &plan, options, report: &shared };
    copier.run();
    let mut report = shared.into_inner();
    report.time = start.elapsed();
    Ok(report)
}

/// Whether the target has room for what is not there yet.
fn check_space(plan: &Plan, options: Options) -> Result<(), Refusal> {
    let Some(base) = plan.base() else { return Ok(()) };
    let Some(free_bytes) = host::free_bytes(base) else { return Ok(()) };
    let mut needed_bytes = plan.least_bytes();
    if needed_bytes > free_bytes && options.resume {
        needed_bytes = needed_bytes.saturating_sub(plan.bytes_there());
    }
    if needed_bytes > free_bytes { Err(Refusal::NoSpace { needed_bytes, free_bytes }) } else { Ok(()) }
}

fn make_folders(plan: &mut Plan, report: &Shared) {
    for index in 0..plan.folders.len() {
        if report.stopped() {
            return;
        }
        let Some(folder) = plan.folders.get(index) else { return };
        let Some((parent, name)) = &folder.place else { continue };
        let Some(parent) = plan.folders.get(*parent).and_then(|parent| parent.path.clone()) else { continue };
        let source = folder.source.as_ref().map(|(path, _)| path.clone()).unwrap_or_default();
        let (path, made) = match make_folder(&parent, &name.to_string_lossy(), &plan::within(&parent, name)) {
            Ok((path, made)) => (path, made),
            Err((path, error)) if host::stops_everything(&error) => {
                report.stop(path.display().to_string(), error);
                return;
            }
            Err((path, error)) => {
                let reason = format!("cannot make the folder {}: {error}; nothing below it was copied", path.display());
                report.lock().problem(&source, reason);
                continue;
            }
        };
        if path.file_name() != Some(name) {
            report.lock().renamed(&source, &path);
        }
        if let Some(folder) = plan.folders.get_mut(index) {
            (folder.path, folder.made) = (Some(path), made);
        }
    }
}

/// Where the folder is, and whether it is new.
fn make_folder(parent: &Path, name: &str, path: &Path) -> Result<(PathBuf, bool), (PathBuf, std::io::Error)> {
    let made = |path: PathBuf| match std::fs::create_dir(&path) {
        Ok(()) => Ok((path, true)),
        // A link to a folder is none: what is copied stays below the target.
        Err(_) if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) => Ok((path, false)),
        Err(error) => Err((path, error)),
    };
    match made(path.to_owned()) {
        Err((_, error)) if host::refuses_name(&error) => made(plan::within(parent, names::plainest(name).as_ref())),
        made => made,
    }
}

struct Copier<'c, D> {
    drive: &'c FileSystem<D>,
    plan: &'c Plan,
    options: Options,
    report: &'c Shared,
}

impl<D: BlockRead> Copier<'_, D> {
    fn run(&self) {
        let bar = FilesBar::new(self.plan.total_bytes(), self.plan.items.len(), "copying");
        let outcomes = self.round(&self.plan.items, &bar);
        let (linked, items) = self.link_twins(&outcomes);
        let twins = self.round(&items, &bar);
        drop(bar);
        self.date_folders();
        if let Err(error) = self.sync() {
            self.report.stop(self.plan.base().unwrap_or(Path::new(".")).display().to_string(), error);
        }
        let mut there = outcomes.there(self.plan, &self.plan.items);
        there.extend(twins.there(self.plan, &items));
        self.count_left(&outcomes, &twins, &items);
        self.report.lock().hard_links = linked;
        if self.options.verify {
            let verified = check::verify(self.drive, &there, self.report);
            self.report.lock().verified = Some(verified);
        }
    }

    fn round(&self, items: &[Item], bar: &FilesBar) -> Outcomes {
        let outcomes = Outcomes::new(items.len());
        if items.is_empty() {
            return outcomes;
        }
        std::thread::scope(|scope| {
            let (to_finish, written) = std::sync::mpsc::channel();
            let finisher = finish::Finisher { plan: self.plan, items, report: self.report, outcomes: &outcomes };
            scope.spawn(move || finisher.run(&written));
            let job = write::Writing {
                drive: self.drive,
                plan: self.plan,
                items,
                options: self.options,
                report: self.report,
                outcomes: &outcomes,
                bar,
                to_finish,
            };
            queue::run(&job, items.len());
            // The finisher ends with its last sender.
            drop(job);
        });
        outcomes
    }

    /// Gives files their further names. Returns how many, and what must be copied because it cannot be linked.
    fn link_twins(&self, outcomes: &Outcomes) -> (u64, Vec<Item>) {
        let (mut linked, mut rest) = (0, Vec::new());
        for (first, twin) in &self.plan.twins {
            let first = self.plan.items.get(*first).and_then(|item| outcomes.place(self.plan, *first, item));
            let whole = self.plan.place(twin.folder, &twin.name);
            match (first, whole) {
                (Some(first), Some(whole)) if std::fs::hard_link(&first, &whole).is_ok() => linked += 1,
                _ => rest.push(twin.clone()),
            }
        }
        (linked, rest)
    }

    /// Sets the dates of folders, after everything in them has its name.
    fn date_folders(&self) {
        for folder in self.plan.folders.iter().rev() {
            if let (Some(path), Some((_, entry))) = (&folder.path, &folder.source)
                && (folder.made || self.options.resume)
            {
                let dated = std::fs::File::open(path).and_then(|file| file.set_times(write::dates(entry)));
                if dated.is_err() {
                    self.report.lock().undated += 1;
                }
            }
        }
    }

    fn sync(&self) -> std::io::Result<()> {
        let base = self.plan.base().unwrap_or(Path::new("."));
        if self.plan.items.len() > FEW_FILES && host::sync_all_of(base)? {
            return Ok(());
        }
        self.plan.folders.iter().filter_map(|folder| folder.path.as_ref()).try_for_each(|path| host::sync_folder(path))
    }

    fn count_left(&self, outcomes: &Outcomes, twins: &Outcomes, twin_items: &[Item]) {
        let mut report = self.report.lock();
        if report.stop.is_some() {
            let left = [outcomes.left(&self.plan.items), twins.left(twin_items)];
            report.left_files = left.iter().map(|(files, _)| files).sum();
            report.left_bytes = left.iter().map(|(_, bytes)| bytes).sum();
        }
    }
}
