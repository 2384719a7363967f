//! Other implementations judge the volumes we make: cryptsetup, dislocker and libbde accept each secret, and the
//! plaintext that dislocker and libbde give is ours, byte for byte.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use block_io::{BlockRead, BlockWrite, FileDisk};
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Placement, UnlockOptions, Volume};
use secret::{RecoveryPassword, SecretString};

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
    new.fill(&mut |_, _| {}).expect("fills");
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

    fn assert_same_plaintext(&self, theirs: &Path, who: &str) {
        let theirs = fs::read(theirs).expect("their plaintext");
        let ours = fs::read(self.plain()).expect("our plaintext");
        assert_eq!(theirs.len(), ours.len(), "{who}: length");
        let differs = theirs.iter().zip(&ours).position(|(theirs, ours)| theirs != ours);
        assert_eq!(differs, None, "{who}: first byte that differs");
    }
}

fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("ends")
}

fn assert_accepts(program: &str, arguments: &[&str], input: &str) -> String {
    let output = run(program, arguments, input);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?} says no ({}):\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

const METHODS: [EncryptionMethod; 2] = [EncryptionMethod::AesXts128, EncryptionMethod::AesXts256];

#[test]
fn cryptsetup_accepts_every_secret() {
    if !testkit::programs(&["cryptsetup"]) {
        return;
    }
    for method in METHODS {
        let made = make(method);
        let image = made.image.to_str().expect("text");
        let dump = assert_accepts("cryptsetup", &["bitlkDump", image], "");
        assert!(dump.contains("Recovery passphrase") || dump.contains("VMK protected with recovery"), "{dump}");
        for secret in [PASSWORD, made.recovery.to_text().expose()] {
            assert_accepts("cryptsetup", &["bitlkOpen", "--test-passphrase", "--key-file", "-", image], secret);
        }
        let wrong = run("cryptsetup", &["bitlkOpen", "--test-passphrase", "--key-file", "-", image], "wrong");
        assert!(!wrong.status.success(), "the judge says yes to everything");
    }
}

#[test]
fn dislocker_reads_the_same_plaintext() {
    if !testkit::programs(&["dislocker-file"]) {
        return;
    }
    for method in METHODS {
        let made = make(method);
        let image = made.image.to_str().expect("text");
        let recovery = format!("-p{}", made.recovery.to_text().expose());
        let password = format!("-u{PASSWORD}");
        for (index, secret) in [recovery, password].iter().enumerate() {
            let theirs = made.folder.path().join(format!("dislocker-{index}.bin"));
            assert_accepts("dislocker-file", &["-V", image, secret, "--", theirs.to_str().expect("text")], "");
            made.assert_same_plaintext(&theirs, "dislocker");
        }
    }
}

/// Debian 12's libbde cannot read AES-XTS 256 at all ("invalid tweak key value too small"), Windows' volumes included;
/// the test below judges that method by a newer release.
#[test]
fn debians_libbde_mounts_the_same_plaintext() {
    if !testkit::programs(&["bdeinfo", "bdemount", "fusermount"]) {
        return;
    }
    if !Path::new("/dev/fuse").exists() {
        testkit::skip("no /dev/fuse, which bdemount needs");
        return;
    }
    let made = make(EncryptionMethod::AesXts128);
    let image = made.image.to_str().expect("text");
    let recovery = made.recovery.to_text();
    for (option, secret) in [("-r", recovery.expose()), ("-p", PASSWORD)] {
        let said = assert_accepts("bdeinfo", &[option, secret, image], "");
        assert!(!said.contains("Is locked"), "{said}");
        let mount = made.folder.path().join(format!("mount{option}"));
        fs::create_dir(&mount).expect("a folder");
        let mount = mount.to_str().expect("text");
        assert_accepts("bdemount", &[option, secret, image, mount], "");
        let theirs = made.folder.path().join("libbde.bin");
        let copied = fs::copy(Path::new(mount).join("bde1"), &theirs);
        assert_accepts("fusermount", &["-u", mount], "");
        copied.expect("the mounted plaintext");
        made.assert_same_plaintext(&theirs, "libbde");
    }
}

/// Opens with pybde and writes the whole plaintext; arguments: image, output, kind of secret; the secret on stdin.
const PYBDE: &str = "
import sys, pybde
volume = pybde.volume()
secret = sys.stdin.read()
volume.set_password(secret) if sys.argv[3] == 'password' else volume.set_recovery_password(secret)
volume.open(sys.argv[1])
assert not volume.is_locked(), 'still locked'
with open(sys.argv[2], 'wb') as out:
    left = volume.get_size()
    while left:
        part = volume.read_buffer(min(left, 1 << 20))
        out.write(part)
        left -= len(part)
";

#[test]
fn libbde_of_2026_reads_the_same_plaintext() {
    let Some(python) = testkit::judges_python("pybde") else { return };
    for method in METHODS {
        let made = make(method);
        let theirs = made.folder.path().join("pybde.bin");
        let (image, out) = (made.image.to_str().expect("text"), theirs.to_str().expect("text"));
        let recovery = made.recovery.to_text();
        for (kind, secret) in [("recovery", recovery.expose()), ("password", PASSWORD)] {
            assert_accepts(&python, &["-c", PYBDE, image, out, kind], secret);
            made.assert_same_plaintext(&theirs, "pybde");
        }
    }
}
