//! `keyhaven account start-over`: password and kit are both lost, and the account gets new keys after a delay.

use std::cell::RefCell;
use std::path::PathBuf;

use clap::Args;
use secret::SecretString;
use serde_json::json;
use vault_client::problem::Code;
use vault_client::{Error, NewStart, SignInFactor, SignedIn};

use super::account::email_of;
use super::factors::{NewFactorArgs, add_first};
use super::recover::{failure, kept};
use crate::account::{AccountArgs, HttpClient, KeptFile, Person, PersonArgs, explain, keep_kit, mailed_code};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::times::time;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account start-over --email ada@example.org\n\n\
    The last way, when the password and the emergency kit are both lost and no passkey opens the account. A mailed code and a \
    code of the authenticator (or a backup code) begin a delay of seven days; with --factors-lost the mailed code alone begins one of \
    fourteen days. Signing in cancels it. After the delay, run the same command with --finish: the account gets a new password, a \
    new kit and new keys. What was saved before stays stored; only the kit of before can read it (`keyhaven keys bring-over`). \
    Then enrol each computer that still starts, so that its keys are saved again. Two-factor authentication is on all the time, and \
    computers keep saving keys.")]
pub(crate) struct StartOverArgs {
    /// Finish it, after the delay
    #[arg(long)]
    finish: bool,
    /// Every second factor is lost, too: a longer delay, and a new one is added at its end
    #[arg(long)]
    factors_lost: bool,
    /// E-mail address of the account; this computer remembers it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Write the new emergency kit to this new file instead of showing it
    #[arg(long, value_name = "FILE", requires = "finish")]
    kit_out: Option<PathBuf>,
    /// File with the code from the mail (else KEYHAVEN_MAILED_CODE, else it is asked for)
    #[arg(long, value_name = "FILE")]
    mailed_code_file: Option<PathBuf>,
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_ACCOUNT_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE", requires = "finish")]
    new_account_password_file: Option<PathBuf>,
    #[command(flatten)]
    factor: NewFactorArgs,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &StartOverArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let email = email_of(&client, arguments.email.as_ref())?;
    let mut person = arguments.person.person()?;
    let factor = if arguments.factors_lost {
        None
    } else {
        let code = person.code("code of your authenticator, or a backup code");
        let code =
            code.map_err(|failure| failure.hint("if every second factor is lost as well, add --factors-lost"))?;
        Some(SignInFactor::of(code))
    };
    let password = if arguments.finish {
        person.other_new_password(&email, arguments.new_account_password_file.as_deref())?
    } else {
        // It takes the place of one that is thought of at the end, and never counts.
        SecretString::from("")
    };
    let new = NewStart { email: email.clone(), password, factor };
    let asking = RefCell::new(None);
    let mut mailed =
        || kept(mailed_code(arguments.mailed_code_file.as_deref()), &asking).map(|code| code.expose().to_owned());
    let mut kit_file = KeptFile::new(arguments.kit_out.as_deref());
    let mut keep = |kit: &vault_client::Kit| {
        arguments.finish && kept(kit_file.keep(|file| keep_kit(kit, file)), &asking).unwrap_or(false)
    };
    match client.start_over(new, !arguments.finish, &mut mailed, &mut keep) {
        Ok(signed_in) => done(arguments, &client, &mut person, &email, &signed_in, json),
        Err(Error::KitNotConfirmed) if !arguments.finish => {
            Err(Failure::no("the delay is over already").hint("finish it: keyhaven account start-over --finish"))
        }
        Err(Error::Problem(problem)) if Code::parse(&problem.code) == Some(Code::RecoverWaiting) => {
            waits(arguments, &email, problem.at.unwrap_or_default(), json)
        }
        Err(error) => {
            kit_file.discard(&error);
            if kit_file.may_count(&error) {
                return Err(explain(&error).hint(
                    "the new password and the new kit may count all the same: keep the kit, and try `keyhaven account sign-in`",
                ));
            }
            Err(asking.into_inner().unwrap_or_else(|| failure(&error)))
        }
    }
}

fn done(
    arguments: &StartOverArgs,
    client: &HttpClient,
    person: &mut Person,
    email: &str,
    signed_in: &SignedIn,
    json: bool,
) -> Outcome {
    let SignedIn::Fully { fingerprint, must_add_factor, .. } = signed_in else {
        return Err(Failure::could_not("the service gave another session than was asked for"));
    };
    if *must_add_factor {
        output::note("the account has its new keys; now a new authenticator");
        add_first(client, &arguments.factor, person).map_err(|failure| {
            let hint = failure.hint.clone().map(|hint| format!("{hint}; then ")).unwrap_or_default();
            failure.hint(format!("{hint}the new keys count: add the authenticator with `keyhaven factors add`"))
        })?;
    }
    let document = json!({ "email": email, "renewed": true, "fingerprint": fingerprint, "two_factor": true });
    let text = format!(
        "The account has a new password, a new emergency kit and new keys; two-factor is on.\n  fingerprint {fingerprint}\n\n\
         Next, on each computer that still starts: let it save its keys again.\n  keyhaven device enrol\n\
         Another computer that was signed in asks once:\n  keyhaven account sign-in --accept-new-keys\n\
         Should the kit of before turn up, it brings the keys over:\n  keyhaven keys bring-over\n"
    );
    output::report(json, &document, &text)
}

fn waits(arguments: &StartOverArgs, email: &str, at: i64, json: bool) -> Outcome {
    if arguments.finish {
        let mut failure = Failure::no(format!("the delay is not over: it ends {}", time(at)))
            .hint("run it again after that; a password or a kit that turns up is good at once");
        failure.code = Some(Code::RecoverWaiting.code().to_owned());
        return Err(failure);
    }
    let document = json!({ "email": email, "renewed": false, "finish_after": time(at) });
    let factor = if arguments.factors_lost { " --factors-lost" } else { "" };
    let text = format!(
        "It has begun; the account can get its new keys from {} on, for a week:\n  keyhaven account start-over --finish{factor}\n\
         Mails tell of it until then, and signing in cancels it. Two-factor stays on, and computers keep saving.\n",
        time(at)
    );
    output::report(json, &document, &text)
}
