//! Parts of a file that a request asks for, and whether it asks at all.

use std::time::SystemTime;

use export::Entry;
use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};

/// Tells one state of a file from another.
pub(crate) fn etag(entry: &Entry) -> String {
    let modified = entry.times.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |time| time.as_nanos());
    format!("\"{:x}-{:x}-{modified:x}\"", entry.identity, entry.size_bytes)
}

/// Whether the client has the file already.
pub(crate) fn is_known(headers: &HeaderMap, entry: &Entry) -> bool {
    if let Some(known) = text(headers, IF_NONE_MATCH) {
        let etag = etag(entry);
        return known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag);
    }
    let since = text(headers, IF_MODIFIED_SINCE).and_then(|since| httpdate::parse_http_date(since).ok());
    // Dates of HTTP have no fractions of seconds.
    since
        .zip(entry.times.modified)
        .is_some_and(|(since, modified)| modified.duration_since(since).map_or(true, |later| later.as_secs() == 0))
}

/// Whether the client wants the file only as it was once, and it is not that.
pub(crate) fn is_another(headers: &HeaderMap, entry: &Entry) -> bool {
    if headers.contains_key(IF_MATCH) {
        let etag = etag(entry);
        let wanted = text(headers, IF_MATCH).unwrap_or_default();
        return !wanted.split(',').map(str::trim).any(|wanted| wanted == "*" || wanted == etag);
    }
    let since = text(headers, IF_UNMODIFIED_SINCE).and_then(|since| httpdate::parse_http_date(since).ok());
    since
        .zip(entry.times.modified)
        .is_some_and(|(since, modified)| modified.duration_since(since).is_ok_and(|later| later.as_secs() > 0))
}

/// A time as HTTP writes it; `None` for those it has no room for: a damaged volume may have any.
pub(crate) fn http_date(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (seconds < YEAR_10000).then(|| httpdate::fmt_http_date(time))
}

/// In seconds from 1970.
pub(crate) const YEAR_10000: u64 = 253_402_300_800;

/// What of a file is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// From a byte, a number of bytes, all inside and at least one.
    Range(u64, u64),
    /// Nothing of it is inside.
    Outside,
}

/// The part a request asks for. Several parts at once, and what cannot be understood, give the whole.
pub(crate) fn part(headers: &HeaderMap, entry: &Entry) -> Part {
    let Some(range) = text(headers, RANGE).and_then(|range| range.strip_prefix("bytes=")) else { return Part::Whole };
    if let Some(only_if) = text(headers, IF_RANGE) {
        let date = entry.times.modified.and_then(http_date);
        if only_if != etag(entry) && Some(only_if) != date.as_deref() {
            return Part::Whole;
        }
    }
    let size = entry.size_bytes;
    let Some((first, last)) = range.trim().split_once('-') else { return Part::Whole };
    let span = match (number(first), number(last)) {
        (Some(first), Some(last)) if last < first => return Part::Whole,
        (Some(first), Some(last)) => (first, last.min(size.saturating_sub(1))),
        (Some(first), None) if last.is_empty() => (first, size.saturating_sub(1)),
        (None, Some(count)) if first.is_empty() && count > 0 => (size.saturating_sub(count), size.saturating_sub(1)),
        (None, Some(_)) if first.is_empty() => return Part::Outside,
        _ => return Part::Whole,
    };
    if span.0 >= size { Part::Outside } else { Part::Range(span.0, span.1 - span.0 + 1) }
}

fn number(text: &str) -> Option<u64> {
    // `parse` would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use export::EntryKind;

    use super::*;

    #[test]
    fn ranges() {
        let mut entry = Entry::new("a", EntryKind::File, 7);
        entry.size_bytes = 100;
        let asked = |range: &str, size: u64| {
            let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
            part(&headers, &Entry { size_bytes: size, ..entry.clone() })
        };
        for (range, expected) in [
            ("bytes=0-0", Part::Range(0, 1)),
            ("bytes=10-", Part::Range(10, 90)),
            ("bytes=-5", Part::Range(95, 5)),
            ("bytes=-500", Part::Range(0, 100)),
            ("bytes=90-1000", Part::Range(90, 10)),
            ("bytes=100-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=18446744073709551616-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=", Part::Whole),
        ] {
            assert_eq!(asked(range, 100), expected, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Part::Outside);
        let headers =
            HeaderMap::from_iter([(RANGE, "bytes=0-1".parse().unwrap()), (IF_RANGE, "\"x\"".parse().unwrap())]);
        assert_eq!(part(&headers, &entry), Part::Whole);
    }
}
