//! Identifiers of volumes and key protectors.

use std::fmt;
use std::str::FromStr;

/// A GUID in its on-disk form: three little-endian numbers (4, 2, 2 bytes), then eight bytes.
///
/// Displayed as Windows shows it, in upper case without braces: the text before the first hyphen is the "key ID" that a
/// locked PC shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// From the 16 bytes as they are on disk.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes as they are on disk.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Makes a version-4 GUID out of 16 random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        // The version stands in the high nibble of the third number, which is stored low byte first.
        bytes[7] = (bytes[7] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = &self.0;
        write!(
            formatter,
            "{:02X}{:02X}{:02X}{:02X}-{:02X}{:02X}-{:02X}{:02X}-{:02X}{:02X}-{:02X}{:02X}{:02X}{:02X}{:02X}{:02X}",
            b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{{self}}}")
    }
}

/// The text is not 8-4-4-4-12 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 32 hexadecimal digits in the form 01234567-89AB-CDEF-0123-456789ABCDEF")]
pub struct ParseGuidError;

impl FromStr for Guid {
    type Err = ParseGuidError;

    /// Reads the text form, with or without braces, in either case.
    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let text = text.trim().trim_start_matches('{').trim_end_matches('}');
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
            return Err(ParseGuidError);
        }
        let number = u128::from_str_radix(&groups.concat(), 16).map_err(|_| ParseGuidError)?;
        let mut bytes = number.to_be_bytes();
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_bitlocker_guid_reads_as_documented() {
        let guid = Guid::from_bytes(hex!("3bd66749292ed84a8399f6a339e3d001"));
        assert_eq!(guid.to_string(), "4967D63B-2E29-4AD8-8399-F6A339E3D001");
        assert_eq!("{4967d63b-2e29-4ad8-8399-f6a339e3d001}".parse(), Ok(guid));
        assert!("4967d63b2e294ad88399f6a339e3d001".parse::<Guid>().is_err());
        assert!("".parse::<Guid>().is_err());
    }

    #[test]
    fn random_guids_are_version_4() {
        let text = Guid::from_random([0xFF; 16]).to_string();
        assert_eq!(&text[14..15], "4");
        assert_eq!(&text[19..20], "B");
    }
}
