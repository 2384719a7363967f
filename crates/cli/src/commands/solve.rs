//! `keyhaven solve`: a recovery key of which some digits cannot be read, are doubtful or wrong.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use fve::KeyProtector;
use fve::ProtectorKind;
use fve::solve::{Candidates, DigitPattern, MAX_ERRORS, Search, SearchOutcome, Tolerance};
use secret::SecretString;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::info::key_id;
use crate::drive::{self, DriveArgs, Locked};
use crate::failure::{Failure, Outcome};
use crate::{files, output, progress, prompt, recovery_file, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven solve usb-stick.img --digits-file readable.txt\n\n\
    The pattern has 48 places in the order of the key: a digit, `?` where it cannot be read, `[38]` where it is one of \
    some: 235818-3?7951-25397[49]-013365-241120-245575-??????-591910. Digits that look right may be wrong, too: --errors \
    says how many. Most of a key is a secret: --digits shows it to everybody who can list the processes of this computer, and \
    leaves it in the history of the shell. --digits-file and the question do not.")]
pub(crate) struct SolveArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// What can be read of the recovery key (others may see an argument); without it, and without --digits-file, it is asked
    /// for
    #[arg(long, value_name = "PATTERN", conflicts_with = "digits_file")]
    digits: Option<String>,
    /// File with what can be read (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    digits_file: Option<PathBuf>,
    /// Mistakes to allow for: a wrong digit, or two neighbours swapped, counts one; fewer are tried first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=MAX_ERRORS as i64))]
    errors: u8,
    /// Two groups of six digits may have changed places
    #[arg(long)]
    swapped_groups: bool,
    /// Only this recovery-password protector, by the first characters of its identifier
    #[arg(long, value_name = "ID")]
    protector: Option<String>,
    /// Remember here how far the search came, and go on from there; the file holds no digit of the key
    #[arg(long, value_name = "FILE")]
    resume_file: Option<PathBuf>,
    /// Write the key into this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
    /// Only tell how many candidates there are and how long it would take
    #[arg(long)]
    count: bool,
    /// Threads; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
}

/// How often progress is written down.
const REMEMBER: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &SolveArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let volume = drive::open(path)?;
    let protectors = protectors(arguments, &volume)?;
    if let Some(file) = &arguments.recovery_out {
        // Before hours are spent on what could not be written down.
        refuse_place(file)?;
    }
    let text = pattern(arguments)?;
    let pattern = parse(&text)?;
    let tolerance = Tolerance { errors: usize::from(arguments.errors), swapped_groups: arguments.swapped_groups };
    let Some(candidates) = Candidates::new(&pattern, tolerance) else {
        return Err(Failure::no("too much of the key is unknown")
            .cause("there are more than 2^63 candidates")
            .hint("no computer can try them; look for another copy of the key"));
    };
    if candidates.count() == 0 {
        return Err(no_candidates(&candidates, arguments.errors));
    }
    let workers =
        arguments.workers.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let search = Search { candidates: &candidates, protectors: &protectors, workers };
    let remembered =
        Remembered::new(arguments.resume_file.as_deref(), &volume, &candidates, check(&text, tolerance, &protectors));
    let from = remembered.read()?;
    let rate = search.measure();
    let forecast = forecast(candidates.count(), from, rate);
    if arguments.count {
        let document = json!({
            "candidates": candidates.count(), "tried": from, "per_second": rate,
            "seconds_at_most": seconds(candidates.count() - from, rate),
        });
        return output::report(json, &document, &format!("{forecast}\n"));
    }
    output::note(&forecast);
    let start = Instant::now();
    let bar = progress::count(candidates.count(), "trying");
    bar.set_position(from);
    let outcome = search.run(from, &AtomicBool::new(false), &|tried| {
        bar.set_position(tried);
        remembered.write(tried);
    });
    bar.finish_and_clear();
    match outcome {
        SearchOutcome::Found { password, identifier } => {
            // Proven by the tag already; this also compares the sealed hash of the metadata.
            volume.unwrap_vmk(&password).map_err(|error| drive::explain(path, &error))?;
            report(arguments, json, &password, identifier, start.elapsed())?;
            remembered.remove();
            Ok(())
        }
        SearchOutcome::NotFound => {
            remembered.remove();
            Err(not_found(arguments, candidates.count()))
        }
        SearchOutcome::Stopped { .. } => Err(Failure::could_not("the search was stopped")),
    }
}

