//! The server's side of the password protocol, as bytes in and bytes out.
//!
//! A mail without an account is played through with a stand-in: the same messages, of the same lengths, after the same
//! look-ups, and a proof that never fits.

use opaque_ke::{
    CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload, ServerLogin,
    ServerLoginParameters, ServerRegistration,
};
use rand_opaque::OsRng;
use secret::SecretVec;
use vault_protocol::Bytes;
use vault_protocol::opaque::{Suite, identifiers};
use vault_protocol::problem::Code;
use vault_store::AccountId;

use crate::app::Inner;
use crate::failure::{Failure, Fault};

/// First answer of a password run, and what is needed to judge the second message.
pub(crate) struct PasswordRun {
    /// For the client.
    pub(crate) response: Bytes,
    /// For the ceremony.
    pub(crate) state: SecretVec,
}

impl Inner {
    /// Answers a registration request.
    pub(crate) fn register(&self, account: AccountId, request: &[u8]) -> Result<Bytes, Failure> {
        let request = RegistrationRequest::<Suite>::deserialize(request).map_err(|_| Code::RequestInvalid)?;
        let started = ServerRegistration::<Suite>::start(&self.keys.opaque, request, account.as_bytes())
            .map_err(|_| Code::RequestInvalid)?;
        Ok(started.message.serialize().to_vec().into())
    }

    /// Turns a registration upload into the record to keep.
    pub(crate) fn registration_record(upload: &[u8]) -> Result<Vec<u8>, Failure> {
        let upload = RegistrationUpload::<Suite>::deserialize(upload).map_err(|_| Code::RequestInvalid)?;
        Ok(ServerRegistration::<Suite>::finish(upload).serialize().to_vec())
    }

    /// Begins a password run against `record`, or against nobody.
    pub(crate) fn begin_run(
        &self,
        account: AccountId,
        record: Option<&[u8]>,
        request: &[u8],
    ) -> Result<PasswordRun, Failure> {
        let request = CredentialRequest::<Suite>::deserialize(request).map_err(|_| Code::RequestInvalid)?;
        let record = record
            .map(ServerRegistration::<Suite>::deserialize)
            .transpose()
            .map_err(|_| Fault::Stored("password record"))?;
        let started = ServerLogin::<Suite>::start(
            &mut OsRng,
            &self.keys.opaque,
            record,
            request,
            account.as_bytes(),
            self.parameters(&account),
        )
        .map_err(|_| Code::RequestInvalid)?;
        Ok(PasswordRun {
            response: started.message.serialize().to_vec().into(),
            state: SecretVec::new(started.state.serialize().to_vec()),
        })
    }

    /// Ends a password run: the session key when the password was right.
    pub(crate) fn finish_run(
        &self,
        account: AccountId,
        state: &[u8],
        finalization: &[u8],
    ) -> Result<SecretVec, Failure> {
        let state = ServerLogin::<Suite>::deserialize(state).map_err(|_| Fault::Stored("password run"))?;
        let message = CredentialFinalization::<Suite>::deserialize(finalization).map_err(|_| Code::AuthInvalid)?;
        let finished = state.finish(message, self.parameters(&account)).map_err(|_| Code::AuthInvalid)?;
        Ok(SecretVec::new(finished.session_key.to_vec()))
    }

    fn parameters<'a>(&'a self, account: &'a AccountId) -> ServerLoginParameters<'static, 'a> {
        ServerLoginParameters { context: None, identifiers: identifiers(account, self.origin()) }
    }
}
