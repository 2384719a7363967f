//! `keyhaven device run`: the service of an enrolled computer.
//!
//! A round delivers what waits, goes on with rotations that broke off, asks the account's service for orders and news, carries
//! the orders out, and once a week looks whether the service still holds what was saved and whether the drives still have the
//! keys that are saved. No step asks anybody anything, and none stands in the way of the next.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::Args;
use fve::ProtectorKind;
use serde_json::json;
use vault_client::{Error, OrderToDo, Outcome as Saving};

use super::log::Log;
use super::watched::{Watched, watched};
use crate::account::{AccountArgs, HttpClient, explain};
use crate::commands::backup::{self, About, Key};
use crate::commands::rotate;
use crate::drive::{self, Locked};
use crate::failure::{Failure, Outcome};
use crate::signals::Signals;

/// Longest wait after failures.
const LONGEST_BACKOFF: Duration = Duration::from_secs(6 * 3600);

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven device run --drive /dev/sdb1 --startup-key /root/backup.BEK\n\
    Example: keyhaven device run --once --drives-file /etc/keyhaven/drives\n\n\
    A drive that is only named is looked at: whether its recovery keys are saved. To replace a key that was shown, and to \
    save one that is not saved yet, its password or startup key is needed; a recovery key will not do, as it is what gets \
    replaced.\n\n\
    With --json, one document a line goes to standard output for each thing that happens. As a service of systemd: \
    `ExecStart=/usr/bin/keyhaven device run --drives-file /etc/keyhaven/drives`, `Restart=on-failure`; it stops at SIGTERM \
    between two steps.\n\n\
    Exit status of --once: 0 all is well, 1 something needs you (it is told), 2 it could not be done, run it again later.")]
pub(crate) struct RunArgs {
    /// Drive to look after; may be given several times
    #[arg(long = "drive", value_name = "DRIVE", value_hint = clap::ValueHint::FilePath)]
    pub(super) drives: Vec<PathBuf>,
    /// File that lists drives, one a line: the drive, then, after a tab, `password-file:FILE` or `startup-key:FILE`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) drives_file: Option<PathBuf>,
    /// Look at all BitLocker drives of this computer, too
    #[arg(long)]
    pub(super) all_drives: bool,
    /// File with the password of the drives named by --drive
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) password_file: Option<PathBuf>,
    /// The .BEK file of the drives named by --drive
    #[arg(long, value_name = "FILE.BEK", value_hint = clap::ValueHint::FilePath, conflicts_with = "password_file")]
    pub(super) startup_key: Option<PathBuf>,
    /// One round, then end
    #[arg(long)]
    once: bool,
    /// Do the weekly looks in the first round, too
    #[arg(long)]
    check_now: bool,
    /// Seconds between two rounds
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    interval: u64,
    #[command(flatten)]
    pub(super) account: AccountArgs,
}

pub(super) fn run(arguments: &RunArgs, json: bool) -> Outcome {
    let client = arguments.account.client()?;
    match client.is_enrolled() {
        Ok(true) => {}
        Ok(false) => return Err(explain(&Error::NotEnrolled)),
        Err(error) => return Err(explain(&error)),
    }
    // A mistake in the list is told before anything is done.
    watched(arguments)?;
    let signals = Signals::watch()?;
    let (told, stop) = channel();
    signals.then(move || {
        let _ = told.send(());
    });
    let log = Log::new(json);
    let mut failures = 0_u32;
    let mut check_now = arguments.check_now;
    loop {
        let mut round = Round { arguments, client: &client, log: &log, check_now, state: State::default() };
        round.run(&stop)?;
        let State { unreachable, trouble, stopped } = round.state;
        check_now &= unreachable;
        if stopped {
            log.info("stopped", &json!({}), "stopped by a signal; nothing was left half-way");
            return Ok(());
        }
        if arguments.once {
            return outcome(unreachable, trouble);
        }
        failures = if unreachable { failures.saturating_add(1) } else { 0 };
        match stop.recv_timeout(wait(failures, arguments.interval)) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => {
                log.info("stopped", &json!({}), "stopped by a signal");
                return Ok(());
            }
        }
    }
}

fn outcome(unreachable: bool, trouble: bool) -> Outcome {
    if trouble {
        return Err(Failure::no("something needs you").hint("the lines above tell what"));
    }
    if unreachable {
        return Err(Failure::could_not("not everything could be done")
            .cause("the account service could not be reached, or asked to wait")
            .hint("nothing is lost; run it again later"));
    }
    Ok(())
}

