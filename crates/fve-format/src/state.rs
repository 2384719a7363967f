//! Conversion states of a volume.

use std::fmt;

/// The states at bytes 0x0C (now) and 0x0E (on the way to) of the block header.
///
/// `Encrypted` is also shown while an encrypt-on-write conversion runs; the volume header tells that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VolumeState {
    /// 1: metadata is there, data is plain.
    Decrypted,
    /// 2: conversion was interrupted; some sectors are in between.
    Converting,
    /// 3: conversion is paused (Windows 7), or encrypt-on-write was activated.
    Paused,
    /// 4: encrypted.
    Encrypted,
    /// 5: conversion is paused.
    ConvertingPaused,
    /// Any other value, kept.
    Unknown(u16),
}

impl VolumeState {
    /// From the on-disk value.
    #[must_use]
    pub fn from_value(value: u16) -> Self {
        match value {
            1 => Self::Decrypted,
            2 => Self::Converting,
            3 => Self::Paused,
            4 => Self::Encrypted,
            5 => Self::ConvertingPaused,
            other => Self::Unknown(other),
        }
    }

    /// The on-disk value.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            Self::Decrypted => 1,
            Self::Converting => 2,
            Self::Paused => 3,
            Self::Encrypted => 4,
            Self::ConvertingPaused => 5,
            Self::Unknown(value) => value,
        }
    }
}

impl fmt::Display for VolumeState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Decrypted => "decrypted",
            Self::Converting => "converting",
            Self::Paused => "paused",
            Self::Encrypted => "encrypted",
            Self::ConvertingPaused => "converting, paused",
            Self::Unknown(value) => return write!(formatter, "unknown ({value})"),
        })
    }
}
