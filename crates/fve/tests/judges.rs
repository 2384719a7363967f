//! Other implementations judge the volumes we make: cryptsetup, dislocker and libbde accept each secret, and the
//! plaintext that dislocker and libbde give is ours, byte for byte. So do volumes that were encrypted in place.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use block_io::{BlockRead, BlockWrite, FileDisk};
use fve::convert::{Converter, Direction, EncryptOptions, Outcome, Places, journal_bytes};
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement, UnlockOptions, Volume};
use secret::{RecoveryPassword, SecretString};
use testkit::judges::{self, Secret};

const VOLUME_BYTES: u64 = 64 * 1024 * 1024;
/// ASCII: the judges that Debian 12 ships read other letters wrongly (cryptsetup before 2.8.1, dislocker by locale).
const PASSWORD: &str = "judged by others";

struct Made {
    folder: tempfile::TempDir,
    image: PathBuf,
    recovery: RecoveryPassword,
}

/// The first sector of a FAT32 file system: libbde takes the size of the volume from it.
fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xEB\x58\x90MSDOS5.0");
    put(11, &[0, 2, 1, 32, 0, 2]);
    put(21, &[0xF8, 0, 0, 63, 0, 255, 0]);
    put(32, &u32::try_from(VOLUME_BYTES / 512).expect("fits").to_le_bytes());
    put(36, &1016_u32.to_le_bytes());
    put(44, &[2, 0, 0, 0, 1, 0, 6, 0]);
    put(82, b"FAT32   ");
    put(510, &[0x55, 0xAA]);
    sector
}

/// A volume with noise in some places and its plaintext as we read it.
fn make(method: EncryptionMethod) -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("made.img");
    let disk = FileDisk::create_new(&image, VOLUME_BYTES).expect("a new file");
    let recovery = RecoveryPassword::random();
    let options = CreateOptions {
        method,
        description: "JUDGED F: 2026-11-24".to_owned(),
        now: Filetime::from_system_time_ms(SystemTime::now()),
        recovery_password: recovery.clone(),
        password: Some(SecretString::from(PASSWORD)),
        placement: Placement::choose(VOLUME_BYTES, 4096, 0).expect("a good size"),
    };
    let new = NewVolume::begin(disk, &options).expect("begins");
    new.fill(2, &mut |_, _| {}).expect("fills");
    new.volume().write_all_at(0, &boot_sector()).expect("writes");
    for at in [512, 5000, 1 << 20, (33 << 20) + 0x1_2000, VOLUME_BYTES - 100_000] {
        let mut noise = vec![0; 90_000];
        secret::random_bytes(&mut noise);
        new.volume().write_all_at(at, &noise).expect("writes");
    }
    new.finish().expect("finishes");
    let made = Made { folder, image, recovery };
    fs::write(made.plain(), made.our_plaintext()).expect("the plaintext");
    made
}

impl Made {
    fn plain(&self) -> PathBuf {
        self.folder.path().join("ours.bin")
    }

    fn our_plaintext(&self) -> Vec<u8> {
        let volume = Volume::open(FileDisk::open(&self.image).expect("opens")).expect("a volume");
        let (unlocked, _) = volume.unlock(&self.recovery, UnlockOptions::default()).expect("unlocks");
        let mut plain = vec![0; usize::try_from(VOLUME_BYTES).expect("fits")];
        unlocked.read_exact_at(0, &mut plain).expect("reads");
        plain
    }

    fn theirs(&self) -> PathBuf {
        self.folder.path().join("theirs.bin")
    }

    fn assert_same(&self, who: &str) {
        judges::assert_same(&self.theirs(), &self.plain(), who);
        fs::remove_file(self.theirs()).expect("their plaintext");
    }
}

