//! Bytes of a client into messages: unmasks in place, puts fragments together, keeps no more than
//! the message limit, and owns no buffer while nothing is unfinished.

use std::ops::ControlFlow;

use super::frame::{Header, OpCode, parse_header, unmask};

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message.
    Text(&'a str),
    /// The beginning of a binary message; its payload is not read.
    Binary,
    /// A ping with its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A piece of a message that has next to nothing in it.
    Crumb,
    /// A close frame with its code, if it had one.
    Close(Option<u16>),
}

/// A piece of a message with fewer bytes than this, and not the last one, is a crumb.
const CRUMB_BYTES: usize = 16;

/// Why the stream cannot go on. Each has its close code (RFC 6455 section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 1002, with what was wrong.
    Protocol(&'static str),
    /// 1007: text that is not UTF-8.
    Utf8,
    /// 1009: more bytes than the limit.
    TooBig,
}

/// The state between two reads. Empty, it is a few words and no heap.
#[derive(Debug, Default)]
pub struct Reader {
    /// Bytes of a frame that has not come whole yet.
    partial: Vec<u8>,
    /// The fragments so far of a message that has not come whole yet.
    fragments: Option<Vec<u8>>,
}

impl Reader {
    /// Whether a frame or a message has begun and not ended.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.partial.is_empty() || self.fragments.is_some()
    }

    /// Takes bytes as they came and calls `on` for each message. When `on` breaks, the bytes after
    /// that message are kept; call `feed` again, with nothing if need be, to go on.
    ///
    /// # Errors
    /// [`Fault`]; nothing more can be read from this peer.
    pub fn feed(
        &mut self,
        input: &mut [u8],
        limit: usize,
        mut on: impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        if self.partial.is_empty() {
            let used = self.frames(input, limit, &mut on)?;
            self.partial.extend_from_slice(&input[used..]);
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(input);
        let used = self.frames(&mut bytes, limit, &mut on)?;
        if used < bytes.len() {
            bytes.drain(..used);
            self.partial = bytes;
        }
        Ok(())
    }

    /// Reads the whole frames at the front of `bytes` and returns how many bytes they took.
    fn frames(
        &mut self,
        bytes: &mut [u8],
        limit: usize,
        on: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<usize, Fault> {
        let mut used = 0;
        while let Some(header) = parse_header(&bytes[used..]).map_err(Fault::Protocol)? {
            self.admit(&header, limit)?;
            // A limit fits into memory, so what it admits does.
            let end = used + header.size + header.payload as usize;
            let Some(payload) = bytes.get_mut(used + header.size..end) else {
                if header.opcode == OpCode::Binary && on(Incoming::Binary).is_break() {
                    return Ok(used);
                }
                break;
            };
            unmask(payload, header.mask, 0);
            used = end;
            if self.frame(&header, payload, on)?.is_break() {
                break;
            }
        }
        Ok(used)
    }

    /// Checks a header against the state and the limit before its payload is waited for.
    fn admit(&self, header: &Header, limit: usize) -> Result<(), Fault> {
        match header.opcode {
            OpCode::Continuation if self.fragments.is_none() => {
                Err(Fault::Protocol("a continuation without a beginning"))
            }
            OpCode::Text | OpCode::Binary if self.fragments.is_some() => {
                Err(Fault::Protocol("a new message inside a fragmented one"))
            }
            _ => {
                let before = self.fragments.as_ref().map_or(0, Vec::len);
                let room = limit.saturating_sub(before) as u64;
                if !header.opcode.is_control() && header.payload > room {
                    Err(Fault::TooBig)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Takes one whole frame.
    fn frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        on: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Fault> {
        Ok(match header.opcode {
            OpCode::Text if header.fin => on(Incoming::Text(text(payload)?)),
            OpCode::Text | OpCode::Continuation => {
                let mut message = self.fragments.take().unwrap_or_default();
                let checked = last_character(&message);
                message.extend_from_slice(payload);
                if header.fin {
                    on(Incoming::Text(text(&message)?))
                } else {
                    beginning_of_text(&message[checked..])?;
                    self.fragments = Some(message);
                    piece(payload, on)
                }
            }
            OpCode::Binary => on(Incoming::Binary),
            OpCode::Ping => on(Incoming::Ping(payload)),
            OpCode::Pong => on(Incoming::Pong),
            OpCode::Close => on(Incoming::Close(close_code(payload)?)),
        })
    }
}

fn piece(payload: &[u8], on: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    match payload.len() {
        0..CRUMB_BYTES => on(Incoming::Crumb),
        _ => ControlFlow::Continue(()),
    }
}

fn text(payload: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(payload).map_err(|_| Fault::Utf8)
}

/// Checks text that goes on in the next fragment: what no continuation can mend is refused at once.
fn beginning_of_text(payload: &[u8]) -> Result<(), Fault> {
    match simdutf8::compat::from_utf8(payload) {
        Err(error) if error.error_len().is_some() => Err(Fault::Utf8),
        _ => Ok(()),
    }
}

/// Where the last character of text that may be cut in it begins.
fn last_character(text: &[u8]) -> usize {
    let is_first = |byte: &u8| byte & 0xc0 != 0x80;
    text.iter().rposition(is_first).unwrap_or(0)
}

/// The code of a close frame (RFC 6455 sections 5.5.1 and 7.4).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    match payload {
        [] => Ok(None),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            text(reason)?;
            match code {
                1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Some(code)),
                _ => Err(Fault::Protocol("a close code that must not be sent")),
            }
        }
        [_] => Err(Fault::Protocol("a close frame of one byte")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode as Op};
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

    use super::*;

    /// A client's frame, written by an implementation that is not ours.
    fn frame(fin: bool, opcode: Op, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            is_final: fin,
            opcode,
            mask: Some([7, 99, 200, 31]),
            ..FrameHeader::default()
        };
        let mut bytes = Vec::new();
        Frame::from_payload(header, payload.to_vec().into())
            .format(&mut bytes)
            .unwrap();
        bytes
    }

    fn read(pieces: Vec<Vec<u8>>, limit: usize) -> Result<Vec<String>, Fault> {
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        for mut piece in pieces {
            reader.feed(&mut piece, limit, |incoming| {
                seen.push(format!("{incoming:?}"));
                ControlFlow::Continue(())
            })?;
        }
        Ok(seen)
    }

    #[test]
    fn fragments_with_a_ping_between_are_one_message() {
        let bytes = [
            frame(false, Op::Data(Data::Text), b"he"),
            frame(true, Op::Control(Control::Ping), b"?"),
            frame(true, Op::Data(Data::Continue), b"llo"),
        ]
        .concat();
        assert_eq!(
            read(vec![bytes], 99).unwrap(),
            ["Crumb", "Ping([63])", "Text(\"hello\")"]
        );
    }

    #[test]
    fn limits_count_the_whole_message_and_refuse_before_buffering() {
        let whole = frame(true, Op::Data(Data::Text), &[b'x'; 11]);
        assert_eq!(read(vec![whole[..6].to_vec()], 10), Err(Fault::TooBig));
        let pieces = vec![
            frame(false, Op::Data(Data::Text), &[b'x'; 6]),
            frame(true, Op::Data(Data::Continue), &[b'x'; 5]),
        ];
        assert_eq!(read(pieces, 10), Err(Fault::TooBig));
    }

    #[test]
    fn faults_of_order_and_text_are_found() {
        let text = Op::Data(Data::Text);
        let go_on = Op::Data(Data::Continue);
        let first = frame(false, text, b"a");
        assert!(matches!(
            read(vec![frame(true, go_on, b"a")], 9),
            Err(Fault::Protocol(_))
        ));
        assert!(matches!(
            read(vec![first, frame(true, text, b"a")], 9),
            Err(Fault::Protocol(_))
        ));
        assert_eq!(read(vec![frame(true, text, &[0xff])], 9), Err(Fault::Utf8));
    }

    #[test]
    fn text_is_checked_with_every_fragment() {
        let text = |payload| frame(false, Op::Data(Data::Text), payload);
        let go_on = |payload| frame(false, Op::Data(Data::Continue), payload);
        // A character may be cut anywhere.
        let cut = vec![
            text(b"a\xf0"),
            go_on(b"\x9f"),
            go_on(b"\x98"),
            go_on(b"\x80b\xc3"),
        ];
        assert_eq!(read(cut, 99).unwrap(), ["Crumb"; 4]);
        for bad in [
            vec![text(b"\xff")],
            vec![text(b"\xc3"), go_on(b"(")],
            vec![text(b"\xf0\x9f"), go_on(b"\x98"), go_on(b"a")],
            vec![text(b"ok"), go_on(b"\x80")],
            vec![text(b"\xf4"), go_on(b"\x90")],
        ] {
            assert_eq!(read(bad, 99), Err(Fault::Utf8));
        }
    }

    #[test]
    fn a_break_keeps_the_rest_for_later() {
        let text = Op::Data(Data::Text);
        let mut bytes = [frame(true, text, b"one"), frame(true, text, b"two")].concat();
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        let mut step = |reader: &mut Reader, input: &mut [u8]| {
            reader
                .feed(input, 99, |incoming| {
                    seen.push(format!("{incoming:?}"));
                    ControlFlow::Break(())
                })
                .unwrap();
        };
        step(&mut reader, &mut bytes);
        assert!(reader.is_mid_message());
        step(&mut reader, &mut []);
        assert!(!reader.is_mid_message());
        assert_eq!(seen, ["Text(\"one\")", "Text(\"two\")"]);
    }

    proptest! {
        /// No bytes make it panic or keep more than one message and one frame.
        #[test]
        fn garbage_is_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut reader = Reader::default();
            for mut piece in pieces {
                if reader.feed(&mut piece, 64, |_| ControlFlow::Continue(())).is_err() {
                    break;
                }
                // A control frame may be larger than the limit: 125 bytes.
                prop_assert!(reader.partial.len() <= 125 + 14);
                prop_assert!(reader.fragments.as_ref().is_none_or(|f| f.len() <= 64));
            }
        }
    }
}
