//! The password protocol on the client's side (OPAQUE, RFC 9807): the password never leaves this process, not even hashed.

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, RegistrationResponse,
};
use rand_opaque::OsRng;
use secret::{SecretString, SecretVec};
use vault_protocol::messages::LoginPasswordProven;
use vault_protocol::opaque::{KdfProfile, Suite, identifiers, kdf_profile};
use vault_protocol::{AccountId, Bytes};

use crate::Error;

/// The stretching of a profile that this client accepts.
///
/// # Errors
/// [`Error::KdfRefused`] for any other number: the service cannot talk a client into weaker stretching.
pub(crate) fn stretching(number: u32) -> Result<Argon2<'static>, Error> {
    let profile = kdf_profile(number).ok_or(Error::KdfRefused(number))?;
    argon2_of(profile).ok_or(Error::KdfRefused(number))
}

fn argon2_of(profile: KdfProfile) -> Option<Argon2<'static>> {
    let KdfProfile { memory_kib, passes, lanes, .. } = profile;
    #[cfg(feature = "danger-fast-kdf")]
    let (memory_kib, passes, lanes) = (memory_kib.min(64), passes.min(1), lanes.min(1));
    let params = Params::new(memory_kib, passes, lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Setting a password, between the two calls.
pub struct Registration {
    state: ClientRegistration<Suite>,
    password: SecretString,
}

/// A password that was set: what the service keeps, and the key only the password gives.
pub struct Registered {
    /// OPAQUE registration upload.
    pub record: Bytes,
    /// Key material of the password slot, 64 bytes.
    pub export_key: SecretVec,
}

impl Registration {
    /// Begins; gives the registration request.
    ///
    /// # Errors
    /// [`Error::Password`] when the password cannot be used at all.
    pub fn start(password: SecretString) -> Result<(Self, Bytes), Error> {
        let started = ClientRegistration::<Suite>::start(&mut OsRng, password.expose().as_bytes())
            .map_err(|_| Error::Password)?;
        let request = Bytes(started.message.serialize().to_vec());
        Ok((Self { state: started.state, password }, request))
    }

    /// Ends with the service's response.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::KdfRefused`].
    pub fn finish(self, response: &[u8], account: &AccountId, origin: &str, profile: u32) -> Result<Registered, Error> {
        let malformed = |_| Error::Malformed { what: "the registration response" };
        let response = RegistrationResponse::<Suite>::deserialize(response).map_err(malformed)?;
        let stretching = stretching(profile)?;
        let parameters = ClientRegistrationFinishParameters::new(identifiers(account, origin), Some(&stretching));
        let finished = self
            .state
            .finish(&mut OsRng, self.password.expose().as_bytes(), response, parameters)
            .map_err(malformed)?;
        Ok(Registered {
            record: Bytes(finished.message.serialize().to_vec()),
            export_key: SecretVec::new(finished.export_key.to_vec()),
        })
    }
}

/// Proving a password, between the two calls.
pub struct Proof {
    state: ClientLogin<Suite>,
    password: SecretString,
}

/// A password that was right on both sides.
pub struct Proven {
    /// OPAQUE credential finalization.
    pub finalization: Bytes,
    /// Key material of the password slot, 64 bytes.
    pub export_key: SecretVec,
    session_key: SecretVec,
}

impl Proof {
    /// Begins; gives the credential request.
    ///
    /// # Errors
    /// [`Error::Password`] when the password cannot be used at all.
    pub fn start(password: SecretString) -> Result<(Self, Bytes), Error> {
        let started =
            ClientLogin::<Suite>::start(&mut OsRng, password.expose().as_bytes()).map_err(|_| Error::Password)?;
        let request = Bytes(started.message.serialize().to_vec());
        Ok((Self { state: started.state, password }, request))
    }

    /// Ends with the service's response.
    ///
    /// # Errors
    /// [`Error::Password`] when the password is wrong or the service does not know the account's record;
    /// [`Error::KdfRefused`]; [`Error::Malformed`].
    pub fn finish(self, response: &[u8], account: &AccountId, origin: &str, profile: u32) -> Result<Proven, Error> {
        let response = CredentialResponse::<Suite>::deserialize(response)
            .map_err(|_| Error::Malformed { what: "the credential response" })?;
        let stretching = stretching(profile)?;
        let parameters = ClientLoginFinishParameters::new(None, identifiers(account, origin), Some(&stretching));
        let finished = self
            .state
            .finish(&mut OsRng, self.password.expose().as_bytes(), response, parameters)
            .map_err(|_| Error::Password)?;
        Ok(Proven {
            finalization: Bytes(finished.message.serialize().to_vec()),
            export_key: SecretVec::new(finished.export_key.to_vec()),
            session_key: SecretVec::new(finished.session_key.to_vec()),
        })
    }
}

impl Proven {
    /// Binds the second factor to this run: HMAC-SHA-512 under the session key over the login identifier and the
    /// challenge.
    #[must_use]
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn binding(&self, login: &LoginPasswordProven) -> Bytes {
        let mut mac = Hmac::<sha2::Sha512>::new_from_slice(self.session_key.expose()).expect("any length will do");
        mac.update(login.login_id.as_bytes());
        mac.update(&login.challenge.0);
        Bytes(mac.finalize().into_bytes().to_vec())
    }
}
