//! Changing key protectors: the drive opened for it, naming a protector, writing, errors in words.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fve::{Error, Filetime, KeyMaterial, KeyProtector, MetadataEditor};

use crate::drive::{self, Disk, Locked};
use crate::failure::{Failure, Kind, Outcome};
use crate::info::key_id;
use crate::lock::Lock;
use crate::note::note;

/// A drive whose protectors are being changed. Nobody else of us writes it meanwhile; other drivers may have it open, as they
/// read the metadata when they open it and do not write it.
pub struct Editing {
    /// What is being changed.
    pub editor: MetadataEditor<Disk>,
    path: PathBuf,
    _lock: Lock,
}

/// A drive that nobody else of us works on, about to be changed.
pub struct ToEdit {
    /// The drive.
    pub volume: Locked,
    path: PathBuf,
    lock: Lock,
}

/// Opens the drive for a change. The secret comes with [`ToEdit::prove`], as asking for it may need the drive's protectors.
///
/// # Errors
/// As [`Lock::take`] and [`drive::open_writable`].
pub fn open(path: &Path) -> Outcome<ToEdit> {
    let lock = Lock::take(path, true)?;
    Ok(ToEdit { volume: drive::open_writable(path)?, path: path.to_owned(), lock })
}

impl ToEdit {
    /// Proves the secret, and takes up the metadata.
    ///
    /// # Errors
    /// [`Kind::WrongKey`] and its like; whatever [`explain`] knows.
    pub fn prove(self, material: &dyn KeyMaterial) -> Outcome<Editing> {
        let Self { volume, path, lock } = self;
        let now = Filetime::from_system_time_ms(SystemTime::now());
        let editor = volume.edit(material, now).map_err(|error| explain(&path, &error))?;
        if !editor.to_repair().is_empty() {
            let copies: Vec<String> = editor.to_repair().iter().map(|index| (index + 1).to_string()).collect();
            note(&format!(
                "metadata {} {} of 3 is restored from the newest one before anything else is written",
                if copies.len() == 1 { "copy" } else { "copies" },
                copies.join(" and ")
            ));
        }
        Ok(Editing { editor, path, _lock: lock })
    }
}

impl Editing {
    /// Writes the changes; what cannot be written is told with what opens the drive now.
    ///
    /// # Errors
    /// Whatever [`explain`] knows.
    pub fn commit(&mut self) -> Outcome {
        self.editor.commit().map_err(|error| explain(&self.path, &error))
    }

    /// Writes the changes, with a file that was written before them: it goes again when they reached no copy.
    ///
    /// # Errors
    /// Whatever [`explain`] knows.
    pub fn commit_with(&mut self, file: Option<&Path>) -> Outcome {
        self.editor.commit().map_err(|error| {
            let failure = explain(&self.path, &error);
            let Some(file) = file else { return failure };
            // A copy that was being written may hold the change although writing it failed.
            if matches!(error, Error::CopyNotWritten { .. } | Error::CopyNotKept { .. }) {
                let hint = failure.hint.clone().unwrap_or_default();
                return failure.hint(format!("keep {}: its key may open the drive already; {hint}", file.display()));
            }
            let _ = std::fs::remove_file(file);
            failure
        })
    }

    /// The protector that a person names by its identifier or the start of it, as a locked PC shows it.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find(&self, text: &str) -> Outcome<KeyProtector> {
        find(&self.path, &self.editor.protectors(), text)
    }

    /// The same for something that can fail in the engine.
    ///
    /// # Errors
    /// Whatever [`explain`] knows.
    pub fn explained<R>(&self, done: Result<R, Error>) -> Outcome<R> {
        done.map_err(|error| explain(&self.path, &error))
    }
}

