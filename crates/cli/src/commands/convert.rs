//! Conversion in place: `keyhaven decrypt --in-place`, `keyhaven resume`, `keyhaven pause`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use block_io::BlockWrite;
use clap::Args;
pub(crate) use drive_ops::convert::{advice, explain, hold, open, state};
use drive_ops::convert::{begin_decrypting, percent, stopped};
use fve::convert::{ConversionProgress, Converter, Direction, Outcome as End, Step};
use serde_json::{Value, json};

use crate::drive::{self, DriveArgs, Locked};
use crate::failure::{Failure, Outcome};
use crate::secrets::SecretArgs;
use crate::signals::Signals;
use crate::{output, progress};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven resume /dev/sdb1 --recovery-password-file key.txt\n\n\
    Goes on in the direction the drive had, from where it was paused or the power failed. Ctrl-C pauses it again.")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Go back instead: decrypt what was being encrypted, encrypt what was being decrypted
    #[arg(long)]
    turn_round: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven pause /dev/sdb1\n\n\
    Ctrl-C where the conversion runs does the same. `keyhaven resume` goes on.")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    drive: DriveArgs,
}

/// Decrypts a drive where it lies, or goes on or back to that.
pub(crate) fn decrypt(path: &Path, secrets: &SecretArgs, json: bool) -> Outcome {
    let _held = hold(path)?;
    let volume = open(path)?;
    if volume.in_place_conversion().is_some() {
        return go_on(path, volume, secrets, Direction::Decrypt, json);
    }
    let given = secrets.resolve(&volume)?;
    // Before anything is written that a signal must not break off.
    let signals = Signals::watch()?;
    let converter = begin_decrypting(path, volume, given.material())?;
    run(path, converter, Direction::Decrypt, &signals, json)
}

pub(crate) fn run_resume(arguments: &ResumeArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let _held = hold(path)?;
    let volume = open(path)?;
    let Some(conversion) = volume.in_place_conversion() else {
        return Err(Failure::no(format!("no conversion of {} is under way", path.display()))
            .cause(format!("its state is: {}", super::info::state_name(&volume))));
    };
    let direction = match (conversion.direction, arguments.turn_round) {
        (Direction::Encrypt, false) | (Direction::Decrypt, true) => Direction::Encrypt,
        _ => Direction::Decrypt,
    };
    go_on(path, volume, &arguments.secrets, direction, json)
}

pub(crate) fn go_on(path: &Path, volume: Locked, secrets: &SecretArgs, direction: Direction, json: bool) -> Outcome {
    let given = if volume.is_decrypted() { None } else { Some(secrets.resolve(&volume)?) };
    let signals = Signals::watch()?;
    let material = given.as_ref().map(crate::secrets::Given::material);
    let converter = Converter::resume(volume, material).map_err(|error| explain(path, &error))?;
    run(path, converter, direction, &signals, json)
}

/// Runs a conversion to its end, or until a signal comes.
pub(crate) fn run<D: BlockWrite>(
    path: &Path,
    converter: Converter<D>,
    direction: Direction,
    signals: &Signals,
    json: bool,
) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    signals.then(move || asked.store(true, Ordering::Relaxed));
    let what = if direction == Direction::Encrypt { "encrypting" } else { "decrypting" };
    let mut last = ConversionProgress { direction, ..converter.progress() };
    let bar = progress::bytes(last.total_bytes, what);
    bar.set_position(last.done_bytes());
    bar.reset_eta();
    let ended = converter.with_workers(crate::host::workers()).run(
        direction,
        &mut |now| {
            bar.set_position(now.done_bytes());
            last = now;
        },
        &stop,
    );
    bar.finish_and_clear();
    let name = path.display();
    match ended.map_err(|error| stopped(path, &error))? {
        End::Finished => {
            let (state, text) = match direction {
                Direction::Encrypt => ("encrypted", format!("{name} is encrypted.\n")),
                Direction::Decrypt => ("decrypted", format!("{name} is decrypted: it is a plain drive now.\n")),
            };
            output::report(json, &json!({ "drive": name.to_string(), "finished": true, "state": state }), &text)
        }
        End::Paused => {
            let document =
                json!({ "drive": name.to_string(), "finished": false, "in_place_conversion": document(&last) });
            let text = format!("{name} is paused: {}.\n{}.\n", state(&last), advice(&name.to_string(), &last));
            output::report(json, &document, &text)
        }
    }
}

pub(crate) fn document(conversion: &ConversionProgress) -> Value {
    json!({
        "direction": if conversion.direction == Direction::Encrypt { "encrypting" } else { "decrypting" },
        "step": match conversion.step {
            Step::Preparing => "preparing",
            Step::Converting => "converting",
            Step::Finishing => "finishing",
            Step::Restoring => "restoring",
        },
        "encrypted_bytes": conversion.encrypted_bytes,
        "total_bytes": conversion.total_bytes,
        "encrypted_percent": percent(conversion),
    })
}

