//! A save in two steps: one look at everything that it is judged by, and one write at exactly the head that was looked at.
//!
//! Whatever a save is judged by (the device's state, the account's live records, the places left in its windows, the record
//! itself) changes only together with the head of the account's chain or the count of live records beside it. So when both are still
//! what was seen, all of it is, and the write needs no other condition; otherwise nothing is written.

use sqlx::Row;

use super::{Connection, SqlRow, row};
use crate::{ChainHead, Digest, Error, NewRecord, Place, Refusal};

const LOOK: &str = "SELECT h.seq, h.hash, h.live,
   (SELECT body_sha256 FROM records WHERE account_id = $1 AND id = $2) AS stored,
   (SELECT body FROM receipts WHERE account_id = $1 AND record_id = $2) AS receipt,
   (SELECT state FROM devices WHERE account_id = $1 AND id = $3) AS device,
   (SELECT n FROM counters WHERE bucket = $4 AND \"window\" = $5) AS taken,
   (SELECT n FROM counters WHERE bucket = $6 AND \"window\" = $7) AS new_keys_taken,
   (SELECT COUNT(*) FROM record_state WHERE account_id = $1 AND record_id = $8 AND state = 'live') AS steps_back,
   EXISTS (SELECT 1 FROM record_index
     WHERE scope = 'account' AND scope_id = $1 AND \"full\" = $9 AND account_id = $1) AS known,
   EXISTS (SELECT 1 FROM purged WHERE account_id = $1 AND record_id = $2) AS purged
 FROM audit_heads h WHERE h.account_id = $1";

/// What a save is judged by, as it was at one moment.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) head: ChainHead,
    pub(super) live: i64,
    stored: Option<Digest>,
    receipt: Option<Vec<u8>>,
    device_is_active: bool,
    taken: i64,
    new_keys_taken: i64,
    /// Live records that this one supersedes: one or none.
    steps_back: i64,
    known: bool,
    /// The owner had this record deleted.
    purged: bool,
}

impl Look {
    pub(super) async fn at(connection: &mut Connection, new: &NewRecord) -> Result<Self, Error> {
        let account = &new.record.account_id.as_bytes()[..];
        let found = sqlx::query(LOOK)
            .bind(account)
            .bind(&new.record.id.as_bytes()[..])
            .bind(new.device.as_ref().map(|(device, _)| &device.as_bytes()[..]))
            .bind(new.place.as_ref().map(|place| place.bucket.as_str()))
            .bind(new.place.as_ref().map(|place| place.window))
            .bind(new.new_key_place.as_ref().map(|place| place.bucket.as_str()))
            .bind(new.new_key_place.as_ref().map(|place| place.window))
            .bind(new.record.supersedes.as_ref().map(|older| &older.as_bytes()[..]))
            .bind(new.index.first().map(|entry| entry.full.as_slice()))
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(Refusal::NotFound)?;
        let mut look = Self::of(&found)?;
        for entry in new.index.iter().skip(1) {
            look.known &= super::records::is_known(connection, new.record.account_id, &entry.full).await?;
        }
        Ok(look)
    }

    /// What a row says that has the columns of the look.
    pub(super) fn of(found: &SqlRow) -> Result<Self, Error> {
        Ok(Self {
            head: ChainHead { seq: found.try_get("seq")?, hash: row::bytes(found, "audit_heads", "hash")? },
            live: found.try_get("live")?,
            stored: row::optional_bytes(found, "records", "stored")?,
            receipt: found.try_get("receipt")?,
            device_is_active: found.try_get::<Option<&str>, _>("device")? == Some("active"),
            taken: found.try_get::<Option<i64>, _>("taken")?.unwrap_or(0),
            new_keys_taken: found.try_get::<Option<i64>, _>("new_keys_taken")?.unwrap_or(0),
            steps_back: found.try_get("steps_back")?,
            known: found.try_get("known")?,
            purged: found.try_get("purged")?,
        })
    }

    /// Live records after the save.
    pub(super) fn live_after(&self) -> i64 {
        self.live + 1 - self.steps_back
    }

    /// Whether nothing of the record is there, and the statements below can hold it.
    pub(super) fn is_usual(&self, new: &NewRecord) -> bool {
        self.stored.is_none() && self.receipt.is_none() && new.index.len() <= 1
    }

    /// The receipt, when exactly these bytes were saved before.
    pub(super) fn before(&mut self, new: &NewRecord) -> Option<Vec<u8>> {
        self.receipt.take_if(|_| self.stored == Some(new.record.body_sha256))
    }

    /// # Errors
    /// The refusal, when the save must not be.
    pub(super) fn judge(&self, new: &NewRecord) -> Result<(), Error> {
        if new.device.is_some() && !self.device_is_active {
            return Err(Refusal::DeviceRevoked.into());
        }
        if self.purged {
            return Err(Refusal::Purged.into());
        }
        has_place(new.place.as_ref(), self.taken)?;
        has_place(self.new_key_place(new), self.new_keys_taken)?;
        if self.live >= new.max_records {
            return Err(Refusal::Quota.into());
        }
        Ok(())
    }

    /// The place among new keys that the save takes.
    pub(super) fn new_key_place<'a>(&self, new: &'a NewRecord) -> Option<&'a Place> {
        new.new_key_place.as_ref().filter(|_| !self.known)
    }
}

fn has_place(place: Option<&Place>, taken: i64) -> Result<(), Error> {
    match place {
        Some(place) if taken >= place.places => Err(Refusal::Limit { until: place.until }.into()),
        _ => Ok(()),
    }
}
