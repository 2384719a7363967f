//! New backup codes: shown or written, and confirmed, before they count.

use std::path::Path;

use vault_client::NewBackupCodes;
use zeroize::Zeroizing;

use super::kept::write_and_read_back;
use crate::failure::{Failure, Outcome};
use crate::{output, prompt};

/// Writes the codes to a new file, or shows them on the terminal and asks for one of them back. `true`: they are kept.
pub(crate) fn keep_backup_codes(new: &NewBackupCodes, file: Option<&Path>) -> Outcome<bool> {
    let text = text(new);
    if let Some(file) = file {
        let kept = write_and_read_back(file, &text)?;
        output::note(&format!("the backup codes are in {}; keep them apart from the phone", file.display()));
        return Ok(kept);
    }
    prompt::show(&text).map_err(|failure: Failure| failure.hint("write the codes to a file with --out FILE"))?;
    for _ in 0..3 {
        let typed = prompt::visible_secret("Write them down or print them. Then type the last of them")?;
        if new.is_last(&typed) {
            return Ok(true);
        }
        prompt::show("This is not the last of them.\n")?;
    }
    Ok(false)
}

fn text(new: &NewBackupCodes) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str("\nKEYHAVEN BACKUP CODES\n\n");
    for (n, code) in (1..).zip(&new.codes) {
        text.push_str(&format!("  {n:>2}  "));
        text.push_str(code.expose());
        text.push('\n');
    }
    text.push_str(
        "\nEach of them stands in for a code of your authenticator, once. Keep them on\n\
         paper, apart from your phone and your password. New codes make these void.\n\n",
    );
    text
}
