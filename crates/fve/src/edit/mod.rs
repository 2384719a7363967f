//! Changing the key protectors of a volume, and making its metadata copies whole again.
//!
//! A [`MetadataEditor`] holds the newest copy of the metadata that the secret proves genuine. Changes are made in memory, with
//! every entry kept byte for byte that they do not concern; [`MetadataEditor::commit`] seals them and writes the three copies
//! one by one. At every moment two copies are whole, so a volume whose power is cut opens as it was before or as it was to be.
//!
//! ```text
//! changes        the protectors: add, remove, change, suspend
//! usable         whose protectors are left, and whether they work
//! master_key     a new VMK, wrapped anew for every protector
//! fresh_nonces   nonces that were never used
//! copies         the order of writing
//! ```
//!
//! What is not done here: the sectors, the volume header, a new FVEK. Who held a secret that was removed can have kept the FVEK.

mod changes;
mod fresh_nonces;
mod master_key;
mod usable;
mod write;

use block_io::{BlockRead, BlockWrite};
use fve_format::{Filetime, Guid, KeyProtector, METADATA_REGION_BYTES, MetadataBlock, MetadataEntry, VolumeState};
use fve_format::{entry_type, key_type};
use secret::RecoveryPassword;

use crate::create::wrap_hash;
use crate::map::{AddressMap, Ground};
use crate::recovery::recovery_passwords;
use crate::volume::verify_hash;
use crate::wrapping::NonceSource;
use crate::{Error, KeyMaterial, Vmk, Volume, VolumeLayout};

pub use changes::{MasterKey, Unsuspended};
pub use usable::{Holder, Remaining};

/// The metadata of a volume in the hands of somebody who can open it.
pub struct MetadataEditor<D> {
    storage: D,
    /// As it shall be.
    block: MetadataBlock,
    /// As it is: the newest generation that is proven genuine.
    stored: MetadataBlock,
    /// Copies that are not `stored` byte for byte, and have to be made so before anything else is written.
    to_repair: Vec<usize>,
    vmk: Vmk,
    opened_with: Guid,
    now: Filetime,
    nonces: NonceSource,
    /// Why the VMK has to stay, where the volume as a whole demands it.
    fixed_master_key: Option<&'static str>,
    /// A commit failed on the way; what is stored now is not known.
    failed: bool,
}

impl<D: BlockRead> Volume<D> {
    /// Proves the secret and gives the metadata to be changed. Of copies that differ, because a change was interrupted, the
    /// newest counts that is proven genuine; it is restored everywhere by the first [`MetadataEditor::commit`].
    ///
    /// # Errors
    /// As [`Self::unwrap_vmk`]; [`Error::Decrypted`]; [`Error::BadPlace`]; [`Error::CannotEdit`] for volumes whose metadata
    /// must be left alone.
    pub fn edit(self, material: &dyn KeyMaterial, now: Filetime) -> Result<MetadataEditor<D>, Error> {
        if self.is_decrypted() {
            return Err(Error::Decrypted);
        }
        let genuine = self.genuine_copies(material)?;
        let counter = |index: &usize| self.copies.blocks[*index].as_ref().map_or(0, |block| block.metadata.next_nonce);
        // The last of equals is given, so that is the first copy.
        let newest = (0..3).rev().filter(|index| genuine[*index].is_some()).max_by_key(counter);
        let stored = newest.and_then(|index| self.copies.blocks[index].clone());
        let (Some(stored), Some((vmk, opened_with))) = (stored, newest.and_then(|index| genuine[index].clone())) else {
            return Err(Error::Tampered);
        };
        self.check_editable(&stored)?;
        let blocks = self.copies.blocks.iter().zip(&genuine).filter(|(_, genuine)| genuine.is_some());
        let nonces = fresh_nonces::above(blocks.filter_map(|(block, _)| block.as_ref()), now)?;
        let to_repair = (0..3).filter(|index| self.copies.blocks[*index].as_ref() != Some(&stored)).collect();
        Ok(MetadataEditor {
            fixed_master_key: self.why_master_key_stays(&stored),
            storage: self.storage,
            block: stored.clone(),
            stored,
            to_repair,
            vmk,
            opened_with,
            now,
            nonces,
            failed: false,
        })
    }

