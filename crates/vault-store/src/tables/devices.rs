//! Tables `devices` and `device_codes`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlRow, SqlStore, audit, exactly_one, grants, in_transaction, row, unique};
use crate::{
    AccountId, CodeAnswer, Device, DeviceCode, DeviceCodeState, DeviceId, DeviceKey, DeviceState, Devices, Digest,
    Error, GrantUse, LinkMaker, Millis, Refusal,
};

#[async_trait]
impl Devices for SqlStore {
    async fn enrol_device(
        &self,
        device: &Device,
        code: Option<&CodeAnswer>,
        grant: &GrantUse,
        link: LinkMaker<'_>,
    ) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            grants::spend(tx, grant).await?;
            insert(tx, device).await?;
            if let Some(code) = code {
                answer_code(tx, device, code, grant.now).await?;
            }
            audit::append(tx, device.account_id, link).await?;
            Ok(())
        })
    }

    async fn device(&self, account: AccountId, device: DeviceId) -> Result<Option<Device>, Error> {
        let row = sqlx::query("SELECT * FROM devices WHERE account_id = $1 AND id = $2")
            .bind(&account.as_bytes()[..])
            .bind(&device.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(device_of).transpose()
    }

    async fn device_key(&self, account: AccountId, device: DeviceId) -> Result<Option<DeviceKey>, Error> {
        let row =
            sqlx::query("SELECT pk, alg, capability, state, expires_at FROM devices WHERE account_id = $1 AND id = $2")
                .bind(&account.as_bytes()[..])
                .bind(&device.as_bytes()[..])
                .fetch_optional(&self.readers)
                .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(DeviceKey {
            pk: row.try_get("pk")?,
            alg: row.try_get("alg")?,
            capability: row.try_get("capability")?,
            state: state_of(&row)?,
            expires_at: row.try_get("expires_at")?,
        }))
    }

    async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Error> {
        let rows = sqlx::query("SELECT * FROM devices WHERE account_id = $1 ORDER BY created_at, id")
            .bind(&account.as_bytes()[..])
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(device_of).collect()
    }

    async fn revoke_device(&self, device: DeviceId, grant: &GrantUse, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = grant.account_id;
        in_transaction!(self, |tx| {
            grants::spend(tx, grant).await?;
            let done = sqlx::query(
                "UPDATE devices SET state = 'revoked', revoked_at = $1
                 WHERE account_id = $2 AND id = $3 AND state = 'active'",
            )
            .bind(grant.now)
            .bind(&account.as_bytes()[..])
            .bind(&device.as_bytes()[..])
            .execute(&mut *tx)
            .await?;
            exactly_one(&done, Refusal::NotFound)?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn add_device_code(&self, code: &DeviceCode) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query(
                "INSERT INTO device_codes (hash, user_code, device_pk, alg, box_pk, nonce, request, state, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8)",
            )
            .bind(&code.hash[..])
            .bind(&code.user_code)
            .bind(&code.device_pk)
            .bind(&code.alg)
            .bind(&code.box_pk)
            .bind(&code.nonce)
            .bind(&code.request)
            .bind(code.expires_at)
            .execute(&mut *tx)
            .await
            .map_err(|error| unique(error, Refusal::IdTaken))?;
            Ok(())
        })
    }

    async fn device_code(&self, hash: Digest) -> Result<Option<DeviceCode>, Error> {
        let row = sqlx::query("SELECT * FROM device_codes WHERE hash = $1")
            .bind(&hash[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(code_of).transpose()
    }

    async fn set_device_code_tag(&self, hash: Digest, tag_h: &[u8], now: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE device_codes SET tag_h = $1
                 WHERE hash = $2 AND state = 'pending' AND expires_at > $3 AND (tag_h IS NULL OR tag_h = $1)",
            )
            .bind(tag_h)
            .bind(&hash[..])
            .bind(now)
            .execute(&mut *tx)
            .await?;
            exactly_one(&done, Refusal::DeviceCode)
        })
    }

    async fn claim_device_code(
        &self,
        user_code: &str,
        account: AccountId,
        now: Millis,
        max_tries: i64,
    ) -> Result<DeviceCode, Error> {
        let code = in_transaction!(self, |tx| {
            // The try that exceeds the limit kills the code, so that a later approval finds it dead as well.
            let row = sqlx::query(
                "UPDATE device_codes SET tries = tries + CASE WHEN tag_h IS NULL THEN 0 ELSE 1 END, account_id = $1,
                   state = CASE WHEN tries >= $2 THEN 'failed' ELSE state END
                 WHERE user_code = $3 AND state = 'pending' AND expires_at > $4 AND (account_id IS NULL OR account_id = $1)
                 RETURNING *",
            )
            .bind(&account.as_bytes()[..])
            .bind(max_tries)
            .bind(user_code)
            .bind(now)
            .fetch_optional(&mut *tx)
            .await?;
            row.as_ref().map(code_of).transpose()
        })?;
        match code {
            Some(code) if code.state == DeviceCodeState::Pending => Ok(code),
            _ => Err(Refusal::DeviceCode.into()),
        }
    }

    async fn touch_device_code(&self, hash: Digest, polled_at: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE device_codes SET polled_at = $1 WHERE hash = $2")
                .bind(polled_at)
                .bind(&hash[..])
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }
}

