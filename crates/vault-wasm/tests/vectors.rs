//! Browser and program read each other's records, slots and receipts: the same code, compiled for both, each reads what the other
//! sealed, refuses what was changed on the way, and both read what an earlier version sealed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vault_wasm::vectors::{Read, Vectors, make, read};

/// Runs a function of the build for browsers in Node.js; its second argument is a file.
const RUN: &str = "const v = require(process.argv[1]), f = require('node:fs');
    const many = process.argv[3] ? JSON.parse(f.readFileSync(process.argv[3], 'utf8')) : [null];
    const answers = many.map((one) => {
      try { return { good: JSON.parse(v[process.argv[2]](one === null ? undefined : JSON.stringify(one))) }; }
      catch (error) { return { bad: String(error) }; }
    });
    console.log(JSON.stringify(answers));";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the build for browsers answers to each, or `None` where it was not built.
fn in_node(function: &str, about: Option<&[Value]>) -> Option<Vec<Value>> {
    let built = root().join("target/vectors/vectors.js");
    if !testkit::programs(&["node"]) || !testkit::there(&built, "cargo xtask portal") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vectors.json");
    let mut command = Command::new("node");
    command.args(["-e", RUN]).arg(&built).arg(function);
    if let Some(about) = about {
        std::fs::write(&file, serde_json::to_vec(about).unwrap()).unwrap();
        command.arg(&file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn here(vectors: &Value) -> Result<Read, String> {
    read(&serde_json::from_value::<Vectors>(vectors.clone()).map_err(|error| error.to_string())?)
}

fn expected(vectors: &Value) -> Read {
    Read {
        digits: vectors["digits"].as_str().unwrap().to_owned(),
        label: vectors["label"].as_str().unwrap().to_owned(),
        audit_seq: 12,
        same_roots: true,
    }
}

/// Each sealed part, with one letter of it changed.
fn changed(vectors: &Value) -> Vec<(String, Value)> {
    let parts = [
        "/statement/p",
        "/statement/s",
        "/password_slot/wrap_c",
        "/password_slot/wrap_v",
        "/kit_slot/wrap_c",
        "/kit_slot/wrap_v",
        "/kit_slot/salt",
        "/record/save/p",
        "/record/save/s",
        "/record/header",
        "/record/meta",
        "/record/secret",
        "/receipt/p",
        "/receipt/s",
    ];
    let change = |part: &str| {
        let mut changed = vectors.clone();
        let place = changed.pointer_mut(part).unwrap_or_else(|| panic!("{part}"));
        let text = place.as_str().unwrap();
        let middle = text.len() / 2;
        let letter = if text.as_bytes()[middle] == b'A' { "B" } else { "A" };
        *place = Value::from(format!("{}{letter}{}", &text[..middle], &text[middle + 1..]));
        (part.to_owned(), changed)
    };
    parts.into_iter().map(change).collect()
}

#[test]
fn each_reads_what_the_other_sealed_and_refuses_what_was_changed() {
    let Some(made) = in_node("make_vectors", None) else { return };
    let theirs = made[0]["good"].clone();
    assert_eq!(here(&theirs).unwrap(), expected(&theirs));
    for (part, changed) in changed(&theirs) {
        assert!(here(&changed).is_err(), "{part} was changed in what the browser sealed");
    }

    let ours = serde_json::to_value(make().unwrap()).unwrap();
    let mut all = vec![ours.clone()];
    let changed = changed(&ours);
    all.extend(changed.iter().map(|(_, changed)| changed.clone()));
    let answers = in_node("read_vectors", Some(&all)).unwrap();
    assert_eq!(serde_json::from_value::<Read>(answers[0]["good"].clone()).unwrap(), expected(&ours));
    for (answer, (part, _)) in answers[1..].iter().zip(&changed) {
        assert!(answer["bad"].is_string(), "{part} was changed in what the program sealed: {answer}");
    }
}

/// Sealed by the first version that had them; `KEYHAVEN_WRITE_VECTORS=1` makes new ones where the format changes for a reason.
#[test]
fn both_read_what_an_earlier_version_sealed() {
    let file = root().join("fixtures/vectors/vault-1.json");
    if std::env::var_os("KEYHAVEN_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, serde_json::to_vec_pretty(&make().unwrap()).unwrap()).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(here(&kept).unwrap(), expected(&kept));
    let Some(answers) = in_node("read_vectors", Some(std::slice::from_ref(&kept))) else { return };
    assert_eq!(serde_json::from_value::<Read>(answers[0]["good"].clone()).unwrap(), expected(&kept));
}
