//! NTFS.
//!
//! A file is a record of the file table; its attributes are its dates, its names, its content and, for a directory, a tree
//! of names. One reader serves any number of threads: it holds the clusters of the file table and the table of upper-case
//! letters, everything else is read through the shared cache.

mod directory;
mod index;
mod parts;
mod record;
mod reparse;
mod runs;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::directory::Directory;
use self::index::Key;
use self::record::{Attribute, Record, Value, types};
use crate::boot::NtfsLayout;
use crate::bytes::{index, u32_at, u64_at, units};
use crate::cache::Source;
use crate::content::Content;
use crate::entry::{Place, StreamEntry, join};
use crate::extents::Extents;
use crate::layout::RawRecord;
use crate::{Attributes, Entry, EntryKind, Error, Listing, Problem};

/// Records below this number belong to the file system itself.
const FIRST_USER_RECORD: u64 = 24;
const TABLE_RECORD: u64 = 0;
const VOLUME_RECORD: u64 = 3;
const ROOT_RECORD: u64 = 5;
const UPCASE_RECORD: u64 = 10;
/// Records that the mirror of the table holds at least.
const MIRRORED_RECORDS: u64 = 4;
/// Letters in the table for comparing names.
const UPCASE_BYTES: usize = 65_536 * 2;
/// Longest value of a reparse point that Windows allows.
const MAX_REPARSE_BYTES: u64 = 16 * 1024;

/// Reader of one NTFS volume.
pub(crate) struct Ntfs {
    layout: NtfsLayout,
    table: Extents,
    /// Upper case of every UTF-16 unit, as this volume sorts; empty where the table is damaged.
    upcase: Vec<u16>,
}

impl Ntfs {
    /// Finds the file table. What had to be taken from copies is told.
    pub(crate) fn open(source: Source<'_>, layout: NtfsLayout) -> Result<(Self, Vec<Problem>), Error> {
        let mut ntfs = Self { layout, table: Extents::default(), upcase: Vec::new() };
        // Until its clusters are known, the table begins where the boot sector says.
        ntfs.table.push(layout.record_bytes * FIRST_USER_RECORD, Some(layout.mft_start))?;
        let mut problems = Vec::new();
        if let Err(error) = ntfs.find_table(source, false) {
            ntfs.find_table(source, true).map_err(|_| error)?;
            problems.push(Problem {
                path: "/".to_owned(),
                reason: "the start of the file table is damaged; its mirror is used instead".to_owned(),
            });
        }
        // Without the table names are compared the slow way: a damaged table must not keep the files away.
        ntfs.upcase = ntfs.read_upcase(source).unwrap_or_default();
        Ok((ntfs, problems))
    }

    fn find_table(&mut self, source: Source<'_>, from_mirror: bool) -> Result<(), Error> {
        let record = if from_mirror {
            self.mirrored(source, TABLE_RECORD)?
        } else {
            self.record_at(source, TABLE_RECORD, self.layout.mft_start)?
        };
        parts::grow_table(self, source, &record)
    }

    fn set_table(&mut self, table: Extents) {
        self.table = table;
    }

    fn cluster_bytes(&self) -> u64 {
        self.layout.cluster_bytes
    }

    fn record_at(&self, source: Source<'_>, number: u64, place: u64) -> Result<Record, Error> {
        let mut bytes = vec![0; index(self.layout.record_bytes)];
        source.read_exact_at(place, &mut bytes)?;
        Record::parse(number, bytes)
    }

    fn mirrored(&self, source: Source<'_>, number: u64) -> Result<Record, Error> {
        if self.layout.mirror_start == 0 {
            return Err(Error::damaged("the mirror of the file table is outside of the volume"));
        }
        self.record_at(source, number, self.layout.mirror_start + number * self.layout.record_bytes)
    }

    /// A record by its number, whether it is in use or not.
    fn record(&self, source: Source<'_>, number: u64) -> Result<Record, Error> {
        let mut bytes = vec![0; index(self.layout.record_bytes)];
        let offset = number.checked_mul(self.layout.record_bytes).filter(|offset| *offset < self.table.covered());
        let offset = offset.ok_or_else(|| Error::damaged(format!("file record {number} does not exist")))?;
        let read = self.table.read_exact_at(source, offset, &mut bytes).and_then(|()| Record::parse(number, bytes));
        match read {
            Err(error) if number < MIRRORED_RECORDS => self.mirrored(source, number).map_err(|_| error),
            read => read,
        }
    }

    /// The record of a file, if it still belongs to it.
    fn file(&self, source: Source<'_>, number: u64, sequence: u16) -> Result<Record, Error> {
        let record = self.record(source, number)?;
        if !record.is_in_use() || record.sequence() != sequence || record.base() != 0 {
            return Err(Error::damaged("the name refers to a file that does not exist any more"));
        }
        Ok(record)
    }

    fn record_of(&self, source: Source<'_>, entry: &Entry) -> Result<Record, Error> {
        match entry.place {
            Place::Record { number, sequence } => self.file(source, number, sequence),
            _ => Err(Error::damaged("the entry belongs to another volume")),
        }
    }

