//! Files that hold secrets or must not be lost: written new, private, durable.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, Outcome};

/// Writes a file that did not exist, readable by its owner only, and makes it durable.
///
/// # Errors
/// [`Kind::Exists`]; of the system.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Outcome {
    let written = new_private(path).and_then(|mut file| {
        let result = file.write_all(bytes).and_then(|()| file.sync_all());
        if result.is_err() {
            // Half a key file is worse than none.
            let _ = std::fs::remove_file(path);
        }
        result
    });
    if written.is_ok() {
        make_name_durable(path);
    }
    written.map_err(|error| {
        let failure = Failure::writing(&path.display().to_string(), &error);
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.kind(Kind::Exists).hint("choose another name; an existing file is never overwritten")
        } else {
            failure
        }
    })
}

/// A whole small file; what is behind `most_bytes` is not read.
///
/// # Errors
/// Of the system.
pub fn read_small(path: &Path, most_bytes: u64) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)
        .and_then(|file| file.take(most_bytes).read_to_end(&mut bytes))
        .map_err(|error| Failure::could_not(format!("cannot read {}", path.display())).because(&error))?;
    Ok(bytes)
}

/// A name is durable with its folder. Some file systems do that with the file, and some folders may not be opened.
fn make_name_durable(path: &Path) {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

fn new_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