    /// For each copy the VMK that proves it genuine, and the protector that gave it.
    fn genuine_copies(&self, material: &dyn KeyMaterial) -> Result<[Option<(Vmk, Guid)>; 3], Error> {
        let (first, opened_with, _) = self.unwrap_with(material)?;
        let mut genuine = [None, None, None];
        for (index, block) in self.copies.blocks.iter().enumerate() {
            let Some(block) = block else { continue };
            genuine[index] = if verify_hash(block, &first).is_ok() {
                Some((first.clone(), opened_with))
            } else {
                // Of another generation, whose VMK is another one.
                Self::unwrap_block(block, material).ok()
            };
        }
        Ok(genuine)
    }

    /// Whether the metadata may be changed at all.
    fn check_editable(&self, block: &MetadataBlock) -> Result<(), Error> {
        let refuse = |reason| Err(Error::CannotEdit { reason });
        if self.header.layout == VolumeLayout::Vista || block.header.version != 2 {
            return refuse("volumes of Windows Vista are read only");
        }
        if self.in_place().is_some() {
            // Its metadata is masked until the end, and both directions count on it as it is.
            return refuse("it is being converted in place; let that end first");
        }
        match block.header.state {
            VolumeState::Unknown(_) => return refuse("the volume is in a state that this program does not know"),
            VolumeState::Converting => {
                return refuse(
                    "a conversion was interrupted, and its log is not understood; let Windows finish it first",
                );
            }
            _ => {}
        }
        if self.header.encrypt_on_write.is_some() && !self.is_encrypt_on_write_sealed() {
            return refuse("its first sector calls for a conversion that the sealed metadata does not know of");
        }
        // Writing goes to the places that are sealed. Readers look where the first sector says.
        if self.header.metadata_offsets != block.header.metadata_offsets.map(Some) {
            return refuse("its first sector and its sealed metadata name different places for the metadata");
        }
        let volume_bytes = self.volume_bytes();
        let region_bytes = METADATA_REGION_BYTES as u64;
        let stored_bytes = self.storage_bytes();
        if block.header.metadata_offsets.iter().any(|at| at.saturating_add(region_bytes) > stored_bytes) {
            return Err(Error::Short { storage_bytes: stored_bytes, volume_bytes });
        }
        let ground = Ground {
            layout: self.header.layout,
            volume_bytes,
            sector_bytes: self.sector_bytes(),
            region_bytes,
            conversion: None,
            in_place: None,
            patched_backup: None,
        };
        // Built for what it checks: places inside the volume that do not overlap.
        AddressMap::build(block, ground).map(drop)
    }

    /// Outside finished volumes there may be more than the metadata that is sealed with the VMK.
    fn why_master_key_stays(&self, block: &MetadataBlock) -> Option<&'static str> {
        let finished =
            (block.header.state, block.header.next_state) == (VolumeState::Encrypted, VolumeState::Encrypted);
        (!finished || self.header.encrypt_on_write.is_some())
            .then_some("a conversion is under way, and what its records are sealed with is not known")
    }
}

impl<D> MetadataEditor<D> {
    /// The key protectors, changes included, in the order of the metadata.
    #[must_use]
    pub fn protectors(&self) -> Vec<KeyProtector> {
        self.block.protectors()
    }

    /// The protector whose secret was given.
    #[must_use]
    pub fn opened_with(&self) -> Guid {
        self.opened_with
    }

    /// The recovery passwords with their protectors' identifiers, as [`Volume::recovery_passwords`].
    #[must_use]
    pub fn recovery_passwords(&self) -> Vec<(Guid, RecoveryPassword)> {
        recovery_passwords(&self.block.protectors(), &self.vmk)
    }

    /// Numbers, 0 to 2, of the copies that the next commit restores first: damaged, forged, or left behind by a change that
    /// was interrupted.
    #[must_use]
    pub fn to_repair(&self) -> &[usize] {
        &self.to_repair
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.block != self.stored
    }

    /// What it lies on.
    pub(crate) fn storage(&self) -> &D {
        &self.storage
    }

    /// The newest copy that is proven genuine.
    pub(crate) fn stored(&self) -> &MetadataBlock {
        &self.stored
    }

    /// What it lies on.
    pub fn into_storage(self) -> D {
        self.storage
    }

