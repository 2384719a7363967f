//! The sector cipher of a volume: which method, which keys, which sector size.

use aes::cipher::KeyInit;
use aes::{Aes128, Aes256};

use crate::cbc::Cbc;
use crate::diffuser;
use crate::xts::Xts;

/// How sectors are encrypted. The on-disk numbers belong to `fve-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorMethod {
    /// AES-CBC with a 128-bit key and the Elephant diffuser.
    Cbc128Diffuser,
    /// AES-CBC with a 256-bit key and the Elephant diffuser.
    Cbc256Diffuser,
    /// AES-CBC with a 128-bit key.
    Cbc128,
    /// AES-CBC with a 256-bit key.
    Cbc256,
    /// AES-XTS with two 128-bit keys.
    Xts128,
    /// AES-XTS with two 256-bit keys.
    Xts256,
}

impl SectorMethod {
    /// Length of the full volume encryption key in bytes, spare bytes of the 128-bit diffuser form included.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Cbc128 => 16,
            Self::Cbc256 | Self::Xts128 => 32,
            Self::Cbc128Diffuser | Self::Cbc256Diffuser | Self::Xts256 => 64,
        }
    }
}

/// A key or a sector size that does not fit the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// The key has another length than the method needs.
    #[error("the volume encryption key has {found} bytes; {method:?} needs {expected}")]
    KeyLength {
        /// The method.
        method: SectorMethod,
        /// Bytes the method needs.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Sectors are 512, 1024, 2048 or 4096 bytes.
    #[error("a sector size of {found} bytes is not supported")]
    SectorSize {
        /// Bytes given.
        found: u32,
    },
}

/// Encrypts and decrypts whole sectors in place. Keys are wiped when it is dropped.
///
/// The address of a sector is its byte offset in the volume where it physically lies, relocated sectors included.
pub struct SectorCipher {
    keys: Keys,
    sector_bytes: usize,
}

enum Keys {
    Cbc128(Cbc<Aes128>),
    Cbc256(Cbc<Aes256>),
    Elephant128 { data: Cbc<Aes128>, tweak: Aes128 },
    Elephant256 { data: Cbc<Aes256>, tweak: Aes256 },
    Xts128(Xts<Aes128>),
    Xts256(Xts<Aes256>),
}

impl SectorCipher {
    /// Sets up the keys: `fvek` has [`SectorMethod::key_bytes`] bytes, laid out as on the volume (data key first; tweak
    /// key behind it, at byte 32 for the diffuser methods).
    ///
    /// # Errors
    /// [`CipherError`] when the key's length or the sector size does not fit.
    pub fn new(method: SectorMethod, fvek: &[u8], sector_bytes: u32) -> Result<Self, CipherError> {
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err(CipherError::SectorSize { found: sector_bytes });
        }
        let key_length = || CipherError::KeyLength { method, expected: method.key_bytes(), found: fvek.len() };
        if fvek.len() != method.key_bytes() {
            return Err(key_length());
        }
        let keys = match method {
            SectorMethod::Cbc128 => Keys::Cbc128(Cbc::new(fvek).ok_or_else(key_length)?),
            SectorMethod::Cbc256 => Keys::Cbc256(Cbc::new(fvek).ok_or_else(key_length)?),
            SectorMethod::Cbc128Diffuser => Keys::Elephant128 {
                data: Cbc::new(&fvek[..16]).ok_or_else(key_length)?,
                tweak: Aes128::new_from_slice(&fvek[32..48]).map_err(|_| key_length())?,
            },
            SectorMethod::Cbc256Diffuser => Keys::Elephant256 {
                data: Cbc::new(&fvek[..32]).ok_or_else(key_length)?,
                tweak: Aes256::new_from_slice(&fvek[32..]).map_err(|_| key_length())?,
            },
            SectorMethod::Xts128 => Keys::Xts128(Xts::new(fvek).ok_or_else(key_length)?),
            SectorMethod::Xts256 => Keys::Xts256(Xts::new(fvek).ok_or_else(key_length)?),
        };
        Ok(Self { keys, sector_bytes: sector_bytes as usize })
    }

    /// Bytes in one sector.
    #[must_use]
    pub fn sector_bytes(&self) -> usize {
        self.sector_bytes
    }

    /// Decrypts consecutive sectors in place; the first lies at `offset_bytes` of the volume.
    ///
    /// # Panics
    /// When offset or length is not a multiple of the sector size: the caller's duty.
    pub fn decrypt(&self, offset_bytes: u64, data: &mut [u8]) {
        self.assert_whole_sectors(offset_bytes, data);
        match &self.keys {
            Keys::Cbc128(cbc) => cbc.decrypt(offset_bytes, self.sector_bytes, data),
            Keys::Cbc256(cbc) => cbc.decrypt(offset_bytes, self.sector_bytes, data),
            Keys::Xts128(xts) => xts.decrypt(offset_bytes, self.sector_bytes, data),
            Keys::Xts256(xts) => xts.decrypt(offset_bytes, self.sector_bytes, data),
            Keys::Elephant128 { data: cbc, tweak } => {
                cbc.decrypt(offset_bytes, self.sector_bytes, data);
                diffuser::decrypt(tweak, offset_bytes, self.sector_bytes, data);
            }
            Keys::Elephant256 { data: cbc, tweak } => {
                cbc.decrypt(offset_bytes, self.sector_bytes, data);
                diffuser::decrypt(tweak, offset_bytes, self.sector_bytes, data);
            }
        }
    }

    /// Encrypts consecutive sectors in place; the first lies at `offset_bytes` of the volume.
    ///
    /// # Panics
    /// When offset or length is not a multiple of the sector size: the caller's duty.
    pub fn encrypt(&self, offset_bytes: u64, data: &mut [u8]) {
        self.assert_whole_sectors(offset_bytes, data);
        match &self.keys {
            Keys::Cbc128(cbc) => cbc.encrypt(offset_bytes, self.sector_bytes, data),
            Keys::Cbc256(cbc) => cbc.encrypt(offset_bytes, self.sector_bytes, data),
            Keys::Xts128(xts) => xts.encrypt(offset_bytes, self.sector_bytes, data),
            Keys::Xts256(xts) => xts.encrypt(offset_bytes, self.sector_bytes, data),
            Keys::Elephant128 { data: cbc, tweak } => {
                diffuser::encrypt(tweak, offset_bytes, self.sector_bytes, data);
                cbc.encrypt(offset_bytes, self.sector_bytes, data);
            }
            Keys::Elephant256 { data: cbc, tweak } => {
                diffuser::encrypt(tweak, offset_bytes, self.sector_bytes, data);
                cbc.encrypt(offset_bytes, self.sector_bytes, data);
            }
        }
    }

    fn assert_whole_sectors(&self, offset_bytes: u64, data: &[u8]) {
        assert!(
            offset_bytes.is_multiple_of(self.sector_bytes as u64) && data.len().is_multiple_of(self.sector_bytes),
            "sector ciphers work on whole sectors"
        );
    }
}

impl std::fmt::Debug for SectorCipher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SectorCipher").field("sector_bytes", &self.sector_bytes).finish_non_exhaustive()
    }
}
