//! The program that makes the load.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::fill::Person;
use super::service::Service;
use crate::bench::example;
use crate::bench::measure::output;

/// Prepared saves, and the program that sends them.
pub(super) struct Load {
    folder: PathBuf,
    pub(super) request_bytes: u64,
}

impl Load {
    /// Seals saves for later: so much for so many devices of so many accounts.
    pub(super) fn prepare(folder: &Path, accounts: usize, devices: usize, saves: usize) -> Result<Self> {
        let mut command = Command::new(example("vault_load"));
        command.arg("prepare").arg(folder).args([accounts, devices, saves].map(|number| number.to_string()));
        let told: Value = serde_json::from_str(&output(&mut command)?)?;
        let request_bytes = told["request_bytes"].as_u64().context("no length of a request")?;
        Ok(Self { folder: folder.to_owned(), request_bytes })
    }

    /// Accounts and devices of the prepared saves.
    pub(super) fn people(&self) -> Result<Vec<Person>> {
        let text = std::fs::read_to_string(self.folder.join("people.tsv"))?;
        let person = |line: &str| {
            let mut fields = line.split('\t').map(str::to_owned);
            let mut field = || fields.next().context("a field is missing");
            Ok(Person { account: field()?, device: field()?, key: field()?, certificate: field()? })
        };
        text.lines().map(person).collect()
    }

    /// Sends some of the prepared saves, as fast as they are answered or so many a second.
    pub(super) fn save(
        &self,
        service: &Service,
        first: usize,
        count: usize,
        at_once: usize,
        per_second: Option<usize>,
    ) -> Result<Value> {
        let mut command = Command::new(example("vault_load"));
        command.arg("save").arg(&service.origin).arg(&self.folder);
        command.args([first, count, at_once].into_iter().chain(per_second).map(|number| number.to_string()));
        let answer: Value = serde_json::from_str(&output(&mut command)?)?;
        anyhow::ensure!(answer["refused"] == 0, "saves were refused: {answer}");
        Ok(answer)
    }

    /// Lets people do something; those who join need invites.
    pub(super) fn people_call(&self, what: &str, service: &Service, invites: Option<&Path>) -> Result<Value> {
        let folder = service.data.join("people");
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(example("vault_load"));
        command.arg(what).arg(&service.origin).arg(folder).args(invites);
        Ok(serde_json::from_str(&output(&mut command)?)?)
    }
}
