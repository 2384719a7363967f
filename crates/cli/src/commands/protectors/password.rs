//! `keyhaven protectors change-password`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::add::check_standard_input;
use crate::commands::edit;
use crate::commands::info::key_id;
use crate::drive::DriveArgs;
use crate::failure::Outcome;
use crate::secrets::SecretArgs;
use crate::{output, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors change-password usb-stick.img --password-file old.txt \
                  --new-password-file new.txt")]
pub(crate) struct ChangePasswordArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &ChangePasswordArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    check_standard_input(arguments.new_password_file.as_deref(), &arguments.secrets)?;
    let mut editing = edit::open(path, &arguments.secrets)?;
    let password = secrets::new_password(arguments.new_password_file.as_deref())?;
    let changed = editing.editor.change_password(&password);
    let identifier = editing.explained(changed)?;
    editing.commit()?;
    let document = json!({
        "drive": path.display().to_string(), "kind": "password", "identifier": identifier.to_string(),
        "key_id": key_id(identifier),
    });
    let text = format!(
        "The password of {} is changed. The old one opens it no longer; the other keys stay as they are.\n",
        path.display()
    );
    output::report(json, &document, &text)
}
