//! BitLocker volumes on any [`block_io`] storage.
//!
//! [`Volume::open`] needs no key: it reads the volume header and the three metadata copies and lists what is there.
//! [`Volume::unlock`] takes a [`KeyMaterial`] (recovery password, password, external key, clear key) and gives an
//! [`UnlockedVolume`], which is block storage like any other. [`Volume::edit`] takes one, too, and gives a [`MetadataEditor`]
//! for the key protectors. [`NewVolume`] makes a volume; [`convert`] encrypts and decrypts volumes where they lie; [`salvage`]
//! opens damaged ones, and mends them.
//!
//! Opening and unlocking take at most 48 MiB of memory whatever the volume says, and at most 64 protectors of each copy
//! are tried. The largest part are the maps of a conversion: 505 of 64 KiB.
//!
//! What is not done here: file systems, mounts, partition tables, talking to people.

mod conversion;
mod conversion_log;
pub mod convert;
mod copies;
mod create;
mod edit;
mod error;
mod key_package;
mod keys;
mod map;
mod material;
mod recovery;
pub mod salvage;
pub mod solve;
#[cfg(test)]
mod state_tests;
mod stream;
mod unlocked;
mod vista;
mod volume;
mod wrapping;

pub use copies::{CopyHealth, MetadataCopy};
pub use create::{CreateOptions, FillProgress, NewVolume, Placement, random_guid};
pub use edit::{Holder, MasterKey, MetadataEditor, Remaining, Unsuspended};
pub use error::Error;
pub use fve_format::{
    BackupInfo, EncryptionMethod, ExternalKeyFile, Filetime, Guid, KeyPackage, KeyProtector, ProtectorKind, Value,
    VolumeLayout, VolumeState,
};
pub use key_package::open_key_package;
pub use keys::{Fvek, Vmk};
pub use map::{Segment, Source};
pub use material::{ClearKey, ExternalKey, KeyMaterial, Password, UnwrapError};
pub use stream::{MAX_WORKERS, STREAM_CHUNK_BYTES};
pub use unlocked::UnlockedVolume;
pub use volume::{UnlockOptions, Volume};
