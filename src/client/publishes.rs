//! Publishes that wait for their acks, in the order in which they went out. Pure.

use std::collections::VecDeque;

/// How many may wait.
pub(super) const MAX_WAITING: usize = 1024;
/// Their bytes; a single larger one is taken all the same.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// `T` is where an answer goes.
pub(super) struct Publishes<T> {
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
}

struct Waiting<T> {
    message_id: String,
    text: String,
    answer: T,
    sent: bool,
    sent_again: bool,
}

impl<T> Default for Publishes<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Publishes<T> {
    /// Remembers a publish, which may be `sent` at once; gives `answer` back when too many wait.
    pub(super) fn add(
        &mut self,
        message_id: String,
        text: String,
        answer: T,
        sent: bool,
    ) -> Result<(), T> {
        let too_large = self.bytes.saturating_add(text.len()) > MAX_WAITING_BYTES;
        if self.waiting.len() >= MAX_WAITING || (too_large && !self.waiting.is_empty()) {
            return Err(answer);
        }
        self.bytes += text.len();
        self.waiting.push_back(Waiting {
            message_id,
            text,
            answer,
            sent,
            sent_again: false,
        });
        Ok(())
    }

    /// The publish with this id has its answer; of two with one id the older. Also whether it
    /// was sent more than once.
    pub(super) fn take(&mut self, message_id: &str) -> Option<(T, bool)> {
        // Acks come in order, so this looks at the first entry only, as a rule.
        let index = self
            .waiting
            .iter()
            .position(|w| w.message_id == message_id)?;
        let taken = self.waiting.remove(index)?;
        self.bytes -= taken.text.len();
        Some((taken.answer, taken.sent_again))
    }

    /// The frames of all, to send them, some of them again.
    pub(super) fn texts(&mut self) -> Vec<String> {
        let sending = |waiting: &mut Waiting<T>| {
            waiting.sent_again = waiting.sent;
            waiting.sent = true;
            waiting.text.clone()
        };
        self.waiting.iter_mut().map(sending).collect()
    }

    /// Gives up on all.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|w| w.answer)
    }
}
