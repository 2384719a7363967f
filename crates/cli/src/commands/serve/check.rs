//! `keyhaven serve --check`: what is in force, and from where. Tells no secret.

use serde_json::{Value, json};
use vault_server::{DatabaseUrl, inspect};

use super::file::{ACTIONS, Resolved, Source, serve_command};
use super::{ServeArgs, explain};
use crate::failure::Outcome;
use crate::output;

pub(super) fn run(resolved: &Resolved, json: bool) -> Outcome {
    let mut rows = Vec::new();
    let mut text = String::new();
    for argument in serve_command().get_arguments() {
        let (id, Some(key)) = (argument.get_id().as_str(), argument.get_long()) else { continue };
        if ACTIONS.contains(&id) {
            continue;
        }
        let value = shown(key, &resolved.values(id));
        let source = resolved.source(id, key);
        let told = match source {
            Source::Flag => "flag".to_owned(),
            Source::Environment => "environment".to_owned(),
            Source::File(line) => format!("file, line {line}"),
            Source::Default => "default".to_owned(),
        };
        text.push_str(&format!("{key:<32} {:<40} {told}\n", value.as_deref().unwrap_or("-")));
        rows.push(row(key, value, source));
    }
    let ServeArgs { place, service, .. } = &resolved.arguments;
    inspect(&service.config(place)?).map_err(|error| explain(&error))?;
    text.push_str(
        "\nNothing was changed. The keys and the certificate can be used; the first start makes what is missing.\n",
    );
    output::report(json, &json!({ "settings": rows }), &text)
}

fn row(key: &str, value: Option<String>, source: Source) -> Value {
    let (source, line) = match source {
        Source::Flag => ("flag", None),
        Source::Environment => ("environment", None),
        Source::File(line) => ("file", Some(line)),
        Source::Default => ("default", None),
    };
    json!({ "key": key, "value": value, "source": source, "line": line })
}

/// A value without the secrets that may stand in it.
fn shown(key: &str, values: &[String]) -> Option<String> {
    let all = values.join(", ");
    match key {
        _ if values.is_empty() => None,
        "database" | "purge-database" => DatabaseUrl::new(all).map(|url| url.to_string()),
        // What follows may be a token.
        "key-command" => all.split_whitespace().next().map(|program| format!("{program} ...")),
        _ => Some(all),
    }
}
