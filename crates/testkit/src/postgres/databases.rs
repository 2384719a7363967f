//! Databases for single tests, on one server for all tests of a run.

use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Owner, Place, Postgres, new_folder, programs};

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct Database {
    place: Place,
    name: String,
}

/// A fresh database on the server that all tests of this run share; `None`, after saying so, where PostgreSQL is not installed.
///
/// `KEYHAVEN_TEST_POSTGRES` is the address of a server that runs already, without the name of a database: `postgres://me@host:5432`.
/// Without it the first test of a run starts one, which stays until the test runner has ended.
///
/// # Panics
/// When there is a server and it does not answer.
#[must_use]
pub fn database() -> Option<Database> {
    static SERVER: OnceLock<Option<Place>> = OnceLock::new();
    SERVER.get_or_init(find_or_start).clone().map(Database::create)
}

fn find_or_start() -> Option<Place> {
    let programs = programs()?;
    if let Ok(address) = std::env::var("KEYHAVEN_TEST_POSTGRES") {
        return Some(Place { folder: PathBuf::new(), programs, address });
    }
    // Under a test runner the parent is the runner: the server is for all its tests, and ends after it. Any other parent may
    // be somebody's shell.
    let runner = ["NEXTEST", "CARGO"].iter().any(|name| std::env::var_os(name).is_some());
    if !runner {
        static OURS: OnceLock<Postgres> = OnceLock::new();
        let ours = Postgres::start(&[])?;
        return Some(OURS.get_or_init(|| ours).place.clone());
    }
    Some(of_run(parent_id(), programs))
}

/// The server of all tests that one process runs: found, or started by the first who asks.
fn of_run(runner: u32, programs: PathBuf) -> Place {
    let told = Path::new("/tmp").join(format!("keyhaven-pg-run-{runner}.told"));
    let mut options = File::options();
    let file = options.read(true).append(true).create(true).open(&told);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", told.display()));
    let locked = file.lock();
    assert!(locked.is_ok(), "{}: {locked:?}", told.display());
    let folder = fs::read_to_string(&told).unwrap_or_default();
    if !folder.is_empty() {
        return Place::new(PathBuf::from(folder), programs);
    }
    let folder = told.with_extension("");
    assert!(fs::rename(new_folder(), &folder).is_ok(), "{} is there already", folder.display());
    let place = Place::new(folder, programs);
    place.initialise();
    // Leaked: the shell beside it waits for the end of the runner, not for ours.
    std::mem::forget(Postgres::run(place.clone(), &[], Owner::Process(runner)));
    let written = fs::write(&told, place.folder.to_string_lossy().as_bytes());
    assert!(written.is_ok(), "{}: {written:?}", told.display());
    place
}

impl Database {
    pub(super) fn create(place: Place) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let made = place.psql("postgres", &format!("CREATE DATABASE {name}"));
        assert!(made.is_ok(), "cannot make a database: {made:?}");
        Self { place, name }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.place.url(&self.name)
    }

    /// The same, for another role.
    #[must_use]
    pub fn url_as(&self, role: &str) -> String {
        let url = self.url();
        let (_, place) = url.rsplit_once('@').unwrap_or_default();
        format!("postgres://{role}@{place}")
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is in it, as text; bytes in hexadecimal.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let dumped = Command::new(self.place.programs.join("pg_dump")).arg("-d").arg(self.url()).output();
        let dumped = dumped.unwrap_or_else(|error| panic!("pg_dump: {error}"));
        assert!(dumped.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dumped.stderr));
        dumped.stdout
    }

    /// Runs SQL as the owner of the server, and gives rows as lines with `|` between their columns.
    ///
    /// # Errors
    /// What the server said.
    pub fn sql(&self, sql: &str) -> Result<String, String> {
        self.place.psql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that was killed took its databases with it.
        let _ = self.place.psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
