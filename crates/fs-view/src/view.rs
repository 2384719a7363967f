//! One interface over the file systems.

use std::io::Write;

use block_io::BlockRead;

use crate::boot::{self, BOOT_BYTES, Boot};
use crate::cache::{Cache, Source};
use crate::content::Content;
use crate::exfat::ExFat;
use crate::fat::Fat;
use crate::ntfs::Ntfs;
use crate::path::{components, cut_stream};
use crate::{Entry, EntryKind, Error, FileSystemKind, Listing, Problem, StreamEntry, pipe};

pub(crate) enum Engine {
    Ntfs(Ntfs),
    Fat(Fat),
    ExFat(ExFat),
}

/// A volume open for reading, by any number of threads at once.
///
/// What was read is cached, so that the volume must not change meanwhile.
pub struct FileSystem<D> {
    device: D,
    cache: Cache,
    kind: FileSystemKind,
    engine: Engine,
    warnings: Vec<Problem>,
}

/// A file whose clusters are known. It belongs to the volume that opened it, and may be read by several threads.
#[derive(Debug)]
pub struct OpenFile {
    content: Content,
    id: u64,
}

impl OpenFile {
    /// Length of the content.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.content.size()
    }

    /// As [`Entry::id`].
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl<D> std::fmt::Debug for FileSystem<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileSystem").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<D: BlockRead> FileSystem<D> {
    /// Recognises the file system by its boot sector, or by a copy of it where that is damaged.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is none that can be read, [`Error::Damaged`] when its own description is impossible,
    /// [`Error::Storage`] when the boot sector cannot be read.
    pub fn open(device: D) -> Result<Self, Error> {
        let cache = Cache::default();
        let (engine, kind, warnings) = open_engine(Source::new(&device, &cache))?;
        Ok(Self { device, cache, kind, engine, warnings })
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source::new(&self.device, &self.cache)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Which file system it is.
    #[must_use]
    pub fn kind(&self) -> FileSystemKind {
        self.kind
    }

    /// What was found damaged when the volume was opened, and replaced by copies.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The label of the volume; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn label(&self) -> Result<Option<String>, Error> {
        match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.label(self.source()),
            Engine::Fat(fat) => fat.label(self.source()),
            Engine::ExFat(exfat) => exfat.label(self.source()),
        }
    }

    /// The root directory.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn root(&self) -> Result<Entry, Error> {
        match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.root(self.source()),
            Engine::Fat(fat) => Ok(fat.root()),
            Engine::ExFat(exfat) => Ok(exfat.root()),
        }
    }

    /// Lists a directory; the empty path and `/` are the root.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::NotFound`], [`Error::NotADirectory`]; [`Error::Damaged`] or [`Error::Storage`] when
    /// nothing of the directory could be read. Parts that cannot be read are problems in the listing.
    pub fn list(&self, path: &str) -> Result<Listing, Error> {
        self.list_entry(&self.stat(path)?, path)
    }

    /// Lists a directory by its entry; `path` is what problems are told under.
    ///
    /// # Errors
    /// As [`FileSystem::list`].
    pub fn list_entry(&self, entry: &Entry, path: &str) -> Result<Listing, Error> {
        if entry.kind != EntryKind::Directory {
            return Err(Error::NotADirectory { path: path.to_owned() });
        }
        match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.list(self.source(), entry, path),
            Engine::Fat(fat) => fat.list(self.source(), entry, path),
            Engine::ExFat(exfat) => exfat.list(self.source(), entry, path),
        }
    }

    /// What stands behind a path.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::NotFound`], [`Error::NotADirectory`], [`Error::Damaged`], [`Error::Storage`].
    pub fn stat(&self, path: &str) -> Result<Entry, Error> {
        let mut entry = self.root()?;
        for part in components(path)? {
            if entry.kind != EntryKind::Directory {
                return Err(Error::NotADirectory { path: path.to_owned() });
            }
            let found = self.lookup(&entry, part)?;
            entry = found.ok_or_else(|| Error::NotFound { path: path.to_owned() })?;
        }
        Ok(entry)
    }

    /// A name in a directory: as it is written, or else without regard to case. `None` when nothing has it.
    ///
    /// # Errors
    /// [`Error::NotADirectory`], [`Error::Damaged`], [`Error::Storage`].
    pub fn lookup(&self, directory: &Entry, name: &str) -> Result<Option<Entry>, Error> {
        if directory.kind != EntryKind::Directory {
            return Err(Error::NotADirectory { path: directory.name.clone() });
        }
        match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.lookup(self.source(), directory, name),
            Engine::Fat(fat) => fat.lookup(self.source(), directory, name),
            Engine::ExFat(exfat) => exfat.lookup(self.source(), directory, name),
        }
    }

    /// Where a symbolic link or junction leads, as Windows shows it.
    ///
    /// # Errors
    /// As [`FileSystem::stat`]; [`Error::NotALink`].
    pub fn read_link(&self, path: &str) -> Result<String, Error> {
        let not_a_link = || Error::NotALink { path: path.to_owned() };
        self.link_target(&self.stat(path)?)?.ok_or_else(not_a_link)
    }

    /// As [`FileSystem::read_link`], by the entry; `None` when it is not a link.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn link_target(&self, entry: &Entry) -> Result<Option<String>, Error> {
        match &self.engine {
            Engine::Ntfs(ntfs) if entry.kind.is_link() => ntfs.link_target(self.source(), entry),
            _ => Ok(None),
        }
    }

    /// The alternate data streams of a file or directory; only NTFS has them.
    ///
    /// # Errors
    /// As [`FileSystem::stat`].
    pub fn streams(&self, path: &str) -> Result<Vec<StreamEntry>, Error> {
        self.streams_of(&self.stat(path)?)
    }

    /// As [`FileSystem::streams`], by the entry.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn streams_of(&self, entry: &Entry) -> Result<Vec<StreamEntry>, Error> {
        match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.streams(self.source(), entry),
            _ => Ok(Vec::new()),
        }
    }

    /// Opens a file, or with `path:stream` one of its alternate streams.
    ///
    /// # Errors
    /// As [`FileSystem::stat`]; [`Error::NotAFile`], and [`Error::Unsupported`] when the content is stored in a way that
    /// cannot be read.
    pub fn open_file(&self, path: &str) -> Result<OpenFile, Error> {
        // A Unix driver may have put a colon into a name.
        match (self.stat(path), cut_stream(path)) {
            (Err(Error::NotFound { .. }), Some((file, stream))) => {
                let entry = self.stat(file).map_err(|error| match error {
                    Error::NotFound { .. } => Error::NotFound { path: path.to_owned() },
                    other => other,
                })?;
                self.open_stream(&entry, stream, path)
            }
            (entry, _) => self.open_entry(&entry?, path),
        }
    }

    /// Opens a file by its entry; `path` is what errors name.
    ///
    /// # Errors
    /// As [`FileSystem::open_file`].
    pub fn open_entry(&self, entry: &Entry, path: &str) -> Result<OpenFile, Error> {
        if entry.kind != EntryKind::File {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let content = match &self.engine {
            Engine::Ntfs(ntfs) => ntfs.open_content(self.source(), entry, "", path)?,
            Engine::Fat(fat) => Some(fat.open_content(self.source(), entry, path)?),
            Engine::ExFat(exfat) => Some(exfat.open_content(self.source(), entry)?),
        };
        let content = content.ok_or_else(|| Error::NotFound { path: path.to_owned() })?;
        Ok(OpenFile { content, id: entry.id })
    }

    /// Opens an alternate stream of a file or directory; the empty name is the file itself.
    ///
    /// # Errors
    /// As [`FileSystem::open_file`].
    pub fn open_stream(&self, entry: &Entry, stream: &str, path: &str) -> Result<OpenFile, Error> {
        match &self.engine {
            Engine::Ntfs(ntfs) if !stream.is_empty() => {
                let content = ntfs.open_content(self.source(), entry, stream, path)?;
                let content = content.ok_or_else(|| Error::NotFound { path: path.to_owned() })?;
                Ok(OpenFile { content, id: entry.id })
            }
            _ if stream.is_empty() => self.open_entry(entry, path),
            _ => Err(Error::NotFound { path: path.to_owned() }),
        }
    }

    /// Fills as much of `buffer` as the file has from `offset_bytes` on, and tells how much: less than the buffer holds
    /// only at the end of the file.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn read_at(&self, file: &OpenFile, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        file.content.read_at(self.source(), offset_bytes, buffer)
    }

    /// Writes the content of a file (or `path:stream`) to `sink` and tells `progress` the bytes written so far. Returns
    /// its length.
    ///
    /// Memory does not grow with the file. Of a long one, the next part is read while `sink` takes the last.
    ///
    /// # Errors
    /// As [`FileSystem::open_file`], and [`Error::Sink`] with the reason of the sink. After an error the sink may have
    /// received a part of the content.
    pub fn read(&self, path: &str, sink: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        self.read_open(&self.open_file(path)?, sink, progress)
    }

    /// As [`FileSystem::read`], of a file that is open.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`], [`Error::Sink`].
    pub fn read_open(
        &self,
        file: &OpenFile,
        sink: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let read = |offset: u64, buffer: &mut [u8]| self.read_at(file, offset, buffer);
        pipe::run(file.size_bytes(), &read, &mut |bytes, done| {
            sink.write_all(bytes).map_err(Error::Sink)?;
            progress(done);
            Ok(())
        })
    }

    /// Bytes of the volume.
    #[must_use]
    pub fn volume_bytes(&self) -> u64 {
        self.device.geometry().length_bytes
    }

    /// Tells directories apart: two entries with the same number lead to the same place, as a damaged volume can have it.
    #[must_use]
    pub fn identity(&self, directory: &Entry) -> u64 {
        match &self.engine {
            Engine::Ntfs(_) => directory.id,
            Engine::Fat(_) => Fat::identity(directory),
            Engine::ExFat(_) => ExFat::identity(directory),
        }
    }

    /// Number and place of the first cluster of a directory on FAT; `None` for the root.
    pub(crate) fn fat_start(&self, path: &str) -> Result<Option<(u32, u64)>, Error> {
        let entry = self.stat(path)?;
        match &self.engine {
            Engine::Fat(fat) => Ok(fat.start(&entry)),
            _ => Ok(None),
        }
    }
}

