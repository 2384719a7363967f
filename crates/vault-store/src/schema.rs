//! The schema, step by step. Steps are only ever added, each in the words of both engines.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One step.
struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// The step of the two files that have this name.
macro_rules! step {
    ($version:literal, $file:literal) => {
        Step {
            version: $version,
            name: $file,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $file, ".sql")),
        }
    };
}

const STEPS: &[Step] = &[
    step!(1, "0001_accounts"),
    step!(2, "0002_presence"),
    step!(3, "0003_records"),
    step!(4, "0004_backup_codes"),
    step!(5, "0005_confirmed_by"),
    step!(6, "0006_log"),
    step!(7, "0007_passkeys"),
    step!(8, "0008_waits"),
    step!(9, "0009_outbox_mail"),
    step!(10, "0010_devices_next"),
    step!(11, "0011_counts"),
    step!(12, "0012_purged"),
    step!(13, "0013_new_keys"),
];

/// For SQLite.
pub(crate) fn sqlite() -> Migrator {
    first(STEPS.len(), |step| step.sqlite)
}

/// For PostgreSQL.
pub(crate) fn postgres() -> Migrator {
    postgres_first(STEPS.len())
}

/// It takes no lock of its own: not every engine that speaks the protocol of PostgreSQL has advisory locks.
fn postgres_first(count: usize) -> Migrator {
    let mut migrator = first(count, |step| step.postgres);
    migrator.set_locking(false);
    migrator
}

/// The first `count` steps in the words of one engine.
fn first(count: usize, sql: fn(&Step) -> &'static str) -> Migrator {
    let steps = STEPS.iter().take(count).map(|step| {
        Migration::new(step.version, step.name.into(), MigrationType::Simple, sql(step).into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// The first `count` steps for SQLite: what an older version left.
#[cfg(test)]
pub(crate) fn sqlite_until(count: usize) -> Migrator {
    first(count, |step| step.sqlite)
}

/// The same for PostgreSQL.
#[cfg(test)]
pub(crate) fn postgres_until(count: usize) -> Migrator {
    postgres_first(count)
}
