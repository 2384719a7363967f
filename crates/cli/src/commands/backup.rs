//! `keyhaven backup`: "Back up your recovery key", to the account, to a file, to a page for printing.

use std::path::{Path, PathBuf};

use clap::Args;
pub(crate) use drive_ops::backup::{About, Key, not_yet_saved, place_for, refuse_on_drive};
use drive_ops::backup::{Page, recovery_keys, write_file};
use serde_json::{Value, json};
use vault_client::{Outcome as Saving, RecordId};

use crate::account::AccountArgs;
use crate::drive::{self, DriveArgs, Locked};
use crate::failure::Outcome;
use crate::secrets::SecretArgs;
use crate::{files, output, printed};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven backup usb-stick.img --to account\n\n\
    Saving to the account works with two-factor authentication on, and asks for no code: this computer was enrolled \
    with one. When the service cannot be reached, the sealed key waits here and is delivered by the next run.")]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where to: `account`, `file:PATH` (a folder gets the file name that Windows uses), or `print:PATH.pdf` (one page for
    /// printing); may be given several times
    #[arg(long = "to", value_name = "PLACE", required = true, value_parser = parse_place)]
    places: Vec<Place>,
    /// Paper of the printed page
    #[arg(long, value_enum, default_value_t)]
    paper: printed::PaperSize,
    /// Put a QR code of the key itself on the printed page, too: whoever photographs it can open the drive
    #[arg(long)]
    key_as_qr: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

/// Where a key is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Account,
    File(PathBuf),
    Print(PathBuf),
}

pub(crate) fn parse_place(text: &str) -> Result<Place, String> {
    match text.split_once(':') {
        None if text == "account" => Ok(Place::Account),
        Some(("file", path)) if !path.is_empty() => Ok(Place::File(path.into())),
        Some(("print", path)) if !path.is_empty() => Ok(Place::Print(path.into())),
        _ => Err("expected `account`, `file:PATH` or `print:PATH.pdf`".to_owned()),
    }
}

/// Report and text for a key that was saved.
pub(crate) type Saved = (Value, String);

pub(crate) fn run(arguments: &BackupArgs, json: bool) -> Outcome {
    let volume = drive::open(&arguments.drive.drive)?;
    let given = arguments.secrets.resolve(&volume)?;
    let keys = recovery_keys(&arguments.drive.drive, &volume, given.material(), given.recovery_password())?;
    let (mut done, mut text, mut failure) = (Vec::new(), String::new(), None);
    for place in &arguments.places {
        for key in &keys {
            let saved = match place {
                Place::Account => to_account(arguments, &volume, key),
                Place::File(path) => to_file(&arguments.drive.drive, path, key),
                Place::Print(path) => {
                    let form = (arguments.paper, arguments.key_as_qr);
                    to_page(&arguments.drive.drive, &About::of(&volume, key.identifier), path, key, form)
                }
            };
            match saved {
                Ok((document, line)) => {
                    done.push(document);
                    text.push_str(&line);
                }
                // The other places are tried all the same: one good copy is better than none.
                Err(failed) => {
                    if let Some(earlier) = failure.replace(failed) {
                        output::failure(&earlier, json);
                    }
                }
            }
        }
    }
    if !done.is_empty() || failure.is_none() {
        output::report(json, &json!({ "saved": done }), &text)?;
    }
    failure.map_or(Ok(()), Err)
}

fn to_account(arguments: &BackupArgs, volume: &Locked, key: &Key) -> Outcome<Saved> {
    let about = About::of(volume, key.identifier);
    match save_to_account(arguments.secrets.account(), &arguments.drive.drive, &about, key, None)? {
        Saving::Saved { record_id, audit_seq } => Ok(saved_to_account(key, record_id, audit_seq)),
        Saving::Waiting { why, .. } => Err(not_yet_saved(&why, 1)),
    }
}

/// Saves a key of the drive at `path`, and tells whether the account has it or it waits here.
/// A key may take the place of another one, whose record stays.
pub(crate) fn save_to_account(
    account: &AccountArgs,
    path: &Path,
    about: &About,
    key: &Key,
    in_place_of: Option<RecordId>,
) -> Outcome<Saving> {
    drive_ops::backup::save_to_account(&account.client()?, path, about, key, in_place_of)
}

/// Report and text for a key that the account has.
pub(crate) fn saved_to_account(key: &Key, record_id: RecordId, audit_seq: u64) -> Saved {
    let key_id = key.identifier.to_string()[..8].to_owned();
    let document = json!({
        "to": "account", "key_id": key_id, "identifier": key.identifier.to_string(),
        "record": record_id.to_string(), "audit_seq": audit_seq, "receipt_verified": true,
    });
    let line =
        format!("Saved to your account: recovery key {key_id}. The receipt is verified (audit entry {audit_seq}).\n");
    (document, line)
}

pub(crate) fn to_file(drive: &Path, path: &Path, key: &Key) -> Outcome<Saved> {
    write_file(drive, path, key).map(|path| saved_to_file(&path, key))
}

/// Report and text for a key that is in a file.
pub(crate) fn saved_to_file(path: &Path, key: &Key) -> Saved {
    written("file", path, key, "Keep this file away from the drive it opens.")
}

/// A page for printing, on this paper, with a QR code of the key itself or without.
pub(crate) fn to_page(
    drive: &Path,
    about: &About,
    path: &Path,
    key: &Key,
    (paper, key_as_qr): (printed::PaperSize, bool),
) -> Outcome<Saved> {
    let path = place_for(drive, path, key, "pdf")?;
    let page = Page { drive, about, key, paper: paper.paper(), key_as_qr };
    files::write_new_private(&path, &page.render()?)?;
    Ok(written("print", &path, key, "Print it, keep the page away from the drive it opens, and delete the file."))
}

fn written(to: &str, path: &Path, key: &Key, advice: &str) -> Saved {
    let identifier = key.identifier.to_string();
    let line = format!("Saved to {}: recovery key {}. {advice}\n", path.display(), &identifier[..8]);
    let document = json!({
        "to": to, "key_id": &identifier[..8], "identifier": identifier, "path": path.display().to_string(),
    });
    (document, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(parse_place("account"), Ok(Place::Account));
        assert_eq!(parse_place("file:a:b"), Ok(Place::File("a:b".into())));
        assert_eq!(parse_place("print:key.pdf"), Ok(Place::Print("key.pdf".into())));
        for bad in ["", "file:", "print:", "file", "mail:me", "Account"] {
            assert!(parse_place(bad).is_err(), "{bad}");
        }
    }
}
