//! `keyhaven encrypt`: a drive with files becomes a BitLocker drive where it lies.
//!
//! Order: everything is checked, the recovery key is made and saved, whoever asked confirms that it is, and only then is the
//! drive touched.

use std::path::{Path, PathBuf};

use clap::Args;
use drive_ops::backup::read_back;
use drive_ops::encrypt::{Found, look, plan};
use fve::convert::{Converter, Direction, EncryptOptions};
use secret::RecoveryPassword;
use serde_json::json;
use vault_client::Outcome as Saving;
use zeroize::Zeroizing;

use super::backup::{self, About, Key, Place, Saved, parse_place};
use super::convert;
use super::create::Method;
use super::info::key_id;
use crate::drive::DriveArgs;
use crate::failure::{Failure, Outcome};
use crate::printed::PaperSize;
use crate::secrets::SecretArgs;
use crate::signals::Signals;
use crate::{output, prompt, secrets};

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven encrypt /dev/sdb1 --to account\n\n\
    The files stay where they are. Encryption does not begin before the recovery key is saved: to your account (with a \
    verified receipt), to a file, or on paper. Ctrl-C pauses, `keyhaven resume` goes on, also after a power cut; meanwhile \
    only Keyhaven can read the drive. `keyhaven decrypt DRIVE --in-place` goes back.\n\n\
    With --json there are two documents: where the key is, before the drive is touched, and how it ended.")]
