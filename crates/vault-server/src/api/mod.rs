//! The service's description of itself (OpenAPI 3.1), generated from its handlers.
//!
//! A route is one line in [`crate::routes`]: path, handler, summary, and the codes that the handler's own body may say.
//! Everything else is read from the handler's type ([`Described`]): what it takes, who may call it, what it gives, and the
//! codes that its parameters say. So a description cannot name another body or another caller than the handler has. That
//! the codes are complete is checked while tests run ([`check_documented`]).

mod clean;
mod document;
mod operation;
mod parts;

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use vault_protocol::problem::Code;

use crate::app::App;

pub(crate) use operation::{Answer, Authority, Described, Operation, Part};

/// Routes and their description, grown together.
pub(crate) struct Routes {
    tag: &'static str,
    router: Router<App>,
    operations: Vec<Operation>,
}

impl Routes {
    /// None so far; `tag` is the heading they stand under.
    pub(crate) fn under(tag: &'static str) -> Self {
        Self { tag, router: Router::new(), operations: Vec::new() }
    }

    /// `GET path`
    pub(crate) fn get<H, T>(self, path: &'static str, handler: H, summary: &'static str, codes: &[Code]) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.operation::<H, T>(Method::GET, path, summary, codes).route(path, on(MethodFilter::GET, handler))
    }

    /// `POST path`
    pub(crate) fn post<H, T>(self, path: &'static str, handler: H, summary: &'static str, codes: &[Code]) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.operation::<H, T>(Method::POST, path, summary, codes).route(path, on(MethodFilter::POST, handler))
    }

    /// `PUT path`
    pub(crate) fn put<H, T>(self, path: &'static str, handler: H, summary: &'static str, codes: &[Code]) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        self.operation::<H, T>(Method::PUT, path, summary, codes).route(path, on(MethodFilter::PUT, handler))
    }

    /// With other routes, which keep their heading.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// The router alone.
    pub(crate) fn into_router(self) -> Router<App> {
        self.router
    }

    fn operation<H: Described<T>, T>(
        mut self,
        method: Method,
        path: &'static str,
        summary: &'static str,
        codes: &[Code],
    ) -> Self {
        let mut operation = H::describe(Operation::new(method, path, self.tag, summary));
        operation.may_say(codes);
        self.operations.push(operation);
        self
    }

    fn route(self, path: &'static str, method: MethodRouter<App>) -> Self {
        Self { router: self.router.route(path, method), ..self }
    }
}

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| document::json(&crate::routes::all().operations));

/// The document, as it is served.
pub(crate) fn document() -> &'static [u8] {
    &DOCUMENT
}

/// Method and pattern of a route.
type RouteName = (Method, String);

static CODES: LazyLock<HashMap<RouteName, Vec<Code>>> = LazyLock::new(|| {
    let all = crate::routes::all().operations.into_iter();
    all.map(|operation| ((operation.method.clone(), operation.path.to_owned()), operation.codes)).collect()
});

/// In debug builds: ends a request whose problem its route does not name, so that every test of the service tests the
/// description, too.
///
/// # Panics
/// As said.
pub(crate) fn check_documented(method: &Method, route: &str, code: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
    let Some(codes) = CODES.get(&(method.clone(), route.to_owned())) else { return };
    let named = codes.iter().any(|known| known.code() == code);
    assert!(named, "{method} {route} answers {code:?}, which its line in routes/mod.rs does not name");
}
