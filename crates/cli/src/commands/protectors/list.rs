//! `keyhaven protectors list`.

use clap::Args;
use fve::ProtectorKind;
use serde_json::json;
use zeroize::Zeroizing;

use crate::commands::info::{protector_document, protector_line};
use crate::drive::{self, DriveArgs};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::secrets::SecretArgs;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors list usb-stick.img --show --password-file password.txt")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Open the drive and show its recovery keys, too
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &ListArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    if arguments.secrets.are_named() && !arguments.show {
        return Err(Failure::could_not("a key is needed to show the recovery keys only").hint("add --show"));
    }
    let volume = drive::open(path)?;
    let shown = if arguments.show {
        let given = arguments.secrets.resolve(&volume)?;
        let (vmk, _) = volume.unwrap_vmk(given.material()).map_err(|error| drive::explain(path, &error))?;
        volume.recovery_passwords(&vmk)
    } else {
        Vec::new()
    };
    let (mut documents, mut text) = (Vec::new(), Zeroizing::new(String::with_capacity(16 * 1024)));
    for protector in volume.protectors() {
        let found = shown.iter().find(|(identifier, _)| *identifier == protector.identifier);
        let digits = found.map(|(_, password)| password.to_text());
        let mut document = protector_document(&protector);
        if arguments.show {
            document["recovery_key"] = json!(digits.as_ref().map(|digits| digits.expose()));
        }
        documents.push(document);
        text.push_str(&protector_line(&protector));
        match &digits {
            Some(digits) => {
                text.push_str("    recovery key ");
                text.push_str(digits.expose());
                text.push('\n');
            }
            None if arguments.show && protector.kind() == ProtectorKind::RecoveryPassword => {
                text.push_str("    the drive does not hold a readable copy of this recovery key\n");
            }
            None => {}
        }
    }
    if documents.is_empty() {
        text.push_str("The drive has no key protectors.\n");
    }
    let suspended = drive::kinds(&volume).contains(&ProtectorKind::ClearKey);
    let document = json!({ "drive": path.display().to_string(), "suspended": suspended, "protectors": documents });
    output::report(json, &document, &text)
}
