//! Key stretching of many recovery passwords side by side.
//!
//! One stretching is a chain: each round waits for the one before, and the processor's SHA instructions wait for each other.
//! Chains of different passwords do not, so with vector registers a round is done for all of them at once, each 32-bit
//! word of SHA-256 in a lane of its own. Two things are the same in all lanes when the salt is: the second block of a round
//! (salt, count, padding), so its message schedule is computed once for all.
//!
//! With AVX-512 there are sixteen lanes (rotations and three-way logic are one instruction each), with AVX2 eight. Where
//! there are SHA instructions but no AVX-512, one chain after the other is faster than eight side by side.
//!
//! Source of the hash: FIPS 180-4, 6.2. Of the chain: [`crate::stretch`].

use pulp::NullaryFnOnce;
use pulp::x86::{V3, V4};
use std::arch::x86_64::{__m256i, __m512i};
use zeroize::{Zeroize, Zeroizing};

use crate::stretch::SHA256_INITIAL;

/// SHA-256's round constants (FIPS 180-4, 4.2.2).
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// What one instruction does to the same word of every chain.
trait Lanes: Copy {
    type Words: Copy;
    const COUNT: usize;

    fn splat(self, word: u32) -> Self::Words;
    fn load(self, words: [u32; MAX_LANES]) -> Self::Words;
    fn store(self, words: Self::Words) -> [u32; MAX_LANES];
    fn add(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn xor(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words;
    /// `b` where a bit of `a` is set, else `c`.
    fn choose(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words;
    fn majority(self, a: Self::Words, b: Self::Words, c: Self::Words) -> Self::Words;
    /// To the right by `RIGHT`; `LEFT` is 32 less that.
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, words: Self::Words) -> Self::Words;
    fn shift<const RIGHT: i32>(self, words: Self::Words) -> Self::Words;
}

/// Chains side by side, at most.
pub(crate) const MAX_LANES: usize = 16;

/// Bits of a word as the signed number that the vector instructions take.
#[inline(always)]
fn signed(word: u32) -> i32 {
    i32::from_ne_bytes(word.to_ne_bytes())
}

impl Lanes for V4 {
    type Words = __m512i;
    const COUNT: usize = 16;

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        self.avx512f._mm512_set1_epi32(signed(word))
    }
    #[inline(always)]
    fn load(self, words: [u32; MAX_LANES]) -> __m512i {
        pulp::cast(words)
    }
    #[inline(always)]
    fn store(self, words: __m512i) -> [u32; MAX_LANES] {
        pulp::cast(words)
    }
    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_add_epi32(a, b)
    }
    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        self.avx512f._mm512_ternarylogic_epi32::<0x96>(a, b, c)
    }
    #[inline(always)]
    fn choose(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        self.avx512f._mm512_ternarylogic_epi32::<0xCA>(a, b, c)
    }
    #[inline(always)]
    fn majority(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        self.avx512f._mm512_ternarylogic_epi32::<0xE8>(a, b, c)
    }
    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, words: __m512i) -> __m512i {
        self.avx512f._mm512_ror_epi32::<RIGHT>(words)
    }
    #[inline(always)]
    fn shift<const RIGHT: i32>(self, words: __m512i) -> __m512i {
        // The shift takes its distance unsigned; a multiplication-free way with the same constant is a rotation and a mask.
        let mask = self.splat(u32::MAX >> RIGHT);
        self.avx512f._mm512_and_si512(self.avx512f._mm512_ror_epi32::<RIGHT>(words), mask)
    }
}

