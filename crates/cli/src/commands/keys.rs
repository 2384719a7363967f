//! `keyhaven keys`: the saved recovery keys.

mod bring_over;
mod delete;
mod export;
mod import;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use fve::{ExternalKeyFile, Filetime, Guid};
use secret::SecretBytes;
use serde_json::json;
use vault_client::{Afterwards, Finding, Ordered, REVEAL_REASONS, RecordSummary, RevealedSecret, Secret, wait_kind};
use vault_protocol::record::{KIND_EXTERNAL_KEY, KIND_RECOVERY_PASSWORD};
use zeroize::Zeroizing;

use super::files::shown;
use crate::account::{AccountArgs, HttpClient, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{files, output, recovery_file};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// The saved keys, without the keys themselves
    List(ListArgs),
    /// Show a saved key; needs the password and a fresh code
    Show(ShowArgs),
    /// Deliver keys that wait on this computer because the service could not be reached
    Deliver(DeliverArgs),
    /// Import keys that other tools and services wrote: saved files, manage-bde output, JSON, LDIF, CSV, pasted pages
    Import(import::ImportArgs),
    /// Delete a saved key for good, after 30 days that are announced; the drive is not changed
    Delete(delete::DeleteArgs),
    /// Read keys of before a new start with the emergency kit of that time, and save them under the present keys
    BringOver(bring_over::BringOverArgs),
    /// Write all keys to a file encrypted with age; needs the password and fresh codes
    Export(export::ExportArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys list 5F2B0A11")]
pub(crate) struct ListArgs {
    /// Only keys whose key ID starts like this: the 8 characters on the locked screen
    #[arg(value_name = "KEY_ID")]
    key_id: Option<String>,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys show 5F2B0A11\n\n\
    A key that was shown is known to more than the account. The computer that saved it is told to replace it, which it does \
    by `keyhaven device run`; until then the key opens the drive. --no-rotate leaves it.\n\n\
    A startup key is a file: keyhaven keys show 0ABCDEF0 --out /media/stick")]
pub(crate) struct ShowArgs {
    /// Start of the key ID: the 8 characters on the locked screen
    #[arg(value_name = "KEY_ID")]
    key_id: String,
    /// Why; goes into the audit trail
    #[arg(long, value_name = "REASON", default_value = "drive_access", value_parser = PossibleValuesParser::new(REVEAL_REASONS))]
    reason: String,
    /// Write the key to this new file, in the form Windows uses, instead of printing it; a folder gets the name Windows uses
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not have the key replaced afterwards
    #[arg(long)]
    no_rotate: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys deliver")]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(command: &KeysCommand, json: bool) -> Outcome {
    match command {
        KeysCommand::List(arguments) => list(arguments, json),
        KeysCommand::Show(arguments) => show(arguments, json),
        KeysCommand::Deliver(arguments) => deliver(arguments, json),
        KeysCommand::Import(arguments) => import::run(arguments, json),
        KeysCommand::BringOver(arguments) => bring_over::run(arguments, json),
        KeysCommand::Delete(arguments) => delete::run(arguments, json),
        KeysCommand::Export(arguments) => export::run(arguments, json),
    }
}

fn list(arguments: &ListArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let found = match &arguments.key_id {
        Some(key_id) => client.find_records(key_id),
        None => client.records(),
    };
    let records = found.map_err(|error| explain(&error))?;
    if let Some(key_id) = arguments.key_id.as_ref().filter(|_| records.is_empty()) {
        return Err(none_found(key_id));
    }
    let deletions = deletions(&client)?;
    let documents = records.iter().map(|record| {
        let mut document = document(record);
        document["delete_at"] = json!(deletions.get(&record.record_id.to_string()).copied().map(time));
        document
    });
    let document = json!({ "keys": documents.collect::<Vec<_>>() });
    let mut text = String::new();
    let (former, present): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.former);
    let left = former.iter().filter(|record| record.is_left_behind()).count();
    for record in present {
        text.push_str(&line(record));
        if let Some(at) = deletions.get(&record.record_id.to_string()) {
            text.push_str(&format!("  will be deleted {}, unless `keyhaven keys delete KEY_ID --undo`\n", time(*at)));
        }
    }
    if left > 0 {
        text.push_str(&format!(
            "{left} keys of before the account's new start: only the emergency kit of that time reads them.\n  keyhaven keys bring-over\n"
        ));
    }
    if records.is_empty() {
        text.push_str("No keys are saved yet.\n");
    }
    output::report(json, &document, &text)
}

/// When records are to be deleted, by their identifiers.
fn deletions(client: &HttpClient) -> Outcome<BTreeMap<String, i64>> {
    let waits = client.waits().map_err(|error| explain(&error))?;
    let deletions = waits.into_iter().filter(|wait| wait.kind == wait_kind::DELETE_RECORD);
    Ok(deletions.map(|wait| (wait.target, wait.due_at)).collect())
}

/// How a key is called in a sentence.
fn name_of(record: &RecordSummary) -> String {
    let Some(meta) = &record.meta else { return format!("record {}", record.record_id) };
    let label = if meta.label.is_empty() { &meta.mount } else { &meta.label };
    format!("key {} ({})", shown(meta.key_id.get(..8).unwrap_or(&meta.key_id)), shown(label))
}

fn none_found(key_id: &str) -> Failure {
    Failure::no(format!("the account has no key whose key ID starts with {key_id}"))
        .hint("compare the 8 characters with the screen; `keyhaven keys list` lists all keys")
}

fn document(record: &RecordSummary) -> serde_json::Value {
    let meta = record.meta.as_ref();
    json!({
        "record": record.record_id.to_string(),
        "kind": record.kind,
        "key_id": meta.map(|meta| meta.key_id.clone()),
        "label": meta.map(|meta| meta.label.clone()),
        "computer": meta.map(|meta| meta.computer.clone()),
        "drive": meta.map(|meta| meta.mount.clone()),
        "method": meta.map(|meta| meta.method.clone()),
        "volume_type": meta.map(|meta| meta.volume_type.clone()),
        "saved": time(record.received_at),
        "saved_by": record.author,
        "state": record.state,
        "shown": record.revealed_at.map(time),
        "verified": record.verified,
        "before_new_start": record.former,
        "found": record.finding.as_ref().map(|(finding, at, by)| {
            json!({ "as": finding.name(), "at": time(*at), "by": by })
        }),
    })
}

fn line(record: &RecordSummary) -> String {
    let Some(meta) = &record.meta else {
        let kind = shown(&record.kind);
        return format!("--------  unreadable ({kind}); saved {}\n  {}\n", time(record.received_at), record.record_id);
    };
    let label = if meta.label.is_empty() { &meta.mount } else { &meta.label };
    let mut text = format!("{}  {}", shown(meta.key_id.get(..8).unwrap_or(&meta.key_id)), shown(label));
    if record.state != "live" {
        text.push_str(&format!("  ({})", shown(&record.state)));
    }
    match record.kind.as_str() {
        KIND_RECOVERY_PASSWORD => {}
        KIND_EXTERNAL_KEY => text.push_str("  startup key"),
        other => text.push_str(&format!("  of a kind this version does not know: {}", shown(other))),
    }
    if !record.verified {
        text.push_str("  WARNING: who saved it cannot be verified");
    }
    text.push_str(&format!(
        "\n  {}, from {}; saved {} by {}\n",
        shown(&meta.method),
        shown(&meta.computer),
        time(record.received_at),
        shown(&record.author)
    ));
    if let Some((finding, at, by)) = &record.finding {
        let what = match finding {
            Finding::Verified => "on its drive",
            Finding::Missing => "WARNING: gone from its drive",
            Finding::Retired => "replaced, and gone from its drive",
            Finding::Resent => "was damaged at the service, and sent again",
            Finding::Unknown => "not known",
        };
        text.push_str(&format!("  {what}; seen {} by {}\n", time(*at), shown(by)));
    }
    if let Some(at) = record.revealed_at {
        text.push_str(&format!("  last shown {}\n", time(at)));
    }
    text
}

fn show(arguments: &ShowArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let records = client.find_records(&arguments.key_id).map_err(|error| explain(&error))?;
    let record = choose(&arguments.key_id, &records)?;
    if !record.verified {
        return Err(Failure::no("who saved this key cannot be verified, so it is not shown")
            .hint("compare its key ID with the PC, and check the audit trail: `keyhaven audit verify`"));
    }
    let is_file = record.kind == KIND_EXTERNAL_KEY;
    if is_file && arguments.out.is_none() {
        return Err(Failure::no("this is a startup key: a file, and nothing to be read from a screen")
            .hint("name a file or a folder for it: --out FILE.BEK"));
    }
    if !is_file && record.kind != KIND_RECOVERY_PASSWORD {
        return Err(Failure::no(format!(
            "this version does not know what a record of the kind {:?} keeps",
            record.kind
        ))
        .hint("update the program"));
    }
    let out = arguments.out.as_deref().map(|out| place_for(out, record, is_file));
    if let Some(out) = out.as_deref().filter(|out| out.exists()) {
        return Err(Failure::could_not(format!("{} exists already", out.display()))
            .hint("choose another name; an existing file is never overwritten"));
    }
    let afterwards = if arguments.no_rotate { Afterwards::Leave } else { Afterwards::Rotate };
    let mut person = arguments.person.person()?.at(&client);
    let key =
        person.confirm(|presence| client.reveal_any(record.record_id, &arguments.reason, presence, afterwards))?;
    if let Some(path) = &out {
        let written = match &key.secret {
            Secret::RecoveryPassword(password) => {
                files::write_new_private(path, &recovery_file::encode(&key.meta.key_id, password))
            }
            Secret::ExternalKey(external) => write_startup_key(path, &key.meta.key_id, external),
        };
        written.map_err(|failure| {
            failure.hint("the key was released but not written; choose another file and run it again")
        })?;
    }
    tell(arguments, out.as_deref(), &key, json)
}

/// A folder gets the name that Windows gives such a file.
fn place_for(out: &Path, record: &RecordSummary, is_file: bool) -> PathBuf {
    if !out.is_dir() {
        return out.to_owned();
    }
    // Titles come from whoever saved the key: no part of them leads out of the folder.
    let key_id = record.meta.as_ref().map(|meta| meta.key_id.as_str()).unwrap_or_default();
    let key_id: String = key_id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    out.join(if is_file { format!("{key_id}.BEK") } else { format!("BitLocker Recovery Key {key_id}.TXT") })
}

/// The key as the file that Windows and this program open drives with.
fn write_startup_key(path: &Path, key_id: &str, key: &SecretBytes<32>) -> Outcome {
    files::write_new_private(path, &startup_key_file(key_id, key)?)
}

/// A `.BEK` file.
fn startup_key_file(key_id: &str, key: &SecretBytes<32>) -> Outcome<Zeroizing<Vec<u8>>> {
    let bad = || Failure::no(format!("the key ID {key_id:?} is not that of a startup key"));
    let identifier: Guid = key_id.parse().map_err(|_| bad())?;
    let now = Filetime::from_system_time_ms(SystemTime::now());
    let file = ExternalKeyFile::new(identifier, now, now, key.expose());
    file.encode().map_err(|error| Failure::could_not("the startup key cannot be written").because(&error))
}

/// The newest live record of the one key that was meant. Several records of one key are fine, several keys are not.
fn choose<'a>(key_id: &str, records: &'a [RecordSummary]) -> Outcome<&'a RecordSummary> {
    let first = records.first().ok_or_else(|| none_found(key_id))?;
    let id = |record: &RecordSummary| record.meta.as_ref().map(|meta| meta.key_id.clone());
    let others: Vec<String> = records.iter().filter_map(id).filter(|other| Some(other) != id(first).as_ref()).collect();
    if others.is_empty() {
        // Found by identifier, so a better one of the same key may come behind one that cannot be verified.
        return Ok(records.iter().find(|record| record.verified).unwrap_or(first));
    }
    Err(Failure::no(format!("several keys start with {key_id}"))
        .cause(id(first).into_iter().chain(others).collect::<Vec<_>>().join(", "))
        .hint("give more of the key ID"))
}

