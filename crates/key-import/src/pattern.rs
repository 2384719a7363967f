//! What recovery passwords and identifiers look like in a line of text.

use fve_format::Guid;
use secret::{RecoveryPassword, RecoveryPasswordError};

const GROUPS: usize = 8;
const GROUP_DIGITS: usize = 6;
/// Digits that are taken for a damaged recovery password, not for some other number.
const NEAR_DIGITS: std::ops::RangeInclusive<usize> = 42..=54;

/// Something that is a recovery password or was meant to be one.
pub(crate) struct Sighting {
    /// Byte at which it begins.
    pub(crate) at: usize,
    /// Byte behind it.
    pub(crate) end: usize,
    pub(crate) password: Result<RecoveryPassword, RecoveryPasswordError>,
}

/// A run of letters and digits.
#[derive(Clone, Copy)]
struct Group {
    at: usize,
    end: usize,
    digits: usize,
    /// How it is joined to the group before it; `None` when it is not.
    joint: Option<char>,
}

impl Group {
    fn chars(&self) -> usize {
        self.end - self.at
    }
}

/// All recovery passwords of a line, and everything that comes near to one.
pub(crate) fn passwords(line: &str) -> Vec<Sighting> {
    if line.bytes().filter(u8::is_ascii_digit).count() < *NEAR_DIGITS.start() - 4 {
        return Vec::new();
    }
    let groups = groups(line);
    let (mut found, mut chain) = (Vec::new(), 0);
    // Chains: groups joined by the same sign.
    while chain < groups.len() {
        let sign = groups.get(chain + 1).and_then(|next| next.joint);
        let rest = groups.get(chain + 1..).unwrap_or_default();
        let more = rest.iter().take_while(|group| group.joint.is_some() && group.joint == sign).count();
        if let Some(groups) = groups.get(chain..=chain + more) {
            in_chain(line, groups, &mut found);
        }
        // The last group of a chain begins the next one.
        chain += more.max(1);
    }
    found
}

/// The right ones first; what is left is judged as a whole.
fn in_chain(line: &str, groups: &[Group], found: &mut Vec<Sighting>) {
    let before = found.len();
    let mut at = 0;
    while let Some(window) = groups.get(at..at + GROUPS) {
        let fits = window.iter().all(|group| group.digits == GROUP_DIGITS && group.chars() == GROUP_DIGITS);
        let sighting = fits.then(|| sight(line, window)).flatten().filter(|sighting| sighting.password.is_ok());
        at += if sighting.is_some() { GROUPS } else { 1 };
        found.extend(sighting);
    }
    if found.len() > before {
        return;
    }
    let has_digits = |group: &Group| group.digits * 2 > group.chars();
    let first = groups.iter().position(has_digits).unwrap_or(groups.len());
    let last = groups.iter().rposition(has_digits).map_or(first, |index| index + 1);
    let near = groups.get(first..last).unwrap_or_default();
    let digits: usize = near.iter().map(|group| group.digits).sum();
    let alike = near.iter().all(|group| group.chars() >= 4) && near.len() <= GROUPS + 1;
    if NEAR_DIGITS.contains(&digits) && alike {
        // A group at the seam of two chains is seen in both.
        let seen = found.last().map_or(0, |sighting| sighting.end);
        found.extend(sight(line, near).filter(|sighting| sighting.at >= seen));
    }
}

fn sight(line: &str, groups: &[Group]) -> Option<Sighting> {
    let (at, end) = (groups.first()?.at, groups.last()?.end);
    Some(Sighting { at, end, password: RecoveryPassword::parse(line.get(at..end)?) })
}

fn groups(line: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open: Option<Group> = None;
    let (mut gap, mut gap_chars) = (None, 0_usize);
    for (at, found) in line.char_indices() {
        if found.is_ascii_alphanumeric() {
            let joint = if gap_chars == 1 { gap } else { None };
            let group = open.get_or_insert(Group { at, end: at, digits: 0, joint });
            group.end = at + 1;
            group.digits += usize::from(found.is_ascii_digit());
            continue;
        }
        if let Some(group) = open.take() {
            groups.push(group);
            gap_chars = 0;
        }
        gap_chars += 1;
        gap = joint(found);
    }
    groups.extend(open);
    groups
}

/// What may stand between two groups; dashes of every kind count as one.
fn joint(found: char) -> Option<char> {
    match found {
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FF0D}' => Some('-'),
        ' ' | '\u{A0}' => Some(' '),
        '.' | '_' => Some(found),
        _ => None,
    }
}

