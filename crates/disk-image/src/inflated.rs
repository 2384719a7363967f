//! Blocks that were inflated last. Programs read a compressed block in many small pieces; each would inflate all of it.

use std::sync::{Arc, Mutex, PoisonError};

/// Blocks kept, and their bytes together. One block is kept whatever its size.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 32 << 20;

/// The blocks inflated last, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Inflated {
    blocks: Mutex<Vec<(u64, Arc<[u8]>)>>,
}

impl Inflated {
    /// The block with this number; `inflate` makes it where it is not kept. Workers that need different blocks inflate
    /// side by side.
    pub(crate) fn block<E>(&self, number: u64, inflate: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Arc<[u8]>, E> {
        if let Some(block) = self.kept(number) {
            return Ok(block);
        }
        let block: Arc<[u8]> = inflate()?.into();
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.truncate(KEPT - 1);
        blocks.insert(0, (number, Arc::clone(&block)));
        while blocks.len() > 1 && blocks.iter().map(|(_, block)| block.len()).sum::<usize>() > KEPT_BYTES {
            blocks.pop();
        }
        Ok(block)
    }

    fn kept(&self, number: u64) -> Option<Arc<[u8]>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let index = blocks.iter().position(|(kept, _)| *kept == number)?;
        blocks[..=index].rotate_right(1);
        blocks.first().map(|(_, block)| Arc::clone(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_blocks_are_kept() {
        let inflated = Inflated::default();
        let get = |number: u64, fresh: bool| {
            let mut made = false;
            let block = inflated.block::<()>(number, || {
                made = true;
                Ok(vec![u8::try_from(number).unwrap_or(0); 4])
            });
            assert_eq!(block.map(|block| block[0]), Ok(u8::try_from(number).unwrap_or(0)));
            assert_eq!(made, fresh, "block {number}");
        };
        (0..16).for_each(|number| get(number, true));
        (0..16).for_each(|number| get(number, false));
        get(0, false);
        get(16, true);
        get(0, false);
        get(1, true);
        assert_eq!(inflated.block(99, || Err("broken")), Err("broken"));
        get(0, false);
    }
}
