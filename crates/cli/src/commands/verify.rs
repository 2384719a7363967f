//! `keyhaven verify`: does this key open the drive, and which protector does it belong to?

use clap::Args;
use serde_json::json;

use super::info::key_id;
use crate::drive::{self, DriveArgs};
use crate::failure::Outcome;
use crate::output;
use crate::secrets::SecretArgs;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven verify usb-stick.img --recovery-password-file key.txt")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &VerifyArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let volume = drive::open(path)?;
    let given = arguments.secrets.resolve(&volume)?;
    let material = given.material();
    let (_, identifier) = volume.unwrap_vmk(material).map_err(|error| drive::explain(path, &error))?;
    let kind = material.kind();
    let document = json!({
        "opens": true,
        "kind": kind.to_string(),
        "identifier": identifier.to_string(),
        "key_id": key_id(identifier),
    });
    let text = format!("This {kind} opens {}.\n  key ID {}  {{{identifier}}}\n", path.display(), key_id(identifier));
    output::report(json, &document, &text)
}