fn tell(arguments: &ShowArgs, out: Option<&Path>, key: &RevealedSecret, json: bool) -> Outcome {
    let digits = match &key.secret {
        Secret::RecoveryPassword(password) if out.is_none() => Some(password.to_text()),
        _ => None,
    };
    let (ordered, afterwards) = told_order(key.ordered.as_ref());
    let document = json!({
        "key_id": key.meta.key_id, "label": key.meta.label, "reason": arguments.reason,
        "recovery_key": digits.as_ref().map(|digits| digits.expose()),
        "out": out.map(|path| path.display().to_string()),
        "rotation": ordered,
    });
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(&format!("{}\n  key ID {}\n\n", shown(&key.meta.label), shown(&key.meta.key_id)));
    if let Some(path) = out {
        text.push_str(&format!("The key is in {}.\n", path.display()));
    }
    for (index, group) in digits.iter().flat_map(|digits| digits.expose().split('-').enumerate()) {
        text.push_str(if index % 4 == 0 { "  " } else { "-" });
        text.push_str(group);
        text.push_str(match index {
            3 => "-\n",
            7 => "\n",
            _ => "",
        });
    }
    text.push_str("\nThat it was shown is in the audit trail: keyhaven audit show\n");
    text.push_str(&afterwards);
    output::report(json, &document, &text)
}

