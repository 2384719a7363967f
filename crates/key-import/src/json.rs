//! JSON of `Get-BitLockerVolume` and of Microsoft Graph: bare objects, arrays, `value` objects, in any nesting.
//!
//! An object that holds a key holds it under `RecoveryPassword` or `key`; titles come from it or from the objects around it.

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::csv::volume_type;
use crate::pattern::passwords;
use crate::row::{KeyId, Place, Refusal, Row, VolumeType, title};
use crate::{Error, MAX_ROWS};

/// A document whose texts are wiped when it is dropped.
struct Document(Value);

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

/// Titles of the objects around a key.
#[derive(Clone, Default)]
struct Titles {
    computer: String,
    drive: String,
    label: String,
    method: String,
    volume_type: VolumeType,
}

pub(crate) fn read(text: &str) -> Result<Vec<Row>, Error> {
    let text = text.trim_start_matches('\u{FEFF}');
    let parsed = serde_json::from_str(text)
        .map_err(|error| Error::Json { line: error.line(), column: error.column() })
        .map(Document)?;
    let mut rows = Vec::new();
    walk(&parsed.0, &Titles::default(), &mut rows)?;
    Ok(rows)
}

/// Whether the document is of `Get-BitLockerVolume`, which names its protectors so.
pub(crate) fn is_of_volumes(text: &str) -> bool {
    text.contains("\"KeyProtector") || text.contains("\"RecoveryPassword\"")
}

/// The depth is bounded by the parser.
fn walk(value: &Value, around: &Titles, rows: &mut Vec<Row>) -> Result<(), Error> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, around, rows)),
        Value::Object(fields) => {
            let titles = titles(fields, around);
            if let Some(mut row) = row(fields, &titles) {
                row.place = Place::Entry(u64::try_from(rows.len() + 1).unwrap_or(u64::MAX));
                rows.push(row);
            }
            if rows.len() > MAX_ROWS {
                return Err(Error::TooManyRows);
            }
            fields.values().try_for_each(|field| walk(field, &titles, rows))?;
            if fields.contains_key("@odata.nextLink") {
                rows.push(Row::new(Place::Whole, Err(Refusal::MorePages)));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A text field, whatever the case of its name.
fn text<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    let named = |name: &&str| fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
    let text = names.iter().filter_map(named).find_map(|(_, value)| value.as_str());
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// A field that tools write as a number or as its name.
fn kind_of_volume(fields: &Map<String, Value>) -> Option<VolumeType> {
    let (_, value) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("volumeType"))?;
    // Of `Get-BitLockerVolume` 0 is the operating system's volume; of Graph 1 is.
    let is_graph = fields.contains_key("createdDateTime") || fields.contains_key("deviceId");
    Some(match (value.as_u64().or_else(|| value.as_str()?.parse().ok()), is_graph) {
        (Some(0), false) | (Some(1), true) => VolumeType::Os,
        (Some(2), true) => VolumeType::Fixed,
        (Some(3), true) => VolumeType::Removable,
        (Some(_), _) => VolumeType::Unknown,
        (None, _) => value.as_str().map(volume_type).unwrap_or_default(),
    })
}

fn titles(fields: &Map<String, Value>, around: &Titles) -> Titles {
    let or = |names: &[&str], outer: &String| text(fields, names).map_or_else(|| outer.clone(), title);
    Titles {
        computer: or(
            &["ComputerName", "PSComputerName", "deviceDisplayName", "deviceName", "deviceId"],
            &around.computer,
        ),
        drive: or(&["MountPoint", "DriveLetter"], &around.drive),
        label: or(&["VolumeLabel", "FileSystemLabel"], &around.label),
        method: or(&["EncryptionMethod"], &around.method),
        volume_type: kind_of_volume(fields).unwrap_or(around.volume_type),
    }
}

fn row(fields: &Map<String, Value>, titles: &Titles) -> Option<Row> {
    let password = text(fields, &["RecoveryPassword", "recoveryKey", "key"]);
    let id = text(fields, &["KeyProtectorId", "keyId", "id"]);
    let key = match password {
        Some(text) => Row::of_password(Place::Whole, parse(text)),
        // Graph lists keys without their `key` unless it is asked for; other protectors have none and are no keys.
        None if is_listed_without_key(fields) => Row::new(Place::Whole, Err(Refusal::NoKey)),
        None => return None,
    };
    let key_id = id.and_then(KeyId::parse);
    let key = if id.is_some() && key_id.is_none() { Err(Refusal::KeyId) } else { key.key };
    Some(Row {
        place: Place::Whole,
        key_id,
        key,
        computer: titles.computer.clone(),
        drive: titles.drive.clone(),
        label: titles.label.clone(),
        method: titles.method.clone(),
        volume_type: titles.volume_type,
        created: text(fields, &["createdDateTime", "created"]).map(title),
    })
}

fn is_listed_without_key(fields: &Map<String, Value>) -> bool {
    fields.contains_key("createdDateTime") && fields.contains_key("volumeType") && fields.contains_key("id")
}

fn parse(text: &str) -> Result<secret::RecoveryPassword, secret::RecoveryPasswordError> {
    match passwords(text).into_iter().next() {
        Some(sighting) => sighting.password,
        None => secret::RecoveryPassword::parse(text),
    }
}
