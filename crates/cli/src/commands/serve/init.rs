//! `keyhaven serve --init`: everything that a first start needs, and what its operator has to know.

use std::time::Duration;

use serde_json::json;
use vault_server::{Config, create_invite, prepare};
use zeroize::Zeroizing;

use super::explain;
use crate::failure::{Failure, Outcome};
use crate::output;

/// How long the invite for the first account is good.
const INVITE_HOURS: u64 = 72;

pub(super) async fn run(config: &Config, listen: &str, json: bool) -> Outcome {
    if config.database.is_none() && config.database_file().exists() {
        let failure = Failure::no(format!("there is a database: {}", config.database_file().display()));
        return Err(
            failure.hint("start the service with `keyhaven serve`; `keyhaven serve invite` makes another invite")
        );
    }
    prepare(config).await.map_err(|error| explain(&error))?;
    let invite =
        create_invite(config, Duration::from_secs(INVITE_HOURS * 3600)).await.map_err(|error| explain(&error))?;
    let invite = Zeroizing::new(invite);
    let (database, keys) = (places(config), keys(config));
    let origin = config.origin.clone().unwrap_or_else(|| format!("http://{listen}"));
    let document = json!({
        "database": database, "keys": keys, "invite": *invite, "hours": INVITE_HOURS, "origin": origin,
        "back_up": { "database": database, "keys": keys },
    });
    let back_up = if config.database.is_none() {
        "     every day:   keyhaven serve backup --to FILE    (while the service runs)"
    } else {
        "     every day:   pg_dump, or a base backup with the write-ahead log (docs/OPERATION.md)"
    };
    let text = Zeroizing::new(format!(
        "The service is set up.\n\n\
         Back up, in two places that nobody reaches together: both of them allow guessing passwords.\n\
         \x20 1. the database   {database}\n{back_up}\n\
         \x20 2. the keys       {keys}\n\
         \x20    once, now: they never change. Without them nobody can sign in again.\n\n\
         Next\n\
         \x20 keyhaven serve --check                 what is in force\n\
         \x20 keyhaven serve                         start it\n\
         \x20 keyhaven account sign-up --server {origin}\n\
         \x20                                        the first account, with this invite, good for {INVITE_HOURS} hours:\n\n\
         \x20 {}\n",
        *invite
    ));
    output::report(json, &document, &text)
}

fn places(config: &Config) -> String {
    config.database.as_ref().map_or_else(|| config.database_file().display().to_string(), ToString::to_string)
}

fn keys(config: &Config) -> String {
    match &config.key_command {
        Some(_) => "what the key command prints".to_owned(),
        None => config.key_file().display().to_string(),
    }
}
