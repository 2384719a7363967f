//! `keyhaven find`: files of a drive by name, kind, size or date, written as they are found.

use std::io::{self, BufWriter, Write, stdout};
use std::ops::ControlFlow;
use std::time::SystemTime;

use clap::{Args, ValueEnum, ValueHint};
use fs_view::{Entry, EntryKind, Visited};
use glob::{MatchOptions, Pattern};

use super::create::parse_size;
use super::files::{self, Drive, shown};
use super::listed::{self, Entries, Problems, not_written};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::times;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven find usb-stick.img Documents --name '*.pdf' --newer 2024-01-01\n\n\
    In patterns, `*` stands for any letters, `?` for one, `[ab]` for one of those; capitals and small letters are the \
    same, as on Windows. Quote them, so that the shell leaves them alone. A pattern for whole paths is compared with the \
    path from the root of the drive; there `*` ends at a folder, and `**` stands for any number of folders: \
    --path 'Users/**/*.docx'.\n\n\
    Conditions given together must all hold. Dates are in UTC. Links are found, but never followed.\n\n\
    Exit status: 0 found, 1 nothing found or a part of the drive could not be read, 2 could not try.")]
pub(crate) struct FindArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Folder on the drive to look in
    #[arg(default_value = "/", value_hint = ValueHint::Other)]
    path: String,
    /// Names that fit this pattern
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    name: Option<Pattern>,
    /// Paths from the root of the drive that fit this pattern
    #[arg(long = "path", value_name = "PATTERN", value_parser = parse_path_pattern)]
    path_pattern: Option<Pattern>,
    /// Only files (f), folders (d) or links (l); several with commas between them
    #[arg(long = "type", value_name = "KIND", value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Files with more bytes than this, for instance 10M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    larger: Option<u64>,
    /// Files with fewer bytes than this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    smaller: Option<u64>,
    /// Changed at this time or later, for instance 2024-05-01 or 2024-05-01T12:30
    #[arg(long, value_name = "DATE", value_parser = times::parse)]
    newer: Option<SystemTime>,
    /// Changed before this time
    #[arg(long, value_name = "DATE", value_parser = times::parse)]
    older: Option<SystemTime>,
    /// End each path with a NUL instead of a new line, and write it as it is: for `xargs -0`
    #[arg(long, short = '0', conflicts_with = "json")]
    null: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(name = "f", alias = "file")]
    File,
    #[value(name = "d", alias = "folder")]
    Folder,
    #[value(name = "l", alias = "link")]
    Link,
}

/// `*` and the others stand for what is on one level; names are folded beforehand.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    if text.contains(['/', '\\']) {
        return Err("a name has no `/` or `\\`; --path is for whole paths".to_owned());
    }
    Pattern::new(&fs_view::fold(text)).map_err(|error| error.to_string())
}

fn parse_path_pattern(text: &str) -> Result<Pattern, String> {
    let text = text.replace('\\', "/");
    Pattern::new(&fs_view::fold(text.trim_start_matches('/'))).map_err(|error| error.to_string())
}

impl FindArgs {
    fn fits(&self, path: &str, entry: &Entry) -> bool {
        let kind_fits = |kind: &Kind| match kind {
            Kind::File => entry.kind == EntryKind::File,
            Kind::Folder => entry.kind == EntryKind::Directory,
            Kind::Link => entry.kind.is_link(),
        };
        let pattern_fits = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches_with(&fs_view::fold(text), MATCHING))
        };
        let size_fits = |fits: &dyn Fn(u64) -> bool| entry.kind == EntryKind::File && fits(entry.size_bytes);
        let date_fits = |fits: &dyn Fn(SystemTime) -> bool| entry.modified.is_some_and(fits);
        (self.kinds.is_empty() || self.kinds.iter().any(kind_fits))
            && self.larger.is_none_or(|than| size_fits(&|bytes| bytes > than))
            && self.smaller.is_none_or(|than| size_fits(&|bytes| bytes < than))
            && self.newer.is_none_or(|than| date_fits(&|date| date >= than))
            && self.older.is_none_or(|than| date_fits(&|date| date < than))
            && pattern_fits(&self.name, &entry.name)
            && pattern_fits(&self.path_pattern, path.trim_start_matches('/'))
    }
}

pub(crate) fn run(arguments: &FindArgs, json: bool) -> Outcome {
    let drive = files::open(&arguments.drive.drive, &arguments.unlock)?;
    // In the spelling of the drive, for patterns of whole paths.
    let (start, _) = files::find(&drive, &arguments.path)?;
    let mut problems = Problems::default();
    let mut out = BufWriter::new(stdout().lock());
    let found = if json {
        let mut entries = Entries::begin(out, &arguments.path).map_err(|error| not_written(&error))?;
        let found = search(&drive, arguments, &start, &mut problems, &mut |path, entry, problems| {
            entries.add(&listed::document(&drive, path, entry, problems))
        })?;
        entries.end(&[("problems", problems.document())]).map_err(|error| not_written(&error))?;
        found
    } else {
        search(&drive, arguments, &start, &mut problems, &mut |path, _, _| {
            let written = if arguments.null { write!(out, "{path}\0") } else { writeln!(out, "{}", shown(path)) };
            // Who looks on sees each as it is found.
            written.and_then(|()| out.flush())
        })?
    };
    problems.tell()?;
    if found == 0 { Err(Failure::no("nothing was found")) } else { Ok(()) }
}

type Tell<'t> = &'t mut dyn FnMut(&str, &Entry, &mut Problems) -> io::Result<()>;

/// Tells everything that fits, and gives how much that was.
fn search(drive: &Drive, arguments: &FindArgs, start: &str, problems: &mut Problems, tell: Tell<'_>) -> Outcome<u64> {
    let (mut found, mut told) = (0, Ok(()));
    let mut visit = |visited: Visited<'_>| {
        match visited {
            Visited::Problem(problem) => problems.keep(problem),
            Visited::Entry { path, entry } if arguments.fits(path, entry) => {
                found += 1;
                told = tell(path, entry, problems);
            }
            Visited::Entry { .. } => {}
        }
        if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let walked = drive.walk(start, &mut visit);
    told.map_err(|error| not_written(&error))?;
    walked.map_err(|error| files::explain(&error, &shown(&arguments.path)))?;
    Ok(found)
}
