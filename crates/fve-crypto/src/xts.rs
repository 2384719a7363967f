//! AES-XTS over sectors: one data unit per sector, numbered by its place in the volume.
//!
//! `C_j = E(k1, P_j ⊕ T_j) ⊕ T_j`, `T_0 = E(k2, unit number as 128-bit LE)`, `T_{j+1} = T_j · x` in GF(2^128) with
//! polynomial 0x87. The unit number is the sector's byte offset divided by the sector size; sectors are a multiple of
//! 128 bytes, so there is no ciphertext stealing.
//!
//! Source: IEEE 1619-2007; observed in volumes of method 0x8004 and 0x8005.
//!
//! The tweaks of up to 64 sectors are encrypted in one batch, the masks made from them by shifts over whole arrays; see
//! [`crate::batch`] for how the loops below come to the widest registers.

use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16, typenum::Unsigned,
};

use crate::batch::{
    BATCH_SECTORS, Block, NARROW_BLOCKS, address_blocks, decrypt_in_place, encrypt_in_place, wipe, xor_into,
};
use crate::mask::Mask;

/// A run: blocks whose masks are made from one base. Every sector is several runs.
const RUN_BLOCKS: usize = 8;
const RUN_BYTES: usize = 16 * RUN_BLOCKS;
/// Blocks that are masked, sent through the cipher and masked again before the next: data and masks stay in the first
/// cache.
const UNIT_BLOCKS: usize = 256;

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
        self.for_each_batch(offset_bytes, sector_bytes, data, |work| self.data.decrypt_with_backend(work));
    }

    pub(crate) fn encrypt(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8]) {
        self.for_each_batch(offset_bytes, sector_bytes, data, |work| self.data.encrypt_with_backend(work));
    }

    fn for_each_batch(&self, offset_bytes: u64, sector_bytes: usize, data: &mut [u8], work: impl Fn(Masked<'_>)) {
        let mut unit = offset_bytes / sector_bytes as u64;
        let mut tweaks = [Block::default(); BATCH_SECTORS];
        for data in data.chunks_mut(sector_bytes * BATCH_SECTORS) {
            let sectors = data.len() / sector_bytes;
            let tweaks = &mut tweaks[..sectors];
            address_blocks(unit, 1, tweaks);
            self.tweak.encrypt_blocks(tweaks);
            work(Masked { tweaks, sector_bytes, data });
            unit += sectors as u64;
        }
        wipe(&mut tweaks);
    }
}

/// Up to 64 consecutive sectors and the first mask of each.
struct Masked<'a> {
    tweaks: &'a [Block],
    sector_bytes: usize,
    data: &'a mut [u8],
}

impl BlockSizeUser for Masked<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Masked<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        if B::ParBlocksSize::USIZE <= NARROW_BLOCKS {
            self.run_narrow(|blocks| encrypt_in_place(backend, blocks));
        } else {
            self.run_wide(|blocks| encrypt_in_place(backend, blocks));
        }
    }
}

impl BlockCipherDecClosure for Masked<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        if B::ParBlocksSize::USIZE <= NARROW_BLOCKS {
            self.run_narrow(|blocks| decrypt_in_place(backend, blocks));
        } else {
            self.run_wide(|blocks| decrypt_in_place(backend, blocks));
        }
    }
}

impl Masked<'_> {
    /// Both directions, for batches of a few blocks (AES-NI, ARMv8, none): a run is masked, sent through the cipher and
    /// masked again; meanwhile the processor looks ahead and makes the masks of the next. Wiping the masks would force
    /// them out of the registers and cost two thirds of the speed; the last eight that were spilled are left on the stack.
    #[inline(always)]
    fn run_narrow(self, cipher: impl Fn(&mut [Block])) {
        for (tweak, sector) in self.tweaks.iter().zip(self.data.chunks_exact_mut(self.sector_bytes)) {
            let mut mask = Mask::new(tweak);
            for run in Block::slice_as_chunks_mut(sector).0.chunks_exact_mut(NARROW_BLOCKS) {
                let mut masks = [Block::default(); NARROW_BLOCKS];
                let mut masked = [Block::default(); NARROW_BLOCKS];
                for ((block, masked), place) in run.iter().zip(&mut masked).zip(&mut masks) {
                    *place = mask.to_block();
                    *masked = *block;
                    xor_into(masked, place);
                    mask = mask.doubled();
                }
                cipher(&mut masked);
                for ((block, masked), mask) in run.iter_mut().zip(&masked).zip(&masks) {
                    *block = *masked;
                    xor_into(block, mask);
                }
            }
        }
    }

    /// Both directions, for batches of many blocks (VAES): the masks of a whole unit at once, in the widest registers.
    #[inline(always)]
    fn run_wide(self, cipher: impl Fn(&mut [Block])) {
        let mut masks = Masks::default();
        let runs_per_sector = self.sector_bytes / RUN_BYTES;
        let mut bases = Bases { tweaks: self.tweaks.iter(), runs_per_sector, left: 0, base: 0 };
        for unit in self.data.chunks_mut(16 * UNIT_BLOCKS) {
            masks.make(&mut bases, unit.len() / RUN_BYTES);
            masks.xor(unit);
            cipher(Block::slice_as_chunks_mut(unit).0);
            masks.xor(unit);
        }
        masks.wipe();
    }
}

