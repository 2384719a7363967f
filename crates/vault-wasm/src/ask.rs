//! Questions that a flow has while it runs.

use std::sync::Arc;

use data_encoding::BASE64;
use secret::{SecretBytes, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use vault_client::{
    AnyFactor, Authenticator, AuthenticatorError, Error, Kit, NewBackupCodes, NewTotp, PrfOutput, SignInFactor,
};
use vault_protocol::messages::{PasskeyAssertion, PasskeyCreation, PasskeyCredential, PasskeyRequest};

use crate::failure;
use crate::host::{Host, ask};

/// The page, for one call.
pub(crate) struct Asks<H>(pub(crate) Arc<H>);

impl<H> Clone for Asks<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A factor that was chosen.
#[derive(Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
enum Given {
    Code { code: String },
    Passkey,
}

impl<H: Host> Asks<H> {
    fn ask<T: serde::de::DeserializeOwned>(&self, question: &str, about: &Value) -> Option<T> {
        serde_json::from_str(&ask(&*self.0, question, about)).ok().flatten()
    }

    /// The code of a mail.
    pub(crate) fn mailed_code(&self) -> Option<String> {
        self.ask("mailedCode", &Value::Null)
    }

    /// Shows a kit: whether it was kept. The person types the end of its code, and the page asks back with it.
    pub(crate) fn keep_kit(&self, kit: &Kit) -> bool {
        let code = kit.code();
        let about = json!({
            "email": kit.email, "server": kit.server, "fingerprint": kit.fingerprint, "code": code.expose(),
        });
        self.ask("keepKit", &about).unwrap_or(false)
    }

    pub(crate) fn keep_codes(&self, codes: &NewBackupCodes) -> bool {
        let codes: Vec<&str> = codes.codes.iter().map(SecretString::expose).collect();
        self.ask("keep", &json!(codes)).unwrap_or(false)
    }

    pub(crate) fn totp_codes(&self, totp: &NewTotp, wrong: Option<&Error>) -> Option<[String; 2]> {
        let totp = json!({ "uri": totp.uri.expose(), "secret": totp.secret.expose() });
        self.ask("codes", &json!([totp, wrong.map(failure::document)]))
    }

    /// A second factor in the middle of a sign-in.
    pub(crate) fn factor<'a>(
        &self,
        kinds: &[String],
        authenticator: &'a dyn Authenticator,
    ) -> Result<AnyFactor<'a>, Error> {
        match self.ask("factor", &json!(kinds)).ok_or(Error::Cancelled)? {
            Given::Code { code } => Ok(AnyFactor::Code(SignInFactor::of(SecretString::new(code)))),
            Given::Passkey => Ok(AnyFactor::Passkey(authenticator)),
        }
    }

    /// A code in the middle of a recovery, with what was wrong with the one before.
    pub(crate) fn factor_again(&self, wrong: Option<&Error>) -> Option<SignInFactor> {
        let code: String = self.ask("factor", &json!(wrong.map(failure::document)))?;
        Some(SignInFactor::of(SecretString::new(code)))
    }

    /// Whether the keys with this fingerprint are the account's.
    pub(crate) fn new_keys(&self, fingerprint: &str) -> bool {
        self.ask("newKeys", &json!(fingerprint)).unwrap_or(false)
    }

    pub(crate) fn password(&self, email: &str) -> Option<SecretString> {
        self.ask("password", &json!(email)).map(SecretString::new)
    }
}

/// What `navigator.credentials` gave, or why not.
#[derive(Deserialize)]
struct Ceremony<T> {
    #[serde(default = "Option::default")]
    credential: Option<T>,
    /// Output of the `prf` extension, base64.
    prf: Option<String>,
    error: Option<String>,
}

impl<H: Host> Asks<H> {
    fn ceremony<T: serde::de::DeserializeOwned>(
        &self,
        question: &str,
        options: &Value,
        prf_input: &[u8; 32],
    ) -> Result<(T, Option<PrfOutput>), AuthenticatorError> {
        let about = json!({ "options": options, "prf": BASE64.encode(prf_input) });
        let text = ask(&*self.0, question, &about);
        let answer: Option<Ceremony<T>> = serde_json::from_str(&text)
            .map_err(|_| AuthenticatorError::Other("an answer of another form".to_owned()))?;
        let answer = answer.ok_or(AuthenticatorError::NotConfirmed)?;
        let Some(credential) = answer.credential else {
            return Err(match answer.error.as_deref() {
                Some("has-one") => AuthenticatorError::HasOne,
                Some("has-none") => AuthenticatorError::HasNone,
                None | Some("not-confirmed") => AuthenticatorError::NotConfirmed,
                Some(other) => AuthenticatorError::Other(other.to_owned()),
            });
        };
        let prf = answer.prf.and_then(|text| {
            let bytes = zeroize::Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
            SecretBytes::from_slice(&bytes).map(PrfOutput::new)
        });
        Ok((credential, prf))
    }
}

impl<H: Host> Authenticator for Asks<H> {
    fn create(
        &self,
        options: &PasskeyCreation,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyCredential, Option<PrfOutput>), AuthenticatorError> {
        self.ceremony("createPasskey", &json!(options), prf_input)
    }

    fn get(
        &self,
        options: &PasskeyRequest,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyAssertion, Option<PrfOutput>), AuthenticatorError> {
        self.ceremony("getPasskey", &json!(options), prf_input)
    }
}
