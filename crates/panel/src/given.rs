//! Secrets that a request brings, and what they open.

use std::sync::Arc;

use data_encoding::BASE64;
use drive_ops::failure::{Failure, Kind};
use drive_ops::recovery_file;
use fve::{ClearKey, ExternalKey, ExternalKeyFile, KeyMaterial, Password};
use secret::{RecoveryPassword, SecretString};
use zeroize::Zeroizing;

use crate::failure::{Answer, Code};
use crate::types::{Secret, SecretText};

/// Windows takes no shorter ones.
const PASSWORD_CHARS: usize = 8;

/// What opens a drive: wiped when the last one who has it lets go.
pub(crate) struct Given {
    material: Box<dyn KeyMaterial + Send + Sync>,
    recovery_password: Option<RecoveryPassword>,
}

impl Given {
    pub(crate) fn recovery(password: &RecoveryPassword) -> Arc<Self> {
        Arc::new(Self { material: Box::new(password.clone()), recovery_password: Some(password.clone()) })
    }

    pub(crate) fn clear() -> Arc<Self> {
        Arc::new(Self { material: Box::new(ClearKey), recovery_password: None })
    }

    /// What a request brought.
    pub(crate) fn read(secret: &Secret) -> Answer<Arc<Self>> {
        Ok(match secret {
            Secret::RecoveryKey { digits } => Self::recovery(&digits_of(&digits.0)?),
            Secret::Password { password } => {
                Arc::new(Self { material: Box::new(Password(copy(&password.0))), recovery_password: None })
            }
            Secret::KeyFile { file } => from_file(file)?,
            Secret::None => Self::clear(),
        })
    }

    pub(crate) fn material(&self) -> &dyn KeyMaterial {
        self.material.as_ref()
    }

    pub(crate) fn recovery_password(&self) -> Option<&RecoveryPassword> {
        self.recovery_password.as_ref()
    }
}

fn copy(text: &SecretString) -> SecretString {
    SecretString::from(text.expose())
}

/// A password that a drive shall get.
pub(crate) fn new_password(text: &SecretText) -> Answer<SecretString> {
    if text.0.expose().encode_utf16().count() < PASSWORD_CHARS {
        return Err(Code::ShortPassword.into());
    }
    Ok(copy(&text.0))
}

fn digits_of(text: &SecretString) -> Answer<RecoveryPassword> {
    recovery_file::find_password(text).map_err(|error| {
        Failure::no("this is not a complete recovery key").kind(Kind::BadDigits).because(&error).into()
    })
}

/// A file that a person chose: a `.BEK` file, or a text with a recovery key.
fn from_file(file: &SecretText) -> Answer<Arc<Given>> {
    let bytes = Zeroizing::new(BASE64.decode(file.0.expose().as_bytes()).map_err(|_| Code::Invalid)?);
    if let Some(key) = ExternalKeyFile::parse(&bytes).ok().as_ref().and_then(ExternalKey::from_file) {
        return Ok(Arc::new(Given { material: Box::new(key), recovery_password: None }));
    }
    match recovery_file::find_password(&recovery_file::decode_for_digits(&bytes)) {
        Ok(password) => Ok(Given::recovery(&password)),
        Err(error) => Err(Failure::no("this file holds neither a startup key nor a recovery key")
            .kind(Kind::BadKeyFile)
            .because(&error)
            .into()),
    }
}
