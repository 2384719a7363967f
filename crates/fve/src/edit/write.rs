//! Writing one metadata copy so that it can be believed.

use block_io::BlockWrite;

use crate::Error;

/// Writes a copy, makes it durable and reads it back. `index` counts from 0; `holding` copies hold these bytes already.
pub(super) fn copy(
    storage: &impl BlockWrite,
    index: usize,
    offset_bytes: u64,
    region: &[u8],
    holding: usize,
) -> Result<(), Error> {
    let not_written = |source| Error::CopyNotWritten { copy: index + 1, holding, source };
    storage.write_all_at(offset_bytes, region).map_err(not_written)?;
    storage.flush().map_err(not_written)?;
    let mut read = vec![0; region.len()];
    storage.read_exact_at(offset_bytes, &mut read).map_err(not_written)?;
    if read == region { Ok(()) } else { Err(Error::CopyNotKept { copy: index + 1, holding }) }
}
