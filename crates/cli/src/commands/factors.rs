//! `keyhaven factors`: the second factors of the account.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vault_client::{Error, FactorView, Presence};

use crate::account::{
    AccountArgs, HttpClient, KeptFile, Person, PersonArgs, explain, keep_backup_codes, may_have_happened, show_totp,
};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::times::time;

#[derive(Debug, Subcommand)]
pub(crate) enum FactorsCommand {
    /// The second factors of the account
    List(ListArgs),
    /// Add an authenticator: an app on a phone that shows a new code every 30 seconds
    Add(AddArgs),
    /// Remove an authenticator or a passkey; the last one stays
    Remove(RemoveArgs),
    /// Make ten one-time codes for the day when the phone is not at hand; earlier ones become void
    BackupCodes(BackupCodesArgs),
}

/// A new authenticator.
#[derive(Debug, Args)]
pub(crate) struct NewFactorArgs {
    /// What to call the authenticator
    #[arg(long, value_name = "NAME", default_value = "authenticator")]
    pub(crate) label: String,
    /// Write the authenticator's link (otpauth://) to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) totp_secret_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven factors list")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven factors add --label \"old phone\"\n\n\
    Codes from a file or standard input come in this order: one of an authenticator that the account has already (not \
    for the first one, nor after a sign-in with a backup code), then two of the new one that follow each other.")]
pub(crate) struct AddArgs {
    #[command(flatten)]
    factor: NewFactorArgs,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven factors remove \"old phone\"")]
