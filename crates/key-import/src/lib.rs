//! Exports of recovery keys, read: bytes in, one row per key out, each with the key or the reason why there is none.
//!
//! | format | where it comes from |
//! |---|---|
//! | [`Format::RecoveryFile`] | the text file that Windows saves, in any language |
//! | [`Format::ManageBde`] | output of `manage-bde` or of `Get-BitLockerVolume` as text, in any language |
//! | [`Format::AccountPage`] | pasted text of a page that lists keys |
//! | [`Format::VolumeJson`] | `Get-BitLockerVolume \| ConvertTo-Json` |
//! | [`Format::GraphJson`] | `bitlockerRecoveryKeys` of Microsoft Graph |
//! | [`Format::Ldif`] | directory entries with `msFVE-*` attributes |
//! | [`Format::Csv`] | a table with a header, or without |
//! | [`Format::StartupKey`] | a `.BEK` file |
//!
//! Text is read by pattern, not by its words: an identifier, and 48 digits that belong to it. No error and no title holds a
//! digit of a key; what held one is wiped.
//!
//! What is not done here: files, accounts, judging which keys are known already.

mod csv;
mod detect;
mod encoding;
mod json;
mod ldif;
mod pattern;
mod row;
mod startup_key;
mod text;

use zeroize::Zeroizing;

pub use csv::{Column, Columns};
pub use detect::Format;
pub use row::{Key, KeyId, Place, Refusal, Row, VolumeType};

/// Longest input.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most rows.
pub const MAX_ROWS: usize = 20_000;

/// How an input is to be read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its format; recognised by content when `None`.
    pub format: Option<Format>,
    /// Which columns of a table hold what.
    pub columns: Columns,
    /// Name of the file. Windows puts the identifier into it; a key without any near it takes that one.
    pub file_name: Option<String>,
}

/// What was read.
pub struct Import {
    /// How it was read.
    pub format: Format,
    /// One per key, in the order of the input.
    pub rows: Vec<Row>,
}

/// Why an input cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Larger than any export.
    #[error("an input of {found} bytes is too large; {MAX_BYTES} are the most")]
    TooLarge {
        /// Its length.
        found: usize,
    },
    /// More keys than one import takes.
    #[error("the input has more than {MAX_ROWS} rows")]
    TooManyRows,
    /// Not JSON, or nested too deep.
    #[error("this is not JSON: line {line}, column {column}")]
    Json {
        /// Line of the first thing wrong, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Not a `.BEK` file.
    #[error("this is not a startup key file")]
    StartupKey(#[source] fve_format::Error),
    /// The header has no column of this name.
    #[error("the header has no column named {name}")]
    NoColumn {
        /// As it was asked for.
        name: String,
    },
    /// A row of a table is longer than a row can be.
    #[error("the table ends inside a row, or a row has more than {fields} fields")]
    Table {
        /// Most fields of a row.
        fields: usize,
    },
}

/// Reads an export. No rows means that it holds nothing that looks like a key.
///
/// # Errors
/// [`Error`] when it cannot be read at all; what is wrong with a single key is told in its row.
pub fn read(bytes: &[u8], options: &Options) -> Result<Import, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { found: bytes.len() });
    }
    if options.format == Some(Format::StartupKey) || (options.format.is_none() && startup_key::is_one(bytes)) {
        return Ok(Import { format: Format::StartupKey, rows: vec![startup_key::read(bytes)?] });
    }
    let text: Zeroizing<String> = encoding::decode(bytes);
    let format = options.format.unwrap_or_else(|| detect::detect(&text, &options.columns));
    let mut rows = match format {
        Format::VolumeJson | Format::GraphJson => json::read(&text)?,
        Format::Ldif => ldif::read(&text)?,
        Format::Csv => csv::read(&text, &options.columns)?,
        Format::RecoveryFile | Format::ManageBde | Format::AccountPage | Format::StartupKey => {
            text::read(&text, format == Format::AccountPage)?
        }
    };
    name_the_only_one(&mut rows, options);
    Ok(Import { format, rows })
}

/// The identifier in the file's name is that of the only key in it.
fn name_the_only_one(rows: &mut [Row], options: &Options) {
    let [row] = rows else { return };
    if row.key_id.is_some() {
        return;
    }
    let name = options.file_name.as_deref().unwrap_or_default();
    row.key_id = pattern::guids(name).first().map(|(_, guid)| KeyId::from(*guid));
}
