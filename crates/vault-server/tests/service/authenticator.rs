//! An authenticator and the browser before it, in software: P-256, discoverable passkeys, `prf` by the way of hmac-secret. It does
//! what is right unless a fault is set; each fault breaks one thing that the service, or the client, has to notice.

use std::sync::Mutex;

use ciborium::Value as Cbor;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use secret::{SecretBytes, random_bytes};
use serde_json::json;
use sha2::{Digest, Sha256};
use vault_client::{
    Authenticator, AuthenticatorError, Bytes, PasskeyAssertion, PasskeyCreation, PasskeyCredential, PasskeyRequest,
    PrfOutput,
};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// What is done wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) origin: Option<String>,
    pub(crate) rp_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) challenge: Option<Vec<u8>>,
    pub(crate) cross_origin: bool,
    pub(crate) top_origin: Option<String>,
    pub(crate) not_present: bool,
    pub(crate) not_verified: bool,
    pub(crate) backed_up: bool,
    pub(crate) bad_signature: bool,
    /// Signs with another key.
    pub(crate) other_key: bool,
    /// Says that it is another credential.
    pub(crate) id: Option<Vec<u8>>,
    /// The name beside is not the one inside.
    pub(crate) named: Option<Vec<u8>>,
    pub(crate) user_handle: Option<Option<Vec<u8>>>,
    pub(crate) counter: Option<u32>,
    pub(crate) algorithm: Option<i64>,
    pub(crate) format: Option<String>,
    pub(crate) no_prf: bool,
    /// Gives another output each time.
    pub(crate) fickle_prf: bool,
    /// Makes another passkey though it holds an excluded one.
    pub(crate) ignores_exclude: bool,
}

struct Kept {
    id: Vec<u8>,
    key: SigningKey,
    rp_id: String,
    user: Vec<u8>,
    counter: u32,
    hmac_secret: [u8; 32],
}

/// A browser with an authenticator. Clones of a passkey are made by copying the authenticator.
pub(crate) struct SoftAuthenticator {
    origin: String,
    kept: Mutex<Vec<Kept>>,
    faults: Mutex<Faults>,
    /// Whether it counts signatures; synchronised passkeys do not.
    counts: bool,
}

impl SoftAuthenticator {
    pub(crate) fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), kept: Mutex::default(), faults: Mutex::default(), counts: true }
    }

    pub(crate) fn without_counter(origin: &str) -> Self {
        Self { counts: false, ..Self::new(origin) }
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    pub(crate) fn ids(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().iter().map(|kept| kept.id.clone()).collect()
    }

    /// What `prf` gives: the browser hashes the input, the authenticator has a secret for each passkey.
    pub(crate) fn prf(&self, id: &[u8], input: &[u8]) -> [u8; 32] {
        let kept = self.kept.lock().unwrap();
        prf(&kept.iter().find(|kept| kept.id == id).unwrap().hmac_secret, input)
    }

    fn client_data(&self, kind: &str, challenge: &[u8]) -> Vec<u8> {
        let faults = self.faults.lock().unwrap();
        let challenge = faults.challenge.as_deref().unwrap_or(challenge);
        let mut data = json!({
            "type": faults.kind.as_deref().unwrap_or(kind),
            "challenge": BASE64URL_NOPAD.encode(challenge),
            "origin": faults.origin.as_deref().unwrap_or(&self.origin),
            "crossOrigin": faults.cross_origin,
        });
        if let Some(top) = &faults.top_origin {
            data["topOrigin"] = json!(top);
        }
        serde_json::to_vec(&data).unwrap()
    }

    fn authenticator_data(&self, rp_id: &str, counter: u32, more: u8) -> Vec<u8> {
        let faults = self.faults.lock().unwrap();
        let mut flags = more;
        flags |= if faults.not_present { 0 } else { USER_PRESENT };
        flags |= if faults.not_verified { 0 } else { USER_VERIFIED };
        flags |= if self.counts { 0 } else { BACKUP_ELIGIBLE | BACKED_UP };
        flags |= if faults.backed_up { BACKED_UP } else { 0 };
        let mut data = Sha256::digest(faults.rp_id.as_deref().unwrap_or(rp_id).as_bytes()).to_vec();
        data.push(flags);
        data.extend_from_slice(&faults.counter.unwrap_or(counter).to_be_bytes());
        data
    }

    fn evaluate(&self, kept: &Kept, input: &[u8]) -> Option<PrfOutput> {
        let faults = self.faults.lock().unwrap();
        let mut output = prf(&kept.hmac_secret, input);
        if faults.fickle_prf {
            random_bytes(&mut output);
        }
        (!faults.no_prf).then(|| PrfOutput::new(SecretBytes::from_fn(|out| out.copy_from_slice(&output))))
    }
}

