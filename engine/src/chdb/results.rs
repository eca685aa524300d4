//! Handles that a statement leaves: results, streams of results, inserts under way.
#![expect(unsafe_code, reason = "the foreign-function boundary to the engine's C library")]

use super::{Connection, Failure, Handle, Library, text};

/// A result of the engine, freed on drop.
pub struct Output {
    library: Library,
    handle: Handle,
}

// SAFETY: a result is plain memory of the library, not tied to a thread.
unsafe impl Send for Output {}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: made by a query call, destroyed once.
        unsafe { (self.library.0.destroy_result)(self.handle) }
    }
}

impl Output {
    pub(super) fn checked(library: &Library, handle: Handle) -> Result<Output, Failure> {
        if handle.is_null() {
            return Err(Failure(
                "Code: 1002. DB::Exception: the engine gave no result. (UNKNOWN_EXCEPTION)".to_owned(),
            ));
        }
        let output = Output { library: library.clone(), handle };
        // SAFETY: the handle is live; the text belongs to it and is copied here.
        match text(unsafe { (library.0.error)(handle) }) {
            Some(error) => Err(Failure(error)),
            None => Ok(output),
        }
    }

    /// The bytes in the format asked for.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the handle is live; buffer and length describe memory it owns until drop.
        unsafe {
            let (data, len) = ((self.library.0.buffer)(self.handle), (self.library.0.length)(self.handle));
            if data.is_null() || len == 0 { &[] } else { std::slice::from_raw_parts(data, len) }
        }
    }

    /// Rows and bytes read and written, for `X-ClickHouse-Summary`.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let c = &self.library.0;
        // SAFETY: plain getters on a live handle.
        unsafe {
            Summary {
                read_rows: (c.rows_read)(self.handle),
                read_bytes: (c.bytes_read)(self.handle),
                written_rows: (c.rows_written)(self.handle),
                written_bytes: (c.bytes_written)(self.handle),
            }
        }
    }
}

/// What a statement read and wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows of the result.
    pub read_rows: u64,
    /// Bytes of the result in the engine's memory.
    pub read_bytes: u64,
    /// Rows inserted, those of materialized views included.
    pub written_rows: u64,
    /// Bytes inserted, likewise.
    pub written_bytes: u64,
}

/// A SELECT under way; dropping it cancels what is left.
pub struct Stream<'a> {
    connection: &'a mut Connection,
    output: Output,
    ended: bool,
}

impl<'a> Stream<'a> {
    /// Takes over the handle of a SELECT that was begun.
    pub(super) fn new(connection: &'a mut Connection, output: Output) -> Stream<'a> {
        Stream { connection, output, ended: false }
    }

    /// The next piece of output; `None` at the end. Blocks while the engine computes.
    ///
    /// Errors: [`Failure`]; the stream has ended then.
    pub fn fetch(&mut self) -> Result<Option<Output>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let library = self.connection.library.clone();
        // SAFETY: connection and stream are live, and `&mut self` serialises fetches.
        let handle = unsafe { (library.0.stream_fetch)(self.connection.handle, self.output.handle) };
        let piece = Output::checked(&library, handle).inspect_err(|_| self.ended = true)?;
        if piece.bytes().is_empty() {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(piece))
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: connection and stream are live; the stream's result is destroyed after this.
            unsafe { (self.connection.library.0.stream_cancel)(self.connection.handle, self.output.handle) }
        }
    }
}

/// An INSERT under way; dropping it without [`Insert::finish`] aborts it.
pub struct Insert<'a> {
    connection: &'a mut Connection,
    handle: Handle,
    finished: bool,
}

impl<'a> Insert<'a> {
    /// Takes over the handle of an INSERT that was begun; it may hold an error.
    pub(super) fn new(connection: &'a mut Connection, handle: Handle) -> Insert<'a> {
        Insert { connection, handle, finished: false }
    }

    pub(super) fn error(&self) -> Option<Failure> {
        // SAFETY: the handle is live; the text belongs to it and is copied here.
        text(unsafe { (self.connection.library.0.insert_error)(self.handle) }).map(Failure)
    }

    /// Hands over the next piece of data (copied); waits while the engine is behind.
    ///
    /// Returns false when the engine has given up; [`Insert::finish`] then tells why.
    pub fn append(&mut self, data: &[u8]) -> bool {
        // SAFETY: the handle is live and not finished; the bytes are copied during the call.
        unsafe { (self.connection.library.0.insert_append)(self.handle, data.as_ptr().cast(), data.len()) == 0 }
    }

    /// Says that the data is whole; returns once it is inserted.
    ///
    /// Errors: [`Failure`].
    pub fn finish(mut self) -> Result<Summary, Failure> {
        self.finished = true;
        let library = self.connection.library.clone();
        // SAFETY: the handle is live and finished once; it is destroyed on drop, after this.
        let handle = unsafe { (library.0.insert_done)(self.handle) };
        Output::checked(&library, handle).map(|o| o.summary())
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        let calls = &self.connection.library.0;
        // SAFETY: the handle is live; cancelled at most once and destroyed once.
        unsafe {
            if !self.finished {
                (calls.insert_cancel)(self.handle);
            }
            (calls.insert_destroy)(self.handle);
        }
    }
}
