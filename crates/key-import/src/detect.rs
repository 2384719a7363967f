//! Which export a text is, by its content.

use crate::csv::{Columns, DELIMITERS, is_header};
use crate::json;
use crate::pattern::{guids, passwords};

/// Lines that are looked at.
const LINES: usize = 400;

/// A kind of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text file that Windows saves.
    RecoveryFile,
    /// What `manage-bde` and other tools print.
    ManageBde,
    /// A page that lists keys, pasted.
    AccountPage,
    /// `Get-BitLockerVolume | ConvertTo-Json`.
    VolumeJson,
    /// Microsoft Graph.
    GraphJson,
    /// Directory entries.
    Ldif,
    /// A table.
    Csv,
    /// A `.BEK` file.
    StartupKey,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RecoveryFile,
        Self::ManageBde,
        Self::AccountPage,
        Self::VolumeJson,
        Self::GraphJson,
        Self::Ldif,
        Self::Csv,
        Self::StartupKey,
    ];

    /// The name under which it is asked for and noted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecoveryFile => "recovery-file",
            Self::ManageBde => "manage-bde",
            Self::AccountPage => "account-page",
            Self::VolumeJson => "volume-json",
            Self::GraphJson => "graph-json",
            Self::Ldif => "ldif",
            Self::Csv => "csv",
            Self::StartupKey => "startup-key",
        }
    }

    /// By that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

pub(crate) fn detect(text: &str, columns: &Columns) -> Format {
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    if text.starts_with(['{', '[']) && looks_like_json(text) {
        return if json::is_of_volumes(text) { Format::VolumeJson } else { Format::GraphJson };
    }
    let lines: Vec<&str> = text.lines().take(LINES).collect();
    let begins = |line: &&str, word: &str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if lines.iter().any(|line| begins(line, "dn:") || begins(line, "msFVE-RecoveryPassword:")) {
        return Format::Ldif;
    }
    if !columns.is_empty() || is_table(&lines) {
        return Format::Csv;
    }
    if !lines.iter().any(|line| !guids(line).is_empty()) {
        return Format::AccountPage;
    }
    let keys: usize = lines.iter().map(|line| passwords(line).len()).sum();
    let of_tool = lines.iter().any(|line| line.contains(": [") || guids(line).iter().any(|(at, _)| braced(line, *at)));
    if keys > 1 || of_tool { Format::ManageBde } else { Format::RecoveryFile }
}

/// `{` in front of an identifier.
fn braced(line: &str, at: usize) -> bool {
    line.get(..at).is_some_and(|before| before.ends_with('{'))
}

/// An identifier in braces begins like JSON, too.
fn looks_like_json(text: &str) -> bool {
    let inner = text.get(1..).unwrap_or_default().trim_start();
    inner.starts_with(['"', '{', '[', '}', ']'])
}

/// A known header, or an identifier and a key in one line with a delimiter between them.
fn is_table(lines: &[&str]) -> bool {
    let Some(first) = lines.iter().find(|line| !line.trim().is_empty() && !line.starts_with("#TYPE")) else {
        return false;
    };
    if first.starts_with("sep=") || DELIMITERS.iter().any(|delimiter| is_header(first, *delimiter)) {
        return true;
    }
    let commas = first.contains([',', ';', '|']);
    commas && !passwords(first).is_empty() && !guids(first).is_empty()
}
