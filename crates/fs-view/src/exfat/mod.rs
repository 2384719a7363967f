//! exFAT, read here: the libraries there are write through one owner (no shared reading), or trust what they read.
//!
//! A file has either consecutive clusters, which the table says nothing of, or a chain as on FAT. Bytes behind the valid
//! length were never written and read as zeros. The bitmap of used clusters is not needed for reading.

mod entry_set;

use std::collections::HashSet;

use self::entry_set::{BITMAP, ENTRY_BYTES, FILE, LABEL};
use crate::boot::ExFatLayout;
use crate::bytes::{index, u32_at, u64_at};
use crate::cache::Source;
use crate::chain::{FIRST_CLUSTER, Table, Until, Width};
use crate::content::Content;
use crate::entry::{Place, join};
use crate::extents::Extents;
use crate::listings::Listings;
use crate::{Attributes, Entry, EntryKind, Error, Listing};

/// The limit that the specification sets.
const MAX_DIRECTORY_BYTES: u64 = 256 << 20;
/// Parts of a directory that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Entries of one set.
const MAX_SET_ENTRIES: usize = 256;

/// Reader of one exFAT volume.
pub(crate) struct ExFat {
    layout: ExFatLayout,
    table: Table,
    listings: Listings,
}

/// A directory in the making.
struct Reading<'p> {
    path: &'p str,
    listing: Listing,
    label: Option<String>,
    /// First cluster and length of the bitmap of used clusters.
    bitmap: Option<(u32, u64)>,
    names: HashSet<String>,
    /// The set that is being read, where it began, and how many entries it has.
    set: Vec<u8>,
    set_place: u64,
    set_bytes: usize,
    /// A directory of any other content would be a list of unknown entries.
    known: u64,
    unknown: u64,
}

impl ExFat {
    pub(crate) fn new(layout: ExFatLayout) -> Self {
        let table = Table {
            width: Width::Bits32,
            start: layout.fat_start,
            copies: 1,
            copy_bytes: layout.data_start - layout.fat_start,
            clusters: layout.clusters,
            cluster_bytes: layout.cluster_bytes,
            data_start: layout.data_start,
        };
        Self { layout, table, listings: Listings::default() }
    }

    /// What the boot sector says.
    pub(crate) fn layout(&self) -> ExFatLayout {
        self.layout
    }

    /// The bitmap of used clusters: its length, and where it is.
    pub(crate) fn bitmap(&self, source: Source<'_>) -> Result<(u64, Extents), Error> {
        let found = self.read(source, &self.root(), "")?.bitmap;
        let (first, length) = found.ok_or_else(|| Error::damaged("there is no bitmap of used clusters"))?;
        // One bit for each cluster, and nothing needs more than that.
        if length < self.layout.clusters.div_ceil(8) || length > self.layout.clusters * self.layout.cluster_bytes {
            return Err(Error::damaged("the bitmap of used clusters has an impossible length"));
        }
        let clusters = length.div_ceil(self.layout.cluster_bytes);
        Ok((length, self.table.chain(source, first, Until::Length { clusters })?))
    }

    /// The label of the volume, when it has one.
    pub(crate) fn label(&self, source: Source<'_>) -> Result<Option<String>, Error> {
        Ok(self.read(source, &self.root(), "")?.label.filter(|label| !label.is_empty()))
    }

    /// The root directory, which has no entry of its own.
    pub(crate) fn root(&self) -> Entry {
        Entry {
            name: String::new(),
            kind: EntryKind::Directory,
            size_bytes: 0,
            allocated_bytes: 0,
            modified: None,
            created: None,
            accessed: None,
            attributes: Attributes::default(),
            links: 1,
            id: 0,
            // Only the table knows how long it is.
            place: Place::Run { first: self.layout.root_cluster, contiguous: false, length: 0, initialized: 0 },
        }
    }

    /// Lists a directory.
    pub(crate) fn list(&self, source: Source<'_>, entry: &Entry, path: &str) -> Result<Listing, Error> {
        let read = self.read(source, entry, path)?;
        if read.unknown > read.known {
            return Err(Error::damaged(format!("{path:?} does not hold a directory")));
        }
        Ok(read.listing)
    }

    /// The entry of a name in a directory.
    pub(crate) fn lookup(&self, source: Source<'_>, entry: &Entry, name: &str) -> Result<Option<Entry>, Error> {
        self.listings.find(Self::identity(entry), || self.list(source, entry, ""))?.find(name)
    }

    /// Tells directories apart.
    pub(crate) fn identity(entry: &Entry) -> u64 {
        match entry.place {
            Place::Run { first, .. } => first.into(),
            _ => 0,
        }
    }

    fn extents(&self, source: Source<'_>, entry: &Entry) -> Result<Extents, Error> {
        let Place::Run { first, contiguous, length, .. } = entry.place else {
            return Err(Error::damaged("the entry belongs to another volume"));
        };
        let clusters = length.div_ceil(self.layout.cluster_bytes);
        if clusters > self.layout.clusters {
            return Err(Error::damaged(format!("{:?} claims to be larger than the volume", entry.name)));
        }
        if entry.kind == EntryKind::Directory && (entry.name.is_empty() || !contiguous) {
            let limit = MAX_DIRECTORY_BYTES / self.layout.cluster_bytes;
            return self.table.chain(source, first, Until::End { clusters: limit });
        }
        if clusters == 0 {
            return Ok(Extents::default());
        }
        if !contiguous {
            return self.table.chain(source, first, Until::Length { clusters });
        }
        let number = u64::from(first).checked_sub(FIRST_CLUSTER.into());
        let place = self.table.place(first).filter(|_| {
            number.and_then(|number| number.checked_add(clusters)).is_some_and(|end| end <= self.layout.clusters)
        });
        let place =
            place.ok_or_else(|| Error::damaged(format!("{:?} has clusters outside of the volume", entry.name)))?;
        let mut extents = Extents::default();
        extents.push(clusters * self.layout.cluster_bytes, Some(place))?;
        Ok(extents)
    }

