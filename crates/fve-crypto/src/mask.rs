//! One XTS mask at a time, for processors whose AES batches are a few blocks: an element of GF(2^128), times x.
//!
//! On x86-64 the four words are shifted in one vector register, by SSE2, which belongs to the architecture. The compiler
//! does not find this form from the arithmetic by itself; its own, in two integer registers, takes four times as long.

#[cfg(target_arch = "x86_64")]
pub(crate) use vector::Mask;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use words::Mask;

#[cfg(target_arch = "x86_64")]
mod vector {
    use safe_arch::{add_i64_m128i, bitand_m128i, bitxor_m128i, m128i, shr_imm_i32_m128i, shuffle_ai_f32_all_m128i};

    use crate::batch::Block;

    /// A mask in a vector register.
    #[derive(Clone, Copy)]
    pub(crate) struct Mask(m128i);

    impl Mask {
        #[inline(always)]
        pub(crate) fn new(block: &Block) -> Self {
            Self(m128i::from(<[u8; 16]>::from(*block)))
        }

        #[inline(always)]
        pub(crate) fn to_block(self) -> Block {
            <[u8; 16]>::from(self.0).into()
        }

        /// Times x.
        #[inline(always)]
        pub(crate) fn doubled(self) -> Self {
            // Words 3 and 1 hold the bits that leave the two halves: spread over a word each and moved to where the upper
            // one is folded back and the lower one carried.
            let leaving = shr_imm_i32_m128i::<31>(shuffle_ai_f32_all_m128i::<0b00_01_00_11>(self.0));
            let carried = bitand_m128i(leaving, m128i::from([0x87_u32, 0, 1, 0]));
            Self(bitxor_m128i(add_i64_m128i(self.0, self.0), carried))
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use crate::batch::Block;

    /// A mask in two words.
    #[derive(Clone, Copy)]
    pub(crate) struct Mask(u128);

    impl Mask {
        #[inline(always)]
        pub(crate) fn new(block: &Block) -> Self {
            Self(u128::from_le_bytes((*block).into()))
        }

        #[inline(always)]
        pub(crate) fn to_block(self) -> Block {
            self.0.to_le_bytes().into()
        }

        /// Times x.
        #[inline(always)]
        pub(crate) fn doubled(self) -> Self {
            Self((self.0 << 1) ^ ((self.0 >> 127) * 0x87))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Block;

    #[test]
    fn both_forms_double_alike() {
        for start in [1, u128::MAX, 1 << 127, 1 << 63, 0x8765_4321_0FED_CBA9_8000_0000_0000_0001, 0] {
            let block: Block = start.to_le_bytes().into();
            let (mut ours, mut plain) = (Mask::new(&block), words::Mask::new(&block));
            for step in 0..300 {
                assert_eq!(ours.to_block(), plain.to_block(), "{start:#x} step {step}");
                (ours, plain) = (ours.doubled(), plain.doubled());
            }
        }
    }
}
