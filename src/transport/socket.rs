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

/// What came of a write that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// How many bytes were accepted.
    pub(super) bytes: usize,
    /// How many went out to the system meanwhile; over TLS encrypted ones, also of earlier writes.
    pub(super) moved: usize,
}

impl Written {
    /// All that was accepted is out.
    const fn plain(bytes: usize) -> Self {
        let moved = bytes;
        Self { bytes, moved }
    }
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
    pub(super) fn try_write(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<Written> {
        if self.stalled {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match (&mut self.kind, &*pieces) {
            (Kind::Plain(tcp), [one]) => tcp.write(one).map(Written::plain),
            (Kind::Plain(tcp), many) => tcp.write_vectored(many).map(Written::plain),
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
    /// How many of them the socket took.
    moved: usize,
    /// Whether none is left.
    done: bool,
}

fn let_out(mut tcp: &TcpStream, tls: &mut ServerConnection) -> io::Result<Progress> {
    let mut moved = 0;
    while tls.wants_write() {
        match tls.write_tls(&mut tcp) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => moved += count,
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
) -> io::Result<Written> {
    let mut written = Written::plain(0);
    loop {
        let Progress { moved, done } = let_out(tcp, tls)?;
        written.moved += moved;
        // Empty pieces are let go of, so that nothing is left when there is nothing to write.
        IoSlice::advance_slices(&mut pieces, 0);
        if !done && written == Written::plain(0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !done || pieces.is_empty() {
            return Ok(written);
        }
        // All pieces together make as few records as can be.
        let taken = tls.writer().write_vectored(pieces)?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        written.bytes += taken;
        IoSlice::advance_slices(&mut pieces, taken);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

    use super::*;

    /// A TLS socket, and the bare TCP of its peer behind the handshake.
    fn pair() -> (Socket, StdStream) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let greeted = std::thread::spawn(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = ClientConnection::new(Arc::new(client), name).unwrap();
            while tls.is_handshaking() {
                tls.complete_io(&mut near).unwrap();
            }
            near
        });
        let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut far).unwrap();
        }
        far.set_nonblocking(true).unwrap();
        (Socket::tls(far, tls), greeted.join().unwrap())
    }

    #[test]
    fn over_tls_what_the_peer_takes_has_moved_also_when_nothing_new_is_accepted() {
        let (mut socket, mut peer) = pair();
        let much = [0; 64 * 1024];
        let mut accepted = 0;
        loop {
            match socket.try_write(&mut [IoSlice::new(&much)]) {
                Ok(written) => accepted += written.bytes,
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(socket.is_pending());
        // All but the last piece is out, so the peer can take so much.
        let mut taken = vec![0; accepted - much.len()];
        peer.read_exact(&mut taken).unwrap();
        let nothing = Written::plain(0);
        let written = loop {
            match socket.try_write(&mut []) {
                Ok(written) if written != nothing => break written,
                Ok(_) => panic!("nothing waits"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::yield_now();
        };
        assert_eq!(written.bytes, 0);
        assert!(written.moved > 0);
    }
}
