//! Everything that `audit verify` looks at, in one file that can be checked anywhere, without the service.
//!
//! A bundle proves nothing by itself: whoever checks it must know the account's fingerprint and the service's keys from
//! elsewhere. It holds no secret: audit entries, public keys, signed saves with their sealed titles, receipts, the
//! checkpoint and what proves that the entries are in the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault_protocol::limits::MAX_PROOF_PAGE;
use vault_protocol::messages::{AuditHead, AuditProofs, DeviceList, EntryProof, RecordView};
use vault_protocol::statement::fingerprint;
use vault_protocol::{AccountId, Bytes, FixedBytes, Millis, PublicKey, RecordId, Signed, VERSION, routes, sha256};

use crate::client::Owner;
use crate::log::ShownLog;
use crate::{Client, Error, Transport};

/// What a bundle calls itself.
const KIND: &str = "keyhaven-audit";
/// Pause before a log that is not there yet is looked at again.
const PAUSE: Duration = Duration::from_millis(250);

/// The trail of an account with all that proves it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditBundle {
    kind: String,
    v: u32,
    /// Address of the service.
    pub origin: String,
    /// Whose trail.
    pub account_id: AccountId,
    /// When it was made, by the clock of the computer that made it.
    pub made_at: Millis,
    pub(crate) key_statement: Signed,
    /// Those before it, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_statements: Vec<Signed>,
    pub(crate) receipt_pk: PublicKey,
    pub(crate) log_pk: PublicKey,
    pub(crate) entries: Vec<Bytes>,
    pub(crate) certificates: Vec<Signed>,
    pub(crate) records: Vec<RecordView>,
    pub(crate) receipts: Vec<Signed>,
    pub(crate) reveals: Vec<RememberedReveal>,
    /// Checkpoint that had been seen before, and what connects it with the one below.
    pub(crate) seen: Option<String>,
    pub(crate) consistency: Vec<FixedBytes<32>>,
    pub(crate) checkpoint: String,
    pub(crate) proofs: Vec<EntryProof>,
}

/// A release of a key that this computer asked for and got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RememberedReveal {
    pub(crate) account_id: AccountId,
    pub(crate) record_id: RecordId,
    pub(crate) at: Millis,
    /// Its entry, where the trail was asked right afterwards.
    pub(crate) entry: Option<AuditHead>,
}

/// A bundle and how the log looked when it was made.
pub(crate) struct Collected {
    pub(crate) bundle: AuditBundle,
    pub(crate) log: ShownLog,
    pub(crate) head: AuditHead,
}

impl AuditBundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`Error::Answer`] for anything else, or another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bundle: Self = serde_json::from_slice(bytes).map_err(|_| Error::Answer("not an audit bundle"))?;
        if bundle.kind != KIND || bundle.v != VERSION {
            return Err(Error::Answer("not an audit bundle of this version"));
        }
        Ok(bundle)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Answer`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(|_| Error::Answer("a bundle that cannot be written"))
    }

    /// How many audit entries it holds.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Fingerprint of the service whose keys it names.
    #[must_use]
    pub fn service_fingerprint(&self) -> String {
        service_fingerprint(&self.origin, &self.receipt_pk, &self.log_pk)
    }
}

/// What people compare in place of a service's receipt and log keys.
#[must_use]
pub(crate) fn service_fingerprint(origin: &str, receipt_pk: &PublicKey, log_pk: &PublicKey) -> String {
    let parts = [b"vault/1/service-keys".as_slice(), &[0], origin.as_bytes(), &[0], receipt_pk.bytes(), log_pk.bytes()];
    fingerprint(&sha256(&parts))
}

impl<T: Transport> Client<T> {
    /// Everything that can be checked about the account's trail, for a file.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the trail contradicts what was seen; [`Error`].
    pub fn audit_export(&self) -> Result<AuditBundle, Error> {
        let owner = self.owner()?;
        Ok(self.collect(&owner)?.bundle)
    }

    /// Fingerprint of the service that this computer signed in to.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when it knows none.
    pub fn service_fingerprint(&self) -> Result<String, Error> {
        let profile = self.state.profile()?.ok_or(Error::NotSignedIn)?;
        Ok(service_fingerprint(&profile.origin, &profile.receipt_pk, &profile.log_pk))
    }

    pub(crate) fn collect(&self, owner: &Owner) -> Result<Collected, Error> {
        let profile = &owner.profile;
        // What is remembered before the trail: another process may add to it meanwhile.
        let receipts = self.kept_receipts()?;
        let reveals = self.remembered_reveals(profile.account_id)?;
        let trail = self.read_trail(owner)?;
        let devices: DeviceList = self.get(routes::DEVICES, Some(owner.token()))?;
        let records = self.record_views(owner)?;
        let (log, proofs) = self.collect_log(owner, trail.bytes.len())?;
        let bundle = AuditBundle {
            kind: KIND.to_owned(),
            v: VERSION,
            origin: profile.origin.clone(),
            account_id: profile.account_id,
            made_at: self.now(),
            key_statement: profile.key_statement.clone(),
            former_statements: devices.former_statements,
            receipt_pk: profile.receipt_pk.clone(),
            log_pk: profile.log_pk.clone(),
            entries: trail.bytes,
            certificates: devices.devices.into_iter().map(|device| device.certificate).collect(),
            records,
            receipts,
            reveals,
            seen: log.seen.as_ref().map(|seen| seen.note.clone()),
            consistency: log.consistency.iter().copied().map(FixedBytes).collect(),
            checkpoint: log.note.clone(),
            proofs,
        };
        Ok(Collected { bundle, log, head: trail.head })
    }

    /// The checkpoint and the proofs for it. New entries come into the log a moment after they were made: waits for them.
    fn collect_log(&self, owner: &Owner, entries: usize) -> Result<(ShownLog, Vec<EntryProof>), Error> {
        let mut waited = Duration::ZERO;
        loop {
            let log = self.look_at_log(&owner.profile.log_pk)?;
            let (None, Some(size)) = (log.fault, log.size) else { return Ok((log, Vec::new())) };
            let proofs = self.proofs(owner, size, entries)?;
            if proofs.len() >= entries || waited >= self.patience {
                return Ok((log, proofs));
            }
            self.pause(PAUSE);
            waited += PAUSE;
        }
    }

    fn proofs(&self, owner: &Owner, size: u64, entries: usize) -> Result<Vec<EntryProof>, Error> {
        let (mut proofs, mut after) = (Vec::new(), 0);
        while after < entries as u64 {
            let path = format!("{}?after={after}&limit={MAX_PROOF_PAGE}&size={size}", routes::AUDIT_PROOFS);
            let page: AuditProofs = self.get(&path, Some(owner.token()))?;
            if page.last <= after {
                break;
            }
            after = page.last;
            if page.proofs.len() as u64 > u64::from(MAX_PROOF_PAGE) {
                return Err(Error::Answer("more proofs than asked for"));
            }
            // Those of entries that came after the trail was read are not asked for.
            proofs.extend(page.proofs.into_iter().filter(|proof| proof.seq <= entries as u64));
        }
        Ok(proofs)
    }

    pub(crate) fn kept_receipts(&self) -> Result<Vec<Signed>, Error> {
        let mut receipts = Vec::new();
        for name in self.state.names("receipts")? {
            receipts.extend(self.state.read::<Signed>(&name)?);
        }
        Ok(receipts)
    }
}
