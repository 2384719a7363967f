//! One record of the file table, and the attributes in it.

use crate::Error;
use crate::bytes::{array_at, index, slice_at, u8_at, u16_at, u32_at, u64_at, units};

/// Types of attributes that are looked at.
pub(super) mod types {
    pub(crate) const STANDARD_INFORMATION: u32 = 0x10;
    pub(crate) const ATTRIBUTE_LIST: u32 = 0x20;
    pub(crate) const VOLUME_NAME: u32 = 0x60;
    pub(crate) const DATA: u32 = 0x80;
    pub(crate) const INDEX_ROOT: u32 = 0x90;
    pub(crate) const INDEX_ALLOCATION: u32 = 0xA0;
    pub(crate) const REPARSE_POINT: u32 = 0xC0;
    pub(super) const END: u32 = 0xFFFF_FFFF;
}

/// A record whose torn-write marks were checked and undone.
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

impl Record {
    /// Checks and undoes the marks of a record as it was read.
    pub(super) fn parse(number: u64, mut bytes: Vec<u8>) -> Result<Self, Error> {
        match array_at(&bytes, 0) {
            Some(signature) if signature == *b"FILE" => {}
            Some(signature) if signature == *b"BAAD" => {
                return Err(Error::damaged(format!("file record {number} was written only in part")));
            }
            _ => return Err(Error::damaged(format!("file record {number} has no signature"))),
        }
        undo_fixup(&mut bytes).map_err(|reason| Error::damaged(format!("file record {number} {reason}")))?;
        Ok(Self { number, bytes })
    }

    fn u16(&self, offset: usize) -> u16 {
        u16_at(&self.bytes, offset).unwrap_or(0)
    }

    /// How often the record was given to another file.
    pub(super) fn sequence(&self) -> u16 {
        self.u16(16)
    }

    /// Names that the file has, 8.3 aliases included.
    pub(super) fn links(&self) -> u16 {
        self.u16(18)
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.u16(22) & 1 != 0
    }

    pub(super) fn is_directory(&self) -> bool {
        self.u16(22) & 2 != 0
    }

    /// The record that this one belongs to; 0 for a base record.
    pub(super) fn base(&self) -> u64 {
        u64_at(&self.bytes, 32).unwrap_or(0) & 0xFFFF_FFFF_FFFF
    }

    /// The attributes up to the first that is damaged, which comes as an error.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes { rest: self.bytes.get(usize::from(self.u16(20))..).unwrap_or_default(), number: self.number }
    }

    /// The first attribute of a type without a name.
    pub(super) fn unnamed(&self, wanted: u32) -> Result<Option<Attribute<'_>>, Error> {
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.ty == wanted && attribute.name.is_empty() {
                return Ok(Some(attribute));
            }
        }
        Ok(None)
    }
}

/// Walks over the attributes of a record.
pub(super) struct Attributes<'r> {
    rest: &'r [u8],
    number: u64,
}

impl<'r> Iterator for Attributes<'r> {
    type Item = Result<Attribute<'r>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if u32_at(self.rest, 0).is_none_or(|ty| ty == types::END) {
            return None;
        }
        match Attribute::parse(self.rest) {
            Some((attribute, rest)) => {
                self.rest = rest;
                Some(Ok(attribute))
            }
            None => {
                self.rest = &[];
                let number = self.number;
                Some(Err(Error::damaged(format!("file record {number} has an attribute that leads outside of it"))))
            }
        }
    }
}

/// One attribute, or one part of it.
pub(super) struct Attribute<'r> {
    pub(super) ty: u32,
    /// UTF-16 units.
    pub(super) name: &'r [u8],
    pub(super) flags: u16,
    pub(super) value: Value<'r>,
}