async fn insert(tx: &mut Connection, device: &Device) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO devices (id, account_id, pk, alg, certificate, capability, state, created_at, seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $9)",
    )
    .bind(&device.id.as_bytes()[..])
    .bind(&device.account_id.as_bytes()[..])
    .bind(&device.pk)
    .bind(&device.alg)
    .bind(&device.certificate)
    .bind(&device.capability)
    .bind(device.created_at)
    .bind(device.seen_at)
    .bind(device.expires_at)
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Leaves the answer for the waiting device. The device's key must be the one that was looked up.
async fn answer_code(tx: &mut Connection, device: &Device, code: &CodeAnswer, now: Millis) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE device_codes SET state = 'approved', answer = $1
         WHERE user_code = $2 AND account_id = $3 AND device_pk = $4 AND box_pk = $5 AND state = 'pending' AND expires_at > $6",
    )
    .bind(&code.answer)
    .bind(&code.user_code)
    .bind(&device.account_id.as_bytes()[..])
    .bind(&device.pk)
    .bind(&code.box_pk)
    .bind(now)
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::DeviceCode)
}

/// The save of a device: it must still be active, and the highest number of its saves is kept.
pub(super) async fn note_save(
    tx: &mut Connection,
    account: AccountId,
    device: DeviceId,
    seq: i64,
    now: Millis,
) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE devices SET last_seq = CASE WHEN last_seq < $1 THEN $1 ELSE last_seq END, seen_at = $2
         WHERE account_id = $3 AND id = $4 AND state = 'active'",
    )
    .bind(seq)
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(&device.as_bytes()[..])
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::DeviceRevoked)
}

fn device_of(row: &SqlRow) -> Result<Device, Error> {
    Ok(Device {
        id: DeviceId::from_bytes(row::bytes(row, "devices", "id")?),
        account_id: AccountId::from_bytes(row::bytes(row, "devices", "account_id")?),
        pk: row.try_get("pk")?,
        alg: row.try_get("alg")?,
        certificate: row.try_get("certificate")?,
        capability: row.try_get("capability")?,
        state: state_of(row)?,
        last_seq: row.try_get("last_seq")?,
        created_at: row.try_get("created_at")?,
        seen_at: row.try_get("seen_at")?,
        revoked_at: row.try_get("revoked_at")?,
        expires_at: row.try_get("expires_at")?,
        label_sealed: row.try_get("label_sealed")?,
    })
}

fn state_of(row: &SqlRow) -> Result<DeviceState, Error> {
    match row.try_get("state")? {
        "active" => Ok(DeviceState::Active),
        "revoked" => Ok(DeviceState::Revoked),
        _ => Err(Error::Corrupt { table: "devices", column: "state" }),
    }
}

fn code_of(row: &SqlRow) -> Result<DeviceCode, Error> {
    Ok(DeviceCode {
        hash: row::bytes(row, "device_codes", "hash")?,
        user_code: row.try_get("user_code")?,
        device_pk: row.try_get("device_pk")?,
        alg: row.try_get("alg")?,
        box_pk: row.try_get("box_pk")?,
        nonce: row.try_get("nonce")?,
        request: row.try_get("request")?,
        tag_h: row.try_get("tag_h")?,
        account_id: row::optional_bytes(row, "device_codes", "account_id")?.map(AccountId::from_bytes),
        answer: row.try_get("answer")?,
        state: match row.try_get("state")? {
            "pending" => DeviceCodeState::Pending,
            "approved" => DeviceCodeState::Approved,
            "failed" => DeviceCodeState::Failed,
            _ => return Err(Error::Corrupt { table: "device_codes", column: "state" }),
        },
        polled_at: row.try_get("polled_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}
