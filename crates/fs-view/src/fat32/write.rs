//! Putting files onto a FAT volume.

use std::io::{Read, Write};

use block_io::{BlockRead, BlockWrite};
use fatfs::Dir;

use crate::boot::{self, Boot};
use crate::fence::fenced;
use crate::oem::mount_options;
use crate::path::components;
use crate::stream::WriteStream;
use crate::{Entry, EntryKind, Error, FileSystem};

const CHUNK_BYTES: usize = 128 * 1024;
const DIR_ENTRY_BYTES: usize = 32;
/// The size of a file is kept in 32 bits.
const MAX_FILE_BYTES: u64 = u32::MAX as u64;

type Volume<'d, D> = fatfs::FileSystem<WriteStream<&'d D>>;

/// Writes a file, in place of one that has the same path. Returns its length, after a flush.
///
/// When it fails, the file is removed again as far as that is possible.
///
/// # Errors
/// [`Error::BadPath`], [`Error::NotFound`] when its directory does not exist, [`Error::NotAFile`];
/// [`Error::TooLarge`] from 4 GiB on; [`Error::Source`] when `source` fails; [`Error::Io`] when the volume is full or
/// fails.
pub fn write_file<D: BlockWrite>(device: &D, path: &str, source: &mut dyn Read) -> Result<u64, Error> {
    let parts = components(path)?;
    let (name, parents) = parts.split_last().ok_or_else(|| Error::NotAFile { path: path.to_owned() })?;
    let existing = look(device, path)?;
    if existing.is_some_and(|entry| entry.kind != EntryKind::File) {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let volume = fenced(|| mount(device))?;
    let result = fenced(|| directory(&volume, parents, path)).and_then(|directory| {
        let result = copy(&directory, name, source);
        if result.is_err() {
            // The first error is the one to tell.
            let _ = fenced(|| directory.remove(name).map_err(Error::from_library));
        }
        result
    });
    let unmounted = fenced(|| volume.unmount().map_err(Error::from_library));
    let length = result?;
    unmounted?;
    device.flush()?;
    Ok(length)
}

/// Creates a directory; nothing happens when it exists already.
///
/// # Errors
/// [`Error::BadPath`], [`Error::NotFound`] when its parent does not exist, [`Error::NotADirectory`], [`Error::Io`].
pub fn create_dir<D: BlockWrite>(device: &D, path: &str) -> Result<(), Error> {
    let parts = components(path)?;
    let Some((name, parents)) = parts.split_last() else {
        return Ok(());
    };
    match look(device, path)? {
        Some(entry) if entry.kind == EntryKind::Directory => return Ok(()),
        Some(_) => return Err(Error::NotADirectory { path: path.to_owned() }),
        None => {}
    }
    fenced(|| {
        let volume = mount(device)?;
        directory(&volume, parents, path)?.create_dir(name).map_err(Error::from_library)?;
        volume.unmount().map_err(Error::from_library)
    })?;
    mend_dots(device, path, parents)?;
    device.flush()?;
    Ok(())
}

/// Rewrites the entries `.` and `..` of a new directory.
///
/// `fatfs` gives both a long name, and lets `..` of a directory in the root name the root's cluster instead of 0;
/// checkers take either as damage.
fn mend_dots<D: BlockWrite>(device: &D, path: &str, parents: &[&str]) -> Result<(), Error> {
    let volume = FileSystem::open(device)?;
    let start = volume.fat_start(path)?;
    let (_, place) = start.ok_or_else(|| Error::damaged("a new directory has no cluster"))?;
    // The root counts as cluster 0.
    let parent = volume.fat_start(&parents.join("/"))?.map_or(0, |(cluster, _)| cluster);
    let mut old = [0; 4 * DIR_ENTRY_BYTES];
    device.read_exact_at(place, &mut old)?;
    let [_, dot, _, dot_dot] = old.as_chunks_mut::<DIR_ENTRY_BYTES>().0 else {
        return Err(Error::damaged("a new directory has no first entries"));
    };
    if &dot[..11] != b".          " || &dot_dot[..11] != b"..         " {
        return Err(Error::damaged("a new directory has other entries than expected"));
    }
    let [low_0, low_1, high_0, high_1] = parent.to_le_bytes();
    dot_dot[20..22].copy_from_slice(&[high_0, high_1]);
    dot_dot[26..28].copy_from_slice(&[low_0, low_1]);
    let mut new = [0; 4 * DIR_ENTRY_BYTES];
    new[..DIR_ENTRY_BYTES].copy_from_slice(dot);
    new[DIR_ENTRY_BYTES..2 * DIR_ENTRY_BYTES].copy_from_slice(dot_dot);
    Ok(device.write_all_at(place, &new)?)
}

/// What is at the path now; `None` when nothing is.
fn look<D: BlockRead>(device: &D, path: &str) -> Result<Option<Entry>, Error> {
    match FileSystem::open(device)?.stat(path) {
        Ok(entry) => Ok(Some(entry)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn mount<D: BlockWrite>(device: &D) -> Result<Volume<'_, D>, Error> {
    let mut sector = [0; boot::BOOT_BYTES];
    device.read_exact_at(0, &mut sector)?;
    match boot::recognise(&sector, device.geometry().length_bytes)? {
        Boot::Fat(_) => {}
        Boot::Ntfs(_) => return Err(Error::Unknown { found: Some("NTFS, which cannot be written") }),
        Boot::ExFat(_) => return Err(Error::Unknown { found: Some("exFAT, which cannot be written") }),
    }
    let stream = WriteStream::new(device);
    fatfs::FileSystem::new(stream, mount_options()).map_err(Error::from_library)
}

fn directory<'v, 'd, D: BlockWrite>(
    volume: &'v Volume<'d, D>,
    parts: &[&str],
    path: &str,
) -> Result<Dir<'v, WriteStream<&'d D>>, Error> {
    let mut directory = volume.root_dir();
    for part in parts {
        directory = directory.open_dir(part).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
            _ => Error::from_library(error),
        })?;
    }
    Ok(directory)
}

/// Writes the content. The source runs outside of the fence: its panics are not the file system's.
fn copy<D: BlockWrite>(directory: &Dir<'_, WriteStream<&D>>, name: &str, source: &mut dyn Read) -> Result<u64, Error> {
    let mut file = fenced(|| {
        let mut file = directory.create_file(name).map_err(Error::from_library)?;
        file.truncate().map_err(Error::from_library)?;
        Ok(file)
    })?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut written = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Source(error)),
        };
        if written + count as u64 > MAX_FILE_BYTES {
            return Err(Error::TooLarge { bytes: written + count as u64, maximum_bytes: MAX_FILE_BYTES });
        }
        fenced(|| file.write_all(&buffer[..count]).map_err(Error::from_library))?;
        written += count as u64;
    }
    fenced(|| file.flush().map_err(Error::from_library))?;
    Ok(written)
}
