//! The C interface of libchdb behind safe types. The only folder of the project with `unsafe`.
//!
//! The library is loaded once and never unloaded: it starts threads that live until the process
//! ends. A [`Connection`] is a session of its own (settings, current database, temporary tables)
//! and runs one statement at a time; several run side by side. Every result is copied or borrowed
//! only while its handle lives, and each handle is freed by the call that belongs to it.
#![expect(unsafe_code, reason = "the foreign-function boundary to the engine's C library")]

mod results;

pub use results::{Insert, Output, Stream, Summary};

use libloading::os::unix::{Library as Dylib, RTLD_LOCAL, RTLD_NOW, Symbol};
use std::ffi::{CStr, CString, NulError, OsStr};
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

type Handle = *mut c_void;
type QueryParams = unsafe extern "C" fn(
    Handle,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> Handle;

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not there, not a library, or for another machine.
    #[error("cannot load {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// From the loader.
        #[source]
        source: libloading::Error,
    },
    /// It opens, but lacks a call this crate needs: another version.
    #[error("{path} has no {symbol}; chdb 26.7 or newer is needed: {source}")]
    Symbol {
        /// The file.
        path: String,
        /// The missing call.
        symbol: &'static str,
        /// From the loader.
        #[source]
        source: libloading::Error,
    },
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An argument holds a NUL byte.
    #[error("an engine argument holds a NUL byte: {0}")]
    Argument(#[from] NulError),
    /// The engine refused and says why on stderr only.
    #[error("the engine did not start (is its data folder readable, its configuration valid?)")]
    Refused,
}

/// An error text as the engine gave it: `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

struct Calls {
    connect: Symbol<unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle>,
    close: Symbol<unsafe extern "C" fn(*mut Handle)>,
    query: Symbol<QueryParams>,
    stream_query: Symbol<QueryParams>,
    stream_fetch: Symbol<unsafe extern "C" fn(Handle, Handle) -> Handle>,
    stream_cancel: Symbol<unsafe extern "C" fn(Handle, Handle)>,
    destroy_result: Symbol<unsafe extern "C" fn(Handle)>,
    insert: Symbol<QueryParams>,
    insert_append: Symbol<unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int>,
    insert_done: Symbol<unsafe extern "C" fn(Handle) -> Handle>,
    insert_error: Symbol<unsafe extern "C" fn(Handle) -> *const c_char>,
    insert_cancel: Symbol<unsafe extern "C" fn(Handle)>,
    insert_destroy: Symbol<unsafe extern "C" fn(Handle)>,
    buffer: Symbol<unsafe extern "C" fn(Handle) -> *const u8>,
    length: Symbol<unsafe extern "C" fn(Handle) -> usize>,
    error: Symbol<unsafe extern "C" fn(Handle) -> *const c_char>,
    rows_read: Symbol<unsafe extern "C" fn(Handle) -> u64>,
    bytes_read: Symbol<unsafe extern "C" fn(Handle) -> u64>,
    rows_written: Symbol<unsafe extern "C" fn(Handle) -> u64>,
    bytes_written: Symbol<unsafe extern "C" fn(Handle) -> u64>,
    classify: Symbol<unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int>,
    shutdown: Symbol<unsafe extern "C" fn() -> c_int>,
    version: Symbol<unsafe extern "C" fn() -> *const c_char>,
    // Last, so that it outlives the symbols above.
    _library: Dylib,
}

/// The loaded engine library; clones share it.
#[derive(Clone)]
pub struct Library(Arc<Calls>);

#[repr(C)]
struct Analysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// What a text of SQL would do, as the engine's own parser sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// Statements in the text; 0 when it does not parse.
    pub statements: u32,
    /// What it does to state that outlives it.
    pub class: Class,
}

/// What a statement does to state that outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK.
    ReadOnly,
    /// Changes a database.
    Mutating,
    /// Changes something beside the databases (functions, users, named collections).
    MutatingGlobal,
    /// SET, USE, SYSTEM, KILL, ATTACH, BACKUP, and writes outside the engine (INTO OUTFILE).
    Control,
    /// Does not parse, or unknown to this engine.
    Unknown,
}