pub(crate) fn run_pause(arguments: &PauseArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let name = path.display().to_string();
    match pausing::pause(path)? {
        pausing::Found::Nobody => Err(Failure::no(format!("nothing is being encrypted or decrypted on {name}"))
            .cause("no conversion of it runs on this computer under this account")
            .hint(format!("`keyhaven info {name}` tells its state"))),
        pausing::Found::Paused => {
            let volume = drive::open(path);
            let conversion = volume.as_ref().ok().and_then(Locked::in_place_conversion);
            let document = json!({ "drive": name, "in_place_conversion": conversion.as_ref().map(document) });
            let text = match &conversion {
                Some(conversion) => {
                    format!("{name} is paused: {}.\n{}.\n", state(conversion), advice(&name, conversion))
                }
                None => format!("{name} is not being converted: that has ended, or had not begun yet.\n"),
            };
            output::report(json, &document, &text)
        }
        pausing::Found::StillRuns => Err(Failure::could_not(format!("{name} is not paused yet"))
            .cause("the conversion was asked to pause and is still writing")
            .hint(format!("it ends by itself soon; `keyhaven info {name}` tells"))),
    }
}

/// Finding the process that converts a drive: it holds the lock of the file, which the system lists.
#[cfg(target_os = "linux")]
mod pausing {
    use std::fs::{File, TryLockError};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use crate::disk;
    use crate::failure::{Failure, Outcome};

    const PATIENCE: Duration = Duration::from_secs(60);

    pub(super) enum Found {
        Nobody,
        Paused,
        StillRuns,
    }

    pub(super) fn pause(path: &Path) -> Outcome<Found> {
        let cannot =
            |error: &std::io::Error| Failure::could_not(format!("cannot open {}", path.display())).because(error);
        let file = File::open(disk::image_of(path)).map_err(|error| cannot(&error))?;
        let metadata = file.metadata().map_err(|error| cannot(&error))?;
        let Some(process) = converter(&metadata) else { return Ok(Found::Nobody) };
        // Asked for only now, so that this never gets in the way of a conversion that is about to take the lock.
        if !is_held(&file) {
            return Ok(Found::Nobody);
        }
        let Some(pid) = Pid::from_raw(process) else { return Ok(Found::Nobody) };
        // As Ctrl-C does: it ends between two batches, with everything durable.
        kill_process(pid, Signal::TERM).map_err(|error| {
            Failure::could_not(format!("cannot pause the conversion of {}", path.display()))
                .cause(format!("process {process}: {}", std::io::Error::from(error)))
                .hint("it runs under another account; pause it as that account, or as root")
        })?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !is_held(&file) {
                return Ok(Found::Paused);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Found::StillRuns)
    }

    /// The process of this program that converts, and holds the lock of this file. What a process has open would tell it
    /// too, but ours show that to root alone.
    fn converter(file: &std::fs::Metadata) -> Option<i32> {
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let number = format!(":{}", file.ino());
        let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
        let here = format!("{major:02x}:{minor:02x}{number}");
        let holder = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, "FLOCK", _, "WRITE", process, place, ..] = words[..] else { return None };
            let process =
                process.parse::<i32>().ok().filter(|process| place.ends_with(&number) && converts(*process))?;
            Some((process, place == here))
        };
        let found: Vec<(i32, bool)> = locks.lines().filter_map(holder).collect();
        match found[..] {
            // Some file systems have other numbers for devices there.
            [(only, _)] => Some(only),
            _ => found.iter().find(|(_, is_here)| *is_here).map(|(process, _)| *process),
        }
    }

    /// Whether somebody has the file for writing.
    fn is_held(file: &File) -> bool {
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        if !held {
            // Where there are no locks there is none to give back.
            let _ = file.unlock();
        }
        held
    }

    /// Whether a process is one of ours that converts: another that holds the lock is not to be ended.
    fn converts(process: i32) -> bool {
        let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        let program = words.next().and_then(|name| name.rsplit(|byte| *byte == b'/').next());
        program == Some(b"keyhaven") && words.any(|word| matches!(word, b"encrypt" | b"resume" | b"--in-place"))
    }
}

#[cfg(not(target_os = "linux"))]
mod pausing {
    use std::path::Path;

    use crate::failure::{Failure, Outcome};

    #[allow(dead_code, reason = "what Linux tells")]
    pub(super) enum Found {
        Nobody,
        Paused,
        StillRuns,
    }

    pub(super) fn pause(_path: &Path) -> Outcome<Found> {
        Err(Failure::no("this command is for Linux").hint("Ctrl-C where the conversion runs pauses it"))
    }
}
