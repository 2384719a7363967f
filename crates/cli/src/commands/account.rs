//! `keyhaven account`: make an account, sign in and out, look at it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vault_client::{Error, NewAccount, SignInFactor, SignedIn};

use super::factors::{NewFactorArgs, add_first};
use crate::account::{AccountArgs, HttpClient, KeptFile, PersonArgs, explain, keep_kit};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{output, prompt, secrets};

const INVITE_VARIABLE: &str = "KEYHAVEN_INVITE";

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account, with two-factor authentication on from the start
    SignUp(SignUpArgs),
    /// Sign in on this computer, with password and second factor
    SignIn(SignInArgs),
    /// Change the account's password; other sessions end, and every computer keeps saving
    Password(PasswordArgs),
    /// Set a new password after the old one is lost, with the emergency kit and a second factor
    Recover(RecoverArgs),
    /// Make a new emergency kit; the one before becomes void
    NewKit(super::new_kit::NewKitArgs),
    /// Replace second factors that are all lost, after a delay of seven days; two-factor authentication stays on
    ResetFactors(super::reset_factors::ResetFactorsArgs),
    /// Give the account new keys when password and emergency kit are both lost, after a delay of 7 or 14 days
    StartOver(super::start_over::StartOverArgs),
    /// Cancel a change of the account that was announced by mail
    Cancel(super::two_factor::CancelArgs),
    /// Whether the account asks for a second factor, and what is about to change
    #[command(subcommand)]
    TwoFactor(super::two_factor::TwoFactorCommand),
    /// Delete the account with every saved key for good, after 30 days that are announced
    Delete(super::delete_account::DeleteArgs),
    /// Sign out; this computer can still save keys
    #[command(after_help = "Example: keyhaven account sign-out")]
    SignOut(ShowArgs),
    /// The account this computer is signed in to
    #[command(after_help = "Example: keyhaven account show")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account sign-up --server https://keys.example.org --email ada@example.org")]
