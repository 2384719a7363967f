//! The portal: the embedded page at the service's own address, and its files. No part of the interface: nothing is described,
//! nobody is asked who they are, no counter is raised.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use vault_protocol::problem::Code;
use web_assets::Page;

use crate::failure::Failure;
use crate::http::Path;

/// Where the page is: at the service's own address, and at those that a computer shows its owner when it wants to be enrolled.
/// Its files have addresses relative to it, so all three lie in one folder.
pub(super) const PAGES: [&str; 3] = ["/", "/device", "/enrol"];
/// Where its files are.
pub(super) const FILES: &str = "/assets/{*path}";

/// `GET` of any of [`PAGES`]
pub(super) async fn page(headers: HeaderMap) -> Result<Response, Failure> {
    file("", &headers)
}

/// `GET /assets/...`
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    file(&format!("assets/{path}"), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Result<Response, Failure> {
    let found = web_assets::answer(Page::Portal, path, headers);
    found.map(|found| found.map(Body::from)).ok_or_else(|| Code::NotFound.into())
}
