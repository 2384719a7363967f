//! Accounts, the key statements they publish, and the slots that open them.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, LinkMaker, Millis, Session, SlotId};

/// One row of `accounts`.
#[derive(Debug, Clone)]
pub struct Account {
    /// Chosen by the server at sign-up.
    pub id: AccountId,
    /// The mail, normalised, as it is looked up.
    pub email_norm: String,
    /// OPAQUE registration record: useless for checking guesses without the server's secrets.
    pub opaque_record: Vec<u8>,
    /// Which row of the clients' table of stretching parameters the password uses.
    pub kdf_profile: i64,
    /// Current generation of the account's keys, from 1.
    pub generation: i64,
    /// Rises with every change of factors or password; sessions of an older epoch are over.
    pub epoch: i64,
    /// Whether a second factor is asked for.
    pub two_factor: bool,
    /// With two-factor on: when it goes off, unless that is cancelled. With two-factor off: since when, by the owner's
    /// will; without, there was no factor so far.
    pub off_at: Option<Millis>,
    /// When the account was made.
    pub created_at: Millis,
}

impl Account {
    /// Whether it asks for no second factor because its owner wanted that, and not because there was none so far.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.two_factor && self.off_at.is_some()
    }
}

/// One row of `key_statements`: the signed public keys of one generation.
#[derive(Debug, Clone)]
pub struct KeyStatement {
    /// Whose keys.
    pub account_id: AccountId,
    /// Which generation.
    pub generation: i64,
    /// The payload bytes exactly as they were signed.
    pub body: Vec<u8>,
    /// The signature object of this generation's identity key, as the server will hand it out.
    pub signature: Vec<u8>,
    /// The signature of the generation before, from the second generation on.
    pub previous_signature: Option<Vec<u8>>,
    /// SHA-256 of the statement; its first 100 bits are the fingerprint.
    pub hash: Digest,
}

/// One row of `slots`: both roots, wrapped under something the owner has or knows.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Chosen by the client.
    pub id: SlotId,
    /// Whose slot.
    pub account_id: AccountId,
    /// `password`, `password-kit`, `passkey`, `kit` or `contacts`.
    pub kind: String,
    /// Salt of the slot's key derivation.
    pub salt: Vec<u8>,
    /// The catalogue root, wrapped.
    pub wrap_c: Vec<u8>,
    /// The vault root, wrapped. Leaves the server only in a step-up answer.
    pub wrap_v: Vec<u8>,
    /// Which passkey, for `passkey` slots.
    pub credential_id: Option<Vec<u8>>,
    /// SHA-256 of a proof derived from the printed code, for `kit` slots.
    pub proof_hash: Option<Vec<u8>>,
    /// Which generation of roots it wraps.
    pub generation: i64,
    /// When it was made.
    pub created_at: Millis,
}

/// Everything that appears at once when a sign-up is finished.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// Its first key statement.
    pub statement: KeyStatement,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// SHA-256 of the invite that is spent by this sign-up, where one was needed.
    pub invite: Option<Digest>,
    /// The sign-up ceremony, which ends here.
    pub ceremony: CeremonyId,
    /// The session that goes on to enrol a factor.
    pub session: Session,
}

/// Accounts and what belongs to them one to one.
#[async_trait]
pub trait Accounts {
    /// Makes an account, with its first audit entry, in one transaction.
    ///
    /// # Errors
    /// Refusals: [`EmailTaken`](crate::Refusal::EmailTaken), [`Invite`](crate::Refusal::Invite),
    /// [`Ceremony`](crate::Refusal::Ceremony), [`IdTaken`](crate::Refusal::IdTaken).
    async fn create_account(&self, new: &NewAccount, now: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The account with this normalised mail.
    async fn account_by_email(&self, email_norm: &str) -> Result<Option<Account>, Error>;

    /// The account with this identifier.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, Error>;

    /// The key statement of one generation.
    async fn key_statement(&self, account: AccountId, generation: i64) -> Result<Option<KeyStatement>, Error>;

    /// The slots that are in use, oldest first.
    async fn slots(&self, account: AccountId) -> Result<Vec<Slot>, Error>;

    /// Notes an invite by its hash.
    async fn add_invite(&self, hash: Digest, now: Millis, expires_at: Millis) -> Result<(), Error>;

    /// Whether an invite could be spent now. Spending it is part of [`Accounts::create_account`].
    async fn invite_is_open(&self, hash: Digest, now: Millis) -> Result<bool, Error>;
}
