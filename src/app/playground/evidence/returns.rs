//! I6: attempts to go on from a position, and what came of them.

use crate::protocol::{ClientMessage, ErrorCode, ServerMessage};

/// Attempts and answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Returns {
    /// `resume` frames.
    pub(super) resumes: u64,
    /// Of them, those that went on with their session.
    pub(super) resumed: u64,
    /// Of them, those that were told that it is gone.
    pub(super) expired: u64,
    /// Topics of which everything missed followed.
    pub(super) recovered: u64,
    /// Messages that followed.
    pub(super) replayed: u64,
    /// Topics of which something was lost, and the gateway said so.
    pub(super) told: u64,
}

impl Returns {
    pub(super) fn sent(&mut self, frame: &ClientMessage<'_>) {
        self.resumes += u64::from(matches!(frame, ClientMessage::Resume(_)));
    }

    pub(super) fn received(&mut self, frame: &ServerMessage<'_>) {
        match frame {
            ServerMessage::Ready(ready) => self.resumed += u64::from(ready.resumed),
            ServerMessage::Error(error) => {
                self.expired += u64::from(error.code == ErrorCode::SessionExpired);
            }
            ServerMessage::Subscribed(frame) => match frame.recovered {
                Some(true) => {
                    self.recovered += 1;
                    let replayed = frame.replayed.unwrap_or(0);
                    self.replayed = self.replayed.saturating_add(replayed);
                }
                Some(false) => self.told += 1,
                None => {}
            },
            _ => {}
        }
    }
}
