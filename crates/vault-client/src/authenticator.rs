//! The joint to what keeps passkeys: a browser, or an authenticator of a test.

use secret::SecretBytes;
use vault_protocol::messages::{PasskeyAssertion, PasskeyCreation, PasskeyCredential, PasskeyRequest};

/// What the `prf` extension of a passkey gives for one input: key material that never leaves this process. It has no form in any
/// message; what is sent of a passkey is [`PasskeyCredential`] and [`PasskeyAssertion`].
pub struct PrfOutput(pub(crate) SecretBytes<32>);

impl PrfOutput {
    /// The 32 bytes that the extension gave.
    #[must_use]
    pub fn new(output: SecretBytes<32>) -> Self {
        Self(output)
    }
}

impl PartialEq for PrfOutput {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// The authenticator did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticatorError {
    /// The person declined, or did not answer in time.
    #[error("the passkey was not confirmed")]
    NotConfirmed,
    /// It holds a passkey of this account already.
    #[error("this authenticator holds a passkey of the account already")]
    HasOne,
    /// It holds none of the passkeys that would do.
    #[error("this authenticator holds no passkey that would do")]
    HasNone,
    /// Something else, in its own words.
    #[error("the authenticator failed: {0}")]
    Other(String),
}

/// Makes passkeys and proves them: `navigator.credentials` of a browser.
///
/// Both calls evaluate the `prf` extension on `prf_input` where the authenticator can, and hand its output back apart from what will
/// be sent. `None` where it cannot; a new passkey may be able to, and yet have no output when it is made.
pub trait Authenticator {
    /// Makes a passkey.
    ///
    /// # Errors
    /// [`AuthenticatorError`].
    fn create(
        &self,
        options: &PasskeyCreation,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyCredential, Option<PrfOutput>), AuthenticatorError>;

    /// Proves a passkey.
    ///
    /// # Errors
    /// [`AuthenticatorError`].
    fn get(
        &self,
        options: &PasskeyRequest,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyAssertion, Option<PrfOutput>), AuthenticatorError>;
}
