//! Text in any language: an identifier, and 48 digits that belong to it.
//!
//! Saved files and the output of tools name the identifier first. Where the first key comes before the first identifier and
//! the last identifier behind the last key, it is the other way round. An identifier counts for one key only.

use std::collections::VecDeque;

use crate::pattern::{guids, passwords, short_ids};
use crate::row::{KeyId, Place, Row, VolumeType, title};
use crate::{Error, MAX_ROWS};

/// Lines between a key and an identifier behind it, at most.
const REACH_LINES: usize = 12;
/// Longest line that titles are taken from: around each key lines are read again.
const TITLE_LINE_BYTES: usize = 2048;

/// Something in the text that has a meaning.
enum Sign {
    Id(KeyId),
    Key(Box<Row>),
}

struct Seen {
    line: usize,
    at: usize,
    sign: Sign,
}

pub(crate) fn read(text: &str, is_page: bool) -> Result<Vec<Row>, Error> {
    let lines: Vec<&str> = text.lines().collect();
    let has_whole = lines.iter().any(|line| !guids(line).is_empty());
    let seen = signs(&lines, has_whole)?;
    let mut rows = pair(seen);
    for (row, id_line) in &mut rows {
        let Place::Line(number) = row.place else { continue };
        let key_line = usize::try_from(number).unwrap_or(1).saturating_sub(1);
        if is_page || !has_whole {
            titles_of_page(row, &lines, *id_line, key_line);
        } else {
            titles_of_tool(row, &lines, key_line);
        }
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

/// Everything that has a meaning, in the order of the text.
fn signs(lines: &[&str], has_whole: bool) -> Result<Vec<Seen>, Error> {
    let (mut all, mut keys) = (Vec::new(), 0);
    for (line, text) in lines.iter().enumerate() {
        let mut here: Vec<Seen> = Vec::new();
        let sightings = passwords(text);
        // Eight digits inside a key without hyphens are no identifier.
        let outside = |at: usize| {
            let next = sightings.partition_point(|sighting| sighting.end <= at);
            sightings.get(next).is_none_or(|sighting| at < sighting.at)
        };
        if has_whole {
            let ids = guids(text).into_iter().filter(|(at, _)| outside(*at));
            here.extend(ids.map(|(at, guid)| Seen { line, at, sign: Sign::Id(guid.into()) }));
        } else {
            let ids = short_ids(text).into_iter().filter(|(at, _)| outside(*at));
            here.extend(ids.filter_map(|(at, id)| Some(Seen { line, at, sign: Sign::Id(KeyId::parse(id)?) })));
        }
        for sighting in sightings {
            keys += 1;
            let place = Place::Line(u64::try_from(line + 1).unwrap_or(u64::MAX));
            let row = Box::new(Row::of_password(place, sighting.password));
            here.push(Seen { line, at: sighting.at, sign: Sign::Key(row) });
        }
        if keys > MAX_ROWS {
            return Err(Error::TooManyRows);
        }
        here.sort_by_key(|seen| seen.at);
        all.extend(here);
    }
    Ok(all)
}

/// Keys with their identifiers, and the lines of those.
fn pair(seen: Vec<Seen>) -> Vec<(Row, Option<usize>)> {
    let is_key = |seen: &Seen| matches!(seen.sign, Sign::Key(_));
    let key_first = seen.first().is_some_and(is_key) && seen.last().is_some_and(|seen| !is_key(seen));
    let mut rows = Vec::new();
    let mut waiting: Option<(KeyId, usize)> = None;
    let mut rest: VecDeque<Seen> = seen.into();
    while let Some(seen) = rest.pop_front() {
        match seen.sign {
            Sign::Id(id) => waiting = Some((id, seen.line)),
            Sign::Key(mut row) => {
                let found = if key_first { behind(&mut rest, seen.line) } else { waiting.take() };
                let (id, line) = found.unzip();
                row.key_id = id;
                rows.push((*row, line));
            }
        }
    }
    rows
}

/// The identifier that follows directly.
fn behind(rest: &mut VecDeque<Seen>, line: usize) -> Option<(KeyId, usize)> {
    let near = rest.front().is_some_and(|next| next.line - line <= REACH_LINES);
    match rest.pop_front()? {
        Seen { sign: Sign::Id(id), line, .. } if near => Some((id, line)),
        other => {
            rest.push_front(other);
            None
        }
    }
}

/// `Volume C: [Windows]` in whatever language: the nearest line above that has a letter, a colon and a label in brackets.
fn titles_of_tool(row: &mut Row, lines: &[&str], key_line: usize) {
    const ABOVE_LINES: usize = 200;
    let above = lines.get(key_line.saturating_sub(ABOVE_LINES)..=key_line).unwrap_or_default();
    let short = above.iter().rev().filter(|line| line.len() <= TITLE_LINE_BYTES);
    if let Some((drive, label)) = short.filter_map(|line| drive_and_label(line)).next() {
        row.drive = drive;
        row.label = title(label);
    }
}

fn drive_and_label(line: &str) -> Option<(String, &str)> {
    let (before, behind) = line.split_once(": [").or_else(|| line.split_once(":["))?;
    let letter = before.chars().next_back().filter(char::is_ascii_uppercase)?;
    let alone = before.chars().rev().nth(1).is_none_or(|found| !found.is_ascii_alphanumeric());
    let label = behind.split_once(']')?.0;
    alone.then(|| (format!("{letter}:"), label))
}

/// A page lists device name, key ID, key, kind of drive, date: cells of a row, or lines.
fn titles_of_page(row: &mut Row, lines: &[&str], id_line: Option<usize>, key_line: usize) {
    const AROUND_LINES: usize = 8;
    let Some(id_line) = id_line else { return };
    let Some(id) = row.key_id.clone() else { return };
    let first = id_line.min(key_line).saturating_sub(AROUND_LINES);
    let id_text = lines.get(id_line).copied().filter(|line| line.len() <= TITLE_LINE_BYTES).unwrap_or_default();
    let start = id.start().as_bytes();
    let id_at = id_text.as_bytes().windows(start.len()).position(|found| found.eq_ignore_ascii_case(start));
    let left = id_at.and_then(|at| id_text.get(..at)).unwrap_or_default();
    // Of the cell with the identifier itself only its name stands to the left: `Key ID: `.
    let left = left.trim_end_matches(['{', '(']);
    let mut before = cells(lines.get(first..id_line).unwrap_or_default());
    let mut here = cells(&[left]);
    if here.last().is_some_and(|_| left.trim_end().ends_with(':')) {
        here.pop();
    }
    before.extend(here);
    row.computer = before.last().map(|cell| title(value(cell))).unwrap_or_default();
    let end = lines.len().min(key_line + AROUND_LINES);
    let behind = cells(lines.get(key_line..end).unwrap_or_default());
    let is_key = |cell: &str| !passwords(cell).is_empty();
    let key_cell = behind.iter().position(|cell| is_key(cell)).map_or(0, |index| index + 1);
    let next = |cell: &&&str| !is_key(cell) && short_ids(cell).is_empty() && guids(cell).is_empty();
    for cell in behind.iter().skip(key_cell).take_while(next) {
        match value(cell) {
            "OSV" => row.volume_type = VolumeType::Os,
            "FDV" => row.volume_type = VolumeType::Fixed,
            "RDV" => row.volume_type = VolumeType::Removable,
            text if is_date(text) && row.created.is_none() => row.created = Some(title(text)),
            _ => {}
        }
    }
}

/// Cells of lines, without copies: one of them holds the key.
fn cells<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let short = lines.iter().filter(|line| line.len() <= TITLE_LINE_BYTES);
    let cells = short.flat_map(|line| line.split('\t')).flat_map(|cell| cell.split("  "));
    cells.map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// What stands behind a name and a colon, or all of it.
fn value(cell: &str) -> &str {
    cell.split_once(": ").or_else(|| cell.split_once('\u{FF1A}')).map_or(cell, |(_, value)| value.trim())
}

fn is_date(text: &str) -> bool {
    let day = text.split_whitespace().next().unwrap_or_default().trim_end_matches(',');
    let parts: Vec<&str> = day.split(['/', '.', '-']).collect();
    parts.len() == 3
        && parts.iter().all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}
