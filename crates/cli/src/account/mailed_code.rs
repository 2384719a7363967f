//! The code of a mail: from a file, the environment or the terminal, once it was sent.

use std::path::Path;

use secret::SecretString;

use super::kit::text_from;
use crate::failure::Outcome;
use crate::{prompt, secrets};

const VARIABLE: &str = "KEYHAVEN_MAILED_CODE";

/// The code of the mail that was just sent.
pub(crate) fn mailed_code(file: Option<&Path>) -> Outcome<SecretString> {
    let given = match file {
        Some(file) => Some(text_from(file)?),
        None => secrets::variable(VARIABLE)?,
    };
    match given {
        Some(code) => Ok(SecretString::from(code.expose().trim())),
        None => prompt::secret("code from the mail that was just sent")
            .map_err(|failure| failure.hint(format!("use --mailed-code-file or set {VARIABLE}"))),
    }
}
