//! A throwaway PostgreSQL server: its own folder, a socket in it and no network, flushing to the disk as a real one does.
//!
//! It is gone with its owner, however that ends: a small shell stands beside the server, and when the owner is no more it stops
//! the server and removes the folder.

mod databases;
mod standby;

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use databases::{Database, database};

use crate::skip;

/// What is asked of the server beyond its defaults: small, silent, and durable.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "16MB"),
    ("max_connections", "200"),
    ("max_wal_size", "256MB"),
    ("wal_level", "replica"),
    ("max_wal_senders", "4"),
    ("logging_collector", "off"),
    ("dynamic_shared_memory_type", "mmap"),
];
/// Starts the server, waits until the owner is gone (its end of the pipe, or the process it named), and cleans up.
const WATCH: &str = r#"
folder=$1 owner=$2
shift 2
"$@" >"$folder/server.log" 2>&1 </dev/null &
server=$!
if [ "$owner" = pipe ]; then
  cat >/dev/null
else
  while kill -0 "$owner" 2>/dev/null; do sleep 0.3; done
fi
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder" "$folder.told"
"#;
/// How long the server may take to answer: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who must be there for the server to stay.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// This process, and in it the value that holds the server.
    Us,
    /// The process with this number.
    Process(u32),
}

/// A server that stops and disappears when this value is dropped or its process ends.
#[derive(Debug)]
pub struct Postgres {
    place: Place,
    /// Its standard input is the pipe that it watches.
    watch: Child,
}

/// Where a server is, and with which programs it is asked.
#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    /// Folder of `psql` and the others.
    programs: PathBuf,
    /// Address without the name of a database.
    address: String,
}

