//! Other implementations judge changed protectors: on volumes that Windows made, every secret that was added or kept is
//! accepted, every one that went is refused, and the plaintext is what it was.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::PathBuf;

use block_io::FileDisk;
use common::{Image, NOW, images};
use fve::{KeyMaterial, ProtectorKind, Remaining, Volume};
use secret::{RecoveryPassword, SecretString};
use sha2::Digest;
use testkit::judges::{self, Secret};

const NEW_PASSWORD: &str = "judged by others";

/// Each of another kind: ciphers, sector sizes, layouts, protectors, generations of Windows.
const IMAGES: [&str; 5] = [
    "bitlk-aes-cbc-elephant-128",
    "bitlk-aes-xts-128-4k",
    "bitlk-togo-aes-xts-128",
    "bitlk-aes-xts-128-startup-key",
    "bitlk-aes-xts-128-new-entry",
];

/// A changed copy of a volume.
struct Changed {
    _folder: tempfile::TempDir,
    image: PathBuf,
    key_file: PathBuf,
    added: String,
    hash: String,
    out: PathBuf,
    kept: Vec<String>,
    gone: Vec<String>,
}

/// Where the new recovery password goes. dislocker 0.7.2 and libbde try the first one only, on volumes of Windows with two
/// as well.
#[derive(Clone, Copy, PartialEq)]
enum Recovery {
    Beside,
    Instead,
}

/// A new recovery password, another (or a first) password, a key file, and a new master key under all of them.
fn change(image: &Image, corpus: &std::path::Path, recovery: Recovery) -> Changed {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.img");
    fs::copy(&image.path, &copy).unwrap();
    let secrets = image.secrets(corpus);
    let disk = FileDisk::open_writable(&copy).unwrap();
    let mut editor = Volume::open(disk).unwrap().edit(secrets[0].1.as_ref(), NOW).unwrap();
    let had_password = editor.protectors().iter().any(|it| it.kind() == ProtectorKind::Password);
    let added = RecoveryPassword::random();
    editor.add_recovery_password(&added, None).unwrap();
    let password = SecretString::from(NEW_PASSWORD);
    let done = if had_password { editor.change_password(&password) } else { editor.add_password(&password) };
    done.unwrap();
    let file = editor.add_external_key().unwrap();
    let (mut kept, mut gone) = (vec![NEW_PASSWORD.to_owned(), added.to_text().expose().to_owned()], Vec::new());
    gone.extend(image.field("PW").map(str::to_owned));
    for (identifier, password) in editor.recovery_passwords() {
        let digits = password.to_text().expose().to_owned();
        if recovery == Recovery::Beside {
            kept.push(digits);
        } else if password != added {
            editor.remove(identifier, Remaining::PersonsKey).unwrap();
            gone.push(digits);
        }
    }
    editor.replace_master_key().unwrap();
    editor.commit().unwrap();
    let key_file = folder.path().join(file.file_name());
    fs::write(&key_file, file.encode().unwrap()).unwrap();
    Changed {
        image: copy,
        key_file,
        added: added.to_text().expose().to_owned(),
        hash: image.field("SHA256SUM").unwrap().to_owned(),
        out: folder.path().join("plain"),
        kept,
        gone,
        _folder: folder,
    }
}

/// Calls `judge` with a changed copy of each of these.
fn each(names: &[&str], recovery: Recovery, mut judge: impl FnMut(&str, &Changed)) {
    let Some(corpus) = testkit::corpus() else { return };
    for name in names {
        let all = images(&corpus);
        let image = all.iter().find(|image| image.name == *name).unwrap_or_else(|| panic!("{name} is missing"));
        judge(name, &change(image, &corpus, recovery));
    }
}

fn assert_plaintext(changed: &Changed, who: &str) {
    let plain = fs::read(&changed.out).unwrap();
    let hash: String = sha2::Sha256::digest(&plain).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, changed.hash, "{who}");
    fs::remove_file(&changed.out).unwrap();
}

#[test]
fn cryptsetup_accepts_what_is_there_and_refuses_what_is_gone() {
    if !testkit::programs(&["cryptsetup"]) {
        return;
    }
    each(&IMAGES, Recovery::Beside, |name, changed| {
        for secret in &changed.kept {
            assert!(judges::cryptsetup_takes(&changed.image, secret), "{name}");
        }
        for secret in &changed.gone {
            assert!(!judges::cryptsetup_takes(&changed.image, secret), "{name}: what is gone");
        }
        assert!(judges::cryptsetup_takes_key_file(&changed.image, &changed.key_file), "{name}: the key file");
    });
}

#[test]
fn cryptsetup_refuses_a_recovery_password_that_was_replaced() {
    if !testkit::programs(&["cryptsetup"]) {
        return;
    }
    each(&["bitlk-aes-xts-128-two-recovery"], Recovery::Instead, |name, changed| {
        assert_eq!(changed.gone.len(), 3, "a password and two recovery passwords");
        assert!(judges::cryptsetup_takes(&changed.image, &changed.added), "{name}");
        for secret in &changed.gone {
            assert!(!judges::cryptsetup_takes(&changed.image, secret), "{name}");
        }
    });
}

#[test]
fn dislocker_reads_the_same_plaintext() {
    if !testkit::programs(&["dislocker-file"]) {
        return;
    }
    each(&["bitlk-aes-xts-128-new-entry", "bitlk-aes-cbc-elephant-128"], Recovery::Instead, |name, changed| {
        judges::dislocker(&changed.image, Secret::Recovery(&changed.added), &changed.out);
        assert_plaintext(changed, name);
        judges::dislocker_with_key_file(&changed.image, &changed.key_file, &changed.out);
        assert_plaintext(changed, name);
    });
}

#[test]
fn libbde_reads_the_same_plaintext() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    each(
        &["bitlk-aes-xts-128-new-entry", "bitlk-aes-cbc-256", "bitlk-aes-xts-128-smart-card"],
        Recovery::Instead,
        |name, changed| {
            judges::libbde(&python, &changed.image, Secret::Recovery(&changed.added), &changed.out);
            assert_plaintext(changed, name);
            judges::libbde(&python, &changed.image, Secret::Password(NEW_PASSWORD), &changed.out);
            assert_plaintext(changed, name);
        },
    );
}

/// A suspended volume opens for the others, too, and a resumed one does not.
#[test]
fn others_see_that_protection_is_suspended() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    let script = "import sys, pybde\nvolume = pybde.volume()\nvolume.open(sys.argv[1])\nprint(volume.is_locked())";
    let is_locked = |image: &std::path::Path| {
        let output = std::process::Command::new(&python).args(["-c", script]).arg(image).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    each(&["bitlk-aes-xts-128-new-entry"], Recovery::Beside, |_, changed| {
        let digits = RecoveryPassword::parse(&changed.added).unwrap();
        let edit = |material: &dyn KeyMaterial| {
            Volume::open(FileDisk::open_writable(&changed.image).unwrap()).unwrap().edit(material, NOW).unwrap()
        };
        assert_eq!(is_locked(&changed.image), "True");
        let mut editor = edit(&digits);
        editor.suspend().unwrap();
        editor.commit().unwrap();
        assert_eq!(is_locked(&changed.image), "False");
        let mut editor = edit(&fve::ClearKey);
        editor.unsuspend().unwrap();
        editor.commit().unwrap();
        assert_eq!(is_locked(&changed.image), "True");
    });
}
