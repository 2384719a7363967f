//! A recovery key in hand: made or read, saved where its owner wants it, confirmed, and only then followed by what it is for.
//!
//! ```text
//! encrypt, create   take (everything is checked) -> save, confirm -> go: now the drive is written
//! add, backup       take (the key is on the drive) -> save
//! rotate            take (the new key is on the drive, beside the old) -> save, confirm -> go: the old one goes
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use data_encoding::HEXLOWER;
use drive_ops::backup::{self, About, Key, Page};
use drive_ops::create::{FileSystem, Making, NewDrive, Target};
use drive_ops::failure::Failure;
use drive_ops::rotate::{self, Rotation};
use drive_ops::{convert, disk, drive, edit, encrypt, info};
use fve::convert::Converter;
use fve::{EncryptionMethod, Filetime, Guid, KeyProtector, ProtectorKind};
use secret::{RecoveryPassword, SecretBytes, SecretString};
use vault_client::Outcome as Saving;
use zeroize::Zeroizing;

use crate::app::App;
use crate::drives::id_of;
use crate::failure::{Answer, Code, Refused, because, locked};
use crate::given::{Given, new_password};
use crate::jobs::{self, Ended};
use crate::types::{
    Direction, Gone, Intent, JobKind, KeyInHand, Method, NewFileSystem, Paper, Secret, SecretText, TakeKey,
};
use crate::views::absolute;

/// Keys in hand at once.
const MOST: usize = 16;

/// What the key is for.
enum Aim {
    Encrypt { method: EncryptionMethod, password: Option<SecretString> },
    Create { drive: NewDrive, password: Option<SecretString> },
    Add,
    Rotate { old: Vec<Guid>, given: Arc<Given> },
    Backup,
}

/// One key.
pub(crate) struct Hand {
    id: String,
    path: PathBuf,
    key: Key,
    about: About,
    aim: Aim,
    account: Option<u64>,
    files: Vec<PathBuf>,
    printed: bool,
    printed_confirmed: bool,
    used: Instant,
}

impl Hand {
    fn is_confirmed(&self) -> bool {
        self.account.is_some()
            || self.printed_confirmed
            || self.files.iter().any(|file| backup::read_back(file, &self.key).is_ok())
    }

    fn intent(&self) -> Intent {
        match self.aim {
            Aim::Encrypt { .. } => Intent::Encrypt,
            Aim::Create { .. } => Intent::Create,
            Aim::Add => Intent::Add,
            Aim::Rotate { .. } => Intent::Rotate,
            Aim::Backup => Intent::Backup,
        }
    }

    fn told(&self) -> KeyInHand {
        let exists = !matches!(self.aim, Aim::Create { .. });
        KeyInHand {
            id: self.id.clone(),
            intent: self.intent(),
            drive_name: self.path.display().to_string(),
            drive: exists.then(|| id_of(&self.path)),
            identifier: self.key.identifier.to_string(),
            key_id: info::key_id(self.key.identifier),
            account: self.account,
            files: self.files.iter().map(|file| file.display().to_string()).collect(),
            printed: self.printed,
            printed_confirmed: self.printed_confirmed,
            confirmed: self.is_confirmed(),
        }
    }
}

/// All keys in hand.
#[derive(Default)]
pub(crate) struct Hands(Mutex<Vec<Arc<Mutex<Hand>>>>);

impl Hands {
    pub(crate) fn list(&self) -> Vec<KeyInHand> {
        let all: Vec<_> = locked(&self.0).clone();
        all.iter().map(|hand| locked(hand).told()).collect()
    }

    fn add(&self, hand: Hand) -> Answer<KeyInHand> {
        let told = hand.told();
        let mut all = locked(&self.0);
        if all.len() >= MOST {
            return Err(Code::TooMany.into());
        }
        all.push(Arc::new(Mutex::new(hand)));
        Ok(told)
    }

    fn get(&self, id: &str) -> Answer<Arc<Mutex<Hand>>> {
        let all = locked(&self.0).clone();
        let found = all.into_iter().find(|hand| locked(hand).id == id);
        found.ok_or_else(|| Code::NotFound.into())
    }

    /// Lets go of a key.
    pub(crate) fn drop_key(&self, id: &str) -> Answer<()> {
        let found = self.get(id)?;
        locked(&self.0).retain(|hand| !Arc::ptr_eq(hand, &found));
        Ok(())
    }

    pub(crate) fn sweep(&self, now: Instant, life: Duration) {
        // One that is being used now is not old.
        locked(&self.0).retain(|hand| hand.try_lock().map_or(true, |hand| hand.used + life > now));
    }