pub(crate) struct RemoveArgs {
    /// Name or identifier of the authenticator or passkey
    #[arg(value_name = "FACTOR")]
    factor: String,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven factors backup-codes\n\n\
    A backup code is typed wherever a code of the authenticator is asked for, and is good once. After a sign-in with one, \
    add a new authenticator with `keyhaven factors add`; until then only saving goes on.")]
pub(crate) struct BackupCodesArgs {
    /// Write the codes to this new file instead of showing them
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(command: &FactorsCommand, json: bool) -> Outcome {
    match command {
        FactorsCommand::List(arguments) => list(arguments, json),
        FactorsCommand::Add(arguments) => add(arguments, json),
        FactorsCommand::Remove(arguments) => remove(arguments, json),
        FactorsCommand::BackupCodes(arguments) => backup_codes(arguments, json),
    }
}

fn list(arguments: &ListArgs, json: bool) -> Outcome {
    let list = arguments.account.open()?.factor_list().map_err(|error| explain(&error))?;
    let (factors, left) = (list.factors, list.backup_codes_left);
    // What a passkey is good for; nothing for other kinds.
    let opens_vault = |factor: &FactorView| {
        list.passkeys.iter().find(|passkey| passkey.factor_id == factor.factor_id).map(|passkey| passkey.opens_vault)
    };
    let document = json!({ "backup_codes_left": left, "factors": factors.iter().map(|factor| {
        let mut shown = json!({
            "id": factor.factor_id.to_string(), "kind": factor.kind, "label": factor.label,
            "created": time(factor.created_at), "used": factor.used_at.map(time),
        });
        if let Some(opens_vault) = opens_vault(factor) {
            shown["opens_vault"] = opens_vault.into();
        }
        shown
    }).collect::<Vec<_>>() });
    let line = |factor: &FactorView| {
        let used = factor.used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", time(at)));
        let kind = match opens_vault(factor) {
            Some(true) => "passkey, opens the vault",
            Some(false) => "passkey, signs in only",
            None => &factor.kind,
        };
        format!("{}  {kind}  {used}\n  {}\n", factor.label, factor.factor_id)
    };
    let codes = match left {
        0 => "no backup codes; `keyhaven factors backup-codes` makes some\n".to_owned(),
        1 => "1 backup code left\n".to_owned(),
        more => format!("{more} backup codes left\n"),
    };
    output::report(json, &document, &(factors.iter().map(line).collect::<String>() + &codes))
}

pub(super) fn add(arguments: &AddArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let mut person = arguments.person.person()?.at(&client);
    let needs_step_up = client.factor_list().map_err(|error| explain(&error))?.add_needs_step_up;
    if !needs_step_up {
        add_first(&client, &arguments.factor, &mut person)?;
    } else {
        let password = person.password()?;
        let code = person.fresh_code("code of an authenticator that you have already, or a backup code")?;
        add_totp(&client, &arguments.factor, &mut person, Some(&Presence { password, code }))?;
    }
    let label = &arguments.factor.label;
    let document = json!({ "added": label, "two_factor": true });
    output::report(json, &document, &format!("The authenticator \"{label}\" is added; two-factor is on.\n"))
}

/// The first factor, which turns two-factor on, or one in place of a lost one after a sign-in with a backup code.
pub(crate) fn add_first(client: &HttpClient, factor: &NewFactorArgs, person: &mut Person) -> Outcome {
    add_totp(client, factor, person, None)
}

fn add_totp(client: &HttpClient, factor: &NewFactorArgs, person: &mut Person, presence: Option<&Presence>) -> Outcome {
    let mut asking = None;
    let mut shown = false;
    let mut codes = |totp: &vault_client::NewTotp, wrong: Option<&Error>| {
        let mut ask = || {
            if !shown {
                show_totp(totp, factor.totp_secret_out.as_deref())?;
                shown = true;
            }
            if let Some(wrong) = wrong {
                let cause = explain(wrong).cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
                output::note(&format!(
                    "these two codes do not fit{cause}; set the phone's clock to automatic and type two that follow each other",
                ));
            }
            let first = person.code("code that the authenticator shows now")?;
            let second = person.code("the next code, up to 30 seconds later")?;
            Ok([first.expose().to_owned(), second.expose().to_owned()])
        };
        match ask() {
            Ok(codes) => Some(codes),
            Err(failure) => {
                asking = Some((failure, wrong.map(explain)));
                None
            }
        }
    };
    let added = client.add_totp(&factor.label, presence, &mut codes);
    let may_count = matches!(&added, Err(error) if asking.is_none() && may_have_happened(error));
    match (added, asking) {
        (Ok(()), _) => Ok(()),
        // Wrong codes and nobody to ask again: what was wrong is the thing to tell.
        (Err(_), Some((_, Some(wrong)))) => Err(wrong),
        (Err(_), Some((failure, None))) => Err(failure),
        (Err(error), None) => Err(explain(&error)),
    }
    .inspect_err(|_| {
        if let Some(file) = factor.totp_secret_out.as_ref().filter(|_| shown && !may_count) {
            // The link of an authenticator that was not added is of no use, and would be in the way of the next try.
            let _ = std::fs::remove_file(file);
        }
    })
}

fn remove(arguments: &RemoveArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let factors = client.factors().map_err(|error| explain(&error))?;
    let wanted = arguments.factor.as_str();
    let found: Vec<&FactorView> =
        factors.iter().filter(|factor| factor.label == wanted || factor.factor_id.to_string() == wanted).collect();
    let factor = match found.as_slice() {
        [factor] => factor.factor_id,
        [] => {
            return Err(
                Failure::no(format!("the account has no factor {wanted:?}")).hint("`keyhaven factors list` lists them")
            );
        }
        _ => return Err(Failure::no(format!("several factors are called {wanted:?}")).hint("use its identifier")),
    };
    let mut person = arguments.person.person()?.at(&client);
    person.confirm(|presence| client.remove_factor(factor, presence))?;
    output::report(json, &json!({ "removed": wanted }), &format!("\"{wanted}\" is removed.\n"))
}

fn backup_codes(arguments: &BackupCodesArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let mut person = arguments.person.person()?.at(&client);
    let mut file = KeptFile::new(arguments.out.as_deref());
    let mut keeping = None;
    let mut shown = 0;
    let mut may_count = false;
    let made = person.confirm(|presence| {
        let made = client.make_backup_codes(presence, &mut |new| {
            shown = new.codes.len();
            file.keep(|file| keep_backup_codes(new, file)).unwrap_or_else(|failure| {
                keeping = Some(failure);
                false
            })
        });
        if let Err(error) = &made {
            file.discard(error);
            may_count = file.may_count(error);
        }
        made
    });
    if let Err(failure) = made {
        if may_count {
            return Err(failure.hint(
                "the new codes may count all the same: keep both sets; a code of the set that is void is refused",
            ));
        }
        return Err(keeping.unwrap_or(failure));
    }
    let document =
        json!({ "backup_codes": shown, "out": arguments.out.as_ref().map(|path| path.display().to_string()) });
    output::report(json, &document, &format!("{shown} backup codes are good from now on; earlier ones are void.\n"))
}
