//! The changes themselves, made in memory.

use fve_format::{
    ExternalKeyFile, Guid, KeyProtector, MetadataEntry, ProtectorKind, Value, entry_type, key_type, value_type,
};
use secret::{RecoveryPassword, SecretBytes, SecretString};

use super::{MetadataEditor, Remaining};
use crate::Error;
use crate::create::{password_protector, protector, random_guid, recovery_protector, wrapped_vmk};
use crate::volume::MAX_PROTECTORS;
use crate::wrapping::wrap_key;

/// What became of the VMK when a clear key was removed.
#[derive(Debug)]
pub enum MasterKey {
    /// There is a new one; a copy of the old metadata opens nothing any longer.
    Replaced,
    /// It had to stay: whoever copied the metadata while the key lay open can still open it.
    Kept(Error),
}

/// What [`MetadataEditor::unsuspend`] did.
#[derive(Debug)]
pub struct Unsuspended {
    /// The clear keys that are gone.
    pub removed: Vec<Guid>,
    /// What became of the VMK.
    pub master_key: MasterKey,
}

impl<D> MetadataEditor<D> {
    /// Adds a recovery password, with the key kept for showing it again. `name` is what programs may call it; Windows gives
    /// none, or `DiskPassword` on its command line.
    ///
    /// # Errors
    /// [`Error::TooManyProtectors`].
    pub fn add_recovery_password(&mut self, password: &RecoveryPassword, name: Option<&str>) -> Result<Guid, Error> {
        self.check_room()?;
        let identifier = random_guid();
        let mut made = recovery_protector(password, identifier, &self.vmk, self.now, &mut self.nonces)?;
        if let Some(name) = name {
            made.entries.insert(0, MetadataEntry::unicode(entry_type::PROPERTY, name));
        }
        self.append(made.to_entry()?);
        Ok(identifier)
    }

    /// Adds a password. A volume has one at most, as with Windows.
    ///
    /// # Errors
    /// [`Error::HasPassword`], [`Error::TooManyProtectors`].
    pub fn add_password(&mut self, password: &SecretString) -> Result<Guid, Error> {
        self.check_room()?;
        if let Some(there) = self.protectors().iter().find(|it| it.kind() == ProtectorKind::Password) {
            return Err(Error::HasPassword { identifier: there.identifier });
        }
        let made = password_protector(password, &self.vmk, self.now, &mut self.nonces)?;
        self.append(made.to_entry()?);
        Ok(made.identifier)
    }

    /// Adds an external key and gives the `.BEK` file that holds it. Keep the file before committing: it is the key.
    ///
    /// # Errors
    /// [`Error::TooManyProtectors`].
    pub fn add_external_key(&mut self) -> Result<ExternalKeyFile, Error> {
        self.check_room()?;
        let key = SecretBytes::random();
        let backup =
            wrap_key(&self.vmk.0, &mut self.nonces, entry_type::PROPERTY, key_type::EXTERNAL_KEY, key.expose());
        let entries = vec![
            MetadataEntry::unicode(entry_type::PROPERTY, ExternalKeyFile::NAME),
            MetadataEntry::use_key(key_type::EXTERNAL_KEY, &[backup])?,
            wrapped_vmk(&key, &self.vmk, &mut self.nonces),
        ];
        let made = protector(random_guid(), ProtectorKind::ExternalKey, self.now, entries);
        self.append(made.to_entry()?);
        Ok(ExternalKeyFile::new(made.identifier, made.modified, self.now, key.expose()))
    }

    /// Replaces the password: new salt, same identifier. Gives the identifier.
    ///
    /// # Errors
    /// [`Error::NoSuchProtector`] on a volume without one, [`Error::CannotEdit`] with several: Windows makes one at most.
    pub fn change_password(&mut self, password: &SecretString) -> Result<Guid, Error> {
        let mut passwords = self.protectors().into_iter().filter(|it| it.kind() == ProtectorKind::Password);
        let kind = ProtectorKind::Password;
        let mut changed = passwords.next().ok_or(Error::NoSuchProtector { kind, wanted: None, found: None })?;
        if passwords.next().is_some() {
            return Err(Error::CannotEdit { reason: "it has several passwords" });
        }
        let mut made = password_protector(password, &self.vmk, self.now, &mut self.nonces)?.entries;
        // What else the protector holds, a name for instance, stays where it is.
        for part in &mut changed.entries {
            if let Some(new) = made.iter().position(|new| new.value_type == part.value_type) {
                *part = made.remove(new);
            }
        }
        changed.entries.append(&mut made);
        changed.modified = self.now;
        self.replace(&changed)?;
        Ok(changed.identifier)
    }