impl Lanes for V3 {
    type Words = __m256i;
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        self.avx._mm256_set1_epi32(signed(word))
    }
    #[inline(always)]
    fn load(self, words: [u32; MAX_LANES]) -> __m256i {
        let [first, _]: [[u32; 8]; 2] = pulp::cast(words);
        pulp::cast(first)
    }
    #[inline(always)]
    fn store(self, words: __m256i) -> [u32; MAX_LANES] {
        pulp::cast([pulp::cast::<_, [u32; 8]>(words), [0; 8]])
    }
    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_add_epi32(a, b)
    }
    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.avx2._mm256_xor_si256(a, self.avx2._mm256_xor_si256(b, c))
    }
    #[inline(always)]
    fn choose(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        let differ = self.avx2._mm256_xor_si256(b, c);
        self.avx2._mm256_xor_si256(c, self.avx2._mm256_and_si256(a, differ))
    }
    #[inline(always)]
    fn majority(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        let both = self.avx2._mm256_and_si256(a, b);
        self.avx2._mm256_or_si256(both, self.avx2._mm256_and_si256(c, self.avx2._mm256_or_si256(a, b)))
    }
    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, words: __m256i) -> __m256i {
        let (right, left) = (self.avx2._mm256_srli_epi32::<RIGHT>(words), self.avx2._mm256_slli_epi32::<LEFT>(words));
        self.avx2._mm256_or_si256(right, left)
    }
    #[inline(always)]
    fn shift<const RIGHT: i32>(self, words: __m256i) -> __m256i {
        self.avx2._mm256_srli_epi32::<RIGHT>(words)
    }
}

/// The vector registers that are worth using on this processor.
#[derive(Clone, Copy)]
pub(crate) enum Wide {
    Sixteen(V4),
    Eight(V3),
}

impl Wide {
    /// `None` where one chain after the other is as fast.
    pub(crate) fn find() -> Option<Self> {
        if let Some(wide) = V4::try_new() {
            return Some(Self::Sixteen(wide));
        }
        if std::arch::is_x86_feature_detected!("sha") { None } else { V3::try_new().map(Self::Eight) }
    }

    pub(crate) fn count(self) -> usize {
        match self {
            Self::Sixteen(_) => V4::COUNT,
            Self::Eight(_) => V3::COUNT,
        }
    }

    /// Stretches from each initial hash. `initial` has at most [`Self::count`] entries.
    pub(crate) fn stretch(self, initial: &[[u8; 32]], salt: &[u8; 16], rounds: u64) -> Zeroizing<Vec<[u8; 32]>> {
        match self {
            Self::Sixteen(lanes) => lanes.vectorize(Job { lanes, initial, salt, rounds }),
            Self::Eight(lanes) => lanes.vectorize(Job { lanes, initial, salt, rounds }),
        }
    }
}

struct Job<'a, L> {
    lanes: L,
    initial: &'a [[u8; 32]],
    salt: &'a [u8; 16],
    rounds: u64,
}

impl<L: Lanes> NullaryFnOnce for Job<'_, L> {
    type Output = Zeroizing<Vec<[u8; 32]>>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self { lanes, initial, salt, rounds } = self;
        let start = SHA256_INITIAL.map(|word| lanes.splat(word));
        let mut words: [[u32; MAX_LANES]; 8] = [[0; MAX_LANES]; 8];
        for (lane, hash) in initial.iter().take(L::COUNT).enumerate() {
            for (word, bytes) in words.iter_mut().zip(hash.as_chunks::<4>().0) {
                word[lane] = u32::from_be_bytes(*bytes);
            }
        }
        let constant = words.map(|word| lanes.load(word));
        let mut last = [lanes.splat(0); 8];
        for count in 0..rounds {
            let schedule = second_block(salt, count);
            let middle = first_block(lanes, start, last, constant);
            let mut state = middle;
            for word in schedule {
                step(lanes, &mut state, lanes.splat(word));
            }
            last = add_each(lanes, state, middle);
        }
        let mut out = Zeroizing::new(vec![[0; 32]; initial.len().min(L::COUNT)]);
        for (index, word) in last.into_iter().enumerate() {
            let values = Zeroizing::new(lanes.store(word));
            for (hash, value) in out.iter_mut().zip(values.iter()) {
                hash[index * 4..index * 4 + 4].copy_from_slice(&value.to_be_bytes());
            }
        }
        words.iter_mut().for_each(|word| word.zeroize());
        out
    }
}

