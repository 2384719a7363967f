//! The plain volume into a file, around what cannot be read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use block_io::{BlockRead, BlockWrite, FileDisk};
use drive_ops::same_drive;
use fve::salvage::{Ended, Pass, RescueMap, RescueOptions, Status, rescue};

use super::locate::Place;
use super::mapfile::{MapFile, beside};
use super::open::{self, Opened};
use super::{RepairArgs, report};
use crate::commands::decrypt::{refuse, write_with_holes};
use crate::failure::{Failure, Outcome};
use crate::lock::Lock;
use crate::signals::Signals;
use crate::{host, output, progress};

/// How often the map is written meanwhile, each time behind a flush of the output.
const SAVE_EVERY: Duration = Duration::from_secs(30);

pub(super) fn run(arguments: &RepairArgs, path: &Path, json: bool) -> Outcome {
    let drive = &arguments.drive.drive;
    let map_path = arguments.map.clone().unwrap_or_else(|| beside(path, ".map"));
    for file in [path, &map_path] {
        not_on(file, drive)?;
    }
    // Before anything is searched for hours.
    let resumes = check_files(path, &map_path)?;
    let _lock = Lock::take(drive, false)?;
    let place = Place::find(drive, false)?;
    let opened = open::unlocked(arguments, &place)?;
    let length_bytes = opened.unlocked.geometry().length_bytes;
    let about = format!("{{{}}} at {}", opened.identifier, place.start_bytes() + opened.start_bytes);
    let file = MapFile::new(map_path, &about);
    let map = file.read(length_bytes)?.unwrap_or_else(|| RescueMap::new(length_bytes));
    let target = open_target(path, length_bytes, resumes)?;
    // The map is there before anything is in the file, so that a power cut leaves nothing that cannot be continued.
    if let Err(error) = file.write(&map) {
        if !resumes {
            // Without a map nobody could go on with it, and it is empty.
            let _ = std::fs::remove_file(path);
        }
        return Err(Failure::writing(&file.path.display().to_string(), &error));
    }
    Rescue { opened, map, file, target, output: path.to_owned(), is_named: arguments.map.is_some() }
        .run(arguments.retries, json)
}

/// A file that must not lie on the drive.
pub(super) fn not_on(file: &Path, drive: &Path) -> Outcome {
    if !same_drive::lies_on(file, drive) {
        return Ok(());
    }
    Err(Failure::could_not(format!("{} would lie on the drive that is to be rescued", file.display()))
        .cause("writing there would overwrite what can still be rescued")
        .hint("choose a place on another drive"))
}

/// Whether an earlier run is continued. An output without its map is never touched, nor a map without its output.
fn check_files(path: &Path, map: &Path) -> Outcome<bool> {
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    match (exists(path), exists(map)) {
        (false, false) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(Failure::could_not(format!("{} exists already", path.display()))
            .cause(format!("there is no map {} that would say what is in it", map.display()))
            .hint("choose another name, or name the map of the run that wrote it with --map")),
        (false, true) => Err(Failure::could_not(format!("the map {} is there without its output", map.display()))
            .cause(format!("it says what is in {}, which does not exist", path.display()))
            .hint("remove the map to begin anew, or name the output that it belongs to")),
    }
}

fn open_target(path: &Path, length_bytes: u64, resumes: bool) -> Outcome<FileDisk> {
    if !resumes {
        return FileDisk::create_new(path, length_bytes).map_err(|error| refuse(path, &error));
    }
    let cannot = || Failure::could_not(format!("cannot go on with {}", path.display()));
    let target = FileDisk::open_writable(path).map_err(|error| cannot().because(&error))?;
    if target.is_device() || target.geometry().length_bytes != length_bytes {
        return Err(cannot()
            .cause(format!("it is not a file of {length_bytes} bytes, as this volume is"))
            .hint("choose another output: this one belongs to something else"));
    }
    Ok(target)
}

struct Rescue {
    opened: Opened,
    map: RescueMap,
    file: MapFile,
    target: FileDisk,
    output: PathBuf,
    /// Whether a person named the map: then it stays.
    is_named: bool,
}

/// What stops the work: one side or the other.
enum Stop {
    Read(block_io::Error),
    Write(block_io::Error),
    Map(std::io::Error),
}

impl From<block_io::Error> for Stop {
    fn from(error: block_io::Error) -> Self {
        Self::Read(error)
    }
}

