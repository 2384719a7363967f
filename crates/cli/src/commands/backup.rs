//! `keyhaven backup`: "Back up your recovery key", to the account, to a file, to a page for printing.

use std::path::{Path, PathBuf};

use clap::Args;
use fve::{EncryptionMethod, Filetime, Guid, ProtectorKind, VolumeLayout};
use secret::RecoveryPassword;
use serde_json::{Value, json};
use vault_client::{Error, KeyToSave, Meta, Outcome as Saving, RecordId};

use crate::account::{AccountArgs, explain};
use crate::drive::{self, DriveArgs, Locked};
use crate::failure::{Failure, Outcome};
use crate::secrets::SecretArgs;
use crate::{files, output, printed, recovery_file, same_drive};

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

/// A recovery password that opens the drive.
pub(crate) struct Key {
    pub(crate) identifier: Guid,
    pub(crate) password: RecoveryPassword,
}

pub(crate) fn run(arguments: &BackupArgs, json: bool) -> Outcome {
    let volume = drive::open(&arguments.drive.drive)?;
    let keys = recovery_keys(arguments, &volume)?;
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

/// All recovery passwords of the drive, each tried on it: a key that does not open it would be worse than none.
fn recovery_keys(arguments: &BackupArgs, volume: &Locked) -> Outcome<Vec<Key>> {
    let path = &arguments.drive.drive;
    let given = arguments.secrets.resolve(volume)?;
    let (vmk, opened_with) = volume.unwrap_vmk(given.material()).map_err(|error| drive::explain(path, &error))?;
    let mut keys: Vec<Key> = Vec::new();
    if let Some(password) = given.recovery_password() {
        keys.push(Key { identifier: opened_with, password: password.clone() });
    }
    for (identifier, password) in volume.recovery_passwords(&vmk) {
        if keys.iter().any(|key| key.identifier == identifier) {
            continue;
        }
        match volume.unwrap_vmk(&password) {
            Ok((_, opened)) if opened == identifier => keys.push(Key { identifier, password }),
            _ => output::note(&format!(
                "warning: the stored copy of recovery key {{{identifier}}} does not open the drive; left out"
            )),
        }
    }
    if keys.is_empty() {
        let has_one = drive::kinds(volume).contains(&ProtectorKind::RecoveryPassword);
        let failure = Failure::no(format!("{} has no recovery key that can be read", path.display()));
        return Err(if has_one {
            failure
                .cause("the drive does not hold a readable copy of its recovery key")
                .hint("unlock it with the recovery key itself: --recovery-password-file")
        } else {
            failure.cause("the drive has no recovery-password protector")
        });
    }
    Ok(keys)
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
    let client = account.client()?;
    let to_save = KeyToSave { password: key.password.clone(), meta: meta(path, about, key) };
    client.save_in_place_of(&to_save, in_place_of).map_err(|error| explain(&error))
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

/// What to say when sealed keys wait in the outbox.
pub(crate) fn not_yet_saved(why: &Error, count: usize) -> Failure {
    let cause = explain(why);
    let what = if count == 1 { "the key is".to_owned() } else { format!("{count} keys are") };
    let mut text = cause.error.clone();
    if let Some(deeper) = &cause.cause {
        text = format!("{text}: {deeper}");
    }
    let next = cause.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let mut failure = Failure::could_not(format!("{what} not yet saved to the account")).cause(text).hint(format!(
        "nothing is lost: it waits on this computer, sealed, and the next run delivers it (`keyhaven keys deliver`){next}"
    ));
    failure.code = cause.code;
    failure
}

/// What is told of a drive beside its key.
pub(crate) struct About {
    pub(crate) is_removable: bool,
    pub(crate) description: Option<String>,
    pub(crate) method: EncryptionMethod,
    pub(crate) volume_bytes: u64,
    /// When the protector was made.
    pub(crate) created: Option<Filetime>,
}

impl About {
    /// Of a drive that has the protector with this identifier.
    pub(crate) fn of(volume: &Locked, identifier: Guid) -> Self {
        let protector = volume.protectors().into_iter().find(|protector| protector.identifier == identifier);
        Self {
            is_removable: volume.header().layout == VolumeLayout::ToGo,
            description: volume.description(),
            method: volume.metadata().method,
            volume_bytes: volume.volume_bytes(),
            created: protector.map(|protector| protector.modified),
        }
    }
}

fn meta(path: &Path, about: &About, key: &Key) -> Meta {
    Meta {
        key_id: key.identifier.to_string(),
        volume_type: if about.is_removable { "removable" } else { "fixed" }.to_owned(),
        mount: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        label: about.description.clone().unwrap_or_default(),
        computer: crate::host::name(),
        os: std::env::consts::OS.to_owned(),
        method: about.method.to_string(),
        protector_created: about.created.map(|created| created.to_string()),
        source: "drive".to_owned(),
        client: concat!("keyhaven/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

pub(crate) fn to_file(drive: &Path, path: &Path, key: &Key) -> Outcome<Saved> {
    let path = place_for(drive, path, key, "TXT")?;
    files::write_new_private(&path, &recovery_file::encode(&key.identifier.to_string(), &key.password))?;
    Ok(saved_to_file(&path, key))
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
    let page = printed::Page { drive, about, identifier: key.identifier, password: &key.password, paper, key_as_qr };
    files::write_new_private(&path, &page.render()?)?;
    Ok(written("print", &path, key, "Print it, keep the page away from the drive it opens, and delete the file."))
}

/// A folder gets the file name that Windows uses. A place on the drive that the key opens is refused: behind the lock it is
/// of no use.
pub(crate) fn place_for(drive: &Path, path: &Path, key: &Key, extension: &str) -> Outcome<PathBuf> {
    let name = || format!("BitLocker Recovery Key {}.{extension}", key.identifier);
    let path = if path.is_dir() { path.join(name()) } else { path.to_owned() };
    refuse_on_drive(drive, &path)?;
    Ok(path)
}

/// Refuses a place on the drive that the key opens.
pub(crate) fn refuse_on_drive(drive: &Path, path: &Path) -> Outcome {
    if same_drive::lies_on(path, drive) {
        return Err(Failure::no(format!("{} lies on the drive that this key opens", path.display()))
            .cause("when the drive is locked, a key on it is out of reach")
            .hint("choose a place on another drive, or `--to account`, or print the page"));
    }
    Ok(())
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
