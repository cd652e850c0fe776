//! Random frames, right and wrong, cut anywhere, for our reader and tungstenite's: both must say the
//! same, but for the differences that [`super::frames`] and [`Wrong`] name. And our frames in its
//! hands.

use proptest::prelude::*;
use proptest::sample::Index;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::frames::{Event, comparable, cut, ours, theirs};
use crate::websocket::frame::{
    OpCode, boundary_after, close_frame, control_frame, push_text, unmask,
};

const FIN: u8 = 0x80;

/// A frame as it stands on the wire.
fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = match payload.len() {
        short @ 0..=125 => vec![first, mask_bit | short as u8],
        long => {
            let [a, b] = (long as u16).to_be_bytes();
            vec![first, mask_bit | 126, a, b]
        }
    };
    bytes.extend(mask.into_iter().flatten());
    let begin = bytes.len();
    bytes.extend_from_slice(payload);
    unmask(&mut bytes[begin..], mask.unwrap_or_default(), 0);
    bytes
}

/// What may be wrong with a stream. Not among it are lengths that are not in their shortest form:
/// tungstenite takes them.
#[derive(Debug, Clone)]
enum Wrong {
    /// Nothing more.
    Nothing,
    /// Other bits in a frame's first byte: reserved bits, other opcodes, fragments where none may be.
    First(Index, u8),
    /// A frame that is not masked.
    Bare(Index),
    /// A frame left out, put in twice.
    Lost(Index),
    Doubled(Index),
    /// A frame of any kind and content, anywhere.
    Odd(Index, u8, Vec<u8>),
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        3 => Just(Wrong::Nothing),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Wrong::First(at, bits)),
        1 => any::<Index>().prop_map(Wrong::Bare),
        1 => any::<Index>().prop_map(Wrong::Lost),
        1 => any::<Index>().prop_map(Wrong::Doubled),
        2 => (any::<Index>(), any::<u8>(), payload()).prop_map(|(at, first, payload)| Wrong::Odd(at, first, payload)),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{0,20}".prop_map(String::into_bytes),
        4 => ".{0,30}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..8),
        1 => (100_usize..130).prop_map(|length| vec![b'x'; length]),
        1 => (250_usize..400).prop_map(|length| vec![b'y'; length]),
        1 => (990_u16..1020, ".{0,5}").prop_map(|(code, reason)| close_payload(code, &reason)),
    ]
}

fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The frames of a message, and control frames between them.
fn message() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let text = prop_oneof![20 => "[ -~]{0,125}", 1 => "[ -~]{120,130}"];
    let control = (prop_oneof![Just(9_u8), Just(10)], text);
    let control = control.prop_map(|(opcode, text)| (FIN | opcode, text.into_bytes()));
    let parts = prop::collection::vec(any::<Index>(), 0..5);
    let between = prop::collection::vec(control, 0..3);
    let opcode = prop_oneof![15 => Just(1_u8), 1 => Just(2)];
    (opcode, payload(), parts, between).prop_map(|(opcode, payload, parts, between)| {
        let mut cuts: Vec<usize> = parts.iter().map(|i| i.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(payload.len());
        let mut frames = Vec::new();
        let mut begin = 0;
        for (i, end) in cuts.iter().copied().enumerate() {
            let opcode = if i == 0 { opcode } else { 0 };
            let fin = if i + 1 == cuts.len() { FIN } else { 0 };
            frames.push((fin | opcode, payload[begin..end].to_vec()));
            frames.extend(between.get(i).cloned());
            begin = end;
        }
        frames
    })
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let messages = prop::collection::vec(message(), 2..6);
    let close = prop::option::of(payload());
    (messages, close, wrong(), any::<[u8; 4]>()).prop_map(|(messages, close, wrong, mask)| {
        let mut frames = messages.concat();
        frames.extend(close.map(|payload| (FIN | 8, payload)));
        let mut bare = None;
        match wrong {
            Wrong::Nothing => {}
            Wrong::First(at, bits) => {
                let at = at.index(frames.len());
                frames[at].0 ^= bits;
            }
            Wrong::Bare(at) => bare = Some(at.index(frames.len())),
            Wrong::Lost(at) => drop(frames.remove(at.index(frames.len()))),
            Wrong::Doubled(at) => {
                let at = at.index(frames.len());
                frames.insert(at, frames[at].clone());
            }
            Wrong::Odd(at, first, payload) => {
                frames.insert(at.index(frames.len()), (first, payload));
            }
        }
        let frames = frames.iter().enumerate();
        let frames = frames.flat_map(|(i, (first, payload))| {
            frame(*first, payload, (bare != Some(i)).then_some(mask))
        });
        frames.collect()
    })
}

#[test]
fn both_take_the_same_close_codes() {
    for code in 0..=u16::MAX {
        let close = frame(FIN | 8, &close_payload(code, "so"), Some([1, 2, 3, 4]));
        let pieces = [close];
        let ours = ours(&pieces, std::iter::empty());
        let mut theirs = theirs(&pieces, Role::Server);
        comparable(&ours, &mut theirs);
        assert_eq!(ours, theirs, "{code}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_readers_say_the_same(
        bytes in stream(),
        cuts in prop::collection::vec(1_usize..40, 0..20),
        pauses in prop::collection::vec(any::<bool>(), 0..20),
    ) {
        let pieces = cut(&bytes, &cuts);
        let (ours, mut theirs) = (ours(&pieces, pauses.into_iter()), theirs(&pieces, Role::Server));
        comparable(&ours, &mut theirs);
        prop_assert_eq!(ours, theirs);
    }

    /// Whatever the bytes: what ours takes, tungstenite takes, and takes for the same. (Ours refuses
    /// more, and sooner: it does not wait for the payload of a frame that is wrong.)
    #[test]
    fn ours_is_the_stricter_one(
        mut bytes in stream(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cuts in prop::collection::vec(1_usize..40, 0..10),
    ) {
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let pieces = cut(&bytes, &cuts);
        let (mut ours, mut theirs) = (ours(&pieces, std::iter::empty()), theirs(&pieces, Role::Server));
        comparable(&ours, &mut theirs);
        if matches!(ours.last(), Some(Event::Failed(_))) {
            ours.pop();
            theirs.truncate(ours.len());
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_we_write_is_what_it_reads(
        texts in prop::collection::vec(".{0,60}", 0..6),
        ping in prop::collection::vec(any::<u8>(), 0..200),
        reason in "[ -~]{0,150}",
        code in prop_oneof![1000_u16..=1003, 1007_u16..=1013, 3000_u16..=4999],
        cuts in prop::collection::vec(1_usize..40, 0..20),
        sent in any::<Index>(),
    ) {
        let mut run = Vec::new();
        let mut wanted = Vec::new();
        let mut ends = vec![0];
        for text in texts {
            push_text(&mut run, |out| out.extend_from_slice(text.as_bytes()));
            wanted.push(Event::Text(text));
            ends.push(run.len());
        }
        control_frame(&mut run, OpCode::Ping, &ping);
        ends.push(run.len());
        wanted.push(Event::Ping(ping[..ping.len().min(125)].to_vec()));
        close_frame(&mut run, code, &reason);
        ends.push(run.len());
        wanted.push(Event::Close(Some(code)));
        prop_assert_eq!(theirs(&cut(&run, &cuts), Role::Client), wanted);

        // Where the run was cut off, it can be cut behind a whole frame.
        let sent = sent.index(run.len() + 1);
        let end = ends.into_iter().find(|end| *end >= sent);
        prop_assert_eq!(Some(boundary_after(&run, sent)), end);
    }
}
