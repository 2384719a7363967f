//! `keyhaven rotate`: a new recovery key in place of the old one.
//!
//! ```text
//! add      the new one goes onto the drive, beside the old; its name there says what it replaces
//! save     to the account, receipt verified, or to a file
//! remove   the old one goes, and the name with it
//! ```
//!
//! Whatever happens in between, a key opens the drive that is saved somewhere. What was begun stands on the drive itself, so
//! running the command again goes on, on any computer.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
pub(crate) use drive_ops::rotate::is_unfinished;
use drive_ops::rotate::{Rotation, begun, finish, prove};
use fve::{Guid, ProtectorKind};
use serde_json::json;
use vault_client::{Error, Outcome as Saving, RecordId, Standing};

use super::backup::{self, About, Key, Place, Saved, parse_place};
use super::edit::{self, Editing};
use super::info::key_id;
use crate::account::{HttpClient, explain};
use crate::drive::{self, DriveArgs};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::secrets::{self, SecretArgs};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven rotate usb-stick.img --password-file pw.txt\n\n\
    The old recovery key goes only when the new one is saved. Exit status 1 says that this is not so yet: the old one opens \
    the drive as before, and running the command again goes on.")]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where the new recovery key is saved: `account` (unless another place is named), or `file:PATH`; may be given several
    /// times, and then all must succeed
    #[arg(long = "to", value_name = "PLACE", value_parser = parse_place)]
    places: Vec<Place>,
    /// The recovery key to replace, by its identifier or the first 8 characters; needed when the drive has several
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    protector: Option<String>,
    /// Replace all recovery keys of the drive by one
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &RotateArgs, json: bool) -> Outcome {
    let (rotation, saved) = carry_out(arguments)?;
    tell(&arguments.drive.drive, &rotation, &saved, json)
}

/// Identifiers of a new key and of those that it replaced.
pub(crate) type Replaced = (String, Vec<String>);

/// Replaces the key with this identifier into the account, with nobody there.
pub(crate) fn unattended(path: &Path, secrets: SecretArgs, protector: &str) -> Outcome<Replaced> {
    let (rotation, _) = carry_out(&to_account_of(path, secrets, Some(protector)))?;
    Ok(replaced(&rotation))
}

/// Goes on with a rotation that broke off, with nobody there. `None`: somebody else ended it meanwhile, and none is begun that
/// nobody asked for.
pub(crate) fn resume(path: &Path, secrets: SecretArgs) -> Outcome<Option<Replaced>> {
    let arguments = to_account_of(path, secrets, None);
    let editing = edit::open(path, &arguments.secrets)?;
    let Some(rotation) = unfinished(&arguments, &editing)? else { return Ok(None) };
    complete(&arguments, &arguments.places, editing, &rotation)?;
    Ok(Some(replaced(&rotation)))
}

fn to_account_of(path: &Path, secrets: SecretArgs, protector: Option<&str>) -> RotateArgs {
    RotateArgs {
        drive: DriveArgs { drive: path.to_owned() },
        places: vec![Place::Account],
        protector: protector.map(str::to_owned),
        all: false,
        secrets,
    }
}

fn replaced(rotation: &Rotation) -> Replaced {
    (rotation.key.identifier.to_string(), rotation.old.iter().map(Guid::to_string).collect())
}

fn carry_out(arguments: &RotateArgs) -> Outcome<(Rotation, Vec<Saved>)> {
    let path = &arguments.drive.drive;
    let places = if arguments.places.is_empty() { vec![Place::Account] } else { arguments.places.clone() };
    let mut editing = edit::open(path, &arguments.secrets)?;
    let rotation = match unfinished(arguments, &editing)? {
        Some(rotation) => {
            let new = key_id(rotation.key.identifier);
            output::note(&format!("an unfinished rotation goes on: recovery key {new} is on the drive already"));
            rotation
        }
        None => begin(arguments, &places, &mut editing)?,
    };
    let saved = complete(arguments, &places, editing, &rotation)?;
    Ok((rotation, saved))
}

/// What remains once the new key is on the drive.
fn complete(
    arguments: &RotateArgs,
    places: &[Place],
    mut editing: Editing,
    rotation: &Rotation,
) -> Outcome<Vec<Saved>> {
    prove(&arguments.drive.drive, &rotation.key)?;
    let saved = save(arguments, places, rotation)?;
    finish(&mut editing, rotation)?;
    forget_record(arguments, &rotation.key);
    note_retired(arguments, rotation);
    Ok(saved)
}

/// Tells the account that the old keys are gone from the drive, where this computer saved them.
fn note_retired(arguments: &RotateArgs, rotation: &Rotation) {
    let Ok(client) = arguments.secrets.account().client() else { return };
    if !client.is_enrolled().unwrap_or(false) {
        return;
    }
    // The key is replaced and saved all the same; a note that waits goes with the next call.
    if let Err(error) = drive_ops::rotate::note_retired(&client, &rotation.old) {
        output::note(&format!("warning: the account was not told that the old key is gone from the drive: {error}"));
    }
}

