//! The service's description of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vault_client::Method::Get;
use vault_protocol::problem::Code;
use vault_protocol::routes;

use crate::harness::Service;

/// The constants of the routes and the comment on each, which names its methods.
const SOURCE: &str = include_str!("../../../vault-protocol/src/routes.rs");
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// What the source of the routes says: path to methods.
pub(crate) fn routes_in_source() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut comment = String::new();
    for line in SOURCE.lines() {
        if let Some(more) = line.strip_prefix("/// ") {
            comment.push_str(more);
        } else if let Some((_, path)) = line.strip_prefix("pub const ").and_then(|line| line.split_once(": &str = ")) {
            let path = path.trim_matches(['"', ';']).to_owned();
            let named = METHODS.into_iter().filter(|method| comment.contains(&format!("`{}`", method.to_uppercase())));
            let methods: BTreeSet<String> = named.map(str::to_owned).collect();
            assert!(!methods.is_empty(), "the comment on {path} names no method");
            found.insert(path, methods);
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

fn document(service: &Service) -> Value {
    let answer = service.raw(Get, routes::OPENAPI, None, &Value::Null);
    assert_eq!(answer.status, 200);
    answer.body
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &'_ Value)| {
        (path.clone(), item.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
    };
    let all = paths.iter().map(methods);
    all.flat_map(|(path, methods)| methods.into_iter().map(move |method| (path.clone(), method)))
        .map(|(path, method)| (path.clone(), method.clone(), &paths[&path][&method]))
        .collect()
}

#[test]
fn every_route_is_described_with_its_methods_and_nothing_else_is() {
    let document = document(&Service::start());
    let mut described = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, method, _) in operations(&document) {
        described.entry(path).or_default().insert(method);
    }
    assert_eq!(described, routes_in_source());
    assert!(described.len() > 30);
}

#[test]
fn operations_have_names_of_their_own_and_say_what_they_are_for() {
    let document = document(&Service::start());
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(operation["summary"].as_str().unwrap().len() > 5, "{method} {path}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
            for code in problem["properties"]["code"]["enum"].as_array().into_iter().flatten() {
                let code = Code::parse(code.as_str().unwrap()).unwrap();
                assert_eq!(&code.status().to_string(), status, "{method} {path}: {}", code.code());
            }
        }
    }
    assert!(names.contains("post_v1_login_start"));
}

#[test]
fn the_caller_of_a_route_is_read_from_its_handler() {
    let document = document(&Service::start());
    let authority =
        |path: &str, method: &str| document["paths"][path][method]["x-authority"].as_str().unwrap().to_owned();
    assert_eq!(authority(routes::LOGIN_START, "post"), "nobody");
    assert_eq!(authority(routes::FACTORS, "get"), "any-session");
    assert_eq!(authority(routes::ACCOUNT, "get"), "session");
    assert_eq!(authority(routes::REVEAL, "post"), "session-and-grant");
    assert_eq!(authority(routes::RECORD, "put"), "signature");
    for (path, method, operation) in operations(&document) {
        let session =
            ["any-session", "session", "session-and-grant"].contains(&operation["x-authority"].as_str().unwrap());
        assert_eq!(!operation["security"].is_null(), session, "{method} {path}");
        assert_eq!(!operation["responses"]["401"].is_null(), session || !operation["responses"]["401"].is_null());
    }
}

#[test]
fn bytes_are_described_as_they_travel() {
    let document = document(&Service::start());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(schemas["Bytes32"]["maxLength"], 43);
    assert_eq!(schemas["Millis"]["format"], "int64");
    assert_eq!(schemas["RecordId"]["format"], "uuid");
    assert_eq!(schemas["Signed"]["additionalProperties"], false);
    let text = document.to_string();
    assert!(!text.contains("[`") && !text.contains("crate::"), "links to source items are left");
    // Nothing is named that is not there.
    for (at, _) in text.match_indices("#/components/schemas/") {
        let name = text[at + 21..].split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn another_implementation_finds_the_document_valid() {
    let Some(python) = testkit::judges_python("openapi_spec_validator") else { return };
    let service = Service::start();
    let file = service.folder.path().join("openapi.json");
    std::fs::write(&file, document(&service).to_string()).unwrap();
    let judge = |file: &std::path::Path| {
        let mut judge = std::process::Command::new(&python);
        judge.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file).output().unwrap()
    };
    let output = judge(&file);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let broken = document(&service).to_string().replace("\"responses\"", "\"answers\"");
    std::fs::write(&file, broken).unwrap();
    assert!(!judge(&file).status.success(), "the judge takes anything");
}
