//! `keyhaven ls`: the files of a drive, without mounting it.

use std::ops::ControlFlow;
use std::time::SystemTime;

use clap::Args;
use fs_view::{Entry, EntryKind, Problem, Visited};
use fve::Filetime;
use serde_json::json;

use super::files::{self, shown};
use crate::drive::{DriveArgs, UnlockArgs};
use crate::failure::Outcome;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven ls usb-stick.img Documents --password-file password.txt")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Folder or file on the drive
    #[arg(default_value = "/")]
    path: String,
    /// Folders inside folders, too
    #[arg(long, short)]
    recursive: bool,
    #[command(flatten)]
    unlock: UnlockArgs,
}

pub(crate) fn run(arguments: &LsArgs, json: bool) -> Outcome {
    let files = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let failed = |error: &fs_view::Error| files::explain(error, &shown(&arguments.path));
    let start = files.stat(&arguments.path).map_err(|error| failed(&error))?;
    let (mut found, mut problems): (Vec<(String, Entry)>, Vec<Problem>) = (Vec::new(), Vec::new());
    if start.kind != EntryKind::Directory {
        found.push((arguments.path.clone(), start));
    } else if arguments.recursive {
        let walked = files.walk(&arguments.path, &mut |visited| {
            match visited {
                Visited::Entry { path, entry } => found.push((path.to_owned(), entry.clone())),
                Visited::Problem(problem) => problems.push(problem.clone()),
            }
            ControlFlow::Continue(())
        });
        walked.map_err(|error| failed(&error))?;
    } else {
        let listing = files.list(&arguments.path).map_err(|error| failed(&error))?;
        found.extend(listing.entries.into_iter().map(|entry| (entry.name.clone(), entry)));
        problems = listing.problems;
    }
    found.sort_by_key(|(path, _)| path.to_lowercase());
    let document = json!({
        "path": arguments.path,
        "entries": found.iter().map(|(path, entry)| entry_document(path, entry)).collect::<Vec<_>>(),
        "problems": problems.iter().map(|problem| json!({ "path": problem.path, "reason": problem.reason }))
            .collect::<Vec<_>>(),
    });
    let text: String = found.iter().map(|(path, entry)| line(path, entry)).collect();
    output::report(json, &document, &text)?;
    files::tell_problems(&problems)
}

fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(|time| Filetime::from_system_time_ms(time).to_string())
}

fn entry_document(path: &str, entry: &Entry) -> serde_json::Value {
    json!({
        "path": path,
        "name": entry.name,
        "kind": match entry.kind {
            EntryKind::File => "file",
            EntryKind::Directory => "directory",
            EntryKind::SymbolicLink => "symbolic link",
            EntryKind::Junction => "junction",
            EntryKind::Other => "other",
        },
        "bytes": entry.size_bytes,
        "modified": time(entry.modified),
        "created": time(entry.created),
    })
}

fn line(path: &str, entry: &Entry) -> String {
    let modified = time(entry.modified).map_or_else(|| "-".repeat(16), |text| text.chars().take(16).collect());
    let (size, mark) = match entry.kind {
        EntryKind::File => (entry.size_bytes.to_string(), ""),
        EntryKind::Directory => ("folder".to_owned(), "/"),
        EntryKind::SymbolicLink => ("link".to_owned(), ""),
        EntryKind::Junction => ("junction".to_owned(), ""),
        EntryKind::Other => ("other".to_owned(), ""),
    };
    format!("{size:>14}  {:<16}  {}{mark}\n", modified.replace('T', " "), shown(path))
}
