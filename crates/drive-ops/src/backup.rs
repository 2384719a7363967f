//! "Back up your recovery key": what is saved, where it may lie, and proof that it is there.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fve::{EncryptionMethod, Filetime, Guid, KeyMaterial, ProtectorKind, VolumeLayout};
pub use recovery_sheet::Paper;
use recovery_sheet::{Date, Sheet};
use secret::RecoveryPassword;
use vault_client::{Client, Error, KeyToSave, Meta, Outcome as Saving, RecordId, Transport};
use zeroize::Zeroizing;

use crate::account::explain;
use crate::drive::{self, Locked};
use crate::failure::{Failure, Kind, Outcome};
use crate::note::note;
use crate::{files, host, recovery_file, same_drive, words};

/// A recovery password that opens the drive.
pub struct Key {
    /// Of its protector.
    pub identifier: Guid,
    /// The 48 digits.
    pub password: RecoveryPassword,
}

/// All recovery passwords of the drive, each tried on it: a key that does not open it would be worse than none. `given` is the
/// one that was given to open it, if that is one.
///
/// # Errors
/// The secret does not open the drive, or no recovery password can be read.
pub fn recovery_keys(
    path: &Path,
    volume: &Locked,
    material: &dyn KeyMaterial,
    given: Option<&RecoveryPassword>,
) -> Outcome<Vec<Key>> {
    let (vmk, opened_with) = volume.unwrap_vmk(material).map_err(|error| drive::explain(path, &error))?;
    let mut keys: Vec<Key> = Vec::new();
    if let Some(password) = given {
        keys.push(Key { identifier: opened_with, password: password.clone() });
    }
    for (identifier, password) in volume.recovery_passwords(&vmk) {
        if keys.iter().any(|key| key.identifier == identifier) {
            continue;
        }
        match volume.unwrap_vmk(&password) {
            Ok((_, opened)) if opened == identifier => keys.push(Key { identifier, password }),
            _ => note(&format!(
                "warning: the stored copy of recovery key {{{identifier}}} does not open the drive; left out"
            )),
        }
    }
    if keys.is_empty() {
        let has_one = drive::kinds(volume).contains(&ProtectorKind::RecoveryPassword);
        let failure = Failure::no(format!("{} has no recovery key that can be read", path.display()));
        return Err(if has_one {
            failure
                .cause("the drive does not hold a readable copy of its recovery key")
                .hint("unlock it with the recovery key itself: --recovery-password-file")
        } else {
            failure.cause("the drive has no recovery-password protector")
        });
    }
    Ok(keys)
}

/// What is told of a drive beside its key.
pub struct About {
    /// BitLocker To Go.
    pub is_removable: bool,
    /// What the drive calls itself.
    pub description: Option<String>,
    /// How sectors are encrypted.
    pub method: EncryptionMethod,
    /// Its size.
    pub volume_bytes: u64,
    /// When the protector was made.
    pub created: Option<Filetime>,
}

impl About {
    /// Of a drive that has the protector with this identifier.
    #[must_use]
    pub fn of(volume: &Locked, identifier: Guid) -> Self {
        let protector = volume.protectors().into_iter().find(|protector| protector.identifier == identifier);
        Self {
            is_removable: volume.header().layout == VolumeLayout::ToGo,
            description: volume.description(),
            method: volume.metadata().method,
            volume_bytes: volume.volume_bytes(),
            created: protector.map(|protector| protector.modified),
        }
    }
}

