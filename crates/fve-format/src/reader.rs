//! A bounded reader: every access is checked, every error names its position.

use crate::{Error, Filetime, Guid, Structure};

/// Reads little-endian fields from a slice and knows where it stands.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Added to positions in errors: where `bytes` starts in what the caller parses.
    base: usize,
    structure: Structure,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], base: usize, structure: Structure) -> Self {
        Self { bytes, position: 0, base, structure }
    }

    /// Position of the next byte, counted as the caller counts.
    pub(crate) fn position(&self) -> usize {
        self.base + self.position
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.position..];
        if rest.len() < count {
            return Err(Error::Truncated {
                structure: self.structure,
                position: self.position(),
                needed: count,
                available: rest.len(),
            });
        }
        self.position += count;
        Ok(&rest[..count])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn guid(&mut self) -> Result<Guid, Error> {
        Ok(Guid::from_bytes(self.array()?))
    }

    pub(crate) fn filetime(&mut self) -> Result<Filetime, Error> {
        Ok(Filetime(self.u64()?))
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.position..];
        self.position = self.bytes.len();
        rest
    }

    /// An error about the field of `width` bytes that was read last.
    pub(crate) fn bad_field(&self, field: &'static str, width: usize, found: u64, expected: &'static str) -> Error {
        Error::BadField { structure: self.structure, field, position: self.position() - width, found, expected }
    }
}
