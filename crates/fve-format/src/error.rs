//! What can be wrong with bytes that claim to be a BitLocker structure.

use std::fmt;

/// Which structure was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Structure {
    /// The first 512 bytes of the volume.
    VolumeHeader,
    /// The first 64 bytes of a metadata block.
    BlockHeader,
    /// The 48 bytes before the metadata entries, or at the start of a `.BEK` file.
    MetadataHeader,
    /// A metadata entry, nested ones included.
    Entry,
    /// The record behind the block that holds its CRC-32 and wrapped hash.
    Validation,
    /// A `.BEK` file.
    ExternalKeyFile,
    /// A key package.
    KeyPackage,
    /// The descriptor of an encrypt-on-write conversion.
    ConversionDescriptor,
    /// A map of the chunks that such a conversion has encrypted.
    BlockMap,
    /// The log of such a conversion.
    ConversionLog,
    /// The first sector while a volume is converted in place.
    ConversionHeader,
    /// The journal of a conversion in place.
    ConversionJournal,
    /// A record of that journal's log.
    LogRecord,
}

impl fmt::Display for Structure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::VolumeHeader => "volume header",
            Self::BlockHeader => "metadata block header",
            Self::MetadataHeader => "metadata header",
            Self::Entry => "metadata entry",
            Self::Validation => "metadata validation record",
            Self::ExternalKeyFile => "external key file",
            Self::KeyPackage => "key package",
            Self::ConversionDescriptor => "conversion descriptor",
            Self::BlockMap => "conversion map",
            Self::ConversionLog => "conversion log",
            Self::ConversionHeader => "conversion header",
            Self::ConversionJournal => "conversion journal",
            Self::LogRecord => "conversion log record",
        })
    }
}

/// Bytes that are not what they claim to be. Positions are bytes from the start of what was parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signature is missing: this is something else.
    #[error("no BitLocker signature in the {structure}")]
    NoSignature {
        /// Where it was looked for.
        structure: Structure,
    },
    /// The bytes end before the structure does.
    #[error("{structure} at byte {position} needs {needed} bytes, {available} are there")]
    Truncated {
        /// What was read.
        structure: Structure,
        /// Where it starts.
        position: usize,
        /// Bytes it needs.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
    /// A field has a value that the format does not allow.
    #[error("{structure}: {field} at byte {position} is {found:#x}, expected {expected}")]
    BadField {
        /// What was read.
        structure: Structure,
        /// Name of the field.
        field: &'static str,
        /// Where the field starts.
        position: usize,
        /// What it holds.
        found: u64,
        /// What would be right, in words.
        expected: &'static str,
    },
    /// The CRC-32 of the block differs from the stored one: the copy is damaged.
    #[error("the checksum is {found:#010x}, stored is {stored:#010x}")]
    Checksum {
        /// Computed over the block.
        found: u32,
        /// Kept in the validation record.
        stored: u32,
    },
    /// The metadata does not fit into its 64 KiB region.
    #[error("the metadata needs {needed} bytes; a metadata block has room for {available}")]
    TooLarge {
        /// Bytes the block would have.
        needed: usize,
        /// Bytes it may have.
        available: usize,
    },
}
