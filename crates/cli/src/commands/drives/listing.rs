//! The list: one line for each volume.

use drive_ops::drives::{Listed, Skipped};
use fve::ProtectorKind;
use serde_json::{Value, json};

use crate::commands::files::shown;
use crate::failure::Outcome;
use crate::output;

fn document(listed: &Listed) -> Value {
    let mut document = json!({ "drive": listed.name, "bytes": listed.bytes });
    match &listed.details {
        Err(reason) => document["damaged"] = json!(reason),
        Ok(details) => {
            document["volume_identifier"] = json!(details.identifier);
            document["method"] = json!(details.method);
            document["state"] = json!(details.state);
            document["protection"] = json!(details.protection);
            document["description"] = json!(details.description);
            let key = |(kind, id): &(ProtectorKind, String)| json!({ "kind": kind.to_string(), "key_id": id });
            document["protectors"] = details.keys.iter().map(key).collect();
        }
    }
    if let Some(device) = &listed.device {
        document["model"] = json!(device.model);
        document["removable"] = json!(device.removable);
    }
    document
}

fn cells(listed: &Listed) -> [String; 7] {
    let (name, size) = (shown(&listed.name), output::size(listed.bytes));
    let device = listed.device.as_ref().and_then(|device| device.model.as_deref()).map(shown);
    match &listed.details {
        Err(reason) => [name, size, "?".into(), "damaged".into(), "?".into(), "?".into(), reason.clone()],
        Ok(details) => {
            let ids = |wanted: fn(ProtectorKind) -> bool| -> Vec<&str> {
                let keys = details.keys.iter().filter(|(kind, _)| wanted(*kind));
                keys.map(|(_, id)| id.as_str()).collect()
            };
            // The ID that a locked PC shows is that of the recovery key; without one, any may help.
            let recovery = ids(|kind| kind == ProtectorKind::RecoveryPassword);
            let keys = if recovery.is_empty() { ids(|_| true) } else { recovery };
            let about = details.description.as_deref().map(shown).into_iter().chain(device).collect::<Vec<_>>();
            // The last word of a state is about protection, which has a column of its own.
            let state = details.state.trim_end_matches(", protection suspended").to_owned();
            let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(" ") };
            [name, size, details.method.clone(), state, details.protection.into(), keys, about.join("; ")]
        }
    }
}

/// Prints the list.
pub(super) fn report(listed: &[Listed], skipped: &[Skipped], none: &str, json: bool) -> Outcome {
    let document = json!({
        "drives": listed.iter().map(document).collect::<Vec<_>>(),
        "not_opened": skipped.iter().map(|device| json!({ "device": device.name, "reason": device.reason }))
            .collect::<Vec<_>>(),
    });
    let text = if listed.is_empty() { none.to_owned() } else { table(listed) };
    output::report(json, &document, &text)
}

/// The devices that could not be looked at, told once.
pub(super) fn tell_skipped(skipped: &[Skipped]) {
    let (no_rights, others): (Vec<_>, Vec<_>) = skipped.iter().partition(|device| device.no_rights);
    for device in others {
        output::note(&format!("warning: {} cannot be read: {}", device.name, device.reason));
    }
    if !no_rights.is_empty() {
        let names: Vec<&str> = no_rights.iter().map(|device| device.name.as_str()).collect();
        output::note(&format!("not looked at, for lack of rights: {}", names.join(", ")));
        output::note("hint: run it as root, or join the group that devices belong to (often `disk`)");
    }
}

fn table(listed: &[Listed]) -> String {
    let head = ["DRIVE", "SIZE", "METHOD", "STATE", "PROTECTION", "KEY IDS", "DESCRIPTION"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(listed.iter().map(cells)).collect();
    let widths = [0, 1, 2, 3, 4, 5].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 7]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.push_str(&row[6]);
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}