/// The one protector whose identifier starts with this text.
///
/// # Errors
/// None does, or several, or the text is too short to mean one.
pub fn find(path: &Path, protectors: &[KeyProtector], text: &str) -> Outcome<KeyProtector> {
    const SHORTEST: usize = 4;
    let wanted = text.trim().trim_matches(['{', '}']).to_ascii_uppercase();
    let list = format!("`keyhaven protectors list {}` lists them", path.display());
    if wanted.len() < SHORTEST {
        return Err(Failure::could_not(format!("{text:?} is too short to name a key protector"))
            .hint(format!("give the first 8 characters of its identifier; {list}")));
    }
    let mut found = protectors.iter().filter(|protector| protector.identifier.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(protector), None) => Ok(protector.clone()),
        (None, _) => {
            Err(Failure::no(format!("{} has no key protector that starts with {wanted}", path.display())).hint(list))
        }
        (Some(_), Some(_)) => Err(Failure::no(format!("several key protectors start with {wanted}"))
            .hint(format!("give more of the identifier; {list}"))),
    }
}

/// Error, cause and next step for a change that was refused or failed.
#[must_use]
pub fn explain(path: &Path, error: &Error) -> Failure {
    let name = path.display();
    match error {
        Error::CannotEdit { .. } => Failure::no(format!("the key protectors of {name} are not changed")).because(error),
        Error::LastProtector => Failure::no("the last key that opens the drive is not removed")
            .kind(Kind::LastKey)
            .cause("nobody could open it any longer")
            .hint(format!("add another one first, for instance `keyhaven protectors add recovery-password {name}`")),
        Error::LastPersonsProtector => Failure::no("the last key that a person has is not removed")
            .kind(Kind::LastKey)
            .because(error)
            .hint(format!(
                "add another one first (`keyhaven protectors add recovery-password {name}`); --leave-hardware-only removes \
                 it all the same"
            )),
        Error::HasPassword { identifier } => Failure::no(format!("{name} has a password already"))
            .kind(Kind::HasPassword)
            .cause(format!("a drive takes one; its key ID is {}", key_id(*identifier)))
            .hint(format!("`keyhaven protectors change-password {name}` replaces it")),
        Error::AlreadySuspended => Failure::no(format!("the protection of {name} is suspended already"))
            .kind(Kind::Suspended)
            .hint(format!("`keyhaven unsuspend {name}` resumes it")),
        Error::NotSuspended => {
            Failure::no(format!("the protection of {name} is not suspended")).kind(Kind::NotSuspended)
        }
        Error::TooManyProtectors { .. } | Error::MetadataFull { .. } => {
            Failure::no(format!("{name} takes no further key protector"))
                .because(error)
                .hint(format!("nothing was changed; `keyhaven protectors remove {name} ID` makes room"))
        }
        Error::MasterKeyStays { .. } => {
            Failure::no("the volume master key is not replaced").because(error).hint("nothing was changed")
        }
        Error::CopyNotWritten { .. } | Error::CopyNotKept { .. } => {
            Failure::could_not(format!("the key protectors of {name} could not be changed whole"))
                .because(error)
                .hint("the drive still opens; run the command again, it restores the copies first")
        }
        _ => drive::explain(path, error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use fve::{Guid, ProtectorKind};

    use super::*;

    fn protector(identifier: &str) -> KeyProtector {
        KeyProtector {
            identifier: identifier.parse::<Guid>().unwrap(),
            modified: Filetime(0),
            hints: 0,
            protection: ProtectorKind::Password.protection(),
            entries: Vec::new(),
        }
    }

    #[test]
    fn protectors_are_named_by_the_start_of_their_identifiers() {
        let all = [
            protector("5F2B0A11-0000-4000-8000-000000000001"),
            protector("5F2B0A11-0000-4000-8000-000000000002"),
            protector("0ABCDEF0-0000-4000-8000-000000000003"),
        ];
        let named = |text: &str| find(Path::new("d.img"), &all, text);
        assert_eq!(named("0abcdef0").unwrap().identifier, all[2].identifier);
        assert_eq!(named(" {5F2B0A11-0000-4000-8000-000000000002} ").unwrap().identifier, all[1].identifier);
        assert_eq!(named("5F2B0A11").unwrap_err().status(), 1);
        assert_eq!(named("FFFFFFFF").unwrap_err().status(), 1);
        assert_eq!(named("0AB").unwrap_err().status(), 2);
        assert_eq!(named("").unwrap_err().status(), 2);
    }
}
