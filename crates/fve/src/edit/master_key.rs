//! A new VMK. Every protector of Windows keeps its own key wrapped under the VMK; through these copies the new one reaches all
//! of them, and no secret has to be asked for. Who has the old VMK, from a clear key that lay open or from a secret that was
//! removed, cannot open the metadata any longer.
//!
//! What cannot be carried over stops it: the TPM seals the VMK itself, and what an unknown entry is sealed with is not known.

use fve_crypto::{key_wrap, stretch};
use fve_format::{Guid, KeyProtector, MetadataEntry, Value, entry_type, key_type, value_type};
use secret::{RecoveryPassword, SecretBytes, SecretVec};

use super::{MetadataEditor, is_clear_master_key};
use crate::wrapping::{NonceSource, Unwrapped, unwrap_key, unwrap_vmk, wrap_plain};
use crate::{Error, Vmk};

impl<D> MetadataEditor<D> {
    /// Replaces the VMK; all secrets stay as they are.
    ///
    /// # Errors
    /// [`Error::MasterKeyStays`], and nothing is changed.
    pub fn replace_master_key(&mut self) -> Result<(), Error> {
        if let Some(reason) = self.fixed_master_key {
            return Err(Error::MasterKeyStays { identifier: None, reason });
        }
        let new = Vmk::random();
        let entries = std::mem::take(&mut self.block.entries);
        let mut rewrapping = Rewrapping { old: &self.vmk, new: &new, nonces: &mut self.nonces };
        let rewrapped: Result<Vec<_>, _> = entries.iter().map(|entry| rewrapping.top_level(entry)).collect();
        match rewrapped {
            Ok(rewrapped) => {
                self.block.entries = rewrapped;
                self.vmk = new;
                Ok(())
            }
            Err(stays) => {
                self.block.entries = entries;
                Err(stays)
            }
        }
    }
}

struct Rewrapping<'a> {
    old: &'a Vmk,
    new: &'a Vmk,
    nonces: &'a mut NonceSource,
}

fn stays(identifier: Option<Guid>, reason: &'static str) -> Error {
    Error::MasterKeyStays { identifier, reason }
}

impl Rewrapping<'_> {
    fn top_level(&mut self, entry: &MetadataEntry) -> Result<MetadataEntry, Error> {
        match entry.value() {
            Ok(Value::Vmk(protector)) if entry.entry_type == entry_type::PROTECTOR => self.protector(entry, &protector),
            Ok(Value::AesCcm(_)) => {
                self.under_vmk(entry).ok_or(stays(None, "an entry is wrapped with a key that is not known"))
            }
            Ok(_) if is_clear_master_key(entry) => Err(stays(None, "a copy of it lies in the clear")),
            Ok(_) if holds_nothing_wrapped(entry.value_type) => Ok(entry.clone()),
            _ => Err(stays(None, "what an entry of an unknown type is wrapped with is not known")),
        }
    }

    /// The same content under the new VMK; `None` when it is not under the old one.
    fn under_vmk(&mut self, entry: &MetadataEntry) -> Option<MetadataEntry> {
        let Ok(Value::AesCcm(wrapped)) = entry.value() else { return None };
        let plain = key_wrap::unwrap(&self.old.0, &wrapped.nonce, &wrapped.mac, wrapped.ciphertext)?;
        let mut rewrapped = wrap_plain(&self.new.0, self.nonces, entry.entry_type, plain.expose());
        rewrapped.flags = entry.flags;
        Some(rewrapped)
    }

    fn protector(&mut self, entry: &MetadataEntry, protector: &KeyProtector) -> Result<MetadataEntry, Error> {
        let stays = |reason| stays(Some(protector.identifier), reason);
        let mut keys = backed_up_keys(protector, self.old);
        keys.extend(clear_key(protector));
        let (mut nested, mut carried) = (Vec::with_capacity(protector.entries.len()), 0);
        for part in &protector.entries {
            nested.push(match part.value_type {
                value_type::AES_CCM => {
                    carried += 1;
                    self.final_entry(part, protector, &keys).ok_or(stays("its own key is not known"))?
                }
                value_type::STRETCH_KEY | value_type::USE_KEY => {
                    self.backups(part).ok_or(stays("the copy of its own key cannot be read"))?
                }
                _ => part.clone(),
            });
        }
        if carried == 0 {
            return Err(stays("it keeps the volume master key in a form that only its computer can make"));
        }
        Ok(entry.with_nested(&nested)?)
    }

    /// The new VMK under the protector's own key.
    fn final_entry(
        &mut self,
        part: &MetadataEntry,
        protector: &KeyProtector,
        keys: &[SecretBytes<32>],
    ) -> Option<MetadataEntry> {
        let stretched;
        let key = match keys.iter().find(|key| opens(key, part, self.old)) {
            Some(key) => key,
            None => {
                // Windows 7 keeps the recovery key alone; stretching it takes a second.
                stretched = stretched_recovery_key(protector, self.old)?();
                Some(&stretched).filter(|key| opens(key, part, self.old))?
            }
        };
        let Ok(Value::AesCcm(wrapped)) = part.value() else { return None };
        let old = key_wrap::unwrap(key, &wrapped.nonce, &wrapped.mac, wrapped.ciphertext)?;
        // The entry inside as Windows made it, its type included; the key is its end.
        let (head, _) = old.expose().split_last_chunk::<32>()?;
        let plain = SecretVec::new([head, self.new.0.expose()].concat());
        let mut rewrapped = wrap_plain(key, self.nonces, part.entry_type, plain.expose());
        rewrapped.flags = part.flags;
        Some(rewrapped)
    }

    fn backups(&mut self, part: &MetadataEntry) -> Option<MetadataEntry> {
        let nested: Option<Vec<_>> = part
            .nested()
            .ok()?
            .iter()
            .map(|entry| match entry.value_type {
                value_type::AES_CCM => self.under_vmk(entry),
                _ => Some(entry.clone()),
            })
            .collect();
        part.with_nested(&nested?).ok()
    }
}

