//! `GET` and `HEAD`.

use std::io;
use std::sync::Arc;

use export::{Entry, EntryKind, OpenFile, Tree};
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc::{self, Sender};

use crate::headers::{self, Part};
use crate::limits;
use crate::respond::{self, Body};
use crate::service::failed;

/// The content of a file, or the part of it that was asked for. Called where blocking is allowed.
pub(crate) fn get(tree: &Arc<dyn Tree>, path: &str, asked: &HeaderMap, head_only: bool) -> Response<Body> {
    let entry = match tree.stat(path) {
        Ok(entry) => entry,
        Err(error) => return failed(&error),
    };
    match entry.kind {
        EntryKind::File => {}
        EntryKind::Directory => {
            return respond::words(
                StatusCode::METHOD_NOT_ALLOWED,
                "This is a WebDAV folder. Open this address in a file manager.\n",
            );
        }
        EntryKind::Link | EntryKind::Other => return respond::words(StatusCode::NOT_FOUND, "There is no such file.\n"),
    }
    if headers::is_another(asked, &entry) {
        return respond::words(StatusCode::PRECONDITION_FAILED, "The file is not the one that was meant.\n");
    }
    if headers::is_known(asked, &entry) {
        return described(StatusCode::NOT_MODIFIED, &entry, respond::whole(""));
    }
    // Ranges are defined for GET alone.
    let part = if head_only { Part::Whole } else { headers::part(asked, &entry) };
    let (status, start, length) = match part {
        Part::Whole => (StatusCode::OK, 0, entry.size_bytes),
        Part::Range(start, length) => (StatusCode::PARTIAL_CONTENT, start, length),
        Part::Outside => {
            let mut response = described(StatusCode::RANGE_NOT_SATISFIABLE, &entry, respond::whole(""));
            insert(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{}", entry.size_bytes));
            return response;
        }
    };
    let body = if head_only {
        respond::whole("")
    } else {
        match tree.open(path) {
            Ok(file) => send(file, start, length),
            Err(error) => return failed(&error),
        }
    };
    let mut response = described(status, &entry, body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{}", start + length - 1, entry.size_bytes);
        insert(response.headers_mut(), CONTENT_RANGE, &range);
    }
    response
}

fn described(status: StatusCode, entry: &Entry, body: Body) -> Response<Body> {
    let mut response = respond::text(status, "application/octet-stream", "");
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    insert(headers, ETAG, &headers::etag(entry));
    if let Some(modified) = entry.times.modified.and_then(headers::http_date) {
        insert(headers, LAST_MODIFIED, &modified);
    }
    response
}

fn insert(headers: &mut HeaderMap, name: hyper::header::HeaderName, value: &str) {
    // Ours are made of letters and digits.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Reads on a thread of its own, a few pieces ahead of the client.
fn send(file: Box<dyn OpenFile>, start: u64, length: u64) -> Body {
    let (sender, pieces) = mpsc::channel(limits::PIECES);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(file.as_ref(), start, length, &sender) {
            // When nobody listens any more, nobody is told.
            let _ = sender.blocking_send(Err(error));
        }
    });
    respond::streamed(pieces)
}

fn read(file: &dyn OpenFile, start: u64, length: u64, sender: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    let (mut here, mut left) = (start, length);
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(limits::PIECE_BYTES);
        let mut buffer = vec![0; piece];
        let count = file.read_at(here, &mut buffer).map_err(io::Error::other)?;
        if count < piece {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its entry says"));
        }
        here += piece as u64;
        left -= piece as u64;
        if sender.blocking_send(Ok(buffer.into())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
