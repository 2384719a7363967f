//! AES-CBC over sectors: each sector starts afresh with an initialization vector of its own.
//!
//! `IV = E(k, byte offset of the sector as 128-bit LE)`, for every sector size the byte offset, not a sector number.
//!
//! Source: Ferguson 2006; observed in volumes of methods 0x8000 to 0x8003.
//!
//! Decryption is parallel by nature. Encryption is a chain inside a sector, so up to 64 sectors advance side by side, one
//! block of each at a time. See [`crate::batch`] for how the loops come to the widest registers.

use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16, typenum::Unsigned,
};

use crate::batch::{
    BATCH_SECTORS, Block, NARROW_BLOCKS, address_blocks, decrypt_in_place, encrypt_in_place, wipe, xor_into,
};

/// Blocks that are decrypted together; their ciphertext is kept meanwhile, for the chaining. Divides every sector.
const UNIT_BLOCKS: usize = 64;

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

    pub(crate) fn decrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        self.for_each_batch(offset_bytes, sector_bytes, data, |vectors, data| {
            self.cipher.decrypt_with_backend(Decrypt { vectors, sector_bytes, data });
        });
    }

    pub(crate) fn encrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        self.for_each_batch(offset_bytes, sector_bytes, data, |vectors, data| {
            self.cipher.encrypt_with_backend(Encrypt { vectors, sector_bytes, data });
        });
    }

    /// Hands out up to 64 sectors at a time, with their vectors.
    fn for_each_batch(
        &self,
        offset_bytes: u64,
        sector_bytes: usize,
        data: &mut [u8],
        work: impl Fn(&[Block], &mut [u8]),
    ) {
        let mut offset = offset_bytes;
        let mut vectors = [Block::default(); BATCH_SECTORS];
        for data in data.chunks_mut(sector_bytes * BATCH_SECTORS) {
            let vectors = &mut vectors[..data.len() / sector_bytes];
            address_blocks(offset, sector_bytes as u64, vectors);
            self.cipher.encrypt_blocks(vectors);
            work(vectors, data);
            offset += data.len() as u64;
        }
        wipe(&mut vectors);
    }
}

struct Decrypt<'a> {
    vectors: &'a [Block],
    sector_bytes: usize,
    data: &'a mut [u8],
}

impl BlockSizeUser for Decrypt<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for Decrypt<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        if B::ParBlocksSize::USIZE <= NARROW_BLOCKS {
            self.run_narrow(|blocks| decrypt_in_place(backend, blocks));
        } else {
            self.run_wide(|blocks| decrypt_in_place(backend, blocks));
        }
    }
}

impl Decrypt<'_> {
    /// For batches of a few blocks: they stay in registers.
    #[inline(always)]
    fn run_narrow(self, cipher: impl Fn(&mut [Block])) {
        for (vector, sector) in self.vectors.iter().zip(self.data.chunks_exact_mut(self.sector_bytes)) {
            let mut chain = *vector;
            for run in Block::slice_as_chunks_mut(sector).0.chunks_exact_mut(NARROW_BLOCKS) {
                let mut plain = [Block::default(); NARROW_BLOCKS];
                plain.copy_from_slice(run);
                cipher(&mut plain);
                for (block, plain) in run.iter_mut().zip(&mut plain) {
                    xor_into(plain, &chain);
                    chain = *block;
                    *block = *plain;
                }
            }
        }
    }

    /// For batches of many blocks: the chain of a whole unit at once.
    #[inline(always)]
    fn run_wide(self, cipher: impl Fn(&mut [Block])) {
        let blocks_per_sector = self.sector_bytes / 16;
        let mut vectors = self.vectors.iter();
        // What each block of a unit is chained to: the ciphertext before it. The first place is the last block of the
        // unit before.
        let mut previous = [Block::default(); UNIT_BLOCKS + 1];
        let (blocks, _) = Block::slice_as_chunks_mut(self.data);
        let mut place = 0;
        for unit in blocks.chunks_mut(UNIT_BLOCKS) {
            previous[0] = previous[UNIT_BLOCKS];
            previous[1..=unit.len()].copy_from_slice(unit);
            // Sector starts inside this unit take their vectors; `place` counts blocks from the start of a sector.
            let mut start = if place == 0 { 0 } else { blocks_per_sector - place };
            while start < unit.len() {
                if let Some(vector) = vectors.next() {
                    previous[start] = *vector;
                }
                start += blocks_per_sector;
            }
            place = (place + unit.len()) % blocks_per_sector;
            cipher(unit);
            for (block, before) in unit.iter_mut().zip(&previous) {
                xor_into(block, before);
            }
        }
    }
}

struct Encrypt<'a> {
    vectors: &'a [Block],
    sector_bytes: usize,
    data: &'a mut [u8],
}

impl BlockSizeUser for Encrypt<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Encrypt<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let lanes = self.vectors.len();
        let mut lines = Lines([[Block::default(); BATCH_SECTORS]; LINE_BLOCKS]);
        lines.0[LINE_BLOCKS - 1][..lanes].copy_from_slice(self.vectors);
        for line in 0..self.sector_bytes / LINE_BYTES {
            let mut before = lines.0[LINE_BLOCKS - 1];
            lines.gather(self.data, self.sector_bytes, line);
            for step in &mut lines.0 {
                for (block, before) in step[..lanes].iter_mut().zip(&before) {
                    xor_into(block, before);
                }
                encrypt_in_place(backend, &mut step[..lanes]);
                before[..lanes].copy_from_slice(&step[..lanes]);
            }
            lines.scatter(self.data, self.sector_bytes, line);
        }
    }
}

/// What is taken from every sector at once: a cache line. Sectors lie a power of two apart and so compete for the same
/// places in the cache; block by block, each line would be fetched again for every one of its blocks.
const LINE_BLOCKS: usize = 4;
const LINE_BYTES: usize = 16 * LINE_BLOCKS;

/// One line of each sector: first the first block of all, then the second of all, and so on.
#[repr(align(64))]
struct Lines([[Block; BATCH_SECTORS]; LINE_BLOCKS]);

impl Lines {
    #[inline(always)]
    fn gather(&mut self, data: &[u8], sector_bytes: usize, line: usize) {
        for (lane, sector) in data.chunks_exact(sector_bytes).enumerate() {
            let (blocks, _) = Block::slice_as_chunks(&sector[line * LINE_BYTES..(line + 1) * LINE_BYTES]);
            for (step, block) in self.0.iter_mut().zip(blocks) {
                step[lane] = *block;
            }
        }
    }

    #[inline(always)]
    fn scatter(&self, data: &mut [u8], sector_bytes: usize, line: usize) {
        for (lane, sector) in data.chunks_exact_mut(sector_bytes).enumerate() {
            let (blocks, _) = Block::slice_as_chunks_mut(&mut sector[line * LINE_BYTES..(line + 1) * LINE_BYTES]);
            for (step, block) in self.0.iter().zip(blocks) {
                *block = step[lane];
            }
        }
    }
}
