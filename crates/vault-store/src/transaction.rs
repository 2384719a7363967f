//! Writing: a transaction that is tried again when it met another one.

use std::time::Duration;

use crate::Error;

/// Runs a body in one serialisable transaction and commits it: `in_transaction!(store, |tx| { ...; Ok(value) })`.
///
/// The body is the content of an `async` block; `tx` is a mutable reference to the connection, `?` and `return` end the body. When it
/// ends with an error, nothing is changed. When the transaction met another one, it runs once more: it must not have effects of its
/// own. What it returned is handed on only after the commit is durable.
macro_rules! in_transaction {
    ($store:expr, |$tx:ident| $body:block) => {{
        let mut tries = 0;
        let begun = std::time::Instant::now();
        let done = loop {
            let mut held = $store.begin().await?;
            let result: Result<_, crate::Error> = {
                let $tx = held.connection()?;
                async { $body }.await
            };
            match held.end(result).await {
                Err(error) if crate::transaction::may_try_again(&error, tries) => {
                    tries += 1;
                    crate::transaction::pause(tries).await;
                }
                done => break done,
            }
        };
        $store.write_times.ended(begun, &done);
        done
    }};
}
pub(crate) use in_transaction;

/// Tries of one transaction. Each round at least one of those that met gets through.
const MAX_TRIES: u32 = 40;
/// Longest pause between two tries.
const LONGEST_PAUSE_MS: u64 = 64;

/// Whether a transaction met another one and has tries left. Codes of PostgreSQL and the engines that speak its protocol: 40001
/// serialization_failure, 40P01 deadlock_detected, and 23505 unique_violation where no refusal was made of it: then the row came
/// between the look for it and the insertion, and the next try sees it.
pub(crate) fn may_try_again(error: &Error, tries: u32) -> bool {
    let Error::Database(sqlx::Error::Database(cause)) = error else { return false };
    match cause.code().as_deref() {
        Some("40001" | "40P01" | "23505") => tries < MAX_TRIES,
        _ => false,
    }
}

/// Waits a little, longer each time, and never as long as another one that waits.
pub(crate) async fn pause(tries: u32) {
    let most = (1_u64 << tries.min(6)).min(LONGEST_PAUSE_MS);
    let spread = std::collections::hash_map::RandomState::new();
    let micros = std::hash::BuildHasher::hash_one(&spread, tries) % (most * 1000);
    tokio::time::sleep(Duration::from_micros(micros)).await;
}