/// Opens by the boot sector, or where that fails by the first copy of it that leads to a root directory.
fn open_engine(source: Source<'_>) -> Result<(Engine, FileSystemKind, Vec<Problem>), Error> {
    if source.length() < BOOT_BYTES as u64 {
        return Err(Error::Unknown { found: None });
    }
    let mut head = vec![0; boot::HEAD_BYTES.min(usize::try_from(source.length()).unwrap_or(usize::MAX))];
    source.read_exact_at(0, &mut head).or_else(|_| source.read_exact_at(0, &mut head[..BOOT_BYTES]))?;
    let error = match engine_at(source, 0, true) {
        Ok(opened) => return Ok(opened),
        Err(error @ Error::Unknown { found: Some(_) }) => return Err(error),
        Err(error) => error,
    };
    if let (Error::Unknown { found: None }, Some(found)) = (&error, boot::foreign_by_content(&head)) {
        return Err(Error::Unknown { found: Some(found) });
    }
    for offset in boot::copies(source.length()) {
        let Ok((engine, kind, mut warnings)) = engine_at(source, offset, true) else { continue };
        if engine.has_root(source) {
            let reason = "the boot sector is damaged; its copy is used instead".to_owned();
            warnings.push(Problem { path: "/".to_owned(), reason });
            return Ok((engine, kind, warnings));
        }
    }
    // A description whose checksum is wrong may still be right.
    match engine_at(source, 0, false) {
        Ok((engine, kind, mut warnings)) if engine.has_root(source) => {
            warnings.push(Problem { path: "/".to_owned(), reason: error.to_string() });
            Ok((engine, kind, warnings))
        }
        _ => Err(error),
    }
}

