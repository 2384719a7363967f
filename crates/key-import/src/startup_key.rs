//! `.BEK` files.

use fve_format::ExternalKeyFile;
use secret::SecretBytes;

use crate::Error;
use crate::row::{Key, KeyId, Place, Refusal, Row};

pub(crate) fn is_one(bytes: &[u8]) -> bool {
    ExternalKeyFile::parse(bytes).is_ok()
}

pub(crate) fn read(bytes: &[u8]) -> Result<Row, Error> {
    let file = ExternalKeyFile::parse(bytes).map_err(Error::StartupKey)?;
    let key = file.key().map(|key| Key::ExternalKey(SecretBytes::from_fn(|out| out.copy_from_slice(&*key))));
    let mut row = Row::new(Place::Whole, key.ok_or(Refusal::NoKey));
    row.key_id = Some(KeyId::from(file.identifier));
    row.created = Some(file.modified.to_string());
    Ok(row)
}