    /// Gives the protector another name, or none.
    ///
    /// # Errors
    /// [`Error::NoProtector`].
    pub fn rename(&mut self, identifier: Guid, name: Option<&str>) -> Result<(), Error> {
        let mut renamed = self.block.protector(identifier).ok_or(Error::NoProtector { identifier })?;
        renamed.entries.retain(|entry| entry.value_type != value_type::UNICODE);
        if let Some(name) = name {
            renamed.entries.insert(0, MetadataEntry::unicode(entry_type::PROPERTY, name));
        }
        self.replace(&renamed)
    }

    /// Removes a protector, and never the last that can be used. Who knows its secret can have kept the VMK;
    /// [`Self::replace_master_key`] makes that worthless.
    ///
    /// # Errors
    /// [`Error::NoProtector`], [`Error::LastProtector`], [`Error::LastPersonsProtector`].
    pub fn remove(&mut self, identifier: Guid, remaining: Remaining) -> Result<(), Error> {
        let place = self.place_of(identifier)?;
        let mut entries = self.block.entries.clone();
        entries.remove(place);
        // A working key may be the one that was just used: it counts only while it is there.
        self.check_remaining(&entries, remaining)?;
        self.block.entries = entries;
        Ok(())
    }

    /// Suspends protection: from now on everybody can open the volume. Gives the identifier of the clear key.
    ///
    /// # Errors
    /// [`Error::AlreadySuspended`], [`Error::TooManyProtectors`].
    pub fn suspend(&mut self) -> Result<Guid, Error> {
        if self.protectors().iter().any(|it| it.kind() == ProtectorKind::ClearKey) {
            return Err(Error::AlreadySuspended);
        }
        self.check_room()?;
        let key = SecretBytes::random();
        let entries = vec![
            MetadataEntry::key(entry_type::PROPERTY, key_type::CLEAR_KEY, key.expose()),
            wrapped_vmk(&key, &self.vmk, &mut self.nonces),
        ];
        let made = protector(random_guid(), ProtectorKind::ClearKey, self.now, entries);
        self.append(made.to_entry()?);
        Ok(made.identifier)
    }

    /// Resumes protection: the clear keys go, and the VMK they gave to everybody is replaced where that can be done.
    ///
    /// # Errors
    /// [`Error::NotSuspended`]; [`Error::LastProtector`] when the clear key is all there is.
    pub fn unsuspend(&mut self) -> Result<Unsuspended, Error> {
        let is_clear = |it: &KeyProtector| it.kind() == ProtectorKind::ClearKey;
        let removed: Vec<Guid> = self.protectors().iter().filter(|it| is_clear(it)).map(|it| it.identifier).collect();
        if removed.is_empty() {
            return Err(Error::NotSuspended);
        }
        let mut entries = self.block.entries.clone();
        entries.retain(|entry| !matches!(entry.value(), Ok(Value::Vmk(it)) if is_clear(&it)));
        // What was there before counts, be it the TPM alone: nobody's key is taken away.
        self.check_remaining(&entries, Remaining::AnyKey)?;
        self.block.entries = entries;
        let master_key = match self.replace_master_key() {
            Ok(()) => MasterKey::Replaced,
            Err(why) => MasterKey::Kept(why),
        };
        Ok(Unsuspended { removed, master_key })
    }

    /// Puts a changed protector where it was; the flags of its entry are kept.
    fn replace(&mut self, changed: &KeyProtector) -> Result<(), Error> {
        let place = self.place_of(changed.identifier)?;
        let mut entry = changed.to_entry()?;
        if let Some(old) = self.block.entries.get_mut(place) {
            entry.flags = old.flags;
            *old = entry;
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), Error> {
        let found = self.block.entries.iter().filter(|entry| entry.entry_type == entry_type::PROTECTOR).count();
        match found < MAX_PROTECTORS {
            true => Ok(()),
            false => Err(Error::TooManyProtectors { found: found + 1, most: MAX_PROTECTORS }),
        }
    }
}
