//! Other implementations of BitLocker, started as judges of ours.
//!
//! Debian 12's libbde cannot read AES-XTS 256 at all ("invalid tweak key value too small"), Windows' volumes included; a
//! newer one from Python's registry judges that method. cryptsetup before 2.8.1 and dislocker read passwords that are not
//! ASCII wrongly.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What opens a volume.
#[derive(Debug, Clone, Copy)]
pub enum Secret<'a> {
    /// A recovery password: 48 digits with hyphens.
    Recovery(&'a str),
    /// A password, ASCII only.
    Password(&'a str),
}

impl Secret<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Recovery(text) | Self::Password(text) => text,
        }
    }
}

/// `cryptsetup bitlkDump` shows the volume.
///
/// # Panics
/// When it says no.
#[must_use]
pub fn cryptsetup_dump(image: &Path) -> String {
    assert_accepts("cryptsetup", &["bitlkDump", text(image)], "")
}

/// Whether `cryptsetup bitlkOpen --test-passphrase` takes the secret.
#[must_use]
pub fn cryptsetup_takes(image: &Path, secret: &str) -> bool {
    let arguments = ["bitlkOpen", "--test-passphrase", "--key-file", "-", text(image)];
    run("cryptsetup", &arguments, secret).status.success()
}

/// Whether `cryptsetup bitlkOpen --test-passphrase` takes the `.BEK` file.
#[must_use]
pub fn cryptsetup_takes_key_file(image: &Path, key: &Path) -> bool {
    let arguments = ["bitlkOpen", "--test-passphrase", "--key-file", text(key), text(image)];
    run("cryptsetup", &arguments, "").status.success()
}

/// The plain volume as `dislocker-file` gives it with a `.BEK` file, in `out`.
///
/// # Panics
/// When it says no.
pub fn dislocker_with_key_file(image: &Path, key: &Path, out: &Path) {
    assert_accepts("dislocker-file", &["-V", text(image), "-f", text(key), "--", text(out)], "");
}

/// The plain volume as `dislocker-file` gives it, in `out`.
///
/// # Panics
/// When it says no.
pub fn dislocker(image: &Path, secret: Secret<'_>, out: &Path) {
    let option = match secret {
        Secret::Recovery(digits) => format!("-p{digits}"),
        Secret::Password(password) => format!("-u{password}"),
    };
    assert_accepts("dislocker-file", &["-V", text(image), &option, "--", text(out)], "");
}

/// The plain volume as Debian's libbde gives it, in `out`: unlocked with `bdeinfo`, then mounted with `bdemount` in
/// `folder`.
///
/// # Panics
/// When it says no.
pub fn libbde_of_debian(image: &Path, secret: Secret<'_>, folder: &Path, out: &Path) {
    let option = match secret {
        Secret::Recovery(_) => "-r",
        Secret::Password(_) => "-p",
    };
    let said = assert_accepts("bdeinfo", &[option, secret.text(), text(image)], "");
    assert!(!said.contains("Is locked"), "{said}");
    let mount = folder.join(format!("mount{option}"));
    assert!(fs::create_dir(&mount).is_ok(), "no folder to mount in");
    assert_accepts("bdemount", &[option, secret.text(), text(image), text(&mount)], "");
    let copied = fs::copy(mount.join("bde1"), out);
    assert_accepts("fusermount", &["-u", text(&mount)], "");
    assert!(copied.is_ok(), "the mounted plaintext: {copied:?}");
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

/// The plain volume as the newest libbde gives it, in `out`; `python` is that of [`crate::judges_python`].
///
/// # Panics
/// When it says no.
pub fn libbde(python: &str, image: &Path, secret: Secret<'_>, out: &Path) {
    let kind = match secret {
        Secret::Recovery(_) => "recovery",
        Secret::Password(_) => "password",
    };
    assert_accepts(python, &["-c", PYBDE, text(image), text(out), kind], secret.text());
}

/// Checks that two files hold the same bytes.
///
/// # Panics
/// When they do not, with the first place where they differ.
pub fn assert_same(theirs: &Path, ours: &Path, who: &str) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (theirs, ours) = (read(theirs), read(ours));
    assert_eq!(theirs.len(), ours.len(), "{who}: length");
    // All at once first: byte by byte is slow without optimisation.
    if theirs == ours {
        return;
    }
    let differs = theirs.iter().zip(&ours).position(|(theirs, ours)| theirs != ours);
    assert_eq!(differs, None, "{who}: first byte that differs");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_else(|| panic!("{} is not text", path.display()))
}

fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let started = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{program}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().unwrap_or_else(|error| panic!("{program}: {error}"))
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
