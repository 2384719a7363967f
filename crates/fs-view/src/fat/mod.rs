//! FAT12, FAT16 and FAT32.

mod entries;

use std::collections::HashSet;

use self::entries::{ENTRY_BYTES, Found, Parser};
use crate::boot::{FatLayout, FileSystemKind};
use crate::bytes::index as sized;
use crate::cache::Source;
use crate::chain::{Table, Until, Width};
use crate::content::Content;
use crate::entry::{Place, join};
use crate::extents::Extents;
use crate::listings::Listings;
use crate::{Attributes, Entry, EntryKind, Error, Listing};

/// A directory may have 65536 entries.
const MAX_DIRECTORY_BYTES: u64 = 65_536 * ENTRY_BYTES as u64;

/// Reader of one FAT volume.
pub(crate) struct Fat {
    layout: FatLayout,
    table: Table,
    listings: Listings,
}

/// What is in a directory, and whether it begins as every one but the root does: with an entry for itself.
struct Read {
    listing: Listing,
    label: Option<String>,
    has_start: bool,
}

impl Fat {
    pub(crate) fn new(layout: FatLayout) -> Self {
        let width = match layout.kind {
            FileSystemKind::Fat12 => Width::Bits12,
            FileSystemKind::Fat16 => Width::Bits16,
            _ => Width::Bits28,
        };
        let table = Table {
            width,
            start: layout.fat_start,
            copies: layout.fats,
            copy_bytes: layout.fat_bytes,
            clusters: layout.clusters,
            cluster_bytes: layout.cluster_bytes,
            data_start: layout.data_start,
        };
        Self { layout, table, listings: Listings::default() }
    }

    /// What the boot sector says.
    pub(crate) fn layout(&self) -> FatLayout {
        self.layout
    }

    /// The label of the volume, when it has one.
    pub(crate) fn label(&self, source: Source<'_>) -> Result<Option<String>, Error> {
        let label = self.read(source, &self.root(), "")?.label;
        Ok(label.filter(|label| !label.is_empty()))
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
            place: Place::Chain { first: 0 },
        }
    }

    /// Lists a directory.
    pub(crate) fn list(&self, source: Source<'_>, entry: &Entry, path: &str) -> Result<Listing, Error> {
        let read = self.read(source, entry, path)?;
        // Only the start of a directory tells it from any other cluster; a damaged entry can point anywhere.
        if !entry.name.is_empty() && !read.has_start {
            return Err(Error::damaged(format!("{path:?} does not hold a directory")));
        }
        Ok(read.listing)
    }

    /// The entry of a name in a directory.
    pub(crate) fn lookup(&self, source: Source<'_>, entry: &Entry, name: &str) -> Result<Option<Entry>, Error> {
        let Place::Chain { first } = entry.place else { return Ok(None) };
        self.listings.find(first.into(), || self.list(source, entry, ""))?.find(name)
    }

    /// The clusters of a directory.
    fn directory(&self, source: Source<'_>, entry: &Entry) -> Result<Extents, Error> {
        let Place::Chain { first } = entry.place else { return Err(foreign()) };
        let limit = MAX_DIRECTORY_BYTES.div_ceil(self.layout.cluster_bytes) + 1;
        match (first, self.layout.root_area) {
            (0, Some((start, length))) => {
                let mut extents = Extents::default();
                extents.push(length, Some(start))?;
                Ok(extents)
            }
            (0, None) => self.table.chain(source, self.layout.root_cluster, Until::End { clusters: limit }),
            _ => self.table.chain(source, first, Until::End { clusters: limit }),
        }
    }

    fn read(&self, source: Source<'_>, entry: &Entry, path: &str) -> Result<Read, Error> {
        let mut read = Read { listing: Listing::default(), label: None, has_start: false };
        let (extents, broken) = match self.directory(source, entry) {
            Ok(extents) => (extents, None),
            // The first cluster of a directory whose chain is broken still has names.
            Err(error) => (self.first_cluster(entry).ok_or_else(|| copy(&error))?, Some(error)),
        };
        if let Some(error) = broken {
            read.listing.problem(path, error.to_string());
        }
        let mut parser = Parser::default();
        let mut names = HashSet::new();
        let mut cluster = vec![0; sized(self.layout.cluster_bytes)];
        let mut offset = 0;
        let end = extents.covered().min(MAX_DIRECTORY_BYTES);
        'clusters: while offset < end {
            let count = sized(end - offset).min(cluster.len());
            let bytes = &mut cluster[..count];
            if let Err(error) = extents.read_exact_at(source, offset, bytes) {
                read.listing.problem(path, error.to_string());
                offset += count as u64;
                continue;
            }
            let start = extents.part_at(offset).and_then(|part| part.place).unwrap_or(0);
            for (index, raw) in bytes.as_chunks::<ENTRY_BYTES>().0.iter().enumerate() {
                if raw[0] == 0 {
                    break 'clusters;
                }
                match parser.take(raw, start + (index * ENTRY_BYTES) as u64) {
                    Some(Found::Entry(entry)) if names.insert(entry.name.clone()) => read.listing.push(path, *entry),
                    Some(Found::Entry(entry)) => {
                        read.listing.problem(&join(path, &entry.name), "the name appears twice");
                    }
                    Some(Found::Label(label)) if read.label.is_none() => read.label = Some(label),
                    Some(Found::Dot) if offset == 0 && index == 0 => read.has_start = true,
                    _ => {}
                }
            }
            offset += count as u64;
        }
        for entry in read.listing.entries.iter_mut().filter(|entry| entry.kind == EntryKind::File) {
            entry.allocated_bytes = entry.size_bytes.next_multiple_of(self.layout.cluster_bytes);
        }
        Ok(read)
    }

    fn first_cluster(&self, entry: &Entry) -> Option<Extents> {
        let Place::Chain { first } = entry.place else { return None };
        let first = if first == 0 { self.layout.root_cluster } else { first };
        let mut extents = Extents::default();
        extents.push(self.layout.cluster_bytes, Some(self.table.place(first)?)).ok()?;
        Some(extents)
    }

    /// Tells directories apart.
    pub(crate) fn identity(entry: &Entry) -> u64 {
        match entry.place {
            Place::Chain { first } => first.into(),
            _ => 0,
        }
    }

    /// Number and place of the first cluster of a directory other than the root.
    pub(crate) fn start(&self, entry: &Entry) -> Option<(u32, u64)> {
        let Place::Chain { first } = entry.place else { return None };
        Some((first, self.table.place(first)?))
    }

    /// The content of a file.
    pub(crate) fn open_content(&self, source: Source<'_>, entry: &Entry, path: &str) -> Result<Content, Error> {
        let Place::Chain { first } = entry.place else { return Err(foreign()) };
        let size = entry.size_bytes;
        if size > self.layout.clusters * self.layout.cluster_bytes {
            return Err(Error::damaged(format!("{path:?} claims to be larger than the volume")));
        }
        let clusters = size.div_ceil(self.layout.cluster_bytes);
        let extents = match clusters {
            0 => Extents::default(),
            clusters => self.table.chain(source, first, Until::Length { clusters })?,
        };
        Content::plain(size, size, extents, source.length())
    }
}

fn foreign() -> Error {
    Error::damaged("the entry belongs to another volume")
}

fn copy(error: &Error) -> Error {
    Error::damaged(error.to_string())
}