impl Postgres {
    /// Starts a server with some settings of its own; `None`, after saying so, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let programs = programs()?;
        let place = Place::new(new_folder(), programs);
        place.initialise();
        Some(Self::run(place, settings, Owner::Us))
    }

    fn run(place: Place, settings: &[(&str, &str)], owner: Owner) -> Self {
        place.configure(settings);
        let watch = place.start(owner);
        Self { place, watch }
    }

    /// Address of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.place.url(database)
    }

    /// A fresh database.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn create_database(&self) -> Database {
        Database::create(self.place.clone())
    }

    /// Runs SQL as the owner of the server, and gives rows as lines with `|` between their columns.
    ///
    /// # Panics
    /// When a statement fails.
    #[must_use]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.place.psql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Kills the server and all its processes at once, as a power cut does. The folder stays until this value is dropped.
    pub fn kill(&self) {
        self.place.kill();
    }

    /// Starts it again after [`Postgres::kill`], with what is on the disk.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        // The shell that stood beside it must not remove the folder.
        let folder = self.place.folder.clone();
        let kept = folder.with_extension("kept");
        assert!(fs::rename(&folder, &kept).is_ok(), "cannot keep the folder");
        self.end();
        assert!(fs::rename(&kept, &folder).is_ok(), "cannot put the folder back");
        let _ = fs::remove_file(self.place.data().join("postmaster.pid"));
        self.watch = self.place.start(Owner::Us);
    }

    /// The shell reads the end of the pipe, stops the server and removes the folder.
    fn end(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

impl Place {
    fn new(folder: PathBuf, programs: PathBuf) -> Self {
        let address = format!("postgres://keyhaven@{}", folder.to_string_lossy().replace('/', "%2F"));
        Self { folder, programs, address }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.address)
    }

    fn initialise(&self) {
        self.as_server("initdb", &["-U", "keyhaven", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
    }

    fn configure(&self, settings: &[(&str, &str)]) {
        let socket = self.folder.to_string_lossy().into_owned();
        let mut text = format!("unix_socket_directories = '{socket}'\n");
        for (name, value) in SETTINGS.iter().chain(settings) {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        let file = self.data().join("postgresql.auto.conf");
        let written = fs::read_to_string(&file).and_then(|before| fs::write(&file, before + &text));
        assert!(written.is_ok(), "cannot write {}: {written:?}", file.display());
    }

    /// Starts the server and the shell beside it, and waits until it answers.
    fn start(&self, owner: Owner) -> Child {
        let mut watch = self.watch(owner);
        let begun = Instant::now();
        while !self.answers() {
            let ended = watch.try_wait().is_ok_and(|ended| ended.is_some());
            assert!(!ended && begun.elapsed() < PATIENCE, "PostgreSQL does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        watch
    }

    fn watch(&self, owner: Owner) -> Child {
        let server = self.program("postgres", &["-D"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "keyhaven-postgres"]).arg(&self.folder);
        shell.arg(match owner {
            Owner::Us => "pipe".to_owned(),
            Owner::Process(id) => id.to_string(),
        });
        shell.arg(server.get_program()).args(server.get_args());
        shell.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C and a test runner's time limit end the tests, and this then cleans up after them.
        shell.process_group(0);
        shell.spawn().unwrap_or_else(|error| panic!("cannot start sh: {error}"))
    }

    /// A command that runs as an ordinary user, since the server does not run as root; the data folder is its last argument.
    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(name);
        let mut command = match ordinary_user() {
            Some(user) => {
                let mut command = Command::new("setpriv");
                let ids = [format!("--reuid={}", user.id), format!("--regid={}", user.group)];
                command.args(ids).arg("--clear-groups").arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).arg(self.data()).current_dir("/").stdin(Stdio::null());
        command
    }

    /// Runs one of the programs that come with the server on its data folder.
    fn as_server(&self, name: &str, arguments: &[&str]) {
        let output = self.program(name, arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn answers(&self) -> bool {
        UnixStream::connect(self.folder.join(".s.PGSQL.5432")).is_ok() && self.psql("postgres", "SELECT 1").is_ok()
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url(database)]);
        let output = psql.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    fn kill(&self) {
        let notes = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let Some(server) = notes.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return };
        // The server first, so that it starts no other process; then those it had started.
        let all: Vec<u32> = std::iter::once(server).chain(children(server)).collect();
        for id in &all {
            let _ = Command::new("sh").args(["-c", "kill -KILL \"$1\"", "sh", &id.to_string()]).status();
        }
        let begun = Instant::now();
        while all.iter().any(|id| is_alive(*id)) {
            assert!(begun.elapsed() < PATIENCE, "the server does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The one thing that outlives a killed server: a few bytes of shared memory that tell of it.
        if let Some(id) = notes.lines().nth(6).and_then(|line| line.split_ascii_whitespace().nth(1)) {
            let _ = Command::new("ipcrm").args(["-m", id]).stderr(Stdio::null()).status();
        }
    }
}

/// A user that is not root, where we are root.
struct User {
    id: u32,
    group: u32,
}

fn ordinary_user() -> Option<User> {
    let number = |option: &str, name: &[&str]| {
        let output = Command::new("id").arg(option).args(name).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if number("-u", &[]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| Some(User { id: number("-u", &[name])?, group: number("-g", &[name])? }))
}

/// A new folder for the user who will run the server. Short, since the path of a socket is.
fn new_folder() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new("/tmp").join(format!("keyhaven-pg-{}-{n}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {
                if let Some(user) = ordinary_user() {
                    let given = chown(&folder, Some(user.id), Some(user.group));
                    assert!(given.is_ok(), "cannot give away {}: {given:?}", folder.display());
                }
                return folder;
            }
            Err(error) => assert!(error.kind() == std::io::ErrorKind::AlreadyExists, "{}: {error}", folder.display()),
        }
    }
}

/// The folder with the server's programs, the newest there is; says so where there is none.
fn programs() -> Option<PathBuf> {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let newest = installed.map(|entry| entry.path()).filter_map(|path| Some((version(&path)?, path))).max();
    let folder = newest.map(|(_, path)| path.join("bin")).filter(|folder| folder.join("postgres").exists());
    if folder.is_none() {
        skip("no PostgreSQL");
    }
    folder
}

/// Processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

fn is_alive(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != "Z")
}

/// State and parent of a process.
fn stat(id: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
