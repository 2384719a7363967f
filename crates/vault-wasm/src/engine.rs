//! The client with what it holds between calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vault_client::{Client, Error, Memory, State};
use vault_protocol::Millis;
use zeroize::Zeroizing;

use crate::ask::Asks;
use crate::failure;
use crate::found::Found;
use crate::host::{ByHost, Host};

/// Readings that are kept: one that was begun in another tab of the page is read again.
const READINGS: usize = 4;

/// A client of one service.
pub struct Engine<H> {
    pub(crate) client: Client<ByHost<H>>,
    pub(crate) asks: Asks<H>,
    pub(crate) found: BTreeMap<u64, Found>,
    next_handle: u64,
    memory: Memory,
    pub(crate) origin: String,
    pub(crate) clock: fn() -> Millis,
}

/// What ends a call: a document for the page.
pub(crate) type Called = Result<Value, Value>;

/// An error of the client, as the page takes it.
pub(crate) fn failed(error: Error) -> Value {
    failure::document(&error)
}

impl<H: Host> Engine<H> {
    /// A client of the service at `origin`, scheme and host and port. `kept`: what [`changes`](Self::changes) told before, as JSON:
    /// names with base64. What cannot be read in it is left out: the pins of this browser are then those of a new one.
    pub fn new(host: H, origin: &str, kept: &str, clock: fn() -> Millis, pause: fn(Duration)) -> Self {
        let memory = Memory::new(kept_of(kept));
        let asks = Asks(Arc::new(host));
        let transport = ByHost { host: Arc::clone(&asks.0), origin: origin.to_owned() };
        let (mail, pages) = (asks.clone(), asks.clone());
        let client = Client::new(transport, State::in_memory(memory.clone()))
            .with_clock(clock)
            .with_pause(pause)
            .asking_for_mailed_codes(move || mail.mailed_code().map(secret::SecretString::new))
            .accepting_new_keys(move |fingerprint| pages.new_keys(fingerprint));
        Self { client, asks, found: BTreeMap::new(), next_handle: 1, memory, origin: origin.to_owned(), clock }
    }

    /// What another page of this browser kept meanwhile, in the form of [`new`](Self::new): told before the next call.
    pub fn take_over(&self, kept: &str) {
        self.memory.take_over(kept_of(kept));
    }

    /// Does what the page wants: `arguments` is a JSON array.
    ///
    /// # Errors
    /// A JSON object with `code` and `title`, and what else is known.
    pub fn call(&mut self, name: &str, arguments: &str) -> Result<Zeroizing<String>, String> {
        match self.dispatch(name, arguments) {
            Ok(value) => Ok(Zeroizing::new(value.to_string())),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// What changed of what may be kept, as JSON: names with base64, or `null` for what is gone. No secret is among it.
    pub fn changes(&self) -> String {
        let changes = self.memory.changes();
        let changes = changes.into_iter().map(|(name, bytes)| (name, bytes.map(|bytes| BASE64.encode(&bytes))));
        json!(changes.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// Keeps a reading; gives what it is called.
    pub(crate) fn keep(&mut self, found: Found) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.found.insert(handle, found);
        while self.found.len() > READINGS {
            self.found.pop_first();
        }
        handle
    }
}

fn kept_of(kept: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let kept: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
    kept.into_iter().filter_map(|(name, text)| Some((name, BASE64.decode(text.as_bytes()).ok()?)))
}

/// Arguments of a call.
pub(crate) fn read<T: DeserializeOwned>(arguments: &str) -> Result<T, Value> {
    serde_json::from_str(arguments).map_err(|_| failure::of_page("page.fault", "a call with other arguments"))
}
