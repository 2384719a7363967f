//! The drive mended where it lies.

use std::path::Path;
use std::time::SystemTime;

use fve::salvage::{Part, PlannedWrite, RepairPlan};
use fve::{Error, Filetime};
use serde_json::{Value, json};

use super::locate::Place;
use super::open::{self, Found};
use super::output::not_on;
use super::{RepairArgs, report};
use crate::commands::edit;
use crate::drive::Disk;
use crate::failure::{Failure, Outcome};
use crate::lock::{Alone, Lock};
use crate::{files, output};

/// What a backup file begins with; see [`backup`].
const BACKUP_MARK: &str = "KEYHAVEN OVERWRITTEN SECTORS 1\n";
const BACKUP_HEADER_BYTES: usize = 4096;

pub(super) fn run(arguments: &RepairArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let _lock = Lock::take(path, !arguments.dry_run)?;
    let _alone = if arguments.dry_run { None } else { Some(Alone::take(path)?) };
    if let Some(file) = &arguments.backup_file {
        not_on(file, path)?;
    }
    let place = Place::find(path, !arguments.dry_run)?;
    let Found { volume, given, way, start_bytes } = open::found(arguments, &place)?;
    let volume_bytes = volume.volume_bytes();
    let identifier = volume.metadata().identifier.to_string();
    let now = Filetime::from_system_time_ms(SystemTime::now());
    let plan = volume.plan_repair(given.material(), now).map_err(|error| explain(path, &error))?;
    let moved = start_bytes > 0;
    let start_bytes = place.start_bytes() + start_bytes;
    let writes = plan.writes();
    let mut document = json!({
        "drive": path.display().to_string(),
        "volume": report::volume(&way, start_bytes, &identifier),
        "writes": writes.iter().map(|write| as_json(write, start_bytes)).collect::<Vec<_>>(),
        "dry_run": arguments.dry_run,
        "backup_file": Value::Null,
    });
    if moved {
        output::note(&format!(
            "the volume starts at byte {start_bytes} and is {} long; the partition table, which should say so, is left alone",
            output::size(volume_bytes)
        ));
    }
    if writes.is_empty() {
        let text = format!("{}: header and metadata are sound, nothing has to be repaired.\n", path.display());
        return output::report(json, &document, &text);
    }
    let list: String = writes.iter().map(|write| as_line(write, start_bytes)).collect();
    let Some(file) = &arguments.backup_file else {
        return output::report(json, &document, &format!("To be written:\n{list}Nothing was written.\n"));
    };
    output::note(&format!("to be written:\n{}", list.trim_end()));
    backup(&plan, &writes, start_bytes, file)?;
    plan.run().map_err(|error| failed(path, file, &error))?;
    if let Some(object) = document.as_object_mut() {
        object.insert("backup_file".to_owned(), json!(file.display().to_string()));
    }
    let text =
        format!("{} is repaired. Written:\n{list}What was there before is in {}.\n", path.display(), file.display());
    output::report(json, &document, &text)
}

fn what(part: Part) -> String {
    match part {
        Part::Copy(index) => format!("metadata copy {} of 3", index + 1),
        Part::Header => "the first sector".to_owned(),
    }
}

fn as_json(write: &PlannedWrite, start_bytes: u64) -> Value {
    json!({ "what": what(write.part), "offset_bytes": start_bytes + write.offset_bytes, "bytes": write.length_bytes })
}

fn as_line(write: &PlannedWrite, start_bytes: u64) -> String {
    let length = output::size(write.length_bytes as u64);
    format!("  byte {}: {}, {length}\n", start_bytes + write.offset_bytes, what(write.part))
}

/// Keeps what will be overwritten. A text of 4096 bytes, filled up with zeros, has a line for each place: its offset in the
/// disk and its length; the bytes follow in the same order.
fn backup(plan: &RepairPlan<Disk>, writes: &[PlannedWrite], start_bytes: u64, file: &Path) -> Outcome {
    let mut index = String::from(BACKUP_MARK);
    let mut bytes = Vec::new();
    for write in writes {
        let (before, unreadable) = plan.overwritten(write);
        index.push_str(&format!("{} {}\n", start_bytes + write.offset_bytes, before.len()));
        bytes.extend_from_slice(&before);
        if unreadable > 0 {
            output::note(&format!(
                "{} of {} cannot be read and are kept as zeros",
                output::size(unreadable as u64),
                what(write.part)
            ));
        }
    }
    let mut whole = index.into_bytes();
    whole.resize(BACKUP_HEADER_BYTES, 0);
    whole.extend_from_slice(&bytes);
    files::write_new_private(file, &whole)
}

fn explain(path: &Path, error: &Error) -> Failure {
    let name = path.display();
    let instead = "nothing was written; `keyhaven repair DRIVE --output FILE` rescues the data all the same";
    match error {
        Error::CannotEdit { .. } => {
            Failure::no(format!("{name} is not repaired in place")).because(error).hint(instead)
        }
        Error::NoFileSystem => {
            Failure::no(format!("the first sector of {name} is not written")).because(error).hint(instead)
        }
        Error::Short { .. } => Failure::no(format!("{name} is not repaired in place")).because(error).hint(instead),
        _ => edit::explain(path, error),
    }
}

/// It began, and something could not be written.
fn failed(path: &Path, backup: &Path, error: &Error) -> Failure {
    Failure::could_not(format!("{} could not be repaired whole", path.display())).because(error).hint(format!(
        "nothing that was sound is worse than before; {} holds what was overwritten. Rescue the data with `keyhaven repair \
         DRIVE --output FILE` before anything else: the drive may be failing",
        backup.display()
    ))
}
