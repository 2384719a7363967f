//! FAT12, FAT16 and FAT32, read through `fatfs`.

use std::collections::HashSet;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::SystemTime;

use block_io::BlockRead;
use fatfs::DateTime;

use crate::boot::FatLayout;
use crate::dos_time;
use crate::fence::fenced;
use crate::oem::mount_options;
use crate::path::fold;
use crate::stream::{Meter, Stream};
use crate::{Entry, EntryKind, Error, Listing};

type Device<'d> = Stream<&'d dyn BlockRead>;
type Dir<'f, 'd> = fatfs::Dir<'f, Device<'d>>;
type DirEntry<'f, 'd> = fatfs::DirEntry<'f, Device<'d>>;

/// A FAT directory may have 65536 entries of 32 bytes; what is read beyond that and the table on the way is a loop.
const DIRECTORY_BUDGET: u64 = 4 << 20;
const MAX_ENTRIES: usize = 65_536;
/// How much of a file is handed on at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// What reading a chunk may cost, table included.
const CHUNK_BUDGET: u64 = 1 << 20;

/// Reader of one FAT volume.
pub(crate) struct FatView {
    layout: FatLayout,
}

/// A volume mounted for one operation: `fatfs` keeps its state in cells, so that it could not be shared.
struct Mounted<'d> {
    fat: fatfs::FileSystem<Device<'d>>,
    meter: Rc<Meter>,
}

impl FatView {
    pub(crate) fn new(layout: FatLayout) -> Self {
        Self { layout }
    }

    /// Number of the cluster that starts at or before `place`.
    pub(crate) fn cluster_at(&self, place: u64) -> Option<u32> {
        let distance = place.checked_sub(self.layout.data_start)?;
        u32::try_from(2 + distance / self.layout.cluster_bytes).ok()
    }

    fn mount<'d>(&self, device: &'d dyn BlockRead) -> Result<Mounted<'d>, Error> {
        let mut stream = Stream::new(device, DIRECTORY_BUDGET);
        let meter = stream.meter();
        if let Some(start) = self.layout.info_start {
            // The FSInfo sector only holds hints about free space; `fatfs` refuses a volume where it is damaged.
            stream.set_overlay(start, blank_info_sector());
        }
        let fat = fatfs::FileSystem::new(stream, mount_options()).map_err(Error::from_library)?;
        Ok(Mounted { fat, meter })
    }

    /// The label of the volume, when it has one.
    pub(crate) fn label(&self, device: &dyn BlockRead) -> Result<Option<String>, Error> {
        fenced(|| {
            let volume = self.mount(device)?;
            let label = volume.fat.read_volume_label_from_root_dir().map_err(Error::from_library)?;
            Ok(label.filter(|label| !label.is_empty()))
        })
    }

    /// Lists a directory. The number tells directories apart: two paths with the same number lead to the same place.
    pub(crate) fn list(&self, device: &dyn BlockRead, parts: &[&str], path: &str) -> Result<(Listing, u64), Error> {
        fenced(|| {
            let volume = self.mount(device)?;
            let directory = match volume.find(parts, path)? {
                None => volume.fat.root_dir(),
                Some(entry) if entry.is_dir() => entry.to_dir(),
                Some(_) => return Err(Error::NotADirectory { path: path.to_owned() }),
            };
            let (listing, has_start) = volume.list(&directory, path);
            // Only the start of a directory tells it from any other cluster; a damaged entry can point anywhere.
            if !parts.is_empty() && !has_start {
                return Err(Error::damaged(format!("{path:?} does not hold a directory")));
            }
            match volume.meter.first_read() {
                Some(place) if place >= self.layout.fat_start + self.layout.fats * self.layout.fat_bytes => {
                    Ok((listing, place))
                }
                _ => Err(Error::damaged(format!("{path:?} lies outside of the volume"))),
            }
        })
    }

    pub(crate) fn stat(&self, device: &dyn BlockRead, parts: &[&str], path: &str) -> Result<Entry, Error> {
        fenced(|| {
            let volume = self.mount(device)?;
            Ok(volume.find(parts, path)?.map_or_else(Entry::root, |entry| to_entry(&entry)))
        })
    }

    /// Hands the content of a file to `sink`, chunk by chunk.
    pub(crate) fn read(
        &self,
        device: &dyn BlockRead,
        parts: &[&str],
        path: &str,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let volume = fenced(|| self.mount(device))?;
        let entry = fenced(|| volume.find(parts, path))?.filter(|entry| !entry.is_dir());
        let entry = entry.ok_or_else(|| Error::NotAFile { path: path.to_owned() })?;
        let size = entry.len();
        if size > self.layout.clusters * self.layout.cluster_bytes {
            return Err(Error::damaged(format!("{path:?} claims to be larger than the volume")));
        }
        let mut file = entry.to_file();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut done = 0;
        while done < size {
            volume.meter.start(CHUNK_BUDGET);
            let count = fenced(|| fill(&mut file, &mut buffer).map_err(Error::from_library))?;
            if count == 0 {
                return Err(Error::damaged(format!("{path:?} ends after {done} of {size} bytes")));
            }
            sink(&buffer[..count])?;
            done += count as u64;
        }
        Ok(done)
    }
}

