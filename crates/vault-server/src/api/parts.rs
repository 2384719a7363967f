//! What the parameters and answers of our handlers mean for callers. A new kind of parameter needs its `impl` here.

use axum::extract::State;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{PartialSchema, ToSchema};
use vault_protocol::Signed;
use vault_protocol::messages::WaitCancelRequest;
use vault_protocol::problem::Code;
use vault_protocol::record::SaveRequest;

use super::{Answer, Authority, Operation, Part};
use crate::app::App;
use crate::authority::{
    AnySession, MayCancel, Session, SignedByDevice, SignedHeld, SignedProofQuestion, SignedSave, SteppedUp,
};
use crate::failure::Failure;
use crate::help::Language;
use crate::http::{Caller, Html, Json, Path, Query, Stored, Text, Verbatim};
use crate::ready::Report;
use crate::routes::Page;
use crate::routes::log::ProofPage;

impl Part for State<App> {
    fn describe(_: &mut Operation) {}
}

impl Part for Caller {
    fn describe(_: &mut Operation) {}
}

/// Described by the path itself.
impl<T> Part for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.may_say(&[Code::NotFound]);
    }
}

impl Part for AnySession {
    fn describe(operation: &mut Operation) {
        operation.for_callers(Authority::AnySession);
        operation.may_say(&[Code::AuthSessionExpired, Code::ServerFault]);
    }
}

impl Part for Session {
    fn describe(operation: &mut Operation) {
        AnySession::describe(operation);
        operation.for_callers(Authority::Session);
        operation.may_say(&[Code::FactorEnrolNeeded]);
    }
}

impl<A: ToSchema> Part for SteppedUp<A> {
    fn describe(operation: &mut Operation) {
        Session::describe(operation);
        operation.for_callers(Authority::Grant);
        operation.takes::<A>();
        operation.may_say(&[Code::StepupRequired, Code::StepupGrantUsed]);
    }
}

/// A session is one of two ways; the other is the code in the body.
impl Part for MayCancel {
    fn describe(operation: &mut Operation) {
        operation.for_callers(Authority::SessionOrCode);
        operation.takes::<WaitCancelRequest>();
        operation.may_say(&[
            Code::AuthSessionExpired,
            Code::FactorEnrolNeeded,
            Code::LimitRate,
            Code::WaitOver,
            Code::ServerFault,
        ]);
    }
}

impl Part for SignedSave {
    fn describe(operation: &mut Operation) {
        operation.for_callers(Authority::Signature);
        operation.takes::<SaveRequest>();
        operation.may_say(&[Code::RecordInvalid, Code::RecordSignature, Code::DeviceRevoked, Code::DeviceCapability]);
    }
}

impl Part for SignedHeld {
    fn describe(operation: &mut Operation) {
        operation.for_callers(Authority::Signature);
        operation.takes::<Signed>();
        operation.may_say(&[Code::RecordNotFound, Code::RecordSignature, Code::DeviceRevoked, Code::DeviceCapability]);
    }
}

impl Part for SignedProofQuestion {
    fn describe(operation: &mut Operation) {
        SignedHeld::describe(operation);
    }
}

impl<W> Part for SignedByDevice<W> {
    fn describe(operation: &mut Operation) {
        operation.for_callers(Authority::Signature);
        operation.takes::<Signed>();
        operation.may_say(&[Code::RecordSignature, Code::DeviceRevoked, Code::DeviceCapability]);
    }
}

impl<T: ToSchema> Part for Json<T> {
    fn describe(operation: &mut Operation) {
        operation.takes::<T>();
    }
}

impl Part for Language {
    fn describe(operation: &mut Operation) {
        let words: Vec<_> = Language::ALL.iter().map(|language| format!("`{}`", language.word())).collect();
        let description = format!("Language of the page: {}. Others are ignored.", words.join(", "));
        let lang = ParameterBuilder::new().name("lang").parameter_in(ParameterIn::Query).required(Required::False);
        operation.parameters(vec![lang.description(Some(description)).schema(Some(text())).build()]);
    }
}

/// The words of a query.
pub(crate) trait Words {
    /// One parameter for each.
    fn parameters() -> Vec<Parameter>;
}

impl<T: Words> Part for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters(T::parameters());
        operation.may_say(&[Code::RequestInvalid]);
    }
}

impl<T: PartialSchema> Words for Page<T> {
    fn parameters() -> Vec<Parameter> {
        let word = |name: &str, description: &str, schema: RefOr<Schema>| {
            let word = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
            word.description(Some(description)).schema(Some(schema)).build()
        };
        vec![
            word("after", "What the page begins after: the last one of the page before.", T::schema()),
            word("limit", "How many at most; cut to the service's own limit.", vault_protocol::schema::number_u32()),
        ]
    }
}

impl Words for ProofPage {
    fn parameters() -> Vec<Parameter> {
        let size = ParameterBuilder::new().name("size").parameter_in(ParameterIn::Query).required(Required::False);
        let size = size.description(Some("Size of the log that the proofs are to be for; its present one otherwise."));
        let mut words = Page::<u64>::parameters();
        words.push(size.schema(Some(u64::schema())).build());
        words
    }
}

impl<T: ToSchema> Answer for Json<T> {
    fn describe(operation: &mut Operation) {
        operation.gives::<T>(200);
    }
}

impl<T: ToSchema> Answer for Stored<T> {
    fn describe(operation: &mut Operation) {
        operation.gives::<T>(200);
        operation.gives::<T>(201);
    }
}

impl Answer for Report {
    fn describe(operation: &mut Operation) {
        operation.gives::<Self>(200);
        operation.gives::<Self>(503);
    }
}

impl<T: Answer> Answer for Result<T, Failure> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
        operation.may_say(&[Code::ServerFault]);
    }
}

impl Answer for &'static str {
    fn describe(operation: &mut Operation) {
        operation.gives_media(200, "text/plain; charset=utf-8", text());
    }
}

impl Answer for Text {
    fn describe(operation: &mut Operation) {
        operation.gives_media(200, "text/plain; charset=utf-8", text());
    }
}

impl Answer for Verbatim {
    fn describe(operation: &mut Operation) {
        let object = ObjectBuilder::new().schema_type(Type::Object).build();
        operation.gives_media(200, "application/json", object.into());
    }
}

impl Answer for Html {
    fn describe(operation: &mut Operation) {
        operation.gives_media(200, "text/html; charset=utf-8", text());
    }
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}
