//! The joint to a browser's Worker, which puts an object `host` into its global scope before it starts this.

use std::time::Duration;

use vault_protocol::Millis;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::{Answer, Engine, Host};

#[wasm_bindgen]
extern "C" {
    /// Status and body of an answer, or a text that tells why there is none.
    #[wasm_bindgen(js_namespace = host, catch)]
    fn http(method: &str, path: &str, bearer: Option<String>, body: &[u8]) -> Result<Exchange, JsValue>;
    #[wasm_bindgen(js_namespace = host)]
    fn ask(question: &str, about: &str) -> String;
    #[wasm_bindgen(js_namespace = host)]
    fn pause(milliseconds: u32);
    #[wasm_bindgen(js_namespace = Date)]
    fn now() -> f64;
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);

    type Exchange;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Exchange) -> u16;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Exchange) -> Vec<u8>;
}

struct Worker;

impl Host for Worker {
    fn http(&self, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Result<Answer, String> {
        let answer = http(method, path, bearer.map(str::to_owned), body)
            .map_err(|error| error.as_string().unwrap_or_else(|| "no answer".to_owned()))?;
        Ok(Answer { status: answer.status(), body: answer.body() })
    }

    fn ask(&self, question: &str, about: &str) -> Zeroizing<String> {
        Zeroizing::new(ask(question, about))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for some hundred thousand years")]
fn clock() -> Millis {
    now() as Millis
}

fn wait(time: Duration) {
    pause(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
}

/// The client, for the Worker.
#[wasm_bindgen]
pub struct Vault(Engine<Worker>);

#[wasm_bindgen]
impl Vault {
    /// A client of the service at `origin`, with what was kept of an earlier visit.
    #[wasm_bindgen(constructor)]
    pub fn new(origin: &str, kept: &str) -> Self {
        // Where, and nothing of what was at work: that may be a secret.
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            error(&format!("the vault's client stopped at {at}"));
        }));
        Self(Engine::new(Worker, origin, kept, clock, wait))
    }

    /// See [`Engine::take_over`].
    #[wasm_bindgen(js_name = takeOver)]
    pub fn take_over(&self, kept: &str) {
        self.0.take_over(kept);
    }

    /// See [`Engine::call`]. Throws the failure's JSON.
    pub fn call(&mut self, name: &str, arguments: &str) -> Result<String, String> {
        self.0.call(name, arguments).map(|text| text.to_string())
    }

    /// See [`Engine::changes`].
    pub fn changes(&self) -> String {
        self.0.changes()
    }
}