impl<'d> Mounted<'d> {
    /// Follows a path from the root; `None` is the root itself.
    fn find(&self, parts: &[&str], path: &str) -> Result<Option<DirEntry<'_, 'd>>, Error> {
        let mut found: Option<DirEntry<'_, 'd>> = None;
        for part in parts {
            let directory = match &found {
                None => self.fat.root_dir(),
                Some(entry) if entry.is_dir() => entry.to_dir(),
                Some(_) => return Err(Error::NotADirectory { path: path.to_owned() }),
            };
            let next = self.find_in(&directory, part)?;
            found = Some(next.ok_or_else(|| Error::NotFound { path: path.to_owned() })?);
        }
        Ok(found)
    }

    fn find_in<'f>(&'f self, directory: &Dir<'f, 'd>, name: &str) -> Result<Option<DirEntry<'f, 'd>>, Error> {
        self.meter.start(DIRECTORY_BUDGET);
        let wanted = fold(name);
        for entry in directory.iter().take(MAX_ENTRIES) {
            let entry = entry.map_err(Error::from_library)?;
            if fold(&entry.file_name()) == wanted || fold(&entry.short_file_name()) == wanted {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The listing, and whether the directory begins as every one but the root does: with an entry for itself.
    fn list(&self, directory: &Dir<'_, 'd>, path: &str) -> (Listing, bool) {
        self.meter.start(DIRECTORY_BUDGET);
        let mut listing = Listing::default();
        let mut names = HashSet::new();
        let mut has_start = false;
        for (index, entry) in directory.iter().take(MAX_ENTRIES).enumerate() {
            match entry {
                Ok(entry) if index == 0 && entry.short_file_name_as_bytes() == b"." => has_start = true,
                Ok(entry) if matches!(entry.short_file_name_as_bytes(), b"." | b"..") => {}
                Ok(entry) if names.insert(entry.file_name()) => listing.push(path, to_entry(&entry)),
                // A chain that leads back into itself tells every name again and again.
                Ok(entry) => listing.problem(&format!("{path}/{}", entry.file_name()), "the name appears twice"),
                Err(error) => listing.problem(path, Error::from_library(error).to_string()),
            }
        }
        (listing, has_start)
    }
}

fn to_entry(entry: &DirEntry<'_, '_>) -> Entry {
    let directory = entry.is_dir();
    Entry {
        name: entry.file_name(),
        kind: if directory { EntryKind::Directory } else { EntryKind::File },
        size_bytes: if directory { 0 } else { entry.len() },
        modified: to_system_time(entry.modified()),
        created: to_system_time(entry.created()),
    }
}

/// `None` for fields that are no date, such as all zeros.
fn to_system_time(time: DateTime) -> Option<SystemTime> {
    let (date, time) = (time.date, time.time);
    let seconds = u64::from(time.hour) * 3600 + u64::from(time.min) * 60 + u64::from(time.sec);
    if time.hour > 23 || time.min > 59 || time.sec > 60 {
        return None;
    }
    dos_time::to_system_time(date.year, date.month, date.day, seconds)
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// An FSInfo sector that knows nothing.
fn blank_info_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..4].copy_from_slice(b"RRaA");
    sector[484..488].copy_from_slice(b"rrAa");
    sector[488..496].fill(0xFF);
    sector[508..].copy_from_slice(&[0, 0, 0x55, 0xAA]);
    sector
}