/// The base masks of all runs, in order.
struct Bases<'a> {
    tweaks: std::slice::Iter<'a, Block>,
    runs_per_sector: usize,
    /// Runs left in this sector.
    left: usize,
    base: u128,
}

impl Bases<'_> {
    #[inline(always)]
    fn next(&mut self) -> u128 {
        if self.left == 0 {
            self.left = self.runs_per_sector;
            self.base = self.tweaks.next().map_or(0, |tweak| u128::from_le_bytes((*tweak).into()));
        } else {
            // Times x^8, the length of a run.
            let out = self.base.to_be_bytes()[0];
            self.base = (self.base << 8) ^ u128::from(fold(u64::from(out)));
        }
        self.left -= 1;
        self.base
    }
}

/// The masks of a unit. Every loop goes over plain arrays, and no mask waits for the one before it. Aligned, so that no
/// vector crosses a cache line.
#[repr(align(64))]
struct Masks {
    /// Low and high word of the base of each block's run.
    low: [u64; UNIT_BLOCKS],
    high: [u64; UNIT_BLOCKS],
    /// Low word and high word of each block's mask in turn.
    words: [u64; 2 * UNIT_BLOCKS],
}

impl Default for Masks {
    fn default() -> Self {
        Self { low: [0; UNIT_BLOCKS], high: [0; UNIT_BLOCKS], words: [0; 2 * UNIT_BLOCKS] }
    }
}

/// The power of x by which each block's mask differs from the base of its run.
const POWERS: [u64; UNIT_BLOCKS] = {
    let mut powers = [0; UNIT_BLOCKS];
    let mut index = 0;
    while index < UNIT_BLOCKS {
        powers[index] = (index % RUN_BLOCKS) as u64;
        index += 1;
    }
    powers
};

impl Masks {
    /// Masks of the next `runs` runs.
    #[inline(always)]
    fn make(&mut self, bases: &mut Bases<'_>, runs: usize) {
        let places = self.low.chunks_exact_mut(RUN_BLOCKS).zip(self.high.chunks_exact_mut(RUN_BLOCKS));
        for (low, high) in places.take(runs) {
            let base = bases.next().to_le_bytes();
            let (words, _) = base.as_chunks::<8>();
            low.fill(u64::from_le_bytes(words[0]));
            high.fill(u64::from_le_bytes(words[1]));
        }
        let (pairs, _) = self.words.as_chunks_mut::<2>();
        for (((pair, low), high), power) in pairs.iter_mut().zip(&self.low).zip(&self.high).zip(&POWERS) {
            // What falls out is shifted in two steps, because a shift by all 64 bits is not defined.
            let out = 63 - power;
            *pair = [(low << power) ^ fold((high >> 1) >> out), (high << power) ^ ((low >> 1) >> out)];
        }
    }

    #[inline(always)]
    fn xor(&self, data: &mut [u8]) {
        let (words, _) = data.as_chunks_mut::<8>();
        for (word, mask) in words.iter_mut().zip(&self.words) {
            *word = (u64::from_le_bytes(*word) ^ mask).to_le_bytes();
        }
    }

    fn wipe(&mut self) {
        wipe(&mut self.low);
        wipe(&mut self.high);
        wipe(&mut self.words);
    }
}

/// Times the polynomial 0x87; bits that this pushes out of the word are lost.
#[inline(always)]
fn fold(word: u64) -> u64 {
    word ^ (word << 1) ^ (word << 2) ^ (word << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(mask: u128) -> u128 {
        (mask << 1) ^ ((mask >> 127) * 0x87)
    }

    #[test]
    fn masks_are_doublings_of_the_tweak() {
        let tweaks = [1, u128::MAX, 0x8765_4321_0FED_CBA9_8000_0000_0000_0001, 1 << 127, 3 << 63, 0, 5, 7];
        for blocks_per_sector in [32, 64, 128, 256] {
            let tweaks = &tweaks[..UNIT_BLOCKS / blocks_per_sector];
            let blocks: Vec<Block> = tweaks.iter().map(|tweak| tweak.to_le_bytes().into()).collect();
            let runs_per_sector = blocks_per_sector / RUN_BLOCKS;
            let mut masks = Masks::default();
            masks.make(
                &mut Bases { tweaks: blocks.iter(), runs_per_sector, left: 0, base: 0 },
                UNIT_BLOCKS / RUN_BLOCKS,
            );
            let mut found = vec![0; 16 * UNIT_BLOCKS];
            masks.xor(&mut found);
            let mut found = found.as_chunks::<16>().0.iter();
            for tweak in tweaks {
                let mut expected = *tweak;
                for _ in 0..blocks_per_sector {
                    assert_eq!(found.next(), Some(&expected.to_le_bytes()));
                    expected = double(expected);
                }
            }
        }
    }
}
