//! The map of a rescue in its file: read, checked, replaced whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fve::salvage::RescueMap;

use crate::failure::{Failure, Outcome};

/// More than a map with as many ranges as are taken.
const MAX_MAP_BYTES: u64 = 128 << 20;
const ABOUT: &str = "Volume: ";

/// Where the map of a rescue is kept.
pub(super) struct MapFile {
    pub(super) path: PathBuf,
    about: String,
}

impl MapFile {
    /// `about` identifies the volume.
    pub(super) fn new(path: PathBuf, about: &str) -> Self {
        Self { path, about: format!("{ABOUT}{about}") }
    }

    /// The map that an earlier run left; `None` where there is none.
    pub(super) fn read(&self, length_bytes: u64) -> Outcome<Option<RescueMap>> {
        let name = self.path.display();
        let mut text = String::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_MAP_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::could_not(format!("cannot read the map {name}")).because(&error)),
        }
        let stated = text.lines().find_map(|line| line.strip_prefix("# ").filter(|line| line.starts_with(ABOUT)));
        if stated.is_some_and(|stated| stated != self.about) {
            return Err(Failure::could_not(format!("the map {name} belongs to another volume"))
                .cause(format!("it says {:?}, this is {:?}", stated.unwrap_or_default(), self.about))
                .hint("choose another output, or another map"));
        }
        let map = RescueMap::parse(&text, length_bytes);
        map.map(Some).map_err(|error| Failure::could_not(format!("{name} is no map of this volume")).because(&error))
    }

    /// Replaces the file as a whole, durably.
    pub(super) fn write(&self, map: &RescueMap) -> io::Result<()> {
        let fresh = beside(&self.path, ".new");
        let mut file = File::create(&fresh)?;
        file.write_all(map.to_text(&self.about).as_bytes())?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&fresh, &self.path)
    }

    pub(super) fn remove(&self) {
        // All is rescued: a map that stays says so, too.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The same name with something behind it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(ending);
    name.into()
}
