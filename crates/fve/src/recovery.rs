//! Showing recovery passwords again: every recovery-password protector keeps its own key wrapped under the VMK.

use block_io::BlockRead;
use fve_format::{Guid, KeyProtector, ProtectorKind, Value, key_type};
use secret::RecoveryPassword;

use crate::wrapping::{Unwrapped, unwrap_key};
use crate::{Vmk, Volume};

impl<D: BlockRead> Volume<D> {
    /// The recovery passwords of the volume with their protectors' identifiers, for whoever holds the VMK.
    ///
    /// A protector that keeps no backup of its key, or a damaged one, is left out.
    pub fn recovery_passwords(&self, vmk: &Vmk) -> Vec<(Guid, RecoveryPassword)> {
        recovery_passwords(&self.protectors(), vmk)
    }
}

/// The recovery passwords among these protectors.
pub(crate) fn recovery_passwords(protectors: &[KeyProtector], vmk: &Vmk) -> Vec<(Guid, RecoveryPassword)> {
    protectors
        .iter()
        .filter(|protector| protector.kind() == ProtectorKind::RecoveryPassword)
        .filter_map(|protector| Some((protector.identifier, backed_up(protector, vmk)?)))
        .collect()
}

/// The 16-byte recovery key, nested in the salt's entry: with a type of its own since Windows 8, as a property before.
fn backed_up(protector: &KeyProtector, vmk: &Vmk) -> Option<RecoveryPassword> {
    let salt = protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::StretchKey(salt)) => Some(salt),
        _ => None,
    })?;
    salt.entries.iter().find_map(|entry| match unwrap_key(&vmk.0, entry, |found| found == key_type::RECOVERY_KEY) {
        Unwrapped::Key(key) => Some(RecoveryPassword::from_key(key.expose().try_into().ok()?)),
        _ => None,
    })
}
