//! `keyhaven protectors change-password`.

use std::path::PathBuf;

use clap::Args;
use fve::{Guid, MetadataEditor};
use secret::SecretString;

use super::add::document;
use crate::commands::edit;
use crate::drive::{Disk, DriveArgs};
use crate::failure::{Failure, Outcome};
use crate::secrets::SecretArgs;
use crate::{output, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven protectors change-password usb-stick.img --password-file old.txt \
                  --new-password-file new.txt")]
pub(crate) struct ChangePasswordArgs {
    #[command(flatten)]
    new: NewPasswordArgs,
}

/// A drive, what opens it, and a password that shall open it.
#[derive(Debug, Args)]
pub(super) struct NewPasswordArgs {
    #[command(flatten)]
    pub(super) drive: DriveArgs,
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    secrets: SecretArgs,
}

impl NewPasswordArgs {
    /// Opens the drive and gives it the new password, as `set` does; tells which protector has it.
    pub(super) fn set(
        &self,
        set: impl FnOnce(&mut MetadataEditor<Disk>, &SecretString) -> Result<Guid, fve::Error>,
    ) -> Outcome<Guid> {
        let file = self.new_password_file.as_deref();
        if file.is_some_and(|path| path.as_os_str() == "-") && self.secrets.read_standard_input() {
            return Err(Failure::could_not("two secrets cannot both come from standard input")
                .hint("give one of them in a file or in the environment"));
        }
        let mut editing = edit::open(&self.drive.drive, &self.secrets)?;
        let done = set(&mut editing.editor, &secrets::new_password(file)?);
        let identifier = editing.explained(done)?;
        editing.commit()?;
        Ok(identifier)
    }
}

pub(crate) fn run(arguments: &ChangePasswordArgs, json: bool) -> Outcome {
    let name = arguments.new.drive.drive.display().to_string();
    let identifier = arguments.new.set(MetadataEditor::change_password)?;
    let text = format!(
        "The password of {name} is changed. The old one opens it no longer; the other keys stay as they are.\n"
    );
    output::report(json, &document(&name, "password", identifier), &text)
}
