//! The storage of this computer, behind one trait for every system.

use std::path::PathBuf;

use crate::failure::{Failure, Outcome};

/// Something that may hold a BitLocker volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What to open, and how other commands name it.
    pub path: PathBuf,
    /// What it is called by who made it.
    pub model: Option<String>,
    /// Whether it can be taken out.
    pub removable: bool,
    /// Whether the system has not looked for partitions in it, so that we must.
    pub look_inside: bool,
    /// Equal for everything that lies on the same hardware, below or above each other.
    pub family: usize,
    /// Whether it is put together from others of its family. It shows again what those hold.
    pub is_composed: bool,
}

/// A system that can tell its drives.
pub trait HostDrives {
    /// Everything that may hold a volume, in the order in which people expect it.
    ///
    /// # Errors
    /// The system does not tell them.
    fn candidates(&self) -> Outcome<Vec<Candidate>>;
}

/// A system whose drives are not known here.
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "for the other systems; tested on all"))]
#[derive(Debug)]
pub(super) struct OtherSystem;

impl HostDrives for OtherSystem {
    fn candidates(&self) -> Outcome<Vec<Candidate>> {
        Err(Failure::could_not("the drives of this computer cannot be listed on this system")
            .cause("it is done on Linux only so far")
            .hint("name an image or a device: `keyhaven drives PATH`; every other command takes them, too"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn other_systems_say_so() {
        let failure = OtherSystem.candidates().unwrap_err();
        assert_eq!(failure.status(), 2);
        assert!(failure.hint.unwrap().contains("keyhaven drives PATH"));
    }
}
