//! `keyhaven protectors export-package`.

use std::path::PathBuf;

use clap::Args;
use fve::{Guid, ProtectorKind};
use serde_json::json;

use crate::commands::info::key_id;
use crate::commands::{backup, edit};
use crate::drive::{self, DriveArgs, Locked};
use crate::failure::{Failure, Outcome};
use crate::secrets::SecretArgs;
use crate::{files, output};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors export-package usb-stick.img --output stick.keypackage\n\n\
    The package holds the drive's keys, wrapped: it is of use only together with the recovery key it was made for.")]
pub(crate) struct ExportPackageArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// The key protector it is made for, by its identifier or the first 8 characters; else the only recovery key
    #[arg(long, value_name = "ID")]
    protector: Option<String>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &ExportPackageArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    backup::refuse_on_drive(path, &arguments.output)?;
    let volume = drive::open(path)?;
    let identifier = choose(arguments, &volume)?;
    let given = arguments.secrets.resolve(&volume)?;
    let explain = |error: &fve::Error| edit::explain(path, error);
    let (vmk, _) = volume.unwrap_vmk(given.material()).map_err(|error| explain(&error))?;
    let package = volume.key_package(&vmk, identifier).map_err(|error| explain(&error))?;
    let bytes =
        package.encode().map_err(|error| Failure::could_not("the key package cannot be made").because(&error))?;
    files::write_new_private(&arguments.output, &bytes)?;
    let document = json!({
        "drive": path.display().to_string(), "identifier": identifier.to_string(), "key_id": key_id(identifier),
        "output": arguments.output.display().to_string(), "bytes": bytes.len(),
    });
    let text = format!(
        "The key package is in {}. It belongs to the key with key ID {}: keep both, apart from the drive.\n",
        arguments.output.display(),
        key_id(identifier)
    );
    output::report(json, &document, &text)
}

fn choose(arguments: &ExportPackageArgs, volume: &Locked) -> Outcome<Guid> {
    let path = &arguments.drive.drive;
    let protectors = volume.protectors();
    if let Some(text) = &arguments.protector {
        return edit::find(path, &protectors, text).map(|protector| protector.identifier);
    }
    let mut recovery = protectors.iter().filter(|protector| protector.kind() == ProtectorKind::RecoveryPassword);
    match (recovery.next(), recovery.next()) {
        (Some(only), None) => Ok(only.identifier),
        (found, _) => Err(Failure::no(match found {
            None => format!("{} has no recovery key to make a package for", path.display()),
            Some(_) => format!("{} has several recovery keys", path.display()),
        })
        .hint(format!("name a protector with --protector; `keyhaven protectors list {}` lists them", path.display()))),
    }
}
