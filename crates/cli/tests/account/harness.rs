//! A service, computers, and somebody with a phone.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use testkit::Authenticator;

pub(crate) const EMAIL: &str = "ada@example.org";
pub(crate) const PASSWORD: &str = "seven slow otters crossed the road";
pub(crate) const DRIVE_PASSWORD: &str = "blue kettle 1962";

pub(crate) fn keyhaven() -> Command {
    testkit::clean_command(env!("CARGO_BIN_EXE_keyhaven"))
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The report of a command that succeeded.
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.status, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no report: {self:?}"))
    }

    /// The failure of a command that was to fail with this status.
    pub(crate) fn failure(&self, status: i32) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let start = self.stderr.find('{').unwrap_or_else(|| panic!("no failure: {self:?}"));
        serde_json::from_str(&self.stderr[start..]).unwrap_or_else(|_| panic!("no failure: {self:?}"))
    }

    /// The code of that failure.
    pub(crate) fn code(&self, status: i32) -> String {
        self.failure(status)["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A running service; its folder outlives it.
pub(crate) struct Service {
    pub(crate) folder: TempDir,
    pub(crate) origin: String,
    notices: bool,
    more: Vec<String>,
    child: Option<Child>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let mut service = Self::stopped();
        service.run();
        service
    }

    /// A service that writes notices to files.
    pub(crate) fn with_notices() -> Self {
        let mut service = Self::stopped();
        service.notices = true;
        service.run();
        service
    }

    /// A service with more arguments.
    pub(crate) fn with(more: &[&str]) -> Self {
        let mut service = Self::stopped();
        service.more = more.iter().map(|argument| (*argument).to_owned()).collect();
        service.run();
        service
    }

    fn stopped() -> Self {
        let origin = "http://127.0.0.1:0".to_owned();
        Self { folder: tempfile::tempdir().unwrap(), origin, notices: false, more: Vec::new(), child: None }
    }

    pub(crate) fn notices(&self) -> PathBuf {
        self.folder.path().join("notices")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts it where it was before.
    pub(crate) fn run(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut child = keyhaven()
            .args(["serve", "--json", "--listen", self.origin.trim_start_matches("http://"), "--data"])
            .arg(self.data())
            .args(self.notices.then(|| format!("--notices={}", self.notices().display())))
            .args(&self.more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut report = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            report.push_str(&line.unwrap());
            if let Ok(report) = serde_json::from_str::<Value>(&report) {
                self.origin = report["origin"].as_str().unwrap().to_owned();
                break;
            }
        }
        assert!(!report.is_empty(), "{}", std::fs::read_to_string(self.log()).unwrap());
        self.child = Some(child);
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// As a power cut would: no signal that it could catch.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn invite(&self) -> String {
        let output = keyhaven().args(["serve", "invite", "--data"]).arg(self.data()).output().unwrap();
        let ran = Ran::new(&output);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.stdout.trim().to_owned()
    }

    pub(crate) fn computer(&self) -> Computer {
        Computer::of(&self.origin)
    }

    /// Somebody with an account, two-factor on, signed in on a computer.
    pub(crate) fn owner(&self) -> Owner {
        let computer = self.computer();
        let phone = computer.sign_up(EMAIL, &self.invite());
        Owner { computer, phone }
    }

    /// The same with the computer enrolled.
    pub(crate) fn enrolled(&self) -> Owner {
        let mut owner = self.owner();
        let code = owner.phone.fresh_code();
        owner.computer.with_code(&code, &["device", "enrol", "--name", "workshop PC"]).report();
        owner
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) struct Owner {
    pub(crate) computer: Computer,
    pub(crate) phone: Authenticator,
}

/// A computer: a folder with the program's state and the person's files.
pub(crate) struct Computer {
    pub(crate) folder: TempDir,
    origin: String,
    /// Everything that commands on it wrote to their outputs.
    pub(crate) said: RefCell<String>,
}

impl Computer {
    /// One that uses the service at this address.
    pub(crate) fn of(origin: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), origin: origin.to_owned(), said: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = keyhaven();
        command
            .args(arguments)
            .arg("--json")
            .env("KEYHAVEN_STATE", self.path("state"))
            .env("KEYHAVEN_SERVER", &self.origin)
            .env("KEYHAVEN_ACCOUNT_PASSWORD", PASSWORD);
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        self.finish(&mut self.command(arguments))
    }

    pub(crate) fn with_code<A: AsRef<OsStr>>(&self, code: &str, arguments: &[A]) -> Ran {
        self.finish(self.command(arguments).env("KEYHAVEN_CODE", code))
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        let ran = Ran::new(&command.output().unwrap());
        *self.said.borrow_mut() += &format!("{}{}", ran.stdout, ran.stderr);
        ran
    }

    pub(crate) fn sign_up(&self, email: &str, invite: &str) -> Authenticator {
        let mut command = self.command(&["account", "sign-up", "--email", email]);
        command.arg("--kit-out").arg(self.path("kit.txt")).env("KEYHAVEN_INVITE", invite);
        let (ran, phone) = self.with_new_phone(&mut command, &self.path("link.txt"));
        assert_eq!(ran.report()["two_factor"], true);
        phone
    }

    /// Adds an authenticator in a session that needs no code of another one.
    pub(crate) fn add_factor(&self, label: &str) -> Authenticator {
        let mut command = self.command(&["factors", "add", "--label", label]);
        let (ran, phone) = self.with_new_phone(&mut command, &self.path(&format!("{label}.link")));
        assert_eq!(ran.report()["added"], label);
        phone
    }

    /// Runs a command that adds an authenticator: its link is read while the command waits for two codes.
    pub(crate) fn with_new_phone(&self, command: &mut Command, link: &Path) -> (Ran, Authenticator) {
        command.args(["--code-file", "-", "--totp-secret-out"]).arg(link);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut phone = Authenticator::scan(&wait_for_line(link)).unwrap();
        let codes = phone.two_codes();
        writeln!(child.stdin.take().unwrap(), "{}\n{}", codes[0], codes[1]).unwrap();
        let ran = Ran::new(&child.wait_with_output().unwrap());
        *self.said.borrow_mut() += &format!("{}{}", ran.stdout, ran.stderr);
        (ran, phone)
    }

    /// A new drive with a password, made without filling it: 64 MiB of noise would only take time.
    pub(crate) fn drive(&self, name: &str) -> Drive {
        let (image, key) = (self.path(name), self.path(&format!("{name}.key")));
        let password = self.file("drive-password", DRIVE_PASSWORD);
        let content = self.file("hello.txt", "hello");
        let made = keyhaven()
            .args(["create", "--size", "64M", "--used-space-only", "--json"])
            .args([OsStr::new("--password-file"), password.as_os_str(), OsStr::new("--add"), content.as_os_str()])
            .args([OsStr::new("--recovery-out"), key.as_os_str(), image.as_os_str()])
            .output()
            .unwrap();
        let report = Ran::new(&made).report();
        Drive { image, key, password, key_id: report["key_id"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn backup(&self, drive: &Drive) -> Ran {
        let arguments = ["backup", "--to", "account", "--password-file"].map(OsStr::new);
        let paths = [drive.password.as_os_str(), drive.image.as_os_str()];
        self.run(&arguments.iter().copied().chain(paths).collect::<Vec<_>>())
    }
}

pub(crate) struct Drive {
    pub(crate) image: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) password: PathBuf,
    pub(crate) key_id: String,
}

impl Drive {
    /// The digits in the file that `create` wrote.
    pub(crate) fn digits(&self) -> String {
        digits_in(&self.key)
    }
}

/// The recovery key in a file of the form Windows uses.
pub(crate) fn digits_in(file: &Path) -> String {
    let password = testkit::recovery_password_in(&std::fs::read(file).unwrap()).unwrap();
    password.to_text().expose().to_owned()
}

/// The first line of a file that another process writes.
pub(crate) fn wait_for_line(file: &Path) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{} was not written", file.display());
    }
}
