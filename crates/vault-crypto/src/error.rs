//! Why something could not be opened or made.

use vault_protocol::verify::VerifyError;

/// What went wrong. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ciphertext was made with another key, for something else, or was changed.
    #[error("{what} cannot be opened: another key, or it was changed")]
    Open {
        /// What was to be opened.
        what: &'static str,
    },
    /// No recipient of the record is this key.
    #[error("the record is not sealed to this account's key")]
    NotARecipient,
    /// A field has another length or form than the format says.
    #[error("{what} is malformed")]
    Malformed {
        /// What it is.
        what: &'static str,
    },
    /// The suite is not the one of this version.
    #[error("the record uses an unknown suite")]
    Suite,
    /// A record of a kind that a later version knows.
    #[error("this kind of record is not known to this version")]
    UnknownKind,
    /// A signature or what it covers does not fit.
    #[error("verification failed: {0}")]
    Verify(#[from] VerifyError),
    /// The service asks for a password stretching that is not accepted.
    #[error("the service asks for password stretching profile {0}, which is not accepted")]
    KdfRefused(u32),
    /// The password protocol failed: wrong password, or the service did not prove that it knows the account.
    #[error("the password did not match")]
    Password,
    /// The printed code is mistyped.
    #[error("the emergency kit's code is mistyped: its check characters do not fit")]
    KitCode,
    /// A recovery password inside a payload does not pass its check digits.
    #[error(transparent)]
    RecoveryPassword(#[from] secret::RecoveryPasswordError),
}
