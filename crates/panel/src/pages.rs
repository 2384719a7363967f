//! The page and its files.

use axum::body::Body;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;
use web_assets::Page;

use crate::failure::{Answer, Code};

/// `GET /`
pub(crate) async fn page(headers: HeaderMap) -> Answer<Response> {
    file("", &headers)
}

/// `GET /assets/...`
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Answer<Response> {
    file(&format!("assets/{path}"), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Answer<Response> {
    let found = web_assets::answer(Page::Panel, path, headers);
    found.map(|found| found.map(Body::from)).ok_or_else(|| Code::NotFound.into())
}
