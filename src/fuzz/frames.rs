//! Our frame reader beside tungstenite's: what it takes, tungstenite takes for the same.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use crate::websocket::{Fault, Incoming, Reader};

/// The largest message. Control frames have room in it: tungstenite holds them to it as well.
const LIMIT: usize = 300;
/// Bytes of an input before the stream.
const PLAN: usize = 8;

/// The first bytes say where the network cuts the stream and where the reader is held up; the rest is
/// the stream.
pub fn run(data: &[u8]) {
    let (plan, stream) = data.split_at(data.len().min(PLAN));
    let cuts: Vec<usize> = plan.iter().map(|byte| usize::from(byte >> 1)).collect();
    let pieces = cut(stream, &cuts);
    let pauses = plan.iter().map(|byte| byte & 1 == 1);
    let (mut ours, mut theirs) = (ours(&pieces, pauses), theirs(&pieces, Role::Server));
    comparable(&ours, &mut theirs);
    if matches!(ours.last(), Some(Event::Failed(_))) {
        // It refuses more, and sooner: it does not wait for the payload of a frame that is wrong.
        ours.pop();
        theirs.truncate(ours.len());
    }
    assert_eq!(ours, theirs, "ours beside tungstenite");
}

/// A stream as the network delivers it, in pieces of these lengths and a last one.
pub(super) fn cut(mut stream: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = stream.split_at((*length).min(stream.len()));
        pieces.push(piece.to_vec());
        stream = rest;
    }
    pieces.push(stream.to_vec());
    pieces
}

/// What a reader tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Text(String),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Failed(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Protocol,
    Utf8,
    TooBig,
}

impl Event {
    fn is_last(&self) -> bool {
        matches!(self, Self::Binary | Self::Close(_) | Self::Failed(_))
    }
}

/// What our reader makes of the pieces. It is held up at some messages, as a busy connection does.
pub(super) fn ours(pieces: &[Vec<u8>], mut pauses: impl Iterator<Item = bool>) -> Vec<Event> {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let mut pieces = pieces.iter().cloned();
    let mut held_up = false;
    loop {
        let mut piece = match held_up {
            true => Vec::new(),
            false => match pieces.next() {
                Some(piece) => piece,
                None => return seen,
            },
        };
        held_up = false;
        let read = reader.feed(&mut piece, LIMIT, |incoming| {
            seen.push(match incoming {
                Incoming::Text(text) => Event::Text(text.to_owned()),
                Incoming::Binary => Event::Binary,
                Incoming::Ping(payload) => Event::Ping(payload.to_vec()),
                Incoming::Pong => Event::Pong,
                Incoming::Close(code) => Event::Close(code),
                // A piece is no message yet.
                Incoming::Crumb => return ControlFlow::Continue(()),
            });
            held_up = seen.last().is_some_and(Event::is_last) || pauses.next() == Some(true);
            match held_up {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if let Err(fault) = read {
            seen.push(Event::Failed(match fault {
                Fault::Protocol(_) => Kind::Protocol,
                Fault::Utf8 => Kind::Utf8,
                Fault::TooBig => Kind::TooBig,
            }));
        }
        if seen.last().is_some_and(Event::is_last) {
            return seen;
        }
    }
}

/// The network as tungstenite sees it. Differences in what it tells of:
///
/// * A binary message; ours ends at its first header.
/// * A close code that must not be sent: it answers 1002 and calls that the close; to ours it is a
///   fault, which is answered with 1002.
/// * 1014, which was registered later, is such a code to it.
struct Theirs<'a> {
    pieces: std::slice::Iter<'a, Vec<u8>>,
    rest: &'a [u8],
}

impl Read for Theirs<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let next = self.pieces.next().ok_or(io::ErrorKind::WouldBlock)?;
            self.rest = next;
        }
        self.rest.read(into)
    }
}

impl Write for Theirs<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn theirs(pieces: &[Vec<u8>], role: Role) -> Vec<Event> {
    let network = Theirs {
        pieces: pieces.iter(),
        rest: &[],
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(network, role, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Text(text.to_string()),
            Ok(Message::Binary(_)) => Event::Binary,
            Ok(Message::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(Message::Pong(_)) => Event::Pong,
            Ok(Message::Close(None)) => Event::Close(None),
            Ok(Message::Close(Some(close))) => match close.code {
                CloseCode::Protocol if close.reason == "Protocol violation" => {
                    Event::Failed(Kind::Protocol)
                }
                code => Event::Close(Some(code.into())),
            },
            Ok(Message::Frame(frame)) => panic!("{frame:?}"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return seen,
            Err(Error::Protocol(_)) => Event::Failed(Kind::Protocol),
            Err(Error::Utf8(_)) => Event::Failed(Kind::Utf8),
            Err(Error::Capacity(_)) => Event::Failed(Kind::TooBig),
            Err(error) => panic!("{error}"),
        });
        if seen.last().is_some_and(Event::is_last) {
            return seen;
        }
    }
}

/// Takes from both what only one of them tells.
pub(super) fn comparable(ours: &[Event], theirs: &mut Vec<Event>) {
    if ours.last() == Some(&Event::Binary) {
        let before = ours.len() - 1;
        assert!(!matches!(theirs.get(before), Some(Event::Text(_))));
        theirs.truncate(before);
        theirs.push(Event::Binary);
    }
    let failed = Event::Failed(Kind::Protocol);
    if ours.last() == Some(&Event::Close(Some(1014))) && theirs.last() == Some(&failed) {
        theirs.pop();
        theirs.push(Event::Close(Some(1014)));
    }
    // A frame that is wrong in its first bytes and too big in its length as well: ours looks at the
    // first bytes first.
    if ours.last() == Some(&failed) && theirs.last() == Some(&Event::Failed(Kind::TooBig)) {
        theirs.pop();
        theirs.push(failed);
    }
}
