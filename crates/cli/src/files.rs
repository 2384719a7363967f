//! Files that hold secrets or must not be lost: written new, private, durable.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// Writes a file that did not exist, readable by its owner only, and makes it durable.
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> Outcome {
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
            failure.hint("choose another name; an existing file is never overwritten")
        } else {
            failure
        }
    })
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
