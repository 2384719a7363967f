//! The server's secrets: one file, outside the database, readable by its owner only.
//!
//! | line | what | loss means |
//! |---|---|---|
//! | `opaque` | OPRF seed and key pair of the password protocol | nobody can sign in with a password any more |
//! | `receipt` | Ed25519 seed that signs receipts | clients that pinned its public half refuse new receipts |
//! | `log` | Ed25519 seed that signs checkpoints | as above, for the log |
//! | `seal` | root of the keys that seal factor secrets and ceremonies | second factors must be added anew |
//!
//! None of them opens an envelope. Together with the database the first one allows guessing passwords, at the price of
//! one Argon2id run per guess.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use opaque_ke::ServerSetup;
use secret::SecretBytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use vault_protocol::log::{Checkpoint, signature_line};
use vault_protocol::opaque::Suite;
use vault_protocol::{FixedBytes, PublicKey, Signed, signature_input};
use zeroize::Zeroizing;

use crate::key_command::{self, KeyCommandError};
use crate::seal::SealKey;

const FIRST_LINE: &str = "keyhaven server keys, version 1";

/// The server's secrets, ready for use.
pub(crate) struct ServerKeys {
    /// Password protocol.
    pub(crate) opaque: ServerSetup<Suite>,
    /// Seals factor secrets.
    pub(crate) factor_seal: SealKey,
    /// Seals the state of ceremonies.
    pub(crate) ceremony_seal: SealKey,
    /// Names backup codes in the database.
    pub(crate) backup_code_key: SecretBytes<32>,
    /// Seals notices that wait in the outbox.
    pub(crate) outbox_seal: SealKey,
    /// Makes the codes that cancel a delay.
    pub(crate) cancel_key: SecretBytes<32>,
    /// Makes stable stand-ins for unknown mails, and the names of their counters.
    pub(crate) mail_key: SecretBytes<32>,
    receipt: SigningKey,
    log: SigningKey,
}

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read or made.
    #[error("the key file cannot be read or made")]
    Io(#[source] io::Error),
    /// Others than the owner of the file may read or change it.
    #[error("others can read or change the key file (mode {mode:o}); its mode must be 600")]
    Permissions {
        /// The permission bits that were found.
        mode: u32,
    },
    /// A line is missing, doubled or malformed.
    #[error("the key file is malformed at `{line}`")]
    Malformed {
        /// Which line.
        line: &'static str,
    },
    /// The command that prints it gave none.
    #[error("the command for the keys gave none")]
    Command(#[source] KeyCommandError),
    /// The keys are of another service: with them nobody could sign in.
    #[error("the keys are not those that the database was made with")]
    OfAnother,
    /// The database exists and the key file does not: new keys would lock every account out.
    #[error("the database exists but its key file is missing; restore the key file")]
    Missing,
}

impl ServerKeys {
    /// Reads the file; makes it when it is missing and there is no database yet that belongs to another one.
    pub(crate) fn load_or_create(file: &Path, database_exists: bool) -> Result<Self, KeyFileError> {
        match open_private(file) {
            Ok(opened) => Self::read(opened),
            Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                if database_exists {
                    return Err(KeyFileError::Missing);
                }
                create(file)?;
                Self::read(open_private(file)?)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes what a command prints instead of a file.
    pub(crate) fn from_command(command: &str) -> Result<Self, KeyFileError> {
        Self::parse(&key_command::run(command).map_err(KeyFileError::Command)?)
    }

    /// Signs a payload as an object of `kind` with the receipt key.
    pub(crate) fn sign_receipt(&self, kind: &str, payload: &impl Serialize) -> serde_json::Result<Signed> {
        let payload = serde_json::to_vec(payload)?;
        let signature = self.receipt.sign(&signature_input(kind, &payload));
        Ok(Signed {
            kind: kind.to_owned(),
            payload: payload.into(),
            key_id: self.receipt_pk().key_id(),
            signature: signature.to_bytes().to_vec().into(),
        })
    }

    /// A name of all of them, for the database that belongs to them; made of what is public.
    pub(crate) fn name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.opaque.keypair().public().serialize());
        hash.update(self.receipt.verifying_key().to_bytes());
        hash.update(self.log.verifying_key().to_bytes());
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }

    /// Signs a checkpoint of the global log: the whole note.
    pub(crate) fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.to_text();
        let signature = self.log.sign(text.as_bytes()).to_bytes();
        format!("{text}\n{}", signature_line(&checkpoint.origin, self.log.verifying_key().as_bytes(), &signature))
    }

    /// Public half of the receipt key.
    pub(crate) fn receipt_pk(&self) -> PublicKey {
        PublicKey::Ed25519(FixedBytes(self.receipt.verifying_key().to_bytes()))
    }

    /// Public half of the log key.
    pub(crate) fn log_pk(&self) -> PublicKey {
        PublicKey::Ed25519(FixedBytes(self.log.verifying_key().to_bytes()))
    }

    fn read(mut file: File) -> Result<Self, KeyFileError> {
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(KeyFileError::Io)?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, KeyFileError> {
        if text.lines().next() != Some(FIRST_LINE) {
            return Err(KeyFileError::Malformed { line: "first line" });
        }
        let opaque = opaque_setup(&field(text, "opaque")?).ok_or(KeyFileError::Malformed { line: "opaque" })?;
        let seal = key(text, "seal")?;
        Ok(Self {
            opaque,
            factor_seal: SealKey::new(derived(&seal, "vault/1/server/factor")),
            ceremony_seal: SealKey::new(derived(&seal, "vault/1/server/ceremony")),
            backup_code_key: derived(&seal, "vault/1/server/backup-code"),
            outbox_seal: SealKey::new(derived(&seal, "vault/1/server/outbox")),
            cancel_key: derived(&seal, "vault/1/server/cancel"),
            mail_key: derived(&seal, "vault/1/server/mail"),
            receipt: SigningKey::from_bytes(key(text, "receipt")?.expose()),
            log: SigningKey::from_bytes(key(text, "log")?.expose()),
        })
    }
}

/// The setup in these bytes, when they hold it and nothing else: the library does not look at what follows.
fn opaque_setup(bytes: &[u8]) -> Option<ServerSetup<Suite>> {
    let setup = ServerSetup::deserialize(bytes).ok()?;
    (setup.serialize().as_slice() == bytes).then_some(setup)
}

fn derived(root: &SecretBytes<32>, info: &str) -> SecretBytes<32> {
    let hkdf = Hkdf::<Sha256>::new(None, root.expose());
    // 32 bytes are far below the limit of 255 hashes: expanding cannot fail, and zeros would be caught by no one.
    SecretBytes::from_fn(|out| assert!(hkdf.expand(info.as_bytes(), out).is_ok(), "32 bytes can be derived"))
}

/// The value of the one line `name value`.
fn field(text: &str, name: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut values = text.lines().filter_map(|line| line.split_once(' ')).filter(|(found, _)| *found == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => BASE64URL_NOPAD
            .decode(value.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| KeyFileError::Malformed { line: name }),
        _ => Err(KeyFileError::Malformed { line: name }),
    }
}

fn key(text: &str, name: &'static str) -> Result<SecretBytes<32>, KeyFileError> {
    SecretBytes::from_slice(&field(text, name)?).ok_or(KeyFileError::Malformed { line: name })
}

fn create(file: &Path) -> Result<(), KeyFileError> {
    let opaque = ServerSetup::<Suite>::new(&mut rand_opaque::OsRng);
    let line = |name: &str, value: &[u8]| Zeroizing::new(format!("{name} {}\n", BASE64URL_NOPAD.encode(value)));
    let mut text = Zeroizing::new(format!("{FIRST_LINE}\n"));
    text.push_str(&line("opaque", &opaque.serialize()));
    for name in ["receipt", "log", "seal"] {
        text.push_str(&line(name, SecretBytes::<32>::random().expose()));
    }
    write_durably(file, text.as_bytes()).map_err(KeyFileError::Io)
}

/// Neither the file nor its name may be lost: accounts are going to depend on it.
fn write_durably(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file)?;
    opened.write_all(content)?;
    opened.sync_all()?;
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Whether the file is there and only its owner may read it.
pub(crate) fn check_private(file: &Path) -> Result<(), KeyFileError> {
    open_private(file).map(drop)
}

fn open_private(file: &Path) -> Result<File, KeyFileError> {
    let opened = File::open(file).map_err(KeyFileError::Io)?;
    #[cfg(unix)]
    {
        let metadata = opened.metadata().map_err(KeyFileError::Io)?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Permissions { mode });
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_gives_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        let first = ServerKeys::load_or_create(&file, false).unwrap();
        let second = ServerKeys::load_or_create(&file, true).unwrap();
        assert_eq!(first.receipt_pk(), second.receipt_pk());
        assert_ne!(first.receipt_pk(), first.log_pk());
        assert!(first.mail_key == second.mail_key);
        assert_eq!(first.opaque.serialize(), second.opaque.serialize());
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_file_that_others_can_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        ServerKeys::load_or_create(&file, false).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = ServerKeys::load_or_create(&file, false).err().expect("must be refused");
            assert!(matches!(error, KeyFileError::Permissions { mode: found } if found == mode), "{error}");
        }
    }

    #[test]
    fn refuses_a_lost_or_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.keys");
        assert!(matches!(ServerKeys::load_or_create(&file, true), Err(KeyFileError::Missing)));
        ServerKeys::load_or_create(&file, false).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        for (damage, expected) in [
            (text.replace("version 1", "version 2"), "first line"),
            (text.replace("receipt ", "receit "), "receipt"),
            (format!("{text}seal AAAA\n"), "seal"),
            (text.replace("\nlog ", "\nlog A"), "log"),
            (text.replace("opaque ", "opaque A"), "opaque"),
        ] {
            std::fs::write(&file, damage).unwrap();
            let error = ServerKeys::load_or_create(&file, true).err().expect("must be refused");
            assert!(matches!(error, KeyFileError::Malformed { line } if line == expected), "{expected}: {error}");
        }
    }
}
