//! What is to be copied, and the name each thing gets. Nothing is written here, except that the target is asked what names
//! it takes.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use block_io::BlockRead;
use drive_ops::names::{self, Names, Rules};
use fs_view::{Entry, EntryKind, Error, FileSystem, Visited};

use super::report::{Link, Renamed, Report};
use super::{Refusal, host};

/// A file that is to be copied.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) entry: Entry,
    /// Alternate stream; empty for the content.
    pub(super) stream: String,
    pub(super) size_bytes: u64,
    /// Which of the folders it goes into.
    pub(super) folder: usize,
    pub(super) name: OsString,
}

/// A folder of the target.
#[derive(Debug)]
pub(super) struct Folder {
    /// Path on the drive; `None` for the folder that was there before.
    pub(super) source: Option<(String, Entry)>,
    /// Which folder it is in, and its name; parents come first.
    pub(super) place: Option<(usize, OsString)>,
    /// Where it is. `None` as long as it does not exist, or when it cannot be made.
    pub(super) path: Option<PathBuf>,
    /// It was not there before.
    pub(super) made: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) folders: Vec<Folder>,
    pub(super) items: Vec<Item>,
    /// Further names of files: which item has the content.
    pub(super) twins: Vec<(usize, Item)>,
}

impl Plan {
    /// Space that the copy needs at least.
    pub(super) fn least_bytes(&self) -> u64 {
        let needed = |item: &Item| {
            if item.entry.attributes.sparse() {
                item.entry.allocated_bytes.min(item.size_bytes)
            } else {
                item.size_bytes
            }
        };
        self.items.iter().map(needed).fold(0, u64::saturating_add)
    }

    /// The folder that everything goes into.
    pub(super) fn base(&self) -> Option<&Path> {
        self.folders.first()?.path.as_deref()
    }

    /// Where a name of one of the folders is; `None` where the folder cannot be had.
    pub(super) fn place(&self, folder: usize, name: &OsStr) -> Option<PathBuf> {
        Some(within(self.folders.get(folder)?.path.as_ref()?, name))
    }

    /// What an earlier copy left of all this. The folders need not exist yet.
    pub(super) fn bytes_there(&self) -> u64 {
        let mut places: Vec<PathBuf> = Vec::with_capacity(self.folders.len());
        for folder in &self.folders {
            let place = match &folder.place {
                Some((parent, name)) => places.get(*parent).map(|parent| parent.join(name)).unwrap_or_default(),
                None => folder.path.clone().unwrap_or_default(),
            };
            places.push(place);
        }
        let length = |path: PathBuf| std::fs::symlink_metadata(path).map_or(0, |found| found.len());
        let there = self.items.iter().filter_map(|item| {
            let folder = places.get(item.folder)?;
            let partial = folder.join(names::partial(&item.name.to_string_lossy()));
            Some(length(folder.join(&item.name)).max(length(partial)).min(item.size_bytes))
        });
        there.fold(0, u64::saturating_add)
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.items.iter().map(|item| item.size_bytes).fold(0, u64::saturating_add)
    }
}

/// A name in a folder, without a needless `./`.
pub(super) fn within(folder: &Path, name: &OsStr) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// A source, found on the drive.
struct Source {
    path: String,
    entry: Entry,
    stream: String,
    size_bytes: u64,
}

