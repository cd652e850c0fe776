//! Many WebSocket connections on one thread. Every read goes into one big buffer; a connection keeps
//! bytes of its own only where a frame came in part.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Outcome;
use crate::wire::{self, CLOSE, PING, PONG};

const BUFFER: usize = 1 << 20;
/// Connections that are being opened at once.
const OPENING: usize = 128;
/// Each of the load's addresses uses this many ports, below those that the kernel gives out.
const PORTS: usize = 5_000;
const FIRST_PORT: u16 = 20_000;
/// `EINPROGRESS`: what a connect that does not wait says.
const IN_PROGRESS: i32 = 115;
/// How long nothing may happen while something is awaited.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gets what comes in.
pub trait Handler {
    /// The payload of a text or binary frame of a connection. `now` is when it was read.
    fn frame(&mut self, id: usize, payload: &[u8], now: Instant);
}

struct Connection {
    stream: TcpStream,
    state: State,
    rest: Vec<u8>,
    out: Vec<u8>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum State {
    Connecting,
    Upgrading,
    Greeting,
    Open,
}

/// How a connection is opened after the upgrade.
pub trait Greeting {
    /// The frames that are sent first.
    fn first(&self, id: usize) -> Vec<u8>;
    /// Whether this payload says that all is done.
    fn is_done(&self, payload: &[u8]) -> bool;
}

/// The connections.
pub struct Swarm {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    /// Why a connection ended, if one did.
    pub lost: Option<String>,
    /// Time spent waiting for something to do.
    pub idle: Duration,
}

impl Swarm {
    /// No connection yet.
    pub fn new() -> Outcome<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            connections: Vec::new(),
            buffer: vec![0; BUFFER],
            lost: None,
            idle: Duration::ZERO,
        })
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Opens `count` more connections and greets on each.
    pub fn open(&mut self, addr: SocketAddr, count: usize, greeting: &dyn Greeting) -> Outcome<()> {
        let target = self.len() + count;
        let mut opener = Opener {
            greeting,
            done: VecDeque::new(),
        };
        let mut opening = 0;
        let mut last = Instant::now();
        while opening > 0 || self.len() < target {
            while opening < OPENING && self.len() < target {
                self.connect(addr)?;
                opening += 1;
            }
            self.turn_with(
                Some(Duration::from_millis(100)),
                &mut opener,
                Some(greeting),
            )?;
            while let Some(id) = opener.done.pop_front() {
                if self.connections[id].state == State::Greeting {
                    self.connections[id].state = State::Open;
                    opening -= 1;
                    last = Instant::now();
                }
            }
            self.check()?;
            if last.elapsed() > PATIENCE {
                return Err(format!("{opening} connections are not set up").into());
            }
        }
        Ok(())
    }

    fn connect(&mut self, addr: SocketAddr) -> Outcome<()> {
        let mut stream = connect(self.len(), addr)?;
        let token = Token(self.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, token, interest)?;
        self.connections.push(Connection {
            stream,
            state: State::Connecting,
            rest: Vec::new(),
            out: Vec::new(),
        });
        Ok(())
    }

    /// An error if a connection was lost.
    pub fn check(&mut self) -> Outcome<()> {
        self.lost.take().map_or(Ok(()), |why| Err(why.into()))
    }

    /// Waits for something to come in, at most for `timeout`, and handles all that has.
    pub fn turn(&mut self, timeout: Option<Duration>, handler: &mut impl Handler) -> Outcome<()> {
        self.turn_with(timeout, handler, None)
    }

    fn turn_with(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut impl Handler,
        greeting: Option<&dyn Greeting>,
    ) -> Outcome<()> {
        let before = Instant::now();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.idle += before.elapsed();
        for event in &self.events {
            let id = event.token().0;
            let connection = &mut self.connections[id];
            let result = if event.is_writable() {
                connection.writable()
            } else {
                Ok(())
            };
            let result =
                result.and_then(|()| connection.readable(id, &mut self.buffer, handler, greeting));
            if let Err(why) = result {
                let _ = self.poll.registry().deregister(&mut connection.stream);
                self.lost
                    .get_or_insert_with(|| format!("connection {id}: {why}"));
            }
        }
        Ok(())
    }

    /// Sends bytes on a connection; what the kernel does not take waits.
    pub fn send(&mut self, id: usize, bytes: &[u8]) -> Outcome<()> {
        self.connections[id].send(bytes)
    }
}

impl Connection {
    fn writable(&mut self) -> Outcome<()> {
        if self.state == State::Connecting {
            if let Some(error) = self.stream.take_error()? {
                return Err(error.into());
            }
            self.stream.set_nodelay(true)?;
            self.state = State::Upgrading;
            return self.send(wire::UPGRADE);
        }
        if !self.out.is_empty() {
            let waiting = std::mem::take(&mut self.out);
            self.send(&waiting)?;
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while self.out.is_empty() && !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn readable(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        handler: &mut impl Handler,
        greeting: Option<&dyn Greeting>,
    ) -> Outcome<()> {
        loop {
            let kept = self.rest.len();
            buffer[..kept].copy_from_slice(&self.rest);
            let came = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(came) => came,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            let filled = kept + came;
            let used = self.take(id, &buffer[..filled], handler, greeting, now)?;
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[used..filled]);
            // After a short read the kernel tells when more has come.
            if filled < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Handles all whole frames and says how many bytes they were.
    #[inline]
    fn take(
        &mut self,
        id: usize,
        bytes: &[u8],
        handler: &mut impl Handler,
        greeting: Option<&dyn Greeting>,
        now: Instant,
    ) -> Outcome<usize> {
        let mut at = 0;
        if self.state == State::Upgrading {
            let Some(end) = wire::find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(String::from_utf8_lossy(&bytes[..end]).into());
            }
            at = end + 4;
            self.state = State::Greeting;
            if let Some(greeting) = greeting {
                self.send(&greeting.first(id))?;
            }
        }
        while let Some(frame) = wire::frame(bytes, at) {
            let payload = &bytes[frame.start..frame.end];
            at = frame.end;
            match frame.opcode {
                PING => {
                    let mut answer = Vec::new();
                    wire::masked(&mut answer, PONG, payload);
                    self.send(&answer)?;
                }
                CLOSE => return Err(close_text(payload).into()),
                PONG => {}
                _ => handler.frame(id, payload, now),
            }
        }
        Ok(at)
    }
}

/// Begins to connect from an address and port of its own: to look for a free one takes the kernel
/// longer than all the rest once some ten thousand are taken.
fn connect(id: usize, addr: SocketAddr) -> Outcome<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    let host = Ipv4Addr::new(127, 0, 1, 1 + (id / PORTS) as u8);
    let port = FIRST_PORT + (id % PORTS) as u16;
    socket.bind(&SocketAddr::from((host, port)).into())?;
    match socket.connect(&addr.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error.into()),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

fn close_text(payload: &[u8]) -> String {
    let code = payload
        .get(..2)
        .map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
    format!("closed by the server with {code} {reason}")
}

/// Notes which connections have been greeted.
struct Opener<'a> {
    greeting: &'a dyn Greeting,
    done: VecDeque<usize>,
}

impl Handler for Opener<'_> {
    fn frame(&mut self, id: usize, payload: &[u8], _: Instant) {
        if self.greeting.is_done(payload) {
            self.done.push_back(id);
        }
    }
}
