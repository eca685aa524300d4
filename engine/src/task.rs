//! One request on its own thread: a fresh session, its settings, the statement, the result.
//!
//! A session of its own costs under a millisecond and keeps settings, databases and temporary
//! tables of one request from every other. An INSERT begins only once its body is whole: what ends
//! early never reaches the engine, so it leaves nothing behind whatever its size.

use crate::chdb::{Class, Connection, Failure, Stream, Summary};
use crate::encoding::{Body, Encoder, body_exception};
use crate::engine::Engine;
use crate::exception::{Code, Exception};
use crate::sql::{self, Head};
use crate::stitch::Stitcher;
use bytes::Bytes;
use penstock::time::{Clock, Micros, SystemClock};
use std::io::{self, Read, Seek, Write};
use tokio::sync::mpsc;

/// What the request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Any query and any setting, no change (`readonly=2`).
    Reader,
    /// Everything the engine's user is granted.
    Writer,
}

/// A request without its body.
#[derive(Debug)]
pub struct Request {
    /// The session's `log_comment`, by which the request is found in `system.processes` (the
    /// embedded engine makes its own query ids): a writer's query id, made up for a reader.
    pub comment: String,
    /// SQL from the URL; the body is appended after a line break.
    pub sql: Vec<u8>,
    /// What it may do.
    pub role: Role,
    /// `USE` before the statement.
    pub database: Option<String>,
    /// Settings in the order given.
    pub settings: Vec<(String, String)>,
    /// Bound parameters without `param_`.
    pub params: Vec<(String, String)>,
    /// Output format when the query names none.
    pub default_format: String,
    /// An INSERT must not begin later than this: its client has given it up by then.
    pub begin_by: Option<Micros>,
    /// Hold the result back until it is whole (up to [`HELD_BACK`] bytes).
    pub wait_end: bool,
}

/// Most of a result that `wait_end_of_query=1` holds back.
const HELD_BACK: usize = 16 << 20;
/// Largest body kept in memory; a longer one goes to a temporary file.
const BODY_IN_MEMORY: usize = 16 << 20;
/// Bytes handed over in one go.
const PIECE: usize = 256 << 10;

/// What goes back to the connection, in this order: one head, data, one end. An exception instead
/// of the head is an answer of its own; after it, it is written into the body as ClickHouse does.
#[derive(Debug)]
pub enum Reply {
    /// The statement runs; data follows.
    Head {
        /// Output format.
        format: String,
        /// Known at once for all but streamed results.
        summary: Option<Summary>,
    },
    /// Encoded bytes of the result.
    Data(Bytes),
    /// It failed.
    Failed(Exception),
    /// The result is whole.
    End,
}

/// How a task ended.
#[derive(Debug)]
pub struct Ended {
    /// To be sent when everything the task held is given back, so that whoever gets it can count
    /// on that; `None` when nobody listens.
    pub last: Option<Reply>,
    /// `insert` or `query`.
    pub kind: &'static str,
    /// See [`penstock::telemetry::engine::QueryLabel`].
    pub outcome: &'static str,
}

enum Stop {
    Failed(Exception),
    /// Nobody listens any more.
    Gone,
}

impl From<Exception> for Stop {
    fn from(e: Exception) -> Self {
        Stop::Failed(e)
    }
}

impl From<Failure> for Stop {
    fn from(e: Failure) -> Self {
        Stop::Failed(Exception::from_engine(&e.0))
    }
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::Failed(Exception::new(Code::UnknownException, format_args!("encoding the result: {e}")))
    }
}

/// Runs one request to its end and answers into `replies`, but for the last reply.
pub fn run(engine: &Engine, request: Request, body: Body, encoder: Encoder, replies: &mpsc::Sender<Reply>) -> Ended {
    let replies = replies.clone();
    let mut out = Out {
        replies,
        encoder: Some(encoder),
        format: String::new(),
        summary: None,
        started: false,
        held: Vec::new(),
        hold: request.wait_end,
    };
    let mut kind = "query";
    let (last, outcome) = match statement(engine, request, body, &mut out, &mut kind) {
        Ok(()) => (Some(Reply::End), "ok"),
        Err(Stop::Gone) => (None, "gone"),
        Err(Stop::Failed(exception)) => {
            let refused = exception.code == Code::ReadOnly as i32 || exception.code == Code::AccessDenied as i32;
            out.fail(&exception);
            (Some(Reply::Failed(exception)), if refused { "refused" } else { "error" })
        }
    };
    Ended { last, kind, outcome }
}

