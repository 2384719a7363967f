//! What the commands for files share: the file system inside an unlocked drive.

use std::path::Path;

pub(crate) use drive_ops::words::shown;
use fs_view::{Entry, Error, FileSystem, Problem};

use crate::drive::{self, UnlockArgs, Unlocked};
use crate::failure::{Failure, Outcome};
use crate::output;

/// The files of an unlocked drive.
pub(crate) type Drive = FileSystem<Unlocked>;

/// Unlocks the drive and opens what is inside.
pub(crate) fn open(path: &Path, unlock: &UnlockArgs) -> Outcome<Drive> {
    let volume = drive::unlock(path, unlock)?;
    let files = FileSystem::open(volume).map_err(|error| {
        let failure = explain(&error, &format!("the files of {}", path.display()));
        match error {
            Error::Unknown { .. } => failure.hint(other_programs(path)),
            _ => failure,
        }
    })?;
    for problem in files.warnings() {
        output::note(&format!("warning: {}: {}", shown(&problem.path), shown(&problem.reason)));
    }
    Ok(files)
}

/// How programs that know another file system get at the plain volume.
fn other_programs(path: &Path) -> String {
    let name = path.display();
    let decrypt = format!("`keyhaven decrypt {name} --output FILE` writes the plain volume to a file");
    if cfg!(all(feature = "mount", target_os = "linux")) {
        format!(
            "for programs that know it, `keyhaven mount {name} FOLDER --raw` shows the plain volume as a file, and {decrypt}"
        )
    } else {
        format!("for programs that know it, {decrypt}")
    }
}

/// What stands behind a path, and the path as it is written on the drive; that of the root is empty.
pub(crate) fn find(drive: &Drive, path: &str) -> Outcome<(String, Entry)> {
    let failed = |error: Error| explain(&error, &shown(path));
    let not_found = || explain(&Error::NotFound { path: path.to_owned() }, &shown(path));
    // Refuses what is no path.
    drive.stat(path).map_err(failed)?;
    let (mut written, mut entry) = (String::new(), drive.root().map_err(failed)?);
    for part in path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".") {
        entry = drive.lookup(&entry, part).map_err(failed)?.ok_or_else(not_found)?;
        written = format!("{written}/{}", entry.name);
    }
    Ok((written, entry))
}

/// An error about something inside the drive.
pub(crate) fn explain(error: &Error, what: &str) -> Failure {
    match error {
        Error::Sink(cause) => Failure::writing(what, cause),
        Error::Damaged { .. } => Failure::no(format!("cannot read {what}")).because(error).hint(
            "`keyhaven decrypt DRIVE --output FILE` writes the plain volume, for programs that mend file systems",
        ),
        Error::Storage(_) | Error::Io(_) => Failure::could_not(format!("cannot read {what}")).because(error),
        _ => Failure::no(format!("cannot read {what}")).because(error),
    }
}

/// Tells what could not be listed; gives a failure when there is anything, for the end of the command.
pub(crate) fn tell_problems(problems: &[Problem]) -> Outcome {
    for problem in problems {
        output::note(&format!("warning: {}: {}", shown(&problem.path), shown(&problem.reason)));
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(Failure::no("one thing on the drive could not be read; it is named above")),
        count => Err(Failure::no(format!("{count} things on the drive could not be read; they are named above"))),
    }
}