/// What the account keeps beside the key, sealed as it is.
#[must_use]
pub fn meta(path: &Path, about: &About, key: &Key) -> Meta {
    Meta {
        key_id: key.identifier.to_string(),
        volume_type: if about.is_removable { "removable" } else { "fixed" }.to_owned(),
        mount: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        label: about.description.clone().unwrap_or_default(),
        computer: crate::host::name(),
        os: std::env::consts::OS.to_owned(),
        method: about.method.to_string(),
        protector_created: about.created.map(|created| created.to_string()),
        source: "drive".to_owned(),
        client: concat!("keyhaven/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Saves a key of the drive at `path` to the account, and tells whether the account has it or it waits here. A key may take the
/// place of another one, whose record stays.
///
/// # Errors
/// [`Kind::NotEnrolled`]; the files of the account cannot be written.
pub fn save_to_account<T: Transport>(
    client: &Client<T>,
    path: &Path,
    about: &About,
    key: &Key,
    in_place_of: Option<RecordId>,
) -> Outcome<Saving> {
    let to_save = KeyToSave { password: key.password.clone(), meta: meta(path, about, key) };
    client.save_in_place_of(&to_save, in_place_of).map_err(|error| explain(&error))
}

/// What to say when sealed keys wait in the outbox.
#[must_use]
pub fn not_yet_saved(why: &Error, count: usize) -> Failure {
    let cause = explain(why);
    let what = if count == 1 { "the key is".to_owned() } else { format!("{count} keys are") };
    let mut text = cause.error.clone();
    if let Some(deeper) = &cause.cause {
        text = format!("{text}: {deeper}");
    }
    let next = cause.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let mut failure = Failure::could_not(format!("{what} not yet saved to the account")).cause(text).hint(format!(
        "nothing is lost: it waits on this computer, sealed, and the next run delivers it (`keyhaven keys deliver`){next}"
    ));
    failure.code = cause.code;
    failure
}

/// Writes the key to a new file as Windows does, and tells its name: a folder gets the name that Windows uses.
///
/// # Errors
/// [`Kind::OnTheDrive`], [`Kind::Exists`]; it cannot be written.
pub fn write_file(drive: &Path, path: &Path, key: &Key) -> Outcome<PathBuf> {
    let path = place_for(drive, path, key, "TXT")?;
    files::write_new_private(&path, &recovery_file::encode(&key.identifier.to_string(), &key.password))?;
    Ok(path)
}

/// What the file says now must be the key.
///
/// # Errors
/// It says something else, or cannot be read.
pub fn read_back(file: &Path, key: &Key) -> Outcome {
    const MOST_BYTES: u64 = 64 * 1024;
    let bytes = files::read_small(file, MOST_BYTES)?;
    match recovery_file::find_password(&recovery_file::decode_for_digits(&bytes)) {
        Ok(read) if read == key.password => Ok(()),
        _ => Err(Failure::could_not(format!("{} does not read back as it was written", file.display()))
            .hint("choose another place")),
    }
}

/// A folder gets the file name that Windows uses. A place on the drive that the key opens is refused: behind the lock it is
/// of no use.
///
/// # Errors
/// [`Kind::OnTheDrive`].
pub fn place_for(drive: &Path, path: &Path, key: &Key, extension: &str) -> Outcome<PathBuf> {
    let name = || format!("BitLocker Recovery Key {}.{extension}", key.identifier);
    let path = if path.is_dir() { path.join(name()) } else { path.to_owned() };
    refuse_on_drive(drive, &path)?;
    Ok(path)
}

/// Refuses a place on the drive that the key opens.
///
/// # Errors
/// [`Kind::OnTheDrive`].
pub fn refuse_on_drive(drive: &Path, path: &Path) -> Outcome {
    if same_drive::lies_on(path, drive) {
        return Err(Failure::no(format!("{} lies on the drive that this key opens", path.display()))
            .kind(Kind::OnTheDrive)
            .cause("when the drive is locked, a key on it is out of reach")
            .hint("choose a place on another drive, or `--to account`, or print the page"));
    }
    Ok(())
}

/// What goes onto the page for printing.
pub struct Page<'a> {
    /// The drive, as it was named.
    pub drive: &'a Path,
    /// What is told of it.
    pub about: &'a About,
    /// Its key.
    pub key: &'a Key,
    /// Size of the paper.
    pub paper: Paper,
    /// Whether the key itself is on it as a QR code.
    pub key_as_qr: bool,
}

impl Page<'_> {
    /// The PDF.
    ///
    /// # Errors
    /// The page cannot be made.
    pub fn render(&self) -> Outcome<Zeroizing<Vec<u8>>> {
        let name = self.drive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let drive = match &self.about.description {
            Some(description) => format!("{name}, {description}"),
            None => name,
        };
        let (size, method) = (words::size(self.about.volume_bytes), self.about.method);
        let sheet = Sheet {
            computer: &host::name(),
            drive: &drive,
            details: &format!("{size}, {method}"),
            identifier: &self.key.identifier.to_string(),
            password: &self.key.password,
            date: today(),
            paper: self.paper,
            key_as_code: self.key_as_qr,
        };
        recovery_sheet::render(&sheet)
            .map_err(|error| Failure::could_not("cannot make the page for printing").because(&error))
    }
}

fn today() -> Date {
    // `2026-11-25T...`
    let text = Filetime::from_system_time_ms(SystemTime::now()).to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u16>().ok()).unwrap_or(1);
    let small = |number: u16| u8::try_from(number).unwrap_or(1);
    Date { year: part(0..4), month: small(part(5..7)), day: small(part(8..10)) }
}
