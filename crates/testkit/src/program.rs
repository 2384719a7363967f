//! The program under test, and what it writes.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use secret::RecoveryPassword;

/// A command without terminal input and without any of the variables that the program reads.
#[must_use]
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEYHAVEN_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The recovery password in a file: the text that Windows saves, or any other with a line of the digits alone.
#[must_use]
pub fn recovery_password_in(file: &[u8]) -> Option<RecoveryPassword> {
    let text = match file.strip_prefix(&[0xFF, 0xFE]) {
        Some(wide) => {
            let units: Vec<u16> = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        None => String::from_utf8_lossy(file).into_owned(),
    };
    text.lines().find_map(|line| RecoveryPassword::parse(line.trim()).ok())
}