impl Library {
    /// Loads the library (half a gigabyte, mapped lazily: some tens of milliseconds).
    ///
    /// Errors: [`LoadError`].
    pub fn load(path: &OsStr) -> Result<Library, LoadError> {
        let name = path.to_string_lossy().into_owned();
        // SAFETY: loading runs the library's initialisers. The file is the engine the operator
        // configured; RTLD_LOCAL keeps its symbols (its own allocator among them) out of ours.
        let library = unsafe { Dylib::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|source| LoadError::Open { path: name.clone(), source })?;
        macro_rules! symbol {
            ($symbol:literal) => {
                // SAFETY: the type is the one declared in chdb.h for this name.
                unsafe { library.get($symbol) }.map_err(|source| LoadError::Symbol {
                    path: name.clone(),
                    symbol: $symbol,
                    source,
                })?
            };
        }
        let no_signals: Symbol<unsafe extern "C" fn(c_int)> = symbol!("chdb_set_signal_handlers_enabled");
        let calls = Calls {
            connect: symbol!("chdb_connect"),
            close: symbol!("chdb_close_conn"),
            query: symbol!("chdb_query_with_params_n"),
            stream_query: symbol!("chdb_stream_query_with_params_n"),
            stream_fetch: symbol!("chdb_stream_fetch_result"),
            stream_cancel: symbol!("chdb_stream_cancel_query"),
            destroy_result: symbol!("chdb_destroy_query_result"),
            insert: symbol!("chdb_stream_insert_with_params_n"),
            insert_append: symbol!("chdb_stream_append"),
            insert_done: symbol!("chdb_stream_done"),
            insert_error: symbol!("chdb_stream_insert_error"),
            insert_cancel: symbol!("chdb_stream_cancel_insert"),
            insert_destroy: symbol!("chdb_destroy_insert_stream"),
            buffer: symbol!("chdb_result_buffer"),
            length: symbol!("chdb_result_length"),
            error: symbol!("chdb_result_error"),
            rows_read: symbol!("chdb_result_rows_read"),
            bytes_read: symbol!("chdb_result_bytes_read"),
            rows_written: symbol!("chdb_result_rows_written"),
            bytes_written: symbol!("chdb_result_bytes_written"),
            classify: symbol!("chdb_classify_query_n"),
            shutdown: symbol!("chdb_shutdown"),
            version: symbol!("chdb_version"),
            _library: library,
        };
        // SAFETY: takes a flag only, before the first connection as the header asks. Signals are
        // handled by this process.
        unsafe { no_signals(0) };
        Ok(Library(Arc::new(calls)))
    }

    /// The library's version, e.g. `26.7.3`.
    #[must_use]
    pub fn version(&self) -> String {
        // SAFETY: returns a static NUL-terminated string.
        unsafe { CStr::from_ptr((self.0.version)()) }.to_string_lossy().into_owned()
    }

    /// Opens a session. The first one starts the engine with its server options
    /// (`--path=…`, `--config-file=…`); query settings (`--readonly=2`) hold for this one only.
    ///
    /// Keep one open as long as the engine is needed: closing the last one stops it.
    /// Errors: [`ConnectError`].
    pub fn connect(&self, args: &[String]) -> Result<Connection, ConnectError> {
        let args = std::iter::once("clickhouse")
            .chain(args.iter().map(String::as_str))
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()?;
        let mut argv: Vec<*mut c_char> = args.iter().map(|a| a.as_ptr().cast_mut()).collect();
        let argc = c_int::try_from(argv.len()).unwrap_or(c_int::MAX);
        // SAFETY: argc pointers to NUL-terminated strings that live through the call, which
        // copies them and does not write to them.
        let outer = unsafe { (self.0.connect)(argc, argv.as_mut_ptr()) };
        let outer = NonNull::new(outer).ok_or(ConnectError::Refused)?;
        // SAFETY: a non-null return points to the connection's handle until chdb_close_conn.
        let handle = unsafe { *outer.as_ptr() };
        if handle.is_null() {
            return Err(ConnectError::Refused);
        }
        Ok(Connection { library: self.clone(), outer, handle })
    }

    /// Stops the engine's threads. Every connection must be closed. False when one is still open.
    #[must_use]
    pub fn shutdown(&self) -> bool {
        // SAFETY: no arguments; refuses by itself while a connection is open.
        unsafe { (self.0.shutdown)() == 0 }
    }
}

/// One session with the engine; one statement at a time.
pub struct Connection {
    library: Library,
    outer: NonNull<Handle>,
    handle: Handle,
}

