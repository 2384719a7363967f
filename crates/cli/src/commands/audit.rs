//! `keyhaven audit`: who did what with the account.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use vault_client::{AuditBundle, AuditReport, BundleTrust, Error, ReceiptReport, VerifierKey};

use super::files::shown;
use crate::account::{AccountArgs, HttpClient, explain};
use crate::failure::{Failure, Outcome};
use crate::times::time;
use crate::{files, output};

/// Longest bundle that is read.
const MAX_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Everything that was done with the account, oldest first
    #[command(after_help = "Example: keyhaven audit show")]
    Show(AuditArgs),
    /// Check the trail, the service's public log and everything this computer remembers against each other
    #[command(after_help = "Example: keyhaven audit verify\n\n\
        A computer that is enrolled and not signed in checks the saves that it made itself. A bundle is checked without \
        asking the service, against what this computer knows, or against two fingerprints: \
        `keyhaven audit verify --bundle trail.json --fingerprint ABCDE-FGHIJ-KLMNO-PQRST --service-fingerprint \
        ABCDE-FGHIJ-KLMNO-PQRST`.")]
    Verify(VerifyArgs),
    /// Write the trail and all that proves it to a file that can be checked on any computer
    #[command(after_help = "Example: keyhaven audit export trail.json")]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Check this file, which `keyhaven audit export` wrote, instead of what the service shows
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    bundle: Option<PathBuf>,
    /// Fingerprint of the account, as on its emergency kit; without it the bundle is held against what this computer knows
    #[arg(long, value_name = "FINGERPRINT", requires = "bundle", requires = "service_fingerprint")]
    fingerprint: Option<String>,
    /// Fingerprint of the service's keys, as `keyhaven audit export` and `audit verify` tell it
    #[arg(long, value_name = "FINGERPRINT", requires = "bundle", requires = "fingerprint")]
    service_fingerprint: Option<String>,
    /// Key of a witness, NAME+HASH+KEY, that must have signed the log's checkpoint, too
    #[arg(long, value_name = "KEY")]
    witness: Vec<String>,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The new file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    account: AccountArgs,
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
        AuditCommand::Export(arguments) => export(arguments, json),
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
        let reason = entry.reason.as_ref().map(|reason| format!(" ({})", shown(reason))).unwrap_or_default();
        text.push_str(&format!(
            "{:>4}  {}  {:<8} {}{reason}\n      from {} with {}{}\n",
            entry.seq,
            time(entry.at),
            shown(&entry.actor.kind),
            shown(in_words(&entry.action)),
            shown(&entry.net),
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

fn verify(arguments: &VerifyArgs, json: bool) -> Outcome {
    let witnesses = arguments.witness.iter().map(|text| witness(text)).collect::<Outcome<Vec<_>>>()?;
    if let Some(file) = &arguments.bundle {
        return verify_bundle(arguments, file, &witnesses, json);
    }
    let client = arguments.account.open()?;
    match client.audit_verify_witnessed(&witnesses) {
        Ok(report) => tell(&report, client.service_fingerprint().ok(), json),
        // A computer that only saves has no session, and receipts that it can ask about.
        Err(Error::NotSignedIn) if client.is_enrolled().map_err(|error| explain(&error))? && witnesses.is_empty() => {
            verify_receipts(&client, json)
        }
        Err(error) => Err(explain(&error)),
    }
}

fn witness(text: &str) -> Outcome<VerifierKey> {
    VerifierKey::parse(text).ok_or_else(|| {
        Failure::could_not(format!("{} is not the key of a witness", shown(text)))
            .hint("it has the form NAME+HASH+KEY, as the witness publishes it")
    })
}

fn verify_bundle(arguments: &VerifyArgs, file: &Path, witnesses: &[VerifierKey], json: bool) -> Outcome {
    let cannot_read = || format!("cannot read {}", file.display());
    let metadata = std::fs::metadata(file).map_err(|error| Failure::could_not(cannot_read()).because(&error))?;
    if metadata.len() > MAX_BUNDLE_BYTES {
        return Err(Failure::could_not(cannot_read()).cause("it is larger than any audit bundle"));
    }
    let bytes = std::fs::read(file).map_err(|error| Failure::could_not(cannot_read()).because(&error))?;
    let bundle = AuditBundle::parse(&bytes).map_err(|error| {
        Failure::no(format!("{} is not an audit bundle", file.display()))
            .because(&error)
            .hint("`keyhaven audit export` writes them")
    })?;
    let trust = match (&arguments.fingerprint, &arguments.service_fingerprint) {
        (Some(account), Some(service)) => {
            BundleTrust::Fingerprints { account: account.clone(), service: service.clone() }
        }
        _ => BundleTrust::State,
    };
    // The service is not asked; its address only says which pins count.
    let account = AccountArgs { server: Some(bundle.origin.clone()), ..arguments.account.clone() };
    let report = account.client()?.audit_verify_bundle(&bundle, &trust, witnesses).map_err(|error| match error {
        Error::NotSignedIn => Failure::could_not("this computer does not know the account of this bundle")
            .hint("name its fingerprint and the service's with --fingerprint and --service-fingerprint"),
        Error::Inconsistent(what) => {
            let mut failure = Failure::no("the bundle is not of the account and service it is held against")
                .cause(format!("its {what} differs"))
                .hint("compare the fingerprints with the emergency kit and with whoever runs the service");
            failure.code = error.code().map(|code| code.code().to_owned());
            failure
        }
        other => explain(&other),
    })?;
    tell(&report, Some(bundle.service_fingerprint()), json)
}

fn tell(report: &AuditReport, service: Option<String>, json: bool) -> Outcome {
    let document = json!({
        "entries": report.entries, "receipts": report.receipts, "records": report.records, "reveals": report.reveals,
        "remembered_reveals": report.remembered, "logged": report.logged, "pending": report.pending,
        "log_size": report.log_size, "service_fingerprint": service, "first_bad_entry": report.first_bad_entry,
        "evidence": report.evidence, "problems": report.problems, "sound": report.problems.is_empty(),
        "witnesses": report.witnesses.iter().map(|(name, at)| json!({ "name": name, "at": time(*at) })).collect::<Vec<_>>(),
    });
    if !report.problems.is_empty() {
        output::report(json, &document, "")?;
        return Err(unsound(&report.problems, report.evidence.as_deref()));
    }
    let mut text = format!(
        "The audit trail is sound: {} entries in an unbroken chain.\n  \
         receipts of this computer found in it  {}\n  \
         saved keys with a true signature       {}\n  \
         times a key was shown                  {}, {} of them remembered here\n  \
         entries in the service's public log    {} of {} that it has\n",
        report.entries,
        report.receipts,
        report.records,
        report.reveals,
        report.remembered,
        report.logged,
        report.log_size
    );
    if report.pending > 0 {
        text.push_str(&format!("  entries that wait for their place there {}\n", report.pending));
    }
    for (name, at) in &report.witnesses {
        text.push_str(&format!("  log seen by the witness {}, {}\n", shown(name), time(*at)));
    }
    if let Some(service) = service {
        text.push_str(&format!("  fingerprint of the service            {service}\n"));
    }
    output::report(json, &document, &text)
}

fn unsound(problems: &[String], evidence: Option<&str>) -> Failure {
    let kept = match evidence {
        Some(file) => format!("keep {file}, where the service's own statements are"),
        None => "keep a copy of the state folder as evidence".to_owned(),
    };
    let mut failure = Failure::no("the audit trail is not sound")
        .cause(problems.join("; "))
        .hint(format!("{kept}, and contact whoever runs the service"));
    failure.code = Some("log.inconsistent".to_owned());
    failure
}

fn verify_receipts(client: &HttpClient, json: bool) -> Outcome {
    let ReceiptReport { logged, pending, others, log_size, problems } =
        client.verify_receipts().map_err(|error| explain(&error))?;
    let document = json!({
        "logged": logged, "pending": pending, "others": others, "log_size": log_size, "problems": problems,
        "sound": problems.is_empty(),
    });
    if !problems.is_empty() {
        output::report(json, &document, "")?;
        return Err(unsound(&problems, None));
    }
    let text = format!(
        "The saves of this computer are sound.\n  \
         in the service's public log            {logged} of {log_size} entries that it has\n  \
         waiting for their place there          {pending}\n  \
         not saved by this computer itself      {others}\n\
         Sign in with `keyhaven account sign-in` to check the whole trail.\n"
    );
    output::report(json, &document, &text)
}

fn export(arguments: &ExportArgs, json: bool) -> Outcome {
    let client = arguments.account.open()?;
    let bundle = client.audit_export().map_err(|error| explain(&error))?;
    let bytes = bundle.to_bytes().map_err(|error| explain(&error))?;
    files::write_new_private(&arguments.file, &bytes)?;
    let service = bundle.service_fingerprint();
    let account = client.known_account().map_err(|error| explain(&error))?.map(|(_, _, fingerprint)| fingerprint);
    let account = account.unwrap_or_default();
    let document = json!({
        "file": arguments.file.display().to_string(), "entries": bundle.entries(), "fingerprint": account,
        "service_fingerprint": service,
    });
    let text = format!(
        "The audit trail, {} entries, is in {}. It holds no key. Whoever checks it elsewhere needs these, from you:\n  \
         fingerprint of the account  {account}\n  fingerprint of the service  {service}\n  \
         keyhaven audit verify --bundle FILE --fingerprint {account} --service-fingerprint {service}\n",
        bundle.entries(),
        arguments.file.display()
    );
    output::report(json, &document, &text)
}