/// A rotation that was begun and not finished, by the names on the drive.
fn unfinished(arguments: &RotateArgs, editing: &Editing) -> Outcome<Option<Rotation>> {
    let Some((identifier, old)) = begun(&editing.editor.protectors()) else { return Ok(None) };
    let path = &arguments.drive.drive;
    if let Some(text) = &arguments.protector
        && !old.contains(&editing.find(text)?.identifier)
    {
        let listed: Vec<String> = old.iter().map(|old| key_id(*old)).collect();
        return Err(Failure::no("an unfinished rotation replaces another recovery key")
            .cause(format!("recovery key {} is to replace {}", key_id(identifier), listed.join(", ")))
            .hint(format!("finish it first: `keyhaven rotate {}`", path.display())));
    }
    drive_ops::rotate::unfinished(path, editing)
}

/// Puts the new key onto the drive, once everything is known to be there that saving needs.
fn begin(arguments: &RotateArgs, places: &[Place], editing: &mut Editing) -> Outcome<Rotation> {
    let old = to_replace(arguments, editing)?;
    for place in places {
        check_place(arguments, place)?;
    }
    drive_ops::rotate::begin(editing, old)
}

/// Which recovery keys go. Of several one must be named: others may be somebody else's, in a directory for instance.
fn to_replace(arguments: &RotateArgs, editing: &Editing) -> Outcome<Vec<Guid>> {
    let path = arguments.drive.drive.display();
    if let Some(text) = &arguments.protector {
        let protector = editing.find(text)?;
        if protector.kind() != ProtectorKind::RecoveryPassword {
            return Err(Failure::no(format!("{} is no recovery key", key_id(protector.identifier)))
                .cause(format!("it is a key protector of another kind: {}", protector.kind()))
                .hint("only recovery keys are rotated; `keyhaven protectors --help` tells how others are changed"));
        }
        return Ok(vec![protector.identifier]);
    }
    let protectors = editing.editor.protectors();
    let recovery: Vec<Guid> =
        protectors.iter().filter(|it| it.kind() == ProtectorKind::RecoveryPassword).map(|it| it.identifier).collect();
    match recovery.len() {
        0 => Err(Failure::no(format!("{path} has no recovery key to replace"))
            .hint(format!("`keyhaven protectors add recovery-password {path} --to account` adds one"))),
        2.. if !arguments.all => {
            let listed: Vec<String> = recovery.iter().map(|identifier| key_id(*identifier)).collect();
            Err(Failure::no(format!("{path} has several recovery keys"))
                .cause(format!("their key IDs are {}", listed.join(", ")))
                .hint("name the one to replace with --protector, or replace all of them by one with --all"))
        }
        _ => Ok(recovery),
    }
}

/// Refuses a place that cannot work, before anything is changed.
fn check_place(arguments: &RotateArgs, place: &Place) -> Outcome {
    match place {
        Place::Account => {
            let client = arguments.secrets.account().client()?;
            match client.is_enrolled().map_err(|error| explain(&error))? {
                true => Ok(()),
                false => Err(explain(&Error::NotEnrolled)),
            }
        }
        Place::Print(_) => Err(not_to_a_page(arguments)),
        Place::File(file) if file.exists() && !file.is_dir() => {
            Err(Failure::could_not(format!("{} is there already", file.display()))
                .hint("choose another name; an existing file is never overwritten"))
        }
        Place::File(file) => {
            let inside = if file.is_dir() { file.join("key") } else { file.clone() };
            backup::refuse_on_drive(&arguments.drive.drive, &inside)?;
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            match folder.is_none_or(Path::is_dir) {
                true => Ok(()),
                false => Err(Failure::could_not(format!("there is no folder for {}", file.display()))
                    .hint("make it, or choose another place")),
            }
        }
    }
}

fn not_to_a_page(arguments: &RotateArgs) -> Failure {
    Failure::could_not("a new recovery key is saved to the account or to a file")
        .cause("a page is safe only when it is printed, and the old key would be gone by then")
        .hint(format!("print it afterwards: `keyhaven backup {} --to print:PATH.pdf`", arguments.drive.drive.display()))
}

/// Saves the new key in all places; the old one stays when one of them fails.
fn save(arguments: &RotateArgs, places: &[Place], rotation: &Rotation) -> Outcome<Vec<Saved>> {
    let one = |place: &Place| match place {
        Place::Account => to_account(arguments, rotation),
        Place::File(file) => to_file(&arguments.drive.drive, file, rotation),
        Place::Print(_) => Err(not_to_a_page(arguments)),
    };
    let path = arguments.drive.drive.display();
    places.iter().map(one).collect::<Outcome<Vec<_>>>().map_err(|why| {
        let mut cause = why.error;
        if let Some(deeper) = why.cause {
            cause = format!("{cause}: {deeper}");
        }
        let next = why.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let mut failure =
            Failure::no(format!("the recovery key of {path} is not rotated yet: the new one is not saved"))
                .cause(cause)
                .hint(format!(
                    "the old one opens the drive as before; run `keyhaven rotate {path}` again to go on{next}"
                ));
        failure.code = why.code;
        failure
    })
}

