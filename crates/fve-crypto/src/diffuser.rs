//! The Elephant diffuser: mixes a whole sector, so that changing one bit of the ciphertext garbles all of it.
//!
//! Words are little-endian `u32`, indices modulo the words of the sector, additions modulo 2^32. Decrypting, `i`
//! ascending: B three times `d[i] += d[i+2] ^ rotl(d[i+5], [0,10,0,25][i % 4])`, then A five times
//! `d[i] += d[i-2] ^ rotl(d[i-5], [9,0,13,0][i % 4])`, then XOR with the 32-byte sector key repeated. Encrypting is the
//! reverse with subtraction and `i` descending.
//!
//! Source: Ferguson 2006; observed in volumes of methods 0x8000 and 0x8001.

use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};

use crate::sector::{address_block, wipe};

const ROTATE_A: [u32; 4] = [9, 0, 13, 0];
const ROTATE_B: [u32; 4] = [0, 10, 0, 25];
const ROUNDS_A: usize = 5;
const ROUNDS_B: usize = 3;
/// Words of the largest sector, 4096 bytes.
const MAX_WORDS: usize = 1024;

/// The cipher that makes sector keys.
pub(crate) fn tweak_cipher<C: KeyInit>(key: &[u8]) -> Option<C> {
    C::new_from_slice(key).ok()
}

pub(crate) fn decrypt<C>(tweak: &C, offset_bytes: u64, sector_bytes: usize, data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    for_each_sector(offset_bytes, sector_bytes, data, |offset, words| {
        for _ in 0..ROUNDS_B {
            for index in 0..words.len() {
                let mixed = mix_b(words, index);
                words[index] = words[index].wrapping_add(mixed);
            }
        }
        for _ in 0..ROUNDS_A {
            for index in 0..words.len() {
                let mixed = mix_a(words, index);
                words[index] = words[index].wrapping_add(mixed);
            }
        }
        xor_sector_key(tweak, offset, words);
    });
}

pub(crate) fn encrypt<C>(tweak: &C, offset_bytes: u64, sector_bytes: usize, data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    for_each_sector(offset_bytes, sector_bytes, data, |offset, words| {
        xor_sector_key(tweak, offset, words);
        for _ in 0..ROUNDS_A {
            for index in (0..words.len()).rev() {
                let mixed = mix_a(words, index);
                words[index] = words[index].wrapping_sub(mixed);
            }
        }
        for _ in 0..ROUNDS_B {
            for index in (0..words.len()).rev() {
                let mixed = mix_b(words, index);
                words[index] = words[index].wrapping_sub(mixed);
            }
        }
    });
}

fn mix_a(words: &[u32], index: usize) -> u32 {
    let count = words.len();
    words[(index + count - 2) % count] ^ words[(index + count - 5) % count].rotate_left(ROTATE_A[index % 4])
}

fn mix_b(words: &[u32], index: usize) -> u32 {
    let count = words.len();
    words[(index + 2) % count] ^ words[(index + 5) % count].rotate_left(ROTATE_B[index % 4])
}

/// Hands each sector to `work` as words, with its byte offset.
fn for_each_sector(offset_bytes: u64, sector_bytes: usize, data: &mut [u8], work: impl Fn(u64, &mut [u32])) {
    let mut words = [0_u32; MAX_WORDS];
    let words = &mut words[..sector_bytes / 4];
    let mut offset = offset_bytes;
    for sector in data.chunks_exact_mut(sector_bytes) {
        let (chunks, _) = sector.as_chunks_mut::<4>();
        for (word, bytes) in words.iter_mut().zip(chunks.iter()) {
            *word = u32::from_le_bytes(*bytes);
        }
        work(offset, words);
        for (word, bytes) in words.iter().zip(chunks.iter_mut()) {
            *bytes = word.to_le_bytes();
        }
        offset += sector_bytes as u64;
    }
    wipe(&mut words.iter_mut());
}

/// Sector key: `E(k2, offset) ‖ E(k2, offset with byte 15 = 0x80)`, repeated over the sector.
fn xor_sector_key<C>(tweak: &C, offset_bytes: u64, words: &mut [u32])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut blocks: [Array<u8, U16>; 2] = [address_block(offset_bytes).into(), address_block(offset_bytes).into()];
    blocks[1][15] = 0x80;
    tweak.encrypt_blocks(&mut blocks);
    let mut key = [0_u32; 8];
    for (word, bytes) in key.iter_mut().zip(blocks.iter().flat_map(|block| block.chunks_exact(4))) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for (index, word) in words.iter_mut().enumerate() {
        *word ^= key[index % 8];
    }
    wipe(&mut key);
}