/// All whole identifiers of a line, with their places.
pub(crate) fn guids(line: &str) -> Vec<(usize, Guid)> {
    const CHARS: usize = 36;
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at + CHARS <= bytes.len() {
        let alone = |index: Option<usize>| {
            index.and_then(|index| bytes.get(index)).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
        };
        let shape = bytes.get(at + 8) == Some(&b'-') && bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let guid = (shape && alone(at.checked_sub(1)) && alone(Some(at + CHARS)))
            .then(|| line.get(at..at + CHARS).and_then(|text| text.parse::<Guid>().ok()))
            .flatten();
        if let Some(guid) = guid {
            found.push((at, guid));
            at += CHARS;
        } else {
            at += 1;
        }
    }
    found
}

/// Words of exactly eight hexadecimal characters, as a page shows the start of an identifier. Eight digits could be a date:
/// they count where the line says `ID`, or holds nothing else.
pub(crate) fn short_ids(line: &str) -> Vec<(usize, &str)> {
    let named = line.split(|found: char| !found.is_alphanumeric()).any(|word| word.eq_ignore_ascii_case("id"));
    let words = groups(line);
    let alone = |index: usize, word: &Group| {
        word.joint != Some('-') && words.get(index + 1).is_none_or(|next| next.joint != Some('-'))
    };
    let text = |word: &Group| line.get(word.at..word.end).map(|text| (word.at, text));
    let fits = |(index, word): &(usize, &Group)| word.chars() == 8 && alone(*index, word);
    let hex = |(_, text): &(usize, &str)| {
        text.bytes().all(|byte| byte.is_ascii_hexdigit())
            && (named || line.trim() == *text || text.bytes().any(|byte| byte.is_ascii_alphabetic()))
    };
    words.iter().enumerate().filter(fits).filter_map(|(_, word)| text(word)).filter(hex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "235818-357951-253979-013365-241120-245575-342914-591910";
    const GUID: &str = "5F2B0A11-0000-4000-8000-00000000A001";

    fn results(line: &str) -> Vec<Result<(), RecoveryPasswordError>> {
        passwords(line).into_iter().map(|sighting| sighting.password.map(drop)).collect()
    }

    #[test]
    fn right_ones_are_found_whatever_stands_around() {
        let other = RecoveryPassword::from_key(&[7; 16]).to_text();
        for line in [
            TEXT.to_owned(),
            TEXT.replace('-', " "),
            TEXT.replace('-', "\u{2013}"),
            TEXT.replace('-', ""),
            format!("RecoveryPassword:{TEXT}."),
            format!("Key-{TEXT}"),
            format!("123456 {TEXT} 123456"),
            format!("{GUID},\"{TEXT}\",2026-11-25 10:22:33"),
            format!("123456 {}", TEXT.replace('-', " ")),
        ] {
            assert_eq!(results(&line), [Ok(())], "{line}");
        }
        assert_eq!(results(&format!("{TEXT};{}", other.expose())), [Ok(()), Ok(())]);
        assert_eq!(results(&format!("{TEXT}-{}", other.expose())), [Ok(()), Ok(())]);
    }

    #[test]
    fn near_ones_are_told_with_their_group() {
        let check = |line: String, expected| assert_eq!(results(&line), [Err(expected)], "{line}");
        check(TEXT.replace("013365", "013364"), RecoveryPasswordError::CheckDigit { group: 4 });
        check(
            format!("Key: {}", TEXT.replace("013365", "01336")),
            RecoveryPasswordError::GroupLength { group: 4, found: 5 },
        );
        check(TEXT.replace("357951", "35795O"), RecoveryPasswordError::NotADigit { group: 2 });
        check(TEXT[..48].to_owned(), RecoveryPasswordError::Length { found: 42 });
        check(TEXT.replace('-', "")[..47].to_owned(), RecoveryPasswordError::Length { found: 47 });
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for line in [
            "",
            "Copyright (C) 2013 Microsoft Corporation. All rights reserved.",
            "12345678-1234-1234-1234-123456789012 12345678-1234-1234-1234-123456789012",
            "0 7 11",
            "11111111111111111111111111111111111111111111111111111111111111111111",
        ] {
            assert_eq!(results(line), [], "{line}");
        }
    }

    #[test]
    fn identifiers() {
        let texts = |line: &str| guids(line).iter().map(|(_, guid)| guid.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&format!("ID: {{{}}}", GUID.to_lowercase())), [GUID]);
        assert_eq!(texts(&format!("回復キー {GUID}.TXT {GUID}")), [GUID, GUID]);
        assert_eq!(texts(&format!("A{GUID} {GUID}1")), [""; 0]);
        assert_eq!(short_ids("LAPTOP\t5F2B0A11\t20260131"), [(7, "5F2B0A11")]);
        assert_eq!(short_ids("Key ID: 12345678"), [(8, "12345678")]);
        assert_eq!(short_ids(" 12345678 "), [(1, "12345678")]);
        assert_eq!(short_ids(GUID), []);
    }
}