    fn with<R>(&self, id: &str, act: impl FnOnce(&mut MutexGuard<'_, Hand>) -> Answer<R>) -> Answer<R> {
        let found = self.get(id)?;
        let mut hand = locked(&found);
        hand.used = Instant::now();
        act(&mut hand)
    }

    /// The digits, for the page that shows them.
    pub(crate) fn show(&self, id: &str) -> Answer<SecretString> {
        self.with(id, |hand| Ok(hand.key.password.to_text()))
    }

    /// Writes the key to a new file in a folder, or of this name, and reads it back.
    pub(crate) fn save_to_file(&self, id: &str, place: &Path) -> Answer<KeyInHand> {
        self.with(id, |hand| {
            let file = backup::write_file(&hand.path, place, &hand.key)?;
            backup::read_back(&file, &hand.key)?;
            hand.files.push(file);
            Ok(hand.told())
        })
    }

    /// The page for printing.
    pub(crate) fn sheet(&self, id: &str, paper: Paper) -> Answer<Zeroizing<Vec<u8>>> {
        self.with(id, |hand| {
            let paper = if paper == Paper::A4 { backup::Paper::A4 } else { backup::Paper::Letter };
            let page = Page { drive: &hand.path, about: &hand.about, key: &hand.key, paper, key_as_qr: false };
            let bytes = page.render()?;
            hand.printed = true;
            Ok(bytes)
        })
    }

    /// The last six digits, read from paper: the page does not count before.
    pub(crate) fn confirm_sheet(&self, id: &str, typed: &SecretText) -> Answer<KeyInHand> {
        self.with(id, |hand| {
            let digits = hand.key.password.to_text();
            let typed = typed.0.expose().trim();
            if !hand.printed {
                return Err(Code::WrongState.into());
            }
            if typed.len() != 6 || !digits.expose().ends_with(typed) {
                return Err(Code::WrongDigits.into());
            }
            hand.printed_confirmed = true;
            Ok(hand.told())
        })
    }
}

fn method(method: Method) -> EncryptionMethod {
    match method {
        Method::XtsAes128 => EncryptionMethod::AesXts128,
        Method::XtsAes256 => EncryptionMethod::AesXts256,
        Method::AesCbc128 => EncryptionMethod::AesCbc128,
        Method::AesCbc256 => EncryptionMethod::AesCbc256,
    }
}

fn hand(path: PathBuf, key: Key, about: About, aim: Aim) -> Hand {
    Hand {
        id: HEXLOWER.encode(SecretBytes::<16>::random().expose()),
        path,
        key,
        about,
        aim,
        account: None,
        files: Vec::new(),
        printed: false,
        printed_confirmed: false,
        used: Instant::now(),
    }
}

impl App {
    /// What opens a drive: what the request brought, or what opened it before.
    pub(crate) fn given(&self, drive: &str, secret: Option<&Secret>) -> Answer<Arc<Given>> {
        match secret {
            Some(secret) => Given::read(secret),
            None => self.views.given(drive).or_else(|| self.jobs.given(drive)).ok_or_else(|| Code::SecretNeeded.into()),
        }
    }

    /// The drive must have no work under way.
    pub(crate) fn idle_path(&self, drive: &str) -> Answer<PathBuf> {
        if self.jobs.is_busy(drive) {
            return Err(Code::Busy.into());
        }
        self.path_of(drive)
    }

    /// Takes a key in hand. Whatever can be refused later is refused now.
    pub(crate) fn take_key(&self, request: &TakeKey) -> Answer<KeyInHand> {
        let hand = match request {
            TakeKey::Encrypt { drive, method: how, password } => {
                let password = password.as_ref().map(new_password).transpose()?;
                self.to_encrypt(&self.idle_path(drive)?, method(*how), password)?
            }
            TakeKey::Create { path, bytes, method: how, file_system, label, full, password } => {
                let new = NewDrive {
                    file: absolute(path)?,
                    volume_bytes: *bytes,
                    sector_bytes: 512,
                    hidden_sectors: 0,
                    method: method(*how),
                    file_system: match file_system {
                        NewFileSystem::Fat32 => FileSystem::Fat32,
                        NewFileSystem::Ntfs => FileSystem::Ntfs,
                        NewFileSystem::Exfat => FileSystem::Exfat,
                    },
                    label: label.clone(),
                    used_space_only: !full,
                };
                to_create(new, password.as_ref().map(new_password).transpose()?)?
            }
            TakeKey::Add { drive, secret } => {
                let given = self.given(drive, secret.as_ref())?;
                self.to_add(drive, &self.idle_path(drive)?, &given)?
            }
            TakeKey::Rotate { drive, secret, identifier } => {
                let given = self.given(drive, secret.as_ref())?;
                self.to_rotate(drive, &self.idle_path(drive)?, given, identifier.as_deref())?
            }
            TakeKey::Backup { drive, secret } => {
                let (path, given) = (self.path_of(drive)?, self.given(drive, secret.as_ref())?);
                let volume = drive::open(&path)?;
                let keys = backup::recovery_keys(&path, &volume, given.material(), given.recovery_password())?;
                let key = keys.into_iter().next().ok_or_else(|| Refused::from(Code::NotFound))?;
                let about = About::of(&volume, key.identifier);
                hand(path, key, about, Aim::Backup)
            }
        };
        self.hands.add(hand)
    }

