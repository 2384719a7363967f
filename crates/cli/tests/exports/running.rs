//! A command that runs until somebody ends it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Bench, Ran, keyhaven};

/// Nothing here takes that long; a test that waits longer has found a deadlock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The running program. It is ended with the test, however that ends.
pub(crate) struct Running {
    child: Child,
    stderr: Option<ChildStderr>,
    /// Kept open: a program whose report nobody can read may end.
    _stdout: BufReader<ChildStdout>,
    /// What it reported when it was ready.
    pub(crate) report: Value,
    folder: Option<PathBuf>,
}

impl Running {
    /// Starts the program in the folder of `bench` and waits for its report.
    pub(crate) fn start(bench: &Bench, words: &str) -> Self {
        let mut command = keyhaven();
        command.current_dir(bench.folder.path()).arg("--json").args(words.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take();
        let mut text = String::new();
        while text.trim_end().lines().last() != Some("}") {
            if stdout.read_line(&mut text).unwrap() == 0 {
                let mut said = String::new();
                stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it did not start: {said}");
            }
        }
        let report = serde_json::from_str(&text).unwrap();
        Self { child, stderr, _stdout: stdout, report, folder: None }
    }

    /// Mounts a drive on a new folder `name`.
    pub(crate) fn mount(bench: &Bench, words: &str, name: &str) -> Self {
        let folder = bench.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut running = Self::start(bench, &format!("mount {words}"));
        running.folder = Some(folder);
        running
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ran {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let mut stderr = String::new();
        self.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ran { status: status.code().unwrap_or(-1), stdout: Vec::new(), stderr }
    }

    /// Ends it as service managers do, and checks that it ends well.
    pub(crate) fn terminate(self) {
        self.signal("-TERM");
        let ran = self.ended();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
    }

    /// Ends it without any warning, as a crash would; a mount stays, dead.
    pub(crate) fn kill(mut self) {
        self.folder = None;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it says something on standard error that contains `word`.
    pub(crate) fn hears(&mut self, word: &str) {
        let mut said = Vec::new();
        let mut byte = [0];
        let stderr = self.stderr.as_mut().unwrap();
        while !String::from_utf8_lossy(&said).contains(word) {
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && is_mounted(folder)
        {
            let _ = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(folder).output();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether something is mounted on the folder. The table of mounts is asked: a dead mount answers nothing else.
pub(crate) fn is_mounted(folder: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&format!(" {} ", folder.display()))
}

/// Whether this machine can mount through FUSE; says so when it cannot.
pub(crate) fn fuse() -> bool {
    if std::fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        testkit::skip("no /dev/fuse");
        return false;
    }
    testkit::programs(&["fusermount3"])
}
