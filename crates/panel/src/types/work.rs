//! What is done with a drive: encrypting and making it, its recovery keys, long work, the account.

use serde::{Deserialize, Serialize};

use super::{Direction, Drive, Problem, Secret, SecretText};

words! {
    /// How sectors are encrypted.
    Method {
        /// XTS-AES 128.
        XtsAes128,
        /// XTS-AES 256.
        XtsAes256,
        /// AES-CBC 128, for old systems.
        AesCbc128,
        /// AES-CBC 256, for old systems.
        AesCbc256,
    }
}

words! {
    /// File system of a new drive.
    NewFileSystem {
        /// FAT32.
        Fat32,
        /// NTFS.
        Ntfs,
        /// exFAT.
        Exfat,
    }
}

/// Why a recovery key is taken in hand.
#[derive(Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case", deny_unknown_fields)]
pub enum TakeKey {
    /// To encrypt a drive where it lies.
    Encrypt {
        /// Which.
        drive: String,
        /// How.
        method: Method,
        /// A password that shall open it, too.
        #[serde(default)]
        password: Option<SecretText>,
    },
    /// To make a new encrypted image.
    Create {
        /// The file to make.
        path: String,
        /// Its size.
        bytes: u64,
        /// How it is encrypted.
        method: Method,
        /// The file system inside.
        file_system: NewFileSystem,
        /// Its name.
        label: String,
        /// Encrypt free space, too.
        full: bool,
        /// A password that shall open it, too.
        #[serde(default)]
        password: Option<SecretText>,
    },
    /// To give a drive one more recovery key.
    Add {
        /// Which.
        drive: String,
        /// What opens it.
        #[serde(default)]
        secret: Option<Secret>,
    },
    /// To replace a recovery key.
    Rotate {
        /// Which drive.
        drive: String,
        /// What opens it.
        #[serde(default)]
        secret: Option<Secret>,
        /// Identifier of the key to replace; all of them without it.
        #[serde(default)]
        identifier: Option<String>,
    },
    /// To save it once more.
    Backup {
        /// Which drive.
        drive: String,
        /// What opens it.
        #[serde(default)]
        secret: Option<Secret>,
    },
}

words! {
    /// What a key is in hand for.
    Intent {
        /// Encrypt a drive.
        Encrypt,
        /// Make a new image.
        Create,
        /// One more key.
        Add,
        /// Replace a key.
        Rotate,
        /// Save it once more.
        Backup,
    }
}

answer! {
    /// A recovery key that is being saved. The key itself is never told here.
    KeyInHand {
        /// For the addresses of this interface.
        id: String,
        /// What for.
        intent: Intent,
        /// Path of the drive.
        drive_name: String,
        /// The drive, where it is in the list.
        drive: Option<String>,
        /// A GUID.
        identifier: String,
        /// Its first 8 characters.
        key_id: String,
        /// Number of the entry in the audit trail, when the account has it and its receipt was verified.
        account: Option<u64>,
        /// Files that hold it, read back.
        files: Vec<String>,
        /// Whether the page for printing was made.
        printed: bool,
        /// Whether somebody has read the printed page back.
        printed_confirmed: bool,
        /// Whether the next step may be done.
        confirmed: bool,
    }
}

/// The digits, at the back-up step.
#[derive(Serialize)]
pub struct KeyShown {
    /// 48 digits in eight groups.
    pub digits: String,
}

answer! {
    /// Keys in hand.
    KeysInHand {
        /// All of them.
        keys: Vec<KeyInHand>,
    }
}

words! {
    /// Paper.
    Paper {
        /// 210 x 297 mm.
        A4,
        /// 8.5 x 11 in.
        Letter,
    }
}

request! {
    /// Asks for the page for printing, a PDF.
    AskSheet {
        /// Its paper.
        paper: Paper,
    }
}

request! {
    /// What the printed page tells.
    ConfirmSheet {
        /// The last six digits of the key.
        last_group: SecretText,
    }
}

answer! {
    /// What a step led to.
    Gone {
        /// Work that was begun.
        job: Option<Job>,
        /// The drive as it is now.
        drive: Option<Drive>,
    }
}

request! {
    /// Turns encryption off, or goes on with a conversion, or back.
    Convert {
        /// Where to.
        direction: Direction,
        /// What opens the drive.
        #[serde(default)]
        secret: Option<Secret>,
    }
}

words! {
    /// What work is done.
    JobKind {
        /// Encrypts where it lies.
        Encrypt,
        /// Decrypts where it lies.
        Decrypt,
        /// Makes a new image.
        Create,
    }
}

words! {
    /// How work is.
    JobState {
        /// It goes on.
        Running,
        /// It ends its present step, then pauses or turns round.
        Stopping,
        /// It can go on.
        Paused,
        /// It is done.
        Done,
        /// It failed. A conversion can go on.
        Failed,
    }
}

answer! {
    /// Work that takes long. It goes on when the page is closed.
    Job {
        /// For the addresses of this interface.
        id: String,
        /// What.
        kind: JobKind,
        /// How it is.
        state: JobState,
        /// The drive.
        drive: String,
        /// Its path.
        drive_name: String,
        /// Bytes that are done.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
        /// How fast, when that can be told.
        bytes_per_second: Option<u64>,
        /// How long it will take, when that can be told.
        seconds_left: Option<u64>,
        /// When it was begun.
        started_ms: i64,
        /// When it ended.
        ended_ms: Option<i64>,
        /// Whether it can be paused.
        can_pause: bool,
        /// Whether it can go back.
        can_turn_round: bool,
        /// Why it failed.
        problem: Option<Problem>,
    }
}

answer! {
    /// All work.
    Jobs {
        /// Newest first.
        jobs: Vec<Job>,
    }
}

answer! {
    /// The account, as this computer knows it.
    Account {
        /// Address of its service.
        server: Option<String>,
        /// Its mail address, when somebody signed in here.
        email: Option<String>,
        /// Whether this computer may save keys to it.
        enrolled: bool,
        /// Keys that wait here to be delivered.
        waiting: u64,
    }
}

request! {
    /// Asks the account's owner to let this computer save keys.
    Enrol {
        /// Address of the service; the one that is known, or runs here, otherwise.
        #[serde(default)]
        server: Option<String>,
        /// By a link that is opened where the owner is signed in, rather than by two codes that are typed there.
        #[serde(default)]
        by_link: bool,
    }
}

/// What the owner needs where they are signed in: two codes to type, or a link to open.
#[derive(Serialize)]
pub struct Enrolling {
    /// Address of the service.
    pub server: String,
    /// Known to the service.
    pub user_code: String,
    /// Known to this computer and the owner alone; in place of it there may be a link.
    pub check_code: Option<String>,
    /// Opened where the owner is signed in, it does what both codes do.
    pub link: Option<String>,
    /// The same for a phone.
    pub picture: Option<Picture>,
}

/// A QR code.
#[derive(Serialize)]
pub struct Picture {
    /// Modules in a row.
    pub size: usize,
    /// Row by row; 1 is dark.
    pub bits: Vec<u8>,
}

words! {
    /// How an enrolment is.
    EnrolState {
        /// There is none.
        None,
        /// The owner has not approved it.
        Waiting,
        /// This computer may save keys.
        Done,
    }
}

answer! {
    /// An enrolment.
    Enrolment {
        /// How it is.
        state: EnrolState,
    }
}
