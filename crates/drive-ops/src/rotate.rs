//! A new recovery key in place of the old one.
//!
//! ```text
//! add      the new one goes onto the drive, beside the old; its name there says what it replaces
//! save     wherever it was asked for
//! remove   the old one goes, and the name with it
//! ```
//!
//! Whatever happens in between, a key opens the drive that is saved somewhere. What was begun stands on the drive itself, so
//! it can go on later, on any computer.

use std::path::Path;

use fve::{Guid, KeyProtector, ProtectorKind, Remaining};
use secret::RecoveryPassword;
use vault_client::{Client, Transport};

use crate::backup::Key;
use crate::drive::{self, Locked};
use crate::edit::Editing;
use crate::failure::{Failure, Outcome};
use crate::info::{key_id, name};

/// Starts the name of a recovery key that is to replace others; their identifiers follow.
const REPLACES: &str = "Keyhaven: replaces ";

/// A rotation under way: the new key is on the drive.
pub struct Rotation {
    /// The new key.
    pub key: Key,
    /// Those that go.
    pub old: Vec<Guid>,
    /// Whether it had been begun before.
    pub resumed: bool,
}

/// Whether a rotation of the drive broke off: the new key is there, and one that it replaces.
#[must_use]
pub fn is_unfinished(volume: &Locked) -> bool {
    begun(&volume.protectors()).is_some()
}

/// A rotation that was begun and not finished, by the names on the drive.
///
/// # Errors
/// Its new key cannot be read from the drive.
pub fn unfinished(path: &Path, editing: &Editing) -> Outcome<Option<Rotation>> {
    let Some((identifier, old)) = begun(&editing.editor.protectors()) else { return Ok(None) };
    let passwords = editing.editor.recovery_passwords();
    let found = passwords.into_iter().find(|(found, _)| *found == identifier);
    let (identifier, password) = found.ok_or_else(|| {
        Failure::no("an unfinished rotation cannot go on: its new recovery key cannot be read from the drive").hint(
            format!(
                "remove it (`keyhaven protectors remove {} {}`) and run this again",
                path.display(),
                key_id(identifier)
            ),
        )
    })?;
    Ok(Some(Rotation { key: Key { identifier, password }, old, resumed: true }))
}

/// Puts a new key onto the drive, which is to replace these.
///
/// # Errors
/// Of the engine.
pub fn begin(editing: &mut Editing, old: Vec<Guid>) -> Outcome<Rotation> {
    let listed: Vec<String> = old.iter().map(Guid::to_string).collect();
    let password = RecoveryPassword::random();
    let added = editing.editor.add_recovery_password(&password, Some(&format!("{REPLACES}{}", listed.join(", "))));
    let identifier = editing.explained(added)?;
    editing.commit()?;
    Ok(Rotation { key: Key { identifier, password }, old, resumed: false })
}

/// The new key of a rotation that was begun, and those it replaces that are still there.
#[must_use]
pub fn begun(protectors: &[KeyProtector]) -> Option<(Guid, Vec<Guid>)> {
    protectors.iter().filter(|it| it.kind() == ProtectorKind::RecoveryPassword).find_map(|protector| {
        let named = name(protector)?;
        let listed = named.strip_prefix(REPLACES)?.split(", ").filter_map(|text| text.parse::<Guid>().ok());
        let still_there = |old: &Guid| *old != protector.identifier && is_recovery_password(protectors, *old);
        let old: Vec<Guid> = listed.filter(still_there).collect();
        (!old.is_empty()).then_some((protector.identifier, old))
    })
}

fn is_recovery_password(protectors: &[KeyProtector], identifier: Guid) -> bool {
    protectors.iter().any(|it| it.identifier == identifier && it.kind() == ProtectorKind::RecoveryPassword)
}

/// Reads the drive again and opens it with the new key: nothing else shows that it works.
///
/// # Errors
/// It does not open the drive.
pub fn prove(path: &Path, key: &Key) -> Outcome {
    let volume = drive::open(path)?;
    match volume.unwrap_vmk(&key.password) {
        Ok((_, opened)) if opened == key.identifier => Ok(()),
        Ok(_) => Err(Failure::no("the new recovery key opens another key protector than its own")
            .hint("nothing was removed; check the drive")),
        Err(error) => {
            Err(drive::explain(path, &error).hint("nothing was removed; the old recovery key opens the drive"))
        }
    }
}

/// The old keys go, and the note on the new one that they should.
///
/// # Errors
/// Of the engine.
pub fn finish(editing: &mut Editing, rotation: &Rotation) -> Outcome {
    let finished = editing
        .editor
        .rename(rotation.key.identifier, None)
        .and_then(|()| rotation.old.iter().try_for_each(|old| editing.editor.remove(*old, Remaining::PersonsKey)));
    editing.explained(finished)?;
    editing.commit()
}

/// Tells the account that old keys are gone from the drive, where this computer saved them. What waits goes with the next call.
///
/// # Errors
/// The account could not be told, or this computer could not note it.
pub fn note_retired<T: Transport>(client: &Client<T>, old: &[Guid]) -> Result<(), vault_client::Error> {
    for old in old.iter().map(Guid::to_string) {
        if let Some(record) = client.own_record(&old)? {
            client.note_retired(record, &old)?;
        }
    }
    client.deliver_reports().map(|_| ())
}
