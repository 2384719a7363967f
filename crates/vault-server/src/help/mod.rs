//! Help pages: for each code of the catalogue what happened, why, what to do next, and what was not lost.
//!
//! Made on the server from texts alone: no script, no picture, nothing from elsewhere. The address of a page is the `type`
//! of the problem documents, so a page shows nothing about any account and needs no session.

mod language;
mod page;
mod texts;

use axum::http::StatusCode;
use vault_protocol::problem::Code;

use crate::http::{Html, Path};

pub(crate) use language::Language;

/// `GET /help`
pub(crate) async fn all(language: Language) -> Html {
    Html { status: StatusCode::OK, language: language.word(), body: page::list(language) }
}

/// `GET /help/{code}`
pub(crate) async fn one(language: Language, path: Path<String>) -> Html {
    let (status, body) = match Code::parse(&path.0) {
        Some(code) => (StatusCode::OK, page::code(language, code)),
        None => (StatusCode::NOT_FOUND, page::unknown(language)),
    };
    Html { status, language: language.word(), body }
}

/// What the style sheet of all pages is allowed by.
pub(crate) fn style_hash() -> &'static str {
    page::style_hash()
}
