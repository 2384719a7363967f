//! The Elephant diffuser: mixes a whole sector, so that changing one bit of the ciphertext garbles all of it.
//!
//! Words are little-endian `u32`, indices modulo the words of the sector, additions modulo 2^32. Decrypting, `i`
//! ascending: B three times `d[i] += d[i+2] ^ rotl(d[i+5], [0,10,0,25][i % 4])`, then A five times
//! `d[i] += d[i-2] ^ rotl(d[i-5], [9,0,13,0][i % 4])`, then XOR with the 32-byte sector key repeated. Encrypting is the
//! reverse with subtraction and `i` descending.
//!
//! Source: Ferguson 2006; observed in volumes of methods 0x8000 and 0x8001.
//!
//! Inside a sector every word waits for the ones before it, so up to 16 sectors advance side by side, one word of each in
//! one vector. See [`crate::batch`] for how the loops come to the widest registers.

use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, consts::U16};

use crate::batch::{Block, encrypt_in_place, wipe};

const ROUNDS_A: usize = 5;
const ROUNDS_B: usize = 3;
/// Sectors side by side.
const LANES: usize = 16;
/// Words of a sector key.
const KEY_WORDS: usize = 8;

/// The same word of each sector.
type Lane = [u32; LANES];

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

pub(crate) fn decrypt<C>(tweak: &C, offset_bytes: u64, sector_bytes: usize, data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    tweak.encrypt_with_backend(Diffuse { direction: Direction::Decrypt, offset_bytes, sector_bytes, data });
}

pub(crate) fn encrypt<C>(tweak: &C, offset_bytes: u64, sector_bytes: usize, data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    tweak.encrypt_with_backend(Diffuse { direction: Direction::Encrypt, offset_bytes, sector_bytes, data });
}

struct Diffuse<'a> {
    direction: Direction,
    offset_bytes: u64,
    sector_bytes: usize,
    data: &'a mut [u8],
}

impl BlockSizeUser for Diffuse<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Diffuse<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let group_words = LANES * self.sector_bytes / 4;
        let mut scratch = vec![0; 2 * group_words + ALIGN_WORDS];
        // Aligned, so that no vector crosses a cache line: each word is stored and soon loaded again.
        let start = scratch.as_ptr().align_offset(4 * ALIGN_WORDS).min(ALIGN_WORDS);
        let (words, other) = scratch[start..start + 2 * group_words].split_at_mut(group_words);
        let mut offset = self.offset_bytes;
        for group in self.data.chunks_mut(self.sector_bytes * LANES) {
            let mut keys = sector_keys(backend, offset, self.sector_bytes, group.len() / self.sector_bytes);
            gather(group, words, other);
            let lanes = words.as_chunks_mut().0;
            match self.direction {
                Direction::Decrypt => {
                    diffuse_decrypting(lanes);
                    xor_keys(lanes, &keys);
                }
                Direction::Encrypt => {
                    xor_keys(lanes, &keys);
                    diffuse_encrypting(lanes);
                }
            }
            scatter(words, other, group);
            wipe(&mut keys);
            offset += group.len() as u64;
        }
    }
}

/// A cache line.
const ALIGN_WORDS: usize = 16;

/// Sector keys, `E(k2, offset) ‖ E(k2, offset with byte 15 = 0x80)` each, word by word.
#[inline(always)]
fn sector_keys<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    offset_bytes: u64,
    sector_bytes: usize,
    sectors: usize,
) -> [Lane; KEY_WORDS] {
    let mut blocks = [Block::default(); 2 * LANES];
    let mut offset = offset_bytes;
    for pair in blocks.as_chunks_mut::<2>().0.iter_mut().take(sectors) {
        *pair = [u128::from(offset).to_le_bytes().into(), (u128::from(offset) | 0x80 << 120).to_le_bytes().into()];
        offset += sector_bytes as u64;
    }
    encrypt_in_place(backend, &mut blocks[..2 * sectors]);
    let mut keys = [[0; LANES]; KEY_WORDS];
    for (lane, pair) in blocks.as_chunks::<2>().0.iter().enumerate() {
        for (place, word) in keys.iter_mut().zip(pair.iter().flat_map(|block| block.as_chunks::<4>().0)) {
            place[lane] = u32::from_le_bytes(*word);
        }
    }
    wipe(&mut blocks);
    keys
}

