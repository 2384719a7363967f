//! `keyhaven suspend` and `keyhaven unsuspend`: protection off and on again, the data stays encrypted.

use clap::Args;
use fve::{Guid, MasterKey};
use serde_json::json;

use super::edit;
use crate::drive::DriveArgs;
use crate::failure::Outcome;
use crate::output;
use crate::secrets::SecretArgs;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven suspend usb-stick.img --recovery-password-file key.txt")]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    secrets: SecretArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven unsuspend usb-stick.img")]
pub(crate) struct UnsuspendArgs {
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &SuspendArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let suspended = editing.editor.suspend();
    let identifier = editing.explained(suspended)?;
    editing.commit()?;
    let name = path.display();
    let document = json!({ "drive": name.to_string(), "suspended": true, "identifier": identifier.to_string() });
    let text = format!(
        "The protection of {name} is suspended: everybody who has the drive can open it, without a key.\n\n\
         Resume it as soon as you can:\n  keyhaven unsuspend {name}\n"
    );
    output::report(json, &document, &text)
}

pub(crate) fn run_unsuspend(arguments: &UnsuspendArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let resumed = editing.editor.unsuspend();
    let resumed = editing.explained(resumed)?;
    editing.commit()?;
    let kept = match &resumed.master_key {
        MasterKey::Replaced => None,
        MasterKey::Kept(why) => Some(why.to_string()),
    };
    let document = json!({
        "drive": path.display().to_string(), "suspended": false, "master_key_replaced": kept.is_none(),
        "master_key_kept_because": kept, "removed": resumed.removed.iter().map(Guid::to_string).collect::<Vec<_>>(),
    });
    let mut text = format!("The protection of {} is on again. ", path.display());
    match &kept {
        None => text.push_str("Whoever copied its key while it lay open cannot use it any longer.\n"),
        Some(why) => text.push_str(&format!(
            "The volume master key could not be replaced: whoever copied it while it lay open can still open the drive. \
             ({why})\n"
        )),
    }
    output::report(json, &document, &text)
}
