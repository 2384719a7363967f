//! One operation, and how it is read from the type of its handler.

use axum::http::Method;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use vault_protocol::problem::Code;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Anybody; what is secret is in the body.
    Nobody,
    /// Whoever signed in with the password.
    AnySession,
    /// Whoever signed in with everything the account asks for.
    Session,
    /// The same, or whoever has the code that was mailed about exactly this.
    SessionOrCode,
    /// The same, with a grant for the act in the body.
    Grant,
    /// Whoever signed the body: a device or the owner.
    Signature,
}

impl Authority {
    /// Its word in the document (`x-authority`).
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::AnySession => "any-session",
            Self::Session => "session",
            Self::SessionOrCode => "session-or-code",
            Self::Grant => "session-and-grant",
            Self::Signature => "signature",
        }
    }
}

/// What an answer that is no problem looks like.
#[derive(Clone)]
pub(crate) struct Success {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) schema: RefOr<Schema>,
}

impl Success {
    /// Whether it is for people, who get a page when something is missing, too.
    pub(super) fn is_page(&self) -> bool {
        self.media_type.starts_with("text/html")
    }
}

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) authority: Authority,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RefOr<Schema>>,
    pub(super) successes: Vec<Success>,
    pub(super) codes: Vec<Code>,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Operation {
    pub(super) fn new(method: Method, path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            tag,
            summary,
            authority: Authority::Nobody,
            parameters: Vec::new(),
            body: None,
            successes: Vec::new(),
            codes: Vec::new(),
            schemas: Vec::new(),
        }
    }

    /// Who may call it.
    pub(crate) fn for_callers(&mut self, authority: Authority) {
        self.authority = authority;
    }

    /// It may answer with these codes.
    pub(crate) fn may_say(&mut self, codes: &[Code]) {
        for code in codes {
            if !self.codes.contains(code) {
                self.codes.push(*code);
            }
        }
    }

    /// Its body is JSON of this type.
    pub(crate) fn takes<T: ToSchema>(&mut self) {
        self.body = Some(self.schema::<T>());
        self.may_say(&[Code::RequestInvalid, Code::RequestTooLarge, Code::RequestMediaType, Code::RequestTimeout]);
        self.may_say(&[Code::FactorPrfLeaked]);
    }

    /// It has these parameters.
    pub(crate) fn parameters(&mut self, parameters: Vec<Parameter>) {
        self.parameters.extend(parameters);
    }

    /// It answers with JSON of this type.
    pub(crate) fn gives<T: ToSchema>(&mut self, status: u16) {
        let schema = self.schema::<T>();
        self.gives_media(status, "application/json", schema);
    }

    /// It answers with something else.
    pub(crate) fn gives_media(&mut self, status: u16, media_type: &'static str, schema: RefOr<Schema>) {
        self.successes.push(Success { status, media_type, schema });
    }

    /// A reference to the schema of a type, which is kept with everything it names.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        if T::name() == <()>::name() {
            return super::document::null();
        }
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
        Ref::from_schema_name(T::name()).into()
    }
}

/// A parameter of a handler.
pub(crate) trait Part {
    /// Adds what it means for callers.
    fn describe(operation: &mut Operation);
}

/// What a handler returns.
pub(crate) trait Answer {
    /// Adds what it means for callers.
    fn describe(operation: &mut Operation);
}

/// A handler. `T` is the type parameter of [`axum::handler::Handler`].
pub(crate) trait Described<T> {
    /// The operation with everything that the handler's type tells.
    fn describe(operation: Operation) -> Operation;
}

impl<F, Fut, Out> Described<((),)> for F
where
    F: Fn() -> Fut,
    Fut: Future<Output = Out>,
    Out: Answer,
{
    fn describe(mut operation: Operation) -> Operation {
        Out::describe(&mut operation);
        operation
    }
}

macro_rules! described {
    ($($part:ident)+) => {
        impl<F, Fut, Out, M, $($part,)+> Described<(M, $($part,)+)> for F
        where
            F: Fn($($part,)+) -> Fut,
            Fut: Future<Output = Out>,
            Out: Answer,
            $($part: Part,)+
        {
            fn describe(mut operation: Operation) -> Operation {
                $($part::describe(&mut operation);)+
                Out::describe(&mut operation);
                operation
            }
        }
    };
}

described!(P1);
described!(P1 P2);
described!(P1 P2 P3);
described!(P1 P2 P3 P4);
described!(P1 P2 P3 P4 P5);
described!(P1 P2 P3 P4 P5 P6);