    fn to_encrypt(&self, path: &Path, method: EncryptionMethod, password: Option<SecretString>) -> Answer<Hand> {
        self.lock(&id_of(path));
        let _held = convert::hold(path)?;
        let encrypt::Found::Plain(storage) = encrypt::look(path)? else {
            return Err(Failure::no("this drive is half encrypted already").into());
        };
        let password_of_key = RecoveryPassword::random();
        let options = encrypt::plan(path, &storage, method, &password_of_key)?;
        let key = Key { identifier: options.recovery_identifier, password: password_of_key };
        let about = About {
            is_removable: false,
            description: Some(options.volume.description.clone()),
            method,
            volume_bytes: options.volume.placement.volume_bytes,
            created: Some(options.volume.now),
        };
        Ok(hand(path.to_owned(), key, about, Aim::Encrypt { method, password }))
    }

    fn to_add(&self, drive: &str, path: &Path, given: &Given) -> Answer<Hand> {
        let password = RecoveryPassword::random();
        let identifier = self.views.without_lock(drive, path, || {
            let mut editing = edit::open(path)?.prove(given.material())?;
            let added = editing.editor.add_recovery_password(&password, None);
            let identifier = editing.explained(added)?;
            editing.commit()?;
            Ok(identifier)
        })?;
        let key = Key { identifier, password };
        rotate::prove(path, &key)?;
        let about = About::of(&drive::open(path)?, identifier);
        Ok(hand(path.to_owned(), key, about, Aim::Add))
    }

    fn to_rotate(&self, drive: &str, path: &Path, given: Arc<Given>, identifier: Option<&str>) -> Answer<Hand> {
        let rotation = self.views.without_lock(drive, path, || {
            let mut editing = edit::open(path)?.prove(given.material())?;
            if let Some(rotation) = rotate::unfinished(path, &editing)? {
                return Ok(rotation);
            }
            let old = match identifier {
                Some(identifier) => vec![editing.find(identifier)?],
                None => editing.editor.protectors(),
            };
            let is_recovery = |it: &KeyProtector| it.kind() == ProtectorKind::RecoveryPassword;
            let old: Vec<Guid> = old.into_iter().filter(is_recovery).map(|it| it.identifier).collect();
            if old.is_empty() {
                return Err(Failure::no("the drive has no recovery key to replace").into());
            }
            Ok(rotate::begin(&mut editing, old)?)
        })?;
        rotate::prove(path, &rotation.key)?;
        let about = About::of(&drive::open(path)?, rotation.key.identifier);
        Ok(hand(path.to_owned(), rotation.key, about, Aim::Rotate { old: rotation.old, given }))
    }

    /// Saves a key to the account: saved is said only after its receipt was verified.
    pub(crate) fn save_to_account(&self, id: &str) -> Answer<KeyInHand> {
        let client = self.client(None)?;
        self.hands.with(id, |hand| match backup::save_to_account(&client, &hand.path, &hand.about, &hand.key, None)? {
            Saving::Saved { audit_seq, .. } => {
                hand.account = Some(audit_seq);
                Ok(hand.told())
            }
            Saving::Waiting { why, .. } => Err(because(Code::Waiting, backup::not_yet_saved(&why, 1))),
        })
    }

