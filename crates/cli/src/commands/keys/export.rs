//! `keyhaven keys export`: all keys of the account in one file that is encrypted with age.
//!
//! The service releases keys in batches, each under a grant of its own, and writes an audit entry for every key.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::SecretString as Passphrase;
use clap::Args;
use data_encoding::BASE64;
use secret::SecretString;
use serde::Serialize;
use serde_json::json;
use vault_client::{Bytes, ExportedKey, MAX_EXPORT, RecordId, RecordSummary, RevealedSecret, Secret, Signed};
use vault_protocol::record::{KIND_EXTERNAL_KEY, KIND_RECOVERY_PASSWORD};

use crate::account::{AccountArgs, PersonArgs, explain};
use crate::failure::{Failure, Outcome};
use crate::{files, output, prompt, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven keys export --output keys.age\n\n\
    To a key instead of a passphrase: keyhaven keys export --output keys.age --recipient age1...\n\
    Read it with: age --decrypt keys.age")]
pub(crate) struct ExportArgs {
    /// The new file
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    /// Whoever holds the identity of this age recipient can read the file; may be given several times. Without any, a
    /// passphrase is asked for
    #[arg(long = "recipient", short, value_name = "AGE1...", conflicts_with = "passphrase_file")]
    recipients: Vec<String>,
    /// File with the passphrase, in its first line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(crate) fn run(arguments: &ExportArgs, json: bool) -> Outcome {
    if arguments.output.exists() {
        return Err(Failure::could_not(format!("{} exists already", arguments.output.display()))
            .hint("choose another name; an existing file is never overwritten"));
    }
    let encryptor = encryptor(arguments)?;
    let client = arguments.account.open()?;
    let mut records = client.records().map_err(|error| explain(&error))?;
    let left = records.iter().filter(|record| record.is_left_behind()).count();
    records.retain(|record| !record.former);
    if left > 0 {
        output::note(&format!(
            "{left} keys of before the account's new start are not in it: bring them over first with `keyhaven keys bring-over`"
        ));
    }
    let known = |record: &RecordSummary| [KIND_RECOVERY_PASSWORD, KIND_EXTERNAL_KEY].contains(&record.kind.as_str());
    let (good, bad): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.verified && known(record));
    if good.is_empty() {
        let hint = if bad.is_empty() {
            "save some first: `keyhaven backup` or `keyhaven keys import`"
        } else {
            "who saved those it has cannot be verified; check the audit trail: `keyhaven audit verify`"
        };
        return Err(Failure::no("the account has no keys to export").hint(hint));
    }
    let ids: Vec<RecordId> = good.iter().map(|record| record.record_id).collect();
    let batches = ids.len().div_ceil(MAX_EXPORT);
    output::note(&format!(
        "{} will be released, and each noted in the audit trail{}",
        keys(ids.len()),
        if batches > 1 { format!("; {batches} codes are needed, one for each {MAX_EXPORT}") } else { String::new() }
    ));
    let mut person = arguments.person.person()?.at(&client);
    let mut released = Vec::with_capacity(ids.len());
    for batch in ids.chunks(MAX_EXPORT) {
        released.extend(person.confirm(|presence| client.export(batch, presence))?);
    }
    let entries = released.iter().map(|exported| entry(exported, &good)).collect::<Outcome<Vec<_>>>()?;
    let sealed = encrypt(encryptor, entries)
        .map_err(|error| Failure::could_not("the keys cannot be encrypted").because(&error))?;
    files::write_new_private(&arguments.output, &sealed).map_err(|failure| {
        failure.hint("the keys were released but not written; choose another file and run it again")
    })?;
    tell(arguments, released.len(), bad.len(), json)
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// Everything that can be wrong with how the file is to be encrypted is found before a key is released.
fn encryptor(arguments: &ExportArgs) -> Outcome<age::Encryptor> {
    if arguments.recipients.is_empty() {
        let passphrase = passphrase(arguments.passphrase_file.as_deref())?;
        return Ok(age::Encryptor::with_user_passphrase(Passphrase::from(passphrase.expose().to_owned())));
    }
    let mut recipients = Vec::new();
    for text in &arguments.recipients {
        recipients.push(age::x25519::Recipient::from_str(text.trim()).map_err(|cause| {
            Failure::could_not("this is not an age recipient")
                .cause(cause.to_owned())
                .hint("a recipient begins with age1; `age-keygen` makes one")
        })?);
    }
    let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    age::Encryptor::with_recipients(each)
        .map_err(|error| Failure::could_not("the keys cannot be encrypted").because(&error))
}

fn passphrase(file: Option<&Path>) -> Outcome<SecretString> {
    let passphrase = match file {
        Some(path) => secrets::password_from(path)?,
        None => {
            let typed = prompt::secret("passphrase for the file")
                .map_err(|failure| failure.hint("use --passphrase-file or --recipient"))?;
            if prompt::secret("the same passphrase again")? != typed {
                return Err(Failure::no("the two passphrases differ").hint("run it again"));
            }
            typed
        }
    };
    if zxcvbn::zxcvbn(passphrase.expose(), &["keyhaven", "bitlocker"]).score() < zxcvbn::Score::Three {
        return Err(Failure::no("this passphrase is too easy to guess")
            .cause("whoever gets the file can try guesses for as long as they like")
            .hint("take a longer one, four or five random words do well; or use --recipient"));
    }
    Ok(passphrase)
}

/// The document inside the file.
#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    keys: Vec<Entry<'a>>,
}

