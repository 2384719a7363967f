//! NTFS: records through the library `ntfs`, content and directory trees on top of its runs.

mod extents;
mod index;
mod tree;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use block_io::BlockRead;
use ntfs::structured_values::NtfsFileAttributeFlags;
use ntfs::{Ntfs, NtfsAttributeType, NtfsFile, NtfsFileFlags, NtfsTime};

use self::extents::Content;
use self::index::Key;
use self::tree::Directory;
use crate::fence::fenced;
use crate::stream::Stream;
use crate::{Entry, EntryKind, Error, Listing};

pub(super) type Device<'d> = Stream<&'d dyn BlockRead>;

/// Records below this number belong to the file system itself.
const FIRST_USER_RECORD: u64 = 24;
const ROOT_RECORD: u64 = 5;
const UPCASE_RECORD: u64 = 10;
/// Letters in the table for comparing names.
const UPCASE_BYTES: usize = 65_536 * 2;
/// What reading one record or one node may cost, attribute lists included.
const STEP_BUDGET: u64 = 16 << 20;
/// How much of a file is handed on at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Reader of one NTFS volume.
pub(crate) struct NtfsView {
    ntfs: Ntfs,
    /// Upper case of every UTF-16 unit, as this volume sorts; empty where the table is damaged.
    upcase: Vec<u16>,
}

/// A record that was looked up, with how its directory names it; the root has no name.
struct Found {
    record: u64,
    key: Option<Key>,
}

impl NtfsView {
    pub(crate) fn open(device: &dyn BlockRead) -> Result<Self, Error> {
        let mut stream = Stream::new(device, STEP_BUDGET);
        let ntfs = fenced(|| Ok(Ntfs::new(&mut stream)?))?;
        // Without the table names are compared the slow way: a damaged table must not keep the files away.
        let upcase = fenced(|| read_upcase(&ntfs, &mut stream)).unwrap_or_default();
        Ok(Self { ntfs, upcase })
    }

    /// The label of the volume, when it has one.
    pub(crate) fn label(&self, device: &dyn BlockRead) -> Result<Option<String>, Error> {
        fenced(|| {
            let mut stream = Stream::new(device, STEP_BUDGET);
            let name = self.ntfs.volume_name(&mut stream).transpose()?;
            Ok(name.map(|name| name.name().to_string_lossy()).filter(|name| !name.is_empty()))
        })
    }

    /// Lists a directory. The number tells directories apart: two paths with the same number lead to the same place.
    pub(crate) fn list(&self, device: &dyn BlockRead, parts: &[&str], path: &str) -> Result<(Listing, u64), Error> {
        fenced(|| {
            let mut stream = Stream::new(device, STEP_BUDGET);
            let found = self.find(&mut stream, parts, path)?;
            let directory = self.directory(&mut stream, &found, path)?;
            let mut listing = Listing::default();
            let (keys, problems) = directory.keys(&mut stream);
            for reason in problems {
                listing.problem(path, reason);
            }
            for key in &keys {
                if key.alias || found.record == ROOT_RECORD && key.record < FIRST_USER_RECORD {
                    continue;
                }
                // A panic on one damaged record must not hide the other names.
                match fenced(|| self.entry(&mut stream, key)) {
                    Ok(entry) => listing.push(path, entry),
                    Err(error) => listing.problem(&format!("{path}/{}", text(&key.name)), error.to_string()),
                }
            }
            Ok((listing, found.record))
        })
    }

