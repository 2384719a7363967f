//! Passkeys (WebAuthn Level 3). Options have the member names that browsers read
//! (`PublicKeyCredential.parseCreationOptionsFromJSON`); what an authenticator answers is sent as an allow-list of members, because
//! a browser's own `toJSON()` of a credential holds key material of the `prf` extension.

use serde::{Deserialize, Serialize};

use super::{LoggedIn, ServerIdentity, SlotUpload};
use crate::{AccountId, Bytes, CeremonyId, FactorId, FixedBytes};

/// Kind of a factor that is a passkey, and of the slot it opens.
pub const PASSKEY: &str = "passkey";

/// The one word that WebAuthn has for this kind of credential.
pub const PUBLIC_KEY: &str = "public-key";

/// What every ceremony here asks of authenticator and browser: user verification, and a credential the authenticator finds by itself.
pub const REQUIRED: &str = "required";

/// The only input that the `prf` extension is ever evaluated on for a service: one for all accounts, so that a sign-in can ask for
/// it before it knows whose passkey it will be. What differs from slot to slot is the salt of the derivation that follows.
#[must_use]
pub fn prf_input(origin: &str) -> [u8; 32] {
    crate::sha256(&[b"vault/1/prf", origin.as_bytes()])
}

/// The name of a service for authenticators: the host of its origin. `None` where WebAuthn does not work: an address of numbers, or
/// a connection without protection to anything but this computer.
#[must_use]
pub fn rp_id(origin: &str) -> Option<&str> {
    let (scheme, rest) = origin.split_once("://")?;
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "0"));
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    let domain = !host.is_empty()
        && host.chars().all(letter)
        && !host.starts_with('.')
        && !host.ends_with('.')
        // The last label of an IPv4 address begins with a digit, that of a domain never does.
        && host.rsplit('.').next().is_some_and(|label| label.starts_with(|letter: char| letter.is_ascii_alphabetic()));
    let local = host == "localhost" || host.ends_with(".localhost");
    let protected = scheme == "https" || (scheme == "http" && local);
    (domain && protected && port.parse::<u16>().is_ok()).then_some(host)
}

/// The service, as an authenticator shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelyingParty {
    /// [`rp_id`] of the origin.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

/// The account, as an authenticator keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyUser {
    /// The 16 bytes of the account's identifier.
    pub id: Bytes,
    /// Mail address.
    pub name: String,
    /// The same.
    #[serde(rename = "displayName")]
    pub display_name: String,
}

/// A signature algorithm that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyAlgorithm {
    /// [`PUBLIC_KEY`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Number in the COSE registry.
    pub alg: i64,
}

/// A credential that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyDescriptor {
    /// [`PUBLIC_KEY`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Its identifier.
    pub id: Bytes,
}

/// What an authenticator has to be for a new passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeySelection {
    /// [`REQUIRED`].
    #[serde(rename = "residentKey")]
    pub resident_key: String,
    /// The same for browsers of an earlier level.
    #[serde(rename = "requireResidentKey")]
    pub require_resident_key: bool,
    /// [`REQUIRED`].
    #[serde(rename = "userVerification")]
    pub user_verification: String,
}

/// Options of `navigator.credentials.create`. The `prf` extension is the client's to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyCreation {
    /// The service.
    pub rp: RelyingParty,
    /// The account.
    pub user: PasskeyUser,
    /// Random; good once.
    pub challenge: Bytes,
    /// Accepted algorithms, preferred first.
    #[serde(rename = "pubKeyCredParams")]
    pub algorithms: Vec<PasskeyAlgorithm>,
    /// How long the person may take.
    #[serde(rename = "timeout")]
    pub timeout_ms: u32,
    /// Passkeys the account has: an authenticator that holds one of them makes no second.
    #[serde(rename = "excludeCredentials")]
    pub exclude: Vec<PasskeyDescriptor>,
    /// What the authenticator has to be.
    #[serde(rename = "authenticatorSelection")]
    pub selection: PasskeySelection,
    /// `none`.
    pub attestation: String,
}

/// Options of `navigator.credentials.get`. The `prf` extension is the client's to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyRequest {
    /// Random; good once.
    pub challenge: Bytes,
    /// How long the person may take.
    #[serde(rename = "timeout")]
    pub timeout_ms: u32,
    /// [`rp_id`] of the origin.
    #[serde(rename = "rpId")]
    pub rp_id: String,
    /// Which passkeys will do; empty where the authenticator finds them by itself.
    #[serde(rename = "allowCredentials")]
    pub allow: Vec<PasskeyDescriptor>,
    /// [`REQUIRED`].
    #[serde(rename = "userVerification")]
    pub user_verification: String,
}