pub(super) enum Value<'r> {
    Resident(&'r [u8]),
    NonResident(NonResident<'r>),
}

/// The header of an attribute whose value has clusters of its own.
pub(super) struct NonResident<'r> {
    pub(super) lowest_vcn: u64,
    /// Exponent of the clusters in a compression unit; 0 without compression.
    pub(super) unit_exponent: u8,
    pub(super) allocated: u64,
    pub(super) size: u64,
    pub(super) initialized: u64,
    /// The encoded runs.
    pub(super) runs: &'r [u8],
}

impl<'r> Attribute<'r> {
    const COMPRESSED: u16 = 0x00FF;
    const ENCRYPTED: u16 = 0x4000;
    const SPARSE: u16 = 0x8000;

    fn parse(rest: &'r [u8]) -> Option<(Self, &'r [u8])> {
        let length = index(u32_at(rest, 4)?.into());
        if length < 24 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(length)?;
        let name = slice_at(bytes, u16_at(bytes, 10)?.into(), 2 * usize::from(u8_at(bytes, 9)?))?;
        let flags = u16_at(bytes, 12)?;
        let value = if u8_at(bytes, 8)? == 0 {
            Value::Resident(slice_at(bytes, u16_at(bytes, 20)?.into(), index(u32_at(bytes, 16)?.into()))?)
        } else {
            // The field for the stored size is there only where it differs from the allocated one.
            let packed = flags & (Self::COMPRESSED | Self::SPARSE) != 0;
            let stored = if packed { u64_at(bytes, 64) } else { None };
            let allocated = u64_at(bytes, 40)?;
            Value::NonResident(NonResident {
                lowest_vcn: u64_at(bytes, 16)?,
                unit_exponent: u8_at(bytes, 34)?,
                allocated: stored.unwrap_or(allocated),
                size: u64_at(bytes, 48)?,
                initialized: u64_at(bytes, 56)?,
                runs: bytes.get(usize::from(u16_at(bytes, 32)?)..)?,
            })
        };
        Some((Self { ty: u32_at(bytes, 0)?, name, flags, value }, rest))
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.flags & Self::COMPRESSED != 0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & Self::ENCRYPTED != 0
    }

    /// Length of the value, and the space it takes on the volume.
    pub(super) fn sizes(&self) -> (u64, u64) {
        match &self.value {
            Value::Resident(value) => (value.len() as u64, 0),
            Value::NonResident(value) => (value.size, value.allocated),
        }
    }

    /// The part of the value that this one begins with.
    pub(super) fn lowest_vcn(&self) -> u64 {
        match &self.value {
            Value::Resident(_) => 0,
            Value::NonResident(value) => value.lowest_vcn,
        }
    }

    /// Its name as text.
    pub(super) fn name_text(&self) -> String {
        String::from_utf16_lossy(&units(self.name))
    }
}

/// Puts back the last two bytes of every block, which are replaced on disk to detect torn writes.
pub(super) fn undo_fixup(record: &mut [u8]) -> Result<(), &'static str> {
    const IMPOSSIBLE: &str = "has an impossible update sequence";
    let start = usize::from(u16_at(record, 4).ok_or(IMPOSSIBLE)?);
    let blocks = usize::from(u16_at(record, 6).ok_or(IMPOSSIBLE)?).checked_sub(1).filter(|count| *count > 0);
    let blocks = blocks.ok_or(IMPOSSIBLE)?;
    // Blocks are of 512 bytes, whatever the sectors are; larger ones would be as good.
    let block = record.len() / blocks;
    if block * blocks != record.len() || !matches!(block, 512 | 1024 | 2048 | 4096) {
        return Err(IMPOSSIBLE);
    }
    let number: [u8; 2] = array_at(record, start).ok_or(IMPOSSIBLE)?;
    for tail in 1..=blocks {
        let original: [u8; 2] = array_at(record, start + 2 * tail).ok_or(IMPOSSIBLE)?;
        let place = record.get_mut(tail * block - 2..tail * block).ok_or(IMPOSSIBLE)?;
        if place != number {
            return Err("was written only in part");
        }
        place.copy_from_slice(&original);
    }
    Ok(())
}
