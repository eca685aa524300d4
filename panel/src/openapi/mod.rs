//! The OpenAPI document of all routes, made from the types that the routes answer with.
//!
//! [`table`] has an entry for every line of the table of roles but the pages', and none besides: a
//! test holds the two together, so that no route is without its words or its role.

mod params;
mod table;

use crate::access::roles;
use crate::api::types::{ProblemBody, Time};
use penstock::accounts::Role;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use table::{Entry, TABLE};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, ResponsesBuilder, Schema, SecurityRequirement,
};

type Schemas = BTreeMap<String, RefOr<Schema>>;
/// Adds a type and all it is made of; returns what names it.
type Add = fn(&mut Schemas) -> RefOr<Schema>;

/// What a route answers with.
#[derive(Clone, Copy)]
enum Body {
    /// A type of ours.
    Type(Add),
    /// JSON that has a document of its own, or none.
    Json,
    /// Text of this type.
    Text(&'static str),
    /// A file.
    File,
    /// A redirect.
    Elsewhere,
}

/// What a route takes.
#[derive(Clone, Copy)]
enum Given {
    Nothing,
    /// A type of ours.
    Type(Add),
    /// An object such as this.
    Example(&'static str),
    /// Any object.
    Object,
}

fn add<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let mut found = Vec::new();
    T::schemas(&mut found);
    schemas.extend(found);
    let name = T::name().into_owned();
    schemas.insert(name.clone(), T::schema());
    Ref::from_schema_name(name).into()
}

/// The envelope of one answer, as [`crate::api::types::Answer`] has it.
fn answer(result: impl Into<RefOr<Schema>>, schemas: &mut Schemas) -> ObjectBuilder {
    ObjectBuilder::new()
        .property("status", ObjectBuilder::new().schema_type(Type::String).examples(["ok"]))
        .property("result", result)
        .property("timestamp", add::<Time>(schemas))
        .required("status")
        .required("result")
        .required("timestamp")
}

impl Body {
    const fn of<T: ToSchema>() -> Body {
        Body::Type(add::<T>)
    }

    /// One `T` in its envelope.
    const fn answer<T: ToSchema>() -> Body {
        Body::Type(|schemas| {
            let result = add::<T>(schemas);
            RefOr::T(Schema::Object(answer(result, schemas).build()))
        })
    }

    /// All of them in one envelope.
    const fn answers<T: ToSchema>() -> Body {
        Body::Type(|schemas| {
            let result = ArrayBuilder::new().items(add::<T>(schemas));
            RefOr::T(Schema::Object(answer(result, schemas).build()))
        })
    }

    /// A page of them, as [`crate::api::types::Page`] has it.
    const fn page<T: ToSchema>() -> Body {
        Body::Type(|schemas| {
            let result = ArrayBuilder::new().items(add::<T>(schemas));
            let cursor = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
            let page = answer(result, schemas).property("next_cursor", cursor).required("next_cursor");
            RefOr::T(Schema::Object(page.build()))
        })
    }

    /// A number in its envelope.
    const COUNT: Body = Body::Type(|schemas| {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        RefOr::T(Schema::Object(answer(number, schemas).build()))
    });
}

impl Given {
    const fn of<T: ToSchema>() -> Given {
        Given::Type(add::<T>)
    }
}

/// The document as JSON; made once.
pub(crate) fn document() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // A document of strings, numbers and maps always has a JSON form.
        make().to_json().unwrap_or_default()
    });
    &TEXT
}

