//! Where the attributes of a file record are in its bytes.

use fs_view::layout::bytes::{index, slice_at, u8_at, u16_at, u32_at};

use crate::Error;

pub(super) const ATTRIBUTE_LIST: u32 = 0x20;
pub(super) const VOLUME_INFORMATION: u32 = 0x70;
pub(super) const DATA: u32 = 0x80;
const END: u32 = 0xFFFF_FFFF;
/// The header that every attribute has.
const MIN_BYTES: usize = 24;

/// Place of an attribute in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) non_resident: bool,
}

/// The first attribute of a type with this name.
pub(super) fn find(record: &[u8], ty: u32, name: &str) -> Result<Option<Attribute>, Error> {
    const LEADS_OUTSIDE: Error = Error::Damaged("a file record has an attribute that leads outside of it");
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut start = usize::from(u16_at(record, 20).ok_or(LEADS_OUTSIDE)?);
    loop {
        let found = u32_at(record, start).ok_or(LEADS_OUTSIDE)?;
        if found == END {
            return Ok(None);
        }
        let length = index(u32_at(record, start + 4).ok_or(LEADS_OUTSIDE)?.into());
        if length < MIN_BYTES || !length.is_multiple_of(8) {
            return Err(LEADS_OUTSIDE);
        }
        let bytes = slice_at(record, start, length).ok_or(LEADS_OUTSIDE)?;
        let letters = 2 * usize::from(u8_at(bytes, 9).unwrap_or(0));
        let called = slice_at(bytes, u16_at(bytes, 10).unwrap_or(0).into(), letters).ok_or(LEADS_OUTSIDE)?;
        if found == ty && called == name {
            return Ok(Some(Attribute { start, length, non_resident: u8_at(bytes, 8) == Some(1) }));
        }
        start += length;
    }
}
