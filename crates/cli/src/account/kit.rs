//! The emergency kit: shown or written, and confirmed, before the account is made.

use std::path::Path;

use secret::SecretString;
use vault_client::Kit;
use zeroize::Zeroizing;

use super::kept::write_and_read_back;
use crate::failure::{Failure, Outcome};
use crate::{output, prompt, recovery_file, secrets};

/// Writes the kit to a new file, or shows it on the terminal and asks for its end. `true`: it is kept.
pub(crate) fn keep_kit(kit: &Kit, file: Option<&Path>) -> Outcome<bool> {
    let text = text(kit);
    if let Some(file) = file {
        let kept = write_and_read_back(file, &text)?;
        output::note(&format!(
            "the emergency kit is in {}; print it and keep it apart from this computer",
            file.display()
        ));
        return Ok(kept);
    }
    prompt::show(&text)
        .map_err(|failure: Failure| failure.hint("write the emergency kit to a file with --kit-out FILE"))?;
    for _ in 0..3 {
        let typed = prompt::line("Write it down or print it. Then type the last six letters of its code")?;
        if kit.ends_with(&typed) {
            return Ok(true);
        }
        prompt::show("These are not its last six letters.\n")?;
    }
    Ok(false)
}

/// The code of a kit, from the file that it was written to or from what is typed.
pub(crate) fn kit_code(file: Option<&Path>) -> Outcome<SecretString> {
    let Some(file) = file else {
        return prompt::visible_secret("code of the emergency kit")
            .map_err(|failure| failure.hint("use --kit-file FILE"));
    };
    let text = text_from(file)?;
    let line = text.expose().lines().find_map(|line| line.trim_start().strip_prefix("Code "));
    Ok(SecretString::from(line.unwrap_or(text.expose()).trim()))
}

/// The text of a small file, in whatever form text files have.
pub(super) fn text_from(file: &Path) -> Outcome<SecretString> {
    let bytes = secrets::read_secret_file(file)?;
    recovery_file::decode(&bytes).ok_or_else(|| Failure::could_not(format!("{} is not a text file", file.display())))
}

fn text(kit: &Kit) -> Zeroizing<String> {
    let code = kit.code();
    Zeroizing::new(format!(
        "\nKEYHAVEN EMERGENCY KIT\n\n  \
         Account      {}\n  \
         Service      {}\n  \
         Fingerprint  {}\n  \
         Code         {}\n\n\
         This code stands in for a forgotten password. Whoever has it and your second\n\
         factor can read your recovery keys: keep it on paper, at home, apart from your\n\
         computer and your phone. No one can make a new one for you.\n\n",
        kit.email,
        kit.server,
        kit.fingerprint,
        code.expose(),
    ))
}
