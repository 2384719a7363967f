//! Table `orders`.

use async_trait::async_trait;
use sqlx::Row;
use vault_protocol::OrderId;
use vault_protocol::order::OrderState;

use super::{Connection, SqlRow, SqlStore, audit, exactly_one, in_transaction, row, unique};
use crate::{AccountId, DeviceId, Error, LinkMaker, Millis, Order, OrderProgress, Orders, RecordId, Refusal};

#[async_trait]
impl Orders for SqlStore {
    async fn add_order(&self, order: &Order, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            require_author(tx, order).await?;
            give_way(tx, order).await?;
            if has_open(tx, order).await? {
                return Err(Refusal::OrderOpen.into());
            }
            sqlx::query(
                "INSERT INTO orders (id, account_id, device_id, record_id, body, state, expires_at, at)
                 VALUES ($1, $2, $3, $4, $5, 'open', $6, $7)",
            )
            .bind(&order.id.as_bytes()[..])
            .bind(&order.account_id.as_bytes()[..])
            .bind(&order.device_id.as_bytes()[..])
            .bind(&order.record_id.as_bytes()[..])
            .bind(&order.body)
            .bind(order.expires_at)
            .bind(order.at)
            .execute(&mut *tx)
            .await
            .map_err(|error| {
                let open =
                    matches!(&error, sqlx::Error::Database(cause) if cause.constraint() == Some("orders_one_open"));
                unique(error, if open { Refusal::OrderOpen } else { Refusal::IdTaken })
            })?;
            audit::append(tx, order.account_id, link).await?;
            Ok(())
        })
    }

    async fn orders(&self, account: AccountId, limit: i64) -> Result<Vec<Order>, Error> {
        let rows = sqlx::query("SELECT * FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT $2")
            .bind(&account.as_bytes()[..])
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(order_of).collect()
    }

    async fn orders_of_device(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Order>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM orders WHERE account_id = $1 AND device_id = $2 AND state IN ('open', 'taken') AND expires_at > $3
             ORDER BY id LIMIT $4",
        )
        .bind(&account.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .bind(now)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(order_of).collect()
    }

    async fn move_order(&self, progress: &OrderProgress, link: LinkMaker<'_>) -> Result<bool, Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE orders SET state = $1, report = $2, at = $3
                 WHERE account_id = $4 AND device_id = $5 AND id = $6
                   AND (state = 'open' OR (state = 'taken' AND $1 <> 'taken'))",
            )
            .bind(progress.state.name())
            .bind(&progress.report)
            .bind(progress.now)
            .bind(&progress.account_id.as_bytes()[..])
            .bind(&progress.device_id.as_bytes()[..])
            .bind(&progress.id.as_bytes()[..])
            .execute(&mut *tx)
            .await?;
            if exactly_one(&done, Refusal::OrderOver).is_err() {
                return if stands_at(tx, progress).await? { Ok(false) } else { Err(Refusal::OrderOver.into()) };
            }
            audit::append(tx, progress.account_id, link).await?;
            Ok(true)
        })
    }
}

/// The record must be one that the device saved, and the device must still be active.
async fn require_author(tx: &mut Connection, order: &Order) -> Result<(), Error> {
    let row = sqlx::query(
        "SELECT 1 FROM records r JOIN devices d ON d.account_id = r.account_id AND d.id = r.author_id
         WHERE r.account_id = $1 AND r.id = $2 AND d.id = $3 AND d.state = 'active'",
    )
    .bind(&order.account_id.as_bytes()[..])
    .bind(&order.record_id.as_bytes()[..])
    .bind(&order.device_id.as_bytes()[..])
    .fetch_optional(tx)
    .await?;
    row.map(|_| ()).ok_or_else(|| Refusal::NotFound.into())
}

/// Orders that nobody may carry out any more are over.
async fn give_way(tx: &mut Connection, order: &Order) -> Result<(), Error> {
    sqlx::query(
        "UPDATE orders SET state = 'failed' WHERE account_id = $1 AND record_id = $2 AND state IN ('open', 'taken')
           AND expires_at <= $3",
    )
    .bind(&order.account_id.as_bytes()[..])
    .bind(&order.record_id.as_bytes()[..])
    .bind(order.at)
    .execute(tx)
    .await?;
    Ok(())
}

async fn has_open(tx: &mut Connection, order: &Order) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT 1 FROM orders WHERE account_id = $1 AND record_id = $2 AND state IN ('open', 'taken') LIMIT 1",
    )
    .bind(&order.account_id.as_bytes()[..])
    .bind(&order.record_id.as_bytes()[..])
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}

/// Whether the order is where the report says already.
async fn stands_at(tx: &mut Connection, progress: &OrderProgress) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM orders WHERE account_id = $1 AND device_id = $2 AND id = $3 AND state = $4")
        .bind(&progress.account_id.as_bytes()[..])
        .bind(&progress.device_id.as_bytes()[..])
        .bind(&progress.id.as_bytes()[..])
        .bind(progress.state.name())
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

fn order_of(row: &SqlRow) -> Result<Order, Error> {
    Ok(Order {
        id: OrderId::from_bytes(row::bytes(row, "orders", "id")?),
        account_id: AccountId::from_bytes(row::bytes(row, "orders", "account_id")?),
        device_id: DeviceId::from_bytes(row::bytes(row, "orders", "device_id")?),
        record_id: RecordId::from_bytes(row::bytes(row, "orders", "record_id")?),
        body: row.try_get("body")?,
        state: OrderState::parse(row.try_get("state")?).ok_or(Error::Corrupt { table: "orders", column: "state" })?,
        report: row.try_get("report")?,
        expires_at: row.try_get("expires_at")?,
        at: row.try_get("at")?,
    })
}
