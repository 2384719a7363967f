//! `keyhaven account reset-factors`: a new second factor when all are lost.

use std::cell::RefCell;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vault_client::LostFactors;
use vault_client::problem::Code;

use super::account::email_of;
use super::factors::{NewFactorArgs, add_first};
use super::recover::{failure, kept};
use crate::account::{AccountArgs, KeptFile, PersonArgs, explain, keep_kit, kit_code, mailed_code};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::times::time;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account reset-factors --email ada@example.org\n\n\
    Another authenticator or a backup code is quicker: sign in with it and run `keyhaven factors add`. When everything is \
    lost, the password and a code that is mailed begin a delay of seven days. It is announced, and a second factor that is \
    found again cancels it as soon as it is used. After the delay, run the same command with --finish: it adds a new \
    authenticator, and the lost ones are removed. With --kit-file the emergency kit takes the place of a password that is lost, \
    too. Two-factor authentication is on all the time, and computers keep saving keys.")]
pub(crate) struct ResetFactorsArgs {
    /// Finish it, after the delay
    #[arg(long)]
    finish: bool,
    /// E-mail address of the account; this computer remembers it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The password is lost, too: file with the emergency kit, or with its code alone (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    kit_file: Option<PathBuf>,
    /// Write the new emergency kit to this new file instead of showing it
    #[arg(long, value_name = "FILE", requires = "kit_file")]
    kit_out: Option<PathBuf>,
    /// File with the code from the mail (else KEYHAVEN_MAILED_CODE, else it is asked for)
    #[arg(long, value_name = "FILE")]
    mailed_code_file: Option<PathBuf>,
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_ACCOUNT_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE", requires = "kit_file")]
    new_account_password_file: Option<PathBuf>,
    #[command(flatten)]
    factor: NewFactorArgs,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &ResetFactorsArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let email = email_of(&client, arguments.email.as_ref())?;
    let mut person = arguments.person.person()?;
    let left = match &arguments.kit_file {
        None => LostFactors::Password(person.password()?),
        Some(file) => LostFactors::Kit {
            code: kit_code(Some(file))?,
            new_password: person.other_new_password(&email, arguments.new_account_password_file.as_deref())?,
        },
    };
    let asking = RefCell::new(None);
    let mut mailed =
        || kept(mailed_code(arguments.mailed_code_file.as_deref()), &asking).map(|code| code.expose().to_owned());
    let mut kit_file = KeptFile::new(arguments.kit_out.as_deref());
    let mut keep = |kit: &vault_client::Kit| kept(kit_file.keep(|file| keep_kit(kit, file)), &asking).unwrap_or(false);
    let done = client.reset_factors(&email, &left, !arguments.finish, &mut mailed, &mut keep);
    if let Err(error) = done {
        if let vault_client::Error::Problem(problem) = &error
            && let (Some(Code::RecoverWaiting), Some(at)) = (Code::parse(&problem.code), problem.at)
        {
            return waits(arguments, &email, at, json);
        }
        kit_file.discard(&error);
        if kit_file.may_count(&error) {
            return Err(explain(&error).hint(
                "the new password may be set all the same: keep both kits, and run this again with the new password and \
                 without --kit-file",
            ));
        }
        return Err(asking.into_inner().unwrap_or_else(|| failure(&error)));
    }
    output::note("the delay is over; now the new authenticator");
    add_first(&client, &arguments.factor, &mut person).map_err(|failure| {
        let hint = failure.hint.clone().map(|hint| format!("{hint}; then ")).unwrap_or_default();
        failure.hint(format!("{hint}add it with `keyhaven factors add`: until then the lost ones count"))
    })?;
    let document = json!({ "email": email, "reset": true, "two_factor": true });
    let text = "The new authenticator is added, and the lost ones are removed; two-factor is on.\n\n\
        Next: make new backup codes.\n  keyhaven factors backup-codes\n";
    output::report(json, &document, text)
}

fn waits(arguments: &ResetFactorsArgs, email: &str, at: i64, json: bool) -> Outcome {
    if arguments.finish {
        let mut failure = Failure::no(format!("the delay is not over: it ends {}", time(at)))
            .hint("run it again after that; an authenticator or backup code that turns up is good at once");
        failure.code = Some(Code::RecoverWaiting.code().to_owned());
        return Err(failure);
    }
    let document = json!({ "email": email, "reset": false, "finish_after": time(at) });
    let text = format!(
        "The reset has begun; it can be finished from {} on, for a week:\n  keyhaven account reset-factors --finish\n\
         Mails tell of it until then. Two-factor stays on, and computers keep saving.\n",
        time(at)
    );
    output::report(json, &document, &text)
}
