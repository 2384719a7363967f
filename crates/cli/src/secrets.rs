//! Where a secret for a drive comes from: a file, standard input, the environment, the terminal. Never an argument.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fve::{ClearKey, ExternalKey, ExternalKeyFile, KeyMaterial, KeyProtector, Password, ProtectorKind};
use secret::{RecoveryPassword, SecretString};
use zeroize::Zeroizing;

use crate::account::{AccountArgs, PersonArgs, explain};
use crate::drive::Locked;
use crate::failure::{Failure, Outcome};
use crate::{output, prompt, recovery_file};

/// Secret files are small; anything larger is the wrong file.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;
const RECOVERY_PASSWORD_VARIABLE: &str = "KEYHAVEN_RECOVERY_PASSWORD";
const PASSWORD_VARIABLE: &str = "KEYHAVEN_PASSWORD";
const NEW_PASSWORD_VARIABLE: &str = "KEYHAVEN_NEW_PASSWORD";
/// Windows takes no shorter ones.
const PASSWORD_CHARS: usize = 8;

/// How to open the drive. Without any of these: the environment, then the terminal.
#[derive(Debug, Args)]
#[command(next_help_heading = "How to open the drive")]
pub(crate) struct SecretArgs {
    /// File with the recovery key: 48 digits, or the text file that Windows saved (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_password_file: Option<PathBuf>,
    /// File with the drive's password (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_password_file")]
    pub(crate) password_file: Option<PathBuf>,
    /// The .BEK file saved by Windows
    #[arg(long, value_name = "FILE.BEK", conflicts_with_all = ["recovery_password_file", "password_file"])]
    pub(crate) startup_key: Option<PathBuf>,
    /// Fetch the recovery key from your account; asks for its password and a fresh code
    #[arg(long, conflicts_with_all = ["recovery_password_file", "password_file", "startup_key"])]
    pub(crate) from_account: bool,
    /// Nobody is there to be asked.
    #[arg(skip)]
    unattended: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    account: AccountArgs,
}

/// A secret that was given for a drive.
pub(crate) struct Given {
    material: Box<dyn KeyMaterial>,
    recovery_password: Option<RecoveryPassword>,
}

impl Given {
    fn recovery(password: RecoveryPassword) -> Self {
        Self { material: Box::new(password.clone()), recovery_password: Some(password) }
    }

    fn other(material: impl KeyMaterial + 'static) -> Self {
        Self { material: Box::new(material), recovery_password: None }
    }

    /// What opens the drive.
    pub(crate) fn material(&self) -> &dyn KeyMaterial {
        self.material.as_ref()
    }

    /// The recovery password, when it is one.
    pub(crate) fn recovery_password(&self) -> Option<&RecoveryPassword> {
        self.recovery_password.as_ref()
    }
}

impl SecretArgs {
    /// What a service uses: a file or nothing, and nobody to ask.
    pub(crate) fn unattended(
        password_file: Option<PathBuf>,
        startup_key: Option<PathBuf>,
        account: AccountArgs,
    ) -> Self {
        let person = PersonArgs { account_password_file: None, code_file: None };
        Self {
            recovery_password_file: None,
            password_file,
            startup_key,
            from_account: false,
            unattended: true,
            person,
            account,
        }
    }

    /// The account that belongs to these arguments.
    pub(crate) fn account(&self) -> &AccountArgs {
        &self.account
    }

    /// Whether one of the secrets is read from standard input, which can be read once only.
    pub(crate) fn read_standard_input(&self) -> bool {
        let files = [
            &self.recovery_password_file,
            &self.password_file,
            &self.startup_key,
            &self.person.account_password_file,
            &self.person.code_file,
        ];
        files.into_iter().flatten().any(|path| path.as_os_str() == "-")
    }

    /// Whether the command line names a secret.
    pub(crate) fn are_named(&self) -> bool {
        self.recovery_password_file.is_some()
            || self.password_file.is_some()
            || self.startup_key.is_some()
            || self.from_account
    }

    /// The secret that was named, or the one that fits the drive's protectors and can be asked for.
    pub(crate) fn resolve(&self, volume: &Locked) -> Outcome<Given> {
        self.resolve_for(&volume.protectors())
    }

    /// The same for these protectors, wherever they come from.
    pub(crate) fn resolve_for(&self, protectors: &[KeyProtector]) -> Outcome<Given> {
        if let Some(path) = &self.recovery_password_file {
            return recovery_password_from(path).map(Given::recovery);
        }
        if let Some(path) = &self.password_file {
            return Ok(Given::other(Password(password_from(path)?)));
        }
        if let Some(path) = &self.startup_key {
            return Ok(Given::other(external_key_from(path)?));
        }
        if self.from_account {
            return from_account(protectors, &self.account, &self.person).map(Given::recovery);
        }
        if let Some(text) = variable(RECOVERY_PASSWORD_VARIABLE)? {
            return check_recovery_password(&text).map(Given::recovery);
        }
        if let Some(text) = variable(PASSWORD_VARIABLE)? {
            return Ok(Given::other(Password(text)));
        }
        let kinds: Vec<ProtectorKind> = protectors.iter().map(KeyProtector::kind).collect();
        if kinds.contains(&ProtectorKind::ClearKey) {
            output::note("protection of this drive is suspended: anyone can open it without a key");
            return Ok(Given::other(ClearKey));
        }
        if self.unattended {
            return Err(Failure::could_not("no key to open the drive with is given")
                .hint("name its password or startup key: `keyhaven device run --help`"));
        }
        ask(&kinds)
    }
}

