//! Changes that are not written yet: whole blocks, read once, and in steps whose order matters.

use std::collections::BTreeMap;

use block_io::BlockRead;
use fs_view::layout::bytes::index;

use crate::Error;

/// Unit of a change: no sector is smaller.
const BLOCK_BYTES: u64 = 512;
/// Longest single write.
const MAX_WRITE_BYTES: usize = 1024 * 1024;

/// A change of the volume, which gives the same however often it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Place, from the start of the volume; a multiple of 512.
    pub offset_bytes: u64,
    /// What shall be there.
    pub bytes: Vec<u8>,
}

/// Changes in the making.
pub(crate) struct Changes<'d> {
    device: &'d dyn BlockRead,
    done: Vec<Write>,
    /// Blocks of the step that is being made, by their place.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<'d> Changes<'d> {
    pub(crate) fn new(device: &'d dyn BlockRead) -> Self {
        Self { device, done: Vec::new(), blocks: BTreeMap::new() }
    }

    /// The volume as it is before all changes.
    pub(crate) fn device(&self) -> &'d dyn BlockRead {
        self.device
    }

    /// Bytes as they will be when this step is done.
    pub(crate) fn read<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.visit(offset, N, &mut |block, position| {
            bytes[position] = *block;
        })?;
        Ok(bytes)
    }

    /// Sets bytes in this step.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.visit(offset, bytes.len(), &mut |block, position| {
            *block = bytes.get(position).copied().unwrap_or(*block);
        })
    }

    fn visit(&mut self, offset: u64, length: usize, action: &mut dyn FnMut(&mut u8, usize)) -> Result<(), Error> {
        for position in 0..length {
            let place = offset + position as u64;
            let inside = index(place % BLOCK_BYTES);
            let block = self.block(place - place % BLOCK_BYTES)?;
            let byte = block.get_mut(inside).ok_or(Error::Damaged("a structure leads behind the end of the volume"))?;
            action(byte, position);
        }
        Ok(())
    }

    fn block(&mut self, start: u64) -> Result<&mut Vec<u8>, Error> {
        match self.blocks.entry(start) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(new) => {
                let left = self.device.geometry().length_bytes.saturating_sub(start);
                let mut bytes = vec![0; index(left.min(BLOCK_BYTES))];
                self.device.read_exact_at(start, &mut bytes)?;
                Ok(new.insert(bytes))
            }
        }
    }

    /// Ends a step: what follows is written later. Blocks that did not change stay away.
    pub(crate) fn end_step(&mut self) -> Result<(), Error> {
        let first_of_step = self.done.len();
        for (offset_bytes, bytes) in std::mem::take(&mut self.blocks) {
            let mut old = vec![0; bytes.len()];
            self.device.read_exact_at(offset_bytes, &mut old)?;
            if old == bytes {
                continue;
            }
            let of_step = self.done.get_mut(first_of_step..).unwrap_or_default();
            match of_step.last_mut() {
                Some(last)
                    if last.offset_bytes + last.bytes.len() as u64 == offset_bytes
                        && last.bytes.len() < MAX_WRITE_BYTES =>
                {
                    last.bytes.extend_from_slice(&bytes);
                }
                _ => self.done.push(Write { offset_bytes, bytes }),
            }
        }
        Ok(())
    }

    /// All steps.
    pub(crate) fn finish(mut self) -> Result<Vec<Write>, Error> {
        self.end_step()?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use block_io::MemoryDisk;

    use super::*;

    #[test]
    fn steps_and_blocks() {
        let disk = MemoryDisk::new(vec![7; 2000]);
        let mut changes = Changes::new(&disk);
        changes.write(510, &[1, 2, 3, 4]).unwrap();
        changes.write(1900, &[7]).unwrap();
        assert_eq!(changes.read(509).unwrap(), [7, 1, 2, 3, 4, 7]);
        changes.end_step().unwrap();
        changes.write(1999, &[9]).unwrap();
        assert!(changes.write(1999, &[9, 9]).is_err());
        let writes = changes.finish().unwrap();
        let places: Vec<_> = writes.iter().map(|write| (write.offset_bytes, write.bytes.len())).collect();
        assert_eq!(places, [(0, 1024), (1536, 464)]);
        assert_eq!(writes[0].bytes[509..515], [7, 1, 2, 3, 4, 7]);
    }
}
