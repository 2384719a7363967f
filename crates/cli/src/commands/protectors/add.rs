//! `keyhaven protectors add`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fve::{Guid, MetadataEditor};
use secret::RecoveryPassword;
use serde_json::{Value, json};
use vault_client::Outcome as Saving;
use zeroize::Zeroizing;

use super::password::NewPasswordArgs;
use crate::commands::backup::{self, About, Key, Place, Saved, parse_place};
use crate::commands::edit::{self, Editing};
use crate::commands::info::key_id;
use crate::drive::{self, DriveArgs};
use crate::failure::{Failure, Outcome};
use crate::printed::PaperSize;
use crate::secrets::SecretArgs;
use crate::{files, output, recovery_file};

#[derive(Debug, Subcommand)]
pub(crate) enum AddCommand {
    /// A new recovery key: 48 digits
    RecoveryPassword(AddRecoveryPasswordArgs),
    /// A password, when the drive has none
    Password(AddPasswordArgs),
    /// A key in a .BEK file
    ExternalKey(AddExternalKeyArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven protectors add recovery-password usb-stick.img --to account --password-file pw.txt"
)]
pub(crate) struct AddRecoveryPasswordArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Write the recovery key to this new file, in the form Windows uses, instead of printing it
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
    /// Save it, too: to `account`, `file:PATH` or `print:PATH.pdf`; may be given several times
    #[arg(long = "to", value_name = "PLACE", value_parser = parse_place)]
    places: Vec<Place>,
    #[command(flatten)]
    secrets: SecretArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors add password usb-stick.img --new-password-file new.txt \
                  --recovery-password-file key.txt")]
pub(crate) struct AddPasswordArgs {
    #[command(flatten)]
    new: NewPasswordArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors add external-key usb-stick.img --out /media/other-stick \
                  --password-file pw.txt")]
pub(crate) struct AddExternalKeyArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// The new .BEK file; in a folder it gets the name that Windows looks for
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(command: &AddCommand, json: bool) -> Outcome {
    match command {
        AddCommand::RecoveryPassword(arguments) => recovery_password(arguments, json),
        AddCommand::Password(arguments) => password(arguments, json),
        AddCommand::ExternalKey(arguments) => external_key(arguments, json),
    }
}

fn recovery_password(arguments: &AddRecoveryPasswordArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let password = RecoveryPassword::random();
    let added = editing.editor.add_recovery_password(&password, None);
    let key = Key { identifier: editing.explained(added)?, password };
    // The file first: a key on the drive that was printed nowhere would be of little use.
    if let Some(file) = &arguments.recovery_out {
        backup::refuse_on_drive(path, file)?;
        files::write_new_private(file, &recovery_file::encode(&key.identifier.to_string(), &key.password))?;
    }
    editing.commit_with(arguments.recovery_out.as_deref())?;
    drop(editing);
    let (saved, failure) = save(arguments, &key, json)?;
    tell_recovery_password(arguments, &key, &saved, json)?;
    failure.map_or(Ok(()), Err)
}

/// Saves the new key in all places that were named; one that fails does not keep it from the others.
fn save(arguments: &AddRecoveryPasswordArgs, key: &Key, json: bool) -> Outcome<(Vec<Saved>, Option<Failure>)> {
    let path = &arguments.drive.drive;
    let (mut saved, mut failure) = (Vec::new(), None);
    if arguments.places.is_empty() {
        return Ok((saved, failure));
    }
    let about = About::of(&drive::open(path)?, key.identifier);
    for place in &arguments.places {
        let done = match place {
            Place::File(file) => backup::to_file(path, file, key),
            Place::Print(file) => backup::to_page(path, &about, file, key, (PaperSize::default(), false)),
            Place::Account => match backup::save_to_account(arguments.secrets.account(), path, &about, key, None) {
                Ok(Saving::Saved { record_id, audit_seq }) => Ok(backup::saved_to_account(key, record_id, audit_seq)),
                Ok(Saving::Waiting { why, .. }) => Err(backup::not_yet_saved(&why, 1)),
                Err(failed) => Err(failed),
            },
        };
        match done {
            Ok(done) => saved.push(done),
            Err(failed) => {
                if let Some(earlier) = failure.replace(failed) {
                    output::failure(&earlier, json);
                }
            }
        }
    }
    Ok((saved, failure))
}

fn tell_recovery_password(arguments: &AddRecoveryPasswordArgs, key: &Key, saved: &[Saved], json: bool) -> Outcome {
    let name = arguments.drive.drive.display();
    let digits = key.password.to_text();
    // A key that was saved nowhere is shown, or nobody would have it.
    let shown = arguments.recovery_out.is_none() && saved.is_empty();
    let mut document = document(&name.to_string(), "recovery password", key.identifier);
    document["recovery_key"] = json!(shown.then(|| digits.expose()));
    document["recovery_out"] = json!(arguments.recovery_out.as_ref().map(|file| file.display().to_string()));
    document["saved"] = json!(saved.iter().map(|(document, _)| document).collect::<Vec<_>>());
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(&format!("{name} has a new recovery key.\n  key ID {}\n", key_id(key.identifier)));
    if let Some(file) = &arguments.recovery_out {
        text.push_str(&format!("  written to {}\n", file.display()));
    }
    if shown {
        text.push_str("  recovery key ");
        text.push_str(digits.expose());
        text.push('\n');
    }
    saved.iter().for_each(|(_, line)| text.push_str(line));
    if saved.is_empty() {
        text.push_str(&format!("\nBack it up now:\n  keyhaven backup {name} --to account\n"));
    }
    output::report(json, &document, &text)
}

fn password(arguments: &AddPasswordArgs, json: bool) -> Outcome {
    let name = arguments.new.drive.drive.display();
    let identifier = arguments.new.set(MetadataEditor::add_password)?;
    let text = format!("{name} opens with the new password now, too.\n  key ID {}\n", key_id(identifier));
    output::report(json, &document(&name.to_string(), "password", identifier), &text)
}

fn external_key(arguments: &AddExternalKeyArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let place = if arguments.out.is_dir() { arguments.out.join("key.BEK") } else { arguments.out.clone() };
    backup::refuse_on_drive(path, &place)?;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let added = editing.editor.add_external_key();
    let key = editing.explained(added)?;
    let bytes = key.encode().map_err(|error| Failure::could_not("the key file cannot be made").because(&error))?;
    let file = if arguments.out.is_dir() { arguments.out.join(key.file_name()) } else { arguments.out.clone() };
    write_key(&mut editing, &file, &bytes)?;
    let name = path.display();
    let mut document = document(&name.to_string(), "external key", key.identifier);
    document["file"] = json!(file.display().to_string());
    let text = format!(
        "{name} opens with the key in {} now, too.\n  key ID {}\nKeep this file away from the drive: whoever has both \
         can open it.\n",
        file.display(),
        key_id(key.identifier)
    );
    output::report(json, &document, &text)
}

/// The file before the drive: the key is nowhere else in a form that opens anything.
fn write_key(editing: &mut Editing, file: &Path, bytes: &[u8]) -> Outcome {
    files::write_new_private(file, bytes)?;
    editing.commit_with(Some(file))
}

pub(super) fn document(drive: &str, kind: &str, identifier: Guid) -> Value {
    json!({ "drive": drive, "kind": kind, "identifier": identifier.to_string(), "key_id": key_id(identifier) })
}
