//! A TCP proxy before the database that loses what it is told to lose.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread;

/// What happens at the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Nothing.
    Never = 0,
    /// The server never hears of it: the connection ends.
    Before = 1,
    /// The server has done it, and the connection ends before the answer.
    Answer = 2,
    /// The server hears of it, and no byte passes any more; the connection stays.
    Silence = 3,
    /// The server never hears of it, no byte passes any more, and the connection stays: it holds
    /// its locks until it gives up by itself.
    Stuck = 4,
}

pub struct Proxy {
    pub address: SocketAddr,
    cut: Arc<AtomicU8>,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    pub fn new(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicU32::new(0)));
        let (server, shared) = (server.to_owned(), (Arc::clone(&cut), Arc::clone(&cuts)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let (client_2, upstream_2) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let (cut, cuts) = shared.clone();
                let mode = Arc::new(AtomicU8::new(0));
                let answers = Arc::clone(&mode);
                thread::spawn(move || requests(client, upstream, &cut, &cuts, &mode));
                thread::spawn(move || replies(upstream_2, client_2, &answers));
            }
        });
        Proxy { address, cut, cuts }
    }

    /// Arms one cut.
    pub fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Cuts so far.
    pub fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn requests(mut client: TcpStream, mut server: TcpStream, cut: &AtomicU8, cuts: &AtomicU32, mode: &AtomicU8) {
    let mut buffer = [0; 16_384];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        let bytes = &buffer[..n];
        let commits = bytes.windows(7).any(|w| w == b"\x03COMMIT");
        let now = if commits { cut.swap(0, Ordering::SeqCst) } else { 0 };
        if now != 0 {
            cuts.fetch_add(1, Ordering::SeqCst);
            mode.store(now, Ordering::SeqCst);
        }
        if mode.load(Ordering::SeqCst) == Cut::Before as u8 {
            break;
        }
        if mode.load(Ordering::SeqCst) == Cut::Stuck as u8 {
            continue;
        }
        if server.write_all(bytes).is_err() {
            break;
        }
    }
    if ![Cut::Silence as u8, Cut::Stuck as u8].contains(&mode.load(Ordering::SeqCst)) {
        let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
    } else {
        // Kept open for ever: this end of the connection has gone without a word.
        std::mem::forget(server);
    }
}

fn replies(mut server: TcpStream, mut client: TcpStream, mode: &AtomicU8) {
    let mut buffer = [0; 16_384];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        match mode.load(Ordering::SeqCst) {
            m if m == Cut::Answer as u8 => break,
            m if m == Cut::Silence as u8 || m == Cut::Stuck as u8 => {}
            _ if client.write_all(&buffer[..n]).is_err() => break,
            _ => {}
        }
    }
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
}
