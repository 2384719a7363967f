//! Volumes made by Windows: every secret opens its volume, and the plaintext has the recorded SHA-256.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use block_io::FileDisk;
use fve::{ClearKey, ExternalKey, ExternalKeyFile, KeyMaterial, Password, UnlockOptions, Volume};
use secret::{RecoveryPassword, SecretString};

/// Volumes whose kind is not read yet; what they answer instead is checked below.
const NOT_YET: [&str; 3] = ["win-vista", "bitlk-aes-xts-128-eow", "bitlk-partially-encrypted-aes-cbc-128"];

struct Image {
    name: String,
    path: PathBuf,
    fields: BTreeMap<String, String>,
}

impl Image {
    fn field(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Everything that opens it, with a name for messages.
    fn secrets(&self, corpus: &Path) -> Vec<(&'static str, Box<dyn KeyMaterial>)> {
        let mut secrets: Vec<(&'static str, Box<dyn KeyMaterial>)> = Vec::new();
        if let Some(password) = self.field("PW") {
            secrets.push(("PW", Box::new(Password(SecretString::from(password)))));
        }
        for key in ["RP", "RP2"] {
            if let Some(digits) = self.field(key) {
                secrets.push((key, Box::new(RecoveryPassword::parse(digits).expect("valid digits"))));
            }
        }
        if let Some(identifier) = self.field("SK_VMK_GUID") {
            let path = corpus.join(format!("{}.BEK", identifier.to_uppercase()));
            let file = ExternalKeyFile::parse(&std::fs::read(path).expect("the .BEK file")).expect("a good file");
            secrets.push(("BEK", Box::new(ExternalKey::from_file(&file).expect("a key"))));
        }
        if self.field("CLEARKEY").is_some() || self.field("CLEARKEY_VMK_GUID").is_some() {
            secrets.push(("clear key", Box::new(ClearKey)));
        }
        secrets
    }
}

fn images(corpus: &Path) -> Vec<Image> {
    let text = std::fs::read_to_string(corpus.join("images.conf")).expect("images.conf");
    let mut images: Vec<Image> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let path = corpus.join(format!("{name}.img"));
            images.push(Image { name: name.to_owned(), path, fields: BTreeMap::new() });
        } else if let (Some((key, value)), Some(image)) = (line.split_once('='), images.last_mut()) {
            image.fields.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    images.retain(|image| image.path.exists());
    images
}

fn plain_sha256(path: &Path, material: &dyn KeyMaterial) -> Result<String, fve::Error> {
    use sha2::Digest;
    let volume = Volume::open(FileDisk::open(path)?)?;
    let (unlocked, _) = volume.unlock(material, UnlockOptions::default())?;
    let mut hash = sha2::Sha256::new();
    unlocked.stream::<block_io::Error>(2, |chunk| {
        hash.update(chunk);
        Ok(())
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn every_secret_decrypts_to_the_recorded_hash() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut checked = 0;
    for image in images(&corpus).iter().filter(|image| !NOT_YET.contains(&image.name.as_str())) {
        let expected = image.field("SHA256SUM").unwrap_or_else(|| panic!("{} has no hash", image.name));
        let secrets = image.secrets(&corpus);
        assert!(!secrets.is_empty(), "{} has no secret", image.name);
        for (kind, material) in secrets {
            let found = plain_sha256(&image.path, material.as_ref());
            assert_eq!(found.as_deref().ok(), Some(expected), "{} by {kind}: {found:?}", image.name);
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} secrets were checked");
}

#[test]
fn volumes_that_cannot_be_read_yet_say_so() {
    let Some(corpus) = testkit::corpus() else { return };
    for image in images(&corpus).iter().filter(|image| NOT_YET.contains(&image.name.as_str())) {
        let (_, material) = image.secrets(&corpus).remove(0);
        let result = plain_sha256(&image.path, material.as_ref());
        assert!(matches!(result, Err(fve::Error::Unsupported(_))), "{}: {result:?}", image.name);
    }
}

#[test]
fn a_damaged_copy_is_passed_over_and_told() {
    let Some(corpus) = testkit::corpus() else { return };
    let disk = FileDisk::open(&corpus.join("bitlk-aes-xts-128-crc.img")).expect("the image");
    let volume = Volume::open(disk).expect("one copy is good");
    let usable: Vec<bool> = volume.copies().iter().map(|copy| copy.health.is_usable()).collect();
    assert_eq!(usable, [false, false, true]);
    assert_eq!(volume.copy_in_use(), 2);
}

/// Wrong secrets are a well-formed no that names the protectors they were tried on.
#[test]
fn wrong_secrets_are_told_apart() {
    let Some(corpus) = testkit::corpus() else { return };
    let open = |name: &str| Volume::open(FileDisk::open(&corpus.join(name)).expect("image")).expect("a volume");
    let other = RecoveryPassword::parse("042647-302313-590458-071500-554323-116567-412181-516978").expect("valid");
    match open("bitlk-aes-xts-128-two-recovery.img").unwrap_vmk(&other).err() {
        Some(fve::Error::WrongSecret { tried, .. }) => assert_eq!(tried.len(), 2),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    }
    let file = std::fs::read(corpus.join("4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK")).expect("file");
    let file = ExternalKeyFile::parse(&file).expect("good");
    let key = ExternalKey::from_file(&file).expect("key");
    match open("bitlk-aes-xts-128.img").unwrap_vmk(&key).err() {
        Some(fve::Error::NoSuchProtector { wanted, .. }) => assert_eq!(wanted, Some(file.identifier)),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    }
    assert!(matches!(
        open("bitlk-aes-xts-128.img").unwrap_vmk(&ClearKey),
        Err(fve::Error::NoSuchProtector { wanted: None, .. })
    ));
}

/// Every volume that has a recovery password shows it to whoever opens it another way.
#[test]
fn recovery_passwords_are_shown_again() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut shown = 0;
    for image in images(&corpus).iter().filter(|image| !NOT_YET.contains(&image.name.as_str())) {
        let Some(expected) = image.field("RP") else { continue };
        let volume = Volume::open(FileDisk::open(&image.path).expect("image")).expect("a volume");
        let (_, material) = image.secrets(&corpus).remove(0);
        let (vmk, _) = volume.unwrap_vmk(material.as_ref()).expect("unlocks");
        let passwords = volume.recovery_passwords(&vmk);
        assert!(passwords.iter().any(|(_, password)| password.to_text().expose() == expected), "{}", image.name);
        shown += 1;
    }
    assert!(shown > 8, "only {shown} volumes");
}
