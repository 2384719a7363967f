//! Whose protectors are left, and whether they work: the last key that a person has is not taken away.

use fve_format::{KeyProtector, MetadataEntry, ProtectorKind, Value, value_type};

use super::MetadataEditor;
use super::master_key::{backed_up_keys, opens, stretched_recovery_key};
use crate::Error;

/// Who can open a volume with a protector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// Whoever knows a password or has the 48 digits or a named key file: on any computer.
    Person,
    /// A computer, a smart card or whoever has a certificate: what is lost or broken with them is lost.
    Elsewhere,
    /// Everybody: the key lies in the clear.
    Anyone,
    /// Nobody that this program knows of.
    Unknown,
}

impl Holder {
    /// Who can use this protector. A key file without a name is what a computer keeps to unlock the volume by itself.
    #[must_use]
    pub fn of(protector: &KeyProtector) -> Self {
        let named = || protector.entries.iter().any(|entry| matches!(entry.value(), Ok(Value::Unicode(_))));
        match protector.kind() {
            ProtectorKind::RecoveryPassword | ProtectorKind::Password => Self::Person,
            ProtectorKind::ExternalKey if named() => Self::Person,
            ProtectorKind::ExternalKey
            | ProtectorKind::Tpm
            | ProtectorKind::TpmAndPin
            | ProtectorKind::TpmAndStartupKey
            | ProtectorKind::TpmPinAndStartupKey
            | ProtectorKind::PublicKey => Self::Elsewhere,
            ProtectorKind::ClearKey => Self::Anyone,
            _ => Self::Unknown,
        }
    }
}

/// What must be left on a volume when a protector is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// A protector that a person can use, and that works.
    PersonsKey,
    /// Any protector that works, be it one that only a certain computer or card opens.
    AnyKey,
}

impl<D> MetadataEditor<D> {
    /// Whether enough would be left with these entries. A clear key never counts: it is there to be removed.
    pub(super) fn check_remaining(&self, entries: &[MetadataEntry], remaining: Remaining) -> Result<(), Error> {
        let mut protectors: Vec<KeyProtector> = entries
            .iter()
            .filter_map(|entry| match entry.value() {
                Ok(Value::Vmk(protector)) => Some(protector),
                _ => None,
            })
            .collect();
        // The one that was just used needs no proof, and proof may cost a second.
        protectors.sort_by_key(|protector| protector.identifier != self.opened_with);
        let of = |holder| protectors.iter().any(|it| Holder::of(it) == holder && self.works(it));
        if of(Holder::Person) {
            return Ok(());
        }
        match (of(Holder::Elsewhere), remaining) {
            (true, Remaining::AnyKey) => Ok(()),
            (true, Remaining::PersonsKey) => Err(Error::LastPersonsProtector),
            (false, _) => Err(Error::LastProtector),
        }
    }

    /// Whether the protector gives the VMK. Told by the copy of its key that it keeps; without one it is believed.
    fn works(&self, protector: &KeyProtector) -> bool {
        if protector.identifier == self.opened_with {
            return true;
        }
        let wrapped = protector.entries.iter().find(|entry| entry.value_type == value_type::AES_CCM);
        match (Holder::of(protector), wrapped) {
            (Holder::Elsewhere, _) => true,
            (_, None) => false,
            (_, Some(wrapped)) => {
                let keys = backed_up_keys(protector, &self.vmk);
                let mut stretched = stretched_recovery_key(protector, &self.vmk).into_iter();
                let backed_up = !keys.is_empty() || has_backup(protector);
                !backed_up
                    || keys.iter().any(|key| opens(key, wrapped, &self.vmk))
                    || stretched.any(|key| opens(&key(), wrapped, &self.vmk))
            }
        }
    }
}

/// Whether the protector keeps a copy of its key, readable or not.
fn has_backup(protector: &KeyProtector) -> bool {
    let mut nested = protector.entries.iter().flat_map(|entry| entry.nested().unwrap_or_default());
    nested.any(|entry| entry.value_type == value_type::AES_CCM)
}
