//! The service under load, and what the kernel says about it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::engine::Engine;

pub(super) struct Service {
    child: Child,
    program: PathBuf,
    arguments: Vec<OsString>,
    pub(super) data: PathBuf,
    pub(super) origin: String,
}

impl Service {
    /// Starts it, logging as it does, to a file.
    pub(super) fn start(program: &Path, engine: &Engine) -> Result<Self> {
        let arguments = engine.arguments();
        let data = engine.data().to_owned();
        let log = data.join("service.log");
        let address = engine.address();
        let origin = format!("http://{address}");
        let mut child = testkit::clean_command(program)
            .args(["serve", "--json", "--listen", &address.to_string(), "--origin", &origin])
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("the service does not start")?;
        let mut report = String::new();
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        while serde_json::from_str::<Value>(&report).is_err() {
            let Some(line) = lines.next() else {
                bail!("the service does not start:\n{}", std::fs::read_to_string(log).unwrap_or_default());
            };
            report.push_str(&line?);
        }
        Ok(Self { child, program: program.to_owned(), arguments, data, origin })
    }

    /// A file with so many invites.
    pub(super) fn invites(&self, count: usize) -> Result<PathBuf> {
        let mut invites = String::new();
        for _ in 0..count {
            let output =
                testkit::clean_command(&self.program).args(["serve", "invite"]).args(&self.arguments).output()?;
            ensure!(output.status.success(), "no invite: {}", String::from_utf8_lossy(&output.stderr));
            invites.push_str(String::from_utf8_lossy(&output.stdout).trim());
            invites.push('\n');
        }
        let file = self.data.join("invites");
        std::fs::write(&file, invites)?;
        Ok(file)
    }

    /// Processor time so far, in user code and in the kernel.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        processor_seconds(self.child.id())
    }

    /// Bytes it wrote to files so far.
    pub(super) fn written_bytes(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:")).context("no write_bytes")?;
        Ok(line.trim().parse()?)
    }

    /// The most memory it ever held.
    pub(super) fn peak_memory_kib(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
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

/// Processor time of all threads of a process, to the nanosecond.
pub(super) fn processor_seconds(process: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that ends meanwhile takes its little with it.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().context("no schedstat")?.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}