/// Whether `key` opens the protector's final entry, and finds this VMK in it.
pub(super) fn opens(key: &SecretBytes<32>, wrapped: &MetadataEntry, vmk: &Vmk) -> bool {
    matches!(unwrap_vmk(key, wrapped), Unwrapped::Key(found) if found.expose() == vmk.0.expose())
}

/// The protector's own keys, as it keeps them wrapped under the VMK.
pub(super) fn backed_up_keys(protector: &KeyProtector, vmk: &Vmk) -> Vec<SecretBytes<32>> {
    let nested = protector.entries.iter().flat_map(|entry| entry.nested().unwrap_or_default());
    nested
        .filter_map(|entry| match unwrap_key(&vmk.0, &entry, |_| true) {
            Unwrapped::Key(key) => SecretBytes::from_slice(key.expose()),
            _ => None,
        })
        .collect()
}

/// The stretched key of a recovery password whose protector keeps the 16-byte recovery key: to be called when needed.
pub(super) fn stretched_recovery_key(
    protector: &KeyProtector,
    vmk: &Vmk,
) -> Option<impl Fn() -> SecretBytes<32> + use<>> {
    let salt = protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::StretchKey(salt)) if salt.key_type == key_type::RECOVERY_KEY => Some(salt),
        _ => None,
    })?;
    let password = salt.entries.iter().find_map(|entry| {
        match unwrap_key(&vmk.0, entry, |found| found == key_type::RECOVERY_KEY) {
            Unwrapped::Key(key) => Some(RecoveryPassword::from_key(key.expose().try_into().ok()?)),
            _ => None,
        }
    })?;
    Some(move || stretch::recovery_password(&password, &salt.salt))
}

fn clear_key(protector: &KeyProtector) -> Option<SecretBytes<32>> {
    protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::Key(key)) if key.key_type == key_type::CLEAR_KEY => SecretBytes::from_slice(key.key),
        _ => None,
    })
}

/// Value types that hold no key and nothing wrapped, by what is known of the format.
fn holds_nothing_wrapped(value_type: u16) -> bool {
    // Erased, text, boot profile, error log, public keys, places, numbers, hash, backup times, identifier, hint.
    matches!(value_type, 0x00 | 0x02 | 0x07 | 0x0B | 0x0D..=0x15 | 0x17 | 0x18)
}