// SAFETY: the library locks a connection for each call and keeps nothing in thread-locals between
// calls; it only asks that calls on one connection are not concurrent, which `&mut self` ensures.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: made by chdb_connect, closed once. Streams borrow the connection, so none lives.
        unsafe { (self.library.0.close)(self.outer.as_ptr()) }
    }
}

/// Pointers and lengths of bound parameters; borrows them.
struct Bound<'a> {
    names: Vec<*const c_char>,
    name_lens: Vec<usize>,
    values: Vec<*const c_char>,
    value_lens: Vec<usize>,
    lives: PhantomData<&'a [(String, String)]>,
}

impl<'a> Bound<'a> {
    fn new(params: &'a [(String, String)]) -> Self {
        Bound {
            names: params.iter().map(|(n, _)| n.as_ptr().cast()).collect(),
            name_lens: params.iter().map(|(n, _)| n.len()).collect(),
            values: params.iter().map(|(_, v)| v.as_ptr().cast()).collect(),
            value_lens: params.iter().map(|(_, v)| v.len()).collect(),
            lives: PhantomData,
        }
    }
}

impl Connection {
    /// What `sql` would do, without running it.
    pub fn classify(&mut self, sql: &[u8]) -> Classified {
        let size = u32::try_from(size_of::<Analysis>()).unwrap_or(0);
        let mut out = Analysis { struct_size: size, statement_count: 0, flags: 0, query_class: 4 };
        // SAFETY: the text lives through the call; a null target skips that judgement; `out` has
        // the size it says.
        let state = unsafe {
            (self.library.0.classify)(self.handle, sql.as_ptr().cast(), sql.len(), ptr::null(), 0, &raw mut out)
        };
        let class = match (state, out.query_class) {
            (0, 0) => Class::ReadOnly,
            (0, 1) => Class::Mutating,
            (0, 2) => Class::MutatingGlobal,
            (0, 3) => Class::Control,
            _ => Class::Unknown,
        };
        Classified { statements: out.statement_count, class }
    }

    fn call(&mut self, call: &QueryParams, sql: &[u8], format: &str, params: &[(String, String)]) -> Handle {
        let b = Bound::new(params);
        // SAFETY: all pointers come with their lengths and live through the call, which copies
        // what it keeps (the header says so of parameters; SQL and format become strings).
        unsafe {
            call(
                self.handle,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                b.names.as_ptr(),
                b.name_lens.as_ptr(),
                b.values.as_ptr(),
                b.value_lens.as_ptr(),
                params.len(),
            )
        }
    }

    /// Runs any statement and returns its whole output.
    ///
    /// Errors: [`Failure`] with the engine's text.
    pub fn query(&mut self, sql: &[u8], format: &str, params: &[(String, String)]) -> Result<Output, Failure> {
        let call = *self.library.0.query;
        let handle = self.call(&call, sql, format, params);
        Output::checked(&self.library, handle)
    }

    /// Starts a SELECT whose output is fetched piece by piece. It may run only at the first fetch.
    ///
    /// Errors: [`Failure`]; other statements than SELECT are refused before anything is done
    /// (see [`Failure::is_not_streamable`]).
    pub fn stream(&mut self, sql: &[u8], format: &str, params: &[(String, String)]) -> Result<Stream<'_>, Failure> {
        let call = *self.library.0.stream_query;
        let handle = self.call(&call, sql, format, params);
        let output = Output::checked(&self.library, handle)?;
        Ok(Stream::new(self, output))
    }

    /// Starts an INSERT (without FORMAT and data) that takes its data in `format` piece by piece.
    ///
    /// Errors: [`Failure`].
    pub fn insert(&mut self, sql: &[u8], format: &str, params: &[(String, String)]) -> Result<Insert<'_>, Failure> {
        let call = *self.library.0.insert;
        let handle = self.call(&call, sql, format, params);
        let insert = Insert::new(self, handle);
        match insert.error() {
            Some(error) => Err(error),
            None => Ok(insert),
        }
    }
}

impl Failure {
    /// Whether [`Connection::stream`] refused because the statement is no SELECT; use
    /// [`Connection::query`].
    #[must_use]
    pub fn is_not_streamable(&self) -> bool {
        self.0.contains("Streaming query is not supported for query")
    }
}

fn text(message: *const c_char) -> Option<String> {
    if message.is_null() {
        return None;
    }
    // SAFETY: the library returns null or a NUL-terminated string that lives with its handle, and
    // the caller holds the handle.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}
