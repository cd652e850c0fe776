//! What a connection reads and writes: TCP, or TLS over it.
//!
//! The turn writes without a waker and takes what the socket does not accept as not written. Over TLS
//! bytes that were accepted may still wait, encrypted, for the socket: [`Socket::is_pending`] says so,
//! and the next write, be it empty, lets them out first.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A socket of either kind.
pub(super) enum Socket {
    /// Bytes go out as they are.
    Plain(TcpStream),
    /// Bytes go out encrypted; the handshake is over.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Writes as much as is accepted now, and returns how much that is.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing moved; any other when the socket is broken.
    pub(super) fn try_write(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<usize> {
        match (self, &*pieces) {
            (Self::Plain(tcp), [one]) => tcp.try_write(one),
            (Self::Plain(tcp), many) => tcp.try_write_vectored(many),
            (Self::Tls(tls), _) => write_encrypted(tls, pieces),
        }
    }

    /// Whether bytes that were accepted wait for the socket to take more.
    pub(super) fn is_pending(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
        }
    }

    /// Ready when the socket may take more.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_write_ready(cx)
    }

    /// Tells the peer that nothing more follows. False when something still waits: then again later.
    pub(super) fn finish(&mut self) -> bool {
        if let Self::Tls(tls) = self {
            let (tcp, tls) = tls.get_mut();
            // Said once, however often it is asked for.
            tls.send_close_notify();
            // A socket that is broken has nothing to wait for.
            if matches!(let_out(tcp, tls), Ok(Progress { done: false, .. })) {
                return false;
            }
        }
        let _ = SockRef::from(self.tcp()).shutdown(std::net::Shutdown::Write);
        true
    }

    /// Ends the connection at once; its reader will see the end.
    pub(super) fn cut_off(&self) {
        let _ = SockRef::from(self.tcp()).shutdown(std::net::Shutdown::Both);
    }
}

/// How far encrypted bytes got.
struct Progress {
    /// Whether the socket took any.
    moved: bool,
    /// Whether none is left.
    done: bool,
}

fn let_out(tcp: &TcpStream, tls: &mut rustls::ServerConnection) -> io::Result<Progress> {
    let mut moved = false;
    while tls.wants_write() {
        match tls.write_tls(&mut Direct(tcp)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => moved = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Progress { moved, done: false });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Progress { moved, done: true })
}

/// Encrypts as much as the connection's buffer (64 KiB) holds, lets it out, and so on until the
/// socket takes no more.
fn write_encrypted(
    stream: &mut TlsStream<TcpStream>,
    mut pieces: &mut [IoSlice<'_>],
) -> io::Result<usize> {
    let (tcp, tls) = stream.get_mut();
    let (mut accepted, mut any_moved) = (0, false);
    loop {
        let Progress { moved, done } = let_out(tcp, tls)?;
        any_moved |= moved;
        // Empty pieces are let go of, so that nothing is left when there is nothing to write.
        IoSlice::advance_slices(&mut pieces, 0);
        if !done && !any_moved && accepted == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !done || pieces.is_empty() {
            return Ok(accepted);
        }
        // All pieces together make as few records as can be.
        let taken = tls.writer().write_vectored(pieces)?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        accepted += taken;
        IoSlice::advance_slices(&mut pieces, taken);
    }
}

/// Writes without a waker.
struct Direct<'a>(&'a TcpStream);

impl Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }
}

/// For HTTP, before the socket becomes a connection.
impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
