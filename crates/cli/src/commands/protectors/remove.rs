//! `keyhaven protectors remove`.

use clap::Args;
use fve::{ProtectorKind, Remaining};
use serde_json::json;

use crate::commands::edit;
use crate::commands::info::key_id;
use crate::drive::DriveArgs;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::secrets::SecretArgs;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors remove usb-stick.img 5F2B0A11 --password-file pw.txt\n\n\
    Whoever knew a key that is removed can have kept what it opened. --replace-master-key makes a copy of the drive's old \
    metadata worthless; data that was copied before stays readable to them.")]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Identifier of the key protector, or its first 8 characters
    #[arg(value_name = "ID")]
    protector: String,
    /// Remove it even if only a certain computer (its TPM) or a smart card could open the drive then
    #[arg(long)]
    leave_hardware_only: bool,
    /// Replace the volume master key, too, so that what the removed key gave away opens the metadata no longer
    #[arg(long)]
    replace_master_key: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &RemoveArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let protector = editing.find(&arguments.protector)?;
    let (identifier, kind) = (protector.identifier, protector.kind());
    if kind == ProtectorKind::ClearKey {
        return Err(Failure::no("a clear key is not removed alone")
            .cause("the drive's protection is suspended; this key is what suspends it")
            .hint(format!("`keyhaven unsuspend {}` resumes protection", path.display())));
    }
    let remaining = if arguments.leave_hardware_only { Remaining::AnyKey } else { Remaining::PersonsKey };
    let removed = editing.editor.remove(identifier, remaining);
    editing.explained(removed)?;
    if arguments.replace_master_key {
        let replaced = editing.editor.replace_master_key();
        editing.explained(replaced)?;
    }
    editing.commit()?;
    let name = path.display();
    let document = json!({
        "drive": name.to_string(), "removed": identifier.to_string(), "key_id": key_id(identifier),
        "kind": kind.to_string(), "master_key_replaced": arguments.replace_master_key,
    });
    let mut text = format!("The {kind} with key ID {} opens {name} no longer.\n", key_id(identifier));
    if !arguments.replace_master_key {
        text.push_str(
            "\nWhoever used it before can have kept the volume master key. If that matters, remove keys with \
             --replace-master-key; against somebody who copied the data only encrypting the drive anew helps.\n",
        );
    }
    output::report(json, &document, &text)
}
