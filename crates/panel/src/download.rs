//! Downloads: asked for with the session, fetched by the browser itself at an address that ends soon.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use drive_ops::names::{Names, Rules};
use fs_view::EntryKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::App;
use crate::archive;
use crate::failure::{Answer, Code, Refused, off};
use crate::types::Download;
use crate::views::{last_name, read_failed};

/// Paths in one archive.
const MOST_PATHS: usize = 1000;

/// Makes a download ready.
pub(crate) fn ask(app: &App, id: &str, paths: Vec<String>) -> Answer<Download> {
    if paths.is_empty() || paths.len() > MOST_PATHS {
        return Err(Code::Invalid.into());
    }
    let view = app.views.get(id)?;
    let mut single = false;
    for path in &paths {
        let entry = view.files.stat(path).map_err(|error| read_failed(&error))?;
        single = entry.kind == EntryKind::File && paths.len() == 1;
        if single {
            view.files.open_entry(&entry, path).map_err(|error| read_failed(&error))?;
        }
    }
    let first = paths.first().and_then(|path| last_name(path));
    let named = match (first, paths.len()) {
        (Some(name), 1) => name,
        _ => "drive",
    };
    let name = safe(&if single { named.to_owned() } else { format!("{named}.zip") });
    let token = app.tickets.add(id, view, paths, name.clone(), single, Instant::now())?;
    Ok(Download { address: format!("download/{token}"), name })
}

/// A name that every system can have, without a path.
fn safe(name: &str) -> String {
    Names::new(Rules { windows: true, folds_case: true }).choose(name, &|name| name.len() <= 200)
}

/// Always saved, never shown: what is on a drive is somebody else's page. RFC 6266, with the plain form for old programs.
pub(crate) fn disposition(name: &str) -> HeaderValue {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || " .-_()".contains(letter) { letter } else { '_' })
        .collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, KEPT));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// `GET /download/TOKEN`
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let ticket = app.tickets.take(&token, Instant::now()).ok_or_else(|| Refused::from(Code::NotFound))?;
    let mut response = if ticket.single {
        let path = ticket.paths.into_iter().next().unwrap_or_default();
        let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
        off(move || {
            let file = ticket.view.files.open_file(&path).map_err(|error| read_failed(&error))?;
            let size = file.size_bytes();
            let (status, start, end) = match range.as_deref().map_or(Asked::All, |range| parse(range, size)) {
                Asked::All => (StatusCode::OK, 0, size),
                Asked::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
                Asked::Nothing => return Ok(not_there(size)),
            };
            let mut response = Response::new(archive::part(ticket.view, file, start, end));
            *response.status_mut() = status;
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, (end - start).into());
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            if status == StatusCode::PARTIAL_CONTENT {
                let text = format!("bytes {start}-{}/{size}", end - 1);
                headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).map_err(|_| Code::Broken)?);
            }
            Ok(response)
        })
        .await?
    } else {
        let mut response = Response::new(archive::zip(ticket.view, ticket.paths));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        response
    };
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition(&ticket.name));
    Ok(response)
}

fn not_there(size: u64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(text) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, text);
    }
    response
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Everything; also where the header is none that is understood (RFC 9110, 14.2).
    All,
    /// From here to before there.
    Part(u64, u64),
    /// Nothing that is there.
    Nothing,
}

fn parse(range: &str, size: u64) -> Asked {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::All;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(last)) if first.is_empty() => (size.saturating_sub(last), size),
        _ => return Asked::All,
    };
    if start < end { Asked::Part(start, end) } else { Asked::Nothing }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (text, asked) in [
            ("bytes=0-9", Asked::Part(0, 10)),
            ("bytes=90-", Asked::Part(90, 100)),
            ("bytes=-10", Asked::Part(90, 100)),
            ("bytes=-1000", Asked::Part(0, 100)),
            ("bytes=50-5000", Asked::Part(50, 100)),
            ("bytes=100-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=9-3", Asked::All),
            ("bytes=0-1,5-6", Asked::All),
            ("lines=0-1", Asked::All),
            ("bytes=+1-2", Asked::All),
            ("bytes=99999999999999999999-", Asked::All),
        ] {
            assert_eq!(parse(text, 100), asked, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Asked::Nothing);
    }

    #[test]
    fn names_in_headers_are_harmless() {
        assert_eq!(
            disposition("a \"b\"\r\nX: 1.html"),
            "attachment; filename=\"a _b___X_ 1.html\"; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%201.html"
        );
        assert!(disposition("Grüße.txt").to_str().unwrap().ends_with("UTF-8''Gr%C3%BC%C3%9Fe.txt"));
        for name in ["..", "../x", "a/b", "CON", "x."] {
            let safe = safe(name);
            assert!(!safe.contains(['/', '\\']) && safe != ".." && !safe.is_empty(), "{name}: {safe}");
        }
    }
}
