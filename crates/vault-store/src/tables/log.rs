//! Tables `log_heads`, `log_tiles`, and the column `audit.log_index`.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};
use vault_protocol::log::{Edge, Tile, TileId, empty_root};

use super::{Connection, SqlRow, SqlStore, exactly_one, in_transaction, row};
use crate::{Digest, Error, Log, LogHead, LogSigner, Refusal};

/// So many places are noted by one statement, as long as there are enough entries.
const ROWS: [usize; 3] = [64, 8, 1];

/// An entry that is not in the log.
struct Unlogged {
    account: Vec<u8>,
    seq: i64,
    hash: Digest,
}

#[async_trait]
impl Log for SqlStore {
    async fn log_head(&self) -> Result<Option<LogHead>, Error> {
        let mut connection = self.readers.acquire().await?;
        head(&mut connection).await
    }

    async fn begin_log(&self, sign: LogSigner<'_>) -> Result<(), Error> {
        if self.log_head().await?.is_some() {
            return Ok(());
        }
        let root = empty_root();
        let note = sign(0, &root);
        in_transaction!(self, |tx| {
            sqlx::query("INSERT INTO log_heads (id, size, root, note) VALUES (1, 0, $1, $2) ON CONFLICT DO NOTHING")
                .bind(&root[..])
                .bind(&note)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn extend_log(&self, most: i64, sign: LogSigner<'_>) -> Result<usize, Error> {
        // Looked for outside the transaction: serialisable ones would meet every save that adds an entry meanwhile.
        let rows = sqlx::query(
            "SELECT account_id, seq, hash FROM audit WHERE log_index IS NULL ORDER BY account_id, seq LIMIT $1",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        let entries = rows.iter().map(unlogged_of).collect::<Result<Vec<_>, Error>>()?;
        if entries.is_empty() {
            return Ok(0);
        }
        in_transaction!(self, |tx| {
            let before = head(tx).await?.ok_or(Refusal::NotFound)?;
            let mut edge = edge(tx, &before).await?;
            let first = before.size;
            for entry in &entries {
                edge.push(entry.hash);
            }
            note_places(tx, &entries, first).await?;
            let (size, root) = (edge.size(), edge.root());
            advance(tx, &before, size, &root, &sign(size, &root)).await?;
            for (id, tile) in edge.into_changed() {
                put_tile(tx, id, &tile).await?;
            }
            Ok(entries.len())
        })
    }

    async fn log_tile(&self, tile: TileId) -> Result<Option<Vec<u8>>, Error> {
        let mut connection = self.readers.acquire().await?;
        tile_bytes(&mut connection, tile).await
    }
}

async fn head(tx: &mut Connection) -> Result<Option<LogHead>, Error> {
    let row = sqlx::query("SELECT size, root, note FROM log_heads WHERE id = 1").fetch_optional(tx).await?;
    let head = row.map(|row| {
        let root = row::bytes(&row, "log_heads", "root")?;
        Ok(LogHead { size: row.try_get("size")?, root, note: row.try_get("note")? })
    });
    head.transpose()
}

/// The edge of the tree, once it is the tree of the head: a log that would contradict itself is never signed.
async fn edge(tx: &mut Connection, head: &LogHead) -> Result<Edge, Error> {
    let corrupt = || Error::Corrupt { table: "log_tiles", column: "hashes" };
    let size = u64::try_from(head.size).map_err(|_| Error::Corrupt { table: "log_heads", column: "size" })?;
    let mut tiles = std::collections::BTreeMap::new();
    for id in Edge::tiles(size) {
        let bytes = tile_bytes(tx, id).await?.ok_or_else(corrupt)?;
        tiles.insert(id, Tile::parse(&bytes).ok_or_else(corrupt)?);
    }
    let edge = Edge::new(size, |id| tiles.remove(&id)).ok_or_else(corrupt)?;
    if edge.root() == head.root { Ok(edge) } else { Err(corrupt()) }
}

/// Notes the places of entries, from `first` on. Each must be without one so far.
async fn note_places(tx: &mut Connection, entries: &[Unlogged], first: i64) -> Result<(), Error> {
    let mut rest = entries;
    let mut place = first;
    while let Some(count) = ROWS.into_iter().find(|count| *count <= rest.len()) {
        let (now, later) = rest.split_at(count);
        let sql = note_sql(count);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for entry in now {
            query = query.bind(&entry.account).bind(entry.seq).bind(place);
            place += 1;
        }
        let done = query.execute(&mut *tx).await?;
        if done.rows_affected() != count as u64 {
            return Err(Refusal::LogMoved.into());
        }
        rest = later;
    }
    Ok(())
}

/// Only numbers are put into the text.
fn note_sql(count: usize) -> String {
    let rows: Vec<String> = (0..count)
        .map(|n| format!("SELECT ${} AS account, ${} AS number, ${} AS place", 3 * n + 1, 3 * n + 2, 3 * n + 3))
        .collect();
    format!(
        "UPDATE audit SET log_index = new.place FROM ({}) AS new
         WHERE audit.account_id = new.account AND audit.seq = new.number AND audit.log_index IS NULL",
        rows.join(" UNION ALL ")
    )
}

/// Advances the head from exactly `before`.
async fn advance(tx: &mut Connection, before: &LogHead, size: u64, root: &Digest, note: &str) -> Result<(), Error> {
    let size = i64::try_from(size).map_err(|_| Error::Corrupt { table: "log_heads", column: "size" })?;
    let done =
        sqlx::query("UPDATE log_heads SET size = $1, root = $2, note = $3 WHERE id = 1 AND size = $4 AND root = $5")
            .bind(size)
            .bind(&root[..])
            .bind(note)
            .bind(before.size)
            .bind(&before.root[..])
            .execute(tx)
            .await?;
    exactly_one(&done, Refusal::LogMoved)
}

async fn put_tile(tx: &mut Connection, id: TileId, tile: &Tile) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO log_tiles (level, number, hashes) VALUES ($1, $2, $3)
         ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
    )
    .bind(i64::from(id.level))
    .bind(number_of(id))
    .bind(tile.to_bytes())
    .execute(tx)
    .await?;
    Ok(())
}

async fn tile_bytes(tx: &mut Connection, id: TileId) -> Result<Option<Vec<u8>>, Error> {
    let row = sqlx::query("SELECT hashes FROM log_tiles WHERE level = $1 AND number = $2")
        .bind(i64::from(id.level))
        .bind(number_of(id))
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| row.try_get("hashes")).transpose()?)
}

/// Numbers of tiles stay far below this.
fn number_of(id: TileId) -> i64 {
    i64::try_from(id.index).unwrap_or(i64::MAX)
}

fn unlogged_of(row: &SqlRow) -> Result<Unlogged, Error> {
    Ok(Unlogged {
        account: row.try_get("account_id")?,
        seq: row.try_get("seq")?,
        hash: row::bytes(row, "audit", "hash")?,
    })
}
