//! `PROPFIND`: what is there.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use export::{Entry, EntryKind, Space, Tree, child, escape as shown};
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use tokio::sync::mpsc::{self, Sender};

use crate::headers::{YEAR_10000, etag, http_date};
use crate::limits;
use crate::path;
use crate::respond::{self, Body};
use crate::service::failed;
use crate::xml::{self, DAV, Name, Wish};

const XML: &str = "application/xml; charset=utf-8";
const OPEN: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">";
const CLOSE: &str = "</D:multistatus>\n";
/// Part of an answer that is sent at once.
const PART_BYTES: usize = 64 * 1024;
/// The properties that an entry may have.
const PROPERTIES: [&str; 11] = [
    "resourcetype",
    "displayname",
    "getcontentlength",
    "getcontenttype",
    "getlastmodified",
    "creationdate",
    "getetag",
    "supportedlock",
    "lockdiscovery",
    "quota-used-bytes",
    "quota-available-bytes",
];

/// The answer to a depth that is not answered: whole trees take too long and nobody needs them.
pub(crate) fn too_deep() -> Response<Body> {
    let body =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>\n";
    respond::text(StatusCode::FORBIDDEN, XML, body)
}

/// Properties of an entry and, with `children`, of everything in it. Called where blocking is allowed.
pub(crate) fn find(tree: &Arc<dyn Tree>, path: &str, children: bool, wish: Wish) -> Response<Body> {
    let entry = match tree.stat(path) {
        Ok(entry) if is_shown(&entry) => entry,
        Ok(_) => return respond::words(StatusCode::NOT_FOUND, "There is no such file.\n"),
        Err(error) => return failed(&error),
    };
    let entries = match children && entry.kind == EntryKind::Directory {
        false => Vec::new(),
        true => match tree.list(path) {
            Ok(entries) => entries,
            Err(error) => return failed(&error),
        },
    };
    let (sender, parts) = mpsc::channel(limits::PIECES);
    let listing = Listing { path: path.to_owned(), space: tree.space(), wish };
    tokio::task::spawn_blocking(move || {
        // A client that does not listen any more is told nothing more.
        let _ = listing.send(&entry, &entries, &sender);
    });
    let mut response = respond::text(StatusCode::MULTI_STATUS, XML, "");
    *response.body_mut() = respond::streamed(parts);
    response
}

fn is_shown(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File | EntryKind::Directory)
}

struct Listing {
    path: String,
    space: Space,
    wish: Wish,
}

impl Listing {
    fn send(&self, entry: &Entry, entries: &[Entry], sender: &Sender<io::Result<Bytes>>) -> Result<(), Gone> {
        let mut out = OPEN.to_owned();
        self.entry(&self.path, entry, &mut out);
        for entry in entries.iter().filter(|entry| is_shown(entry)) {
            self.entry(&child(&self.path, &shown(&entry.name)), entry, &mut out);
            if out.len() > PART_BYTES {
                sender.blocking_send(Ok(std::mem::take(&mut out).into())).map_err(|_| Gone)?;
            }
        }
        out.push_str(CLOSE);
        sender.blocking_send(Ok(out.into())).map_err(|_| Gone)
    }

    /// One `response` element.
    fn entry(&self, path: &str, entry: &Entry, out: &mut String) {
        out.push_str("<D:response><D:href>");
        out.push_str(&path::encode(path, entry.kind == EntryKind::Directory));
        out.push_str("</D:href>");
        let (mut found, mut missing) = (String::new(), String::new());
        match &self.wish {
            Wish::Names => PROPERTIES.iter().filter(|name| self.value(entry, name).is_some()).for_each(|name| {
                found.push_str(&format!("<D:{name}/>"));
            }),
            Wish::All => PROPERTIES.iter().filter(|name| !name.starts_with("quota")).for_each(|name| {
                self.property(entry, name, &mut found);
            }),
            Wish::Some(names) => {
                for wanted in names {
                    if wanted.space != DAV || !self.property(entry, &wanted.name, &mut found) {
                        push_missing(wanted, &mut missing);
                    }
                }
            }
        }
        push_status(&found, "200 OK", missing.is_empty(), out);
        push_status(&missing, "404 Not Found", false, out);
        out.push_str("</D:response>");
    }

    /// Adds a property, when the entry has it.
    fn property(&self, entry: &Entry, name: &str, out: &mut String) -> bool {
        let Some(value) = self.value(entry, name) else { return false };
        out.push_str(&format!("<D:{name}>{value}</D:{name}>"));
        true
    }

    /// The value as XML.
    fn value(&self, entry: &Entry, name: &str) -> Option<String> {
        let directory = entry.kind == EntryKind::Directory;
        match name {
            "resourcetype" if directory => Some("<D:collection/>".to_owned()),
            "resourcetype" | "supportedlock" | "lockdiscovery" => Some(String::new()),
            "displayname" => Some(xml::escape(&shown_name(entry))),
            "getcontentlength" if !directory => Some(entry.size_bytes.to_string()),
            "getcontenttype" if !directory => Some("application/octet-stream".to_owned()),
            "getetag" if !directory => Some(xml::escape(&etag(entry))),
            "getlastmodified" => entry.times.modified.and_then(http_date),
            "creationdate" => entry.times.created.or(entry.times.modified).and_then(iso_date),
            "quota-used-bytes" if directory => {
                Some(self.space.total_bytes.saturating_sub(self.space.free_bytes?).to_string())
            }
            "quota-available-bytes" if directory => self.space.free_bytes.map(|free| free.to_string()),
            _ => None,
        }
    }
}

/// The client closed its connection.
struct Gone;

/// The root has no name of its own.
fn shown_name(entry: &Entry) -> String {
    if entry.name.is_empty() && entry.kind == EntryKind::Directory { "/".to_owned() } else { shown(&entry.name).into() }
}

fn push_status(properties: &str, status: &str, always: bool, out: &mut String) {
    if always || !properties.is_empty() {
        out.push_str("<D:propstat><D:prop>");
        out.push_str(properties);
        out.push_str(&format!("</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"));
    }
}

fn push_missing(wanted: &Name, out: &mut String) {
    // The name came through an XML reader, but it need not be one that a writer may write.
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if wanted.name.chars().all(plain) && wanted.name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
    {
        out.push_str(&format!("<{} xmlns=\"{}\"/>", wanted.name, xml::escape(&wanted.space)));
    }
}

/// As RFC 3339 writes it.
fn iso_date(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    if seconds >= YEAR_10000 {
        return None;
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    Some(format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60))
}

/// Year, month and day of a day after 1970-01-01, by years that begin in March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).as_deref(), Some(text));
        }
        assert_eq!(iso_date(SystemTime::UNIX_EPOCH + Duration::from_secs(YEAR_10000)), None);
    }
}
