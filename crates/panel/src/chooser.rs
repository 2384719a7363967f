//! Choosing a file or a folder of this computer, with the rights of whoever started the panel.

use std::path::{Path, PathBuf};

use drive_ops::failure::{Failure, Kind};
use drive_ops::words::shown;

use crate::failure::Answer;
use crate::types::{Folder, FolderEntry};
use crate::views::absolute;

/// Names that are told of one folder.
const MOST_NAMES: usize = 5000;

/// What is in a folder; without one, in the home folder.
pub(crate) fn show(path: Option<&str>, hidden: bool) -> Answer<Folder> {
    let path = match path {
        Some(path) => absolute(path)?,
        None => home(),
    };
    let cannot = |error: &std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            std::io::ErrorKind::PermissionDenied => Kind::NoRights,
            _ => Kind::Other,
        };
        Failure::could_not(format!("cannot open {}", path.display())).kind(kind).because(error)
    };
    let mut entries = Vec::new();
    let mut truncated = false;
    for found in std::fs::read_dir(&path).map_err(|error| cannot(&error))? {
        let Ok(found) = found else { continue };
        // A path that is no text cannot be asked for.
        let Some(name) = found.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') && !hidden {
            continue;
        }
        if entries.len() == MOST_NAMES {
            truncated = true;
            break;
        }
        let Some(entry) = entry(&name, &found.path()) else { continue };
        entries.push(entry);
    }
    entries.sort_by_cached_key(|entry| (!entry.folder, entry.name.to_lowercase()));
    let parent = path.parent().map(|parent| parent.display().to_string());
    Ok(Folder { path: path.display().to_string(), parent, places: places(), entries, truncated })
}

fn entry(name: &str, path: &Path) -> Option<FolderEntry> {
    let metadata = path.metadata().ok()?;
    let folder = metadata.is_dir();
    let bytes = if folder { 0 } else { metadata.len() };
    Some(FolderEntry { name: shown(name), path: path.to_str()?.to_owned(), folder, bytes })
}

fn home() -> PathBuf {
    let home = std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).map(PathBuf::from);
    home.filter(|home| home.is_absolute() && home.is_dir()).unwrap_or_else(|| PathBuf::from("/"))
}

/// Home, and where drives are mounted.
fn places() -> Vec<FolderEntry> {
    let home = home();
    let mut places: Vec<FolderEntry> = entry("~", &home).into_iter().collect();
    let user = std::env::var("USER").unwrap_or_default();
    for above in [PathBuf::from("/media").join(&user), PathBuf::from("/run/media").join(&user), PathBuf::from("/mnt")] {
        let found = std::fs::read_dir(&above).into_iter().flatten().flatten().take(20);
        places
            .extend(found.filter_map(|found| entry(found.file_name().to_str()?, &found.path())).filter(|it| it.folder));
    }
    places
}