impl Engine {
    /// Whether the description of the volume leads to something.
    fn has_root(&self, source: Source<'_>) -> bool {
        match self {
            Self::Ntfs(ntfs) => ntfs.root(source).and_then(|root| ntfs.list(source, &root, "/")).is_ok(),
            Self::Fat(fat) => fat.list(source, &fat.root(), "/").is_ok(),
            Self::ExFat(exfat) => exfat.list(source, &exfat.root(), "/").is_ok(),
        }
    }
}

/// Opens by the boot sector at `offset`; a `strict` look refuses one whose checksum is wrong, where there is one.
fn engine_at(source: Source<'_>, offset: u64, strict: bool) -> Result<(Engine, FileSystemKind, Vec<Problem>), Error> {
    let mut sector = [0; BOOT_BYTES];
    source.read_exact_at(offset, &mut sector)?;
    Ok(match boot::recognise(&sector, source.length())? {
        Boot::Ntfs(layout) => {
            let (ntfs, warnings) = Ntfs::open(source, layout)?;
            (Engine::Ntfs(ntfs), FileSystemKind::Ntfs, warnings)
        }
        Boot::Fat(layout) => (Engine::Fat(Fat::new(layout)), layout.kind, Vec::new()),
        Boot::ExFat(layout) if strict && !boot::exfat_checksum_is_right(source, offset, &layout)? => {
            return Err(Error::damaged("exFAT boot sector: its checksum is wrong"));
        }
        Boot::ExFat(layout) => (Engine::ExFat(ExFat::new(layout)), FileSystemKind::ExFat, Vec::new()),
    })
}
