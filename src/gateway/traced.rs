//! A publish as a trace: from the question to the backbone to its answer.

use tokio::sync::oneshot;

use crate::backbone::{Answer, Published, Unavailable};
use crate::protocol::AckStatus;
use crate::traces::Span;

/// Two spans that end with the answer: the publish, and what the backbone takes of it.
pub(super) struct Traced {
    publish: Span,
    append: Span,
}

impl Traced {
    /// From now on the backbone is at work.
    pub(super) fn begin(publish: Span, topic: &str, bytes: usize) -> Self {
        publish.say("messaging.destination.name", topic);
        publish.count("messaging.message.body.size", bytes as u64);
        Self {
            append: publish.child("append"),
            publish,
        }
    }

    /// Ends with the answer, whenever that comes.
    pub(super) fn until(
        self,
        answer: Answer<Result<Published, Unavailable>>,
    ) -> Answer<Result<Published, Unavailable>> {
        match answer {
            Answer::Ready(answer) => {
                self.end(&answer);
                Answer::Ready(answer)
            }
            later @ Answer::Later(_) => {
                let (reply, passed_on) = oneshot::channel();
                tokio::spawn(async move {
                    let answer = later.await;
                    self.end(&answer);
                    let _ = reply.send(answer);
                });
                Answer::Later(passed_on)
            }
        }
    }

    fn end(self, answer: &Result<Published, Unavailable>) {
        self.append.end();
        match answer {
            Ok(published) => {
                self.publish.count("micro_socket.seq_no", published.seq_no);
                if published.status == AckStatus::Duplicate {
                    self.publish.say("micro_socket.status", "duplicate");
                }
            }
            Err(unavailable) => self.publish.failed(&unavailable.to_string()),
        }
    }
}
