//! `keyhaven serve backup` and `keyhaven serve restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use vault_server::{BackupError, Config, Holdings, back_up, restore as restore_database};

use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven serve backup --data /var/lib/keyhaven --to /mnt/backup/vault-2026-11-25.sqlite\n\n\
    The service may go on meanwhile: everything that it acknowledged before is in the backup. The backup is read again and checked \
    before it gets its name. The server's keys are not in it; keep them apart from it."
)]
pub(super) struct BackupArgs {
    /// New file for the backup
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    to: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven serve restore --data /var/lib/keyhaven --from /mnt/backup/vault-2026-11-25.sqlite\n\n\
    Overwrites nothing. Everybody has to sign in again; computers go on saving by themselves, and send again what the backup \
    does not hold."
)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from: PathBuf,
}

pub(super) async fn back_up_to(arguments: &BackupArgs, config: &Config, json: bool) -> Outcome {
    refuse_postgres(config, "pg_dump, or pg_basebackup with the write-ahead log,")?;
    let holdings = back_up(config, &arguments.to).await.map_err(|error| explain(&error, "no backup was made"))?;
    let text = format!(
        "The backup is {}\n  {}\n  read again and checked; the keys in {} are not in it\n",
        arguments.to.display(),
        told(&holdings),
        config.key_file().display()
    );
    output::report(json, &document(&holdings, &arguments.to.display().to_string()), &text)
}

pub(super) async fn restore(arguments: &RestoreArgs, config: &Config, json: bool) -> Outcome {
    refuse_postgres(config, "pg_restore, or a recovery from the base backup,")?;
    let restored = restore_database(config, &arguments.from).await;
    let holdings = restored.map_err(|error| explain(&error, "nothing was restored"))?;
    let database = config.database_file();
    let keys = if config.key_command.is_some() || config.key_file().exists() {
        String::new()
    } else {
        format!("Now put the key file back: {}\n", config.key_file().display())
    };
    let text = format!("The database is {}\n  {}\n{keys}", database.display(), told(&holdings));
    output::report(json, &document(&holdings, &database.display().to_string()), &text)
}

fn refuse_postgres(config: &Config, instead: &str) -> Outcome {
    match config.database {
        None => Ok(()),
        Some(_) => Err(Failure::no("the database is a PostgreSQL server, which has its own tools for this")
            .hint(format!("use {instead} as docs/OPERATION.md says"))),
    }
}

fn told(holdings: &Holdings) -> String {
    format!(
        "{} accounts, {} records, {} audit entries, {}",
        holdings.accounts,
        holdings.records,
        holdings.entries,
        output::size(holdings.bytes)
    )
}

fn document(holdings: &Holdings, file: &str) -> Value {
    json!({
        "file": file, "accounts": holdings.accounts, "records": holdings.records, "entries": holdings.entries,
        "schema": holdings.schema, "bytes": holdings.bytes,
    })
}

fn explain(error: &BackupError, what: &str) -> Failure {
    match error {
        BackupError::Exists(path) if path.extension().is_some_and(|end| end == "part" || end == "restoring") => {
            Failure::no(what).because(error).hint("another run may be at it; if not, it was left behind: remove it")
        }
        BackupError::Exists(_) => {
            Failure::no(what).because(error).hint("choose a name that is not taken; nothing is overwritten")
        }
        BackupError::NotOurs(_) => Failure::no(what).because(error),
        BackupError::Newer { .. } => {
            Failure::no(what).because(error).hint("use the version that wrote it, or a newer one")
        }
        BackupError::Damaged { .. } | BackupError::Chain { .. } => {
            Failure::no(what).because(error).hint("use another backup, and keep this one for whoever looks into it")
        }
        _ => Failure::could_not(what).because(error).hint("check the folder, its owner and the free space"),
    }
}
