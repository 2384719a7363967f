//! The vault's client in a browser. [`Engine::call`] takes the name of a call and its arguments as a JSON array, and gives JSON;
//! `portal/src/vault/api.ts` has their types. It runs in a Worker and blocks there: the network is asked synchronously, and where a flow
//! has a question for the person, the page answers it while the Worker waits.
//!
//! | module | part |
//! |---|---|
//! | `host` | what the page gives: network, questions, keeping of pins |
//! | `ask` | the questions: mailed codes, kits, factors; passkeys |
//! | `calls` | one function for each call, by the page it serves |
//! | `found` | keys that were read and wait for being saved |
//! | `failure` | errors as the pages take them |
//! | `age` | files that a passphrase opens |
//! | `strength` | how good a password is |
//! | `vectors` | sealed things that both sides read in tests; not part of what people get |
//!
//! Nothing here decides about cryptography or protocol: that is `vault-client`.

mod age;
mod ask;
#[cfg(target_arch = "wasm32")]
mod browser;
mod calls;
mod engine;
mod failure;
mod found;
mod host;
mod strength;
#[cfg(feature = "vectors")]
pub mod vectors;

#[cfg(target_arch = "wasm32")]
pub use browser::Vault;
pub use engine::Engine;
pub use host::{Answer, Host};
