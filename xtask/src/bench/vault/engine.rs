//! The databases under the service.

use std::ffi::OsString;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::postgres::{Database, Postgres};

use super::service::processor_seconds;
use crate::bench::measure::succeed;

/// What a server for more than a toy is given; everything else as it comes.
const POSTGRES_SETTINGS: &[(&str, &str)] = &[("shared_buffers", "256MB"), ("max_wal_size", "2GB")];

pub(super) struct Engine {
    /// Folder of the service.
    data: PathBuf,
    /// Where the service listens, each time: its origin cannot change.
    address: SocketAddr,
    postgres: Option<(Database, Postgres)>,
}

impl Engine {
    /// An empty database; `None` where it is not installed.
    pub(super) fn start(name: &str, data: &Path) -> Result<Option<Self>> {
        std::fs::create_dir(data)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let postgres = if name == "postgres" {
            let Some(server) = Postgres::start(POSTGRES_SETTINGS) else { return Ok(None) };
            Some((server.create_database(), server))
        } else {
            None
        };
        Ok(Some(Self { data: data.to_owned(), address, postgres }))
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    fn database(&self) -> Option<&Database> {
        self.postgres.as_ref().map(|(database, _)| database)
    }

    fn file(&self) -> PathBuf {
        self.data.join("vault.sqlite")
    }

    /// What `keyhaven serve` is told.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--data".into(), self.data.clone().into()];
        if let Some(database) = self.database() {
            arguments.extend(["--database".into(), database.url().into()]);
        }
        arguments
    }

    /// A literal of bytes that are given in hexadecimal.
    pub(super) fn bytes_literal(&self, hex: &str) -> String {
        if self.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// Runs statements in one transaction.
    pub(super) fn sql(&self, statements: &str) -> Result<()> {
        let mut program = Command::new(if self.is_postgres() { "psql" } else { "sqlite3" });
        match self.database() {
            None => program.arg("-bail").arg(self.file()),
            Some(database) => program.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]).arg(database.url()),
        };
        let mut program = program.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut input = program.stdin.take().context("no standard input")?;
        // A program that ends early says why below.
        let _ = input.write_all(b"BEGIN;\n").and_then(|()| input.write_all(statements.as_bytes()));
        let _ = input.write_all(b"\nCOMMIT;\n");
        drop(input);
        let output = program.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Settled after a bulk load, as a database is that has run for a while.
    pub(super) fn settle(&self) -> Result<()> {
        if let Some(database) = self.database() {
            database.sql("VACUUM ANALYZE").map_err(anyhow::Error::msg)?;
            database.sql("CHECKPOINT").map_err(anyhow::Error::msg)?;
            return Ok(());
        }
        succeed(Command::new("sqlite3").arg(self.file()).arg("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE;"))
    }

    /// Size of the database on the disk.
    pub(super) fn bytes(&self) -> Result<u64> {
        self.settle()?;
        let Some(database) = self.database() else { return Ok(std::fs::metadata(self.file())?.len()) };
        let size = database.sql("SELECT pg_database_size(current_database())").map_err(anyhow::Error::msg)?;
        Ok(size.trim().parse()?)
    }

    /// Processor time of the database's own processes so far; 0 where it is part of the service.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        let Some(database) = self.database() else { return Ok(0.0) };
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (datname = '{}' OR datname IS NULL)",
            database.name()
        );
        let ids = database.sql(&sql).map_err(anyhow::Error::msg)?;
        // A process that ended meanwhile did little.
        Ok(ids.lines().filter_map(|id| processor_seconds(id.trim().parse().ok()?).ok()).sum())
    }
}
