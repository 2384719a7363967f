//! Writes to the file system inside, as the journal keeps them: for each a volume offset (8 bytes), a length (4), the bytes.

use std::ops::Range;

use crate::reader::Reader;
use crate::{Error, Structure};

/// Bytes that go to a place of the plain volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsWrite {
    /// Where, from the start of the volume.
    pub offset_bytes: u64,
    /// What.
    pub bytes: Vec<u8>,
}

impl FsWrite {
    /// The place in the volume.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset_bytes..self.offset_bytes.saturating_add(self.bytes.len() as u64)
    }
}

/// The bytes of a list of writes.
///
/// # Errors
/// [`Error::TooLarge`] when one of them does not fit its field.
pub fn encode_writes(writes: &[FsWrite]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for write in writes {
        let length = u32::try_from(write.bytes.len())
            .map_err(|_| Error::TooLarge { needed: write.bytes.len(), available: u32::MAX as usize })?;
        out.extend_from_slice(&write.offset_bytes.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&write.bytes);
    }
    Ok(out)
}

/// Reads a list of writes that fills `bytes`: for each the volume offset, and where in `bytes` its content stands.
///
/// # Errors
/// [`Error::Truncated`] when the last one is not whole, [`Error::BadField`] when one is empty or reaches past any volume.
pub fn parse_writes(bytes: &[u8]) -> Result<Vec<(u64, Range<usize>)>, Error> {
    let mut reader = Reader::new(bytes, 0, Structure::ConversionJournal);
    let mut writes = Vec::new();
    while reader.position() < bytes.len() {
        let offset = reader.u64()?;
        let length = reader.u32()?;
        if length == 0 || offset.checked_add(u64::from(length)).is_none() {
            return Err(reader.bad_field("length of a write", 4, u64::from(length), "1 or more, inside the volume"));
        }
        let start = reader.position();
        reader.take(length as usize)?;
        writes.push((offset, start..reader.position()));
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_read_back_and_damage_is_an_error() {
        let writes = [FsWrite { offset_bytes: 5, bytes: vec![1, 2, 3] }, FsWrite { offset_bytes: 700, bytes: vec![9] }];
        let bytes = encode_writes(&writes).unwrap();
        let read = parse_writes(&bytes).unwrap();
        assert_eq!(read, [(5, 12..15), (700, 27..28)]);
        assert_eq!(parse_writes(&[]).unwrap(), []);
        for end in [1, 11, 14, 16, 27] {
            assert!(matches!(parse_writes(&bytes[..end]), Err(Error::Truncated { .. })), "{end}");
        }
        let mut empty = bytes.clone();
        empty[8..12].fill(0);
        assert!(matches!(parse_writes(&empty), Err(Error::BadField { .. })));
    }
}
