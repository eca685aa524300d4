//! A listener of the panel's GraphQL subscriptions, as a browser's page is one.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::error::Error;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// What can go wrong while listening.
pub type Failure = Box<dyn Error + Send + Sync>;

/// One subscription over a WebSocket of its own (the protocol `graphql-transport-ws`).
pub struct Listener(WebSocketStream<TcpStream>);

impl Listener {
    /// Connects and subscribes; what happens from the acknowledgement on is told.
    ///
    /// Errors: the panel does not answer, or refuses.
    pub async fn open(panel: SocketAddr, subscription: &str) -> Result<Listener, Failure> {
        let mut request = format!("ws://{panel}/graphql").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (socket, _) = tokio_tungstenite::client_async(request, TcpStream::connect(panel).await?).await?;
        let mut listener = Listener(socket);
        listener.say(&json!({"type": "connection_init"})).await?;
        let answer = listener.message().await?;
        if answer["type"] != "connection_ack" {
            return Err(format!("not acknowledged: {answer}").into());
        }
        let subscribe = json!({"id": "1", "type": "subscribe", "payload": {"query": subscription}});
        listener.say(&subscribe).await?;
        Ok(listener)
    }

    /// The `data` of what is told next.
    ///
    /// Errors: the subscription was refused or has ended.
    pub async fn next(&mut self) -> Result<Value, Failure> {
        loop {
            let mut message = self.message().await?;
            match message["type"].as_str() {
                Some("next") if message["payload"]["errors"].is_null() => return Ok(message["payload"]["data"].take()),
                Some("ping") => self.say(&json!({"type": "pong"})).await?,
                Some("pong") => {}
                _ => return Err(format!("the subscription is over: {message}").into()),
            }
        }
    }

    async fn say(&mut self, message: &Value) -> Result<(), Failure> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    async fn message(&mut self) -> Result<Value, Failure> {
        loop {
            match self.0.next().await.ok_or("the panel closed the socket")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => return Err(format!("the panel closed the socket: {frame:?}").into()),
                _ => {}
            }
        }
    }
}