/// The recovery password of this drive, released by the account after a fresh confirmation.
fn from_account(protectors: &[KeyProtector], account: &AccountArgs, person: &PersonArgs) -> Outcome<RecoveryPassword> {
    let wanted: Vec<String> = protectors
        .iter()
        .filter(|protector| protector.kind() == ProtectorKind::RecoveryPassword)
        .map(|protector| protector.identifier.to_string())
        .collect();
    if wanted.is_empty() {
        return Err(Failure::no("this drive has no recovery key, so an account cannot have it"));
    }
    let client = account.open()?;
    let mut found = Vec::new();
    for key_id in &wanted {
        found.extend(client.find_records(key_id).map_err(|error| explain(&error))?);
    }
    let short: Vec<&str> = wanted.iter().map(|key_id| &key_id[..8]).collect();
    let Some(record) = found.iter().find(|record| record.verified) else {
        let failure = Failure::no(format!("your account has no key for this drive (key ID {})", short.join(", ")));
        return Err(if found.is_empty() {
            failure.hint("`keyhaven keys list` shows which keys it has; the key may be in another account")
        } else {
            failure
                .cause("it has a record of that key, but who saved it cannot be verified")
                .hint("check the audit trail: `keyhaven audit verify`")
        });
    };
    let mut person = person.person()?.at(&client);
    let key = person.confirm(|presence| client.reveal(record.record_id, "drive_access", presence))?;
    Ok(key.password)
}

/// Asks for whatever the drive takes, password first: it is what people remember.
fn ask(kinds: &[ProtectorKind]) -> Outcome<Given> {
    if kinds.contains(&ProtectorKind::Password) {
        let question = "password of the drive (leave empty to type the recovery key)";
        let password = prompt::secret(question).map_err(name_the_options)?;
        if !password.expose().is_empty() {
            return Ok(Given::other(Password(password)));
        }
    }
    let typed = prompt::secret("recovery key (48 digits)").map_err(name_the_options)?;
    check_recovery_password(&typed).map(Given::recovery)
}

fn name_the_options(failure: Failure) -> Failure {
    failure.hint(format!(
        "use --recovery-password-file, --password-file, --startup-key or --from-account, or set \
         {RECOVERY_PASSWORD_VARIABLE} or {PASSWORD_VARIABLE}"
    ))
}

/// The recovery password in a file.
pub(crate) fn recovery_password_from(path: &Path) -> Outcome<RecoveryPassword> {
    let bytes = read_secret_file(path)?;
    check_text(recovery_file::find_password(&recovery_file::decode_for_digits(&bytes)))
}

fn check_recovery_password(text: &SecretString) -> Outcome<RecoveryPassword> {
    check_text(recovery_file::find_password(text))
}

fn check_text(parsed: Result<RecoveryPassword, secret::RecoveryPasswordError>) -> Outcome<RecoveryPassword> {
    parsed.map_err(|error| {
        Failure::no("this is not a complete recovery key")
            .because(&error)
            .hint("compare that group with the printout or the screen and type it again")
    })
}

/// The password in a file: its first line.
pub(crate) fn password_from(path: &Path) -> Outcome<SecretString> {
    let bytes = read_secret_file(path)?;
    let text = recovery_file::decode(&bytes)
        .ok_or_else(|| Failure::could_not(format!("{} is not a text file", path.display())))?;
    let line = text.expose().lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::could_not(format!("{} holds no password", path.display())));
    }
    Ok(SecretString::from(line))
}

/// A password that the drive shall have: from a file, the environment, or typed twice.
pub(crate) fn new_password(file: Option<&Path>) -> Outcome<SecretString> {
    let given = match file {
        Some(path) => Some(password_from(path)?),
        None => variable(NEW_PASSWORD_VARIABLE)?,
    };
    let password = match given {
        Some(password) => password,
        None => {
            let name_the_options =
                |failure: Failure| failure.hint(format!("use --new-password-file or set {NEW_PASSWORD_VARIABLE}"));
            let typed = prompt::secret("new password of the drive").map_err(name_the_options)?;
            if typed.expose().is_empty() {
                return Err(Failure::no("an empty password protects nothing").hint("run it again"));
            }
            if prompt::secret("the same password again")? != typed {
                return Err(Failure::no("the two passwords differ").hint("run it again"));
            }
            typed
        }
    };
    if password.expose().encode_utf16().count() < PASSWORD_CHARS {
        output::note(&format!(
            "warning: a password of less than {PASSWORD_CHARS} characters is soon guessed, and Windows may refuse it"
        ));
    }
    Ok(password)
}

fn external_key_from(path: &Path) -> Outcome<ExternalKey> {
    let bytes = read_secret_file(path)?;
    let bad = || Failure::no(format!("{} is not a startup key file", path.display()));
    let file = ExternalKeyFile::parse(&bytes).map_err(|error| bad().because(&error))?;
    ExternalKey::from_file(&file).ok_or_else(|| bad().cause("it holds no key"))
}

/// A whole small file, or standard input for `-`.
pub(crate) fn read_secret_file(path: &Path) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_SECRET_FILE_BYTES).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_SECRET_FILE_BYTES).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::could_not(format!("cannot read {}", path.display())).because(&error))?;
    Ok(bytes)
}

/// A secret in the environment; an empty one is none.
pub(crate) fn variable(name: &str) -> Outcome<Option<SecretString>> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(SecretString::new(text))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::could_not(format!("{name} is not valid text"))),
    }
}
