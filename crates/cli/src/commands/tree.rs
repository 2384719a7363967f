//! `keyhaven tree`: folders and files drawn as a tree, line by line while they are read.

use std::collections::HashSet;
use std::io::{BufWriter, Write, stdout};

use clap::{Args, ValueHint};
use fs_view::{Entry, EntryKind};
use serde_json::json;

use super::files::{self, Drive, shown};
use super::listed::{self, Entries, Problems, not_written};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::Outcome;
use crate::output;

/// How deep folders are followed, as `ls --recursive` does.
const MAX_DEPTH: usize = 64;
/// No file system has entries smaller than those of FAT: a volume cannot hold more than its size over this.
const SMALLEST_ENTRY_BYTES: u64 = 32;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven tree usb-stick.img Documents --depth 2 --password-file password.txt\n\n\
    Links are shown with where they lead and never followed. The last line counts the folders and files below the one \
    shown, and the sizes of the files.")]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Folder on the drive
    #[arg(default_value = "/", value_hint = ValueHint::Other)]
    path: String,
    /// So many levels of folders only
    #[arg(long, value_name = "LEVELS", value_parser = clap::value_parser!(u8).range(1..))]
    depth: Option<u8>,
    /// Folders only
    #[arg(long)]
    dirs_only: bool,
    /// The sizes of files, too
    #[arg(long)]
    sizes: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &TreeArgs, json: bool) -> Outcome {
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let failed = |error: fs_view::Error| files::explain(&error, &shown(&arguments.path));
    let (path, start) = files::find(&drive, &arguments.path)?;
    let listing = drive.list_entry(&start, &path).map_err(failed)?;
    let mut out = BufWriter::new(stdout().lock());
    let mut descent = Descent {
        drive: &drive,
        arguments,
        seen: HashSet::from([drive.identity(&start)]),
        room: drive.volume_bytes() / SMALLEST_ENTRY_BYTES,
        problems: Problems::default(),
        count: Count::default(),
    };
    if json {
        let mut entries = Entries::begin(out, &arguments.path).map_err(|error| not_written(&error))?;
        descent.run(path, listing, &mut |place, problems| {
            entries.add(&listed::document(&drive, place.path, place.entry, problems))
        })?;
        let Count { folders, files, bytes } = descent.count;
        let rest = [
            ("folders", json!(folders)),
            ("files", json!(files)),
            ("bytes", json!(bytes)),
            ("problems", descent.problems.document()),
        ];
        entries.end(&rest).map_err(|error| not_written(&error))?;
    } else {
        let name = if path.is_empty() { "/" } else { &path };
        writeln!(out, "{}", shown(name)).map_err(|error| not_written(&error))?;
        descent.run(path, listing, &mut |place, problems| {
            let target = listed::target(&drive, place.path, place.entry, problems);
            out.write_all(line(arguments, place, target.as_deref()).as_bytes())
        })?;
        let ended = writeln!(out, "\n{}", descent.count.text(arguments.dirs_only)).and_then(|()| out.flush());
        ended.map_err(|error| not_written(&error))?;
    }
    descent.problems.tell()
}

/// An entry where it stands in the tree.
struct Place<'a> {
    path: &'a str,
    entry: &'a Entry,
    /// The lines of the folders above.
    lines: &'a str,
    is_last: bool,
}

fn line(arguments: &TreeArgs, place: &Place<'_>, target: Option<&str>) -> String {
    let branch = if place.is_last { "└── " } else { "├── " };
    let mark = if place.entry.kind == EntryKind::Directory { "/" } else { "" };
    let arrow = target.map(|target| format!(" -> {}", shown(target))).unwrap_or_default();
    let size = if arguments.sizes && place.entry.kind == EntryKind::File {
        format!("  ({})", output::size(place.entry.size_bytes))
    } else {
        String::new()
    };
    format!("{}{branch}{}{mark}{arrow}{size}\n", place.lines, shown(&place.entry.name))
}

#[derive(Default)]
struct Count {
    folders: u64,
    files: u64,
    bytes: u64,
}

impl Count {
    fn text(&self, dirs_only: bool) -> String {
        let number = |count, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        if dirs_only {
            return number(self.folders, "folder");
        }
        format!("{}, {}, {}", number(self.folders, "folder"), number(self.files, "file"), output::size(self.bytes))
    }
}

/// A folder whose entries are being shown.
struct Level {
    path: String,
    lines: String,
    entries: std::iter::Peekable<std::vec::IntoIter<Entry>>,
}

type Show<'s> = &'s mut dyn FnMut(&Place<'_>, &mut Problems) -> std::io::Result<()>;

/// The way through the tree: one listing for each level is kept, and a number for each folder that was entered.
struct Descent<'a> {
    drive: &'a Drive,
    arguments: &'a TreeArgs,
    seen: HashSet<u64>,
    room: u64,
    problems: Problems,
    count: Count,
}

impl Descent<'_> {
    fn run(&mut self, path: String, listing: fs_view::Listing, show: Show<'_>) -> Outcome {
        let mut levels = vec![self.level(path, String::new(), listing)];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                levels.pop();
                continue;
            };
            let path = format!("{}/{}", level.path, entry.name);
            let is_last = level.entries.peek().is_none();
            let place = Place { path: &path, entry: &entry, lines: &level.lines, is_last };
            show(&place, &mut self.problems).map_err(|error| not_written(&error))?;
            match entry.kind {
                EntryKind::Directory => self.count.folders += 1,
                _ => self.count.files += 1,
            }
            self.count.bytes += entry.size_bytes;
            let lines = format!("{}{}", level.lines, if is_last { "    " } else { "│   " });
            if entry.kind == EntryKind::Directory
                && self.arguments.depth.is_none_or(|depth| levels.len() < usize::from(depth))
                && let Some(listing) = self.enter(&entry, &path)
            {
                let level = self.level(path, lines, listing);
                levels.push(level);
            }
            if self.room == 0 {
                self.problems.add("/", "the volume claims more entries than it has room for");
                break;
            }
        }
        Ok(())
    }

    /// What is in a folder; what keeps it from being listed is a problem.
    fn enter(&mut self, entry: &Entry, path: &str) -> Option<fs_view::Listing> {
        if !self.seen.insert(self.drive.identity(entry)) {
            self.problems.add(path, "the directory appears in two places");
            return None;
        }
        if path.matches('/').count() >= MAX_DEPTH {
            self.problems.add(path, "directories more than 64 levels deep are not entered");
            return None;
        }
        self.drive.list_entry(entry, path).map_err(|error| self.problems.add(path, &error.to_string())).ok()
    }

    fn level(&mut self, path: String, lines: String, listing: fs_view::Listing) -> Level {
        self.room = self.room.saturating_sub(listing.entries.len() as u64);
        listing.problems.iter().for_each(|problem| self.problems.keep(problem));
        let mut entries = listing.entries;
        if self.arguments.dirs_only {
            entries.retain(|entry| entry.kind == EntryKind::Directory);
        }
        entries.sort_by_cached_key(|entry| entry.name.to_lowercase());
        Level { path, lines, entries: entries.into_iter().peekable() }
    }
}