impl Rescue {
    fn run(mut self, retries: u32, json: bool) -> Outcome {
        let signals = Signals::watch()?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        signals.then(move || asked.store(true, Ordering::Relaxed));
        let resumed_bytes = self.map.bytes(Status::Read);
        if resumed_bytes > 0 {
            output::note(&format!("going on: {} were rescued before", output::size(resumed_bytes)));
        }
        let ended = self.work(retries, &stop);
        // Whatever happened: what is in the file is written down.
        let kept =
            self.target.flush().map_err(Stop::Write).and_then(|()| self.file.write(&self.map).map_err(Stop::Map));
        let ended = ended.and_then(|ended| kept.map(|()| ended)).map_err(|stop| self.explain(stop))?;
        self.tell(ended, json)
    }

    fn work(&mut self, retries: u32, stop: &AtomicBool) -> Result<Ended, Stop> {
        let (target, file, volume) = (&self.target, &self.file, &self.opened.unlocked);
        let bar = progress::bytes(self.map.length_bytes(), "rescuing");
        let saved = Mutex::new(Instant::now());
        let options = RescueOptions { workers: host::workers(), retries };
        let ended = rescue(
            volume,
            &mut self.map,
            options,
            &|offset_bytes, chunk| write_with_holes(target, offset_bytes, chunk).map_err(Stop::Write),
            &|map, pass| {
                let failed = map.bytes(Status::Failed) + map.bytes(Status::Bad);
                bar.set_position(map.bytes(Status::Read));
                if !bar.is_hidden() && (failed > 0 || pass != Pass::Copying) {
                    bar.set_message(format!("{}, {} unreadable so far", name(pass), output::size(failed)));
                }
                let mut saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
                if saved.elapsed() >= SAVE_EVERY {
                    // What the map calls read must be durable.
                    target.flush().map_err(Stop::Write)?;
                    file.write(map).map_err(Stop::Map)?;
                    *saved = Instant::now();
                }
                Ok(!stop.load(Ordering::Relaxed))
            },
        );
        bar.finish_and_clear();
        ended
    }

    fn tell(self, ended: Ended, json: bool) -> Outcome {
        let finished = ended == Ended::Finished;
        let lost = report::lost(&self.map, self.opened.volume_bytes);
        let name = self.output.display().to_string();
        let mut document = report::document(&self.opened, &name, &self.map, &lost, finished);
        let kept = self.is_named || !lost.is_empty();
        if !kept {
            self.file.remove();
        }
        if let Some(object) = document.as_object_mut() {
            object.insert("map".to_owned(), kept.then(|| self.file.path.display().to_string()).into());
        }
        let read = output::size(self.map.bytes(Status::Read));
        if lost.is_empty() {
            return output::report(json, &document, &format!("All {read} were rescued to {name}.\n"));
        }
        let lost_bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        let text = if finished {
            format!(
                "{read} were rescued to {name}. Lost, and zero there:\n{}The map is {}.\n",
                report::list(&lost),
                self.file.path.display()
            )
        } else {
            String::new()
        };
        output::report(json, &document, &text)?;
        Err(if finished {
            Failure::no(format!("{} of the drive could not be read", output::size(lost_bytes))).hint(
                "the same command tries only what is missing again; `keyhaven ls` and other programs work on the file as it is",
            )
        } else {
            Failure::no(format!("stopped: {read} are rescued, {} are missing", output::size(lost_bytes)))
                .hint("the same command goes on")
        })
    }

    fn explain(&self, stop: Stop) -> Failure {
        let name = self.output.display().to_string();
        let on = "what was rescued is kept; the same command goes on";
        match stop {
            Stop::Read(error) => {
                Failure::could_not("the drive is gone").because(&error).hint(format!("connect it again; {on}"))
            }
            Stop::Write(block_io::Error::Io { source, .. }) => Failure::writing(&name, &source).hint(on),
            Stop::Write(error) => Failure::could_not(format!("cannot write {name}")).because(&error).hint(on),
            Stop::Map(error) => Failure::writing(&self.file.path.display().to_string(), &error).hint(on),
        }
    }
}

fn name(pass: Pass) -> String {
    match pass {
        Pass::Copying => "rescuing".to_owned(),
        Pass::Dividing => "rescuing damaged places".to_owned(),
        Pass::Retrying(time) => format!("trying bad sectors again ({time})"),
    }
}