/// Finds everything below the sources. What is not there is told in the report.
pub(super) fn plan<D: BlockRead>(
    drive: &FileSystem<D>,
    sources: &[String],
    target: &Path,
    resume: bool,
    report: &mut Report,
) -> Result<Plan, Refusal> {
    let into_folder = target.is_dir() && !(resume && is_begun_copy(drive, sources, target));
    let ends_as_folder = target.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    if !into_folder && (sources.len() > 1 || (ends_as_folder && !is_directory(drive, sources.first()))) {
        return Err(Refusal::NotAFolder(target.to_owned()));
    }
    let mut found = Vec::new();
    for source in sources {
        match find(drive, source) {
            Ok(source) => found.push(source),
            // Alone, it is the answer; among others it is one of the problems.
            Err(error) if sources.len() == 1 => return Err(Refusal::Source { path: source.clone(), error }),
            Err(error) => report.problem(source, error.to_string()),
        }
    }
    let (base, own_name) = if into_folder {
        (target.to_owned(), None)
    } else {
        let name = target.file_name().ok_or_else(|| Refusal::NotAFolder(target.to_owned()))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        (parent.unwrap_or(Path::new(".")).to_owned(), Some(name.to_owned()))
    };
    if !base.is_dir() {
        return Err(Refusal::NotAFolder(base));
    }
    let mut planner = Planner {
        drive,
        report,
        rules: host::rules(&base),
        plan: Plan::default(),
        names: Names::new(Rules::default()),
        first_names: HashMap::new(),
        base: base.clone(),
    };
    planner.names = Names::new(planner.rules);
    planner.plan.folders.push(Folder { source: None, place: None, path: Some(base), made: false });
    for source in found {
        planner.add(source, own_name.as_ref());
    }
    Ok(planner.plan)
}

/// Whether `target`, a folder, is itself the copy of the only source, begun by a run that found nothing there: then going on
/// means to complete it, and not to put a second copy inside.
fn is_begun_copy<D: BlockRead>(drive: &FileSystem<D>, sources: &[String], target: &Path) -> bool {
    let [source] = sources else { return false };
    let Ok(entry) = drive.stat(source) else { return false };
    if entry.kind != EntryKind::Directory || (!entry.name.is_empty() && target.join(&entry.name).exists()) {
        return false;
    }
    let Ok(listing) = drive.list(source) else { return false };
    let is_there = |name: &str| target.join(name).symlink_metadata().is_ok();
    listing.entries.iter().any(|entry| is_there(&entry.name) || is_there(&names::partial(&entry.name)))
}

fn is_directory<D: BlockRead>(drive: &FileSystem<D>, source: Option<&String>) -> bool {
    source.is_some_and(|source| drive.stat(source).is_ok_and(|entry| entry.kind == EntryKind::Directory))
}

fn find<D: BlockRead>(drive: &FileSystem<D>, path: &str) -> Result<Source, Error> {
    match drive.stat(path) {
        Ok(entry) => {
            let size_bytes = entry.size_bytes;
            Ok(Source { path: path.to_owned(), entry, stream: String::new(), size_bytes })
        }
        Err(missing @ Error::NotFound { .. }) => {
            let start = path.rfind(['/', '\\']).map_or(0, |separator| separator + 1);
            let (folder, name) = path.split_at(start);
            let Some((file, stream)) = name.split_once(':') else { return Err(missing) };
            let stream = stream.strip_suffix(":$DATA").unwrap_or(stream);
            let mut entry = drive.stat(&format!("{folder}{file}")).map_err(|_| missing)?;
            let size_bytes = drive.open_stream(&entry, stream, path)?.size_bytes();
            entry.name = format!("{}:{stream}", entry.name);
            Ok(Source { path: path.to_owned(), entry, stream: stream.to_owned(), size_bytes })
        }
        Err(error) => Err(error),
    }
}

struct Planner<'p, D> {
    drive: &'p FileSystem<D>,
    report: &'p mut Report,
    rules: Rules,
    plan: Plan,
    /// Names in the folder that everything goes into.
    names: Names,
    /// Files with several names: where the first one is.
    first_names: HashMap<u64, usize>,
    base: PathBuf,
}

