//! The handler of `/`: body in, result out, and what happens when either end stops early.

use super::form;
use super::request::{self, Parsed};
use super::{Service, exception};
use crate::encoding::{Body, BodyReader, Encoder, Piece};
use crate::engine::Engine;
use crate::exception::{Code, Exception, tag};
use crate::task::{Reply, Role};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pieces of a request's body under way to the query's thread (each at most one read's size).
const BODY_QUEUE: usize = 16;
/// Pieces of a result under way to the connection (each about 1 MB).
const RESULT_QUEUE: usize = 4;
/// Largest form (query and bound parameters).
const FORM: usize = 8 << 20;

/// Time for an exception's text to leave before its connection is cut.
const FLUSH: Duration = Duration::from_millis(100);
/// Most of a body that is still read, and for how long, when the answer is known before its end: a
/// connection that is closed with unread bytes may lose its answer.
const DRAIN: (usize, Duration) = (64 << 20, Duration::from_secs(2));

/// Serves one query.
pub async fn handle(http: HttpRequest, mut payload: web::Payload, service: web::Data<Service>) -> HttpResponse {
    if !matches!(*http.method(), Method::GET | Method::POST | Method::HEAD) {
        return HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, POST, HEAD")).finish();
    }
    if service.stopping.load(Ordering::SeqCst) {
        let stopping = Exception::new(Code::Aborted, "the engine is being stopped");
        return exception(&service, &stopping.with_status(StatusCode::SERVICE_UNAVAILABLE));
    }
    if http.method() != Method::POST && http.query_string().is_empty() {
        return HttpResponse::Ok().content_type("text/plain; charset=UTF-8").body("Ok.\n");
    }
    match answer(&http, &mut payload, &service).await {
        Ok(response) => response,
        Err(e) => {
            drain(&mut payload).await;
            exception(&service, &e)
        }
    }
}

async fn answer(http: &HttpRequest, payload: &mut web::Payload, service: &Service) -> Result<HttpResponse, Exception> {
    let content_type = http.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let boundary = form::boundary(content_type);
    let is_form = boundary.is_some();
    let fields = match boundary {
        Some(boundary) => form::parse(&collect(payload, service).await?, &boundary)?,
        None => Vec::new(),
    };
    let Parsed { request, query_id, body, decompress, answer, compress } = request::parse(http, service, fields)?;
    let failed = |e: io::Error| Exception::new(Code::UnknownException, format_args!("setting up a codec: {e}"));
    let encoder = Encoder::new(answer, compress).map_err(failed)?;
    let claim = (request.role == Role::Writer).then(|| service.engine.claim(&query_id)).transpose()?;
    let place = service.engine.place()?;
    let (pieces, body_queue) = mpsc::channel(BODY_QUEUE);
    let body = Body { reader: BodyReader::new(body_queue), encoding: body, native: decompress };
    let (replies, mut results) = mpsc::channel(RESULT_QUEUE);
    let leaving = Leaving {
        engine: service.engine.clone(),
        comment: (request.role == Role::Reader).then(|| request.comment.clone()),
    };
    service.engine.start(place, claim, request, body, encoder, replies)?;

    let first = if is_form {
        // The form was the whole body.
        pieces.send(Piece::End).await.ok();
        results.recv().await
    } else {
        let pump = pump(payload, pieces, service);
        tokio::pin!(pump);
        tokio::select! {
            biased;
            first = results.recv() => first,
            () = &mut pump => results.recv().await,
        }
    };
    let (format, summary) = match first {
        Some(Reply::Head { format, summary }) => (format, summary),
        Some(Reply::Failed(e)) => {
            leaving.done();
            return Err(e);
        }
        _ => return Err(Exception::new(Code::UnknownException, "the query's thread ended without an answer")),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header(("X-ClickHouse-Query-Id", header_text(&query_id)));
    response.insert_header(("X-ClickHouse-Format", header_text(&format)));
    response.insert_header(("X-ClickHouse-Exception-Tag", tag()));
    response.insert_header(("X-ClickHouse-Timezone", "UTC"));
    if let Some(s) = summary {
        let text = format!(
            r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}"}}"#,
            s.read_rows, s.read_bytes, s.written_rows, s.written_bytes
        );
        response.insert_header(("X-ClickHouse-Summary", text));
    }
    if let Some(name) = answer.name().filter(|_| !compress) {
        response.insert_header((header::CONTENT_ENCODING, name));
    }
    response.content_type(content_type_of(&format));
    Ok(response.streaming(result(results, leaving)))
}

/// The result as a body. After an exception its text is in the body already; the connection is
/// then cut, so that a client that looks only at the transfer sees a failure, too.
fn result(results: mpsc::Receiver<Reply>, leaving: Leaving) -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(Some((results, leaving)), |state| async move {
        let (mut results, leaving) = state?;
        match results.recv().await {
            Some(Reply::Data(bytes)) => Some((Ok(bytes), Some((results, leaving)))),
            Some(Reply::End) => {
                leaving.done();
                None
            }
            Some(Reply::Failed(e)) => {
                leaving.done();
                // A failing body drops what waits to be written; the exception's text must go first.
                tokio::time::sleep(FLUSH).await;
                Some((Err(io::Error::other(e.text)), None))
            }
            Some(Reply::Head { .. }) | None => Some((Err(io::Error::other("the query's thread ended early")), None)),
        }
    })
}

