//! The listening sockets: TCP, and a Unix socket when configured.

use socket2::{Domain, Protocol, Socket, Type};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Why the sidecar cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// What was to be bound.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The same for the Unix socket.
    #[error("cannot listen on {path}: {source}")]
    Unix {
        /// What was to be bound.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Another process answers on the Unix socket.
    #[error("another process listens on {0}; stop it first, or choose another path")]
    Taken(PathBuf),
    /// Something else than a socket is in the way.
    #[error("{0} exists and is no socket; it is left alone, choose another path")]
    InTheWay(PathBuf),
}

/// A listener on `address`. Connections whose peer takes in nothing for `peer_timeout` are cut.
///
/// Errors: [`ListenError::Tcp`].
pub fn tcp(address: SocketAddr, peer_timeout: Duration) -> Result<TcpListener, ListenError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it (Linux).
        socket.set_tcp_user_timeout(Some(peer_timeout))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|source| ListenError::Tcp { address, source })
}

/// The Unix socket's file; removed on drop, if it is still the one that was made.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket file could not be removed");
        }
    }
}

/// A Unix socket with mode 0660. A file left by a dead process is replaced, one that somebody
/// listens on is not.
///
/// Errors: [`ListenError`].
pub fn unix(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let fail = |source| ListenError::Unix { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => return Err(ListenError::InTheWay(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(ListenError::Taken(path.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(e) => return Err(fail(e)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(fail(e)),
    }
    // Bound aside and renamed: nobody connects before the mode is set.
    let mut aside = path.as_os_str().to_owned();
    aside.push("~");
    let aside = PathBuf::from(aside);
    match fs::remove_file(&aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&aside).map_err(fail)?;
    let ready = || -> io::Result<u64> {
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o660))?;
        listener.set_nonblocking(true)?;
        fs::rename(&aside, path)?;
        Ok(fs::symlink_metadata(path)?.ino())
    };
    let inode = ready().map_err(fail)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_sockets_file_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidecar.sock");
        let dead = UnixListener::bind(&path).unwrap();
        drop(dead);
        let (_listener, file) = unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(unix(&path), Err(ListenError::Taken(_))));
        drop(file);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(matches!(unix(&path), Err(ListenError::InTheWay(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
