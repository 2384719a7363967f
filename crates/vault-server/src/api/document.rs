//! The OpenAPI document of all operations.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApiBuilder, Paths, Ref, RefOr, Required, Response, Schema,
    SchemaFormat,
};
use utoipa::{PartialSchema, ToSchema};
use vault_protocol::audit::AuditEntry;
use vault_protocol::device::Certificate;
use vault_protocol::messages::{Held, ProofQuestion};
use vault_protocol::problem::{Code, MEDIA_TYPE, Problem};
use vault_protocol::record::{Header, Part, Receipt, Save};
use vault_protocol::statement::KeyStatement;

use super::clean::clean;
use super::{Authority, Operation};

/// Name of the security scheme.
const SESSION: &str = "session";
const ABOUT: &str = "Keeps disk-encryption recovery keys that it cannot read. Bytes are base64url without padding, \
    identifiers UUIDs, times milliseconds since 1970. What must be provable later travels as `Signed`: its payload is JSON \
    of the type that `t` names. Every refusal is a problem document with a code that never changes; its `type` opens a page \
    that says what happened and what to do next.";

/// The document as JSON.
pub(super) fn json(operations: &[Operation]) -> Vec<u8> {
    let mut paths = Paths::new();
    let mut schemas = payloads();
    for operation in operations {
        schemas.extend(operation.schemas.iter().cloned());
        paths.add_path_operation(operation.path, vec![http_method(&operation.method)], describe(operation));
    }
    let session = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme(SESSION, session).build();
    let info = InfoBuilder::new().title("Keyhaven vault").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let document = OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components)).build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    clean(&mut document);
    document.to_string().into_bytes()
}

/// Payloads of signed objects and parts of records, which travel as bytes.
fn payloads() -> BTreeMap<String, RefOr<Schema>> {
    fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
        schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    }
    let mut schemas = Vec::new();
    add::<Problem>(&mut schemas);
    add::<KeyStatement>(&mut schemas);
    add::<Certificate>(&mut schemas);
    add::<Save>(&mut schemas);
    add::<Header>(&mut schemas);
    add::<Part>(&mut schemas);
    add::<Receipt>(&mut schemas);
    add::<Held>(&mut schemas);
    add::<ProofQuestion>(&mut schemas);
    add::<AuditEntry>(&mut schemas);
    schemas.into_iter().collect()
}

fn http_method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn describe(operation: &Operation) -> utoipa::openapi::path::Operation {
    let mut out = OperationBuilder::new()
        .operation_id(Some(operation_id(operation)))
        .tag(operation.tag)
        .summary(Some(operation.summary))
        .extensions(Some(Extensions::from_iter([("x-authority", operation.authority.word())])));
    for parameter in path_parameters(operation.path).into_iter().chain(operation.parameters.iter().cloned()) {
        out = out.parameter(parameter);
    }
    if let Some(body) = &operation.body {
        let content = Content::new(Some(body.clone()));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
        out = out.request_body(Some(body.build()));
    }
    if matches!(operation.authority, Authority::AnySession | Authority::Session | Authority::Grant) {
        out = out.security(SecurityRequirement::new::<_, [&str; 0], &str>(SESSION, []));
    }
    for success in &operation.successes {
        let content = Content::new(Some(success.schema.clone()));
        let description = match success.status {
            201 => "Made.",
            503 => "Not now.",
            _ => "Done.",
        };
        let response = ResponseBuilder::new().description(description).content(success.media_type, content);
        out = out.response(success.status.to_string(), response.build());
    }
    let mut codes = operation.codes.clone();
    if operation.path.contains('{') {
        // A path that does not fit the pattern.
        codes.push(Code::NotFound);
    }
    for (status, codes) in by_status(&codes) {
        let mut response = problem(&codes);
        if let Some(page) = operation.successes.iter().find(|success| success.status == 200 && success.is_page()) {
            response.content.insert(page.media_type.to_owned(), Content::new(Some(page.schema.clone())).into());
        }
        out = out.response(status.to_string(), response);
    }
    out.build()
}

/// Method and path as one word: `post_v1_login_start`.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = operation.method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn path_parameters(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let schema = match name {
            "id" => text.format(Some(SchemaFormat::Custom("uuid".to_owned()))),
            _ => text.min_length(Some(1)),
        };
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        parameter.schema(Some(schema.build())).build()
    };
    names.map(parameter).collect()
}

fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut statuses: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let codes = statuses.entry(code.status()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    statuses
}

/// A problem document with one of these codes.
fn problem(codes: &[Code]) -> Response {
    let words = codes.iter().map(|code| json!(code.code()));
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build();
    let narrowed = ObjectBuilder::new().property("code", code).build();
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(Problem::name())).item(narrowed).build();
    let titles: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.code(), code.title())).collect();
    let content = Content::new(Some(RefOr::T(Schema::from(schema))));
    ResponseBuilder::new().description(titles.join("; ")).content(MEDIA_TYPE, content).build()
}

/// JSON's `null`.
pub(super) fn null() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Null).build().into()
}