/// Ends the query of a reader whose connection is dropped before the result was whole.
struct Leaving {
    engine: Engine,
    comment: Option<String>,
}

impl Leaving {
    fn done(mut self) {
        self.comment = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(comment) = self.comment.take() {
            self.engine.kill(comment);
        }
    }
}

/// Passes the body on; ends with how it ended. Dropped halfway, it leaves the body without an end.
async fn pump(payload: &mut web::Payload, pieces: mpsc::Sender<Piece>, service: &Service) {
    let mut taken = 0_u64;
    loop {
        let piece = match next(payload, service).await {
            Ok(Some(bytes)) => {
                taken += bytes.len() as u64;
                // The bound on what is decompressed is the query's own; this one is on the wire.
                if taken > service.engine.settings().max_body_bytes {
                    Piece::Broken(too_long(service))
                } else {
                    Piece::Data(bytes)
                }
            }
            Ok(None) => Piece::End,
            Err(e) => Piece::Broken(e),
        };
        let last = !matches!(piece, Piece::Data(_));
        if pieces.send(piece).await.is_err() || last {
            return;
        }
    }
}

async fn drain(payload: &mut web::Payload) {
    let (mut left, time) = DRAIN;
    let reading = async {
        while let Some(Ok(bytes)) = payload.next().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whoever sends slower than that loses the answer.
    let _in_time = tokio::time::timeout(time, reading).await;
}

async fn collect(payload: &mut web::Payload, service: &Service) -> Result<Bytes, Exception> {
    let mut all = BytesMut::new();
    while let Some(bytes) = next(payload, service).await? {
        if all.len() + bytes.len() > FORM {
            return Err(too_long(service));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}

async fn next(payload: &mut web::Payload, service: &Service) -> Result<Option<Bytes>, Exception> {
    match tokio::time::timeout(service.engine.settings().body_timeout, payload.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(e))) => {
            let broken = Exception::new(Code::NetworkError, format_args!("the request's body ended early: {e}"));
            Err(broken.with_status(StatusCode::BAD_REQUEST))
        }
        Err(_) => {
            Err(Exception::new(Code::SocketTimeout, "nothing of the request's body arrived in engine.body_timeout")
                .with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

fn too_long(service: &Service) -> Exception {
    let most = service.engine.settings().max_body_bytes;
    Exception::new(
        Code::QueryIsTooLarge,
        format_args!("the body is longer than the {most} bytes of engine.max_body_bytes"),
    )
}

fn header_text(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c)).collect()
}

fn content_type_of(format: &str) -> &'static str {
    match format {
        "JSON" | "JSONCompact" | "JSONStrings" | "JSONColumns" | "JSONColumnsWithMetadata" | "JSONCompactColumns" => {
            "application/json; charset=UTF-8"
        }
        f if f.starts_with("JSON") && f.contains("EachRow") => "application/x-ndjson; charset=UTF-8",
        f if f.starts_with("CSV") => "text/csv; charset=UTF-8; header=absent",
        f if f.starts_with("TabSeparated") || f.starts_with("TSV") => "text/tab-separated-values; charset=UTF-8",
        "XML" => "application/xml; charset=UTF-8",
        "Native" | "ArrowStream" | "Arrow" | "Parquet" | "ORC" | "Avro" | "MsgPack" | "Protobuf" => {
            "application/octet-stream"
        }
        f if f.starts_with("RowBinary") => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}
