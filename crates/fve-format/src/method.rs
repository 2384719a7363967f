//! The encryption method of a volume.

use std::fmt;

/// The on-disk value at byte 0x24 of the metadata header, and the type of the wrapped volume encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncryptionMethod {
    /// 0: nothing is encrypted.
    None,
    /// 0x8000: AES-CBC, 128-bit key, Elephant diffuser.
    AesCbc128Diffuser,
    /// 0x8001: AES-CBC, 256-bit key, Elephant diffuser.
    AesCbc256Diffuser,
    /// 0x8002: AES-CBC, 128-bit key.
    AesCbc128,
    /// 0x8003: AES-CBC, 256-bit key.
    AesCbc256,
    /// 0x8004: AES-XTS, 128-bit keys.
    AesXts128,
    /// 0x8005: AES-XTS, 256-bit keys.
    AesXts256,
    /// Any other value, kept.
    Unknown(u16),
}

impl EncryptionMethod {
    /// From the on-disk value.
    #[must_use]
    pub fn from_value(value: u16) -> Self {
        match value {
            0 => Self::None,
            0x8000 => Self::AesCbc128Diffuser,
            0x8001 => Self::AesCbc256Diffuser,
            0x8002 => Self::AesCbc128,
            0x8003 => Self::AesCbc256,
            0x8004 => Self::AesXts128,
            0x8005 => Self::AesXts256,
            other => Self::Unknown(other),
        }
    }

    /// The on-disk value.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            Self::None => 0,
            Self::AesCbc128Diffuser => 0x8000,
            Self::AesCbc256Diffuser => 0x8001,
            Self::AesCbc128 => 0x8002,
            Self::AesCbc256 => 0x8003,
            Self::AesXts128 => 0x8004,
            Self::AesXts256 => 0x8005,
            Self::Unknown(value) => value,
        }
    }
}

impl fmt::Display for EncryptionMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::AesCbc128Diffuser => "aes-cbc-128 with diffuser",
            Self::AesCbc256Diffuser => "aes-cbc-256 with diffuser",
            Self::AesCbc128 => "aes-cbc-128",
            Self::AesCbc256 => "aes-cbc-256",
            Self::AesXts128 => "xts-aes-128",
            Self::AesXts256 => "xts-aes-256",
            Self::Unknown(value) => return write!(formatter, "unknown ({value:#06x})"),
        })
    }
}