/// A new passkey, as an authenticator answers: these members and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyCredential {
    /// Its identifier.
    pub id: Bytes,
    /// What the browser saw.
    pub client_data_json: Bytes,
    /// The public key and where it comes from.
    pub attestation_object: Bytes,
}

/// A proof by a passkey, as an authenticator answers: these members and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyAssertion {
    /// Which passkey.
    pub id: Bytes,
    /// What the browser saw.
    pub client_data_json: Bytes,
    /// What the authenticator says about itself.
    pub authenticator_data: Bytes,
    /// Over both.
    pub signature: Bytes,
    /// Whose passkey, where the authenticator tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Bytes>,
}

/// `POST /v1/factors/passkey/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyStartRequest {
    /// What the owner calls it.
    pub label: String,
    /// Step-up grant (purpose `factors`, target `passkey`); not for the first factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Bytes>,
}

/// Answer of `POST /v1/factors/passkey/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyStarted {
    /// Names the enrolment.
    pub ceremony_id: CeremonyId,
    /// For the authenticator.
    pub options: PasskeyCreation,
}

/// `POST /v1/factors/passkey/finish`. Answered with [`FactorsChanged`](super::FactorsChanged).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyFinishRequest {
    /// From the start.
    pub ceremony_id: CeremonyId,
    /// What the authenticator made.
    pub credential: PasskeyCredential,
}

/// `POST /v1/factors/{id}/slot`: from now on this passkey opens the vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeySlotRequest {
    /// Step-up grant (purpose `passkey-slot`, target: the factor's identifier).
    pub grant: Bytes,
    /// The slot; its `credential_id` names the passkey.
    pub slot: SlotUpload,
}

/// `POST /v1/login/passkey/start`: nothing is asked, so nothing is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyLoginStartRequest {}

/// Answer of `POST /v1/login/passkey/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyLoginStarted {
    /// Names the sign-in.
    pub login_id: CeremonyId,
    /// For the authenticator.
    pub options: PasskeyRequest,
    /// The service.
    pub server: ServerIdentity,
}

/// `POST /v1/login/passkey/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyLoginFinishRequest {
    /// From the start.
    pub login_id: CeremonyId,
    /// What the authenticator answered.
    pub assertion: PasskeyAssertion,
}

/// Answer of `POST /v1/login/passkey/finish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyLoggedIn {
    /// Whose passkey it was.
    pub account_id: AccountId,
    /// Mail address of that account.
    pub email: String,
    /// As after every sign-in.
    pub login: LoggedIn,
}

/// Which passkey a factor is, in [`FactorList`](super::FactorList).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasskeyView {
    /// Which factor.
    pub factor_id: FactorId,
    /// Its credential.
    pub credential_id: Bytes,
    /// Whether it opens the vault.
    pub opens_vault: bool,
}

/// The challenge of a proof that stays on this computer: evaluating `prf` once more needs a ceremony, and no service.
#[must_use]
pub fn local_request(rp_id: &str, challenge: FixedBytes<32>, credential: &Bytes) -> PasskeyRequest {
    PasskeyRequest {
        challenge: Bytes(challenge.0.to_vec()),
        timeout_ms: 300_000,
        rp_id: rp_id.to_owned(),
        allow: vec![PasskeyDescriptor { kind: PUBLIC_KEY.to_owned(), id: credential.clone() }],
        user_verification: REQUIRED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_with_a_domain_and_protection_have_passkeys() {
        for (origin, id) in [
            ("https://keys.example.org", "keys.example.org"),
            ("https://keys.example.org:8443", "keys.example.org"),
            ("http://localhost:8080", "localhost"),
            ("http://keys.localhost", "keys.localhost"),
            ("https://intranet", "intranet"),
        ] {
            assert_eq!(rp_id(origin), Some(id), "{origin}");
        }
        for origin in [
            "http://127.0.0.1:8080",
            "https://192.0.2.7",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "http://keys.example.org",
            "http://localhost.example.org",
            "https://keys.example.org.",
            "https://",
            "https://a:b",
            "ftp://localhost",
            "localhost",
        ] {
            assert_eq!(rp_id(origin), None, "{origin}");
        }
    }

    #[test]
    fn each_origin_has_an_input_of_its_own() {
        assert_ne!(prf_input("https://keys.example.org"), prf_input("https://keys.example.com"));
    }
}
