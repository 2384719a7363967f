//! Password and kit are both lost: new keys for the account after a delay. And the kit of before, should it turn up.

use secret::SecretString;
use vault_crypto::kit::KitCode;
use vault_crypto::password::Registration;
use vault_crypto::record::SecretRef;
use vault_crypto::slot::{self, Binding};
use vault_crypto::{CatalogueRoot, VaultRoot, key_statement};
use vault_protocol::messages::{
    AuditHead, ExportRequest, Exported, FactorCode, FormerKeys, LoggedIn, Purpose, RenewFinishRequest,
    RenewProveRequest, RenewProven, RenewStartRequest, RenewStarted, export_target,
};
use vault_protocol::statement::{KeyStatement, fingerprint, statement_hash};
use vault_protocol::{FixedBytes, RecordId, Signed, routes, verify};

use crate::client::Owner;
use crate::password::acceptable;
use crate::recover::halves;
use crate::reveal::{Opening, RecordSummary, open_with};
use crate::sign_in::{Opened, new_keys};
use crate::state::Profile;
use crate::{
    Client, Confirm, Error, Kit, MAX_EXPORT, Meta, Outcome, Secret, SignInFactor, SignedIn, ToSave, Transport,
};

/// Records of before a new start whose keys were found to be saved under the present keys as well.
const KNOWN: &str = "former.json";

/// Somebody who lost password and kit.
pub struct NewStart {
    /// Mail address of the account.
    pub email: String,
    /// The new password.
    pub password: SecretString,
    /// A code of a second factor that is left. Who begins with one waits half as long, and needs one again to finish.
    pub factor: Option<SignInFactor>,
}

/// What became of keys of before a new start.
#[derive(Debug, Default)]
pub struct BroughtOver {
    /// Saved under the present keys; what became of each.
    pub outcomes: Vec<Outcome>,
    /// Were there already.
    pub known: usize,
    /// Cannot be opened with this kit, or are not what their authors signed.
    pub unreadable: Vec<RecordId>,
    /// Are left for another time: so many at most are released at once.
    pub left: usize,
}

/// A key of before, to be saved under the present keys.
struct Former {
    record: RecordId,
    secret: Secret,
    meta: Meta,
}

impl ToSave for Former {
    fn secret(&self) -> SecretRef<'_> {
        match &self.secret {
            Secret::RecoveryPassword(password) => SecretRef::RecoveryPassword(password),
            Secret::ExternalKey(key) => SecretRef::ExternalKey(key),
        }
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn supersedes(&self) -> Option<RecordId> {
        Some(self.record)
    }
}

