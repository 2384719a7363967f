//! One structure at a time: headers, metadata blocks, key files, text.

use std::sync::LazyLock;

use fve_format::{ExternalKeyFile, Guid, KeyPackage, METADATA_REGION_BYTES, MetadataBlock, VolumeHeader};
use secret::RecoveryPassword;
use testkit::volumes::{METADATA_OFFSETS, SmallVolume, State, seal};

use crate::entries;

/// The first sector.
pub fn volume_header(data: &[u8]) {
    match VolumeHeader::parse(data) {
        Ok(header) => assert!(header.encode() == data[..512], "the header is written back as it was"),
        Err(error) => told(&error),
    }
}

/// A metadata region, as it is and with checksum and hash made to fit.
pub fn metadata_block(data: &[u8]) {
    let mut region = data[..data.len().min(METADATA_REGION_BYTES)].to_vec();
    block(&region);
    // Inputs are short; the region of a volume is not.
    region.resize(METADATA_REGION_BYTES, 0);
    seal::checksum(&mut region);
    block(&region);
    seal::hash(&mut region);
    block(&region);
}

fn block(region: &[u8]) {
    let block = match MetadataBlock::parse(region) {
        Ok(block) => block,
        Err(error) => return told(&error),
    };
    assert!(block.encode().is_ok_and(|bytes| bytes == region), "the region is written back as it was");
    assert!(block.encode_block().is_ok_and(|bytes| region.starts_with(&bytes)), "so is the part that is hashed");
    for entry in &block.entries {
        entries::interpret(entry);
    }
    for protector in block.protectors() {
        assert!(block.protector(protector.identifier).is_some());
    }
    let _ = (block.virtualization(), block.description(), block.wrapped_fveks().count());
    let _ = (block.header.state.to_string(), block.metadata.method.to_string(), block.metadata.created.to_string());
}

/// A validation record behind a block that is good.
pub fn validation(data: &[u8]) {
    static GOOD: LazyLock<Vec<u8>> =
        LazyLock::new(|| SmallVolume::new(State::Decrypted).disk.bytes(METADATA_OFFSETS[0], METADATA_REGION_BYTES));
    let mut region = GOOD.clone();
    let Some(end) = seal::block_bytes(&region) else { return };
    let record = &data[..data.len().min(METADATA_REGION_BYTES - end)];
    region[end..end + record.len()].copy_from_slice(record);
    block(&region);
    seal::checksum(&mut region);
    block(&region);
}

/// A `.BEK` file, as it is and with its size fields made to fit.
pub fn external_key_file(data: &[u8]) {
    as_it_is_and_sized(data, key_file);
}

/// A key package, likewise.
pub fn key_package(data: &[u8]) {
    as_it_is_and_sized(data, |data| match KeyPackage::parse(data) {
        Ok(package) => {
            assert!(package.encode().is_ok_and(|bytes| bytes == data), "the package is written back as it was");
            assert!(!package.protectors().is_empty() && package.wrapped_fveks().next().is_some());
            if let Err(error) = fve::open_key_package(&package, &fve::ClearKey) {
                told(&error);
            }
            package.entries.iter().for_each(entries::interpret);
        }
        Err(error) => told(&error),
    });
}

fn as_it_is_and_sized(data: &[u8], file: impl Fn(&[u8])) {
    file(data);
    if let Ok(size) = u32::try_from(data.len())
        && data.len() >= 16
    {
        let mut data = data.to_vec();
        for at in [0, 12] {
            data[at..at + 4].copy_from_slice(&size.to_le_bytes());
        }
        file(&data);
    }
}

fn key_file(data: &[u8]) {
    match ExternalKeyFile::parse(data) {
        Ok(file) => {
            assert!(file.encode().is_ok_and(|bytes| bytes.as_slice() == data), "the file is written back as it was");
            assert_eq!(file.key().is_some(), fve::ExternalKey::from_file(&file).is_some());
            let _ = (file.volume(), file.saved.to_string(), file.modified.to_string());
            file.entries.iter().for_each(entries::interpret);
        }
        Err(error) => told(&error),
    }
}

/// Text that a person typed: a recovery password, or an identifier.
pub fn typed_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match RecoveryPassword::parse(text) {
        Ok(password) => {
            let again = RecoveryPassword::parse(password.to_text().expose());
            assert!(again.is_ok_and(|again| again == password), "the digits are shown as they were read");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(identifier) = text.parse::<Guid>() {
        assert_eq!(identifier.to_string().parse(), Ok(identifier));
    }
}

/// An error has a text, and making it does not fail.
pub(crate) fn told(error: &dyn std::error::Error) {
    assert!(!error.to_string().is_empty());
}
