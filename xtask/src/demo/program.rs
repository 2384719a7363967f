//! The program under demonstration, run as a person would run it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Somebody's computer: the program, and a folder of its own for what it remembers.
pub(super) struct Computer {
    pub(super) program: PathBuf,
    pub(super) state: PathBuf,
    pub(super) server: String,
    pub(super) account_password: PathBuf,
}

impl Computer {
    /// Runs a command and gives its report; `code` is typed when a one-time code is asked for.
    pub(super) fn run(&self, arguments: &[&dyn AsRef<OsStr>], code: Option<&str>) -> Result<Value> {
        let output = self.output(arguments, code)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "keyhaven {} failed:\n{stderr}", words(arguments));
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("keyhaven {} reported nothing", words(arguments)))
    }

    /// Runs a command and gives what it wrote.
    pub(super) fn output(&self, arguments: &[&dyn AsRef<OsStr>], code: Option<&str>) -> Result<Output> {
        println!("     $ keyhaven {}", words(arguments));
        let mut command = self.command(arguments);
        command.arg("--json");
        if let Some(code) = code {
            command.env("KEYHAVEN_CODE", code);
        }
        command.stdin(Stdio::null()).output().context("the program does not start")
    }

    /// Starts a command that will want one-time codes on its standard input later.
    pub(super) fn start(&self, arguments: &[&dyn AsRef<OsStr>]) -> Result<(Child, ChildStdin)> {
        println!("     $ keyhaven {}", words(arguments));
        let mut command = self.command(arguments);
        command.args(["--json", "--code-file", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("no standard input")?;
        Ok((child, stdin))
    }

    fn command(&self, arguments: &[&dyn AsRef<OsStr>]) -> Command {
        let mut command = testkit::clean_command(&self.program);
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        command.env("KEYHAVEN_STATE", &self.state).env("KEYHAVEN_SERVER", &self.server);
        // The password is not typed here; a file stands in for the person's memory.
        let password = std::fs::read_to_string(&self.account_password).unwrap_or_default();
        command.env("KEYHAVEN_ACCOUNT_PASSWORD", password.trim());
        command
    }
}

/// A command line without the long folder of the demo.
fn words(arguments: &[&dyn AsRef<OsStr>]) -> String {
    let word = |argument: &&dyn AsRef<OsStr>| {
        let path = Path::new(argument.as_ref());
        let name = if path.is_absolute() { path.file_name().unwrap_or(path.as_os_str()) } else { path.as_os_str() };
        name.to_string_lossy().into_owned()
    };
    arguments.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Writes lines to a started command and waits for its report.
pub(super) fn answer((mut child, mut stdin): (Child, ChildStdin), lines: &[String]) -> Result<Value> {
    let stdin_closed = lines.iter().any(|line| writeln!(stdin, "{line}").is_err());
    drop(stdin);
    let mut stdout = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().context("no standard output")?, &mut stdout)?;
    let output = child.wait_with_output()?;
    if stdin_closed || !output.status.success() {
        bail!("the command failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&stdout)?)
}

/// The account service, running.
pub(super) struct Service {
    child: Child,
    /// Address that clients use.
    pub(super) origin: String,
}

impl Service {
    /// Starts the service on any free port of this computer, logging to a file.
    pub(super) fn start(program: &Path, data: &Path, log: &Path) -> Result<Self> {
        let mut child = testkit::clean_command(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .spawn()
            .context("the service does not start")?;
        let mut report = String::new();
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        // The report is one JSON document over several lines; the service prints nothing after it.
        while serde_json::from_str::<Value>(&report).is_err() {
            let Some(line) = lines.next() else {
                bail!("the service does not start:\n{}", std::fs::read_to_string(log).unwrap_or_default());
            };
            report.push_str(&line?);
        }
        let report: Value = serde_json::from_str(&report)?;
        let origin = report["origin"].as_str().context("the service did not tell its address")?.to_owned();
        Ok(Self { child, origin })
    }

    /// Asks it to stop and waits until it has.
    pub(super) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)?;
        ensure!(self.child.wait()?.success(), "the service did not stop in order");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