    pub(crate) fn stat(&self, device: &dyn BlockRead, parts: &[&str], path: &str) -> Result<Entry, Error> {
        fenced(|| {
            let mut stream = Stream::new(device, STEP_BUDGET);
            match self.find(&mut stream, parts, path)?.key {
                None => Ok(Entry::root()),
                Some(key) => self.entry(&mut stream, &key),
            }
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
        let mut stream = Stream::new(device, STEP_BUDGET);
        let content = fenced(|| self.content(&mut stream, parts, path))?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut done = 0;
        while done < content.size() {
            let count = usize::try_from(content.size() - done).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            stream.meter().start(STEP_BUDGET);
            content.read_exact_at(&mut stream, done, &mut buffer[..count])?;
            sink(&buffer[..count])?;
            done += count as u64;
        }
        Ok(done)
    }

    /// The content of a file, once it is certain that it can be read.
    fn content(&self, stream: &mut Device<'_>, parts: &[&str], path: &str) -> Result<Content, Error> {
        let not_a_file = || Error::NotAFile { path: path.to_owned() };
        let key = self.find(stream, parts, path)?.key.ok_or_else(not_a_file)?;
        if self.entry(stream, &key)?.kind != EntryKind::File {
            return Err(not_a_file());
        }
        let file = self.record(stream, &key)?;
        let content = Content::find(&self.ntfs, stream, &file, NtfsAttributeType::Data, "")?;
        let content = content.ok_or_else(|| Error::damaged(format!("{path:?} has no content attribute")))?;
        if let Some(how) = content.transformed() {
            return Err(Error::Unsupported { path: path.to_owned(), how });
        }
        content.check(stream.length())?;
        Ok(content)
    }

    /// Follows a path from the root.
    fn find(&self, stream: &mut Device<'_>, parts: &[&str], path: &str) -> Result<Found, Error> {
        let mut found = Found { record: ROOT_RECORD, key: None };
        for part in parts {
            let directory = self.directory(stream, &found, path)?;
            let key = directory.lookup(stream, part, &self.upcase)?;
            let key = key.filter(|key| found.record != ROOT_RECORD || key.record >= FIRST_USER_RECORD);
            let key = key.ok_or_else(|| Error::NotFound { path: path.to_owned() })?;
            found = Found { record: key.record, key: Some(key) };
        }
        Ok(found)
    }

    fn directory(&self, stream: &mut Device<'_>, found: &Found, path: &str) -> Result<Directory, Error> {
        stream.meter().start(STEP_BUDGET);
        let file = match &found.key {
            None => self.ntfs.file(stream, found.record)?,
            Some(key) => self.record(stream, key)?,
        };
        if !file.is_directory() || found.key.as_ref().is_some_and(|key| is_reparse(&file, key)) {
            return Err(Error::NotADirectory { path: path.to_owned() });
        }
        Directory::open(&self.ntfs, stream, &file)
    }

    /// The record behind a name, if it still belongs to it.
    fn record<'n>(&'n self, stream: &mut Device<'_>, key: &Key) -> Result<NtfsFile<'n>, Error> {
        stream.meter().start(STEP_BUDGET);
        let file = self.ntfs.file(stream, key.record)?;
        if !file.flags().contains(NtfsFileFlags::IN_USE) || file.sequence_number() != key.sequence {
            return Err(Error::damaged("the name refers to a file that does not exist any more"));
        }
        Ok(file)
    }

    fn entry(&self, stream: &mut Device<'_>, key: &Key) -> Result<Entry, Error> {
        let file = self.record(stream, key)?;
        let kind = if is_reparse(&file, key) {
            EntryKind::Other
        } else if file.is_directory() {
            EntryKind::Directory
        } else {
            EntryKind::File
        };
        // The directory's own copy of the size may be stale; the record's is not.
        let size_bytes = match kind {
            EntryKind::File => Content::find(&self.ntfs, stream, &file, NtfsAttributeType::Data, "")?
                .map_or(0, |content| content.size()),
            _ => 0,
        };
        let info = file.info().ok();
        Ok(Entry {
            name: text(&key.name),
            kind,
            size_bytes,
            modified: info.as_ref().and_then(|info| to_system_time(info.modification_time())),
            created: info.as_ref().and_then(|info| to_system_time(info.creation_time())),
        })
    }
}

fn is_reparse(file: &NtfsFile<'_>, key: &Key) -> bool {
    key.reparse || file.info().is_ok_and(|info| info.file_attributes().contains(NtfsFileAttributeFlags::REPARSE_POINT))
}

fn read_upcase(ntfs: &Ntfs, stream: &mut Device<'_>) -> Result<Vec<u16>, Error> {
    let file = ntfs.file(stream, UPCASE_RECORD)?;
    let content = Content::find(ntfs, stream, &file, NtfsAttributeType::Data, "")?;
    let content = content.ok_or_else(|| Error::damaged("the table of upper-case letters is missing"))?;
    let mut bytes = vec![0; UPCASE_BYTES];
    content.read_exact_at(stream, 0, &mut bytes)?;
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn text(name: &[u16]) -> String {
    String::from_utf16_lossy(name)
}

/// `None` for the zero stamp, which means never, and for times that the host cannot express.
fn to_system_time(time: NtfsTime) -> Option<SystemTime> {
    const UNIX_EPOCH_TICKS: u64 = 116_444_736_000_000_000;
    let ticks = time.nt_timestamp();
    let duration = |ticks: u64| Duration::new(ticks / 10_000_000, u32::try_from(ticks % 10_000_000).unwrap_or(0) * 100);
    match ticks.checked_sub(UNIX_EPOCH_TICKS) {
        _ if ticks == 0 => None,
        Some(since) => UNIX_EPOCH.checked_add(duration(since)),
        None => UNIX_EPOCH.checked_sub(duration(UNIX_EPOCH_TICKS - ticks)),
    }
}
