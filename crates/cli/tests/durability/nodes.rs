//! Processes of `keyhaven serve` that share one database, and the way to them.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use vault_client::{HttpTransport, Request, Response, Transport, TransportError};

/// Saves are to be cut off by kills, not by limits.
const LIMITS: [&str; 5] = [
    "KEYHAVEN_LIMIT_SAVES_PER_DEVICE",
    "KEYHAVEN_LIMIT_NEW_KEYS_PER_DEVICE",
    "KEYHAVEN_LIMIT_RECORDS_PER_ACCOUNT",
    "KEYHAVEN_LIMIT_SIGN_IN_PER_MAIL",
    "KEYHAVEN_LIMIT_DEVICE_CODES_PER_NETWORK",
];

/// The processes. All of them have the same keys and settings.
pub(crate) struct Nodes {
    folder: TempDir,
    database: Option<String>,
    addresses: Vec<SocketAddr>,
    running: Vec<Option<Child>>,
}

impl Nodes {
    /// Starts `count` processes; without an address of a database, they keep everything in a file.
    pub(crate) fn start(count: usize, database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses = (0..count).map(|_| free_address()).collect();
        let mut nodes = Self { folder, database, addresses, running: (0..count).map(|_| None).collect() };
        for n in 0..count {
            nodes.run(n);
        }
        nodes
    }

    pub(crate) fn count(&self) -> usize {
        self.addresses.len()
    }

    /// What people call the service, whichever process answers.
    fn origin(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    fn data(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("data-{n}"))
    }

    fn command(&self, n: usize) -> Command {
        let mut command = testkit::clean_command(env!("CARGO_BIN_EXE_keyhaven"));
        command.arg("serve").envs(LIMITS.map(|name| (name, "1000000"))).env("KEYHAVEN_DATA", self.data(n));
        command.env("KEYHAVEN_KEY_FILE", self.folder.path().join("server.keys"));
        command.env("KEYHAVEN_LOG_LEVEL", "warn");
        if let Some(database) = &self.database {
            command.env("KEYHAVEN_DATABASE", database);
        }
        command
    }

    /// Starts a process where it was before, and waits until it listens.
    pub(crate) fn run(&mut self, n: usize) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(n);
        command.args(["--json", "--listen", &self.addresses[n].to_string(), "--origin", &self.origin()]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut report = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.any(|line| {
            report.push_str(&line);
            serde_json::from_str::<Value>(&report).is_ok()
        });
        assert!(told, "{}", std::fs::read_to_string(self.log()).unwrap());
        self.running[n] = Some(child);
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// As a power cut does: no signal that it could catch.
    pub(crate) fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.running[n].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn kill_all(&mut self) {
        for n in 0..self.count() {
            self.kill(n);
        }
    }

    /// All processes, started again on another database.
    pub(crate) fn move_to(&mut self, database: String) {
        self.kill_all();
        self.database = Some(database);
        for n in 0..self.count() {
            self.run(n);
        }
    }

    pub(crate) fn invite(&self) -> String {
        let output = self.command(0).arg("invite").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A way to the service that goes to one process after the other.
    pub(crate) fn transport(&self) -> Way {
        let nodes = self.addresses.iter().map(|address| HttpTransport::new(&format!("http://{address}")).unwrap());
        Way { origin: self.origin(), nodes: nodes.collect(), next: AtomicUsize::new(0) }
    }

    /// What the processes wrote about themselves.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a proxy in front of the processes does.
pub(crate) struct Way {
    origin: String,
    nodes: Vec<HttpTransport>,
    next: AtomicUsize,
}

impl Transport for Way {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        self.nodes[self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len()].send(request)
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}
