//! Running the program in a folder of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "blue kettle 1962";

pub(crate) fn keyhaven() -> Command {
    testkit::clean_command(env!("CARGO_BIN_EXE_keyhaven"))
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { status: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
    }

    pub(crate) fn text(&self) -> String {
        assert_eq!(self.status, 0, "{}", self.stderr);
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// What was said about arguments that do not go together.
    pub(crate) fn refused_usage(&self) -> &str {
        assert_eq!(self.status, 2, "{}", self.stderr);
        &self.stderr
    }

    /// What a command that failed said, one line each; checks that nothing broke inside.
    pub(crate) fn refused(&self, status: i32) -> &str {
        assert_eq!(self.status, status, "{}", self.stderr);
        assert!(self.stderr.contains("keyhaven: error: "), "{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        &self.stderr
    }
}

/// A folder with a drive in it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.file("password", PASSWORD.as_bytes());
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs the program with its words in one text; paths are relative to the folder.
    pub(crate) fn run(&self, words: &str) -> Ran {
        self.run_with(words, &[])
    }

    /// As [`Bench::run`], with words that hold spaces behind the others.
    pub(crate) fn run_with(&self, words: &str, more: &[&OsStr]) -> Ran {
        let mut command = keyhaven();
        command.current_dir(self.folder.path()).args(words.split_whitespace()).args(more);
        Ran::new(command.output().unwrap())
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn run_typing(&self, words: &str, input: &str) -> Ran {
        let mut command = keyhaven();
        command.current_dir(self.folder.path()).args(words.split_whitespace()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::new(child.wait_with_output().unwrap())
    }

    /// A drive `d.img` with a password, its recovery key in `key.txt`, and a tree of files on it and in `tree`.
    pub(crate) fn with_drive() -> Self {
        let bench = Self::new();
        bench.file("tree/hello.txt", b"hello");
        bench.file("tree/deep/A long name, with umlauts \u{e4}\u{f6}\u{fc}.bin", &pattern(300_000));
        bench.file("tree/deep/empty", b"");
        let words =
            "create d.img --size 64M --used-space-only --password-file password --recovery-out key.txt --add tree";
        bench.run(words).text();
        bench
    }

    /// A copy of the drive with bytes changed.
    pub(crate) fn damaged(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path("d.img")).unwrap();
        change(&mut bytes);
        self.file(name, &bytes);
    }
}

/// Bytes that repeat nowhere near.
pub(crate) fn pattern(length: u32) -> Vec<u8> {
    (0..length).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()).take(length as usize).collect()
}

/// Whether two folders hold the same files.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    Command::new("diff").arg("-r").args([one, other]).status().unwrap().success()
}

/// The recovery key in a file of the form Windows uses.
pub(crate) fn digits_in(bytes: &[u8]) -> String {
    assert_eq!(bytes[..2], [0xFF, 0xFE], "the byte-order mark");
    testkit::recovery_password_in(bytes).unwrap().to_text().expose().to_owned()
}