pub(crate) struct SignUpArgs {
    /// E-mail address of the account
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// File with the invite that whoever runs the service gave you (`-`: standard input; else KEYHAVEN_INVITE)
    #[arg(long, value_name = "FILE")]
    invite_file: Option<PathBuf>,
    /// Write the emergency kit to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    kit_out: Option<PathBuf>,
    #[command(flatten)]
    factor: NewFactorArgs,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account sign-in --email ada@example.org")]
pub(crate) struct SignInArgs {
    /// E-mail address of the account; this computer remembers it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The account began again with new keys, and its fingerprint is the one on the new emergency kit
    #[arg(long)]
    accept_new_keys: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven account password\n\n\
    Asks for the present password, a code, and the new password twice. The emergency kit and the authenticators stay good.")]
pub(crate) struct PasswordArgs {
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_ACCOUNT_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE")]
    new_account_password_file: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: keyhaven account recover --email ada@example.org --kit-file kit.txt --kit-out new-kit.txt\n\n\
    Two-factor authentication stays on: a code of the authenticator or a backup code is needed. The kit that was used is \
    void afterwards, and a new one takes its place. Computers keep saving keys all the time."
)]
pub(crate) struct RecoverArgs {
    /// E-mail address of the account; this computer remembers it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// File with the emergency kit, or with its code alone (`-`: standard input; else it is asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) kit_file: Option<PathBuf>,
    /// Write the new emergency kit to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) kit_out: Option<PathBuf>,
    /// File with the code from the mail, where the service sends one (else KEYHAVEN_MAILED_CODE, else it is asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) mailed_code_file: Option<PathBuf>,
    /// File with the new password (`-`: standard input; else KEYHAVEN_NEW_ACCOUNT_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) new_account_password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) person: PersonArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(command: &AccountCommand, json: bool) -> Outcome {
    match command {
        AccountCommand::SignUp(arguments) => sign_up(arguments, json),
        AccountCommand::SignIn(arguments) => sign_in(arguments, json),
        AccountCommand::Password(arguments) => password(arguments, json),
        AccountCommand::Recover(arguments) => super::recover::run(arguments, json),
        AccountCommand::NewKit(arguments) => super::new_kit::run(arguments, json),
        AccountCommand::ResetFactors(arguments) => super::reset_factors::run(arguments, json),
        AccountCommand::StartOver(arguments) => super::start_over::run(arguments, json),
        AccountCommand::Cancel(arguments) => super::two_factor::cancel(arguments, json),
        AccountCommand::TwoFactor(command) => super::two_factor::run(command, json),
        AccountCommand::Delete(arguments) => super::delete_account::run(arguments, json),
        AccountCommand::SignOut(arguments) => sign_out(arguments, json),
        AccountCommand::Show(arguments) => show(arguments, json),
    }
}

fn sign_up(arguments: &SignUpArgs, json: bool) -> Outcome {
    let client = arguments.account.client()?;
    if let Some((_, email, _)) = client.known_account().map_err(|error| explain(&error))? {
        return Err(Failure::no(format!("this computer already keeps the state of the account {email}"))
            .hint("give the new account a state folder of its own with --state FOLDER"));
    }
    let mut person = arguments.person.person()?;
    let email = email(arguments.email.as_ref())?;
    let invite = invite(arguments)?;
    let password = person.new_password(&email)?;
    let new = NewAccount { email: email.clone(), password, invite };
    // What went wrong with the kit is told as itself, not as "not confirmed".
    let mut kit_failure = None;
    let mut kit_file = KeptFile::new(arguments.kit_out.as_deref());
    let mut keep = |kit: &vault_client::Kit| match kit_file.keep(|file| keep_kit(kit, file)) {
        Ok(kept) => kept,
        Err(failure) => {
            kit_failure = Some(failure);
            false
        }
    };
    let mut mailed_code = || prompt::line("code from the mail that was just sent").ok();
    let made = client.sign_up(new, &mut mailed_code, &mut keep);
    if let Err(error) = made {
        kit_file.discard(&error);
        if kit_file.may_count(&error) {
            return Err(explain(&error).hint(
                "the account may have been made all the same: keep the emergency kit, and try `keyhaven account sign-in`",
            ));
        }
        return Err(kit_failure.unwrap_or_else(|| explain(&error)));
    }
    output::note("the account is made; now its second factor");
    add_first(&client, &arguments.factor, &mut person).map_err(|failure| {
        let hint = failure.hint.clone().map(|hint| format!("{hint}; then ")).unwrap_or_default();
        failure.hint(format!("{hint}the account exists: add the second factor with `keyhaven factors add`"))
    })?;
    let (server, fingerprint) = known(&client)?;
    let document = json!({
        "email": email, "server": server, "fingerprint": fingerprint, "two_factor": true,
        "kit_out": arguments.kit_out.as_ref().map(|path| path.display().to_string()),
    });
    let text = format!(
        "The account {email} is ready, and two-factor authentication is on.\n  fingerprint {fingerprint}\n\n\
         Next: let this computer save recovery keys.\n  keyhaven device enrol\n"
    );
    output::report(json, &document, &text)
}

fn known(client: &HttpClient) -> Outcome<(String, String)> {
    let known = client.known_account().map_err(|error| explain(&error))?;
    Ok(known.map(|(server, _, fingerprint)| (server, fingerprint)).unwrap_or_default())
}

/// The address that was given, or that of the account which this computer knows.
pub(super) fn email_of(client: &HttpClient, given: Option<&String>) -> Outcome<String> {
    let known = client.known_account().map_err(|error| explain(&error))?;
    match (given, known) {
        (None, Some((_, known, _))) => Ok(known),
        (given, _) => email(given),
    }
}

fn email(given: Option<&String>) -> Outcome<String> {
    match given {
        Some(email) => Ok(email.trim().to_owned()),
        None => prompt::line("e-mail address of the account").map_err(|failure| failure.hint("use --email ADDRESS")),
    }
}

fn invite(arguments: &SignUpArgs) -> Outcome<Option<String>> {
    let invite = match &arguments.invite_file {
        Some(path) => Some(secrets::password_from(path)?),
        None => secrets::variable(INVITE_VARIABLE)?,
    };
    let invite = match invite {
        Some(invite) => invite,
        None => prompt::secret("invite from whoever runs the service")
            .map_err(|failure| failure.hint(format!("use --invite-file or set {INVITE_VARIABLE}")))?,
    };
    Ok(Some(invite.expose().trim().to_owned()).filter(|invite| !invite.is_empty()))
}

fn sign_in(arguments: &SignInArgs, json: bool) -> Outcome {
    let accept = arguments.accept_new_keys;
    let client = arguments.account.open()?.accepting_new_keys(move |_| accept);
    let email = email_of(&client, arguments.email.as_ref())?;
    let mut person = arguments.person.person()?;
    let password = person.password()?;
    let mut tries = 0;
    let signed_in = loop {
        let mut asking = None;
        let mut factor = |_: &[String]| match person.code("code of your authenticator, or a backup code") {
            Ok(code) => Ok(SignInFactor::of(code)),
            Err(failure) => {
                asking = Some(failure);
                Err(Error::Cancelled)
            }
        };
        let signed_in = client.sign_in(&email, password.clone(), &mut factor);
        if let Some(failure) = asking {
            return Err(failure);
        }
        match signed_in {
            Err(error) if person.may_correct(&error, &mut tries) => {}
            other => break other,
        }
    };
    match signed_in.map_err(|error| explain(&error))? {
        SignedIn::MustEnrolFactor => Err(Failure::no("the account has no second factor yet")
            .cause("keys are only shown to somebody who has one")
            .hint("add it now with `keyhaven factors add`, then sign in again")),
        SignedIn::Fully { fingerprint, known_before, must_add_factor } => {
            let document = json!({
                "email": email, "fingerprint": fingerprint, "known_before": known_before,
                "must_add_factor": must_add_factor,
            });
            let compare = if known_before {
                ""
            } else {
                "Compare the fingerprint with the one on your emergency kit: it must be the same.\n"
            };
            let add = if must_add_factor {
                "Next: add a new authenticator; until then this session can do nothing else.\n  keyhaven factors add\n"
            } else {
                ""
            };
            let text = format!("Signed in as {email}.\n  fingerprint {fingerprint}\n{compare}{add}");
            output::report(json, &document, &text)
        }
    }
}

fn password(arguments: &PasswordArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let (_, email, _) = client.known_account().map_err(|error| explain(&error))?.unwrap_or_default();
    let mut person = arguments.person.person()?.at(&client);
    person.password()?;
    let new = person.other_new_password(&email, arguments.new_account_password_file.as_deref())?;
    person.confirm(|presence| client.change_password(presence, new.clone()))?;
    let text = "The password is changed. Other sessions have ended; sign in again there.\n";
    output::report(json, &json!({ "email": email, "password_changed": true }), text)
}

fn sign_out(arguments: &ShowArgs, json: bool) -> Outcome {
    let client = arguments.account.client()?;
    if let Err(error) = client.sign_out() {
        // Here it is over in any case; there it ends by itself.
        output::note(&format!("warning: the service was not told ({error}); the session ends there within 30 minutes"));
    }
    output::report(json, &json!({ "signed_in": false }), "Signed out. This computer can still save keys.\n")
}

fn show(arguments: &ShowArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let account = client.account().map_err(|error| explain(&error))?;
    let factors = client.factors().map_err(|error| explain(&error))?;
    let waiting = client.state().waiting().map_err(|error| explain(&error))?;
    let enrolled = client.is_enrolled().map_err(|error| explain(&error))?;
    let (server, fingerprint) = known(&client)?;
    let document = json!({
        "email": account.email, "server": server, "fingerprint": fingerprint, "two_factor": account.two_factor,
        "two_factor_off_at": account.off_at.map(time),
        "factors": factors.len(), "created": time(account.created_at), "this_computer_enrolled": enrolled,
        "waiting": waiting,
    });
    let factors = if factors.len() == 1 { "1 factor".to_owned() } else { format!("{} factors", factors.len()) };
    let mut text = format!(
        "{}\n  service      {server}\n  fingerprint  {fingerprint}\n  two-factor   {} ({factors})\n  since        {}\n  \
         this computer {}\n",
        account.email,
        match (account.two_factor, account.off_at) {
            (true, None) => "on".to_owned(),
            (true, Some(off_at)) => format!("on; ends {} unless cancelled", time(off_at)),
            (false, Some(off_at)) => format!("off since {}", time(off_at)),
            (false, None) => "no factor yet".to_owned(),
        },
        time(account.created_at),
        if enrolled { "may save keys" } else { "is not enrolled; `keyhaven device enrol`" },
    );
    if waiting > 0 {
        text.push_str(&format!("  waiting      {waiting} saved here, not yet delivered\n"));
    }
    output::report(json, &document, &text)
}