impl<D: BlockRead> Planner<'_, D> {
    fn add(&mut self, source: Source, own_name: Option<&OsString>) {
        let Source { path, entry, stream, size_bytes } = source;
        if entry.name.is_empty() && own_name.is_none() {
            // The root has no name: its content goes into the target.
            return self.add_below(&path, 0);
        }
        let name = match own_name {
            Some(name) => name.clone(),
            None => {
                let base = self.base.clone();
                let fits = |name: &str| host::is_short_enough(&base, name);
                let free = self.names.take(&entry.name);
                if !free {
                    return self.report.problem(&path, "another source has the same name; it was not copied");
                }
                let name = Names::new(self.rules).choose(&entry.name, &fits);
                if name != entry.name {
                    self.names.take(&name);
                    self.report.renamed.push(Renamed { path: path.clone(), name: name.clone() });
                }
                name.into()
            }
        };
        match entry.kind {
            _ if !stream.is_empty() => {
                self.plan.items.push(Item { path, entry, stream, size_bytes, folder: 0, name });
            }
            EntryKind::Directory => {
                let folder = self.folder(path.clone(), entry, 0, name);
                self.add_below(&path, folder);
            }
            EntryKind::File => self.item(Item { path, entry, stream, size_bytes, folder: 0, name }),
            _ => self.report.problem(&path, not_a_file(self.drive, &entry)),
        }
    }

    fn folder(&mut self, path: String, entry: Entry, parent: usize, name: OsString) -> usize {
        for stream in self.drive.streams_of(&entry).unwrap_or_default() {
            self.report.stream(&path, &stream.name);
        }
        let place = Some((parent, name));
        self.plan.folders.push(Folder { source: Some((path, entry)), place, path: None, made: false });
        self.plan.folders.len() - 1
    }

    fn item(&mut self, item: Item) {
        if item.entry.links > 1 {
            if let Some(first) = self.first_names.get(&item.entry.id) {
                return self.plan.twins.push((*first, item));
            }
            self.first_names.insert(item.entry.id, self.plan.items.len());
        }
        self.plan.items.push(item);
    }

    /// Everything below a directory of the drive.
    fn add_below(&mut self, source: &str, folder: usize) {
        let drive = self.drive;
        let start = source.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
        let start = start.fold(String::new(), |path, part| path + "/" + part);
        let base = self.base.clone();
        let fits = move |name: &str| host::is_short_enough(&base, name);
        // Entries of one directory come together, after the directory itself.
        let mut folders = HashMap::from([(start.clone(), folder)]);
        let mut here = (start, folder, if folder == 0 { None } else { Some(Names::new(self.rules)) });
        let walked = drive.walk(source, &mut |visited| {
            let (path, entry) = match visited {
                Visited::Entry { path, entry } => (path, entry),
                Visited::Problem(problem) => {
                    self.report.problems.push(problem.clone());
                    return ControlFlow::Continue(());
                }
            };
            let directory = path.get(..path.len().saturating_sub(entry.name.len() + 1)).unwrap_or_default();
            if here.0 != directory {
                let Some(folder) = folders.get(directory) else { return ControlFlow::Continue(()) };
                here = (directory.to_owned(), *folder, Some(Names::new(self.rules)));
            }
            if !matches!(entry.kind, EntryKind::File | EntryKind::Directory) {
                let target = drive.link_target(entry).ok().flatten();
                self.report.links.push(Link { path: path.to_owned(), target });
                return ControlFlow::Continue(());
            }
            let name = here.2.as_mut().unwrap_or(&mut self.names).choose(&entry.name, &fits);
            if name != entry.name {
                self.report.renamed.push(Renamed { path: path.to_owned(), name: name.clone() });
            }
            if entry.kind == EntryKind::Directory {
                let number = self.folder(path.to_owned(), entry.clone(), here.1, name.into());
                folders.insert(path.to_owned(), number);
            } else {
                self.item(Item {
                    path: path.to_owned(),
                    entry: entry.clone(),
                    stream: String::new(),
                    size_bytes: entry.size_bytes,
                    folder: here.1,
                    name: name.into(),
                });
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = walked {
            self.report.problem(source, error.to_string());
        }
    }
}

/// Why a source without content is not copied.
fn not_a_file<D: BlockRead>(drive: &FileSystem<D>, entry: &Entry) -> String {
    match drive.link_target(entry) {
        Ok(Some(target)) => format!("it is a link to {target}; links are not copied"),
        _ => "it is neither a file nor a directory".to_owned(),
    }
}