fn statement(
    engine: &Engine,
    request: Request,
    body: Body,
    out: &mut Out,
    kind: &mut &'static str,
) -> Result<(), Stop> {
    let mut text = request.sql;
    let mut body = body.open().map_err(|e| Stop::Failed(body_exception(&e)))?;
    let most = engine.settings().max_query_bytes;
    let head = read_head(&mut text, &mut body, most)?;
    let sql_end = if let Head::Insert { statement, .. } = head { statement } else { text.len() };
    let sql = text.get(..sql_end).unwrap_or_default();
    if let Some(word) = sql::forbidden(sql) {
        let message = format!("`{word}` reaches files outside the database and is not served");
        return Err(Exception::new(Code::AccessDenied, message).into());
    }

    let mut connection = engine.session(&request.comment, request.role)?;
    if let Some(database) = &request.database {
        connection.query(format!("USE {}", sql::identifier(database)).as_bytes(), "TSV", &[])?;
    }
    if !request.settings.is_empty() {
        connection.query(set_statement(&request.settings).as_bytes(), "TSV", &[])?;
    }
    match head {
        Head::Insert { statement, format, data } => {
            *kind = "insert";
            let sql = text.get(..statement).unwrap_or_default();
            allowed(&mut connection, &[sql, b" FORMAT ", format.as_bytes()].concat(), request.role)?;
            let inline = text.get(data..).unwrap_or_default();
            let data = whole_body(engine, inline, &mut body)?;
            out.format = request.default_format;
            // Checked last: once it runs, its id tells so.
            if request.begin_by.is_some_and(|by| SystemClock.now() > by) {
                let late = "the INSERT's client has given it up before it could begin";
                return Err(Exception::new(Code::TimeoutExceeded, late).into());
            }
            insert(engine, &mut connection, sql, &format, data, &request.params, out)
        }
        Head::Query | Head::Incomplete => {
            allowed(&mut connection, &text, request.role)?;
            out.format = sql::output_format(&text).unwrap_or(request.default_format);
            query(&mut connection, &text, &request.params, out)
        }
    }
}

/// Reads as much of the body as belongs to the SQL text: all of it, or an INSERT's beginning.
fn read_head(text: &mut Vec<u8>, body: &mut dyn Read, most: usize) -> Result<Head, Stop> {
    if !text.is_empty() {
        text.push(b'\n');
    }
    let mut whole = false;
    let mut piece = vec![0; PIECE];
    let mut head = Head::Incomplete;
    loop {
        if head == Head::Incomplete {
            head = sql::head(text, whole);
        }
        let sql = if let Head::Insert { statement, .. } = head { statement } else { text.len() };
        if sql > most {
            let message = format!("the query is longer than the {most} bytes of engine.max_query_bytes");
            return Err(Exception::new(Code::QueryIsTooLarge, message).into());
        }
        if whole || matches!(head, Head::Insert { .. }) {
            break;
        }
        match body.read(&mut piece).map_err(|e| Stop::Failed(body_exception(&e)))? {
            0 => whole = true,
            n => text.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Exception::new(Code::SyntaxError, "Syntax error: the query is empty").into());
    }
    Ok(head)
}

fn set_statement(settings: &[(String, String)]) -> String {
    let list: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = {}", sql::literal(value))).collect();
    format!("SET {}", list.join(", "))
}

/// Asks the engine's parser what the text does. Text that does not parse may go on when it cannot
/// hold a second statement: running it gives the parser's own message.
fn allowed(connection: &mut Connection, text: &[u8], role: Role) -> Result<(), Stop> {
    let seen = connection.classify(text);
    if seen.statements > 1 || (seen.statements == 0 && sql::several(text)) {
        return Err(Exception::new(Code::SyntaxError, "Syntax error: multi-statements are not allowed").into());
    }
    match (role, seen.class) {
        _ if seen.statements == 0 => Ok(()),
        (_, Class::ReadOnly) | (Role::Writer, Class::Mutating | Class::Control) => Ok(()),
        (Role::Writer, Class::MutatingGlobal | Class::Unknown) => {
            Err(Exception::new(Code::AccessDenied, "this kind of statement is not served").into())
        }
        (Role::Reader, _) => {
            let message = "Cannot execute query in readonly mode: readers may run any query but change nothing";
            Err(Exception::new(Code::ReadOnly, message).into())
        }
    }
}

/// Takes in the data of an INSERT to its end before anything is inserted.
fn whole_body(engine: &Engine, inline: &[u8], body: &mut dyn Read) -> Result<impl Read, Stop> {
    let most = engine.settings().max_body_bytes;
    let mut data = tempfile::spooled_tempfile_in(BODY_IN_MEMORY, engine.scratch());
    let disk = |e: io::Error| {
        Stop::Failed(Exception::new(Code::NotEnoughSpace, format_args!("cannot keep the request's body: {e}")))
    };
    data.write_all(inline).map_err(disk)?;
    let mut piece = vec![0; PIECE];
    let mut taken = inline.len() as u64;
    loop {
        match body.read(&mut piece).map_err(|e| Stop::Failed(body_exception(&e)))? {
            0 => break,
            n => {
                taken += n as u64;
                if taken > most {
                    let message = format!("the body is longer than the {most} bytes of engine.max_body_bytes");
                    return Err(Exception::new(Code::QueryIsTooLarge, message).into());
                }
                data.write_all(piece.get(..n).unwrap_or_default()).map_err(disk)?;
            }
        }
    }
    data.rewind().map_err(disk)?;
    Ok(data)
}

