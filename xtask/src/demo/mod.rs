//! `cargo xtask demo`: the main job from beginning to end, in plain words, with the real program, a real service and a
//! real drive image, on loopback.

mod program;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use secret::RecoveryPassword;
use serde_json::Value;
use testkit::{Authenticator, leaks};

use crate::portal;
use crate::run::{cargo, succeed};
use program::{Computer, Service, answer};

const EMAIL: &str = "ada@example.org";
const ACCOUNT_PASSWORD: &str = "seven slow otters crossed the road";
const DRIVE_PASSWORD: &str = "blue kettle 1962";
const LETTER: &str = "Dear Ada,\nthe deed of the house is in the second drawer.\n";

/// A drive, and what is known about it before its password is forgotten.
struct Drive {
    image: PathBuf,
    /// File with a secret that opens it, and the option that takes it.
    secret: (&'static str, PathBuf),
    recovery_password: RecoveryPassword,
    /// A file on it; `None` where its file system cannot be read, then the whole volume is compared.
    file: Option<String>,
    content: Vec<u8>,
}

/// Runs the demonstration on a drive it makes, or on `--drive IMAGE --recovery-password-file FILE`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let given = parse(arguments)?;
    println!("Building the program (a few minutes the first time)...");
    portal::run_if_possible()?;
    succeed(&mut cargo(&["build", "--package", "keyhaven"]))?;
    let begun = Instant::now();
    let folder = tempfile::Builder::new().prefix("keyhaven-demo").tempdir()?;
    let program = crate::root().join("target/debug/keyhaven");
    let demo = Demo { folder: folder.path(), program };
    let summary = demo.run(given)?;
    println!("\n{}\n{summary}", "-".repeat(78));
    println!("  Everything above happened in {} seconds, and nothing of it is left behind.", begun.elapsed().as_secs());
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Option<(PathBuf, PathBuf)>> {
    let (mut drive, mut key) = (None, None);
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let target = match option.as_str() {
            "--drive" => &mut drive,
            "--recovery-password-file" => &mut key,
            other => bail!("demo does not know {other}; it takes --drive IMAGE --recovery-password-file FILE"),
        };
        *target = Some(PathBuf::from(rest.next().with_context(|| format!("{option} needs a file"))?));
    }
    match (drive, key) {
        (None, None) => Ok(None),
        (Some(drive), Some(key)) => {
            let found = |path: &Path| std::path::absolute(path).with_context(|| format!("{}", path.display()));
            Ok(Some((found(&drive)?, found(&key)?)))
        }
        _ => bail!("--drive and --recovery-password-file belong together"),
    }
}

struct Demo<'a> {
    folder: &'a Path,
    program: PathBuf,
}

