//! Notices to the owner of an account: what happened to it, and mailed codes; and the folder as a way out for them.
//!
//! How they wait and leave: `outbox`. The other way out: `smtp`.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use secret::random_bytes;
use vault_protocol::Millis;
use zeroize::Zeroizing;

/// A message to one person.
pub struct Notice {
    /// Names the notice: the same one comes again when it is not certain that it was sent.
    pub id: [u8; 16],
    /// Mail address.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// The text. May hold a mailed code, hence no `Debug`.
    pub text: Zeroizing<String>,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// Brings notices to people.
pub trait Notices: Debug + Send + Sync {
    /// Hands a notice over; when it returns, the notice will not be lost. Handing the same one over again does no harm.
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
        let name = format!("{}-{}", notice.at, data_encoding::HEXLOWER.encode(&notice.id));
        let (part, whole) = (self.0.join(format!("{name}.part")), self.0.join(format!("{name}.txt")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
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

/// A delay, as a notice tells of it.
pub(crate) struct Delay {
    /// When it ends.
    pub(crate) at: Millis,
    /// What cancels it.
    pub(crate) code: Zeroizing<String>,
}

/// What a deletion is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// One saved key.
    Key,
    /// The account with everything in it.
    Account,
}

/// What is told.
pub(crate) enum Event {
    /// Somebody says the password is lost; the code goes to the address only.
    RecoveryCode(Zeroizing<String>),
    /// Somebody says that every factor is lost; the code goes to the address only.
    ResetCode(Zeroizing<String>),
    /// A step-up where mail stands in for the second factor.
    StepUpCode(Zeroizing<String>),
    /// The account is to ask for no second factor any more.
    OffBegun(Delay),
    /// From now on it does not.
    OffDone,
    /// It could not be announced, so two-factor stays on.
    OffLapsed,
    /// The reset of lost factors has begun; by whoever runs the service, when so.
    ResetBegun(Delay, bool),
    /// It still runs.
    ResetRuns(Delay),
    /// It can be finished, until then.
    ResetDue(Delay),
    /// A new factor took the place of the lost ones.
    ResetDone,
    /// Nobody finished it.
    ResetLapsed,
    /// Somebody says that password and kit are lost; the code goes to the address only.
    RenewCode(Zeroizing<String>),
    /// The delay before new keys has begun; with a second factor, when so.
    RenewBegun(Delay, bool),
    /// It still runs.
    RenewRuns(Delay),
    /// New keys can be made, until then.
    RenewDue(Delay),
    /// Nobody made them.
    RenewLapsed,
    /// The account has new keys.
    RenewDone,
    /// The former kit opened the keys before a new start.
    FormerOpened,
    /// A deletion was asked for.
    DeletionBegun(Delay, Deleted),
    /// It is near.
    DeletionNear(Delay, Deleted),
    /// It happened.
    DeletionDone(Deleted),
    /// It could not be announced, so it does not happen.
    DeletionLapsed,
    /// A delay was cancelled.
    DelayCancelled,
    /// There is a new kit.
    KitReplaced,
    /// Kit and second factor were proven.
    RecoveryProven,
    /// After the delay of a reset, the kit was proven.
    ResetProven,
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
    /// A program sent key material of a passkey that it did not name.
    UnnamedPasskeyLeaked,
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
    /// A computer may save keys from now on.
    DeviceEnrolled,
    /// A computer may save keys no longer.
    DeviceRevoked,
    /// A computer replaced a key that was shown.
    KeyReplaced,
    /// A computer could not do so.
    KeyNotReplaced,
    /// A drive has a saved key no longer.
    KeyMissing,
    /// A drive has a key that is not saved.
    KeyUnknown,
    /// A computer found a saved key damaged or gone here, and sent it again.
    KeyResent,
}

/// Of every mail with a code to be typed: the code is not in it, since subjects are shown on locked screens.
const CODE_SUBJECT: &str = "Your Keyhaven code";

const NOT_YOU: &str = "If this was not you, sign in now, look at `keyhaven audit show`, change the password with\n\
    `keyhaven account password`, and remove any authenticator that is not yours.\n";

/// Who is told this has lost password and kit: signing in is not among the things left to do.
const NOT_YOU_RECOVERED: &str = "If this was not you, neither your password nor your kit opens the account any more: tell\n\
    whoever runs this service, and replace the recovery keys of your drives.\n";

/// The same after a new start. What was saved opened to nobody by it.
const NOT_YOU_RENEWED: &str = "If this was not you, neither your password nor your kit opens the account any more, and what you saved before can\n\
    still be read by nobody but the holder of your kit: keep it, and tell whoever runs this service.\n";

/// A moment as people read it.
fn utc(at: Millis) -> String {
    let minutes = at.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Days since 1970 as a date: eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

/// What is said about a code, which is in the middle.
fn with_code(before: &str, code: &str, after: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(before);
    text.push_str("\n\n  ");
    text.push_str(code);
    text.push_str("\n\n");
    text.push_str(after);
    text
}

const CANCEL_WITH: &str = "If this was not you, cancel it: sign in and run `keyhaven account cancel`, or run that command anywhere\n\
    and give it this code, which is good for nothing else:";
const THEN_PASSWORD: &str = "Then change the password with `keyhaven account password`.\n\
    Your computers keep saving recovery keys all the time.\n";

fn about_delay(what: &str, delay: &Delay) -> Zeroizing<String> {
    with_code(&format!("{what}\n\n{CANCEL_WITH}"), &delay.code, THEN_PASSWORD)
}

/// A deletion that is to happen; `near` for the reminder.
fn deletion(delay: &Delay, what: Deleted, near: bool) -> (&'static str, Zeroizing<String>) {
    let (subject, what) = match what {
        Deleted::Key => ("A saved recovery key is to be deleted", "a saved recovery key be deleted"),
        Deleted::Account => ("Your account is to be deleted", "the account be deleted, and every recovery key in it"),
    };
    let still = if near { " This was asked for some time ago and still stands." } else { "" };
    let text = format!(
        "Somebody who is signed in to your account, with a fresh second factor, asked that {what}. This\nhappens on {}.{still} Until \
         then everything is kept, and it can be cancelled.",
        utc(delay.at)
    );
    (subject, about_delay(&text, delay))
}

impl Event {
    /// Whether it brings a code that is typed soon or never.
    pub(crate) fn is_code(&self) -> bool {
        matches!(self, Self::RecoveryCode(_) | Self::ResetCode(_) | Self::RenewCode(_) | Self::StepUpCode(_))
    }

    /// Subject and text.
    pub(crate) fn text(&self) -> (&'static str, Zeroizing<String>) {
        let (subject, what) = match self {
            Self::RecoveryCode(code) => {
                let text = with_code(
                    "Somebody says that the password of your account is lost. If it was you, the code is",
                    code,
                    "It is good for ten minutes, and only together with your emergency kit and a second factor.\n\
                     If it was not you, there is nothing to do: without those nobody gets in.\n",
                );
                return (CODE_SUBJECT, text);
            }
            Self::ResetCode(code) => {
                let text = with_code(
                    "Somebody says that every second factor of your account is lost. If it was you, the code is",
                    code,
                    "It is good for ten minutes, and only together with your password or your emergency kit. What follows takes\n\
                     days, and you are told of it. If it was not you, there is nothing to do now.\n",
                );
                return (CODE_SUBJECT, text);
            }
            Self::RenewCode(code) => {
                let text = with_code(
                    "Somebody says that the password and the emergency kit of your account are lost. If it was you, the code is",
                    code,
                    "It is good for ten minutes. What follows takes days, and you are told of it. Nobody can read what is saved by\n\
                     this. If it was not you, there is nothing to do now.\n",
                );
                return (CODE_SUBJECT, text);
            }
            Self::StepUpCode(code) => {
                let text = with_code(
                    "To confirm what you are doing in your account, the code is",
                    code,
                    "It is good for five minutes. If it was not you, somebody else is signed in to your account: change the\n\
                     password with `keyhaven account password`, and add an authenticator with `keyhaven factors add`.\n",
                );
                return (CODE_SUBJECT, text);
            }
            Self::OffBegun(delay) => {
                let what = format!(
                    "Somebody who is signed in to your account asked that it stop asking for a second factor. This happens on\n\
                     {}. Until then, and if you cancel it, everything stays as it is.",
                    utc(delay.at)
                );
                return ("Your account will stop asking for a second factor", about_delay(&what, delay));
            }
            Self::ResetBegun(delay, by_operator) => {
                let who = if *by_operator {
                    "Whoever runs the service says that every second factor of your account is lost."
                } else {
                    "Somebody with your password or your emergency kit, and with a code from your mail, says that every second\n\
                     factor of your account is lost."
                };
                let what = format!(
                    "{who} From\n{} on, a new one can be added in their place, with the same proofs. A second factor that is\n\
                     found again cancels this as soon as it is used.",
                    utc(delay.at)
                );
                return ("A reset of your second factors was begun", about_delay(&what, delay));
            }
            Self::ResetRuns(delay) => {
                let what = format!(
                    "The reset of the second factors of your account is still under way. From\n{} on, a new one can be added in\n\
                     their place.",
                    utc(delay.at)
                );
                return ("A reset of your second factors is under way", about_delay(&what, delay));
            }
            Self::ResetDue(delay) => {
                let what = format!(
                    "The second factors of your account can now be replaced by a new one: `keyhaven account reset-factors`.\n\
                     Until {} ; then this is void.",
                    utc(delay.at)
                );
                return ("The reset of your second factors can be finished", about_delay(&what, delay));
            }
            Self::RenewBegun(delay, with_factor) => {
                let with = if *with_factor { " and with a second factor" } else { "" };
                let what = format!(
                    "Somebody with a code from your mail{with} says that the password and the emergency kit of your account\n\
                     are lost. From {} on, the account can be given a new password, a new kit and new keys. What is\n\
                     saved can be read by nobody then who has not the kit of before. Signing in cancels this.",
                    utc(delay.at)
                );
                return ("New keys for your account were asked for", about_delay(&what, delay));
            }
            Self::RenewRuns(delay) => {
                let what = format!(
                    "The delay before your account gets new keys still runs, until\n{}. Signing in cancels this.",
                    utc(delay.at)
                );
                return ("New keys for your account are under way", about_delay(&what, delay));
            }
            Self::RenewDue(delay) => {
                let what = format!(
                    "Your account can now be given a new password, a new kit and new keys:\n`keyhaven account start-over --finish`.\n\
                     Until {} ; then this is void.",
                    utc(delay.at)
                );
                return ("Your account can get its new keys", about_delay(&what, delay));
            }
            Self::DeletionBegun(delay, what) => return deletion(delay, *what, false),
            Self::DeletionNear(delay, what) => return deletion(delay, *what, true),
            Self::DeletionDone(Deleted::Account) => {
                let text = "Your account and every recovery key in it were deleted, as was asked for before. This is the\n\
                    last message about it. Your drives are as they were.\n";
                return ("Your account was deleted", Zeroizing::new(text.to_owned()));
            }
            Self::DeletionDone(Deleted::Key) => (
                "A saved recovery key was deleted",
                "A saved recovery key was deleted, as was asked for. If a drive still has this key, save it once more before you need\n\
                 it: `keyhaven backup DRIVE --to account`.",
            ),
            Self::DeletionLapsed => (
                "Nothing was deleted",
                "A deletion that had been asked for does not happen: the message that announces it could not be sent to you. Everything\n\
                 is kept.",
            ),
            Self::OffLapsed => (
                "Your account goes on asking for a second factor",
                "Your account was about to stop asking for a second factor. The message that announces this could not be sent to you\n\
                 in time, so it does not happen: the account asks for a second factor as before.",
            ),
            Self::OffDone => (
                "Your account does not ask for a second factor any more",
                "As was asked for, signing in takes the password alone from now on. A recovery key is shown after the password\n\
                 and a code that is mailed to this address. An authenticator can be added at any time: `keyhaven factors add`.",
            ),
            Self::ResetDone => (
                "Your second factors were replaced",
                "A new second factor took the place of the lost ones, and every other session has ended.",
            ),
            Self::ResetLapsed => (
                "The reset of your second factors is void",
                "Nobody finished the reset of the second factors of your account in time. They are as they were.",
            ),
            Self::RenewLapsed => (
                "The new start of your account is void",
                "Nobody made new keys for your account in time. Everything is as it was.",
            ),
            Self::RenewDone => (
                "Your account has new keys",
                "Your account was given a new password, a new emergency kit and new keys, and every other session has ended. Enrol each\n\
                 computer again, so that what it saves can be read: `keyhaven device enrol`. What was saved before stays stored;\n\
                 if the kit of before turns up, `keyhaven keys bring-over` reads it.",
            ),
            Self::FormerOpened => (
                "The emergency kit of before was used",
                "The emergency kit of before your account's new start opened the keys of that time, after a fresh second factor.",
            ),
            Self::DelayCancelled => (
                "A delayed change was cancelled",
                "What was announced for your account was cancelled and will not happen.",
            ),
            Self::KitReplaced => (
                "There is a new emergency kit",
                "A new emergency kit was made for your account, after a fresh second factor; the one before is void.",
            ),
            Self::RecoveryProven => (
                "Your emergency kit was used",
                "Somebody proved your emergency kit and a second factor, and may now set a new password.",
            ),
            Self::ResetProven => (
                "Your emergency kit was used",
                "After the delay of a reset, somebody proved your emergency kit and a mailed code, and may now set a new password.",
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
                 keep it, and the passkey does not open the vault any more. It still signs you in. Update the program; then\n\
                 remove the passkey and make a new one.",
            ),
            Self::UnnamedPasskeyLeaked => (
                "A program sent key material of a passkey",
                "A program that is signed in to your account sent key material of a passkey to the service, which it never may, and\n\
                 did not say of which one. The service did not keep it, and your passkeys are as they were. Update the program. If\n\
                 a passkey opens your vault, remove it and make a new one.",
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
            Self::DeviceEnrolled => (
                "A computer was enrolled",
                "A computer was enrolled: it may add recovery keys to your account. It can read none.",
            ),
            Self::DeviceRevoked => {
                ("A computer was revoked", "A computer may add keys to your account no longer. What it saved stays.")
            }
            Self::KeyReplaced => (
                "A recovery key was replaced",
                "A recovery key that had been shown was replaced by a new one, which is saved. The old one opens its drive no \
                 longer.",
            ),
            Self::KeyNotReplaced => (
                "A recovery key could not be replaced",
                "A recovery key that had been shown could not be replaced; it still opens its drive. `keyhaven device list` \
                 tells which computer it was.",
            ),
            Self::KeyMissing => (
                "A saved key is gone from its drive",
                "A computer found that a drive has one of your saved recovery keys no longer. Save its present key there: \
                 `keyhaven backup DRIVE --to account`.",
            ),
            Self::KeyUnknown => (
                "A recovery key is not saved",
                "A computer found a recovery key on a drive that is not saved. Save it there: `keyhaven backup DRIVE --to \
                 account`.",
            ),
            Self::KeyResent => (
                "A saved key was damaged here",
                "A computer found that this service did not hold a recovery key as it was saved, and sent it again. Look at \
                 `keyhaven audit verify`.",
            ),
        };
        let not_you = match self {
            Self::PasswordRecovered => NOT_YOU_RECOVERED,
            Self::RenewDone => NOT_YOU_RENEWED,
            _ => NOT_YOU,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_notice_weakens_the_account() {
        let code = || Zeroizing::new("123456".to_owned());
        let delay = || Delay { at: 1_764_090_300_000, code: code() };
        for (event, holds_code) in [
            (Event::RecoveryCode(code()), true),
            (Event::ResetCode(code()), true),
            (Event::StepUpCode(code()), true),
            (Event::OffBegun(delay()), true),
            (Event::ResetBegun(delay(), false), true),
            (Event::ResetBegun(delay(), true), true),
            (Event::ResetRuns(delay()), true),
            (Event::ResetDue(delay()), true),
            (Event::OffDone, false),
            (Event::OffLapsed, false),
            (Event::ResetDone, false),
            (Event::ResetLapsed, false),
            (Event::RenewCode(code()), true),
            (Event::RenewBegun(delay(), false), true),
            (Event::RenewBegun(delay(), true), true),
            (Event::RenewRuns(delay()), true),
            (Event::RenewDue(delay()), true),
            (Event::RenewLapsed, false),
            (Event::RenewDone, false),
            (Event::FormerOpened, false),
            (Event::DeletionBegun(delay(), Deleted::Key), true),
            (Event::DeletionBegun(delay(), Deleted::Account), true),
            (Event::DeletionNear(delay(), Deleted::Key), true),
            (Event::DeletionNear(delay(), Deleted::Account), true),
            (Event::DeletionDone(Deleted::Key), false),
            (Event::DeletionDone(Deleted::Account), false),
            (Event::DeletionLapsed, false),
            (Event::DelayCancelled, false),
            (Event::KitReplaced, false),
            (Event::RecoveryProven, false),
            (Event::ResetProven, false),
            (Event::PasswordRecovered, false),
            (Event::PasswordChanged, false),
            (Event::FactorAdded, false),
            (Event::FactorRemoved, false),
            (Event::PasskeyCounterBack, false),
            (Event::PasskeyLeaked, false),
            (Event::UnnamedPasskeyLeaked, false),
            (Event::PasskeySlotAdded, false),
            (Event::BackupCodesMade, false),
            (Event::BackupCodeUsed, false),
            (Event::KeyReleased, false),
            (Event::KeysExported, false),
            (Event::DeviceEnrolled, false),
            (Event::DeviceRevoked, false),
            (Event::KeyReplaced, false),
            (Event::KeyNotReplaced, false),
            (Event::KeyMissing, false),
            (Event::KeyUnknown, false),
            (Event::KeyResent, false),
        ] {
            let (subject, text) = event.text();
            let all = format!("{subject} {}", *text).to_lowercase();
            for word in ["turn off", "turned off", "disable", "switch off", "without two-factor"] {
                assert!(!all.contains(word), "{all}");
            }
            assert_eq!(text.contains("123456"), holds_code, "a code is in the notice that is for it, and in no other");
            assert!(!subject.contains("123456"), "subjects are shown on locked screens");
            assert!(text.ends_with('\n') && text.lines().all(|line| line.chars().count() <= 160), "{}", *text);
        }
    }

    #[test]
    fn moments_are_told_in_utc() {
        for (at, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399_000, "2000-02-28 23:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (1_764_090_300_000, "2025-11-25 17:05 UTC"),
            (4_107_542_399_999, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc(at), expected);
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
        let notice = |n: u8| Notice {
            id: [n; 16],
            to: "ada@example.org".into(),
            subject: "S".into(),
            text: Zeroizing::new("T\n".into()),
            at: 7,
        };
        for n in [1, 2, 2] {
            notices.send(&notice(n)).unwrap();
        }
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "one each, though at the same time and one of them twice");
        for file in files {
            assert_eq!(fs::read_to_string(&file).unwrap(), "To: ada@example.org\nSubject: S\n\nT\n");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        assert!(notices.send(&notice(3)).is_err());
    }
}