/// One key. Borrows what it can: no other copy of the key is made.
#[derive(Serialize)]
struct Entry<'a> {
    record: String,
    key_id: &'a str,
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    recovery_key: Option<SecretString>,
    /// A `.BEK` file in base64.
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    startup_key_file: Option<SecretString>,
    computer: &'a str,
    drive: &'a str,
    label: &'a str,
    volume_type: &'a str,
    method: &'a str,
    created: Option<&'a str>,
    source: &'a str,
    state: Option<&'a str>,
    saved_by: Option<&'a str>,
    saved: Option<String>,
    header: &'a Bytes,
    save: &'a Signed,
    receipt: &'a Signed,
}

fn exposed<S: serde::Serializer>(key: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.as_ref().map(SecretString::expose).unwrap_or_default())
}

/// The form in which each kind of key stands in the file.
fn written(key: &RevealedSecret) -> Outcome<(Option<SecretString>, Option<SecretString>)> {
    match &key.secret {
        Secret::RecoveryPassword(password) => Ok((Some(password.to_text()), None)),
        Secret::ExternalKey(external) => {
            let file = super::startup_key_file(&key.meta.key_id, external)?;
            Ok((None, Some(SecretString::new(BASE64.encode(&file)))))
        }
    }
}

fn entry<'a>(exported: &'a ExportedKey, summaries: &[&'a RecordSummary]) -> Outcome<Entry<'a>> {
    let meta = &exported.key.meta;
    let summary = summaries.iter().find(|summary| summary.record_id == exported.record_id);
    let (recovery_key, startup_key_file) = written(&exported.key)?;
    Ok(Entry {
        record: exported.record_id.to_string(),
        key_id: &meta.key_id,
        recovery_key,
        startup_key_file,
        computer: &meta.computer,
        drive: &meta.mount,
        label: &meta.label,
        volume_type: &meta.volume_type,
        method: &meta.method,
        created: meta.protector_created.as_deref(),
        source: &meta.source,
        state: summary.map(|summary| summary.state.as_str()),
        saved_by: summary.map(|summary| summary.author.as_str()),
        saved: summary.map(|summary| crate::times::time(summary.received_at)),
        header: &exported.header,
        save: &exported.save,
        receipt: &exported.receipt,
    })
}

/// The document goes straight into the encryption: nowhere does it stand as a whole in the open.
fn encrypt(encryptor: age::Encryptor, keys: Vec<Entry<'_>>) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    serde_json::to_writer_pretty(&mut writer, &Document { format: "keyhaven-keys/1", keys })?;
    writer.finish()?;
    Ok(sealed)
}

fn tell(arguments: &ExportArgs, count: usize, left_out: usize, json: bool) -> Outcome {
    let path = arguments.output.display();
    let document = json!({ "output": path.to_string(), "keys": count, "left_out": left_out });
    let mut text = format!("{} in {path}, encrypted with age.\n", keys(count));
    text.push_str("That they were exported is in the audit trail: keyhaven audit show\n");
    output::report(json, &document, &text)?;
    if left_out == 0 {
        return Ok(());
    }
    Err(Failure::no(format!(
        "{} left out: who saved them cannot be verified, or this version does not know their kind",
        keys(left_out)
    ))
    .hint("check the audit trail: `keyhaven audit verify`"))
}
