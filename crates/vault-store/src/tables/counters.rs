//! Tables `counters` and `settings`, and the sweep over everything short-lived.

use async_trait::async_trait;
use sqlx::Row;

use super::{SqlStore, in_transaction};
use crate::{Counters, Error, Millis};

/// No limit looks back further than a day; a lock lasts at most a day.
const COUNTERS_KEPT: Millis = 2 * 24 * 3600 * 1000;

#[async_trait]
impl Counters for SqlStore {
    async fn count(&self, bucket: &str, window: Millis, amount: i64) -> Result<i64, Error> {
        in_transaction!(self, |tx| {
            let row = sqlx::query(
                "INSERT INTO counters (bucket, \"window\", n) VALUES ($1, $2, $3)
                 ON CONFLICT (bucket, \"window\") DO UPDATE SET n = counters.n + $3 RETURNING n",
            )
            .bind(bucket)
            .bind(window)
            .bind(amount)
            .fetch_one(&mut *tx)
            .await?;
            Ok(row.try_get("n")?)
        })
    }

    async fn counted(&self, bucket: &str, window: Millis) -> Result<i64, Error> {
        let row = sqlx::query("SELECT n FROM counters WHERE bucket = $1 AND \"window\" = $2")
            .bind(bucket)
            .bind(window)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| row.try_get("n")).transpose()?.unwrap_or(0))
    }

    async fn newest_window(&self, bucket: &str) -> Result<Option<(Millis, i64)>, Error> {
        let row = sqlx::query("SELECT \"window\", n FROM counters WHERE bucket = $1 ORDER BY \"window\" DESC LIMIT 1")
            .bind(bucket)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    async fn set_counter(&self, bucket: &str, window: Millis, n: i64) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("DELETE FROM counters WHERE bucket = $1").bind(bucket).execute(&mut *tx).await?;
            sqlx::query("INSERT INTO counters (bucket, \"window\", n) VALUES ($1, $2, $3)")
                .bind(bucket)
                .bind(window)
                .bind(n)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn confirm_durable(&self, now: Millis) -> Result<(), Error> {
        self.check_durable().await?;
        // One row, which the sweep forgets once nobody asks any more.
        self.set_counter("durable", now, 0).await
    }

    async fn clear_counter(&self, bucket: &str) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("DELETE FROM counters WHERE bucket = $1").bind(bucket).execute(&mut *tx).await?;
            Ok(())
        })
    }

    async fn setting(&self, name: &str, initial: Option<&str>) -> Result<Option<String>, Error> {
        in_transaction!(self, |tx| {
            if let Some(initial) = initial {
                sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                    .bind(name)
                    .bind(initial)
                    .execute(&mut *tx)
                    .await?;
            }
            let row =
                sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name).fetch_optional(&mut *tx).await?;
            Ok(row.map(|row| row.try_get("value")).transpose()?)
        })
    }

    async fn sweep(&self, now: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            for sql in [
                "DELETE FROM sessions WHERE expires_at <= $1",
                "DELETE FROM ceremonies WHERE expires_at <= $1",
                "DELETE FROM grants WHERE expires_at <= $1",
                "DELETE FROM device_codes WHERE expires_at <= $1",
            ] {
                sqlx::query(sql).bind(now).execute(&mut *tx).await?;
            }
            sqlx::query("DELETE FROM counters WHERE \"window\" <= $1")
                .bind(now - COUNTERS_KEPT)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }
}
