//! `keyhaven account delete`: the account goes with everything in it, after a delay in which this can be cancelled.

use clap::Args;
use serde_json::json;

use crate::account::{AccountArgs, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{output, prompt};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account delete\n\n\
    Nothing happens for 30 days (whoever runs the service may have set more), and mails tell of it. Until then everything goes on, and \
    `keyhaven account cancel` keeps the account. Take the keys along first: keyhaven keys export --out keys.age")]
pub(crate) struct DeleteArgs {
    /// Do not ask whether this is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &DeleteArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let account = client.account().map_err(|error| explain(&error))?;
    if !arguments.yes {
        let keys = client.records().map_err(|error| explain(&error))?.len();
        prompt::show(&format!(
            "\nThe account {} will be deleted after a delay, and with it its {keys} saved keys. Nobody can bring\n\
             them back then. Drives are not changed, and computers no longer save to it.\n\n",
            account.email
        ))
        .map_err(|failure| failure.hint("say that it is meant with --yes"))?;
        if prompt::line("Type the e-mail address of the account to go on")?.trim() != account.email {
            return Err(Failure::no("nothing was changed: the account is kept"));
        }
    }
    let mut person = arguments.person.person()?.at(&client);
    let begun = person.confirm(|presence| client.begin_delete_account(presence))?;
    let document = json!({ "delete_at": time(begun.due_at) });
    let text = format!(
        "The account is kept until {}, and then deleted for good. A mail tells of it. To keep it:\n  keyhaven account cancel\n",
        time(begun.due_at)
    );
    output::report(json, &document, &text)
}
