//! Notices to the owner of an account: what happened to it, and mailed codes.
//!
//! Notices are sent beside the answer: whether an address has an account does not show in how long it takes. A notice
//! that cannot be sent is logged without address and content; the act it tells of is in the audit trail in any case.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use secret::random_bytes;
use vault_store::{Account, AccountId};
use zeroize::Zeroizing;

use crate::app::App;

/// A message to one person.
pub struct Notice {
    /// Mail address.
    pub to: String,
    /// What it is about.
    pub subject: &'static str,
    /// The text. May hold a mailed code, hence no `Debug`.
    pub text: Zeroizing<String>,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// Brings notices to people.
pub trait Notices: Debug + Send + Sync {
    /// Hands a notice over; when it returns, the notice will not be lost.
    ///
    /// # Errors
    /// Any error of the way it takes.
    fn send(&self, notice: &Notice) -> io::Result<()>;
}

/// Notices as files of a folder, readable by its owner only: for a service whose operator hands them on.
#[derive(Debug)]
pub struct NoticeFolder(PathBuf);

impl NoticeFolder {
    /// The folder; made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self(folder.to_owned()))
    }
}

impl Notices for NoticeFolder {
    fn send(&self, notice: &Notice) -> io::Result<()> {
        // Sorted by time, never two alike; complete as soon as the name ends in `.txt`.
        let name = format!("{}-{}", notice.at, uuid::Uuid::new_v4().simple());
        let (part, whole) = (self.0.join(format!("{name}.part")), self.0.join(format!("{name}.txt")));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&part)?;
        let head = format!("To: {}\nSubject: {}\n\n", notice.to, notice.subject);
        file.write_all(head.as_bytes())?;
        file.write_all(notice.text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &whole)?;
        #[cfg(unix)]
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}

/// What is told.
pub(crate) enum Event {
    /// Somebody says the password is lost; the code goes to the address only.
    RecoveryCode(Zeroizing<String>),
    /// Kit and second factor were proven.
    RecoveryProven,
    /// There is a new password and a new kit.
    PasswordRecovered,
    /// The signed-in owner changed the password.
    PasswordChanged,
    /// A factor was added.
    FactorAdded,
    /// A factor was removed.
    FactorRemoved,
    /// The counter of a passkey went back.
    PasskeyCounterBack,
    /// A program sent key material of a passkey; its slot was retired.
    PasskeyLeaked,
    /// A passkey opens the vault from now on.
    PasskeySlotAdded,
    /// New backup codes were made.
    BackupCodesMade,
    /// Somebody signed in with a backup code.
    BackupCodeUsed,
    /// A key was released to be shown.
    KeyReleased,
    /// Several keys were released for an export.
    KeysExported,
}

const NOT_YOU: &str = "If this was not you, sign in now, look at `keyhaven audit show`, change the password with\n\
    `keyhaven account password`, and remove any authenticator that is not yours.\n";

/// Who is told this has lost password and kit: signing in is not among the things left to do.
const NOT_YOU_RECOVERED: &str = "If this was not you, neither your password nor your kit opens the account any more: tell\n\
    whoever runs this service, and replace the recovery keys of your drives.\n";

impl Event {
    fn text(&self) -> (&'static str, Zeroizing<String>) {
        let (subject, what) = match self {
            Self::RecoveryCode(code) => {
                let mut text = Zeroizing::new(String::with_capacity(512));
                text.push_str(
                    "Somebody says that the password of your account is lost. If it was you, the code is\n\n  ",
                );
                text.push_str(code);
                text.push_str(
                    "\n\nIt is good for ten minutes, and only together with your emergency kit and a second factor.\n\
                     If it was not you, there is nothing to do: without those nobody gets in.\n",
                );
                return ("Your Keyhaven code", text);
            }
            Self::RecoveryProven => (
                "Your emergency kit was used",
                "Somebody proved your emergency kit and a second factor, and may now set a new password.",
            ),
            Self::PasswordRecovered => (
                "A new password after a lost one",
                "The password of your account was replaced with the help of the emergency kit. Every session has ended.",
            ),
            Self::PasswordChanged => ("Your password was changed", "The password of your account was changed."),
            Self::FactorAdded => ("A second factor was added", "A second factor was added to your account."),
            Self::FactorRemoved => ("A second factor was removed", "A second factor of your account was removed."),
            Self::PasskeyCounterBack => (
                "A passkey may have been copied",
                "A passkey of your account answered with a lower count than before: a copy of it may be in use, or an old answer\n\
                 was played again. It was refused. If you cannot explain it, remove the passkey and add another one.",
            ),
            Self::PasskeyLeaked => (
                "A passkey does not open the vault any more",
                "A program sent key material of a passkey of your account to the service, which it never may. The service did not\n\
                 keep it, and the passkey does not open the vault any more until that is set up again. It still signs you in.\n\
                 Update the program before you do.",
            ),
            Self::PasskeySlotAdded => (
                "A passkey opens your vault",
                "A passkey of your account was set up to open the vault without the password.",
            ),
            Self::BackupCodesMade => {
                ("New backup codes", "New backup codes were made for your account; earlier ones are void.")
            }
            Self::BackupCodeUsed => {
                ("A backup code was used", "Somebody used a backup code of your account to sign in.")
            }
            Self::KeyReleased => (
                "A recovery key was released",
                "A recovery key of your account was released, after a fresh second factor.",
            ),
            Self::KeysExported => (
                "Recovery keys were exported",
                "Recovery keys of your account were released for an export, after a fresh second factor.",
            ),
        };
        let not_you = if matches!(self, Self::PasswordRecovered) { NOT_YOU_RECOVERED } else { NOT_YOU };
        (subject, Zeroizing::new(format!("{what}\n\n{not_you}Your computers keep saving recovery keys as before.\n")))
    }
}

