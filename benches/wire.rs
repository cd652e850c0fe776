//! WebSocket frames as both sides of a measurement write and read them.

/// A text frame.
pub const TEXT: u8 = 1;
/// A binary frame.
pub const BINARY: u8 = 2;
/// A close frame.
pub const CLOSE: u8 = 8;
/// A ping, which must be answered.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;

/// Appends a server's frame.
pub fn plain(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    header(out, opcode, 0, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a client's frame. The key is zero, so masking costs the client nothing; the server cannot
/// know and unmasks as ever.
pub fn masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    header(out, opcode, 0x80, payload.len());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

fn header(out: &mut Vec<u8>, opcode: u8, mask: u8, len: usize) {
    out.push(0x80 | opcode);
    match len {
        0..126 => out.push(mask | len as u8),
        126..65_536 => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Where a frame's payload lies.
#[derive(Clone, Copy)]
pub struct Frame {
    /// What it is.
    pub opcode: u8,
    /// Where the payload begins.
    pub start: usize,
    /// Where the payload, and with it the frame, ends.
    pub end: usize,
}

/// The frame that begins at `at`, if all of it is there.
#[inline]
pub fn frame(bytes: &[u8], at: usize) -> Option<Frame> {
    let head = bytes.get(at..at + 2)?;
    let key = usize::from(head[1] >> 7) * 4;
    let (len, start) = match head[1] & 0x7f {
        126 => {
            let len = bytes.get(at + 2..at + 4)?;
            (usize::from(u16::from_be_bytes([len[0], len[1]])), at + 4)
        }
        127 => {
            let len: [u8; 8] = bytes.get(at + 2..at + 10)?.try_into().ok()?;
            (u64::from_be_bytes(len) as usize, at + 10)
        }
        len => (usize::from(len), at + 2),
    };
    let start = start + key;
    let end = start + len;
    (end <= bytes.len()).then_some(Frame {
        opcode: head[0] & 0x0f,
        start,
        end,
    })
}

/// The request that opens a WebSocket.
pub const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The answer that fits [`UPGRADE`].
pub const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The first place of `needle`.
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|part| part == needle)
}

/// The number that begins at `at`, and where it ends.
#[inline]
pub fn digits(text: &[u8], at: usize) -> (u64, usize) {
    let mut number = 0;
    let mut end = at;
    while let Some(digit @ b'0'..=b'9') = text.get(end) {
        number = number * 10 + u64::from(digit - b'0');
        end += 1;
    }
    (number, end)
}

/// Writes a number over digits that are already there.
pub fn patch(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
