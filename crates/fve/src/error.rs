//! Why a volume could not be opened, unlocked, read or made.

use fve_format::{EncryptionMethod, Guid, ProtectorKind};

use crate::MetadataCopy;

/// What went wrong with a volume. Texts state the fact; advice belongs to the programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The storage holds something else.
    #[error("not a BitLocker volume{}", found.map(|name| format!(": it starts like {name}")).unwrap_or_default())]
    NotBitLocker {
        /// What the first sector looks like, where that can be told.
        found: Option<&'static str>,
    },
    /// None of the three metadata copies can be used.
    #[error("all three copies of the BitLocker metadata are damaged or unreadable")]
    NoMetadata {
        /// What is wrong with each.
        copies: Box<[MetadataCopy; 3]>,
    },
    /// Secrets of this kind exist on the volume, and this one opens none of them.
    #[error("this {kind} does not open the volume (tried on {})", join(tried))]
    WrongSecret {
        /// Kind of the secret that was given.
        kind: ProtectorKind,
        /// The protectors it was tried on.
        tried: Vec<Guid>,
    },
    /// The volume has no protector that takes this secret.
    #[error("the volume has no {kind} protector{}", wanted.map(|id| format!(" {{{id}}}")).unwrap_or_default())]
    NoSuchProtector {
        /// Kind of the secret that was given.
        kind: ProtectorKind,
        /// The protector the secret names, where it names one (a `.BEK` file does).
        wanted: Option<Guid>,
        /// What that protector asks for, where the volume has it: more than this secret.
        found: Option<ProtectorKind>,
    },
    /// More protectors than a volume of Windows has; each may cost a second to try.
    #[error("the volume has {found} key protectors; {most} are the most that are tried")]
    TooManyProtectors {
        /// Protectors in the metadata.
        found: usize,
        /// How many are accepted.
        most: usize,
    },
    /// A protector asks for something that is not supported.
    #[error("key protector {{{identifier}}} cannot be used: {reason}, which is not supported")]
    UnsupportedProtector {
        /// Which one.
        identifier: Guid,
        /// What it asks for.
        reason: &'static str,
    },
    /// A protector holds something that cannot be interpreted.
    #[error("key protector {{{identifier}}} is damaged: {reason}")]
    BadProtector {
        /// Which one.
        identifier: Guid,
        /// What is wrong.
        reason: &'static str,
    },
    /// The secret is right, but the metadata is not what was sealed with it: somebody or something changed it.
    #[error("the BitLocker metadata was changed after it was sealed: its SHA-256 does not match")]
    Tampered,
    /// The volume encryption key is missing or damaged.
    #[error("the volume encryption key cannot be used: {reason}")]
    BadFvek {
        /// What is wrong.
        reason: &'static str,
    },
    /// An encryption method that is not known.
    #[error("encryption method {0} is not supported")]
    UnsupportedMethod(EncryptionMethod),
    /// A kind of volume that cannot be read yet, or not safely.
    #[error("this volume cannot be read: {0}")]
    Unsupported(&'static str),
    /// An encrypt-on-write conversion is under way, and what it has encrypted cannot be known.
    #[error("a conversion (encrypt-on-write) is under way, and which parts are encrypted is not known: {reason}")]
    NoConversionMap {
        /// What is wrong with its records.
        reason: &'static str,
    },
    /// A conversion in place is under way, and its header or journal cannot be used.
    #[error("a conversion in place is under way, and where it stands is not known: {reason}")]
    BadConversion {
        /// What is wrong.
        reason: &'static str,
    },
    /// A conversion in place cannot begin, or not go that way.
    #[error("the volume cannot be converted in place: {0}")]
    CannotConvert(&'static str),
    /// The volume is decrypted: there is no key to find, and none is needed.
    #[error("the volume is decrypted: its data is not encrypted and it has no keys")]
    Decrypted,
    /// The storage ends before the volume does.
    #[error("the storage has {storage_bytes} bytes, the volume {volume_bytes}: the end is missing")]
    Short {
        /// Bytes there are.
        storage_bytes: u64,
        /// Bytes the volume has.
        volume_bytes: u64,
    },
    /// Places in the metadata that contradict each other or the size of the volume.
    #[error("the metadata places {what} at byte {offset_bytes}, which is not possible")]
    BadPlace {
        /// What is placed there.
        what: &'static str,
        /// Where, from the start of the volume.
        offset_bytes: u64,
    },
    /// A volume of this size cannot be made.
    #[error("a volume of {found_bytes} bytes cannot be made: {reason}")]
    BadSize {
        /// The size asked for.
        found_bytes: u64,
        /// What would be right.
        reason: &'static str,
    },
    /// The metadata of this volume must be left alone.
    #[error("the metadata of this volume cannot be changed: {reason}")]
    CannotEdit {
        /// Why.
        reason: &'static str,
    },
    /// The metadata would not fit into its region.
    #[error("the metadata would need {needed} bytes; there is room for {available}")]
    MetadataFull {
        /// Bytes it would need.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// No protector has this identifier.
    #[error("the volume has no key protector {{{identifier}}}")]
    NoProtector {
        /// The identifier that was named.
        identifier: Guid,
    },
    /// Without this protector nobody could open the volume any longer.
    #[error("it is the last key protector that opens the volume")]
    LastProtector,
    /// Without this protector only a certain computer, card or certificate could open the volume.
    #[error("what would be left opens only with a certain computer, card or certificate")]
    LastPersonsProtector,
    /// The volume has a password, and takes one only.
    #[error("the volume has a password already: key protector {{{identifier}}}")]
    HasPassword {
        /// Its protector.
        identifier: Guid,
    },
    /// Protection is suspended already.
    #[error("protection is suspended already")]
    AlreadySuspended,
    /// Protection is not suspended.
    #[error("protection is not suspended")]
    NotSuspended,
    /// The volume master key cannot be replaced.
    #[error("the volume master key stays{}: {reason}", identifier.map(|id| format!(" because of key protector {{{id}}}")).unwrap_or_default())]
    MasterKeyStays {
        /// The protector that cannot be carried over, where it is one.
        identifier: Option<Guid>,
        /// Why.
        reason: &'static str,
    },
    /// A metadata copy could not be written.
    #[error("metadata copy {copy} of 3 could not be written; {holding} of 3 hold the change")]
    CopyNotWritten {
        /// Which one, counted from 1; it may be damaged now.
        copy: usize,
        /// How many hold what was to be written.
        holding: usize,
        /// The cause.
        #[source]
        source: block_io::Error,
    },
    /// A metadata copy was written and holds something else.
    #[error("metadata copy {copy} of 3 reads back other than it was written; {holding} of 3 hold the change")]
    CopyNotKept {
        /// Which one, counted from 1.
        copy: usize,
        /// How many hold what was to be written.
        holding: usize,
    },
    /// The volume header could not be written.
    #[error("the volume header could not be written; the metadata copies are whole")]
    HeaderNotWritten {
        /// The cause.
        #[source]
        source: block_io::Error,
    },
    /// The volume header was written and reads back other.
    #[error("the volume header reads back other than it was written; the metadata copies are whole")]
    HeaderNotKept,
    /// The first sectors of the volume cannot be proven to be in place.
    #[error("what the first sector of the volume decrypts to is no file system, so its header is not written")]
    NoFileSystem,
    /// Reading or writing the storage failed.
    #[error(transparent)]
    Storage(#[from] block_io::Error),
    /// A structure of the volume is not as it must be.
    #[error(transparent)]
    Format(#[from] fve_format::Error),
}

fn join(identifiers: &[Guid]) -> String {
    identifiers.iter().map(|identifier| format!("{{{identifier}}}")).collect::<Vec<_>>().join(", ")
}
