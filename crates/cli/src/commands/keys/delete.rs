//! `keyhaven keys delete`: a saved key goes, after a delay in which this can be cancelled.

use clap::Args;
use serde_json::json;
use vault_client::{RecordSummary, WaitView, wait_kind};

use super::{choose, deletions, name_of};
use crate::account::{AccountArgs, HttpClient, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{output, prompt};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys delete 5F2B0A11\n\n\
    Nothing happens for 30 days (whoever runs the service may have set more), and mails \
    tell of it. Until then the key can be shown and the deletion cancelled: keyhaven keys delete 5F2B0A11 --undo\n\n\
    The drive keeps its key: a key that was deleted here and is still on the drive is a way in that nobody has any more.")]
pub(crate) struct DeleteArgs {
    /// Start of the key ID: the 8 characters on the locked screen
    #[arg(value_name = "KEY_ID")]
    key_id: String,
    /// Keep the key after all: cancel its deletion
    #[arg(long, conflicts_with = "yes")]
    undo: bool,
    /// Do not ask whether this is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(super) fn run(arguments: &DeleteArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let records = client.find_records(&arguments.key_id).map_err(|error| explain(&error))?;
    if arguments.undo {
        return undo(arguments, &client, &records, json);
    }
    // A key that was saved several times has several records: those that go already are not meant.
    let going = deletions(&client)?;
    let is_kept = |record: &&RecordSummary| !going.contains_key(&record.record_id.to_string());
    let kept: Vec<RecordSummary> = records.iter().filter(is_kept).cloned().collect();
    if kept.is_empty() && !records.is_empty() {
        return Err(Failure::no(format!("the key {} is about to be deleted already", arguments.key_id))
            .hint("`keyhaven keys list` tells when"));
    }
    let record = choose(&arguments.key_id, &kept)?;
    let name = name_of(record);
    if !arguments.yes {
        ask(&name)?;
    }
    let mut person = arguments.person.person()?.at(&client);
    let begun = person.confirm(|presence| client.begin_delete_record(record.record_id, presence))?;
    let more = kept.len() - 1;
    let document =
        json!({ "record": record.record_id.to_string(), "delete_at": time(begun.due_at), "more_of_this_key": more });
    let mut text = format!(
        "{name} is kept until {}, and then deleted for good. A mail tells of it. To keep it:\n  keyhaven keys delete {} --undo\n",
        time(begun.due_at),
        arguments.key_id
    );
    if more > 0 {
        text.push_str(&format!("This key was saved {more} more times; run the same command again for each.\n"));
    }
    output::report(json, &document, &text)
}

fn ask(name: &str) -> Outcome {
    prompt::show(&format!(
        "\n{name} will be deleted from the account for good after a delay. The drive is not changed:\n\
         while it has this key, nobody could open it with the account any more.\n\n"
    ))
    .map_err(|failure| failure.hint("say that it is meant with --yes"))?;
    if prompt::line("Type \"delete\" to go on")?.trim() == "delete" {
        Ok(())
    } else {
        Err(Failure::no("nothing was changed: the key is kept"))
    }
}

fn undo(arguments: &DeleteArgs, client: &HttpClient, records: &[RecordSummary], json: bool) -> Outcome {
    let waits = client.waits().map_err(|error| explain(&error))?;
    let ids: Vec<String> = records.iter().map(|record| record.record_id.to_string()).collect();
    let meant = |wait: &&WaitView| wait.kind == wait_kind::DELETE_RECORD && ids.contains(&wait.target);
    let mut cancelled = 0;
    for wait in waits.iter().filter(meant) {
        client.cancel_wait(wait.wait_id).map_err(|error| explain(&error))?;
        cancelled += 1;
    }
    if cancelled == 0 {
        return Err(Failure::no(format!("no key {} is about to be deleted", arguments.key_id))
            .hint("`keyhaven keys list` lists what is saved"));
    }
    output::report(json, &json!({ "cancelled": cancelled }), "Cancelled: the key is kept.\n")
}
