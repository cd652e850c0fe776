//! Frame headers and the frames that the gateway writes (RFC 6455 section 5.2).

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpCode {
    /// Goes on with a fragmented message.
    Continuation = 0,
    /// A text message or its first fragment.
    Text = 1,
    /// A binary message or its first fragment.
    Binary = 2,
    /// The peer closes.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether it may stand between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the message's last frame.
    pub fin: bool,
    /// What it is.
    pub opcode: OpCode,
    /// The key its payload is masked with.
    pub mask: [u8; 4],
    /// The payload's length in bytes.
    pub payload: u64,
    /// The header's own length in bytes.
    pub size: usize,
}

/// Reads the header of a client's frame; `Ok(None)` when more bytes are needed.
///
/// # Errors
/// A sentence on what breaks RFC 6455: reserved bits, unknown opcodes, a missing mask, a control
/// frame that is long or fragmented, a length that is not in its shortest form.
pub fn parse_header(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err("reserved bits are set and no extension was agreed on");
    }
    let Some(opcode) = OpCode::from_bits(first & 0x0f) else {
        return Err("unknown opcode");
    };
    if second & 0x80 == 0 {
        return Err("a client must mask its frames");
    }
    let fin = first & 0x80 != 0;
    let short = second & 0x7f;
    if opcode.is_control() && (!fin || short > 125) {
        return Err("a control frame is one frame of at most 125 bytes");
    }
    let (payload, after) = match (short, rest) {
        (126, [a, b, after @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), after),
        (127, [a, b, c, d, e, f, g, h, after @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), after)
        }
        (126 | 127, _) => return Ok(None),
        (short, after) => (u64::from(short), after),
    };
    let minimal = match short {
        126 => payload > 125,
        127 => payload > 0xffff && payload >> 63 == 0,
        _ => true,
    };
    if !minimal {
        return Err("the payload length is not in its shortest form");
    }
    let &[a, b, c, d, ..] = after else {
        return Ok(None);
    };
    Ok(Some(Header {
        fin,
        opcode,
        mask: [a, b, c, d],
        payload,
        size: bytes.len() - after.len() + 4,
    }))
}

/// Takes the mask off a payload (or puts it on); `offset` is where in the payload `bytes` begins.
pub fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: usize) {
    let key: [u8; 8] = std::array::from_fn(|i| mask[(i + offset) & 3]);
    let wide = u64::from_ne_bytes(key);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The header of an unmasked, unfragmented frame, and its length.
fn header(opcode: OpCode, payload: usize) -> ([u8; MAX_HEADER], usize) {
    let mut bytes = [0; MAX_HEADER];
    bytes[0] = 0x80 | opcode as u8;
    let size = match payload {
        0..=125 => {
            bytes[1] = payload as u8;
            2
        }
        126..=0xffff => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
            MAX_HEADER
        }
    };
    (bytes, size)
}

/// The most that a header of the gateway takes.
const MAX_HEADER: usize = 10;

/// Appends a text frame whose payload `write` appends. The payload's length is known only
/// afterwards, so room is left for the header that nearly every frame of the protocol has.
pub fn push_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const ROOM: usize = 4;
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    write(out);
    let payload = out.len() - start - ROOM;
    let (header, size) = header(OpCode::Text, payload);
    match size.checked_sub(ROOM) {
        Some(0) => {}
        Some(more) => {
            out.resize(out.len() + more, 0);
            out.copy_within(start + ROOM..start + ROOM + payload, start + size);
        }
        None => {
            out.copy_within(start + ROOM.., start + size);
            out.truncate(start + size + payload);
        }
    }
    out[start..start + size].copy_from_slice(&header[..size]);
}

/// A text frame of its own, with the payload's place in it.
pub fn text_frame(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(capacity + MAX_HEADER);
    push_text(&mut out, write);
    let header = match out.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    (out, header)
}

/// Appends a control frame; its payload is cut to the 125 bytes that RFC 6455 allows.
pub fn control_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let payload = &payload[..payload.len().min(125)];
    let (header, size) = header(opcode, payload.len());
    out.extend_from_slice(&header[..size]);
    out.extend_from_slice(payload);
}

/// Appends a close frame.
pub fn close_frame(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.len().min(123)]);
    control_frame(out, OpCode::Close, &payload);
}

/// The length of the frames of the gateway that stand whole in `bytes` up to and including the
/// one that holds the byte before `sent`: where a half-written run of frames can be cut.
#[must_use]
pub fn boundary_after(bytes: &[u8], sent: usize) -> usize {
    let mut at = 0;
    while at < sent {
        let length = match bytes.get(at + 1..) {
            Some([126, a, b, ..]) => 4 + usize::from(u16::from_be_bytes([*a, *b])),
            Some([127, a, b, c, d, e, f, g, h, ..]) => {
                10 + u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize
            }
            Some([short, ..]) => 2 + usize::from(*short),
            _ => return bytes.len(),
        };
        at += length;
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_their_shortest_form() {
        for (length, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (frame, header) = text_frame(0, |out| out.resize(out.len() + length, b'x'));
            assert_eq!(header, size);
            assert_eq!(frame.len(), size + length);
            assert_eq!(frame[0], 0x81);
            assert_eq!(boundary_after(&frame, 1), frame.len());
        }
    }

    #[test]
    fn a_run_of_frames_is_cut_between_frames() {
        let mut run = Vec::new();
        for length in [3, 200, 70_000] {
            push_text(&mut run, |out| out.resize(out.len() + length, b'x'));
        }
        assert_eq!(boundary_after(&run, 0), 0);
        assert_eq!(boundary_after(&run, 5), 5);
        assert_eq!(boundary_after(&run, 6), 5 + 204);
        assert_eq!(boundary_after(&run, 210), run.len());
    }

    #[test]
    fn unmasking_in_pieces_equals_unmasking_at_once() {
        let mask = [1, 2, 3, 4];
        let plain: Vec<u8> = (0..100).collect();
        for cut in 0..100 {
            let mut bytes = plain.clone();
            unmask(&mut bytes, mask, 0);
            let (left, right) = bytes.split_at_mut(cut);
            unmask(left, mask, 0);
            unmask(right, mask, cut);
            assert_eq!(bytes, plain, "cut at {cut}");
        }
    }

    #[test]
    fn what_breaks_the_rfc_is_refused() {
        for bad in [
            &[0xc1, 0x80, 0, 0, 0, 0][..],     // reserved bit
            &[0x83, 0x80, 0, 0, 0, 0],         // reserved opcode
            &[0x81, 0x00],                     // not masked
            &[0x09, 0x80, 0, 0, 0, 0],         // fragmented ping
            &[0x89, 0xfe, 0, 126, 0, 0, 0, 0], // long ping
            &[0x81, 0xfe, 0, 5, 0, 0, 0, 0],   // length not shortest
        ] {
            assert!(parse_header(bad).is_err(), "{bad:x?}");
        }
        assert_eq!(parse_header(&[0x81, 0x85, 1, 2, 3]), Ok(None));
    }
}
