//! Changing key protectors with a secret that was named or is asked for.

use std::path::Path;

pub(crate) use drive_ops::edit::{Editing, explain, find};

use crate::failure::Outcome;
use crate::secrets::SecretArgs;

/// Opens the drive, proves the secret, and takes up its metadata.
pub(crate) fn open(path: &Path, secrets: &SecretArgs) -> Outcome<Editing> {
    let drive = drive_ops::edit::open(path)?;
    let given = secrets.resolve(&drive.volume)?;
    drive.prove(given.material())
}
