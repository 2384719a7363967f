//! `keyhaven ls`: the files of a drive, without mounting it.

use std::cmp::Reverse;
use std::io::{self, BufWriter, Write, stdout};
use std::ops::ControlFlow;

use clap::{Args, ValueEnum, ValueHint};
use fs_view::{Entry, EntryKind, StreamEntry, Visited};

use super::files::{self, Drive, shown};
use super::listed::{self, Entries, Problems, not_written};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::Outcome;
use crate::{output, times};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven ls usb-stick.img Documents --password-file password.txt\n\n\
    With --long, a line begins with letters: what it is (d folder, l symbolic link, j junction, o other, - file), then \
    the attributes that are set: r read-only, h hidden, s system, a archive, c compressed, p sparse, e encrypted by \
    Windows, o offline. A number of names follows where a file has more than one (hard links).\n\n\
    Dates are in UTC; FAT keeps local time without a zone, which is shown as it is. Hidden and system files are listed, \
    too. With --json, everything known about a file is told.")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Folder or file on the drive
    #[arg(default_value = "/", value_hint = ValueHint::Other)]
    path: String,
    /// Folders inside folders, too
    #[arg(long, short)]
    recursive: bool,
    /// Attributes, number of names and dates to the second, too, and where links lead
    #[arg(long, short)]
    long: bool,
    /// The date of creation, too
    #[arg(long)]
    created: bool,
    /// Sizes in KiB, MiB, GiB
    #[arg(long)]
    human: bool,
    /// Alternate data streams, too; `cat` reads them under the name shown
    #[arg(long)]
    streams: bool,
    /// What comes first: names by the alphabet, large files, or new ones
    #[arg(long, value_enum, default_value_t = Sort::Name)]
    sort: Sort,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Name,
    Size,
    Date,
}

pub(crate) fn run(arguments: &LsArgs, json: bool) -> Outcome {
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let mut problems = Problems::default();
    let mut found = collect(&drive, arguments, &mut problems)?;
    found.sort_by_cached_key(|(path, _)| path.to_lowercase());
    match arguments.sort {
        Sort::Name => {}
        Sort::Size => found.sort_by_key(|(_, entry)| Reverse(entry.size_bytes)),
        Sort::Date => found.sort_by_key(|(_, entry)| Reverse(entry.modified)),
    }
    if arguments.reverse {
        found.reverse();
    }
    if json {
        let written = write_json(&drive, arguments, &found, &mut problems);
        written.map_err(|error| not_written(&error))?;
        return problems.tell();
    }
    let columns = Columns::of(arguments, &found);
    let mut text = String::new();
    for (path, entry) in &found {
        let target = if arguments.long { listed::target(&drive, path, entry, &mut problems) } else { None };
        text.push_str(&columns.line(path, entry, target.as_deref()));
        if arguments.streams {
            match drive.streams_of(entry) {
                Ok(streams) => streams.iter().for_each(|stream| text.push_str(&columns.stream(path, stream))),
                Err(error) => problems.add(path, &error.to_string()),
            }
        }
    }
    stdout().lock().write_all(text.as_bytes()).map_err(|error| not_written(&error))?;
    problems.tell()
}

fn write_json(drive: &Drive, arguments: &LsArgs, found: &[(String, Entry)], problems: &mut Problems) -> io::Result<()> {
    let mut entries = Entries::begin(BufWriter::new(stdout().lock()), &arguments.path)?;
    for (path, entry) in found {
        entries.add(&listed::document(drive, path, entry, problems))?;
    }
    entries.end(&[("problems", problems.document())])
}

/// What is to be listed: a file itself, or the content of a folder.
fn collect(drive: &Drive, arguments: &LsArgs, problems: &mut Problems) -> Outcome<Vec<(String, Entry)>> {
    let failed = |error: fs_view::Error| files::explain(&error, &shown(&arguments.path));
    let start = drive.stat(&arguments.path).map_err(failed)?;
    if start.kind != EntryKind::Directory {
        return Ok(vec![(arguments.path.clone(), start)]);
    }
    let mut found = Vec::new();
    if arguments.recursive {
        let mut visit = |visited: Visited<'_>| {
            match visited {
                Visited::Entry { path, entry } => found.push((path.to_owned(), entry.clone())),
                Visited::Problem(problem) => problems.keep(problem),
            }
            ControlFlow::Continue(())
        };
        drive.walk(&arguments.path, &mut visit).map_err(failed)?;
    } else {
        let listing = drive.list_entry(&start, &arguments.path).map_err(failed)?;
        found.extend(listing.entries.into_iter().map(|entry| (entry.name.clone(), entry)));
        listing.problems.iter().for_each(|problem| problems.keep(problem));
    }
    Ok(found)
}

/// Which columns there are; names stand last, so that their width does not matter.
struct Columns {
    long: bool,
    created: bool,
    human: bool,
    /// Width of the number of names; 0 where every file has one alone.
    links_width: usize,
}

impl Columns {
    fn of(arguments: &LsArgs, found: &[(String, Entry)]) -> Self {
        let most = found.iter().map(|(_, entry)| links(entry)).max().unwrap_or(1);
        let links_width = if arguments.long && most > 1 { most.to_string().len() } else { 0 };
        Self { long: arguments.long, created: arguments.created, human: arguments.human, links_width }
    }

    fn line(&self, path: &str, entry: &Entry, target: Option<&str>) -> String {
        let mut line = String::new();
        if self.long {
            line.push_str(&format!("{}  ", listed::letters(entry)));
        }
        if self.links_width > 0 {
            let links = if links(entry) > 1 { links(entry).to_string() } else { String::new() };
            line.push_str(&format!("{links:>width$}  ", width = self.links_width));
        }
        let (size, mark) = match entry.kind {
            EntryKind::File => (self.size(entry.size_bytes), ""),
            EntryKind::Directory => ("folder".to_owned(), "/"),
            EntryKind::SymbolicLink => ("link".to_owned(), ""),
            EntryKind::Junction => ("junction".to_owned(), ""),
            EntryKind::Other => ("other".to_owned(), ""),
        };
        line.push_str(&format!("{size:>14}  {}  ", self.date(entry.modified)));
        if self.created {
            line.push_str(&format!("{}  ", self.date(entry.created)));
        }
        let arrow = target.map(|target| format!(" -> {}", shown(target))).unwrap_or_default();
        line.push_str(&format!("{}{mark}{arrow}\n", shown(path)));
        line
    }

    /// A line for a stream, its size and name in the columns of its file.
    fn stream(&self, path: &str, stream: &StreamEntry) -> String {
        let before = if self.long { 11 } else { 0 } + if self.links_width > 0 { self.links_width + 2 } else { 0 };
        let dates = if self.created { 2 } else { 1 };
        let behind = dates * (self.date_width() + 2);
        let size = self.size(stream.size_bytes);
        let name = format!("{}:{}", shown(path), shown(&stream.name));
        format!("{:before$}{size:>14}  {:behind$}{name}\n", "", "")
    }

    fn size(&self, bytes: u64) -> String {
        if self.human { output::size(bytes) } else { bytes.to_string() }
    }

    fn date_width(&self) -> usize {
        if self.long { 19 } else { 16 }
    }

    fn date(&self, date: Option<std::time::SystemTime>) -> String {
        let width = self.date_width();
        match date {
            Some(date) => times::of(date).replace('T', " ").chars().take(width).collect(),
            None => "-".repeat(width),
        }
    }
}

/// Names that a file has; folders have one by their nature.
fn links(entry: &Entry) -> u32 {
    if entry.kind == EntryKind::Directory { 1 } else { entry.links }
}