impl<T: Transport> Client<T> {
    /// Begins the delay before new keys (`begin`), or comes back to make them. While the delay runs the result is the error
    /// `recover.waiting`, whose problem says until when. Once it is over, the account gets new keys, the new password and a new
    /// kit, which `keep_kit` shows; whoever did this is signed in. What was saved before stays, sealed to the former keys.
    ///
    /// # Errors
    /// `recover.waiting`, `recover.cancelled`; [`Error::KitNotConfirmed`], then nothing was changed;
    /// [`Error::Inconsistent`] when the service shows other keys than this computer knows; [`Error`].
    pub fn start_over(
        &self,
        new: NewStart,
        begin: bool,
        mailed_code: &mut dyn FnMut() -> Option<String>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<SignedIn, Error> {
        let body = RenewStartRequest { email: new.email.clone() };
        let started: RenewStarted = self.post(routes::RENEW_START, None, &body)?;
        self.check_origin(&started.server)?;
        let (registration, registration_request) = Registration::start(new.password)?;
        let factor = new.factor.map(|factor| FactorCode { kind: factor.kind, code: factor.code.expose().to_owned() });
        let held = factor.as_ref().is_some_and(|factor| factor.kind != vault_protocol::backup_code::KIND);
        let body = RenewProveRequest {
            renew_id: started.renew_id,
            begin,
            mailed_code: mailed_code().ok_or(Error::Cancelled)?,
            factor,
            registration_request,
        };
        let proven: RenewProven = self.post(routes::RENEW_PROVE, None, &body)?;
        let (body, catalogue) = self.new_keys(&new.email, &started, &proven, registration, keep_kit)?;
        let statement = body.key_statement.clone();
        let logged_in: LoggedIn = self.post(routes::RENEW_FINISH, None, &body)?;
        if logged_in.key_statement != statement {
            return Err(Error::Inconsistent("key statement"));
        }
        self.pin(&new.email, &started, &statement)?;
        let opened = Opened {
            account_id: started.account_id,
            server: started.server,
            statement_hash: statement_hash(&statement),
            catalogue,
        };
        let signed_in = self.keep_opened(&new.email, opened, logged_in, false)?;
        Ok(match signed_in {
            SignedIn::Fully { fingerprint, known_before, .. } => {
                SignedIn::Fully { fingerprint, known_before, must_add_factor: !held }
            }
            other => other,
        })
    }

    /// The account's next keys, and what opens them.
    fn new_keys(
        &self,
        email: &str,
        started: &RenewStarted,
        proven: &RenewProven,
        registration: Registration,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(RenewFinishRequest, CatalogueRoot), Error> {
        let account_id = started.account_id;
        let before =
            verify::key_statement(&proven.key_statement, account_id).map_err(Error::unverified("the key statement"))?;
        let known = self.state.profile()?.filter(|known| known.account_id == account_id);
        known.map_or(Ok(()), |known| new_keys(&known, &proven.key_statement))?;
        let origin = self.transport.origin();
        let profile = acceptable(&proven.kdf_profiles)?;
        let registered = registration.finish(&proven.registration_response, &account_id, origin, profile)?;
        let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
        let generation = before.generation.checked_add(1).ok_or(Error::Answer("a generation without end"))?;
        let place = (generation, Some(statement_hash(&proven.key_statement)));
        let statement = key_statement(account_id, place, &catalogue, &vault, self.now())?;
        let statement_hash = statement_hash(&statement);
        let kit = Kit {
            email: email.to_owned(),
            server: origin.to_owned(),
            fingerprint: fingerprint(&statement_hash),
            code: KitCode::random(),
        };
        if !keep_kit(&kit) {
            return Err(Error::KitNotConfirmed);
        }
        let binding = Binding { account_id, generation, statement_hash };
        let body = RenewFinishRequest {
            renewal_token: proven.renewal_token.clone(),
            registration_record: registered.record,
            kdf_profile: profile,
            key_statement: statement,
            slots: vec![
                slot::make(slot::PASSWORD, &registered.export_key, &catalogue, &vault, &binding),
                slot::make(slot::KIT, &kit.code.key_material(), &catalogue, &vault, &binding),
            ],
            kit_proof_hash: kit.code.proof_hash(),
        };
        Ok((body, catalogue))
    }

    /// The keys that were made here are the ones to be believed from now on; everything else that is known stays.
    fn pin(&self, email: &str, started: &RenewStarted, statement: &Signed) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let known = self.state.profile()?.filter(|known| known.account_id == started.account_id);
        let nothing_seen = AuditHead { seq: 0, hash: FixedBytes([0; 32]) };
        let fresh = || Profile {
            origin: self.transport.origin().to_owned(),
            email: email.to_owned(),
            account_id: started.account_id,
            key_statement: statement.clone(),
            receipt_pk: started.server.receipt_pk.clone(),
            log_pk: started.server.log_pk.clone(),
            audit_head: nothing_seen,
        };
        let profile = known.unwrap_or_else(fresh);
        self.state.write("profile.json", &Profile { key_statement: statement.clone(), ..profile })
    }

    /// Reads the keys of before a new start with the kit of that time, and saves them in the owner's name under the present
    /// keys. The former records stay, superseded.
    ///
    /// # Errors
    /// `recover.no_slot` for a kit that opens nothing; [`Error::Crypto`] for a code that was mistyped; [`Error`].
    pub fn bring_over<'a>(
        &self,
        kit_code: &SecretString,
        confirm: impl Into<Confirm<'a>>,
    ) -> Result<BroughtOver, Error> {
        // Before anything is asked of the service: a mistyped code shows in its check letters.
        let kit = KitCode::parse(kit_code.expose())?;
        let owner = self.owner()?;
        let mut report = BroughtOver::default();
        let known_here: Vec<RecordId> = self.state.read(KNOWN)?.unwrap_or_default();
        let is_wanted = |record: &RecordSummary| record.is_left_behind() && !known_here.contains(&record.record_id);
        let mut wanted: Vec<RecordId> =
            self.records()?.into_iter().filter(is_wanted).map(|record| record.record_id).collect();
        if wanted.is_empty() {
            return Ok(report);
        }
        report.left = wanted.len().saturating_sub(MAX_EXPORT);
        wanted.truncate(MAX_EXPORT);
        let confirmed = self.step_up(Purpose::Export, &export_target(&wanted), confirm)?;
        let body = ExportRequest {
            grant: confirmed.grant.clone(),
            records: wanted.clone(),
            former_kit_proof: Some(FixedBytes(*kit.proof().expose())),
        };
        let exported: Exported = self.post(routes::EXPORT, Some(owner.token()), &body)?;
        if exported.records.len() != wanted.len() {
            return Err(Error::Answer("another number of records than asked for"));
        }
        self.remember_reveals(&owner, &wanted);
        let former = exported.former.as_ref().ok_or(Error::Answer("the former keys are missing"))?;
        let keys = self.former_keys(&owner, &kit, former)?;
        let authors = self.authors(&owner)?;
        let mut known = self.known_keys()?;
        let (mut to_save, mut there) = (Vec::new(), known_here);
        let before = there.len();
        for (record, revealed) in wanted.iter().zip(&exported.records) {
            match open_with(&owner, &authors, &keys, *record, revealed) {
                Ok(opened) if known.has(&opened.meta.key_id) => there.push(*record),
                Ok(opened) => {
                    known.note(&opened.meta.key_id);
                    to_save.push(Former { record: *record, secret: opened.secret, meta: opened.meta });
                }
                Err(_) => report.unreadable.push(*record),
            }
        }
        report.known = there.len() - before;
        report.outcomes = self.import(&to_save, &known)?;
        // Those that were saved step back by it; these would be asked for again each time.
        let _lock = self.state.lock()?;
        self.state.write(KNOWN, &there)?;
        Ok(report)
    }

    /// What the kit of before opens; the statement must be one that the present one follows on.
    fn former_keys(&self, owner: &Owner, kit: &KitCode, former: &FormerKeys) -> Result<Opening, Error> {
        let account_id = owner.profile.account_id;
        let statement: KeyStatement =
            verify::key_statement(&former.key_statement, account_id).map_err(Error::unverified("the key statement"))?;
        let statement_hash = statement_hash(&former.key_statement);
        let binding = Binding { account_id, generation: statement.generation, statement_hash };
        let (catalogue_slot, vault_slot) = halves(&former.slot);
        let material = kit.key_material();
        // Opening it authenticates the statement: only who knows the kit can have made the wraps.
        let catalogue =
            slot::open_catalogue(&catalogue_slot, &material, &binding).map_err(|_| Error::AccountKeyMismatch)?;
        let vault = slot::open_vault(&vault_slot, &material, &binding).map_err(|_| Error::AccountKeyMismatch)?;
        Ok(Opening { generation: statement.generation, catalogue: catalogue.catalogue_key(), vault: vault.vault_key() })
    }
}