/// A volume full of noise with a FAT32 boot sector, encrypted where it lies.
fn encrypt_in_place(method: EncryptionMethod) -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("made.img");
    let disk = FileDisk::create_new(&image, VOLUME_BYTES).expect("a new file");
    let mut noise = vec![0; usize::try_from(VOLUME_BYTES).expect("fits")];
    secret::random_bytes(&mut noise);
    noise[..512].copy_from_slice(&boot_sector());
    disk.write_all_at(0, &noise).expect("writes");
    let placement = Placement::choose(VOLUME_BYTES, 4096, 0).expect("a good size");
    let batch_bytes = 4 << 20;
    let places = Places {
        metadata_offsets: placement.metadata_offsets,
        header_offset_bytes: placement.header_offset_bytes,
        journal: 0x80_0000..0x80_0000 + journal_bytes(batch_bytes, 0, 0),
    };
    let recovery = RecoveryPassword::random();
    let volume = CreateOptions {
        method,
        description: "JUDGED F: 2026-11-25".to_owned(),
        now: Filetime::from_system_time_ms(SystemTime::now()),
        recovery_password: recovery.clone(),
        password: Some(SecretString::from(PASSWORD)),
        placement,
    };
    let options = EncryptOptions { batch_bytes, ..EncryptOptions::new(volume, 512, &places, Vec::new()) };
    let converter = Converter::encrypt(disk, &options).expect("begins");
    let never = std::sync::atomic::AtomicBool::new(false);
    let outcome = converter.run(Direction::Encrypt, &mut |_| {}, &never).expect("converts");
    assert_eq!(outcome, Outcome::Finished);
    let made = Made { folder, image, recovery };
    let plain = made.our_plaintext();
    // Before the first place that was taken, and behind the last.
    assert!(plain[..0x80_0000] == noise[..0x80_0000] && plain[0x380_0000..] == noise[0x380_0000..]);
    fs::write(made.plain(), plain).expect("the plaintext");
    made
}

#[test]
fn all_accept_what_was_encrypted_in_place() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    if !testkit::programs(&["cryptsetup", "dislocker-file"]) {
        return;
    }
    for (index, method) in METHODS.into_iter().enumerate() {
        let made = encrypt_in_place(method);
        let recovery = made.recovery.to_text();
        assert!(judges::cryptsetup_takes(&made.image, recovery.expose()), "{method}");
        // Either secret, in turn.
        let secret = if index % 2 == 0 { Secret::Recovery(recovery.expose()) } else { Secret::Password(PASSWORD) };
        judges::dislocker(&made.image, secret, &made.theirs());
        made.assert_same("dislocker");
        judges::libbde(&python, &made.image, secret, &made.theirs());
        made.assert_same("pybde");
    }
}

/// Calls `judge` with a volume of each method and each of its secrets.
fn each(methods: &[EncryptionMethod], mut judge: impl FnMut(&Made, Secret<'_>)) {
    for method in methods {
        let made = make(*method);
        let recovery = made.recovery.to_text();
        for secret in [Secret::Recovery(recovery.expose()), Secret::Password(PASSWORD)] {
            judge(&made, secret);
        }
    }
}

const METHODS: [EncryptionMethod; 6] = [
    EncryptionMethod::AesXts128,
    EncryptionMethod::AesXts256,
    EncryptionMethod::AesCbc128,
    EncryptionMethod::AesCbc256,
    EncryptionMethod::AesCbc128Diffuser,
    EncryptionMethod::AesCbc256Diffuser,
];

#[test]
fn cryptsetup_accepts_every_secret() {
    if !testkit::programs(&["cryptsetup"]) {
        return;
    }
    each(&METHODS, |made, secret| {
        let dump = judges::cryptsetup_dump(&made.image);
        assert!(dump.contains("Recovery passphrase") || dump.contains("VMK protected with recovery"), "{dump}");
        let (Secret::Recovery(text) | Secret::Password(text)) = secret;
        assert!(judges::cryptsetup_takes(&made.image, text), "{secret:?}");
        assert!(!judges::cryptsetup_takes(&made.image, "wrong"), "the judge says yes to everything");
    });
}

#[test]
fn dislocker_reads_the_same_plaintext() {
    if !testkit::programs(&["dislocker-file"]) {
        return;
    }
    each(&METHODS, |made, secret| {
        judges::dislocker(&made.image, secret, &made.theirs());
        made.assert_same("dislocker");
    });
}

#[test]
fn debians_libbde_mounts_the_same_plaintext() {
    if !testkit::programs(&["bdeinfo", "bdemount", "fusermount"]) {
        return;
    }
    if !Path::new("/dev/fuse").exists() {
        testkit::skip("no /dev/fuse, which bdemount needs");
        return;
    }
    each(&[EncryptionMethod::AesXts128], |made, secret| {
        judges::libbde_of_debian(&made.image, secret, made.folder.path(), &made.theirs());
        made.assert_same("libbde");
    });
}

#[test]
fn libbde_of_2026_reads_the_same_plaintext() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    each(&METHODS, |made, secret| {
        judges::libbde(&python, &made.image, secret, &made.theirs());
        made.assert_same("pybde");
    });
}
