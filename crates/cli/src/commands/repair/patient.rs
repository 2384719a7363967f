//! A medium with bad sectors, read as finely as it goes.
//!
//! The system reads through its cache, a page of 4 KiB at a time or more, so one bad sector takes the seven good ones beside it
//! along. Where a small read fails, the same sectors are read again past the cache (`O_DIRECT`), where the system has that.

use std::fs::File;
use std::path::Path;

use block_io::{BlockRead, Error, FileDisk, Geometry};

/// Requests up to this length are tried again past the cache: longer ones are divided by whoever made them.
const SMALL_BYTES: usize = 4096;
/// What every device takes.
const ALIGNMENT: usize = 4096;

pub(super) struct Patient {
    cached: FileDisk,
    direct: Option<File>,
}

impl Patient {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        // Some file systems refuse it; then the cache is all there is.
        Ok(Self { cached: FileDisk::open(path)?, direct: open_direct(path).ok() })
    }
}

impl BlockRead for Patient {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let failed = match self.cached.read_exact_at(offset_bytes, buffer) {
            Err(error @ Error::Io { .. }) if buffer.len() <= SMALL_BYTES => error,
            done => return done,
        };
        let Some(direct) = &self.direct else { return Err(failed) };
        let sector = self.geometry().sector_bytes.max(512) as usize;
        read_past_cache(direct, offset_bytes, buffer, sector).map_err(|_| failed)
    }

    fn geometry(&self) -> Geometry {
        self.cached.geometry()
    }
}

/// Reads the sectors around a request into memory that is aligned as the system demands.
fn read_past_cache(file: &File, offset_bytes: u64, buffer: &mut [u8], sector: usize) -> std::io::Result<()> {
    let inside = usize::try_from(offset_bytes % sector as u64).unwrap_or(0);
    let length = (inside + buffer.len()).next_multiple_of(sector);
    let mut memory = vec![0; length + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let sectors = &mut memory[skip..skip + length];
    read_exact(file, offset_bytes - inside as u64, sectors)?;
    buffer.copy_from_slice(&sectors[inside..inside + buffer.len()]);
    Ok(())
}

#[cfg(unix)]
fn read_exact(file: &File, offset_bytes: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset_bytes)
}

#[cfg(not(unix))]
fn read_exact(_file: &File, _offset_bytes: u64, _buffer: &mut [u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).map_err(std::io::Error::other)?;
    File::options().read(true).custom_flags(direct).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_read_past_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let content: Vec<u8> = (0..4096_u32).flat_map(|at| (at.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        std::fs::write(&path, &content).unwrap();
        // Where the file system has no direct reading, the arithmetic alone is tested.
        let files = [File::open(&path).ok(), open_direct(&path).ok()];
        for file in files.into_iter().flatten() {
            for (at, length) in [(0, 512), (512, 4096), (700, 100), (4095, 2), (16_383, 1), (1000, 4096)] {
                let mut read = vec![0; length];
                read_past_cache(&file, at as u64, &mut read, 512).unwrap();
                assert_eq!(read, content[at..at + length], "{at}");
            }
        }
    }
}