pub(crate) struct EncryptArgs {
    #[command(flatten)]
    drive: DriveArgs,
    /// Where the recovery key is saved first: `account`, `file:PATH` (on another drive) or `print:PATH.pdf`; may be given
    /// several times
    #[arg(long = "to", value_name = "PLACE", value_parser = parse_place, required_unless_present = "without_backup")]
    places: Vec<Place>,
    /// The printed page is on paper: do not ask for digits of it
    #[arg(long)]
    backup_confirmed: bool,
    /// Begin although the recovery key is saved nowhere but where it is shown now
    #[arg(long, conflicts_with = "places")]
    without_backup: bool,
    /// How sectors are encrypted
    #[arg(long, value_enum, default_value_t = Method::XtsAes128)]
    method: Method,
    /// File with a password that shall open the drive, too (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Paper of the printed page
    #[arg(long, value_enum, default_value_t)]
    paper: PaperSize,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    /// To go on with a drive that is half encrypted already
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(crate) fn run(arguments: &EncryptArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let held = convert::hold(path)?;
    let storage = match look(path)? {
        Found::Plain(storage) => storage,
        Found::HalfWay => {
            return convert::go_on(path, convert::open(path)?, &arguments.secrets, Direction::Encrypt, json);
        }
    };
    let password = arguments.new_password_file.as_deref().map(secrets::password_from).transpose()?;
    let key_password = RecoveryPassword::random();
    let mut options = plan(path, &storage, arguments.method.plain(), &key_password)?;
    options.volume.password = password;
    if arguments.dry_run {
        let text = format!("{} can be encrypted in place; nothing was changed.\n", path.display());
        return output::report(json, &json!({ "drive": path.display().to_string(), "possible": true }), &text);
    }
    let key = Key { identifier: options.recovery_identifier, password: key_password };
    save(arguments, &options, &key, json)?;
    // From here on a signal pauses, and does not break off.
    let signals = Signals::watch()?;
    let converter = Converter::encrypt(storage, &options).map_err(|error| not_begun(path, &key, &error))?;
    drop(options);
    let ended = convert::run(path, converter, Direction::Encrypt, &signals, json);
    drop(held);
    ended
}

/// Saves the key wherever was asked, and makes sure that it is there.
fn save(arguments: &EncryptArgs, options: &EncryptOptions, key: &Key, json: bool) -> Outcome {
    if arguments.without_backup {
        let digits = key.password.to_text();
        let document = json!({
            "key_id": key_id(key.identifier), "identifier": key.identifier.to_string(),
            "recovery_password": digits.expose(), "saved": [],
        });
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(&format!("The recovery key {} is saved nowhere. ", key_id(key.identifier)));
        text.push_str("Write it down now: without it the files are lost when the drive is locked.\n\n  ");
        text.push_str(digits.expose());
        text.push_str("\n\n");
        return output::report(json, &document, &text);
    }
    let about = About {
        is_removable: false,
        description: Some(options.volume.description.clone()),
        method: options.volume.method,
        volume_bytes: options.volume.placement.volume_bytes,
        created: Some(options.volume.now),
    };
    let (mut saved, mut written) = (Vec::new(), Vec::new());
    let mut asks_account = false;
    for place in &arguments.places {
        asks_account |= *place == Place::Account;
        let done = save_to(arguments, place, &about, key, &mut written);
        saved.push(done.map_err(|failure| taken_back(failure, key, &written, asks_account))?);
    }
    let text: String = saved.iter().map(|(_, line)| line.as_str()).collect();
    let document = json!({ "saved": saved.iter().map(|(document, _)| document).collect::<Vec<_>>() });
    output::report(json, &document, &text)
}

/// Not every place has the key, so nothing begins: it opens nothing, and whoever finds it is to know that.
fn taken_back(failure: Failure, key: &Key, written: &[PathBuf], asks_account: bool) -> Failure {
    let id = key_id(key.identifier);
    let mut hint = "the drive was not changed: encryption does not begin before the key is saved".to_owned();
    if let Some(next) = &failure.hint {
        hint.push_str(&format!("; {next}"));
    }
    for file in written {
        let done = if std::fs::remove_file(file).is_ok() { "was removed again" } else { "is to be removed" };
        hint.push_str(&format!("; {} {done}: the recovery key {id} in it opens nothing", file.display()));
    }
    if asks_account {
        hint.push_str(&format!("; a recovery key {id} that your account has, or gets later, opens nothing"));
    }
    failure.hint(hint)
}

/// The key is saved, and nothing has begun.
fn not_begun(path: &Path, key: &Key, error: &fve::Error) -> Failure {
    let failure = convert::explain(path, error);
    let next = failure.hint.as_ref().map(|hint| format!("{hint}; ")).unwrap_or_default();
    let hint = format!(
        "{next}unless `keyhaven info {}` tells that it is being encrypted, the recovery key {} opens nothing: another try \
         makes another",
        path.display(),
        key_id(key.identifier)
    );
    failure.hint(hint)
}

/// Files of the key go into `written`.
fn save_to(
    arguments: &EncryptArgs,
    place: &Place,
    about: &About,
    key: &Key,
    written: &mut Vec<PathBuf>,
) -> Outcome<Saved> {
    let path = &arguments.drive.drive;
    match place {
        Place::Account => match backup::save_to_account(arguments.secrets.account(), path, about, key, None)? {
            Saving::Saved { record_id, audit_seq } => Ok(backup::saved_to_account(key, record_id, audit_seq)),
            Saving::Waiting { why, .. } => Err(backup::not_yet_saved(&why, 1)),
        },
        Place::File(file) => {
            let file = backup::place_for(path, file, key, "TXT")?;
            let saved = backup::to_file(path, &file, key)?;
            written.push(file.clone());
            read_back(&file, key)?;
            Ok(saved)
        }
        Place::Print(file) => {
            let file = backup::place_for(path, file, key, "pdf")?;
            let saved = backup::to_page(path, about, &file, key, (arguments.paper, false))?;
            written.push(file);
            if !arguments.backup_confirmed {
                on_paper(key)?;
            }
            Ok(saved)
        }
    }
}

/// Asks for what only the printed page, or the file, tells: a file that lies on this computer alone is not paper yet.
fn on_paper(key: &Key) -> Outcome {
    output::note(
        "Print the page now. When it is on paper, type what stands there. (Who breaks off here removes the page and its file: \
         nothing is encrypted yet, and the key opens nothing.)",
    );
    let typed = prompt::visible_secret("last group of six digits on the page").map_err(|failure| {
        failure.hint("with --backup-confirmed nothing is asked: say so only when the page is printed")
    })?;
    let digits = key.password.to_text();
    if digits.expose().ends_with(typed.expose().trim()) && typed.expose().trim().len() == 6 {
        return Ok(());
    }
    Err(Failure::no("these are not the last six digits of the key").hint("look at the page again, then start anew"))
}