    /// What the boot sector says.
    pub(crate) fn layout(&self) -> NtfsLayout {
        self.layout
    }

    /// The content of one of the file system's own files; `None` when it has no such stream.
    pub(crate) fn own_stream(&self, source: Source<'_>, number: u64, name: &str) -> Result<Option<Content>, Error> {
        let record = self.record(source, number)?;
        self.content(source, &record, types::DATA, name)
    }

    /// A record as it is without its torn-write marks, and where it is.
    pub(crate) fn raw_record(&self, source: Source<'_>, number: u64) -> Result<RawRecord, Error> {
        let bytes = self.record(source, number)?.bytes;
        let (mut places, mut offset) = (Vec::new(), number * self.layout.record_bytes);
        let end = offset + self.layout.record_bytes;
        while offset < end {
            let part = self.table.part_at(offset).ok_or_else(|| Error::damaged("the file table ends early"))?;
            let place = part.place.ok_or_else(|| Error::damaged("the file table has a hole"))?;
            let length = part.length.min(end - offset);
            places.push((place, length));
            offset += length;
        }
        Ok(RawRecord { bytes, places })
    }

    /// The label of the volume, when it has one.
    pub(crate) fn label(&self, source: Source<'_>) -> Result<Option<String>, Error> {
        let record = self.record(source, VOLUME_RECORD)?;
        let label = match record.unnamed(types::VOLUME_NAME)? {
            Some(Attribute { value: Value::Resident(value), .. }) => text(&units(value)),
            _ => String::new(),
        };
        Ok(Some(label).filter(|label| !label.is_empty()))
    }

    /// The root directory.
    pub(crate) fn root(&self, source: Source<'_>) -> Result<Entry, Error> {
        let record = self.record(source, ROOT_RECORD)?;
        let mut entry = self.entry_of(source, &record, String::new())?;
        entry.kind = EntryKind::Directory;
        Ok(entry)
    }

    /// Lists a directory.
    pub(crate) fn list(&self, source: Source<'_>, entry: &Entry, path: &str) -> Result<Listing, Error> {
        let record = self.record_of(source, entry)?;
        let directory = Directory::open(self, source, &record)?;
        let mut listing = Listing::default();
        let (keys, problems) = directory.keys(source);
        for reason in problems {
            listing.problem(path, reason);
        }
        listing.entries.reserve(keys.len());
        for key in keys {
            if key.alias || is_hidden(record.number, &key) {
                continue;
            }
            match self.entry(source, &key) {
                Ok(entry) => listing.push(path, entry),
                Err(error) => listing.problem(&join(path, &text(&key.name)), error.to_string()),
            }
        }
        Ok(listing)
    }

    /// The entry of a name in a directory.
    pub(crate) fn lookup(&self, source: Source<'_>, entry: &Entry, name: &str) -> Result<Option<Entry>, Error> {
        let record = self.record_of(source, entry)?;
        let directory = Directory::open(self, source, &record)?;
        let key = directory.lookup(source, name, &self.upcase)?;
        key.filter(|key| !is_hidden(record.number, key)).map(|key| self.entry(source, &key)).transpose()
    }

    fn entry(&self, source: Source<'_>, key: &Key) -> Result<Entry, Error> {
        let record = self.file(source, key.record, key.sequence)?;
        self.entry_of(source, &record, text(&key.name))
    }

    fn entry_of(&self, source: Source<'_>, record: &Record, name: String) -> Result<Entry, Error> {
        let info = record.unnamed(types::STANDARD_INFORMATION)?;
        let info = match &info {
            Some(Attribute { value: Value::Resident(value), .. }) => *value,
            _ => &[],
        };
        let time = |offset| u64_at(info, offset).and_then(to_system_time);
        let attributes = Attributes::new(u32_at(info, 32).unwrap_or(0));
        let of_record = if record.is_directory() { EntryKind::Directory } else { EntryKind::File };
        let mut kind = match self.reparse_tag(source, record, attributes)? {
            Some(tag) => reparse::kind(tag, of_record),
            None => of_record,
        };
        let (mut size_bytes, mut allocated_bytes) = (0, 0);
        if kind == EntryKind::File {
            // The directory's own copy of the size may be stale; the record's is not.
            self.for_each_part(source, record, types::DATA, "", &mut |attribute| {
                (size_bytes, allocated_bytes) = attribute.sizes();
                if let (true, Value::Resident(value)) = (attributes.system(), &attribute.value)
                    && reparse::unix_target(value).is_some()
                {
                    kind = EntryKind::SymbolicLink;
                }
                Ok(false)
            })?;
        }
        Ok(Entry {
            name,
            kind,
            size_bytes: if kind == EntryKind::File { size_bytes } else { 0 },
            allocated_bytes,
            modified: time(8),
            created: time(0),
            accessed: time(24),
            attributes,
            links: self.links(record).max(1),
            id: record.number,
            place: Place::Record { number: record.number, sequence: record.sequence() },
        })
    }