fn protectors(arguments: &SolveArgs, volume: &Locked) -> Outcome<Vec<KeyProtector>> {
    let mut protectors = volume.protectors();
    protectors.retain(|protector| protector.kind() == ProtectorKind::RecoveryPassword);
    if protectors.is_empty() {
        return Err(Failure::no(format!("{} has no recovery-password protector", arguments.drive.drive.display()))
            .hint("`keyhaven info DRIVE` lists what opens it"));
    }
    if let Some(wanted) = &arguments.protector {
        let wanted = wanted.trim_matches(['{', '}']).to_uppercase();
        protectors.retain(|protector| protector.identifier.to_string().starts_with(&wanted));
        if protectors.is_empty() {
            return Err(Failure::no(format!("no recovery-password protector starts with {wanted}"))
                .hint("`keyhaven info DRIVE` lists their identifiers"));
        }
    }
    Ok(protectors)
}

/// A new file, in a folder that is there.
fn refuse_place(file: &Path) -> Outcome {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::could_not(format!("{} is there already", file.display()))
            .hint("choose another name; an existing file is never overwritten"));
    }
    if file.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(Failure::could_not(format!("there is no folder for {}", file.display()))
            .hint("make it, or choose another place"));
    }
    Ok(())
}

fn pattern(arguments: &SolveArgs) -> Outcome<SecretString> {
    match (&arguments.digits, &arguments.digits_file) {
        (Some(digits), _) => Ok(SecretString::from(digits.as_str())),
        (None, Some(file)) => Ok(recovery_file::decode_for_digits(&secrets::read_secret_file(file)?)),
        (None, None) => prompt::visible_secret("readable part of the recovery key (`?` for an unknown digit)")
            .map_err(|failure| failure.hint("give it in a file: --digits-file FILE")),
    }
}

fn parse(text: &SecretString) -> Outcome<DigitPattern> {
    DigitPattern::parse(text.expose()).map_err(|error| {
        Failure::could_not("the pattern of digits cannot be used")
            .because(&error)
            .hint("48 places: a digit, `?` for an unknown one, `[38]` for one of some; hyphens and blanks between them")
    })
}

fn no_candidates(candidates: &Candidates, errors: u8) -> Failure {
    let groups: Vec<String> = candidates.impossible_groups().map(|group| group.to_string()).collect();
    let failure = Failure::no("no recovery key agrees with these digits").cause(format!(
        "the check digits do not fit: there is a mistake in group {}",
        groups.join(", and one in group ")
    ));
    if usize::from(errors) < MAX_ERRORS {
        failure.hint(format!("look at these digits again, or allow for more mistakes: --errors {}", errors + 1))
    } else {
        failure.hint("look at these digits again, and put `?` where one may be another")
    }
}

fn not_found(arguments: &SolveArgs, count: u64) -> Failure {
    let failure = Failure::no(format!("none of {count} candidates opens {}", arguments.drive.drive.display()));
    if usize::from(arguments.errors) < MAX_ERRORS {
        failure.hint(format!(
            "compare the key identifier with `keyhaven info`, put `?` for doubtful digits, or allow for more mistakes: \
             --errors {}",
            arguments.errors + 1
        ))
    } else {
        failure.hint("compare the key identifier with `keyhaven info`: this may be the key of another drive")
    }
}

fn seconds(candidates: u64, rate: f64) -> u64 {
    // Far below 2^53 whenever the answer matters.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a forecast"
    )]
    let seconds = (candidates as f64 / rate).ceil() as u64;
    seconds
}

fn forecast(count: u64, from: u64, rate: f64) -> String {
    let what = if count == 1 { "1 candidate".to_owned() } else { format!("{count} candidates") };
    let done = if from > 0 { format!(", {from} of them tried before") } else { String::new() };
    format!("{what}{done}, about {rate:.0} a second: at most {}.", duration(seconds(count - from, rate)))
}

/// In words, as roughly as a forecast is.
fn duration(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let unit = |count: u64, name: &str| if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") };
    match seconds {
        0..120 => unit(seconds.max(1), "second"),
        120..7_200 => unit(seconds.div_ceil(MINUTE), "minute"),
        7_200..172_800 => unit(seconds.div_ceil(HOUR), "hour"),
        172_800..63_072_000 => unit(seconds.div_ceil(DAY), "day"),
        _ => unit(seconds / (365 * DAY), "year"),
    }
}

