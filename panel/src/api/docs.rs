//! The API's document, and a page to browse it. The page's scripts and styles are in the binary.

use super::problem::{Code, Problem};
use super::{Outcome, no_params};
use crate::openapi;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// `GET /api/v1/openapi.json`.
pub async fn document(request: HttpRequest) -> Outcome {
    no_params(&request)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(openapi::document()))
}

/// `GET /api/docs`: the page lies below, where its parts are.
pub async fn page(request: HttpRequest) -> Outcome {
    no_params(&request)?;
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, "/api/docs/")).finish())
}

/// `GET /api/docs/{path}`.
pub async fn part(path: web::Path<String>) -> Outcome {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        // Nothing of it may be sent to a validator elsewhere.
        Arc::new(Config::from("/api/v1/openapi.json").validator_url("none"))
    });
    let path = if path.is_empty() { "index.html" } else { path.as_str() };
    match utoipa_swagger_ui::serve(path, CONFIG.clone()) {
        Ok(Some(file)) => Ok(HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned())),
        Ok(None) | Err(_) => Err(Problem::new(Code::NotFound, "the API's page has no such part")),
    }
}
