//! Key material of passkeys in a request. It never belongs there: with it, the service could open what the passkey opens.
//!
//! A browser's own `toJSON()` of a credential holds the output of the `prf` extension, so a client that forgets its allow-list would
//! send it. Every body is looked through before anything is done with it. One that holds such output is refused, is not logged, and
//! the slot of that passkey is retired: what the service could have learnt opens nothing any more. Which one it is the body says:
//! whoever has a session, and no passkey, must not shut all of them by sending anything that looks like it.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER};
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use vault_protocol::audit;
use vault_protocol::problem::Code;
use vault_store::AccountId;

use crate::app::App;
use crate::audit::Act;
use crate::failure::Failure;
use crate::http::Caller;
use crate::notices::Event;
use crate::routes;

/// How deep encoded texts inside texts are followed.
const LAYERS: usize = 4;

/// Members that hold key material, where there is more in them than "no".
const EXTENSIONS: [&str; 4] = ["prf", "hmacgetsecret", "hmacsecret", "hmacsecretmc"];
/// Their outputs.
const OUTPUTS: [&str; 4] = ["first", "second", "output1", "output2"];

/// Whether a body carries output of the `prf` extension, or of the one of authenticators that it is made of: under any spelling of
/// the member, at any depth, in texts that hold JSON again, plain or in base64.
///
/// What is not JSON as far as it goes is refused by whoever asked for it, and used for nothing.
pub(crate) fn carries_prf(body: &[u8]) -> bool {
    look_through(body, LAYERS)
}

fn look_through(body: &[u8], layers: usize) -> bool {
    let mut found = false;
    look(body, layers, &mut found, &mut None);
    found
}

/// The texts inside texts, as they are once decoded.
fn collect(body: &[u8], layers: usize, parts: &mut Vec<Vec<u8>>) {
    look(body, layers, &mut false, &mut Some(parts));
}

fn look(body: &[u8], layers: usize, found: &mut bool, parts: &mut Option<&mut Vec<Vec<u8>>>) {
    let mut json = serde_json::Deserializer::from_slice(body);
    // An error ends the reading; what came before it was seen.
    let _ = Look { found, parts, inside: false, output: false, layers }.deserialize(&mut json);
}

/// Looks through one value.
struct Look<'a, 'b> {
    found: &'a mut bool,
    /// Where decoded texts are kept, if they are wanted: then the looking goes on to the end.
    parts: &'a mut Option<&'b mut Vec<Vec<u8>>>,
    /// Inside the member of an extension.
    inside: bool,
    /// The value of an output.
    output: bool,
    layers: usize,
}

impl Look<'_, '_> {
    fn has_value(self) {
        *self.found |= self.output;
    }

    fn text(self, text: &str) {
        *self.found |= self.output;
        if self.layers == 0 || (*self.found && self.parts.is_none()) {
            return;
        }
        let text = text.trim();
        let inner = if text.starts_with(['{', '[', '"']) { Some(text.as_bytes().to_vec()) } else { decoded(text) };
        let Some(inner) = inner else { return };
        look(&inner, self.layers - 1, self.found, self.parts);
        if let Some(parts) = self.parts {
            parts.push(inner);
        }
    }
}