fn make() -> OpenApi {
    let mut schemas = Schemas::new();
    let problem = add::<ProblemBody>(&mut schemas);
    let mut items = BTreeMap::<&str, PathItem>::new();
    for entry in TABLE {
        let operation = operation(entry, &problem, &mut schemas);
        let method = method(entry.method);
        match items.get_mut(entry.path) {
            Some(item) => item.merge_operations(PathItem::new(method, operation)),
            None => drop(items.insert(entry.path, PathItem::new(method, operation))),
        }
    }
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let info = InfoBuilder::new().title("Penstock panel").version(env!("CARGO_PKG_VERSION")).description(Some(
        "Amounts and other 64-bit sums are strings, times RFC 3339 in UTC. An empty parameter is none, an unknown \
         or repeated one is refused. Errors are RFC 9457 problems with a stable `code`.",
    ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("penstock_session"))));
    OpenApiBuilder::new().info(info.build()).paths(paths.build()).components(Some(components.build())).build()
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(entry: &Entry, problem: &RefOr<Schema>, schemas: &mut Schemas) -> utoipa::openapi::path::Operation {
    let need = roles::TABLE.iter().find(|(m, p, _)| *m == entry.method && *p == entry.path).map(|(_, _, need)| *need);
    let role = match need {
        Some(roles::Need::Role(Role::Admin)) => "Needs the role admin.",
        Some(roles::Need::Role(Role::Operator)) => "Needs the role operator.",
        Some(roles::Need::Role(Role::Viewer) | roles::Need::Socket) => "Needs the role viewer.",
        Some(roles::Need::Login) => "Needs a login.",
        Some(roles::Need::Metrics) => "From this machine, or with a token.",
        Some(roles::Need::Public) | None => "For everybody.",
    };
    let mut operation = OperationBuilder::new()
        .tag(entry.tag)
        .operation_id(Some(operation_id(entry)))
        .summary(Some(entry.about))
        .description(Some(role));
    for name in entry.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        operation = operation.parameter(params::path(name));
    }
    for param in entry.params {
        operation = operation.parameter(params::query(*param));
    }
    if let Some((schema, example)) = given(entry.body, schemas) {
        let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    if role != "For everybody." {
        let none: [&str; 0] = [];
        operation = operation
            .security(SecurityRequirement::new("token", none))
            .security(SecurityRequirement::new("session", none));
    }
    operation.responses(responses(entry, problem, schemas).build()).build()
}

/// `get_campaigns_id_stops`.
fn operation_id(entry: &Entry) -> String {
    let path = entry.path.trim_start_matches("/api/v1").replace(['{', '}', '.'], "");
    format!("{}{}", entry.method.to_ascii_lowercase(), path.replace('/', "_"))
}

fn given(body: Given, schemas: &mut Schemas) -> Option<(RefOr<Schema>, Option<serde_json::Value>)> {
    let object = || RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::Object).build()));
    match body {
        Given::Nothing => None,
        Given::Type(add) => Some((add(schemas), None)),
        Given::Example(text) => Some((object(), serde_json::from_str(text).ok())),
        Given::Object => Some((object(), Some(json!({"advertisers": [], "campaigns": [], "tags": {}})))),
    }
}

fn responses(entry: &Entry, problem: &RefOr<Schema>, schemas: &mut Schemas) -> ResponsesBuilder {
    let text =
        |kind: &str| ResponseBuilder::new().description("The answer.").content(kind, ContentBuilder::new().build());
    let (status, good) = match entry.answer {
        Body::Type(add) => {
            let content = ContentBuilder::new().schema(Some(add(schemas))).build();
            ("200", ResponseBuilder::new().description("The answer.").content("application/json", content))
        }
        Body::Json => ("200", text("application/json")),
        Body::Text(kind) => ("200", text(kind)),
        Body::File => ("200", text("application/octet-stream")),
        Body::Elsewhere => ("303", ResponseBuilder::new().description("Go there.")),
    };
    let problem = |about: &str| -> Response {
        let content = ContentBuilder::new().schema(Some(problem.clone())).build();
        ResponseBuilder::new().description(about).content("application/problem+json", content).build()
    };
    ResponsesBuilder::new()
        .response(status, good.build())
        .response("4XX", problem("Something is wrong with the request: `code` and `field` say what."))
        .response("503", problem("A part does not answer now: try again after `Retry-After` seconds."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What browsers are shown, not programs.
    const PAGES: [&str; 4] = ["/", "/assets/{path:.*}", "/api/docs", "/api/docs/{path:.*}"];

    #[test]
    fn every_route_is_in_the_document_and_nothing_else_is() {
        let said: BTreeSet<(&str, &str)> = TABLE.iter().map(|e| (e.method, e.path)).collect();
        let routed: BTreeSet<(&str, &str)> =
            roles::TABLE.iter().map(|(m, p, _)| (*m, *p)).filter(|(_, p)| !PAGES.contains(p)).collect();
        assert_eq!(said, routed);
        assert_eq!(said.len(), TABLE.len(), "a route is described twice");
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        for (method, path) in said {
            assert!(document["paths"][path][method.to_ascii_lowercase()].is_object(), "{method} {path}");
        }
    }

    #[test]
    fn everything_that_the_document_names_is_in_it() {
        let text = document();
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(schemas.contains_key(name), "{name}");
        }
        assert!(schemas.len() > 40);
    }
}