    fn read<'p>(&self, source: Source<'_>, entry: &Entry, path: &'p str) -> Result<Reading<'p>, Error> {
        let mut reading = Reading::new(path);
        let extents = self.directory_extents(source, entry, &mut reading)?;
        let mut buffer = vec![0; CHUNK_BYTES.min(index(self.layout.cluster_bytes))];
        let (mut offset, end) = (0, extents.covered().min(MAX_DIRECTORY_BYTES));
        'chunks: while offset < end {
            let count = index(end - offset).min(buffer.len());
            let bytes = &mut buffer[..count];
            if let Err(error) = extents.read_exact_at(source, offset, bytes) {
                reading.listing.problem(path, error.to_string());
                reading.set.clear();
                offset += count as u64;
                continue;
            }
            // A chunk never crosses from one extent into another: both are whole clusters.
            let start = extents.part_at(offset).and_then(|part| part.place).unwrap_or(0);
            for (index, raw) in bytes.as_chunks::<ENTRY_BYTES>().0.iter().enumerate() {
                if raw[0] == 0 {
                    break 'chunks;
                }
                reading.take(raw, start + (index * ENTRY_BYTES) as u64);
            }
            offset += count as u64;
        }
        reading.cut_off();
        for entry in &mut reading.listing.entries {
            entry.allocated_bytes = entry.size_bytes.checked_next_multiple_of(self.layout.cluster_bytes).unwrap_or(0);
        }
        Ok(reading)
    }

    /// The first cluster of a directory whose chain is broken still has names.
    fn directory_extents(
        &self,
        source: Source<'_>,
        entry: &Entry,
        reading: &mut Reading<'_>,
    ) -> Result<Extents, Error> {
        let error = match self.extents(source, entry) {
            Ok(extents) => return Ok(extents),
            Err(error) => error,
        };
        let Place::Run { first, .. } = entry.place else { return Err(error) };
        let Some(place) = self.table.place(first) else { return Err(error) };
        reading.listing.problem(reading.path, error.to_string());
        let mut extents = Extents::default();
        extents.push(self.layout.cluster_bytes, Some(place))?;
        Ok(extents)
    }

    /// The content of a file.
    pub(crate) fn open_content(&self, source: Source<'_>, entry: &Entry) -> Result<Content, Error> {
        let Place::Run { length, initialized, .. } = entry.place else {
            return Err(Error::damaged("the entry belongs to another volume"));
        };
        Content::plain(length, initialized, self.extents(source, entry)?, source.length())
    }
}

impl<'p> Reading<'p> {
    fn new(path: &'p str) -> Self {
        Self {
            path,
            listing: Listing::default(),
            label: None,
            bitmap: None,
            names: HashSet::new(),
            set: Vec::new(),
            set_place: 0,
            set_bytes: 0,
            known: 0,
            unknown: 0,
        }
    }

    /// Takes the entry at `place` of the volume.
    fn take(&mut self, raw: &[u8; ENTRY_BYTES], place: u64) {
        const IN_USE: u8 = 0x80;
        const SECONDARY: u8 = 0x40;
        let ty = raw[0];
        if !self.set.is_empty() {
            if ty & (IN_USE | SECONDARY) == IN_USE | SECONDARY {
                self.set.extend_from_slice(raw);
                if self.set.len() == self.set_bytes {
                    self.finish_set();
                }
                return;
            }
            self.cut_off();
        }
        match ty {
            FILE => {
                self.set = raw.to_vec();
                self.set_place = place;
                self.set_bytes = (1 + entry_set::secondary_count(raw)).min(MAX_SET_ENTRIES) * ENTRY_BYTES;
                if self.set_bytes == ENTRY_BYTES {
                    self.finish_set();
                }
            }
            LABEL => self.label = entry_set::label(raw),
            BITMAP if self.bitmap.is_none() && raw[1] & 1 == 0 => self.bitmap = u32_at(raw, 20).zip(u64_at(raw, 24)),
            // Second bitmap, table of upper-case letters, identifier, padding; and whatever is not in use.
            BITMAP | 0x82 | 0xA0 | 0xA1 | 0xE0 | 0xE1 => {}
            _ if ty & IN_USE == 0 => {}
            _ => self.unknown += 1,
        }
    }

    fn finish_set(&mut self) {
        let set = std::mem::take(&mut self.set);
        match entry_set::parse(&set, self.set_place) {
            Ok(parsed) => {
                self.known += 1;
                let path = join(self.path, &parsed.entry.name);
                if !parsed.sound {
                    self.listing.problem(&path, "the checksum of its directory entry is wrong");
                }
                if self.names.insert(parsed.entry.name.clone()) {
                    self.listing.push(self.path, parsed.entry);
                } else {
                    self.listing.problem(&path, "the name appears twice");
                }
            }
            Err(reason) => {
                self.unknown += 1;
                self.listing.problem(self.path, format!("a file cannot be listed: {reason}"));
            }
        }
    }

    /// Another entry came before the set was complete.
    fn cut_off(&mut self) {
        if !self.set.is_empty() {
            self.set.clear();
            self.unknown += 1;
            self.listing.problem(self.path, "a file cannot be listed: its entries are cut off");
        }
    }
}
