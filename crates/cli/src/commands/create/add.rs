//! Putting files from this computer into the new volume.

use std::fs::File;
use std::io;
use std::path::Path;

use block_io::FileDisk;
use fs_view::fat32;
use fve::UnlockedVolume;

use crate::failure::{Failure, Outcome};
use crate::output;

/// Bytes in a file, or in all files below a folder.
pub(super) fn length_below(path: &Path) -> Outcome<u64> {
    let cannot_read = |error: &io::Error| Failure::could_not(format!("cannot read {}", path.display())).because(error);
    let metadata = path.metadata().map_err(|error| cannot_read(&error))?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut length = 0;
    for entry in std::fs::read_dir(path).map_err(|error| cannot_read(&error))? {
        let entry = entry.map_err(|error| cannot_read(&error))?;
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            length += length_below(&entry.path())?;
        }
    }
    Ok(length)
}

/// Copies a file, or a folder with everything in it, into a directory of the new volume.
pub(super) fn add(volume: &UnlockedVolume<&FileDisk>, path: &Path, directory: &str) -> Outcome {
    let cannot_read = |error: &io::Error| Failure::could_not(format!("cannot read {}", path.display())).because(error);
    let name = path.canonicalize().map_err(|error| cannot_read(&error))?;
    let name = name.file_name().and_then(|name| name.to_str()).map(|name| format!("{directory}/{name}"));
    let target = name.ok_or_else(|| Failure::could_not(format!("{} has no name for the volume", path.display())))?;
    let cannot_add = |error: &fs_view::Error| {
        Failure::could_not(format!("cannot put {} into the volume", path.display()))
            .because(error)
            .hint("a larger --size makes room; FAT32 holds files of up to 4 GiB")
    };
    if path.is_dir() {
        fat32::create_dir(volume, &target).map_err(|error| cannot_add(&error))?;
        for entry in std::fs::read_dir(path).map_err(|error| cannot_read(&error))? {
            let entry = entry.map_err(|error| cannot_read(&error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                // It may lead anywhere, back to this folder for instance; FAT has no links.
                output::note(&format!("warning: the link {} was left out", entry.path().display()));
                continue;
            }
            add(volume, &entry.path(), &target)?;
        }
        return Ok(());
    }
    let mut file = File::open(path).map_err(|error| cannot_read(&error))?;
    fat32::write_file(volume, &target, &mut file).map(drop).map_err(|error| cannot_add(&error))
}
