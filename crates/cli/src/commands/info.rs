//! `keyhaven info`: what can be known without a key.

use std::fmt::Write;
use std::path::Path;

use clap::Args;
use drive_ops::info::{backup, can_be_used, explanation, is_supported, layout_name};
pub(crate) use drive_ops::info::{key_id, name, state_name};
use fve::{KeyProtector, VolumeLayout};
use serde_json::json;

use super::convert;
use super::files::shown;
use crate::drive::{self, DriveArgs, Locked};
use crate::failure::Outcome;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven info usb-stick.img")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    drive: DriveArgs,
}

pub(crate) fn run(arguments: &InfoArgs, json: bool) -> Outcome {
    let path = &arguments.drive.drive;
    let volume = drive::open(path)?;
    output::report(json, &document(path, &volume), &text(path, &volume))
}

fn document(path: &Path, volume: &Locked) -> serde_json::Value {
    let metadata = volume.metadata();
    json!({
        "drive": path.display().to_string(),
        "layout": layout_name(volume.header().layout),
        "method": metadata.method.to_string(),
        "method_supported": is_supported(metadata.method),
        "state": state_name(volume),
        "state_now": volume.state().0.value(),
        "state_next": volume.state().1.value(),
        "encrypt_on_write": volume.header().encrypt_on_write.is_some(),
        "volume_identifier": metadata.identifier.to_string(),
        "description": volume.description(),
        "created": metadata.created.to_string(),
        "volume_bytes": volume.volume_bytes(),
        "storage_bytes": volume.storage_bytes(),
        "encrypted_bytes": volume.encrypted_bytes(),
        "sector_bytes": volume.sector_bytes(),
        "copy_in_use": volume.copy_in_use() + 1,
        "metadata_copies": volume.copies().iter().map(|copy| json!({
            "offset_bytes": copy.offset_bytes,
            "usable": copy.health.is_usable(),
            "health": copy.health.to_string(),
        })).collect::<Vec<_>>(),
        "decrypted": volume.is_decrypted(),
        "unlocks_other_drives": volume.unlocks_other_drives(),
        "in_place_conversion": volume.in_place_conversion().map(|conversion| convert::document(&conversion)),
        "conversion_problem": volume.conversion_problem(),
        "protectors": volume.protectors().iter().map(protector_document).collect::<Vec<_>>(),
        "unreadable_protectors": volume.unreadable_protectors().iter()
            .map(|identifier| identifier.map(|identifier| identifier.to_string())).collect::<Vec<_>>(),
    })
}

pub(crate) fn protector_document(protector: &KeyProtector) -> serde_json::Value {
    json!({
        "kind": protector.kind().to_string(),
        "supported": can_be_used(protector.kind()),
        "identifier": protector.identifier.to_string(),
        "key_id": key_id(protector.identifier),
        "name": name(protector),
        "explanation": explanation(protector),
        "modified": protector.modified.to_string(),
        "backed_up": backup(protector).map(|backup| json!({
            "at": backup.backed_up.to_string(), "method": backup.method,
        })),
    })
}

fn text(path: &Path, volume: &Locked) -> String {
    let metadata = volume.metadata();
    let mut out = format!("{}: BitLocker volume\n", path.display());
    let mut line = |label: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {label:<13} {value}");
    };
    let unsupported =
        if is_supported(metadata.method) { "" } else { "; not supported, the drive cannot be opened here" };
    line("method", format!("{}{unsupported}", metadata.method));
    line("state", state_name(volume));
    if let Some(conversion) = volume.in_place_conversion() {
        line("to go on", convert::advice(&path.display().to_string(), &conversion));
    }
    line("layout", layout_name(volume.header().layout).to_owned());
    line(
        "size",
        format!(
            "{} ({} bytes), sectors of {} bytes",
            output::size(volume.volume_bytes()),
            volume.volume_bytes(),
            volume.sector_bytes()
        ),
    );
    if volume.storage_bytes() < volume.volume_bytes() {
        line("incomplete", format!("only {} bytes of it are there", volume.storage_bytes()));
    }
    match volume.encrypted_bytes() {
        // Vista does not write it down.
        _ if volume.header().layout == VolumeLayout::Vista => {}
        _ if volume.in_place_conversion().is_some() => {}
        _ if volume.is_decrypted() => line("encrypted", "nothing; the data needs no key".to_owned()),
        encrypted if encrypted != volume.volume_bytes() => line("encrypted", format!("the first {encrypted} bytes")),
        _ => {}
    }
    if volume.storage_bytes() > volume.volume_bytes() {
        let behind = volume.storage_bytes() - volume.volume_bytes();
        line("behind it", format!("{behind} bytes that do not belong to the volume"));
    }
    if let Some(problem) = volume.conversion_problem() {
        line("not readable", format!("what is encrypted cannot be told apart: {problem}"));
    }
    if let Some(lost) = volume.interrupted_range() {
        line(
            "interrupted",
            format!("{} bytes from byte {} on were being rewritten", lost.end - lost.start, lost.start),
        );
    }
    line("identifier", format!("{{{}}}", metadata.identifier));
    line("created", metadata.created.to_string());
    if let Some(description) = volume.description() {
        line("description", shown(&description));
    }
    for (index, copy) in volume.copies().iter().enumerate() {
        let place = copy.offset_bytes.map(|offset| format!("at byte {offset}: ")).unwrap_or_default();
        let used = if index == volume.copy_in_use() { ", in use" } else { "" };
        line(&format!("metadata {}", index + 1), format!("{place}{}{used}", copy.health));
    }
    if volume.unlocks_other_drives() {
        out.push_str("  a system drive: it also keeps the key with which its PC unlocks other drives by itself\n");
    }
    out.push_str("\nKey protectors\n");
    for protector in volume.protectors() {
        out.push_str(&protector_line(&protector));
    }
    for identifier in volume.unreadable_protectors() {
        let name =
            identifier.map_or_else(|| "without an identifier".to_owned(), |identifier| format!("{{{identifier}}}"));
        let _ = writeln!(out, "  one that cannot be read    {name}\n    it is left as it is");
    }
    out
}

pub(crate) fn protector_line(protector: &KeyProtector) -> String {
    let mut line = format!(
        "  {:<25} key ID {}  {{{}}}  {}",
        protector.kind().to_string(),
        key_id(protector.identifier),
        protector.identifier,
        protector.modified
    );
    if let Some(name) = name(protector) {
        let _ = write!(line, "  \"{}\"", shown(&name));
    }
    if let Some(explained) = explanation(protector) {
        line.push_str("\n    ");
        line.push_str(explained);
    }
    line.push('\n');
    line
}
