//! The account on this computer: where its state lies, which service it is at, who is before the screen.

mod backup_codes;
mod kept;
mod kit;
mod mailed_code;
mod person;
mod totp;

use std::path::PathBuf;

use clap::Args;
use drive_ops::account::state_folder;
use vault_client::Delivery;

pub(crate) use backup_codes::keep_backup_codes;
pub(crate) use drive_ops::account::{HttpClient, explain};
pub(crate) use kept::{KeptFile, may_have_happened};
pub(crate) use kit::{keep_kit, kit_code};
pub(crate) use mailed_code::mailed_code;
pub(crate) use person::{Person, PersonArgs};
pub(crate) use totp::{picture, show_totp};

use crate::failure::Outcome;
use crate::output;

/// Which account service, and where this computer keeps what it knows about the account.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct AccountArgs {
    /// Address of the account service, such as https://keys.example.org; needed once
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url, env = "KEYHAVEN_SERVER")]
    pub(crate) server: Option<String>,
    /// Folder for session, device key, outbox and receipts
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath, env = "KEYHAVEN_STATE")]
    pub(crate) state: Option<PathBuf>,
}

impl AccountArgs {
    /// The client. Saves that wait in the outbox are delivered first.
    pub(crate) fn open(&self) -> Outcome<HttpClient> {
        let client = self.client()?;
        if client.state().waiting().map_err(|error| explain(&error))? > 0 {
            match client.deliver_outbox() {
                Ok(delivery) => tell_delivery(&delivery),
                Err(error) => output::note(&format!("warning: saved keys still wait in the outbox: {error}")),
            }
        }
        Ok(client)
    }

    /// The client, without delivering anything.
    pub(crate) fn client(&self) -> Outcome<HttpClient> {
        let client = drive_ops::account::client(self.server.as_deref(), state_folder(self.state.as_deref())?)?;
        Ok(client
            .telling_backup_codes(tell_backup_codes)
            .telling_log_faults(tell_log_fault)
            .asking_for_mailed_codes(|| mailed_code(None).inspect_err(|failure| output::note(&failure.error)).ok()))
    }
}

/// Tells that the service contradicts itself. What is being saved is saved all the same.
fn tell_log_fault(error: &vault_client::Error) {
    let failure = explain(error);
    let cause = failure.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    output::note(&format!("warning: {}{cause}; check it with `keyhaven audit verify`", failure.error));
}

/// Tells how many backup codes are left after one was used.
fn tell_backup_codes(left: u32) {
    let more = if left < 4 { "; make new ones with `keyhaven factors backup-codes`" } else { "" };
    output::note(&format!("a backup code was used up; {left} left{more}"));
}

/// Tells what happened to saves that had waited.
pub(crate) fn tell_delivery(delivery: &Delivery) {
    let keys = |count: usize| if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
    if !delivery.saved.is_empty() {
        output::note(&format!("{} that waited here is now saved to the account", keys(delivery.saved.len())));
    }
    if let Some((_, why)) = delivery.waiting.first() {
        let count = keys(delivery.waiting.len());
        output::note(&format!("warning: {count} not yet saved; nothing is lost, it waits here sealed: {why}"));
    }
}