    /// Names of the file, without the 8.3 aliases that the record counts too.
    fn links(&self, record: &Record) -> u32 {
        const FILE_NAME: u32 = 0x30;
        const NAMESPACE: usize = 65;
        let is_alias = |attribute: &Attribute<'_>| match attribute.value {
            Value::Resident(value) => attribute.ty == FILE_NAME && value.get(NAMESPACE) == Some(&2),
            Value::NonResident(_) => false,
        };
        let aliases = record.attributes().filter_map(Result::ok).filter(is_alias).count();
        u32::from(record.links()).saturating_sub(u32::try_from(aliases).unwrap_or(0))
    }

    /// The value of a reparse point, when the file is one.
    fn reparse(&self, source: Source<'_>, record: &Record) -> Result<Option<Vec<u8>>, Error> {
        let Some(content) = self.content(source, record, types::REPARSE_POINT, "")? else { return Ok(None) };
        if content.size() > MAX_REPARSE_BYTES {
            return Err(Error::damaged("a reparse point is too long"));
        }
        let mut value = vec![0; index(content.size())];
        content.read_exact_at(source, 0, &mut value)?;
        Ok(Some(value))
    }

    fn reparse_tag(&self, source: Source<'_>, record: &Record, attributes: Attributes) -> Result<Option<u32>, Error> {
        if attributes.bits() & Attributes::REPARSE == 0 {
            return Ok(None);
        }
        Ok(self.reparse(source, record)?.and_then(|value| u32_at(&value, 0)))
    }

    /// Where a link leads; `None` when that is not told.
    pub(crate) fn link_target(&self, source: Source<'_>, entry: &Entry) -> Result<Option<String>, Error> {
        let record = self.record_of(source, entry)?;
        if let Some(value) = self.reparse(source, &record)? {
            return Ok(reparse::target(&value));
        }
        match record.unnamed(types::DATA)? {
            Some(Attribute { value: Value::Resident(value), .. }) => Ok(reparse::unix_target(value)),
            _ => Ok(None),
        }
    }

    /// The alternate streams of a file or directory.
    pub(crate) fn streams(&self, source: Source<'_>, entry: &Entry) -> Result<Vec<StreamEntry>, Error> {
        let record = self.record_of(source, entry)?;
        let named = self.named(source, &record, types::DATA)?;
        let sound = |(name, _): &(String, u64)| !name.contains(['/', '\\', ':', '\0']);
        let streams = named.into_iter().filter(sound);
        Ok(streams.map(|(name, size_bytes)| StreamEntry { name, size_bytes }).collect())
    }

    /// The content of a file, or of one of its streams, once it is certain that it can be read. `None` when there is no
    /// such stream.
    pub(crate) fn open_content(
        &self,
        source: Source<'_>,
        entry: &Entry,
        stream: &str,
        path: &str,
    ) -> Result<Option<Content>, Error> {
        let record = self.record_of(source, entry)?;
        let unsupported = |how| Err(Error::Unsupported { path: path.to_owned(), how });
        if stream.is_empty()
            && let Some(how) = self.reparse_tag(source, &record, entry.attributes)?.and_then(reparse::stored)
        {
            return unsupported(how);
        }
        let (mut encrypted, mut absent) = (false, false);
        self.for_each_part(source, &record, types::DATA, stream, &mut |attribute| {
            encrypted = attribute.is_encrypted();
            absent = matches!(&attribute.value, Value::NonResident(value) if value.size > 0 && value.allocated == 0);
            Ok(false)
        })?;
        if encrypted {
            return unsupported("encrypted by Windows (EFS)");
        }
        if absent && entry.attributes.offline() {
            return unsupported("in the cloud alone, not on this drive");
        }
        match self.content(source, &record, types::DATA, stream)? {
            None if stream.is_empty() => Err(Error::damaged(format!("{path:?} has no content attribute"))),
            content => Ok(content),
        }
    }

    fn read_upcase(&self, source: Source<'_>) -> Result<Vec<u16>, Error> {
        let record = self.record(source, UPCASE_RECORD)?;
        let content = self.content(source, &record, types::DATA, "")?;
        let content = content.ok_or_else(|| Error::damaged("the table of upper-case letters is missing"))?;
        let mut bytes = vec![0; UPCASE_BYTES];
        content.read_exact_at(source, 0, &mut bytes)?;
        Ok(units(&bytes))
    }
}

/// The file system's own files in the root.
fn is_hidden(directory: u64, key: &Key) -> bool {
    directory == ROOT_RECORD && key.record < FIRST_USER_RECORD
}

fn text(name: &[u16]) -> String {
    String::from_utf16_lossy(name)
}

/// `None` for the zero stamp, which means never, and for times that the host cannot express.
fn to_system_time(ticks: u64) -> Option<SystemTime> {
    const UNIX_EPOCH_TICKS: u64 = 116_444_736_000_000_000;
    let duration = |ticks: u64| Duration::new(ticks / 10_000_000, u32::try_from(ticks % 10_000_000).unwrap_or(0) * 100);
    match ticks.checked_sub(UNIX_EPOCH_TICKS) {
        _ if ticks == 0 => None,
        Some(since) => UNIX_EPOCH.checked_add(duration(since)),
        None => UNIX_EPOCH.checked_sub(duration(UNIX_EPOCH_TICKS - ticks)),
    }
}
