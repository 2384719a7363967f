//! A disk image file or a block device.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use crate::{BlockRead, BlockWrite, Error, Geometry, check_range};

/// A file or block device, read and written at offsets without a shared position.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    writable: bool,
    geometry: Geometry,
}

impl FileDisk {
    /// Opens an existing file or device for reading.
    ///
    /// # Errors
    /// [`Error::Io`] with the operating system's reason.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::from_file(File::open(path).map_err(|source| io_error("open", 0, source))?, false)
    }

    /// Opens an existing file or device for reading and writing.
    ///
    /// # Errors
    /// [`Error::Io`] with the operating system's reason.
    pub fn open_writable(path: &Path) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(path).map_err(|source| io_error("open", 0, source))?;
        Self::from_file(file, true)
    }

    /// Creates a new sparse file of `length_bytes`; an existing file is never touched.
    ///
    /// # Errors
    /// [`Error::Io`], of kind `AlreadyExists` where there is one. A new file that cannot have this length is removed again.
    pub fn create_new(path: &Path, length_bytes: u64) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| io_error("open", 0, source))?;
        if let Err(source) = file.set_len(length_bytes) {
            // It did not exist before, and nothing is in it.
            let _ = std::fs::remove_file(path);
            return Err(io_error("size", length_bytes, source));
        }
        Self::from_file(file, true)
    }

    /// A file or device that the caller opened for reading and writing, in a way of its own.
    ///
    /// # Errors
    /// [`Error::Io`] where its size cannot be told.
    pub fn from_opened(file: File) -> Result<Self, Error> {
        Self::from_file(file, true)
    }

    fn from_file(mut file: File, writable: bool) -> Result<Self, Error> {
        // Seeking tells the size of block devices too, where the metadata says 0.
        let length_bytes = file.seek(SeekFrom::End(0)).map_err(|source| io_error("size", 0, source))?;
        let sector_bytes = device_sector_bytes(&file).unwrap_or(512);
        Ok(Self { file, writable, geometry: Geometry { length_bytes, sector_bytes } })
    }

    /// Whether this is a block device, not a file.
    #[must_use]
    pub fn is_device(&self) -> bool {
        device_number(&self.file).is_some()
    }
}

impl BlockRead for FileDisk {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        check_range(offset_bytes, buffer.len(), self.geometry.length_bytes)?;
        positioned::read_exact(&self.file, offset_bytes, buffer)
            .map_err(|source| io_error("read", offset_bytes, source))
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }
}

impl BlockWrite for FileDisk {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        check_range(offset_bytes, data.len(), self.geometry.length_bytes)?;
        positioned::write_all(&self.file, offset_bytes, data).map_err(|source| io_error("write", offset_bytes, source))
    }

    fn flush(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| io_error("flush", 0, source))
    }
}

fn io_error(operation: &'static str, offset_bytes: u64, source: io::Error) -> Error {
    Error::Io { operation, offset_bytes, source }
}

/// Major and minor number of a block device; `None` for anything else.
#[cfg(target_os = "linux")]
fn device_number(file: &File) -> Option<(u64, u64)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let metadata = file.metadata().ok()?;
    let number = metadata.file_type().is_block_device().then(|| metadata.rdev())?;
    // How Linux packs both into 64 bits for programs.
    let major = ((number >> 32) & 0xFFFF_F000) | ((number >> 8) & 0xFFF);
    let minor = ((number >> 12) & 0xFFFF_FF00) | (number & 0xFF);
    Some((major, minor))
}

#[cfg(not(target_os = "linux"))]
fn device_number(file: &File) -> Option<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = file.metadata().ok()?.file_type();
        // On macOS disks are character devices, too (`/dev/rdisk2`).
        (kind.is_block_device() || kind.is_char_device()).then_some(())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// The logical sector size that the kernel tells for a block device.
#[cfg(target_os = "linux")]
fn device_sector_bytes(file: &File) -> Option<u32> {
    let (major, minor) = device_number(file)?;
    let device = format!("/sys/dev/block/{major}:{minor}");
    // The queue belongs to the whole disk; the folder of a partition lies inside that of its disk.
    let text = ["queue", "../queue"]
        .iter()
        .find_map(|queue| std::fs::read_to_string(format!("{device}/{queue}/logical_block_size")).ok())?;
    text.trim().parse().ok().filter(|size: &u32| size.is_power_of_two() && (512..=65536).contains(size))
}

#[cfg(not(target_os = "linux"))]
fn device_sector_bytes(_file: &File) -> Option<u32> {
    None
}

#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(super) fn read_exact(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    pub(super) fn write_all(file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        file.write_all_at(data, offset)
    }
}

#[cfg(windows)]
mod positioned {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub(super) fn read_exact(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match file.seek_read(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn write_all(file: &File, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            match file.seek_write(data, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    data = &data[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_file_reads_back_and_ends_where_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let disk = FileDisk::create_new(&path, 1024).unwrap();
        disk.write_all_at(1000, b"end of the image, 24 byt").unwrap();
        disk.flush().unwrap();
        let mut buffer = [0; 24];
        FileDisk::open(&path).unwrap().read_exact_at(1000, &mut buffer).unwrap();
        assert_eq!(&buffer, b"end of the image, 24 byt");
        assert!(matches!(disk.read_exact_at(1001, &mut buffer), Err(Error::OutOfRange { storage_bytes: 1024, .. })));
    }

    #[test]
    fn an_existing_file_is_never_created_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        std::fs::write(&path, b"precious").unwrap();
        assert!(FileDisk::create_new(&path, 1024).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert!(matches!(FileDisk::open(&path).unwrap().write_all_at(0, b"x"), Err(Error::ReadOnly)));
    }
}
