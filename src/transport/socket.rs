//! What a WebSocket connection reads and writes: TCP, or TLS over it. Nothing in here waits: the
//! shard hears from its poller when there is something to do.
//!
//! What the socket does not accept is not written. Over TLS bytes that were accepted may still wait,
//! encrypted, for the socket: [`Socket::is_pending`] says so, and the next write, be it empty, lets
//! them out first.

use std::io::{self, IoSlice, Read as _, Write};
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ServerConnection;
use socket2::SockRef;

/// A socket of either kind; it never blocks.
pub(super) struct Socket {
    kind: Kind,
    /// Whether it takes nothing, as a socket whose peer does not read.
    stalled: bool,
}

enum Kind {
    /// Bytes go out as they are.
    Plain(TcpStream),
    /// Bytes go out encrypted; the handshake is over.
    Tls(Box<(TcpStream, ServerConnection)>),
}

/// What came of a read that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many bytes came; 0 at the end of the stream.
    pub(super) bytes: usize,
    /// Whether the next read would find nothing, unless the poller says otherwise.
    pub(super) drained: bool,
}

impl Socket {
    /// A TCP socket that does not block.
    pub(super) fn plain(tcp: std::net::TcpStream) -> Self {
        Self::of(Kind::Plain(TcpStream::from_std(tcp)))
    }

    /// A TCP socket that does not block, and its TLS.
    pub(super) fn tls(tcp: std::net::TcpStream, tls: ServerConnection) -> Self {
        Self::of(Kind::Tls(Box::new((TcpStream::from_std(tcp), tls))))
    }

    fn of(kind: Kind) -> Self {
        let stalled = false;
        Self { kind, stalled }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.kind {
            Kind::Plain(tcp) => tcp,
            Kind::Tls(tls) => &tls.0,
        }
    }

    /// From now on it takes nothing that is written, or again as much as the peer does.
    pub(super) fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// Whether it takes nothing.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// The peer's address, if it is still there.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.tcp().peer_addr().ok()
    }

    /// Has the poller tell when there is something to read or room to write; once for each change.
    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut self.kind {
            Kind::Plain(tcp) => tcp.register(registry, token, interest),
            Kind::Tls(tls) => tls.0.register(registry, token, interest),
        }
    }

    /// Takes what is there, as far as there is room for it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is there; any other when the socket is broken.
    pub(super) fn try_read(&mut self, into: &mut [u8]) -> io::Result<Taken> {
        match &mut self.kind {
            Kind::Plain(tcp) => {
                let bytes = tcp.read(into)?;
                let drained = bytes < into.len();
                Ok(Taken { bytes, drained })
            }
            Kind::Tls(tls) => {
                let bytes = read_encrypted(&tls.0, &mut tls.1, into)?;
                let drained = false;
                Ok(Taken { bytes, drained })
            }
        }
    }

    /// Writes as much as is accepted now, and returns how much that is.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing moved; any other when the socket is broken.
    pub(super) fn try_write(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<usize> {
        if self.stalled {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match (&mut self.kind, &*pieces) {
            (Kind::Plain(tcp), [one]) => tcp.write(one),
            (Kind::Plain(tcp), many) => tcp.write_vectored(many),
            (Kind::Tls(tls), _) => write_encrypted(&tls.0, &mut tls.1, pieces),
        }
    }

    /// Whether bytes that were accepted wait for the socket to take more.
    pub(super) fn is_pending(&self) -> bool {
        match &self.kind {
            Kind::Plain(_) => false,
            Kind::Tls(tls) => tls.1.wants_write(),
        }
    }

    /// Tells the peer that nothing more follows. False when something still waits: then again later.
    pub(super) fn finish(&mut self) -> bool {
        if let Kind::Tls(tls) = &mut self.kind {
            // Said once, however often it is asked for.
            tls.1.send_close_notify();
            // A socket that is broken has nothing to wait for.
            if matches!(
                let_out(&tls.0, &mut tls.1),
                Ok(Progress { done: false, .. })
            ) {
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

/// Decrypts as much as is there.
fn read_encrypted(
    mut tcp: &TcpStream,
    tls: &mut ServerConnection,
    into: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.reader().read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The end, said in TLS or not: both are an end, and messages are whole in themselves.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            read => return read,
        }
        tls.read_tls(&mut tcp)?;
        let read = tls.process_new_packets().map_err(io::Error::other);
        // What TLS has to say about it (an alert, a new key) goes out with the next write at the latest.
        let_out(tcp, tls)?;
        read?;
    }
}

/// How far encrypted bytes got.
struct Progress {
    /// Whether the socket took any.
    moved: bool,
    /// Whether none is left.
    done: bool,
}

fn let_out(mut tcp: &TcpStream, tls: &mut ServerConnection) -> io::Result<Progress> {
    let mut moved = false;
    while tls.wants_write() {
        match tls.write_tls(&mut tcp) {
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
    tcp: &TcpStream,
    tls: &mut ServerConnection,
    mut pieces: &mut [IoSlice<'_>],
) -> io::Result<usize> {
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
