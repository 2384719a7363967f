//! What `ls`, `cat` and `cp` share: the file system inside an unlocked drive.

use std::path::Path;

use fs_view::{Error, FileSystem, Problem};

use crate::drive::{self, UnlockArgs, Unlocked};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Unlocks the drive and opens what is inside.
pub(crate) fn open(path: &Path, unlock: &UnlockArgs) -> Outcome<FileSystem<Unlocked>> {
    let volume = drive::unlock(path, unlock)?;
    FileSystem::open(volume).map_err(|error| {
        let failure = explain(&error, &format!("the files of {}", path.display()));
        match error {
            Error::Unknown { .. } => failure.hint(format!(
                "`keyhaven decrypt {} --output FILE` writes the plain volume for other programs",
                path.display()
            )),
            _ => failure,
        }
    })
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
        output::note(&format!("warning: {}: {}", shown(&problem.path), problem.reason));
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(Failure::no("one thing on the drive could not be read; it is named above")),
        count => Err(Failure::no(format!("{count} things on the drive could not be read; they are named above"))),
    }
}

/// A name from a drive, safe for a terminal: control characters and the marks that turn text around are escaped.
pub(crate) fn shown(name: &str) -> String {
    let turns =
        |letter: char| matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() || turns(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(shown("Grüße.txt"), "Grüße.txt");
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown("exe.\u{202e}txt"), "exe.\\u{202e}txt");
    }
}
