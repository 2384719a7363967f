//! A secret inside the sealed state of a ceremony: text only while it is being sealed or opened, wiped afterwards.

use data_encoding::BASE64URL_NOPAD;
use secret::SecretVec;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret as base64url in JSON.
pub(crate) struct SecretField(pub(crate) SecretVec);

impl Serialize for SecretField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(self.0.expose()));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64url"))?;
        Ok(Self(SecretVec::new(bytes)))
    }
}
