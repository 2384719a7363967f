//! AES-CBC over sectors: each sector starts afresh with an initialization vector of its own.
//!
//! `IV = E(k, byte offset of the sector as 128-bit LE)`, for every sector size the byte offset, not a sector number.
//!
//! Source: Ferguson 2006; observed in volumes of methods 0x8000 to 0x8003.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};

use crate::sector::address_block;

type Block = Array<u8, U16>;

/// Sectors that are encrypted side by side: CBC encryption is a chain inside a sector, so other sectors fill the
/// cipher's pipeline meanwhile.
const LANES: usize = 16;

pub(crate) struct Cbc<C> {
    cipher: C,
}

impl<C> Cbc<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Some(Self { cipher: C::new_from_slice(key).ok()? })
    }

    /// Vectors of consecutive sectors; `vectors` has one place per sector.
    fn vectors(&self, offset_bytes: u64, sector_bytes: usize, vectors: &mut [Block]) {
        let mut offset = offset_bytes;
        for vector in vectors.iter_mut() {
            *vector = address_block(offset).into();
            offset += sector_bytes as u64;
        }
        self.cipher.encrypt_blocks(vectors);
    }

    pub(crate) fn decrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        let mut offset = offset_bytes;
        let mut previous = [Block::default(); 256];
        for sector in data.chunks_exact_mut(sector_bytes) {
            let (blocks, _) = Block::slice_as_chunks_mut(sector);
            let previous = &mut previous[..blocks.len()];
            previous[1..].copy_from_slice(&blocks[..blocks.len() - 1]);
            self.vectors(offset, sector_bytes, &mut previous[..1]);
            self.cipher.decrypt_blocks(blocks);
            for (block, before) in blocks.iter_mut().zip(previous.iter()) {
                xor_into(block, before);
            }
            offset += sector_bytes as u64;
        }
    }

    pub(crate) fn encrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        let mut offset = offset_bytes;
        for group in data.chunks_mut(sector_bytes * LANES) {
            let sectors = group.len() / sector_bytes;
            let mut chain = [Block::default(); LANES];
            let chain = &mut chain[..sectors];
            self.vectors(offset, sector_bytes, chain);
            let (blocks, _) = Block::slice_as_chunks_mut(group);
            let blocks_per_sector = sector_bytes / 16;
            for position in 0..blocks_per_sector {
                for (sector, link) in chain.iter_mut().enumerate() {
                    xor_into(link, &blocks[sector * blocks_per_sector + position]);
                }
                self.cipher.encrypt_blocks(chain);
                for (sector, link) in chain.iter().enumerate() {
                    blocks[sector * blocks_per_sector + position] = *link;
                }
            }
            offset += group.len() as u64;
        }
    }
}

fn xor_into(target: &mut Block, other: &Block) {
    let mixed = u128::from_le_bytes((*target).into()) ^ u128::from_le_bytes((*other).into());
    *target = mixed.to_le_bytes().into();
}
