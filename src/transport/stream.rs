//! A connection while it speaks HTTP: TCP, or TLS over it. A peer that takes nothing of what waits for
//! it ends it after a while.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::socket::Socket;

/// A stream of either kind.
pub(super) struct Stream {
    kind: Kind,
    /// How long the peer may take nothing while something waits for it.
    patience: Duration,
    /// Until when it has to take something.
    stalled: Option<Pin<Box<Sleep>>>,
}

pub(super) enum Kind {
    /// Bytes go out as they are.
    Plain(TcpStream),
    /// Bytes go out encrypted; the handshake is over.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// A stream whose peer may take nothing for this long, while something waits for it.
    pub(super) const fn new(kind: Kind, patience: Duration) -> Self {
        Self {
            kind,
            patience,
            stalled: None,
        }
    }

    /// What came of a write, in time.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        let too_late = || io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing");
        stalled.as_mut().poll(cx).map(|()| Err(too_late()))
    }

    /// The socket itself, which no longer belongs to the runtime.
    ///
    /// # Errors
    /// When the system refuses to let go of it.
    pub(super) fn into_socket(self) -> io::Result<Socket> {
        Ok(match self.kind {
            Kind::Plain(tcp) => Socket::plain(tcp.into_std()?),
            Kind::Tls(stream) => {
                let (tcp, tls) = stream.into_inner();
                Socket::tls(tcp.into_std()?, tls)
            }
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Kind::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let written = match &mut stream.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Kind::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        };
        stream.in_time(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let written = match &mut stream.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Kind::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        };
        stream.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let written = match &mut stream.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        stream.in_time(cx, written)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let written = match &mut stream.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        };
        stream.in_time(cx, written)
    }
}
