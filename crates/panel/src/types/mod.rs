//! What goes over the wire, for the page's `portal/src/panel/api.ts`.
//!
//! Times are milliseconds since 1970, sizes bytes. Whatever holds a secret has no `Debug` and is wiped when it is dropped.

use secret::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

/// A secret in a request.
pub struct SecretText(pub(crate) SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::new(text)))
    }
}

macro_rules! answer {
    ($(#[doc = $what:literal])+ $name:ident { $($(#[doc = $about:literal])+ $field:ident: $type:ty,)+ }) => {
        $(#[doc = $what])+
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct $name { $($(#[doc = $about])+ pub $field: $type,)+ }
    };
}

macro_rules! request {
    ($(#[doc = $what:literal])+ $name:ident { $($(#[doc = $about:literal])+ $(#[serde($how:ident)])? $field:ident: $type:ty,)+ }) => {
        $(#[doc = $what])+
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[doc = $about])+ $(#[serde($how)])? pub $field: $type,)+ }
    };
}

macro_rules! words {
    ($(#[doc = $what:literal])+ $name:ident { $($(#[doc = $about:literal])+ $word:ident,)+ }) => {
        $(#[doc = $what])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[doc = $about])+ $word,)+ }
    };
}

mod work;

pub use work::*;

answer! {
    /// A refusal, or work that failed (RFC 9457).
    Problem {
        /// HTTP status.
        status: u16,
        /// Never changes; the page has words for it.
        code: String,
        /// What failed, in English.
        title: String,
        /// Why.
        detail: Option<String>,
        /// What to do next.
        next: Option<String>,
        /// Address of a page that explains it.
        help: Option<String>,
    }
}

request! {
    /// Opens a session.
    Enter {
        /// The token of the link.
        token: SecretText,
    }
}

/// A session.
#[derive(Serialize)]
pub struct Entered {
    /// Goes into `Authorization: Bearer` of every request.
    pub session: String,
}

request! {
    /// Asks for a new link, from a program of the same account.
    AskLink {
        /// From the private file of the panel that runs.
        key: SecretText,
    }
}

/// A new link.
#[derive(Serialize, Deserialize)]
pub struct NewLink {
    /// Its address, with a token that works once.
    pub link: String,
}

answer! {
    /// The panel.
    About {
        /// Of the program.
        version: String,
        /// Name of this computer.
        computer: String,
        /// The account service that runs beside it.
        service: Option<String>,
    }
}

words! {
    /// How a drive is.
    DriveState {
        /// Not encrypted; it can be.
        Plain,
        /// Encrypted, protection on.
        Encrypted,
        /// Encrypted, and everybody can open it.
        Suspended,
        /// On the way to encrypted, by this program.
        Encrypting,
        /// On the way to plain, by this program.
        Decrypting,
        /// On the way, by Windows.
        Converting,
        /// A BitLocker drive whose data is plain.
        Decrypted,
        /// A BitLocker drive that cannot be understood.
        Damaged,
        /// A chosen image that is not there, or cannot be opened.
        Missing,
    }
}

words! {
    /// What a key protector is.
    ProtectorKind {
        /// 48 digits.
        RecoveryPassword,
        /// A password.
        Password,
        /// A `.BEK` file.
        ExternalKey,
        /// Lies in the clear: protection is suspended.
        ClearKey,
        /// Of the PC it belongs to.
        Tpm,
        /// A smart card, or another certificate.
        PublicKey,
        /// Not known here.
        Unknown,
    }
}

answer! {
    /// A key that opens a drive.
    Protector {
        /// A GUID.
        identifier: String,
        /// Its first 8 characters, as a locked PC shows them.
        key_id: String,
        /// What it is.
        kind: ProtectorKind,
        /// The same in English, with more about it.
        kind_name: String,
        /// What it is called on the drive.
        name: Option<String>,
        /// When it was made or changed, ISO 8601.
        modified: String,
        /// Whether it opens the drive here.
        usable: bool,
    }
}

words! {
    /// Which way a conversion goes.
    Direction {
        /// To encrypted.
        Encrypt,
        /// To plain.
        Decrypt,
    }
}

answer! {
    /// A conversion that stands on the drive.
    Conversion {
        /// Where it leads.
        direction: Direction,
        /// Whether only its last steps are missing, for which no key is needed.
        restoring: bool,
        /// Bytes that are encrypted.
        encrypted_bytes: u64,
        /// Bytes to convert in all.
        total_bytes: u64,
    }
}

answer! {
    /// A drive.
    Drive {
        /// For the addresses of this interface.
        id: String,
        /// What to call it: its path.
        name: String,
        /// Whether it is an image that a person chose.
        image: bool,
        /// Maker and model of the device.
        model: Option<String>,
        /// Whether it can be taken out.
        removable: bool,
        /// Its size.
        bytes: u64,
        /// How it is.
        state: DriveState,
        /// Name of the file system inside, where it can be seen.
        label: Option<String>,
        /// The file system inside, where it can be seen.
        file_system: Option<String>,
        /// What the drive calls itself.
        description: Option<String>,
        /// How sectors are encrypted.
        method: Option<String>,
        /// Its keys.
        protectors: Vec<Protector>,
        /// A conversion that was begun.
        conversion: Option<Conversion>,
        /// The work that is done on it here.
        job: Option<String>,
        /// Whether it is unlocked here.
        unlocked: bool,
        /// Whether it is mounted, so that it cannot be converted.
        mounted: bool,
        /// Whether a new recovery key waits to take the place of an old one.
        rotation_unfinished: bool,
        /// How many of its three metadata copies can be used.
        copies_usable: Option<u32>,
        /// Why it cannot be understood.
        trouble: Option<String>,
    }
}

answer! {
    /// A device that could not be looked at.
    NotOpened {
        /// Its path.
        name: String,
        /// Whether this account may not.
        no_rights: bool,
        /// Why.
        reason: String,
    }
}

answer! {
    /// All drives.
    Drives {
        /// Of this machine, and chosen images.
        drives: Vec<Drive>,
        /// Devices that could not be looked at.
        not_opened: Vec<NotOpened>,
        /// Why the devices of this machine cannot be listed.
        trouble: Option<String>,
    }
}

request! {
    /// A path on this computer.
    ChoosePath {
        /// As it is.
        path: String,
    }
}

request! {
    /// Which folder of this computer to show.
    ShowFolder {
        /// None: the home folder.
        path: Option<String>,
        /// Show what is hidden, too.
        #[serde(default)]
        hidden: bool,
    }
}

answer! {
    /// A name in a folder of this computer.
    FolderEntry {
        /// Its name, fit to be shown.
        name: String,
        /// Its path.
        path: String,
        /// Whether it is a folder.
        folder: bool,
        /// Size of a file.
        bytes: u64,
    }
}

answer! {
    /// A folder of this computer.
    Folder {
        /// Its path.
        path: String,
        /// The one above.
        parent: Option<String>,
        /// Places to begin at: home, and where drives are mounted.
        places: Vec<FolderEntry>,
        /// Folders first, by name.
        entries: Vec<FolderEntry>,
        /// Whether there are more than are told.
        truncated: bool,
    }
}

/// What opens a drive.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Secret {
    /// 48 digits, or a text with them.
    RecoveryKey {
        /// The text.
        digits: SecretText,
    },
    /// The drive's password.
    Password {
        /// The password.
        password: SecretText,
    },
    /// A `.BEK` file, or a text file with a recovery key.
    KeyFile {
        /// Its bytes, in base64.
        file: SecretText,
    },
    /// Nothing: the drive is suspended or decrypted.
    None,
}

request! {
    /// Unlocks a drive.
    Unlock {
        /// What opens it.
        secret: Secret,
    }
}

request! {
    /// An act that needs a key of the drive; of an unlocked one the key is known.
    WithSecret {
        /// What opens it.
        #[serde(default)]
        secret: Option<Secret>,
    }
}

request! {
    /// Gives a drive a password.
    SetPassword {
        /// What opens it.
        #[serde(default)]
        secret: Option<Secret>,
        /// The new one.
        password: SecretText,
    }
}

request! {
    /// Makes a `.BEK` file.
    AddKeyFile {
        /// What opens the drive.
        #[serde(default)]
        secret: Option<Secret>,
        /// Folder of this computer for the file, on another drive.
        folder: String,
    }
}

answer! {
    /// A `.BEK` file that was made.
    KeyFileMade {
        /// Where.
        path: String,
        /// The drive as it is now.
        drive: Drive,
    }
}

request! {
    /// Removes a key.
    RemoveProtector {
        /// What opens the drive.
        #[serde(default)]
        secret: Option<Secret>,
        /// Identifier of the key.
        identifier: String,
    }
}

request! {
    /// Which folder of an unlocked drive to show.
    ShowFiles {
        /// From the root, with slashes.
        path: String,
    }
}

words! {
    /// What a name on a drive stands for.
    FileKind {
        /// A file.
        File,
        /// A folder.
        Folder,
        /// Leads elsewhere.
        Link,
        /// Anything else.
        Other,
    }
}

answer! {
    /// A name on a drive.
    FileEntry {
        /// As it is on the drive.
        name: String,
        /// What it is.
        kind: FileKind,
        /// Size of a file.
        bytes: u64,
        /// Last change.
        modified_ms: Option<i64>,
        /// Hidden, or of the system.
        hidden: bool,
    }
}

answer! {
    /// A folder of an unlocked drive.
    Files {
        /// From the root.
        path: String,
        /// Folders first, by name.
        entries: Vec<FileEntry>,
        /// What could not be read.
        problems: Vec<String>,
        /// Whether there are more than are told.
        truncated: bool,
    }
}

request! {
    /// Files and folders to download.
    AskDownload {
        /// From the root. One file comes as it is, anything else as a ZIP archive.
        paths: Vec<String>,
    }
}

answer! {
    /// A download that is ready.
    Download {
        /// Its address, relative to the page; works once, and soon not at all.
        address: String,
        /// What the file will be called.
        name: String,
    }
}