fn insert(
    engine: &Engine,
    connection: &mut Connection,
    sql: &[u8],
    format: &str,
    mut data: impl Read,
    params: &[(String, String)],
    out: &mut Out,
) -> Result<(), Stop> {
    let mut insert = connection.insert(sql, format, params)?;
    let mut piece = vec![0; PIECE];
    loop {
        let n = data
            .read(&mut piece)
            .map_err(|e| Exception::new(Code::NotEnoughSpace, format_args!("the kept body cannot be read: {e}")))?;
        // A refusal means the engine failed; `finish` has its reason.
        if n == 0 || !insert.append(piece.get(..n).unwrap_or_default()) {
            break;
        }
    }
    let summary = insert.finish()?;
    engine.metrics().inserted_rows.inc_by(summary.written_rows);
    out.summary = Some(summary);
    out.end()
}

fn query(connection: &mut Connection, text: &[u8], params: &[(String, String)], out: &mut Out) -> Result<(), Stop> {
    let format = out.format.clone();
    if let Some(stitcher) = Stitcher::new(&format) {
        match connection.stream(text, &format, params) {
            Ok(mut stream) => return streamed(&mut stream, stitcher, out),
            Err(failure) if failure.is_not_streamable() => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    let output = connection.query(text, &format, params)?;
    out.summary = Some(output.summary());
    for piece in output.bytes().chunks(1 << 20) {
        out.piece(piece)?;
    }
    out.end()
}

fn streamed(stream: &mut Stream<'_>, mut stitcher: Stitcher, out: &mut Out) -> Result<(), Stop> {
    let bad = |e| Stop::Failed(Exception::new(Code::UnknownException, e));
    while let Some(piece) = stream.fetch()? {
        out.piece(stitcher.piece(piece.bytes()).map_err(bad)?)?;
    }
    out.piece(stitcher.end())?;
    out.end()
}

/// The answer under way.
struct Out {
    replies: mpsc::Sender<Reply>,
    encoder: Option<Encoder>,
    format: String,
    summary: Option<Summary>,
    started: bool,
    held: Vec<u8>,
    hold: bool,
}

impl Out {
    fn send(&self, reply: Reply) -> Result<(), Stop> {
        self.replies.blocking_send(reply).map_err(|_| Stop::Gone)
    }

    fn start(&mut self) -> Result<(), Stop> {
        if self.started {
            return Ok(());
        }
        self.send(Reply::Head { format: self.format.clone(), summary: self.summary })?;
        self.started = true;
        Ok(())
    }

    fn piece(&mut self, plain: &[u8]) -> Result<(), Stop> {
        if plain.is_empty() {
            return Ok(());
        }
        if self.hold {
            self.held.extend_from_slice(plain);
            if self.held.len() > HELD_BACK { self.release() } else { Ok(()) }
        } else {
            self.pass(plain)
        }
    }

    fn pass(&mut self, plain: &[u8]) -> Result<(), Stop> {
        self.start()?;
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let bytes = encoder.piece(plain)?;
        if bytes.is_empty() { Ok(()) } else { self.send(Reply::Data(bytes)) }
    }

    fn release(&mut self) -> Result<(), Stop> {
        self.hold = false;
        let held = std::mem::take(&mut self.held);
        if held.is_empty() { Ok(()) } else { self.pass(&held) }
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.release()?;
        self.start()?;
        if let Some(encoder) = self.encoder.take() {
            let rest = encoder.finish()?;
            if !rest.is_empty() {
                self.send(Reply::Data(rest))?;
            }
        }
        Ok(())
    }

    /// An exception behind the head is written into the body, encoded like the rest.
    fn fail(&mut self, exception: &Exception) {
        let last = if self.started { self.encoder.take() } else { None };
        let Some(mut encoder) = last else { return };
        let block = crate::exception::in_body(exception);
        let encoded = encoder.piece(&block).and_then(|b| Ok((b, encoder.finish()?)));
        if let Ok((block, rest)) = encoded {
            // Nobody may listen any more; the exception is counted all the same.
            let _gone = self.send(Reply::Data(block)).and_then(|()| self.send(Reply::Data(rest)));
        }
    }
}