/// Saves to the account. A save of an earlier run that waited here, or came through, counts.
fn to_account(arguments: &RotateArgs, rotation: &Rotation) -> Outcome<Saved> {
    let (path, key) = (&arguments.drive.drive, &rotation.key);
    let client = arguments.secrets.account().client()?;
    let saved_before = match remembered_record(&client, key) {
        Some(record_id) => Some(record_id),
        None => own_record(&client, key.identifier)?,
    };
    if let Some(record_id) = saved_before {
        let delivery = client.deliver_outbox().map_err(|error| explain(&error))?;
        match client.became_of(record_id).map_err(|error| explain(&error))? {
            Some(Standing::Saved { audit_seq }) => return Ok(backup::saved_to_account(key, record_id, audit_seq)),
            Some(Standing::Waiting) => {
                let why = delivery.waiting.iter().find(|(waiting, _)| *waiting == record_id);
                return Err(why.map_or_else(
                    || Failure::could_not("the key still waits on this computer"),
                    |(_, why)| explain(why),
                ));
            }
            // Of another account, or removed by hand.
            None => {}
        }
    }
    let in_place_of = match rotation.old.first() {
        Some(old) => own_record(&client, *old)?,
        None => None,
    };
    let about = About::of(&drive::open(path)?, key.identifier);
    match backup::save_to_account(arguments.secrets.account(), path, &about, key, in_place_of)? {
        Saving::Saved { record_id, audit_seq } => {
            remember_record(&client, key, record_id);
            Ok(backup::saved_to_account(key, record_id, audit_seq))
        }
        Saving::Waiting { record_id, why } => {
            remember_record(&client, key, record_id);
            Err(explain(&why))
        }
    }
}

/// The record by which this computer saved a key of the drive.
fn own_record(client: &HttpClient, identifier: Guid) -> Outcome<Option<RecordId>> {
    client.own_record(&identifier.to_string()).map_err(|error| explain(&error))
}

/// Saves to a file. One that an earlier run wrote counts, when it holds this very key.
fn to_file(drive: &Path, file: &Path, rotation: &Rotation) -> Outcome<Saved> {
    let file = backup::place_for(drive, file, &rotation.key, "TXT")?;
    if rotation.resumed && file.exists() {
        let there = secrets::recovery_password_from(&file)?;
        if there == rotation.key.password {
            return Ok(backup::saved_to_file(&file, &rotation.key));
        }
    }
    let saved = backup::to_file(drive, &file, &rotation.key)?;
    // The old key goes because of this file, so it is read again.
    match secrets::recovery_password_from(&file)? == rotation.key.password {
        true => Ok(saved),
        false => Err(Failure::could_not(format!("{} reads back other than it was written", file.display()))),
    }
}

/// Which record keeps the new key: a note, so that a save that waits is not made again by the next run.
fn record_file(client: &HttpClient, key: &Key) -> PathBuf {
    client.state().folder().join("rotations").join(key.identifier.to_string())
}

fn remembered_record(client: &HttpClient, key: &Key) -> Option<RecordId> {
    fs::read_to_string(record_file(client, key)).ok()?.trim().parse().ok()
}

fn remember_record(client: &HttpClient, key: &Key, record_id: RecordId) {
    let file = record_file(client, key);
    // Without the note the key is saved once more, which does no harm.
    let _ = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, record_id.to_string()));
}

fn forget_record(arguments: &RotateArgs, key: &Key) {
    if let Ok(client) = arguments.secrets.account().client() {
        let _ = fs::remove_file(record_file(&client, key));
    }
}

fn tell(path: &Path, rotation: &Rotation, saved: &[Saved], json: bool) -> Outcome {
    let new = rotation.key.identifier;
    let document = json!({
        "drive": path.display().to_string(),
        "identifier": new.to_string(), "key_id": key_id(new), "resumed": rotation.resumed,
        "removed": rotation.old.iter().map(Guid::to_string).collect::<Vec<_>>(),
        "saved": saved.iter().map(|(document, _)| document).collect::<Vec<_>>(),
    });
    let mut text: String = saved.iter().map(|(_, line)| line.as_str()).collect();
    let old: Vec<String> = rotation.old.iter().map(|old| key_id(*old)).collect();
    text.push_str(&format!(
        "The recovery key of {} is {} now; {} opens it no longer.\n",
        path.display(),
        key_id(new),
        old.join(", ")
    ));
    output::report(json, &document, &text)
}
