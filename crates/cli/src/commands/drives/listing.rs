//! The list: one line for each volume.

use block_io::BlockRead;
use fve::{ProtectorKind, VolumeState};
use serde_json::{Value, json};

use super::host::Candidate;
use crate::commands::files::shown;
use crate::commands::info::{key_id, state_name};
use crate::drive;
use crate::failure::Outcome;
use crate::output;

/// A volume that was found.
pub(super) struct Listed {
    /// How other commands name it.
    name: String,
    bytes: u64,
    /// What it is, or why that cannot be told.
    details: Result<Details, String>,
    /// Where it was found, for drives of this computer.
    device: Option<Candidate>,
}

struct Details {
    identifier: String,
    method: String,
    state: String,
    protection: &'static str,
    description: Option<String>,
    /// Kind and key ID of each protector.
    keys: Vec<(ProtectorKind, String)>,
}

/// A device that could not be looked at.
pub(super) struct Skipped {
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) no_rights: bool,
}

impl Listed {
    /// How other commands name it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Looks at what lies on `disk`; `None` where it is no BitLocker volume.
    pub(super) fn read(name: String, disk: &impl BlockRead) -> Option<Self> {
        let bytes = disk.geometry().length_bytes;
        let details = match super::open(disk)? {
            Err(failure) => Err(failure.error),
            Ok(volume) => {
                let kinds = drive::kinds(&volume);
                let protection = match volume.state().0 {
                    VolumeState::Decrypted => "off",
                    _ if kinds.contains(&ProtectorKind::ClearKey) => "suspended",
                    _ => "on",
                };
                let protectors = volume.protectors();
                Ok(Details {
                    identifier: volume.metadata().identifier.to_string(),
                    method: volume.metadata().method.to_string(),
                    state: state_name(&volume),
                    protection,
                    description: volume.description(),
                    keys: protectors.iter().map(|key| (key.kind(), key_id(key.identifier))).collect(),
                })
            }
        };
        Some(Self { name, bytes, details, device: None })
    }

    /// With the device it was found on.
    pub(super) fn on(mut self, device: &Candidate) -> Self {
        self.device = Some(device.clone());
        self
    }

    fn identifier(&self) -> Option<&str> {
        self.details.as_ref().ok().map(|details| details.identifier.as_str())
    }

    /// Whether `composed` shows the same volume again, put together from where this one was found.
    fn is_shown_by(&self, composed: &Self) -> bool {
        let (Some(own), Some(other)) = (&self.device, &composed.device) else { return false };
        other.is_composed
            && !own.is_composed
            && own.family == other.family
            && self.identifier().is_some_and(|identifier| Some(identifier) == composed.identifier())
    }

    fn document(&self) -> Value {
        let mut document = json!({ "drive": self.name, "bytes": self.bytes });
        match &self.details {
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
        if let Some(device) = &self.device {
            document["model"] = json!(device.model);
            document["removable"] = json!(device.removable);
        }
        document
    }

    fn cells(&self) -> [String; 7] {
        let (name, size) = (shown(&self.name), output::size(self.bytes));
        let device = self.device.as_ref().and_then(|device| device.model.as_deref()).map(shown);
        match &self.details {
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
}

/// Volumes that a composed device shows again are listed under that device only: it is what may be in use.
pub(super) fn list_once(listed: &mut Vec<Listed>) {
    let again: Vec<bool> = listed.iter().map(|found| listed.iter().any(|other| found.is_shown_by(other))).collect();
    let mut again = again.into_iter();
    listed.retain(|_| !again.next().unwrap_or(false));
}

/// Prints the list.
pub(super) fn report(listed: &[Listed], skipped: &[Skipped], none: &str, json: bool) -> Outcome {
    let document = json!({
        "drives": listed.iter().map(Listed::document).collect::<Vec<_>>(),
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
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(listed.iter().map(Listed::cells)).collect();
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
