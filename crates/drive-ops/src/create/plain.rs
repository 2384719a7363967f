//! NTFS and exFAT, which other programs make: on a sparse plain file of the volume's size, empty, from which the new
//! volume is filled. Nothing secret is ever in that file, and it is gone when this is.

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use block_io::{BlockRead, BlockWrite, FileDisk};
use fs_reserve::{FileSystem as Reserve, Write};
use fve::Placement;

use super::FileSystem;
use crate::failure::{Failure, Kind, Outcome};
use crate::places::{self, without};

const CHUNK_BYTES: u64 = 1 << 20;

/// What the file system shall be.
pub(super) struct Wanted<'w> {
    pub(super) file_system: FileSystem,
    pub(super) volume_bytes: u64,
    pub(super) sector_bytes: u32,
    pub(super) hidden_sectors: u32,
    pub(super) label: &'w str,
}

/// The plain file with an empty file system that owns BitLocker's places.
pub(super) struct Plain {
    file: Temporary,
    disk: FileDisk,
    placement: Placement,
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Plain {
    /// Makes the file system in a file of `folder`, and finds and reserves the places.
    pub(super) fn make(folder: &Path, wanted: &Wanted<'_>) -> Outcome<Self> {
        // Sizes that are impossible at all are told before any program runs.
        let usual = Placement::choose(wanted.volume_bytes, wanted.sector_bytes.into(), 0)
            .map_err(|error| Failure::no("a volume of this size cannot be made").because(&error))?;
        let name = format!(".keyhaven-{:016x}.plain", random());
        let file = Temporary(folder.join(name));
        let cannot = |error: &dyn std::error::Error| {
            Failure::could_not(format!("cannot make a temporary file in {}", folder.display())).because(error)
        };
        let disk = FileDisk::create_new(&file.0, wanted.volume_bytes).map_err(|error| cannot(&error))?;
        run(wanted, &file.0)?;
        if wanted.file_system == FileSystem::Exfat && wanted.sector_bytes == 4096 {
            apply(&disk, &fs_reserve::exfat_with_sectors_of_4096(&disk).map_err(|error| unusable(wanted, &error))?)
                .map_err(|error| cannot(&error))?;
        }
        let placement = reserve(&disk, &usual, wanted)?;
        Ok(Self { file, disk, placement })
    }

    /// Where BitLocker's structures go.
    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Copies the file system into the volume. Where that holds zeros already, only what is stored in the file is copied;
    /// else all that is not free, because a file system counts on the zeros it wrote.
    pub(super) fn copy_to(&self, volume: &dyn BlockWrite, holds_zeros: bool) -> Outcome {
        let failed = |error: &dyn std::error::Error| Failure::could_not("cannot copy the file system").because(error);
        let stored = if holds_zeros { stored(&self.file.0).map_err(|error| failed(&error))? } else { None };
        let ranges = match stored {
            Some(ranges) => ranges,
            None => self.used().map_err(|error| failed(&error))?,
        };
        let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
        for range in without(&ranges, &self.placement.reserved()) {
            let mut offset = range.start;
            while offset < range.end {
                let count = usize::try_from((range.end - offset).min(CHUNK_BYTES)).unwrap_or(0);
                let bytes = &mut buffer[..count];
                self.disk.read_exact_at(offset, bytes).map_err(|error| failed(&error))?;
                volume.write_all_at(offset, bytes).map_err(|error| failed(&error))?;
                offset += count as u64;
            }
        }
        Ok(())
    }

    /// All but the free clusters.
    fn used(&self) -> Result<Vec<Range<u64>>, fs_reserve::Error> {
        let volume = Reserve::open(&self.disk)?;
        let (mut used, mut next) = (Vec::new(), 0);
        volume.visit_free(&mut |free| {
            used.push(next..free.start);
            next = free.end;
            ControlFlow::Continue(())
        })?;
        used.push(next..self.disk.geometry().length_bytes);
        Ok(used)
    }
}

/// The program that makes the file system.
fn run(wanted: &Wanted<'_>, file: &Path) -> Outcome {
    let (program, package) = match wanted.file_system {
        FileSystem::Exfat => ("mkfs.exfat", "exfatprogs"),
        _ => ("mkntfs", "ntfs-3g"),
    };
    let mut arguments: Vec<String> = Vec::new();
    if wanted.file_system == FileSystem::Ntfs {
        // A file has no geometry to ask for: that of any disk since the nineties.
        let geometry = format!("-F -Q -q -s {} -p {} -H 255 -S 63", wanted.sector_bytes, wanted.hidden_sectors);
        arguments.extend(geometry.split(' ').map(str::to_owned));
    }
    if !wanted.label.is_empty() {
        arguments.extend(["-L".to_owned(), wanted.label.to_owned()]);
    }
    let output = started(program, &arguments, file).map_err(|error| cannot_run(program, package, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it did not say why");
    Err(Failure::could_not(format!("{program} could not make the file system ({})", output.status))
        .cause(last.escape_debug().to_string()))
}

fn cannot_run(program: &str, package: &str, error: &io::Error) -> Failure {
    let failure = Failure::could_not(format!("cannot run {program}")).because(error);
    match error.kind() {
        io::ErrorKind::NotFound => failure.kind(Kind::NoProgram).hint(format!(
            "it makes the file system; on Debian and Ubuntu: apt install {package}. FAT32 needs no other program"
        )),
        _ => failure,
    }
}

/// Folders for administrators are not searched for everybody.
fn started(program: &str, arguments: &[String], file: &Path) -> io::Result<Output> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for place in [program.to_owned(), format!("/usr/sbin/{program}"), format!("/sbin/{program}")] {
        let mut command = Command::new(place);
        // Names are given in UTF-8.
        command.args(arguments).arg(file).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        // Secrets may be in our environment, which that of other programs shows to every process of this account.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KEYHAVEN_")) {
            command.env_remove(name);
        }
        match command.output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
            result => return result,
        }
    }
    Err(last)
}