    /// Does what the key is for. A key that is saved nowhere begins nothing.
    pub(crate) fn go(self: &Arc<Self>, id: &str) -> Answer<Gone> {
        let gone = self.hands.with(id, |hand| {
            if !hand.is_confirmed() {
                return Err(Code::NotBackedUp.into());
            }
            let path = hand.path.clone();
            let key = Key { identifier: hand.key.identifier, password: hand.key.password.clone() };
            match &mut hand.aim {
                Aim::Add | Aim::Backup => Ok(Gone { job: None, drive: self.drive(&id_of(&path)).ok() }),
                Aim::Rotate { old, given } => {
                    let rotation = Rotation { key, old: old.clone(), resumed: true };
                    self.finish_rotation(&path, given, &rotation)?;
                    Ok(Gone { job: None, drive: self.drive(&id_of(&path)).ok() })
                }
                Aim::Encrypt { method, password } => self.encrypt(&path, *method, password.as_ref(), &key),
                Aim::Create { drive, password } => self.create(drive.clone(), password.as_ref(), key),
            }
        })?;
        self.hands.drop_key(id)?;
        Ok(gone)
    }

    fn finish_rotation(&self, path: &Path, given: &Given, rotation: &Rotation) -> Answer<()> {
        self.views.without_lock(&id_of(path), path, || {
            // The new key opens it: the one that was given may be the one that goes.
            let mut editing = edit::open(path)?.prove(&rotation.key.password)?;
            rotate::finish(&mut editing, rotation)?;
            Ok(())
        })?;
        if given.recovery_password().is_some() {
            // What opened it may be gone; it is unlocked again with what opens it now.
            self.lock(&id_of(path));
        }
        if let Ok(client) = self.client(None)
            && client.is_enrolled().unwrap_or(false)
        {
            // The key is replaced and saved all the same; a note that waits goes with the next call.
            let _ = rotate::note_retired(&client, &rotation.old);
        }
        Ok(())
    }

    fn encrypt(
        &self,
        path: &Path,
        method: EncryptionMethod,
        password: Option<&SecretString>,
        key: &Key,
    ) -> Answer<Gone> {
        self.lock(&id_of(path));
        if self.jobs.is_busy(&id_of(path)) {
            return Err(Code::Busy.into());
        }
        let held = convert::hold(path)?;
        let encrypt::Found::Plain(storage) = encrypt::look(path)? else {
            return Err(Failure::no("this drive is half encrypted already").into());
        };
        // Planned anew: the files may have changed while the key was being saved.
        let mut options = encrypt::plan(path, &storage, method, &key.password)?;
        options.recovery_identifier = key.identifier;
        options.volume.password = password.map(|password| SecretString::from(password.expose()));
        let converter = Converter::encrypt(storage, &options).map_err(|error| convert::explain(path, &error))?;
        let (place, given) = (path.to_owned(), Given::recovery(&key.password));
        let job = self.jobs.start(JobKind::Encrypt, path, Some(given), move |work| {
            let ended = jobs::run(work, &place, converter, Direction::Encrypt);
            drop(held);
            ended
        })?;
        Ok(Gone { job: Some(job), drive: None })
    }

    fn create(self: &Arc<Self>, new: NewDrive, password: Option<&SecretString>, key: Key) -> Answer<Gone> {
        let path = new.file.clone();
        let password = password.map(|password| SecretString::from(password.expose()));
        let target = Target::create(&path, new.volume_bytes)?;
        let (app, place) = (Arc::clone(self), path.clone());
        let given = Given::recovery(&key.password);
        let job = self.jobs.start(JobKind::Create, &path, Some(given), move |work| {
            let plan = new.plan().inspect_err(|_| target.give_up())?;
            let making = Making {
                identifier: key.identifier,
                before: &mut |_| Ok(()),
                progress: &mut |done, total| work.progress(done, total),
                add: &mut |_| Ok(()),
            };
            plan.make(&target, &key.password, password, making)?;
            locked(&app.images).add(&place);
            Ok(Ended::Done)
        })?;
        Ok(Gone { job: Some(job), drive: None })
    }
}

fn to_create(new: NewDrive, password: Option<SecretString>) -> Answer<Hand> {
    new.check_label()?;
    let path = new.file.clone();
    // Tries whether the file can be made, and leaves nothing.
    Target::create(&path, new.volume_bytes)?.give_up();
    let planned = new.clone().plan()?;
    drop(planned);
    let key = Key { identifier: fve::random_guid(), password: RecoveryPassword::random() };
    let about = About {
        is_removable: false,
        description: Some(new.label.clone()),
        method: new.method,
        volume_bytes: new.volume_bytes,
        created: Some(Filetime::from_system_time_ms(SystemTime::now())),
    };
    let _ = disk::image_of(&path);
    Ok(hand(path, key, about, Aim::Create { drive: new, password }))
}