/// Report and words for the order to replace the key.
fn told_order(ordered: Option<&Ordered>) -> (serde_json::Value, String) {
    match ordered {
        None => (serde_json::Value::Null, String::new()),
        Some(Ordered::Yes { order_id, device_id }) => (
            json!({ "ordered": true, "order": order_id.to_string(), "device": device_id.to_string() }),
            "The computer that saved it is told to replace it; `keyhaven device run` there does it. Until then this key \
             opens the drive.\n"
                .to_owned(),
        ),
        Some(Ordered::No { why }) => {
            let text = match *why {
                "ordered_before" => "It is ordered to be replaced already.\n",
                "imported" => "It was imported, so no computer can be told to replace it: `keyhaven rotate DRIVE` does.\n",
                _ => {
                    "The computer that saved it is not enrolled any more, so nobody is told to replace it: `keyhaven rotate \
                     DRIVE` does.\n"
                }
            };
            (json!({ "ordered": false, "why": why }), text.to_owned())
        }
        Some(Ordered::Failed(error)) => (
            json!({ "ordered": false, "why": "failed", "error": error.to_string() }),
            format!("The order to replace it could not be given ({error}): `keyhaven rotate DRIVE` replaces it.\n"),
        ),
    }
}

fn deliver(arguments: &DeliverArgs, json: bool) -> Outcome {
    let client = arguments.account.client()?;
    let delivery = client.deliver_outbox().map_err(|error| explain(&error))?;
    let document = json!({
        "saved": delivery.saved.iter().map(|(record, seq)| json!({ "record": record.to_string(), "audit_seq": seq }))
            .collect::<Vec<_>>(),
        "waiting": delivery.waiting.iter().map(|(record, why)| json!({
            "record": record.to_string(), "code": why.code().map(|code| code.code()), "why": why.to_string(),
        })).collect::<Vec<_>>(),
    });
    let text = match delivery.saved.len() {
        0 if delivery.waiting.is_empty() => "Nothing waits here.\n".to_owned(),
        0 => String::new(),
        1 => "1 key that waited here is now saved to the account.\n".to_owned(),
        count => format!("{count} keys that waited here are now saved to the account.\n"),
    };
    output::report(json, &document, &text)?;
    match delivery.waiting.first() {
        None => Ok(()),
        Some((_, why)) => Err(super::backup::not_yet_saved(why, delivery.waiting.len())),
    }
}