fn unusable(wanted: &Wanted<'_>, error: &dyn std::error::Error) -> Failure {
    Failure::could_not("the new file system has no place for the metadata of the volume")
        .because(error)
        .hint(format!("{} bytes may be too few; a larger size makes room", wanted.volume_bytes))
}

/// Gives the file system the places, which are those that Windows takes or the next free ones above.
fn reserve(disk: &FileDisk, usual: &Placement, wanted: &Wanted<'_>) -> Outcome<Placement> {
    let volume = Reserve::open(disk).map_err(|error| unusable(wanted, &error))?;
    let places = places::find(&volume, usual).map_err(|error| unusable(wanted, &error))?;
    let writes = volume.reserve(&places.ranges()).map_err(|error| unusable(wanted, &error))?;
    apply(disk, &writes).map_err(|error| unusable(wanted, &error))?;
    Ok(places.placement(wanted.volume_bytes))
}

fn apply(disk: &FileDisk, writes: &[Write]) -> Result<(), block_io::Error> {
    writes.iter().try_for_each(|write| disk.write_all_at(write.offset_bytes, &write.bytes))
}

/// The parts of a sparse file that are stored; `None` where the system does not tell.
#[cfg(target_os = "linux")]
fn stored(path: &Path) -> io::Result<Option<Vec<Range<u64>>>> {
    use rustix::fs::{SeekFrom, seek};
    let file = File::open(path)?;
    let (mut parts, mut offset) = (Vec::new(), 0);
    loop {
        let start = match seek(&file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return Ok(Some(parts)),
            Err(_) if parts.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        offset = seek(&file, SeekFrom::Hole(start))?;
        parts.push(start..offset);
    }
}

#[cfg(not(target_os = "linux"))]
fn stored(_path: &Path) -> io::Result<Option<Vec<Range<u64>>>> {
    Ok(None)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    secret::random_bytes(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_program_that_is_missing_is_told_with_its_package() {
        let error = started("mkfs.nothing", &[], Path::new("file")).unwrap_err();
        let failure = cannot_run("mkfs.nothing", "nothing-tools", &error);
        assert_eq!(failure.status(), 2);
        assert!(failure.hint.unwrap().contains("apt install nothing-tools"));
    }
}