/// The time to the next round: after failures 1, 2, 4 ... seconds up to six hours, and a little more at random so that not all
/// computers come at once when the service is back.
fn wait(failures: u32, interval: u64) -> Duration {
    let base = match failures {
        0 => Duration::from_secs(interval),
        _ => Duration::from_secs(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX)).min(LONGEST_BACKOFF),
    };
    let mut byte = [0];
    secret::random_bytes(&mut byte);
    base + base.mul_f64(f64::from(byte[0]) / 2560.0)
}

/// How a round went.
#[derive(Default)]
struct State {
    /// Something could not be done now.
    unreachable: bool,
    /// Something is wrong that a person has to see to.
    trouble: bool,
    stopped: bool,
}

struct Round<'a> {
    arguments: &'a RunArgs,
    client: &'a HttpClient,
    log: &'a Log,
    check_now: bool,
    state: State,
}

/// A drive that is there.
struct Present {
    watched: Watched,
    volume: Locked,
    /// Identifier of the volume.
    id: String,
    /// Identifiers of its recovery keys.
    keys: Vec<String>,
}

impl Round<'_> {
    fn run(&mut self, stop: &Receiver<()>) -> Outcome {
        // What waits to be reported goes first: an order whose end the service does not know of is shown again.
        let steps: [fn(&mut Self) -> Outcome; 8] = [
            Self::deliver,
            Self::go_on,
            Self::report,
            Self::orders,
            Self::report,
            Self::held,
            Self::drives,
            Self::report,
        ];
        for step in steps {
            if stop.try_recv().is_ok() {
                self.state.stopped = true;
                return Ok(());
            }
            if let Err(failure) = step(self) {
                self.trouble("failed", &failure);
            }
        }
        Ok(())
    }

    /// A failure that does not end the round.
    fn trouble(&mut self, event: &str, failure: &Failure) {
        let later = failure.code.as_deref().is_some_and(|code| {
            ["server.busy", "limit.rate", "save.not_durable", "server.fault", "record.quota"].contains(&code)
        });
        if later {
            self.state.unreachable = true;
        } else {
            self.state.trouble = true;
        }
        self.log.failure(event, failure);
    }

    fn error(&mut self, event: &str, error: &Error) {
        let failure = explain(error);
        self.trouble(event, &failure);
    }

    /// Keys that wait are delivered.
    fn deliver(&mut self) -> Outcome {
        if self.client.state().waiting().map_err(|error| explain(&error))? == 0 {
            return Ok(());
        }
        let delivery = self.client.deliver_outbox().map_err(|error| explain(&error))?;
        for (record, seq) in &delivery.saved {
            let document = json!({ "record": record.to_string(), "audit_seq": seq });
            self.log.info("saved", &document, "a key that waited here is saved now, receipt verified");
        }
        if let Some((_, why)) = delivery.waiting.first() {
            self.error("waiting", why);
        }
        Ok(())
    }

    /// Rotations that broke off come before anything else: their new keys may not be saved.
    fn go_on(&mut self) -> Outcome {
        for present in self.present()? {
            if !present.watched.has_key() || !rotate::is_unfinished(&present.volume) {
                continue;
            }
            let (path, secrets) = (&present.watched.path, present.watched.secrets(&self.arguments.account));
            match rotate::resume(path, secrets) {
                Ok(Some(replaced)) => self.tell_rotated(path, &replaced),
                Ok(None) => {}
                Err(failure) => self.trouble("rotate", &failure),
            }
        }
        Ok(())
    }

    /// The drives that are there now. One that is not is no failure: it may be in a drawer.
    fn present(&mut self) -> Outcome<Vec<Present>> {
        let mut present = Vec::new();
        for watched in watched(self.arguments)? {
            match drive::open(&watched.path) {
                Ok(volume) => {
                    let id = volume.metadata().identifier.to_string();
                    present.push(Present { keys: recovery_keys(&volume), watched, volume, id });
                }
                Err(failure) if !crate::disk::image_of(&watched.path).exists() => {
                    let document = json!({ "drive": watched.path.display().to_string() });
                    self.log.debug("absent", &document, &failure.error);
                }
                Err(failure) => self.trouble("drive", &failure),
            }
        }
        Ok(present)
    }

    /// Asks for the status, tells the news, and carries orders out.
    fn orders(&mut self) -> Outcome {
        let status = self.client.device_status().map_err(|error| explain(&error))?;
        let clock = i64::try_from(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_millis()),
        );
        let behind = status.service_time.saturating_sub(clock.unwrap_or(0));
        if behind.unsigned_abs() > 5 * 60 * 1000 {
            let document = json!({ "milliseconds": behind });
            self.log.warn(
                "clock",
                &document,
                "the clock of this computer and that of the service differ by more than 5 minutes",
            );
        }
        for notice in &status.notices {
            let at = crate::times::time(notice.at);
            let document =
                json!({ "action": notice.action, "outcome": notice.outcome, "at": at, "audit_seq": notice.seq });
            let text =
                format!("your account: {} ({}), {at}; `keyhaven audit show` tells more", notice.action, notice.outcome);
            self.log.warn("notice", &document, &text);
        }
        if status.new_statement {
            self.log.warn("key_statement", &json!({}), "the account has new keys, signed by the ones known here");
        }
        if let Some(fingerprint) = &status.new_start {
            self.state.trouble = true;
            let text = format!(
                "the service says that the account began again with new keys ({fingerprint}); what is saved here is sealed to the \
                 former ones. If that was you, enrol this computer again: `keyhaven device enrol`"
            );
            self.log.warn("new_start", &json!({ "fingerprint": fingerprint }), &text);
        }
        if status.trail_jumped {
            self.state.trouble = true;
            let text = "the service says of your account's trail what it did not say before: news may have been left out; \
                        check it with `keyhaven audit verify`";
            self.log.warn("trail", &json!({}), text);
        }
        for id in &status.ended {
            let text = "an order that ended before is shown again; its end is reported once more";
            self.log.info("order_reported", &json!({ "order": id.to_string() }), text);
        }
        for why in &status.refused {
            self.state.trouble = true;
            self.log.warn("order_refused", &json!({ "why": why }), &format!("an order is not carried out: {why}"));
        }
        for order in &status.orders {
            if let Err(failure) = self.carry_out(order) {
                self.trouble("order", &failure);
            }
        }
        Ok(())
    }

    /// Replaces the key of an order on all drives that have it: copies of a drive have the same one. It is done when none has
    /// it any longer.
    fn carry_out(&mut self, order: &OrderToDo) -> Outcome {
        let told = |error: Error| explain(&error);
        let id = order.id().to_string();
        let (mut with_key, mut begun_here, mut had) = (Vec::new(), false, false);
        for present in self.present()? {
            if let Some(key) = self.key_of(order, &present.keys)? {
                with_key.push((present, key));
                continue;
            }
            begun_here |= order.begun_on.as_ref() == Some(&present.id);
            had |= self.client.drive_had(&present.id, order.record()).map_err(told)?;
        }
        let Some((first, _)) = with_key.iter().find(|(present, _)| present.watched.has_key()).or(with_key.first())
        else {
            return self.without_its_key(order, begun_here, had);
        };
        if first.watched.has_key() && !self.client.begin_order(order, &first.id).map_err(told)? {
            let text = "an order waits: a key of this drive was replaced within the last day";
            self.log.info("order_waits", &json!({ "order": id }), text);
            return Ok(());
        }
        let (mut all_done, mut last, mut unopened) = (true, None, None);
        for (present, key) in &with_key {
            if present.watched.has_key() {
                all_done &= self.rotate(present, key);
                last = Some(&present.watched.path);
            } else {
                unopened = Some(&present.watched.path);
            }
        }
        if let Some(path) = unopened {
            let hint = "name its password or startup key: `keyhaven device run --help`";
            return Err(Failure::no(format!("a key of {} is to be replaced", path.display()))
                .cause("no key to open the drive with is given here")
                .hint(hint));
        }
        if let (true, Some(path)) = (all_done, last) {
            let new = self.new_record(path)?;
            self.client.order_done(order, new).map_err(told)?;
            self.log.info("order_done", &json!({ "order": id }), "an order is carried out");
        }
        Ok(())
    }

    /// The key of these that an order is about.
    fn key_of(&self, order: &OrderToDo, keys: &[String]) -> Outcome<Option<String>> {
        for key in keys {
            if self.client.order_is_about(order, key).map_err(|error| explain(&error))? {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// What becomes of an order whose key is on no drive that is there.
    fn without_its_key(&mut self, order: &OrderToDo, begun_here: bool, had: bool) -> Outcome {
        let told = |error: Error| explain(&error);
        let document = json!({ "order": order.id().to_string() });
        if begun_here {
            // The old key went, and the word of it did not get out.
            self.client.order_done(order, None).map_err(told)?;
            self.log.info("order_done", &document, "an order is carried out");
        } else if had {
            self.client.order_failed(order, "key_gone").map_err(told)?;
            self.log.info("order_over", &document, "the key to be replaced is gone from its drive");
        } else {
            self.log.debug("order_waits", &document, "an order waits for a drive that is not there");
        }
        Ok(())
    }

    /// The record of the newest recovery key of a drive.
    fn new_record(&self, path: &Path) -> Outcome<Option<vault_client::RecordId>> {
        let mut newest = None;
        for key in recovery_keys(&drive::open(path)?) {
            newest = newest.max(self.client.own_record(&key).map_err(|error| explain(&error))?);
        }
        Ok(newest)
    }

    /// Replaces a key. Whether it is done.
    fn rotate(&mut self, present: &Present, key: &str) -> bool {
        let path = &present.watched.path;
        // Another name may have led to the same drive, a moment ago.
        if drive::open(path).is_ok_and(|volume| !recovery_keys(&volume).iter().any(|there| there == key)) {
            return true;
        }
        match rotate::unattended(path, present.watched.secrets(&self.arguments.account), key) {
            Ok(replaced) => {
                self.tell_rotated(path, &replaced);
                true
            }
            Err(failure) => {
                self.trouble("rotate", &failure);
                false
            }
        }
    }

    fn tell_rotated(&self, path: &Path, (new, old): &rotate::Replaced) {
        let document = json!({ "drive": path.display().to_string(), "identifier": new, "removed": old });
        let text = format!(
            "the recovery key of {} is {} now, saved, receipt verified; {} opens it no longer",
            path.display(),
            new.get(..8).unwrap_or(new),
            old.iter().map(|old| old.get(..8).unwrap_or(old)).collect::<Vec<_>>().join(", ")
        );
        self.log.info("rotated", &document, &text);
    }

    /// Signed notes and reports that wait are sent.
    fn report(&mut self) -> Outcome {
        let (_, why) = self.client.deliver_reports().map_err(|error| explain(&error))?;
        if let Some(why) = why {
            self.error("report", &why);
        }
        Ok(())
    }

    /// Weekly: does the service still hold what was saved?
    fn held(&mut self) -> Outcome {
        if !self.check_now && !self.client.held_is_due().map_err(|error| explain(&error))? {
            return Ok(());
        }
        let report = self.client.check_held().map_err(|error| explain(&error))?;
        for record in &report.resent {
            self.state.trouble = true;
            let text = "the service did not hold a saved key as it was saved; it was sent again and is held now";
            self.log.warn("resent", &json!({ "record": record.to_string() }), text);
        }
        for record in &report.deleted {
            let text = "the service says that the owner had a saved key deleted; it is not saved again by itself";
            self.log.warn("deleted", &json!({ "record": record.to_string() }), text);
        }
        for (record, why) in &report.lost {
            self.state.trouble = true;
            let failure = explain(why);
            let text = format!("the service does not hold a saved key and does not take it again: {}", failure.error);
            self.log.warn("lost", &json!({ "record": record.to_string(), "why": failure.error }), &text);
        }
        if let Some((_, why)) = report.unasked.first() {
            self.error("held", why);
        }
        let document = json!({
            "held": report.held, "resent": report.resent.len(), "deleted": report.deleted.len(), "lost": report.lost.len(),
            "unasked": report.unasked.len(),
        });
        let of = report.held + report.resent.len() + report.lost.len() + report.unasked.len();
        self.log.info("held", &document, &format!("the service holds {} of {of} keys as they were saved", report.held));
        Ok(())
    }

    /// Weekly: do the drives have the keys that are saved, and are all of theirs saved?
    fn drives(&mut self) -> Outcome {
        for present in self.present()? {
            if self.check_now || self.client.drive_is_due(&present.id).map_err(|error| explain(&error))? {
                self.check_drive(&present)?;
            }
        }
        Ok(())
    }

    fn check_drive(&mut self, present: &Present) -> Outcome {
        let told = |error: Error| explain(&error);
        let path = present.watched.path.display().to_string();
        let mut check = self.client.check_drive(&present.id, &present.keys).map_err(told)?;
        if !check.unknown.is_empty() && self.save_unknown(present, &check.unknown) {
            // Saved, or waiting to be.
            check = self.client.check_drive(&present.id, &present.keys).map_err(told)?;
        }
        for record in &check.missing {
            self.state.trouble = true;
            let text = format!("{path}: a saved recovery key is gone from the drive");
            self.log.warn("missing", &json!({ "drive": path, "record": record.to_string() }), &text);
        }
        for key in &check.unknown {
            self.state.trouble = true;
            self.client.note_unknown(key).map_err(told)?;
            let text = format!("{path}: recovery key {} is not saved by this computer", key.get(..8).unwrap_or(key));
            self.log.warn("unknown", &json!({ "drive": path, "key_id": key }), &text);
        }
        for key in &check.deleted {
            let short = key.get(..8).unwrap_or(key);
            let text =
                format!("{path}: recovery key {short} was deleted from the account; `keyhaven backup` saves it again");
            self.log.info("deleted", &json!({ "drive": path, "key_id": key }), &text);
        }
        for key in &check.waiting {
            let text = format!("{path}: recovery key {} waits here to be saved", key.get(..8).unwrap_or(key));
            self.log.info("waits", &json!({ "drive": path, "key_id": key }), &text);
        }
        let document = json!({
            "drive": path, "verified": check.verified.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            "missing": check.missing.len(), "unknown": check.unknown.len(), "waiting": check.waiting.len(),
        });
        let text = format!("{path}: {} of {} recovery keys are saved", check.verified.len(), present.keys.len());
        self.log.info("drive", &document, &text);
        Ok(())
    }

    /// Saves keys of a drive that are not saved. Whether one was, or waits now.
    fn save_unknown(&mut self, present: &Present, unknown: &[String]) -> bool {
        if !present.watched.has_key() {
            return false;
        }
        let saved = self.try_to_save(present, unknown);
        saved.unwrap_or_else(|failure| {
            self.trouble("save", &failure);
            false
        })
    }

    fn try_to_save(&mut self, present: &Present, unknown: &[String]) -> Outcome<bool> {
        let (path, volume) = (&present.watched.path, &present.volume);
        let secrets = present.watched.secrets(&self.arguments.account);
        let given = secrets.resolve(volume)?;
        let (vmk, _) = volume.unwrap_vmk(given.material()).map_err(|error| drive::explain(path, &error))?;
        let mut any = false;
        for (identifier, password) in volume.recovery_passwords(&vmk) {
            let name = identifier.to_string();
            // One that waits, or that another process saved meanwhile, is not sealed once more.
            let wanted =
                unknown.contains(&name) && self.client.own_record(&name).map_err(|error| explain(&error))?.is_none();
            // One that does not open the drive would be worse than none.
            if !wanted || !volume.unwrap_vmk(&password).is_ok_and(|(_, opened)| opened == identifier) {
                continue;
            }
            let key = Key { identifier, password };
            let about = About::of(volume, identifier);
            match backup::save_to_account(&self.arguments.account, path, &about, &key, None)? {
                Saving::Saved { record_id, audit_seq } => {
                    any = true;
                    let (document, line) = backup::saved_to_account(&key, record_id, audit_seq);
                    self.log.info("saved", &document, line.trim_end());
                }
                Saving::Waiting { why, .. } => {
                    any = true;
                    self.error("waiting", &why);
                }
            }
        }
        Ok(any)
    }
}

fn recovery_keys(volume: &Locked) -> Vec<String> {
    let protectors = volume.protectors();
    let recovery = protectors.iter().filter(|it| it.kind() == ProtectorKind::RecoveryPassword);
    recovery.map(|it| it.identifier.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_six_hours() {
        let between = |found: Duration, base: u64| {
            let base = Duration::from_secs(base);
            assert!(found >= base && found <= base + base / 10, "{found:?} {base:?}");
        };
        between(wait(0, 900), 900);
        for (failures, seconds) in [(1, 1), (2, 2), (5, 16), (14, 8192), (15, 16_384), (16, 21_600), (u32::MAX, 21_600)]
        {
            between(wait(failures, 900), seconds);
        }
    }
}
