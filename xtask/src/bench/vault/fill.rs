//! Rows by the million, made inside the database: accounts with devices, and records of the usual size.
//!
//! Filled records are random bytes of the lengths that real ones have; nobody opens them. Only the signed save is one that was
//! really made, since the service reads it for a listing. What is measured on top of them is real.

use std::fmt::Write;

use anyhow::Result;

use super::engine::Engine;

/// Lengths of the columns of a real record: header, either part, receipt, audit entry.
const HEADER: usize = 330;
const PART: usize = 2040;
const RECEIPT: usize = 850;
const ENTRY: usize = 520;
/// Records of each account that is made to hold them.
const EACH: usize = 10;
/// Records in one transaction.
const BATCH: usize = 50_000;

/// One device that will save, in hexadecimal.
pub(super) struct Person {
    pub(super) account: String,
    pub(super) device: String,
    pub(super) key: String,
    pub(super) certificate: String,
}

/// Accounts and devices whose saves are prepared.
pub(super) fn people(engine: &Engine, people: &[Person]) -> Result<()> {
    let bytes = |hex: &str| engine.bytes_literal(hex);
    let zeros = bytes(&"00".repeat(32));
    let (mut sql, mut last) = (String::new(), "");
    for person in people {
        let account = bytes(&person.account);
        if last != person.account {
            last = &person.account;
            // Writing to a String cannot fail.
            let _ = writeln!(
                sql,
                "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor, created_at)
                 VALUES ({account}, '{}@load.example.org', {zeros}, 1, 1, 1, 'active', TRUE, 0);
                 INSERT INTO audit_heads (account_id, seq, hash) VALUES ({account}, 0, {zeros});",
                person.account
            );
        }
        let (device, key, certificate) = (bytes(&person.device), bytes(&person.key), bytes(&person.certificate));
        let _ = writeln!(
            sql,
            "INSERT INTO devices (id, account_id, pk, alg, certificate, capability, state, created_at, seen_at)
             VALUES ({device}, {account}, {key}, 'ed25519', {certificate}, 'records.append', 'active', 0, 0);"
        );
    }
    engine.sql(&sql)
}

/// Gives every person who lists so many records.
pub(super) fn listings(engine: &Engine, each: usize) -> Result<()> {
    engine.sql(&format!(
        "CREATE TABLE bench_new AS SELECT a.id AS account_id, {id} AS id FROM accounts a, {series}
           WHERE email_norm LIKE 'person-%';
         {rows}",
        id = random(engine, 16),
        series = series(engine, each),
        rows = rows_of_new(engine),
    ))
}

/// Adds accounts with records until so many were added.
pub(super) fn records(engine: &Engine, records: usize) -> Result<()> {
    for first in (0..records).step_by(BATCH) {
        let count = BATCH.min(records - first);
        let zeros = engine.bytes_literal(&"00".repeat(32));
        engine.sql(&format!(
            "CREATE TABLE bench_accounts AS SELECT {id} AS id, s.value AS n FROM {accounts};
             INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor, created_at)
               SELECT id, 'filler-{first}-' || n, {record}, 1, 1, 1, 'active', TRUE, 0 FROM bench_accounts;
             INSERT INTO audit_heads (account_id, seq, hash) SELECT id, 0, {zeros} FROM bench_accounts;
             INSERT INTO devices (id, account_id, pk, alg, certificate, capability, state, created_at, seen_at)
               SELECT {id}, id, {key}, 'ed25519', {certificate}, 'records.append', 'active', 0, 0 FROM bench_accounts;
             CREATE TABLE bench_new AS SELECT a.id AS account_id, {id} AS id FROM bench_accounts a, {each};
             {rows}
             DROP TABLE bench_accounts;",
            id = random(engine, 16),
            record = random(engine, 192),
            key = random(engine, 32),
            certificate = random(engine, 4600),
            accounts = series(engine, count / EACH),
            each = series(engine, EACH),
            rows = rows_of_new(engine),
        ))?;
    }
    Ok(())
}

/// Everything that a save leaves, for each row of `bench_new`.
fn rows_of_new(engine: &Engine) -> String {
    let random = |bytes| random(engine, bytes);
    format!(
        "INSERT INTO records (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, received_at)
           SELECT account_id, id, account_id, 'bitlocker-recovery-password', {header}, {part}, {part}, {save}, {hash}, 0
           FROM bench_new ORDER BY account_id, id;
         INSERT INTO record_state (account_id, record_id, state) SELECT account_id, id, 'live' FROM bench_new;
         INSERT INTO record_index (scope, scope_id, \"full\", account_id, record_id, prefix)
           SELECT 'account', account_id, {index}, account_id, id, {index} FROM bench_new;
         INSERT INTO audit (account_id, seq, prev, hash, body)
           SELECT account_id, 1000000 + ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY id), {hash}, {hash}, {entry}
           FROM bench_new;
         INSERT INTO receipts (account_id, record_id, audit_seq, body) SELECT account_id, id, 1, {receipt} FROM bench_new;
         DROP TABLE bench_new;",
        header = random(HEADER),
        part = random(PART),
        save = "(SELECT signature FROM records LIMIT 1)",
        hash = random(32),
        index = random(16),
        entry = random(ENTRY),
        receipt = random(RECEIPT),
    )
}

/// So many random bytes, other ones in each row.
fn random(engine: &Engine, bytes: usize) -> String {
    if !engine.is_postgres() {
        return format!("randomblob({bytes})");
    }
    let hashes = (0..bytes.div_ceil(64)).map(|_| "sha512(random()::text::bytea)").collect::<Vec<_>>();
    format!("substring({} FROM 1 FOR {bytes})", hashes.join(" || "))
}

/// A table `s` whose column `value` counts.
fn series(engine: &Engine, count: usize) -> String {
    if engine.is_postgres() {
        format!("generate_series(1, {count}) s(value)")
    } else {
        format!("generate_series(1, {count}) s")
    }
}
