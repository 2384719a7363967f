//! What `ls`, `tree` and `find` tell of an entry, and how they write it as JSON.

use std::io::{self, Write};

use fs_view::{Attributes, Entry, EntryKind, Problem};
use serde_json::{Value, json};

use super::files::{self, Drive};
use crate::failure::{Failure, Outcome};
use crate::times;

/// What an entry is, in words.
fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::SymbolicLink => "symbolic link",
        EntryKind::Junction => "junction",
        EntryKind::Other => "other",
    }
}

/// What an entry is, then its attributes, a letter each: `d--s-----`.
pub(super) fn letters(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::SymbolicLink => 'l',
        EntryKind::Junction => 'j',
        EntryKind::Other => 'o',
    };
    let attributes = named(entry.attributes).map(|(letter, _, set)| if set { letter } else { '-' });
    std::iter::once(kind).chain(attributes).collect()
}

/// The attributes with a letter and a name, and whether they are set.
fn named(attributes: Attributes) -> [(char, &'static str, bool); 8] {
    [
        ('r', "read-only", attributes.read_only()),
        ('h', "hidden", attributes.hidden()),
        ('s', "system", attributes.system()),
        ('a', "archive", attributes.archive()),
        ('c', "compressed", attributes.compressed()),
        ('p', "sparse", attributes.sparse()),
        ('e', "encrypted", attributes.encrypted()),
        ('o', "offline", attributes.offline()),
    ]
}

/// Where a link leads; `None` for everything else. What cannot be read is a problem.
pub(super) fn target(drive: &Drive, path: &str, entry: &Entry, problems: &mut Problems) -> Option<String> {
    if !entry.kind.is_link() {
        return None;
    }
    drive.link_target(entry).unwrap_or_else(|error| {
        problems.add(path, &error.to_string());
        None
    })
}

/// Everything about an entry.
pub(super) fn document(drive: &Drive, path: &str, entry: &Entry, problems: &mut Problems) -> Value {
    let streams = drive.streams_of(entry).unwrap_or_else(|error| {
        problems.add(path, &error.to_string());
        Vec::new()
    });
    let set = named(entry.attributes).into_iter().filter(|(_, _, set)| *set);
    json!({
        "path": path,
        "name": entry.name,
        "kind": kind(entry.kind),
        "bytes": entry.size_bytes,
        "allocated_bytes": entry.allocated_bytes,
        "modified": entry.modified.map(times::of),
        "created": entry.created.map(times::of),
        "accessed": entry.accessed.map(times::of),
        "attributes": set.map(|(_, name, _)| name).collect::<Vec<_>>(),
        "attribute_bits": entry.attributes.bits(),
        "id": entry.id,
        "links": entry.links,
        "target": target(drive, path, entry, problems),
        "streams": streams.iter().map(|stream| json!({ "name": stream.name, "bytes": stream.size_bytes }))
            .collect::<Vec<_>>(),
    })
}

/// Problems that are named; a damaged volume can have any number.
const NAMED: usize = 1000;

/// What could not be read while the rest was.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    others: u64,
}

impl Problems {
    pub(super) fn add(&mut self, path: &str, reason: &str) {
        self.keep(&Problem { path: path.to_owned(), reason: reason.to_owned() });
    }

    pub(super) fn keep(&mut self, problem: &Problem) {
        if self.kept.len() < NAMED {
            self.kept.push(problem.clone());
        } else {
            self.others += 1;
        }
    }

    pub(super) fn document(&self) -> Value {
        self.kept.iter().map(|problem| json!({ "path": problem.path, "reason": problem.reason })).collect()
    }

    /// Names them, and gives a failure when there are any, for the end of the command.
    pub(super) fn tell(&self) -> Outcome {
        self.tell_as("could not be read")
    }

    /// As [`Problems::tell`], in words of what came of it.
    pub(super) fn tell_as(&self, outcome: &str) -> Outcome {
        let count = self.others + self.kept.len() as u64;
        files::tell_problems(&self.kept).map_err(|_| match (count, self.others) {
            (1, _) => Failure::no(format!("one thing on the drive {outcome}; it is named above")),
            (_, 0) => Failure::no(format!("{count} things on the drive {outcome}; they are named above")),
            _ => Failure::no(format!("{count} things on the drive {outcome}; the first are named above")),
        })
    }
}

/// Entries written as they are found, in one JSON document of the form that `ls` has.
pub(super) struct Entries<W> {
    out: W,
    written: bool,
}

impl<W: Write> Entries<W> {
    /// Begins the document.
    pub(super) fn begin(mut out: W, path: &str) -> io::Result<Self> {
        write!(out, "{{\n  \"path\": {},\n  \"entries\": [", Value::from(path))?;
        Ok(Self { out, written: false })
    }

    pub(super) fn add(&mut self, entry: &Value) -> io::Result<()> {
        let comma = if self.written { "," } else { "" };
        self.written = true;
        write!(self.out, "{comma}\n    {entry}")
    }

    /// Ends the document with what is known at the end.
    pub(super) fn end(mut self, rest: &[(&str, Value)]) -> io::Result<()> {
        write!(self.out, "\n  ]")?;
        for (name, value) in rest {
            write!(self.out, ",\n  {}: {value}", Value::from(*name))?;
        }
        writeln!(self.out, "\n}}")?;
        self.out.flush()
    }
}

/// A failure to write to standard output.
pub(super) fn not_written(error: &io::Error) -> Failure {
    Failure::writing("to standard output", error)
}