fn prf(hmac_secret: &[u8; 32], input: &[u8]) -> [u8; 32] {
    let salt = Sha256::new().chain_update(b"WebAuthn PRF\0").chain_update(input).finalize();
    let mut mac = Hmac::<Sha256>::new_from_slice(hmac_secret).unwrap();
    mac.update(&salt);
    mac.finalize().into_bytes().into()
}

fn new_key() -> SigningKey {
    loop {
        let mut bytes = [0; 32];
        random_bytes(&mut bytes);
        if let Ok(key) = SigningKey::from_slice(&bytes) {
            return key;
        }
    }
}

fn map<const N: usize>(entries: [(Cbor, Cbor); N]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&Cbor::Map(entries.into()), &mut bytes).unwrap();
    bytes
}

/// The public key in COSE's form (RFC 9053, 7.1).
fn cose_key(key: &SigningKey, algorithm: i64) -> Vec<u8> {
    let point = key.verifying_key().to_sec1_point(false);
    let point = point.as_bytes();
    map([
        (1.into(), 2.into()),
        (3.into(), algorithm.into()),
        ((-1).into(), 1.into()),
        ((-2).into(), point[1..33].into()),
        ((-3).into(), point[33..65].into()),
    ])
}

impl Authenticator for SoftAuthenticator {
    fn create(
        &self,
        options: &PasskeyCreation,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyCredential, Option<PrfOutput>), AuthenticatorError> {
        let faults = self.faults.lock().unwrap().clone();
        let excluded = |id: &Vec<u8>| options.exclude.iter().any(|excluded| excluded.id.0 == *id);
        if !faults.ignores_exclude && self.ids().iter().any(excluded) {
            return Err(AuthenticatorError::HasOne);
        }
        assert!(options.algorithms.iter().any(|algorithm| algorithm.alg == -7));
        let mut id = vec![0; 24];
        random_bytes(&mut id);
        let mut hmac_secret = [0; 32];
        random_bytes(&mut hmac_secret);
        let id = faults.id.unwrap_or(id);
        let kept = Kept {
            id: id.clone(),
            key: new_key(),
            rp_id: options.rp.id.clone(),
            user: options.user.id.0.clone(),
            counter: u32::from(self.counts),
            hmac_secret,
        };
        let mut data = self.authenticator_data(&options.rp.id, kept.counter, ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&id);
        data.extend_from_slice(&cose_key(&kept.key, faults.algorithm.unwrap_or(-7)));
        let attestation_object = map([
            ("fmt".into(), faults.format.unwrap_or_else(|| "none".to_owned()).into()),
            ("attStmt".into(), Cbor::Map(Vec::new())),
            ("authData".into(), data.into()),
        ]);
        let credential = PasskeyCredential {
            id: Bytes(faults.named.unwrap_or(id)),
            client_data_json: Bytes(self.client_data("webauthn.create", &options.challenge)),
            attestation_object: Bytes(attestation_object),
        };
        let output = self.evaluate(&kept, prf_input);
        self.kept.lock().unwrap().push(kept);
        Ok((credential, output))
    }

    fn get(
        &self,
        options: &PasskeyRequest,
        prf_input: &[u8; 32],
    ) -> Result<(PasskeyAssertion, Option<PrfOutput>), AuthenticatorError> {
        let faults = self.faults.lock().unwrap().clone();
        let mut all = self.kept.lock().unwrap();
        let may = |kept: &Kept| {
            kept.rp_id == options.rp_id
                && (options.allow.is_empty() || options.allow.iter().any(|allowed| allowed.id.0 == kept.id))
        };
        // The newest one, as a person would choose.
        let kept = all.iter_mut().rev().find(|kept| may(kept)).ok_or(AuthenticatorError::HasNone)?;
        if self.counts {
            kept.counter += 1;
        }
        let authenticator_data = self.authenticator_data(&options.rp_id, kept.counter, 0);
        let client_data_json = self.client_data("webauthn.get", &options.challenge);
        let mut signed = authenticator_data.clone();
        signed.extend_from_slice(&Sha256::digest(&client_data_json));
        let signature: Signature = if faults.other_key { new_key().sign(&signed) } else { kept.key.sign(&signed) };
        let mut signature = signature.to_der().as_bytes().to_vec();
        if faults.bad_signature {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        let assertion = PasskeyAssertion {
            id: Bytes(faults.id.unwrap_or_else(|| kept.id.clone())),
            client_data_json: Bytes(client_data_json),
            authenticator_data: Bytes(authenticator_data),
            signature: Bytes(signature),
            user_handle: faults.user_handle.unwrap_or_else(|| Some(kept.user.clone())).map(Bytes),
        };
        let output = self.evaluate(kept, prf_input);
        Ok((assertion, output))
    }
}