impl Demo<'_> {
    fn run(&self, given: Option<(PathBuf, PathBuf)>) -> Result<String> {
        let is_given = given.is_some();
        let mut computer = self.computer("computer")?;
        let drive = match given {
            None => self.new_drive(&computer)?,
            Some((image, key)) => self.given_drive(&computer, image, key)?,
        };

        step(2, "The account service starts, with SQLite, on this computer");
        let (data, log) = (self.folder.join("service"), self.folder.join("service.log"));
        let service = Service::start(&self.program, &data, &log)?;
        told(&format!("it is at {}", service.origin));
        computer.server.clone_from(&service.origin);

        let mut phone = self.sign_up(&computer, &data)?;

        step(4, "This computer is enrolled as a device that may save keys");
        let code = phone.fresh_code();
        computer.run(&[&"device", &"enrol", &"--name", &"Ada's computer"], Some(&code))?;
        told("enrolled; it was the only time that saving asks for two-factor");

        let key_id = self.back_up(&computer, &drive)?;
        forget(&drive, is_given)?;
        let content = self.open_elsewhere(&drive, &key_id, &service, &mut phone)?;
        ensure!(content == drive.content, "what was read back differs from what was there");
        told(&format!("{} bytes read back, identical to what was there before", content.len()));

        let entries = self.check_trail()?;
        let searched = self.search(service, &data, &log, &drive.recovery_password)?;
        Ok(summary(&drive, &key_id, entries, searched))
    }

    fn computer(&self, name: &str) -> Result<Computer> {
        let account_password = self.folder.join("in Ada's head");
        std::fs::write(&account_password, ACCOUNT_PASSWORD)?;
        Ok(Computer {
            program: self.program.clone(),
            state: self.folder.join(name),
            server: String::new(),
            account_password,
        })
    }

    fn new_drive(&self, computer: &Computer) -> Result<Drive> {
        step(1, "A BitLocker drive is made, with a password and a recovery key, and a letter on it");
        let (image, key) = (self.folder.join("usb-stick.img"), self.folder.join("recovery-key.txt"));
        let (password, letter) = (self.folder.join("drive-password"), self.folder.join("letter.txt"));
        std::fs::write(&password, DRIVE_PASSWORD)?;
        std::fs::write(&letter, LETTER)?;
        let made = computer.run(
            &[
                &"create",
                &image,
                &"--size",
                &"64M",
                &"--filesystem",
                &"fat32",
                &"--password-file",
                &password,
                &"--add",
                &letter,
                &"--recovery-out",
                &key,
            ],
            None,
        )?;
        told(&format!("{}, 64 MiB, written as Windows writes it", text(&made, "method")));
        Ok(Drive {
            image,
            recovery_password: read_key(&key)?,
            secret: ("--password-file", password),
            file: Some("letter.txt".to_owned()),
            content: LETTER.as_bytes().to_vec(),
        })
    }

    fn given_drive(&self, computer: &Computer, image: PathBuf, key: PathBuf) -> Result<Drive> {
        step(1, "The drive is looked at and opened with its recovery key");
        let info = computer.run(&[&"info", &image], None)?;
        told(&format!("{}, {}, {} bytes", text(&info, "method"), text(&info, "layout"), info["volume_bytes"]));
        let secret = ("--recovery-password-file", key);
        let listed = computer.output(&[&"ls", &image, &"--recursive", &secret.0, &secret.1], None)?;
        let listing: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let file = listing["entries"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["kind"] == "file" && (1..64 << 20).contains(&entry["bytes"].as_u64().unwrap_or(0)));
        let file = file.and_then(|entry| entry["path"].as_str()).map(str::to_owned);
        match &file {
            Some(file) => told(&format!("the file {file} will be read back in the end")),
            None => told("no file on it can be compared; the whole volume will be"),
        }
        let mut drive = Drive { image, recovery_password: read_key(&secret.1)?, secret, file, content: Vec::new() };
        let (option, path) = &drive.secret;
        drive.content = read_back(computer, &drive, &[option, path], None)?;
        Ok(drive)
    }

    /// Two-factor is on from the start: no account is without.
    fn sign_up(&self, computer: &Computer, data: &Path) -> Result<Authenticator> {
        step(3, "Ada makes an account; two-factor authentication is on before anything else");
        let invite = self.folder.join("invite");
        computer.run(&[&"serve", &"invite", &"--data", &data, &"--out", &invite], None)?;
        let (kit, link) = (self.folder.join("emergency-kit.txt"), self.folder.join("scanned-by-phone"));
        let started = computer.start(&[
            &"account",
            &"sign-up",
            &"--email",
            &EMAIL,
            &"--invite-file",
            &invite,
            &"--kit-out",
            &kit,
            &"--totp-secret-out",
            &link,
        ])?;
        let mut started = started;
        while !std::fs::read_to_string(&link).is_ok_and(|link| link.ends_with('\n')) {
            if started.0.try_wait()?.is_some() {
                answer(started, &[])?;
                bail!("the sign-up ended early");
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mut phone = Authenticator::scan(&std::fs::read_to_string(&link)?).context("no secret in the link")?;
        let made = answer(started, &phone.two_codes())?;
        ensure!(made["two_factor"] == true, "two-factor is not on");
        told(&format!("{EMAIL}, two-factor on, fingerprint {}", text(&made, "fingerprint")));
        Ok(phone)
    }

    fn back_up(&self, computer: &Computer, drive: &Drive) -> Result<String> {
        step(5, "The recovery key is saved to the account, with two-factor on");
        let (option, path) = &drive.secret;
        let saved = computer.run(&[&"backup", &drive.image, &"--to", &"account", option, path], None)?;
        let saved = &saved["saved"][0];
        ensure!(saved["receipt_verified"] == true, "no receipt");
        told(&format!("saved; the service's signed receipt is verified: audit entry {}", saved["audit_seq"]));
        Ok(text(saved, "key_id"))
    }

    /// A computer that has never seen the drive or the account.
    fn open_elsewhere(
        &self,
        drive: &Drive,
        key_id: &str,
        service: &Service,
        phone: &mut Authenticator,
    ) -> Result<Vec<u8>> {
        step(7, "On another computer, Ada signs in and finds the key by the 8 characters on the locked screen");
        let other = Computer { server: service.origin.clone(), ..self.computer("other")? };
        let code = phone.fresh_code();
        other.run(&[&"account", &"sign-in", &"--email", &EMAIL], Some(&code))?;
        let found = other.run(&[&"keys", &"list", &key_id], None)?;
        let found = &found["keys"][0];
        ensure!(found["verified"] == true, "the found key is not verified");
        told(&format!("key {key_id}: {}, saved by {}", text(found, "label"), text(found, "saved_by")));

        step(8, "A fresh code releases the key, and the drive opens");
        let refused = other.output(&[&"keys", &"show", &key_id], Some(&code))?;
        ensure!(refused.status.code() == Some(1), "a code was good twice");
        told("the code from before is refused");
        println!("     (a code is good once: the next one may take up to 30 seconds)");
        let code = phone.fresh_code();
        read_back(&other, drive, &[&"--from-account"], Some(&code))
    }

    fn check_trail(&self) -> Result<u64> {
        step(9, "The audit trail shows it all, and is verified");
        // The first computer was signed in from the start and remembers the trail and its receipt.
        let first = self.computer("computer")?;
        let report = first.run(&[&"audit", &"verify"], None)?;
        ensure!(report["sound"] == true && report["receipts"] == 1 && report["reveals"] == 1, "unexpected: {report}");
        told(&format!("{} entries in an unbroken chain; 1 save with its receipt, 1 release", report["entries"]));
        report["entries"].as_u64().context("no count of entries")
    }

    /// Everything the service ever wrote, while it runs and after it stopped.
    fn search(&self, service: Service, data: &Path, log: &Path, password: &RecoveryPassword) -> Result<u64> {
        step(10, "The service's files are searched for the key: digits, bytes, hexadecimal, base64, base32");
        let forms = leaks::forms(password);
        let (mut found, running) = leaks::search_folder(data, &forms)?;
        service.stop()?;
        let (after, stopped) = leaks::search_folder(data, &forms)?;
        found.extend(after);
        let log_bytes = std::fs::read(log)?;
        ensure!(leaks::search(&log_bytes, &forms).is_empty(), "the key is in the log");
        ensure!(found.is_empty(), "the key was found: {found:?}");
        let planted = self.folder.join("planted");
        std::fs::create_dir(&planted)?;
        std::fs::write(planted.join("a copy"), password.to_text().expose())?;
        ensure!(!leaks::search_folder(&planted, &forms)?.0.is_empty(), "the search itself does not work");
        told(&format!("not found in {} bytes; a copy planted for the test is found", running + stopped));
        Ok(running + stopped)
    }
}

/// The password and every copy of the key outside the account are gone. A drive that was given keeps its key file.
fn forget(drive: &Drive, is_given: bool) -> Result<()> {
    step(6, "The drive's password is forgotten, and the recovery key is nowhere on this computer");
    if is_given {
        told("the key file that was given stays where it is, and is not used any more");
        return Ok(());
    }
    std::fs::remove_file(&drive.secret.1)?;
    std::fs::remove_file(drive.image.with_file_name("recovery-key.txt"))?;
    told("both files are deleted");
    Ok(())
}

fn read_back(
    computer: &Computer,
    drive: &Drive,
    opened_with: &[&dyn AsRef<std::ffi::OsStr>],
    code: Option<&str>,
) -> Result<Vec<u8>> {
    let image = &drive.image;
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = match &drive.file {
        Some(file) => vec![&"cat", image, file],
        None => vec![&"decrypt", image, &"--output", &"-"],
    };
    arguments.extend(opened_with);
    let output = computer.output(&arguments, code)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The recovery password in a file, whatever else the file says.
fn read_key(path: &Path) -> Result<RecoveryPassword> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    testkit::recovery_password_in(&bytes).with_context(|| format!("no recovery key in {}", path.display()))
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn step(number: u32, what: &str) {
    println!("\n{number:>3}. {what}");
}

fn told(what: &str) {
    println!("     {what}");
}

fn summary(drive: &Drive, key_id: &str, entries: u64, searched: u64) -> String {
    let what = match &drive.file {
        Some(file) => format!("{file} was read back and compared"),
        None => "the whole volume was read back and compared".to_owned(),
    };
    format!(
        "  Saved     recovery key {key_id}, with two-factor authentication on, receipt verified\n  \
         Found     by its first 8 characters, on another computer\n  \
         Released  by a fresh one-time code; the used code was refused\n  \
         Opened    the drive; {what}\n  \
         Audited   {entries} entries, one unbroken chain\n  \
         Searched  {searched} bytes of the service's files in every encoding: the key is not there\n"
    )
}
