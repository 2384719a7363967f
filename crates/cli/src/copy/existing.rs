//! What is there already under the name of a file, and comparing it with the drive.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use block_io::BlockRead;
use fs_view::{FileSystem, OpenFile};

use super::host;
use super::plan::Item;
use super::queue::CHUNK_BYTES;

/// What has the name.
pub(super) enum There {
    Nothing,
    /// The file itself, from an earlier copy.
    TheSame,
    /// Something else, and what that means.
    Other(String),
}

/// Looks at what has the name that a file is to get. Size and date prove it the same, or else its content.
pub(super) fn look<D: BlockRead>(drive: &FileSystem<D>, item: &Item, whole: &Path, resume: bool) -> There {
    let found = match std::fs::symlink_metadata(whole) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound || host::refuses_name(&error) => return There::Nothing,
        Err(error) => return There::Other(format!("cannot look at {}: {error}", whole.display())),
    };
    if !resume {
        return There::Other(format!("{} exists, and is never overwritten", whole.display()));
    }
    if found.is_file() && found.len() == item.size_bytes {
        if item.entry.modified.is_some_and(|modified| has_date(&found, modified)) {
            return There::TheSame;
        }
        match is_same(drive, item, whole) {
            Ok(true) => return There::TheSame,
            Ok(false) => {}
            Err(reason) => return There::Other(format!("cannot compare it with {}: {reason}", whole.display())),
        }
    }
    There::Other(format!("{} is another file, and is never overwritten", whole.display()))
}

/// Some file systems know seconds, or every other one; others all that the drive knows.
fn has_date(found: &Metadata, modified: SystemTime) -> bool {
    let Ok(date) = found.modified() else { return false };
    let apart = date.duration_since(modified).unwrap_or_else(|earlier| earlier.duration());
    let whole_seconds = date.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.subsec_nanos() == 0);
    apart < if whole_seconds { Duration::from_secs(2) } else { Duration::from_micros(1) }
}

fn is_same<D: BlockRead>(drive: &FileSystem<D>, item: &Item, whole: &Path) -> Result<bool, String> {
    let content = drive.open_stream(&item.entry, &item.stream, &item.path).map_err(|error| error.to_string())?;
    let file = host::open(whole).map_err(|error| error.to_string())?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let mut offset = 0;
    while offset < item.size_bytes {
        let length = usize::try_from(CHUNK_BYTES.min(item.size_bytes - offset)).unwrap_or_default();
        one.resize(length, 0);
        two.resize(length, 0);
        if difference(drive, &content, &file, offset, &mut one, &mut two)?.is_some() {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

/// Where a part of a file first differs from the drive.
pub(super) fn difference<D: BlockRead>(
    drive: &FileSystem<D>,
    content: &OpenFile,
    file: &File,
    offset: u64,
    one: &mut [u8],
    two: &mut [u8],
) -> Result<Option<u64>, String> {
    read_whole(drive, content, offset, one).map_err(|error| error.to_string())?;
    host::read_exact_at(file, two, offset).map_err(|error| error.to_string())?;
    if one == two {
        return Ok(None);
    }
    let place = one.iter().zip(two.iter()).take_while(|(one, two)| one == two).count();
    Ok(Some(offset + place as u64))
}

/// Reads all of `buffer` from a file of the drive.
pub(super) fn read_whole<D: BlockRead>(
    drive: &FileSystem<D>,
    content: &OpenFile,
    offset: u64,
    buffer: &mut [u8],
) -> Result<(), fs_view::Error> {
    match drive.read_at(content, offset, buffer)? {
        count if count == buffer.len() => Ok(()),
        _ => Err(fs_view::Error::Damaged { reason: "content ends before its length".to_owned() }),
    }
}