/// From sector after sector to the first word of all sectors, the second of all, and so on. Sectors that are missing in the
/// last group keep what was there.
///
/// In a list of 16 sectors the sector is the upper four bits of a word's index; dealing four quarters out in turn rotates
/// the index by two bits, and twice that makes the sector the lower four.
#[inline(always)]
fn gather(group: &[u8], words: &mut [u32], other: &mut [u32]) {
    for (word, bytes) in words.iter_mut().zip(group.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    deal(words, other);
    deal(other, words);
}

/// The way back.
#[inline(always)]
fn scatter(words: &mut [u32], other: &mut [u32], group: &mut [u8]) {
    collect(words, other);
    collect(other, words);
    for (word, bytes) in words.iter().zip(group.as_chunks_mut::<4>().0) {
        *bytes = word.to_le_bytes();
    }
}

/// Four quarters, one word of each in turn.
#[inline(always)]
fn deal(from: &[u32], to: &mut [u32]) {
    let count = from.len() / 4;
    let (first, second) = (&from[..count], &from[count..2 * count]);
    let (third, fourth) = (&from[2 * count..3 * count], &from[3 * count..4 * count]);
    let (to, _) = to.as_chunks_mut();
    let to = &mut to[..count];
    for index in 0..count {
        to[index] = [first[index], second[index], third[index], fourth[index]];
    }
}

/// The reverse of [`deal`].
#[inline(always)]
fn collect(from: &[u32], to: &mut [u32]) {
    let count = from.len() / 4;
    let (from, _) = from.as_chunks::<4>();
    let from = &from[..count];
    let (first, rest) = to.split_at_mut(count);
    let (second, rest) = rest.split_at_mut(count);
    let (third, fourth) = rest.split_at_mut(count);
    let fourth = &mut fourth[..count];
    for index in 0..count {
        [first[index], second[index], third[index], fourth[index]] = from[index];
    }
}

#[inline(always)]
fn xor_keys(words: &mut [Lane], keys: &[Lane; KEY_WORDS]) {
    for eight in words.as_chunks_mut::<KEY_WORDS>().0 {
        for (word, key) in eight.iter_mut().zip(keys) {
            for (word, key) in word.iter_mut().zip(key) {
                *word ^= key;
            }
        }
    }
}

#[inline(always)]
fn diffuse_decrypting(words: &mut [Lane]) {
    for _ in 0..ROUNDS_B {
        for index in (0..words.len()).step_by(4) {
            mix_b::<0>(words, index, u32::wrapping_add);
            mix_b::<10>(words, index + 1, u32::wrapping_add);
            mix_b::<0>(words, index + 2, u32::wrapping_add);
            mix_b::<25>(words, index + 3, u32::wrapping_add);
        }
    }
    for _ in 0..ROUNDS_A {
        for index in (0..words.len()).step_by(4) {
            mix_a::<9>(words, index, u32::wrapping_add);
            mix_a::<0>(words, index + 1, u32::wrapping_add);
            mix_a::<13>(words, index + 2, u32::wrapping_add);
            mix_a::<0>(words, index + 3, u32::wrapping_add);
        }
    }
}

#[inline(always)]
fn diffuse_encrypting(words: &mut [Lane]) {
    for _ in 0..ROUNDS_A {
        for index in (0..words.len()).step_by(4).rev() {
            mix_a::<0>(words, index + 3, u32::wrapping_sub);
            mix_a::<13>(words, index + 2, u32::wrapping_sub);
            mix_a::<0>(words, index + 1, u32::wrapping_sub);
            mix_a::<9>(words, index, u32::wrapping_sub);
        }
    }
    for _ in 0..ROUNDS_B {
        for index in (0..words.len()).step_by(4).rev() {
            mix_b::<25>(words, index + 3, u32::wrapping_sub);
            mix_b::<0>(words, index + 2, u32::wrapping_sub);
            mix_b::<10>(words, index + 1, u32::wrapping_sub);
            mix_b::<0>(words, index, u32::wrapping_sub);
        }
    }
}

/// `d[i] ±= d[i-2] ^ rotl(d[i-5], ROTATE)`.
#[inline(always)]
fn mix_a<const ROTATE: u32>(words: &mut [Lane], index: usize, apply: impl Fn(u32, u32) -> u32) {
    let count = words.len();
    mix::<ROTATE>(words, index, [index + count - 2, index + count - 5], apply);
}

/// `d[i] ±= d[i+2] ^ rotl(d[i+5], ROTATE)`.
#[inline(always)]
fn mix_b<const ROTATE: u32>(words: &mut [Lane], index: usize, apply: impl Fn(u32, u32) -> u32) {
    mix::<ROTATE>(words, index, [index + 2, index + 5], apply);
}

#[inline(always)]
fn mix<const ROTATE: u32>(words: &mut [Lane], index: usize, [near, far]: [usize; 2], apply: impl Fn(u32, u32) -> u32) {
    // The number of words is a power of two.
    let wrap = words.len() - 1;
    let (near, far) = (words[near & wrap], words[far & wrap]);
    for ((word, near), far) in words[index].iter_mut().zip(&near).zip(&far) {
        *word = apply(*word, near ^ far.rotate_left(ROTATE));
    }
}
