//! BitLocker's on-disk structures: parse and encode.
//!
//! ```text
//! volume header        first 512 bytes: signature, where the metadata blocks are      volume_header
//! metadata block       one of three copies, 64 KiB each                                metadata_block
//!   block header       state, encrypted size, places                                   block_header
//!   metadata header    volume identifier, encryption method, next nonce counter        metadata_header
//!   metadata entries   typed records, some nested                                      entry, value
//!     key protector    the VMK wrapped one way                                         protector
//!   validation         CRC-32 and wrapped SHA-256 of the block                         validation
//! conversion records   which chunks are encrypted, while an encrypt-on-write runs       encrypt_on_write
//! conversion in place  our own header and journal while a volume is converted           in_place
//! .BEK file            an external key                                                 external_key_file
//! key package          a protector and the wrapped keys, apart from the volume         key_package
//! ```
//!
//! Everything that is not understood is kept byte for byte: an entry holds its raw data and is interpreted on demand, so
//! encoding what was parsed gives the same bytes.
//!
//! What is not done here: cryptography, reading from a disk. Which copy to trust and what the states mean for reading is
//! decided in `fve`.

mod block_header;
mod checksum;
pub mod encrypt_on_write;
mod entry;
mod error;
mod external_key_file;
mod filetime;
mod guid;
pub mod in_place;
mod key_package;
mod metadata_block;
mod metadata_header;
mod method;
mod nested;
mod protector;
mod reader;
mod state;
mod validation;
mod value;
mod virtualization;
mod volume_header;

pub use block_header::{BLOCK_HEADER_BYTES, BlockHeader};
pub use entry::{ENTRY_HEADER_BYTES, MetadataEntry, entry_type, parse_entries, value_type};
pub use error::{Error, Structure};
pub use external_key_file::ExternalKeyFile;
pub use filetime::Filetime;
pub use guid::Guid;
pub use key_package::KeyPackage;
pub use metadata_block::{METADATA_REGION_BYTES, MetadataBlock};
pub use metadata_header::{METADATA_HEADER_BYTES, MetadataHeader};
pub use method::EncryptionMethod;
pub use protector::{KeyProtector, ProtectorKind};
pub use state::VolumeState;
pub use validation::Validation;
pub use value::{AesCcm, BackupInfo, KeyValue, StretchKey, UseKey, Value, key_type};
pub use virtualization::{ENCRYPT_ON_WRITE_FLAG, ExtendedVirtualization, Virtualization};
pub use volume_header::{VOLUME_HEADER_BYTES, VolumeHeader, VolumeLayout};
