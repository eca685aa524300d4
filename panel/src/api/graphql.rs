//! `/graphql`: questions over POST, subscriptions over WebSocket (`graphql-transport-ws`).

use super::body;
use super::problem::{Code, Problem};
use super::{Outcome, Shared, no_params};
use crate::access::{Access, Caller, login_required};
use crate::app::App;
use crate::graphql::Connection;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, CloseCode, CloseReason, Session};
use async_graphql::Data;
use async_graphql::http::{WebSocket, WebSocketProtocols, WsMessage};
use bytes::Bytes;
use futures::StreamExt;
use penstock::accounts::Role;
use penstock::ledger::Ledger;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// Longest message of a browser.
const MESSAGE: usize = 64 << 10;
/// How often a browser is asked whether it is still there, and its caller whether they still may;
/// how long it may be silent.
const PING: Duration = Duration::from_secs(10);
/// The close code of the protocol for somebody who may not.
const FORBIDDEN: u16 = 4403;
const SILENT: Duration = Duration::from_secs(60);
/// Longest time for a browser to take a message.
const TAKE: Duration = Duration::from_secs(20);

/// `POST /graphql`: one question.
pub async fn ask<L: Ledger>(app: Shared<L>, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let question: async_graphql::Request = body::json(&request, payload).await?;
    // Each query of a question has its own bound; this one ends a question that asks many in a row.
    let longest = app.settings.query_timeout * 2;
    match tokio::time::timeout(longest, app.schema().execute(question)).await {
        Ok(answer) => Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(answer)),
        Err(_) => {
            Err(Problem::new(Code::QueryTooExpensive, format!("the question took longer than {} s", longest.as_secs())))
        }
    }
}

/// `GET /graphql`: the schema as text, or the begin of a WebSocket.
pub async fn open<L: Ledger>(app: Shared<L>, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let upgrades = request.headers().get("upgrade").and_then(|v| v.to_str().ok());
    if !upgrades.is_some_and(|v| v.eq_ignore_ascii_case("websocket")) {
        return Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(app.schema().sdl()));
    }
    // Without a caller the first message must bring a token.
    let caller = request.extensions().get::<Caller>().cloned();
    let offered = request.headers().get("sec-websocket-protocol").and_then(|v| v.to_str().ok()).unwrap_or("");
    let Some(protocol) = offered.split(',').find_map(|p| p.trim().parse::<WebSocketProtocols>().ok()) else {
        return Err(Problem::parameter("Sec-WebSocket-Protocol", "must offer graphql-transport-ws"));
    };
    let begun = actix_ws::handle(&request, payload);
    let (mut response, session, messages) =
        begun.map_err(|e| Problem::new(Code::BadBody, format!("the WebSocket cannot begin: {e}")))?;
    if let Ok(name) = protocol.sec_websocket_protocol().parse() {
        response.headers_mut().insert(actix_web::http::header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    let messages = messages.max_frame_size(MESSAGE).aggregate_continuations().max_continuation_size(MESSAGE);
    let begun = Begun { caller, protocol, session, messages };
    actix_web::rt::spawn(serve(app.into_inner(), begun));
    Ok(response)
}

/// A connection whose upgrade is answered.
struct Begun {
    caller: Option<Caller>,
    protocol: WebSocketProtocols,
    session: Session,
    messages: actix_ws::AggregatedMessageStream,
}

/// Who the connection is of: known from its request, or by the token of its first message.
///
/// Errors: `login_required`, `forbidden`.
async fn enter(access: &Access, known: Option<Caller>, payload: &serde_json::Value) -> Result<Caller, Problem> {
    let caller = match (known, payload.get("token").and_then(|t| t.as_str())) {
        (Some(caller), _) => caller,
        (None, Some(token)) => access.token(token).await?,
        (None, None) => return Err(login_required()),
    };
    caller.needs(Role::Viewer)?;
    Ok(caller)
}

/// Serves one connection until either side ends it, or its caller may no longer look.
async fn serve<L: Ledger>(app: Arc<App<L>>, begun: Begun) {
    let Begun { caller, protocol, mut session, messages } = begun;
    let of: Arc<OnceLock<Caller>> = Arc::default();
    let heard = Rc::new(Cell::new(Instant::now()));
    let incoming = {
        let (heard, session) = (heard.clone(), session.clone());
        messages
            .take_while(|m| futures::future::ready(!matches!(m, Err(_) | Ok(AggregatedMessage::Close(_)))))
            .filter_map(move |message| {
                let (heard, mut session) = (heard.clone(), session.clone());
                async move {
                    heard.set(Instant::now());
                    match message {
                        Ok(AggregatedMessage::Text(text)) => Some(text.into_bytes()),
                        Ok(AggregatedMessage::Binary(bytes)) => Some(bytes),
                        Ok(AggregatedMessage::Ping(bytes)) => {
                            // Whoever cannot be answered is noticed by the next message to it.
                            let _ = session.pong(&bytes).await;
                            None
                        }
                        _ => None,
                    }
                }
            })
    };
    let incoming: futures::stream::LocalBoxStream<'static, Bytes> = Box::pin(incoming);
    let socket = WebSocket::new(app.schema().clone(), incoming, protocol);
    let (entering, entered) = (app.clone(), of.clone());
    let mut socket = Box::pin(socket.on_connection_init(move |payload| async move {
        let caller =
            enter(&entering.access, caller, &payload).await.map_err(|e| async_graphql::Error::new(e.detail))?;
        let _ = entered.set(caller);
        let mut data = Data::default();
        data.insert(Connection::default());
        Ok(data)
    }));
    let mut pings = tokio::time::interval(PING);
    let reason = loop {
        let message = tokio::select! {
            biased;
            () = app.shutdown.cancelled() => break Some(CloseReason::from(CloseCode::Away)),
            _ = pings.tick() => {
                if let Some(caller) = of.get()
                    && let Err(problem) = app.access.still(caller).await.and_then(|now| now.needs(Role::Viewer))
                    && problem.code != Code::LedgerUnavailable
                {
                    break Some(CloseReason { code: CloseCode::Other(FORBIDDEN), description: Some(problem.detail) });
                }
                let silent = heard.get().elapsed() > SILENT;
                if silent || session.ping(b"").await.is_err() {
                    break None;
                }
                continue;
            }
            message = socket.next() => message,
        };
        let sent = match message {
            Some(WsMessage::Text(text)) => tokio::time::timeout(TAKE, session.text(text)).await,
            Some(WsMessage::Close(code, why)) => {
                break Some(CloseReason { code: CloseCode::from(code), description: Some(why) });
            }
            None => break None,
        };
        if !matches!(sent, Ok(Ok(()))) {
            break None;
        }
    };
    // The other side may be gone.
    let _ = session.close(reason).await;
}