/// Six digits, each of the million as likely.
pub(crate) fn new_code() -> Zeroizing<String> {
    loop {
        let mut bytes = [0; 4];
        random_bytes(&mut bytes);
        let number = u32::from_le_bytes(bytes);
        // The last, incomplete million of the range would make some codes likelier.
        if number < 4_294_000_000 {
            return Zeroizing::new(format!("{:06}", number % 1_000_000));
        }
    }
}

impl App {
    /// As [`App::tell`], by the account's identifier. Never fails: the act is done, and its answer has to arrive.
    pub(crate) async fn tell_owner(&self, account: AccountId, event: Event) {
        if !self.sends_notices() {
            return;
        }
        match self.store.account(account).await {
            Ok(Some(account)) => self.tell(&account, event),
            Ok(None) => {}
            Err(_) => tracing::error!("a notice could not be sent: its account could not be read"),
        }
    }

    /// Tells the owner of an account, in the background.
    pub(crate) fn tell(&self, account: &Account, event: Event) {
        let Some(notices) = self.notices() else { return };
        let (subject, text) = event.text();
        let notice = Notice { to: account.email_norm.clone(), subject, text, at: self.now() };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = notices.send(&notice) {
                tracing::error!(kind = %error.kind(), "a notice could not be sent");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_notice_weakens_the_account() {
        let code = || Zeroizing::new("123456".to_owned());
        for event in [
            Event::RecoveryCode(code()),
            Event::RecoveryProven,
            Event::PasswordRecovered,
            Event::PasswordChanged,
            Event::FactorAdded,
            Event::FactorRemoved,
            Event::PasskeyCounterBack,
            Event::PasskeyLeaked,
            Event::PasskeySlotAdded,
            Event::BackupCodesMade,
            Event::BackupCodeUsed,
            Event::KeyReleased,
            Event::KeysExported,
        ] {
            let holds_code = matches!(event, Event::RecoveryCode(_));
            let (subject, text) = event.text();
            let all = format!("{subject} {}", *text).to_lowercase();
            for word in ["turn off", "turned off", "disable", "switch off"] {
                assert!(!all.contains(word), "{all}");
            }
            assert_eq!(text.contains("123456"), holds_code, "a code is in the notice that is for it, and in no other");
            assert!(!subject.contains("123456"), "subjects are shown on locked screens");
        }
    }

    #[test]
    fn mailed_codes_have_six_digits() {
        for _ in 0..1000 {
            let code = new_code();
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{}", *code);
        }
    }

    #[test]
    fn a_folder_gets_whole_private_files() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/notices");
        let notices = NoticeFolder::open(&folder).unwrap();
        for _ in 0..2 {
            let notice =
                Notice { to: "ada@example.org".into(), subject: "S", text: Zeroizing::new("T\n".into()), at: 7 };
            notices.send(&notice).unwrap();
        }
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "one each, though at the same time");
        for file in files {
            assert_eq!(fs::read_to_string(&file).unwrap(), "To: ada@example.org\nSubject: S\n\nT\n");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        let notice = Notice { to: "a@b".into(), subject: "S", text: Zeroizing::new(String::new()), at: 7 };
        assert!(notices.send(&notice).is_err());
    }
}
