//! Key packages of a volume: taking one along, and getting the keys out of one when the metadata is lost.

use block_io::BlockRead;
use fve_format::{Guid, KeyPackage, MetadataEntry, Value, entry_type};

use crate::keys::sector_method;
use crate::material::try_protectors;
use crate::volume::{MAX_PROTECTORS, verify_hash};
use crate::wrapping::{Unwrapped, unwrap_key};
use crate::{Error, Fvek, KeyMaterial, Vmk, Volume};

impl<D: BlockRead> Volume<D> {
    /// The key package for one protector, for whoever holds the VMK: the metadata it is taken from is proven genuine.
    ///
    /// # Errors
    /// [`Error::Tampered`], [`Error::NoProtector`], [`Error::BadFvek`].
    pub fn key_package(&self, vmk: &Vmk, identifier: Guid) -> Result<KeyPackage, Error> {
        let block = self.block();
        verify_hash(block, vmk)?;
        let is_it = |entry: &&MetadataEntry| {
            entry.entry_type == entry_type::PROTECTOR
                && matches!(entry.value(), Ok(Value::Vmk(protector)) if protector.identifier == identifier)
        };
        let protector = block.entries.iter().find(is_it).ok_or(Error::NoProtector { identifier })?;
        let fvek = block.entries.iter().find(|entry| entry.entry_type == entry_type::FVEK);
        let fvek = fvek.ok_or(Error::BadFvek { reason: "the volume holds none" })?;
        Ok(KeyPackage { header: block.metadata, entries: vec![protector.clone(), fvek.clone()] })
    }
}

/// The keys in a package, with the protector that `material` opened.
///
/// # Errors
/// As [`Volume::unwrap_vmk`]; [`Error::UnsupportedMethod`], [`Error::BadFvek`].
pub fn open_key_package(package: &KeyPackage, material: &dyn KeyMaterial) -> Result<(Vmk, Fvek, Guid), Error> {
    let protectors = package.protectors();
    if protectors.len() > MAX_PROTECTORS {
        return Err(Error::TooManyProtectors { found: protectors.len(), most: MAX_PROTECTORS });
    }
    let (vmk, identifier) = try_protectors(&protectors, material)?;
    let method = package.header.method;
    sector_method(method)?;
    let mut reason = "the package holds none";
    for entry in package.wrapped_fveks() {
        match unwrap_key(&vmk.0, entry, |found| found == method.value()) {
            Unwrapped::Key(key) => return Ok((vmk, Fvek { method, key }, identifier)),
            Unwrapped::WrongKey => reason = "AES-CCM tag mismatch under the volume master key",
            Unwrapped::Malformed(malformed) => reason = malformed,
        }
    }
    Err(Error::BadFvek { reason })
}