fn report(
    arguments: &SolveArgs,
    json: bool,
    password: &secret::RecoveryPassword,
    identifier: fve::Guid,
    took: Duration,
) -> Outcome {
    let key = key_id(identifier);
    let mut document = json!({
        "found": true, "key_id": key, "identifier": identifier.to_string(), "seconds": took.as_secs(),
    });
    let advice = "Save it now: keyhaven backup DRIVE --to account\n";
    let mut text = Zeroizing::new(String::with_capacity(1024));
    match &arguments.recovery_out {
        Some(file) => {
            files::write_new_private(file, &recovery_file::encode(&identifier.to_string(), password))?;
            document["path"] = json!(file.display().to_string());
            text.push_str(&format!("Found. The recovery key {key} is in {}.\n", file.display()));
        }
        None => {
            let digits = password.to_text();
            document["recovery_password"] = json!(digits.expose());
            text.push_str(&format!("Found. The recovery key {key} is:\n\n  "));
            text.push_str(digits.expose());
            text.push_str("\n\n");
        }
    }
    text.push_str(advice);
    output::report(json, &document, &text)
}

/// What tells a search from another with as many candidates. Its 16 bits give away next to nothing of the digits.
fn check(pattern: &SecretString, tolerance: Tolerance, protectors: &[KeyProtector]) -> u16 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    pattern.expose().bytes().filter(|byte| byte.is_ascii_digit() || b"?[]".contains(byte)).for_each(&mut take);
    take(u8::try_from(tolerance.errors).unwrap_or(u8::MAX));
    take(tolerance.swapped_groups.into());
    protectors.iter().for_each(|protector| protector.identifier.to_string().bytes().for_each(&mut take));
    (hash >> 48) as u16
}

/// How far a search came, in a file without any digit: the volume, the number of candidates, what tells the search from
/// others, and the number tried.
struct Remembered<'a> {
    file: Option<&'a Path>,
    volume: String,
    candidates: u64,
    check: u16,
    written: Mutex<Instant>,
}

impl<'a> Remembered<'a> {
    fn new(file: Option<&'a Path>, volume: &Locked, candidates: &Candidates, check: u16) -> Self {
        let volume = volume.metadata().identifier.to_string();
        Self { file, volume, candidates: candidates.count(), check, written: Mutex::new(Instant::now()) }
    }

    fn read(&self) -> Outcome<u64> {
        let Some(file) = self.file else { return Ok(0) };
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => {
                return Err(Failure::could_not(format!("cannot read {}", file.display())).because(&error));
            }
        };
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        let fits = document["volume"] == self.volume.as_str()
            && document["candidates"] == self.candidates
            && document["check"] == self.check;
        match document["tried"].as_u64().filter(|tried| fits && *tried <= self.candidates) {
            Some(tried) => Ok(tried),
            None => Err(Failure::could_not(format!("{} belongs to another search", file.display()))
                .hint("use the same drive, digits and options as before, or another --resume-file")),
        }
    }

    /// Now and then. A search that cannot be remembered goes on: it costs only time.
    fn write(&self, tried: u64) {
        let Some(file) = self.file else { return };
        let Ok(mut written) = self.written.try_lock() else { return };
        if written.elapsed() < REMEMBER {
            return;
        }
        *written = Instant::now();
        let document =
            json!({ "volume": self.volume, "candidates": self.candidates, "check": self.check, "tried": tried });
        let mut beside = file.as_os_str().to_owned();
        beside.push(".keyhaven-new");
        let done = std::fs::write(&beside, document.to_string()).and_then(|()| std::fs::rename(&beside, file));
        if let Err(error) = done {
            output::note(&format!("warning: cannot write {}: {error}", file.display()));
        }
    }

    fn remove(&self) {
        if let Some(file) = self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_in_words() {
        assert_eq!(forecast(1, 0, 50.0), "1 candidate, about 50 a second: at most 1 second.");
        assert_eq!(forecast(65_536, 0, 40.0), "65536 candidates, about 40 a second: at most 28 minutes.");
        assert_eq!(
            forecast(65_536, 65_000, 40.0),
            "65536 candidates, 65000 of them tried before, about 40 a second: at most 14 seconds."
        );
        assert_eq!(duration(7_200), "2 hours");
        assert_eq!(duration(365 * 86_400 * 10), "10 years");
    }
}
