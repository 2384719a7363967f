//! `keyhaven account two-factor` and `keyhaven account cancel`: whether a second factor is asked for, and the delays before
//! that changes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vault_client::problem::Code;
use vault_client::{Error, WaitView, wait_kind};

use super::factors::{AddArgs, add};
use crate::account::{AccountArgs, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{output, prompt, secrets};

#[derive(Debug, Subcommand)]
pub(crate) enum TwoFactorCommand {
    /// Whether the account asks for a second factor, and what is about to change
    Status(StatusArgs),
    /// Have the account stop asking for a second factor, after 24 hours that are announced; saving stays the same
    Off(OffArgs),
    /// Keep two-factor on: cancel what `off` began
    #[command(after_help = "Example: keyhaven account two-factor cancel")]
    Cancel(StatusArgs),
    /// Add an authenticator; from then on the account asks for a second factor
    On(OnArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account two-factor status")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account two-factor off\n\n\
    Saving recovery keys never asks for a second factor: this changes nothing about it. Without one, whoever has the password and \
    reads your mail can read your keys. Every authenticator and backup code is forgotten when the 24 hours are over.")]
pub(crate) struct OffArgs {
    /// Do not ask whether this is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account two-factor on --label phone")]
pub(crate) struct OnArgs {
    #[command(flatten)]
    add: AddArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account cancel --server https://keys.example.org\n\n\
    With the code of the mail nobody has to be signed in. Who is signed in needs no code: every change that waits is cancelled.")]
pub(crate) struct CancelArgs {
    /// File with the code of the mail (`-`: standard input; else KEYHAVEN_CANCEL_CODE, else it is asked for)
    #[arg(long, value_name = "FILE")]
    cancel_code_file: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArgs,
}

const CODE_VARIABLE: &str = "KEYHAVEN_CANCEL_CODE";

pub(crate) fn run(command: &TwoFactorCommand, json: bool) -> Outcome {
    match command {
        TwoFactorCommand::Status(arguments) => status(arguments, json),
        TwoFactorCommand::Off(arguments) => off(arguments, json),
        TwoFactorCommand::Cancel(arguments) => keep_on(arguments, json),
        TwoFactorCommand::On(arguments) => add(&arguments.add, json),
    }
}

fn status(arguments: &StatusArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let account = client.account().map_err(|error| explain(&error))?;
    let waits = client.waits().map_err(|error| explain(&error))?;
    let document = json!({
        "two_factor": account.two_factor, "off_at": account.off_at.map(time),
        "waiting": waits.iter().map(|wait| json!({
            "kind": wait.kind, "begun": time(wait.begun_at), "begun_by": wait.begun_by, "due": time(wait.due_at),
        })).collect::<Vec<_>>(),
    });
    let mut text = if account.two_factor {
        "Two-factor authentication is on.\n".to_owned()
    } else {
        "Two-factor authentication is off; an authenticator is added with `keyhaven account two-factor on`.\n"
            .to_owned()
    };
    for wait in &waits {
        text.push_str(&line(wait));
    }
    output::report(json, &document, &text)
}

fn line(wait: &WaitView) -> String {
    let what = match wait.kind.as_str() {
        wait_kind::OFF => "The account stops asking for a second factor",
        wait_kind::RESET => "The second factors can be replaced by a new one",
        wait_kind::NEW_KEYS => "The account can get new keys: its password and its kit are said to be lost",
        wait_kind::DELETE_RECORD => "A saved key is deleted",
        wait_kind::DELETE_ACCOUNT => "The account is deleted",
        _ => "Something changes",
    };
    format!("{what} on {}, unless it is cancelled with `keyhaven account cancel`.\n", time(wait.due_at))
}

fn off(arguments: &OffArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    client.account().map_err(|error| explain(&error))?;
    if !arguments.yes {
        prompt::show(
            "\nIn 24 hours the account will stop asking for a second factor. Whoever has the password and reads\n\
             your mail can read your keys then. Saving is the same in either case: it never asks for one.\n\n",
        )
        .map_err(|failure| failure.hint("say that it is meant with --yes"))?;
        if prompt::line("Type \"no second factor\" to go on")?.trim() != "no second factor" {
            return Err(Failure::no("nothing was changed: two-factor stays on"));
        }
    }
    let mut person = arguments.person.person()?.at(&client);
    let begun = person.confirm(|presence| client.begin_two_factor_off(presence))?;
    let document = json!({ "two_factor": true, "off_at": time(begun.due_at) });
    let text = format!(
        "Two-factor stays on until {}; to keep it on, cancel this:\n  keyhaven account two-factor cancel\n\
         A mail tells of it. Saving keys goes on as before, now and afterwards.\n",
        time(begun.due_at)
    );
    output::report(json, &document, &text)
}

fn keep_on(arguments: &StatusArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let waits = client.waits().map_err(|error| explain(&error))?;
    let Some(wait) = waits.iter().find(|wait| wait.kind == wait_kind::OFF) else {
        return Err(nothing_to_cancel());
    };
    client.cancel_wait(wait.wait_id).map_err(|error| explain(&error))?;
    output::report(json, &json!({ "two_factor": true, "cancelled": 1 }), "Cancelled: two-factor stays on.\n")
}

fn nothing_to_cancel() -> Failure {
    Failure::no("there is nothing to cancel: nothing is about to change")
        .hint("`keyhaven account two-factor status` tells how things are")
}

fn is_signed_out(error: &Error) -> bool {
    matches!(error, Error::NotSignedIn) || error.is(Code::AuthSessionExpired)
}

/// `keyhaven account cancel`
pub(crate) fn cancel(arguments: &CancelArgs, json: bool) -> Outcome {
    let client = arguments.account.client()?;
    let given = match &arguments.cancel_code_file {
        Some(file) => Some(secrets::password_from(file)?),
        None => secrets::variable(CODE_VARIABLE)?,
    };
    let waits = match &given {
        Some(_) => None,
        None => match client.waits() {
            Ok(waits) => Some(waits),
            // Nobody is signed in here: the code of the mail does it, too.
            Err(error) if is_signed_out(&error) => None,
            Err(error) => return Err(explain(&error)),
        },
    };
    let cancelled = match (given, waits) {
        (None, Some(waits)) => {
            let mut cancelled = 0;
            for wait in &waits {
                match client.cancel_wait(wait.wait_id) {
                    Ok(()) => cancelled += 1,
                    // It ended meanwhile; the others are still there.
                    Err(error) if error.is(Code::WaitOver) => {}
                    Err(error) => return Err(explain(&error)),
                }
            }
            cancelled
        }
        (given, _) => {
            let code = match given {
                Some(code) => code,
                None => prompt::visible_secret("code of the mail that told of it")
                    .map_err(|failure| failure.hint(format!("use --cancel-code-file or set {CODE_VARIABLE}")))?,
            };
            client.cancel_wait_with_code(code.expose()).map_err(|error| explain(&error))?;
            1
        }
    };
    if cancelled == 0 {
        return Err(nothing_to_cancel());
    }
    let text = "Cancelled. If it was not you who began it, change the password: `keyhaven account password`.\n";
    output::report(json, &json!({ "cancelled": cancelled }), text)
}
