//! The vault's tables and the only SQL of the product.
//!
//! [`Store`] is what the server knows: one trait per group of tables, each call one transaction. [`SqliteStore`] is the
//! embedded implementation, [`PostgresStore`] the one for several service processes; both are made from one text, the files in
//! `tables/`, which each engine compiles in its own types. Rows are plain data; what is sealed or signed stays bytes here.
//!
//! # Contract
//! - A call that returned `Ok` is durable. A call that returned an error changed nothing; only when the connection to the database
//!   broke during the commit itself, it may have been carried out, and asking again tells.
//! - Every look-up that belongs to an account carries the account: a row of another account is not found.
//! - Rows that may be used once (grants, ceremonies, invites, backup codes, time steps of a factor) are spent by a conditional update;
//!   of any number of concurrent callers exactly one succeeds.
//! - Records, receipts and audit entries can be added and never changed; triggers of the database see to it.
//! - An account's chain head advances by compare-and-set, in the transaction of the act that the entry tells of.
//! - Whatever a save is judged by changes only in a transaction that advances the chain head: the state of a device, the states of
//!   records and with them `audit_heads.live`, the account's count of live records.
//!
//! What is not done here: deciding who may do what, sealing, signing, checking signatures, reading the clock.

#![allow(clippy::duplicate_mod, reason = "the modules of the tables are compiled once for each engine")]

mod accounts;
mod audit;
mod backup_codes;
mod ceremonies;
mod counters;
mod deletions;
mod devices;
mod error;
mod factors;
mod generations;
mod grants;
mod log;
mod notes;
mod orders;
mod outbox;
mod passkeys;
mod passwords;
mod postgres;
mod records;
mod schema;
mod sessions;
mod sign_ins;
mod sqlite;
mod transaction;
mod waits;
mod write_times;

pub use accounts::{Account, Accounts, KeyStatement, NewAccount, Slot};
pub use audit::{Audit, AuditRow, ChainHead, Link, LinkMaker};
pub use backup_codes::{BackupCodeUse, BackupCodes, ReplaceBackupCodes};
pub use ceremonies::{Ceremonies, Ceremony};
pub use counters::Counters;
pub use deletions::Deletions;
pub use devices::{CodeAnswer, Device, DeviceCode, DeviceCodeState, DeviceKey, DeviceState, Devices};
pub use error::{Error, Refusal};
pub use factors::{AddFactor, Factor, Factors, RemoveFactor};
pub use generations::{Generations, NewGeneration};
pub use grants::{Grant, GrantUse, Grants};
pub use log::{Log, LogHead, LogSigner};
pub use notes::{MAX_COPIES, NewNote, Notes};
pub use orders::{Order, OrderProgress, Orders};
pub use outbox::{Outbox, OutgoingMail, QueuedMail};
pub use passkeys::{AddPasskey, AddPasskeySlot, PASSKEY, Passkey, Passkeys};
pub use passwords::{NewKit, NewPassword, Passwords};
pub use postgres::PostgresStore;
pub use records::{
    IndexEntry, Listing, NewRecord, Place, Record, RecordState, Records, ReleaseLinker, Released, SaveSealer, Saved,
};
pub use sessions::{LiveSession, Session, SessionLevel, Sessions};
pub use sign_ins::{Gives, Proven, SignIns};
pub use sqlite::SqliteStore;
pub use sqlite::backup::{BackupError, Holdings, back_up, examine, restore};
pub use vault_protocol::{
    AccountId, AuthorId, CeremonyId, DeviceId, FactorId, Millis, OrderId, RecordId, SlotId, WaitId,
};
pub use waits::{NewWait, Wait, WaitBegunBy, WaitKind, Waits};
pub use write_times::{BUCKETS_US, WriteTimes};

/// A SHA-256 value.
pub type Digest = [u8; 32];

/// All of the vault's tables.
pub trait Store:
    Accounts
    + Audit
    + BackupCodes
    + Ceremonies
    + Counters
    + Deletions
    + Devices
    + Factors
    + Generations
    + Grants
    + Passkeys
    + Log
    + Outbox
    + Notes
    + Orders
    + Passwords
    + Records
    + Sessions
    + SignIns
    + Waits
    + Send
    + Sync
{
}

impl<T> Store for T where
    T: Accounts
        + Audit
        + BackupCodes
        + Ceremonies
        + Counters
        + Deletions
        + Devices
        + Factors
        + Generations
        + Grants
        + Passkeys
        + Log
        + Outbox
        + Notes
        + Orders
        + Passwords
        + Records
        + Sessions
        + SignIns
        + Waits
        + Send
        + Sync
{
}
