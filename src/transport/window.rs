//! What a qos 1 subscriber was sent and has not acknowledged (promise I4).
//!
//! When the window is full the subscription is parked: it is sent nothing until acks make room, and
//! then goes on from the history behind what it was sent.
//!
//! Invariant: pure.

use std::collections::VecDeque;

use crate::protocol::SeqNo;

/// Messages without an ack.
const MAX_MESSAGES: usize = 1000;
/// Bytes without an ack.
const MAX_BYTES: usize = 1 << 20;

/// An ack beyond what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotSent;

/// The window of one subscription.
#[derive(Debug)]
pub(super) struct Window {
    unacked: VecDeque<(SeqNo, usize)>,
    bytes: usize,
    acked: SeqNo,
    sent: SeqNo,
    /// Something was not sent for want of room.
    pub(super) parked: bool,
    /// The history is being asked for what was not sent.
    pub(super) refilling: bool,
}

impl Window {
    /// A window of a subscriber that has everything up to this number.
    pub(super) const fn new(has: SeqNo) -> Self {
        Self {
            unacked: VecDeque::new(),
            bytes: 0,
            acked: has,
            sent: has,
            parked: false,
            refilling: false,
        }
    }

    /// Whether the message may be sent now; parks the subscription when it may not. One message is
    /// always let through, however large.
    pub(super) fn admit(&mut self, seq_no: SeqNo, bytes: usize) -> bool {
        let full = self.unacked.len() >= MAX_MESSAGES || self.bytes + bytes > MAX_BYTES;
        if self.parked || (full && !self.unacked.is_empty()) {
            self.parked = true;
            return false;
        }
        self.unacked.push_back((seq_no, bytes));
        self.bytes += bytes;
        self.sent = seq_no;
        true
    }

    /// Everything up to `seq_no` was received.
    pub(super) fn ack(&mut self, seq_no: SeqNo) -> Result<(), NotSent> {
        if seq_no > self.sent {
            return Err(NotSent);
        }
        self.acked = self.acked.max(seq_no);
        while let Some((first, bytes)) = self.unacked.front()
            && *first <= seq_no
        {
            self.bytes -= bytes;
            self.unacked.pop_front();
        }
        Ok(())
    }

    /// Whether a parked subscription has room enough to be worth asking the history.
    pub(super) fn wants_refill(&self) -> bool {
        self.parked
            && !self.refilling
            && self.unacked.len() <= MAX_MESSAGES / 2
            && self.bytes <= MAX_BYTES / 2
    }

    /// Whether what the history has behind `after` was asked for by this window, and not by one that
    /// was in its place before.
    pub(super) fn takes_refill(&mut self, after: SeqNo) -> bool {
        let is_own = self.refilling && self.sent == after;
        self.refilling &= !is_own;
        is_own
    }

    /// The session's position.
    pub(super) const fn acked(&self) -> SeqNo {
        self.acked
    }

    /// The newest number that was sent.
    pub(super) const fn sent(&self) -> SeqNo {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_parks_until_acks_make_room() {
        let mut window = Window::new(10);
        assert!((11..=1010).all(|seq| window.admit(seq, 10)));
        assert!(!window.admit(1011, 10));
        assert!(window.parked && !window.wants_refill());
        assert_eq!((window.sent(), window.acked()), (1010, 10));
        window.ack(400).unwrap();
        assert!(!window.wants_refill());
        window.ack(600).unwrap();
        assert!(window.wants_refill());
        assert_eq!(window.acked(), 600);
        // Parked, it lets nothing through: the history comes first.
        assert!(!window.admit(1012, 10));
    }

    #[test]
    fn bytes_count_too_but_one_message_always_fits() {
        let mut window = Window::new(0);
        assert!(window.admit(1, MAX_BYTES * 2));
        assert!(!window.admit(2, 1));
        window.ack(1).unwrap();
        assert!(window.wants_refill());
    }

    #[test]
    fn an_answer_is_taken_by_the_window_that_asked() {
        let mut window = Window::new(5);
        assert!(!window.takes_refill(5));
        window.refilling = true;
        // Asked for by an older one, of which this one knows nothing.
        assert!(!window.takes_refill(4));
        assert!(window.refilling);
        assert!(window.takes_refill(5));
        assert!(!window.refilling && !window.takes_refill(5));
    }

    #[test]
    fn acks_are_cumulative_and_never_ahead() {
        let mut window = Window::new(5);
        assert!(window.admit(8, 1) && window.admit(9, 1));
        assert_eq!(window.ack(10), Err(NotSent));
        window.ack(9).unwrap();
        window.ack(8).unwrap();
        assert_eq!(window.acked(), 9);
        assert!(window.unacked.is_empty());
    }
}
