//! Exports of recovery keys: text, JSON, LDIF, tables.

use key_import::{Format, Key, Options, read};
use secret::RecoveryPassword;

use crate::structures::told;

/// Read as what it looks like, and as every other format.
pub fn key_import(data: &[u8]) {
    for format in Format::ALL.into_iter().map(Some).chain([None]) {
        let options = Options { format, ..Options::default() };
        let import = match read(data, &options) {
            Ok(import) => import,
            Err(error) => {
                told(&error);
                continue;
            }
        };
        for row in &import.rows {
            match &row.key {
                Ok(Key::RecoveryPassword(password)) => {
                    assert!(RecoveryPassword::parse(password.to_text().expose()).is_ok());
                }
                Ok(Key::ExternalKey(_)) => {}
                Err(refusal) => told(refusal),
            }
            for title in [&row.computer, &row.drive, &row.label, &row.method].into_iter().chain(&row.created) {
                assert!(RecoveryPassword::parse(title).is_err(), "a title is no key");
                assert!(title.chars().count() <= 200 && !title.contains(['\n', '\r']), "a title is one line");
            }
            if let Some(key_id) = &row.key_id {
                assert!(matches!(key_id.text().len(), 8 | 36), "an identifier is whole, or its start");
            }
        }
    }
}
