//! `keyhaven cp`: files and folders of a drive, copied to this computer.

use std::fs::{File, FileTimes};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use fs_view::{Entry, EntryKind, FileSystem, Problem, Visited};
use indicatif::ProgressBar;
use serde_json::json;

use super::files::{self, shown};
use crate::drive::{DriveArgs, UnlockArgs, Unlocked};
use crate::failure::{Failure, Outcome};
use crate::{output, progress};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven cp usb-stick.img Documents rescued --password-file password.txt")]
pub(crate) struct CpArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Files and folders on the drive, then where they go on this computer; existing files are never overwritten
    #[arg(num_args = 2.., required = true, value_names = ["PATH", "DEST"])]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    unlock: UnlockArgs,
}

type Drive = FileSystem<Unlocked>;

/// What was done so far.
#[derive(Default)]
struct Copied {
    files: u64,
    bytes: u64,
    problems: Vec<Problem>,
}

pub(crate) fn run(arguments: &CpArgs, json: bool) -> Outcome {
    let Some((target, sources)) = arguments.paths.split_last() else {
        return Err(Failure::could_not("cp needs a path on the drive and a place to copy to"));
    };
    let files = files::open(&arguments.drive.drive, &arguments.unlock)?;
    let into_folder = target.is_dir();
    if sources.len() > 1 && !into_folder {
        return Err(Failure::could_not(format!("{} is not a folder", target.display()))
            .hint("several files go into a folder that exists"));
    }
    let mut copied = Copied::default();
    for source in sources {
        let source = source.to_str().ok_or_else(|| Failure::could_not("a path on the drive is not valid text"))?;
        copy(&files, source, target, into_folder, &mut copied)?;
    }
    let document = json!({
        "files": copied.files,
        "bytes": copied.bytes,
        "problems": copied.problems.iter().map(|problem| json!({ "path": problem.path, "reason": problem.reason }))
            .collect::<Vec<_>>(),
    });
    let count = if copied.files == 1 { "1 file".to_owned() } else { format!("{} files", copied.files) };
    output::report(json, &document, &format!("{count}, {} copied.\n", output::size(copied.bytes)))?;
    files::tell_problems(&copied.problems)
}

fn copy(files: &Drive, source: &str, target: &Path, into_folder: bool, copied: &mut Copied) -> Outcome {
    let entry = files.stat(source).map_err(|error| files::explain(&error, &shown(source)))?;
    // The root has no name: its content goes into the target.
    let target = if into_folder && !entry.name.is_empty() { target.join(&entry.name) } else { target.to_owned() };
    if entry.kind != EntryKind::Directory {
        let bar = progress::bytes(entry.size_bytes, "copying");
        copy_file(files, source, &entry, &target, &bar, copied)?;
        bar.finish_and_clear();
        return Ok(());
    }
    copy_folder(files, source, &target, copied)
}

/// Everything below a folder. What cannot be read is kept for the end; what cannot be written stops the copy.
fn copy_folder(files: &Drive, source: &str, target: &Path, copied: &mut Copied) -> Outcome {
    make_folder(target)?;
    let (mut found, mut total) = (Vec::new(), 0);
    let walked = files.walk(source, &mut |visited| {
        match visited {
            Visited::Entry { path, entry } => {
                total += entry.size_bytes;
                found.push((path.to_owned(), entry.clone()));
            }
            Visited::Problem(problem) => copied.problems.push(problem.clone()),
        }
        ControlFlow::Continue(())
    });
    walked.map_err(|error| files::explain(&error, &shown(source)))?;
    let depth = source.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").count();
    let bar = progress::bytes(total, "copying");
    for (path, entry) in &found {
        let below: PathBuf = path.split('/').filter(|part| !part.is_empty()).skip(depth).collect();
        let place = target.join(below);
        match entry.kind {
            EntryKind::Directory => make_folder(&place)?,
            _ => copy_file(files, path, entry, &place, &bar, copied)?,
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn make_folder(path: &Path) -> Outcome {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.map_err(|error| Failure::writing(&path.display().to_string(), &error)),
    }
}

fn copy_file(
    files: &Drive,
    source: &str,
    entry: &Entry,
    target: &Path,
    bar: &ProgressBar,
    copied: &mut Copied,
) -> Outcome {
    let name = target.display().to_string();
    let mut file = File::options().write(true).create_new(true).open(target).map_err(|error| {
        let failure = Failure::writing(&name, &error);
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.hint("an existing file is never overwritten; choose another place")
        } else {
            failure
        }
    })?;
    let before = bar.position();
    let read = files.read(source, &mut file, &mut |done| bar.set_position(before + done));
    // What was not read whole is removed: nobody should take it for the file.
    let remove = || drop(std::fs::remove_file(target));
    match read {
        Ok(bytes) => {
            copied.files += 1;
            copied.bytes += bytes;
        }
        Err(fs_view::Error::Sink(error)) => {
            remove();
            return Err(Failure::writing(&name, &error));
        }
        Err(error @ (fs_view::Error::NotFound { .. } | fs_view::Error::BadPath { .. })) => {
            remove();
            return Err(files::explain(&error, &shown(source)));
        }
        Err(error) => {
            remove();
            copied.problems.push(Problem { path: source.to_owned(), reason: error.to_string() });
            return Ok(());
        }
    }
    let kept = match entry.modified {
        Some(modified) => file.set_times(FileTimes::new().set_modified(modified)),
        None => Ok(()),
    };
    kept.and_then(|()| file.sync_all()).map_err(|error| Failure::writing(&name, &error))
}
