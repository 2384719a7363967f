//! `keyhaven audit`: who did what with the account.

use clap::{Args, Subcommand};
use serde_json::json;

use super::files::shown;
use crate::account::{AccountArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::times::time;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Everything that was done with the account, oldest first
    #[command(after_help = "Example: keyhaven audit show")]
    Show(AuditArgs),
    /// Check the trail against everything this computer remembers
    #[command(after_help = "Example: keyhaven audit verify")]
    Verify(AuditArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(command: &AuditCommand, json: bool) -> Outcome {
    match command {
        AuditCommand::Show(arguments) => show(arguments, json),
        AuditCommand::Verify(arguments) => verify(arguments, json),
    }
}

fn show(arguments: &AuditArgs, json: bool) -> Outcome {
    let trail = arguments.account.open()?.audit_trail().map_err(|error| explain(&error))?;
    let document = json!({ "entries": trail.entries.iter().map(|entry| json!({
        "seq": entry.seq, "at": time(entry.at), "actor": entry.actor.kind, "actor_id": entry.actor.id,
        "action": entry.action, "target": entry.target, "outcome": entry.outcome, "reason": entry.reason,
        "net": entry.net, "client": entry.client,
    })).collect::<Vec<_>>() });
    let mut text = String::new();
    for entry in &trail.entries {
        let reason = entry.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        text.push_str(&format!(
            "{:>4}  {}  {:<8} {}{reason}\n      from {} with {}{}\n",
            entry.seq,
            time(entry.at),
            entry.actor.kind,
            in_words(&entry.action),
            entry.net,
            shown(&entry.client),
            if entry.target.is_empty() { String::new() } else { format!("; on {}", shown(&entry.target)) },
        ));
    }
    output::report(json, &document, &text)
}

fn in_words(action: &str) -> &str {
    match action {
        "signup" => "made the account",
        "login" => "signed in",
        "login_failed" => "tried to sign in and failed",
        "factor_added" => "added a second factor",
        "factor_removed" => "removed a second factor",
        "stepup" => "confirmed with a fresh code",
        "stepup_failed" => "tried to confirm and failed",
        "device_enrolled" => "enrolled a device",
        "device_revoked" => "revoked a device",
        "save" => "saved a key",
        "reveal" => "was shown a key",
        other => other,
    }
}

fn verify(arguments: &AuditArgs, json: bool) -> Outcome {
    let report = arguments.account.open()?.audit_verify().map_err(|error| explain(&error))?;
    let document = json!({
        "entries": report.entries, "receipts": report.receipts, "records": report.records, "reveals": report.reveals,
        "problems": report.problems, "sound": report.problems.is_empty(),
    });
    if report.problems.is_empty() {
        let text = format!(
            "The audit trail is sound: {} entries in an unbroken chain.\n  \
             receipts of this computer found in it  {}\n  \
             saved keys with a true signature       {}\n  \
             times a key was shown                  {}\n",
            report.entries, report.receipts, report.records, report.reveals
        );
        return output::report(json, &document, &text);
    }
    output::report(json, &document, "")?;
    let mut failure = Failure::no("the audit trail is not sound")
        .cause(report.problems.join("; "))
        .hint("keep a copy of the state folder as evidence, and contact whoever runs the service");
    failure.code = Some("log.inconsistent".to_owned());
    Err(failure)
}
