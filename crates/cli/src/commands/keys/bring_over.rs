//! `keyhaven keys bring-over`: the kit of before a new start turned up, and its keys move to the present ones.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vault_client::Outcome as Saved;

use crate::account::{AccountArgs, PersonArgs, explain, kit_code};
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys bring-over --kit-file old-kit.txt\n\n\
    For an account that began again with new keys (`keyhaven account start-over`): reads what was saved before with the emergency \
    kit of that time, and saves it again so that the account reads it as any other key. Nothing is removed.")]
pub(crate) struct BringOverArgs {
    /// File with the emergency kit of before, or with its code alone (`-`: standard input; else it is asked for)
    #[arg(long, value_name = "FILE")]
    kit_file: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(super) fn run(arguments: &BringOverArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let former =
        client.records().map_err(|error| explain(&error))?.iter().filter(|record| record.is_left_behind()).count();
    if former == 0 {
        return Err(Failure::no("the account has no keys of before a new start")
            .hint("every key that it has can be shown: keyhaven keys list"));
    }
    let kit = kit_code(arguments.kit_file.as_deref())?;
    let mut person = arguments.person.person()?.at(&client);
    let brought = person.confirm(|presence| client.bring_over(&kit, presence))?;
    let waiting = brought.outcomes.iter().filter(|outcome| matches!(outcome, Saved::Waiting { .. })).count();
    let saved = brought.outcomes.len() - waiting;
    let document = json!({
        "saved": saved, "waiting": waiting, "known": brought.known, "unreadable": brought.unreadable.len(),
        "left": brought.left,
    });
    let mut text = format!("{saved} keys are saved under the account's present keys.\n");
    for (count, what) in [
        (brought.known, "were there already"),
        (waiting, "wait here, sealed: `keyhaven keys deliver` sends them"),
        (brought.unreadable.len(), "cannot be read with this kit, and stay as they are"),
        (brought.left, "are left: run it again with a new code"),
    ] {
        if count > 0 {
            text.push_str(&format!("{count} {what}.\n"));
        }
    }
    output::report(json, &document, &text)
}