    /// Puts a new entry behind the others; where the volume's places stand last, they stay there, as Windows does it.
    fn append(&mut self, entry: MetadataEntry) {
        let entries = &mut self.block.entries;
        let last = entries.last().is_some_and(|last| last.entry_type == entry_type::VIRTUALIZATION);
        entries.insert(entries.len() - usize::from(last), entry);
    }

    /// Where the protector stands among the entries. One that cannot be interpreted has an identifier, too.
    fn place_of(&self, identifier: Guid) -> Result<usize, Error> {
        let is_it = |entry: &MetadataEntry| {
            entry.entry_type == entry_type::PROTECTOR
                && entry.data.first_chunk().is_some_and(|bytes| Guid::from_bytes(*bytes) == identifier)
        };
        let mut places =
            self.block.entries.iter().enumerate().filter(|(_, entry)| is_it(entry)).map(|(place, _)| place);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(Error::NoProtector { identifier }),
            (Some(_), Some(_)) => Err(Error::CannotEdit { reason: "two of its protectors have the same identifier" }),
        }
    }

    /// The block as it will be stored.
    fn sealed(&mut self) -> Result<MetadataBlock, Error> {
        let mut block = self.block.clone();
        let validation_nonce = self.nonces.take();
        block.metadata.next_nonce = self.nonces.next();
        let sealed = block.seal(|bytes| wrap_hash(&self.vmk, &validation_nonce, bytes));
        sealed.map_err(|error| match error {
            fve_format::Error::TooLarge { needed, available } => Error::MetadataFull { needed, available },
            other => other.into(),
        })?;
        // What is written must be what will be read: the checks of a reader, before anything is overwritten.
        let read = MetadataBlock::parse(&block.encode()?)?;
        let same = |of: &MetadataBlock| (of.header, of.metadata, of.entries.clone(), of.validation.clone());
        if same(&read) != same(&block) {
            return Err(Error::CannotEdit { reason: "its entries would read back other than they were meant" });
        }
        verify_hash(&read, &self.vmk)?;
        Ok(read)
    }
}

impl<D: BlockWrite> MetadataEditor<D> {
    /// Makes all copies what the newest genuine one is, and changes nothing else. Gives the numbers of the restored ones.
    ///
    /// # Errors
    /// [`Error::CopyNotWritten`], [`Error::CopyNotKept`]: nothing that was good is worse than before.
    pub fn repair(&mut self) -> Result<Vec<usize>, Error> {
        self.check_usable()?;
        let region = self.stored.encode()?;
        let good = 3 - self.to_repair.len();
        for (done, index) in self.to_repair.iter().enumerate() {
            let offset = self.stored.header.metadata_offsets[*index];
            write::copy(&self.storage, *index, offset, &region, good + done).inspect_err(|_| self.failed = true)?;
        }
        Ok(std::mem::take(&mut self.to_repair))
    }

    /// Writes the changes. Copies that are not as the newest is are restored first; then the copies are overwritten one by
    /// one, from the first on, each flushed and read back before the next. So the first copy that a reader finds whole is
    /// always of the newest generation that any copy has.
    ///
    /// # Errors
    /// [`Error::MetadataFull`] when the metadata would not fit into its region: nothing was written.
    /// [`Error::CopyNotWritten`], [`Error::CopyNotKept`]: they tell how many copies hold the change. The editor is of no more
    /// use then; the volume opens as before or as changed, and the next editor goes on.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        if !self.is_changed() {
            return self.repair().map(drop);
        }
        let block = self.sealed()?;
        let region = block.encode()?;
        self.repair()?;
        for (index, offset) in block.header.metadata_offsets.into_iter().enumerate() {
            write::copy(&self.storage, index, offset, &region, index).inspect_err(|_| self.failed = true)?;
        }
        self.stored = block.clone();
        self.block = block;
        Ok(())
    }

    fn check_usable(&self) -> Result<(), Error> {
        match self.failed {
            true => Err(Error::CannotEdit { reason: "an earlier change could not be written whole" }),
            false => Ok(()),
        }
    }
}

/// Whether an entry is a key of the type of a VMK in the clear. Never seen; it would stay behind.
fn is_clear_master_key(entry: &MetadataEntry) -> bool {
    matches!(entry.value(), Ok(fve_format::Value::Key(key)) if key.key_type == key_type::VMK)
}
