//! Identifiers: UUIDs, made by whoever makes the object.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of the form 01234567-89ab-cdef-0123-456789abcdef")]
pub struct ParseIdError;

macro_rules! identifiers {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "uuid"))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier: time-ordered, otherwise random (UUID version 7).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// From its 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError)
            }
        }
    )+};
}

identifiers! {
    /// An account.
    AccountId;
    /// An enrolled device.
    DeviceId;
    /// A saved record.
    RecordId;
    /// A slot that opens an account's roots.
    SlotId;
    /// A second factor.
    FactorId;
    /// A ceremony between two calls: sign-up, sign-in, step-up, enrolling a factor.
    CeremonyId;
    /// A safety delay that runs, or ran.
    WaitId;
    /// A rotation order.
    OrderId;
    /// Who signed a record: a device, or the account itself.
    AuthorId;
}

impl From<DeviceId> for AuthorId {
    fn from(device: DeviceId) -> Self {
        Self(device.0)
    }
}

impl From<AccountId> for AuthorId {
    fn from(account: AccountId) -> Self {
        Self(account.0)
    }
}

impl From<AuthorId> for DeviceId {
    fn from(author: AuthorId) -> Self {
        Self(author.0)
    }
}
