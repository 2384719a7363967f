//! Batches that a power cut left half converted: each piece of 512 bytes is either as the log has it or converted.

use std::ops::Range;

use block_io::BlockRead;
use fve_crypto::SectorCipher;
use fve_format::in_place::{Direction, KEPT_BYTES, LogRecord, PIECE_BYTES};

use crate::Error;
use crate::convert::space::Space;

/// Read in one piece while a batch is compared with its log.
const COMPARE_BYTES: u64 = 1024 * 1024;

/// Which pieces of a batch are encrypted.
#[derive(Debug)]
pub(crate) struct MixedBatch {
    /// Positions in what is converted.
    pub(crate) range: Range<u64>,
    /// A bit for each piece, least significant first: 1 encrypted.
    encrypted: Vec<u8>,
}

impl MixedBatch {
    /// Compares the batch with the body of its record: pieces that start alike are not converted yet.
    pub(crate) fn read(
        storage: &impl BlockRead,
        space: &Space,
        record: &LogRecord,
        body: &[u8],
    ) -> Result<Self, Error> {
        let range = record.start..record.start + record.length;
        let (kept, _) = body.as_chunks::<KEPT_BYTES>();
        let mut encrypted = vec![0; kept.len().div_ceil(8)];
        let mut buffer = Vec::new();
        let mut index = 0;
        for run in space.runs(range.clone(), COMPARE_BYTES) {
            buffer.resize(usize::try_from(run.length).unwrap_or(0), 0);
            storage.read_exact_at(run.at, &mut buffer)?;
            for piece in buffer.chunks_exact(PIECE_BYTES) {
                let same = kept.get(index).is_some_and(|kept| piece.starts_with(kept));
                if same == (record.direction == Direction::Decrypt) {
                    encrypted[index / 8] |= 1 << (index % 8);
                }
                index += 1;
            }
        }
        Ok(Self { range, encrypted })
    }

    /// Which pieces of the sector at a position inside are encrypted: a bit for each.
    pub(crate) fn pieces(&self, position: u64, sector_bytes: u64) -> u8 {
        let first = usize::try_from((position - self.range.start) / PIECE_BYTES as u64).unwrap_or(usize::MAX);
        let count = usize::try_from(sector_bytes).unwrap_or(0) / PIECE_BYTES;
        let is_set = |index: usize| self.encrypted.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
        (0..count.min(8)).filter(|piece| is_set(first.saturating_add(*piece))).fold(0, |bits, piece| bits | 1 << piece)
    }
}

/// The bits of a sector whose pieces are all encrypted.
pub(crate) fn all_pieces(sector_bytes: u64) -> u8 {
    match sector_bytes / PIECE_BYTES as u64 {
        count @ 0..8 => (1 << count) - 1,
        _ => u8::MAX,
    }
}

/// Makes the sector at `at` plain, of which the pieces in `encrypted` (a bit for each) are encrypted and the others plain.
///
/// Works for every method in which the beginning of a sector does not depend on what follows it: XTS, and CBC without the
/// diffuser. With the diffuser a sector must be one piece.
pub(crate) fn settle_sector(cipher: &SectorCipher, at: u64, sector: &mut [u8], encrypted: u8) {
    if encrypted == all_pieces(sector.len() as u64) {
        return cipher.decrypt(at, sector);
    }
    if encrypted == 0 {
        return;
    }
    // The encrypted and the plain beginning, one piece longer in each round.
    let (mut hidden, mut plain) = (sector.to_vec(), sector.to_vec());
    for (index, start) in (0..sector.len()).step_by(PIECE_BYTES).enumerate() {
        let piece = start..start + PIECE_BYTES;
        let is_encrypted = encrypted & (1 << index) != 0;
        let (known, wanted) = if is_encrypted { (&hidden, &mut plain) } else { (&plain, &mut hidden) };
        let mut other = known.clone();
        if is_encrypted {
            cipher.decrypt(at, &mut other);
        } else {
            cipher.encrypt(at, &mut other);
        }
        wanted[piece.clone()].copy_from_slice(&other[piece]);
    }
    sector.copy_from_slice(&plain);
    zeroize::Zeroize::zeroize(&mut plain);
}

#[cfg(test)]
mod tests {
    use super::*;
    use fve_crypto::SectorMethod;

    #[test]
    fn every_mixture_of_pieces_is_told_apart() {
        for method in [SectorMethod::Xts128, SectorMethod::Xts256, SectorMethod::Cbc128, SectorMethod::Cbc256] {
            for sector_bytes in [512, 1024, 2048, 4096_usize] {
                let key: Vec<u8> = (1..).take(method.key_bytes()).collect();
                let cipher = SectorCipher::new(method, &key, u32::try_from(sector_bytes).unwrap()).unwrap();
                let plain: Vec<u8> = (0..=255).cycle().take(sector_bytes).collect();
                let mut hidden = plain.clone();
                cipher.encrypt(8192, &mut hidden);
                for encrypted in 0..=all_pieces(sector_bytes as u64) {
                    let mut sector = plain.clone();
                    for piece in 0..sector_bytes / 512 {
                        if encrypted & (1 << piece) != 0 {
                            sector[piece * 512..(piece + 1) * 512]
                                .copy_from_slice(&hidden[piece * 512..(piece + 1) * 512]);
                        }
                    }
                    settle_sector(&cipher, 8192, &mut sector, encrypted);
                    assert!(sector == plain, "{method:?}, {sector_bytes}, {encrypted:#010b}");
                }
            }
        }
    }
}