/// The bytes of base64 that begin like JSON of an object, a list or a text.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let head = bytes.get(..4)?;
    let head = BASE64_NOPAD.decode(head).or_else(|_| BASE64URL_NOPAD.decode(head)).ok()?;
    if !matches!(head.iter().find(|byte| !byte.is_ascii_whitespace())?, b'{' | b'[' | b'"') {
        return None;
    }
    [BASE64URL_NOPAD, BASE64, BASE64URL, BASE64_NOPAD].iter().find_map(|encoding| encoding.decode(bytes).ok())
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let plain: String =
                name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            let inside = self.inside || EXTENSIONS.contains(&plain.as_str());
            // Whatever an output is made of, it is one: `first` may be a text, a list of numbers, an object of them.
            let output = self.output || (inside && OUTPUTS.contains(&plain.as_str()));
            // A member's name could hold JSON, too; nobody writes one by accident.
            map.next_value_seed(Look { found: self.found, parts: self.parts, inside, output, layers: self.layers })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq
            .next_element_seed(Look {
                found: self.found,
                parts: self.parts,
                inside: self.inside,
                output: self.output,
                layers: self.layers,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.has_value();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.has_value();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.has_value();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.has_value();
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// After a body that carried key material of `account`: the fault is noted, the passkeys it names open no vault any more, and the
/// owner is told. A passkey that was to be made with that body is not made.
pub(crate) async fn note(app: &App, account: AccountId, caller: &Caller, body: &[u8]) -> Result<(), Failure> {
    let making = routes::end_enrolment(app, body).await?;
    let passkeys = app.store.passkeys(account).await?;
    let mut parts = vec![body.to_vec()];
    collect(body, LAYERS, &mut parts);
    let named = |id: &Vec<u8>| parts.iter().any(|part| names(part, id));
    let named: Vec<Vec<u8>> = passkeys.into_iter().map(|passkey| passkey.credential_id).filter(named).collect();
    let event = if making || !named.is_empty() { Event::PasskeyLeaked } else { Event::UnnamedPasskeyLeaked };
    let now = app.now();
    let act = Act::by_owner(account, caller, now, audit::action::CLIENT_FAULT)
        .refused()
        .because(Code::FactorPrfLeaked.code())
        .telling(app.notice_to(account, &event).await?);
    app.store.retire_passkey_slots(account, &named, now, &|head| act.link(head)).await?;
    Ok(())
}

/// Whether a credential's identifier is somewhere in the body, in a form that clients write.
fn names(body: &[u8], id: &[u8]) -> bool {
    [BASE64URL_NOPAD, BASE64_NOPAD, HEXLOWER].iter().any(|encoding| {
        let text = encoding.encode(id);
        body.windows(text.len().max(1)).any(|window| window == text.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn carries(value: &Value) -> bool {
        carries_prf(&serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn output_is_found_wherever_it_is() {
        let results = json!({ "first": "AAAA" });
        let nested = json!({ "clientExtensionResults": { "prf": { "enabled": true, "results": results } } });
        let text = nested.to_string();
        for body in [
            nested.clone(),
            json!({ "assertion": nested }),
            json!([[{ "a": nested }]]),
            json!({ "PRF": { "Results": { "FIRST": "AAAA" } } }),
            json!({ "prf": { "results": { "first": null, "second": "AAAA" } } }),
            json!({ "prf": { "results": { "first": [1, 2, 3] } } }),
            json!({ "prf": { "results": { "first": { "0": 1, "1": 2 } } } }),
            json!({ "prf": { "first": "AAAA" } }),
            json!({ "prf": [{ "first": "AAAA" }] }),
            json!({ "hmacGetSecret": { "output1": "AAAA" } }),
            json!({ "hmac_get_secret": { "output2": "AAAA" } }),
            json!({ "hmac-secret": { "output1": "AAAA" } }),
            json!({ "P_R_F": { "results": { "first": "AAAA" } } }),
            json!({ "assertion": text }),
            json!({ "assertion": json!(text).to_string() }),
            json!({ "assertion": BASE64URL_NOPAD.encode(text.as_bytes()) }),
            json!({ "assertion": BASE64.encode(format!(" {text}").as_bytes()) }),
            json!({ "assertion": BASE64.encode(json!({ "x": BASE64URL.encode(text.as_bytes()) }).to_string().as_bytes()) }),
            json!(text),
        ] {
            assert!(carries(&body), "{body}");
        }
        for raw in [
            // The later of two members of one name hides the earlier from most readers.
            r#"{"prf":{"results":{"first":"AAAA"}},"prf":null}"#,
            r#"{"\u0070rf":{"results":{"fir\u0073t":"AAAA"}}}"#,
            // Broken off, or followed by something: seen before the end is looked at.
            r#"{"prf":{"results":{"first":"AAAA"}"#,
            r#"{"prf":{"results":{"first":"AAAA"}}} trailing"#,
        ] {
            assert!(carries_prf(raw.as_bytes()), "{raw}");
        }
    }

    #[test]
    fn other_bodies_pass() {
        for body in [
            json!({ "clientExtensionResults": { "prf": { "enabled": true } } }),
            json!({ "prf": { "results": {} } }),
            json!({ "prf": { "results": { "first": null } } }),
            json!({ "prf": null, "first": "AAAA" }),
            json!({ "extensions": { "prf": { "eval": {} } } }),
            json!({ "first": "AAAA", "results": { "first": "AAAA" } }),
            json!({ "label": "prf results first" }),
            json!({ "header": BASE64URL_NOPAD.encode(br#"{"v":1}"#), "n": [1, 2.5, -3, true, null] }),
            json!("eyJ"),
            json!(null),
        ] {
            assert!(!carries(&body), "{body}");
        }
        for raw in ["", "{", "\u{feff}{}", "nonsense", "[[[[[[[["] {
            assert!(!carries_prf(raw.as_bytes()), "{raw}");
        }
        // Deeper than the reader goes: an error, not an overflow.
        assert!(!carries_prf("[".repeat(60_000).as_bytes()));
    }

    #[test]
    fn a_named_passkey_is_recognised() {
        let id = [0xFB, 0xFF, 7, 7, 9];
        for text in [BASE64URL_NOPAD.encode(&id), BASE64.encode(&id), HEXLOWER.encode(&id)] {
            assert!(names(format!("{{\"id\":\"{text}\"}}").as_bytes(), &id), "{text}");
        }
        assert!(!names(b"{}", &id));
    }
}
