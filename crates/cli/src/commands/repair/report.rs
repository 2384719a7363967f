//! What a rescue brought, for people and as JSON.

use std::ops::Range;

use fve::salvage::RescueMap;
use serde_json::{Value, json};

use super::open::{Opened, Way};
use crate::output;

/// Ranges that are listed for people, and in JSON. The map has all.
const SHOWN: usize = 20;
const IN_JSON: usize = 10_000;

/// What was not read, with the missing end of the volume.
pub(super) fn lost(map: &RescueMap, volume_bytes: u64) -> Vec<Range<u64>> {
    let mut lost = map.lost();
    if volume_bytes > map.length_bytes() {
        lost.push(map.length_bytes()..volume_bytes);
    }
    lost
}

pub(super) fn document(opened: &Opened, output: &str, map: &RescueMap, lost: &[Range<u64>], finished: bool) -> Value {
    let lost_bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
    let ranges: Vec<Value> = lost
        .iter()
        .take(IN_JSON)
        .map(|range| json!({ "offset_bytes": range.start, "bytes": range.end - range.start }))
        .collect();
    json!({
        "output": output,
        "bytes": map.length_bytes(),
        "finished": finished,
        "lost_bytes": lost_bytes,
        "lost": ranges,
        "lost_ranges": lost.len(),
        "volume": volume(&opened.way, opened.start_bytes, &opened.identifier),
    })
}

/// How a volume was found.
pub(super) fn volume(way: &Way, start_bytes: u64, identifier: &str) -> Value {
    let mut value = json!({ "identifier": identifier, "start_bytes": start_bytes });
    let mut put = |key: &str, found: Value| {
        if let Some(object) = value.as_object_mut() {
            object.insert(key.to_owned(), found);
        }
    };
    match way {
        Way::Header => put("found_by", json!("first sector")),
        Way::Search { copies, has_header } => {
            put("found_by", json!("search"));
            put("metadata_copies", json!(copies));
            put("first_sector_sound", json!(has_header));
        }
        Way::KeyPackage(told) => {
            put("found_by", json!("key package"));
            put("first_sectors_at", json!(told.first_sectors_at));
            put("file_system", json!(told.file_system.map(|found| found.name)));
        }
    }
    value
}

/// The ranges, one a line.
pub(super) fn list(lost: &[Range<u64>]) -> String {
    let line = |range: &Range<u64>| format!("  byte {}: {}\n", range.start, output::size(range.end - range.start));
    let mut text: String = lost.iter().take(SHOWN).map(line).collect();
    if lost.len() > SHOWN {
        text.push_str(&format!("  and {} more\n", lost.len() - SHOWN));
    }
    text
}
