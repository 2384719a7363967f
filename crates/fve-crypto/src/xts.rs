//! AES-XTS over sectors: one data unit per sector, numbered by its place in the volume.
//!
//! `C_j = E(k1, P_j ⊕ T_j) ⊕ T_j`, `T_0 = E(k2, unit number as 128-bit LE)`, `T_{j+1} = T_j · x` in GF(2^128) with
//! polynomial 0x87. The unit number is the sector's byte offset divided by the sector size; sectors are a multiple of
//! 16 bytes, so there is no ciphertext stealing.
//!
//! Source: IEEE 1619-2007; observed in volumes of method 0x8004 and 0x8005.
//!
//! The tweaks of several sectors are encrypted in one batch and the data of several sectors goes through the cipher in
//! one call: that lets the `aes` crate fill its widest instructions.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};

use crate::sector::{address_block, wipe};

type Block = Array<u8, U16>;

/// Sectors whose tweaks are computed together; at 512 bytes the masks of one group take 4 KiB and stay in the cache.
const GROUP_SECTORS: usize = 8;
/// Blocks whose masks are held at once: one sector of 4096 bytes, or eight of 512.
const GROUP_BLOCKS: usize = 256;

pub(crate) struct Xts<C> {
    data: C,
    tweak: C,
}

impl<C> Xts<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    /// `keys` is the data key followed by the tweak key of the same length.
    pub(crate) fn new(keys: &[u8]) -> Option<Self> {
        let (data, tweak) = keys.split_at(keys.len() / 2);
        Some(Self { data: C::new_from_slice(data).ok()?, tweak: C::new_from_slice(tweak).ok()? })
    }

    pub(crate) fn decrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        self.apply(offset_bytes, sector_bytes, data, |blocks| self.data.decrypt_blocks(blocks));
    }

    pub(crate) fn encrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        self.apply(offset_bytes, sector_bytes, data, |blocks| self.data.encrypt_blocks(blocks));
    }

    /// Both directions: mask, cipher, mask.
    fn apply(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8], cipher: impl Fn(&mut [Block])) {
        let blocks_per_sector = sector_bytes / 16;
        let sectors_per_group = (GROUP_BLOCKS / blocks_per_sector).clamp(1, GROUP_SECTORS);
        let mut unit = offset_bytes / sector_bytes as u64;
        let mut masks = [0_u128; GROUP_BLOCKS];
        for group in data.chunks_mut(sectors_per_group * sector_bytes) {
            let sectors = group.len() / sector_bytes;
            let masks = &mut masks[..sectors * blocks_per_sector];
            self.fill_masks(unit, sectors, blocks_per_sector, masks);
            let (blocks, _) = Block::slice_as_chunks_mut(group);
            xor(blocks, masks);
            cipher(blocks);
            xor(blocks, masks);
            unit += sectors as u64;
        }
        wipe(&mut masks);
    }

    /// The masks of `sectors` units, unit after unit.
    fn fill_masks(&self, first_unit: u64, sectors: usize, blocks_per_sector: usize, masks: &mut [u128]) {
        let mut tweaks = [Block::default(); GROUP_SECTORS];
        let tweaks = &mut tweaks[..sectors];
        for (index, tweak) in tweaks.iter_mut().enumerate() {
            *tweak = address_block(first_unit + index as u64).into();
        }
        self.tweak.encrypt_blocks(tweaks);
        for (tweak, masks) in tweaks.iter().zip(masks.chunks_exact_mut(blocks_per_sector)) {
            let mut mask = u128::from_le_bytes((*tweak).into());
            for place in masks {
                *place = mask;
                mask = double(mask);
            }
        }
        for tweak in tweaks {
            wipe(&mut tweak.0);
        }
    }
}

/// Multiplication by x in GF(2^128), without a branch on the secret bit.
fn double(mask: u128) -> u128 {
    (mask << 1) ^ ((mask >> 127).wrapping_neg() & 0x87)
}

fn xor(blocks: &mut [Block], masks: &[u128]) {
    for (block, mask) in blocks.iter_mut().zip(masks) {
        let mixed = u128::from_le_bytes((*block).into()) ^ mask;
        *block = mixed.to_le_bytes().into();
    }
}