/// One of the 64 steps; `word` is the word of the schedule with its constant added.
#[inline(always)]
fn step<L: Lanes>(lanes: L, state: &mut [L::Words; 8], word: L::Words) {
    let [a, b, c, d, e, f, g, h] = *state;
    let sum1 = lanes.xor(lanes.rotate::<6, 26>(e), lanes.rotate::<11, 21>(e), lanes.rotate::<25, 7>(e));
    let first = lanes.add(lanes.add(h, word), lanes.add(sum1, lanes.choose(e, f, g)));
    let sum0 = lanes.xor(lanes.rotate::<2, 30>(a), lanes.rotate::<13, 19>(a), lanes.rotate::<22, 10>(a));
    let second = lanes.add(sum0, lanes.majority(a, b, c));
    *state = [lanes.add(first, second), a, b, c, lanes.add(d, first), e, f, g];
}

/// The block with the last hash and the initial one, which differ from lane to lane.
#[inline(always)]
fn first_block<L: Lanes>(
    lanes: L,
    start: [L::Words; 8],
    last: [L::Words; 8],
    constant: [L::Words; 8],
) -> [L::Words; 8] {
    let mut state = start;
    let mut words = [last, constant];
    let words = words.as_flattened_mut();
    for (index, round_constant) in ROUND_CONSTANTS.into_iter().enumerate() {
        let at = index % 16;
        if index >= 16 {
            let (old, new) = (words[(at + 1) % 16], words[(at + 14) % 16]);
            let small0 = lanes.xor(lanes.rotate::<7, 25>(old), lanes.rotate::<18, 14>(old), lanes.shift::<3>(old));
            let small1 = lanes.xor(lanes.rotate::<17, 15>(new), lanes.rotate::<19, 13>(new), lanes.shift::<10>(new));
            words[at] = lanes.add(lanes.add(words[at], small0), lanes.add(words[(at + 9) % 16], small1));
        }
        step(lanes, &mut state, lanes.add(words[at], lanes.splat(round_constant)));
    }
    add_each(lanes, state, start)
}

#[inline(always)]
fn add_each<L: Lanes>(lanes: L, a: [L::Words; 8], b: [L::Words; 8]) -> [L::Words; 8] {
    std::array::from_fn(|index| lanes.add(a[index], b[index]))
}

/// The schedule of the block with salt, count and padding, the constants added.
fn second_block(salt: &[u8; 16], count: u64) -> [u32; 64] {
    let mut words = [0; 64];
    for (word, bytes) in words.iter_mut().zip(salt.as_chunks::<4>().0.iter().chain(count.to_le_bytes().as_chunks().0)) {
        *word = u32::from_be_bytes(*bytes);
    }
    words[6] = 0x8000_0000;
    words[15] = 88 * 8;
    for index in 16..64 {
        let (old, new): (u32, u32) = (words[index - 15], words[index - 2]);
        let small0 = old.rotate_right(7) ^ old.rotate_right(18) ^ (old >> 3);
        let small1 = new.rotate_right(17) ^ new.rotate_right(19) ^ (new >> 10);
        words[index] = words[index - 16].wrapping_add(small0).wrapping_add(words[index - 7]).wrapping_add(small1);
    }
    for (word, constant) in words.iter_mut().zip(ROUND_CONSTANTS) {
        *word = word.wrapping_add(constant);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each lane gives what one chain alone gives.
    fn check(wide: Wide) {
        let initial: Vec<[u8; 32]> =
            (0..wide.count()).map(|lane| crate::sha256(&[u8::try_from(lane).unwrap_or(0)])).collect();
        let salt = *b"sixteen bytes of";
        for count in [1, 3, wide.count()] {
            let many = wide.stretch(&initial[..count], &salt, 300);
            assert_eq!(many.len(), count);
            for (initial, found) in initial.iter().zip(many.iter()) {
                assert_eq!(crate::stretch::stretch(initial, &salt, 300).expose(), found);
            }
        }
    }

    #[test]
    fn side_by_side_is_one_by_one() {
        // Many a sound machine has no AVX-512: it is tested where it is there.
        V4::try_new().map(Wide::Sixteen).into_iter().for_each(check);
        match V3::try_new() {
            Some(lanes) => check(Wide::Eight(lanes)),
            None => testkit::skip("this processor has no AVX2"),
        }
    }
}
