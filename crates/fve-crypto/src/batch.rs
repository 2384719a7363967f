//! What the sector ciphers share: working on many blocks at once.
//!
//! The `aes` crate hands its batch cipher to a closure that it calls inside a function compiled for the instructions it
//! found at run time (AVX-512 with VAES, AVX2 with VAES, AES-NI, ARMv8, or none). The closures of this crate and
//! everything they call are `#[inline(always)]`, so their own loops (masks, chaining, diffuser) are compiled for the same
//! instructions: wide vectors without a line of unsafe code, and one source for every processor.

use aes::cipher::{Array, BlockCipherDecBackend, BlockCipherEncBackend, consts::U16};
use zeroize::optimization_barrier;

/// One AES block.
pub(crate) type Block = Array<u8, U16>;

/// Sectors whose tweaks or vectors are computed together: as many blocks as the widest batch of the `aes` crate takes.
pub(crate) const BATCH_SECTORS: usize = 64;

/// Backends that take at most so many blocks at a time (AES-NI, ARMv8, none) are better served with a loop whose blocks stay
/// in registers than with one that goes over arrays. Divides every sector.
pub(crate) const NARROW_BLOCKS: usize = 8;

/// Addresses as 16-byte little-endian blocks: `first`, `first + step`, and so on.
pub(crate) fn address_blocks(first: u64, step: u64, blocks: &mut [Block]) {
    let mut address = first;
    for block in blocks {
        *block = u128::from(address).to_le_bytes().into();
        address = address.wrapping_add(step);
    }
}

/// Encrypts independent blocks, as many at a time as the backend takes.
#[inline(always)]
pub(crate) fn encrypt_in_place<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Block]) {
    let (batches, rest) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(blocks);
    for batch in batches {
        backend.encrypt_par_blocks_inplace(batch);
    }
    for block in rest {
        backend.encrypt_block_inplace(block);
    }
}

/// Decrypts independent blocks, as many at a time as the backend takes.
#[inline(always)]
pub(crate) fn decrypt_in_place<B: BlockCipherDecBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Block]) {
    let (batches, rest) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(blocks);
    for batch in batches {
        backend.decrypt_par_blocks_inplace(batch);
    }
    for block in rest {
        backend.decrypt_block_inplace(block);
    }
}

/// XOR of two blocks into the first.
#[inline(always)]
pub(crate) fn xor_into(target: &mut Block, other: &Block) {
    for (byte, other) in target.iter_mut().zip(other) {
        *byte ^= other;
    }
}

/// Wipes masks, tweaks or sector keys: at the speed of a fill, with a barrier that keeps the compiler from leaving it out.
pub(crate) fn wipe<T: Copy + Default>(buffer: &mut [T]) {
    buffer.fill(T::default());
    optimization_barrier(buffer);
}
