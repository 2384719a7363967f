//! Descriptions come from doc comments; what means something only to readers of the source is taken out of them.

use serde_json::Value;

/// Types that are numbers, by the names they have in the source, and the names they get.
const NUMBERS: [(&str, &str, &str); 1] = [("i64", "Millis", "Milliseconds since 1970-01-01 UTC.")];

/// Names numbers by their meaning and takes links to source items out of all descriptions.
pub(super) fn clean(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (number, name, description) in NUMBERS {
            if let Some(mut schema) = schemas.remove(number) {
                schema["description"] = description.into();
                schemas.insert(name.to_owned(), schema);
            }
        }
    }
    walk(document);
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = without_links(text),
                    Value::String(text) if name == "$ref" => rename(text),
                    other => walk(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        _ => {}
    }
}

fn rename(reference: &mut String) {
    for (number, name, _) in NUMBERS {
        if reference.strip_prefix("#/components/schemas/") == Some(number) {
            *reference = format!("#/components/schemas/{name}");
        }
    }
}

/// ``[`crate::a::B`](c)`` becomes `` `B` ``.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((item, after)) = link.split_once("`]") else { break };
        let name = item.rsplit("::").next().unwrap_or(item);
        out.push_str(before);
        out.push_str(&format!("`{name}`"));
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_source_items_become_names() {
        assert_eq!(without_links("At most [`crate::limits::MAX_EXPORT`]."), "At most `MAX_EXPORT`.");
        assert_eq!(
            without_links("Target: [`export_target`](super::export_target) of them."),
            "Target: `export_target` of them."
        );
        assert_eq!(without_links("[`A`] and [`B`] (both)"), "`A` and `B` (both)");
        assert_eq!(without_links("nothing [here"), "nothing [here");
    }

    #[test]
    fn numbers_are_named_by_their_meaning() {
        let mut document = serde_json::json!({
            "components": { "schemas": { "i64": { "type": "integer" }, "A": { "$ref": "#/components/schemas/i64" } } }
        });
        clean(&mut document);
        assert_eq!(document["components"]["schemas"]["A"]["$ref"], "#/components/schemas/Millis");
        assert_eq!(document["components"]["schemas"]["Millis"]["type"], "integer");
        assert!(document["components"]["schemas"]["i64"].is_null());
    }
}
