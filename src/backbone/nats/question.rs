//! Questions for a topic's end and what is before it, and how they are answered.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::envelope::Envelope;
use super::link::PATIENCE;
use super::names;
use super::reader::{Stored, Trimmed};
use crate::backbone::{Head, Record, Replay, Unavailable};
use crate::protocol::{Position, SeqNo, Topic, UnrecoveredReason};

/// A question for a topic's end and what is before it.
pub(super) struct Question {
    pub(super) topic: Topic,
    pub(super) after: Option<Position>,
    pub(super) reply: oneshot::Sender<Result<Replay, Unavailable>>,
    pub(super) asked: Instant,
    /// The topic's head was asked for since.
    pub(super) checked: bool,
}

impl Question {
    /// Cannot be answered now.
    pub(super) fn refuse(self, why: &str) {
        let _ = self.reply.send(Err(Unavailable(why.to_owned())));
    }

    /// Answers it for a topic whose end is `head`; `cached` has every record after a number, or
    /// nothing when it does not have all of them.
    pub(super) fn answer(
        self,
        shared: &Arc<Shared>,
        partition: u16,
        head: Head,
        cached: impl FnOnce(SeqNo) -> Option<Vec<Record>>,
    ) {
        let last = head.seq_no;
        let after = self.after.as_ref();
        let foreign = after.and_then(|after| after.epoch.as_ref());
        let outcome = match after {
            None => Some(Ok(Vec::new())),
            Some(_) if foreign.is_some_and(|epoch| *epoch != head.epoch) => {
                Some(Err(UnrecoveredReason::Epoch))
            }
            Some(after) if after.seq_no == last => Some(Ok(Vec::new())),
            Some(after) if after.seq_no < last => cached(after.seq_no).map(Ok),
            Some(_) => None,
        };
        let after = after.map_or(last, |after| after.seq_no);
        match outcome {
            Some(outcome) => drop(self.reply.send(Ok(Replay { head, outcome }))),
            None => self.read_later(shared.clone(), partition, after, head),
        }
    }

    fn read_later(self, shared: Arc<Shared>, partition: u16, after: SeqNo, head: Head) {
        let stop = shared.link.stop.clone();
        let reading = async move {
            let Ok(_permit) = shared.replaying.acquire().await else {
                return;
            };
            let reading = read(&shared, partition, &self.topic, after, head);
            match timeout(2 * PATIENCE, reading).await {
                Ok(replay) => drop(self.reply.send(replay)),
                Err(_) => self.refuse("the stream did not answer in time"),
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(reading));
    }

    /// Answers it for a topic that nobody listens to: the stream alone knows.
    pub(super) fn ask_stream(self, shared: Arc<Shared>) {
        let stop = shared.link.stop.clone();
        let asking = async move {
            let partition = names::partition(self.topic.as_str(), shared.partitions);
            // Before the number: one of another stream must not come under its epoch.
            let epoch = shared.epoch(partition);
            match shared.reader.head(partition, &self.topic).await {
                Ok(seq_no) => {
                    let head = Head { seq_no, epoch };
                    self.answer(&shared, partition, head, |_| None);
                }
                Err(unavailable) => self.refuse(&unavailable.0),
            }
        };
        tokio::spawn(stop.run_until_cancelled_owned(asking));
    }
}

async fn read(
    shared: &Shared,
    partition: u16,
    topic: &Topic,
    after: SeqNo,
    head: Head,
) -> Result<Replay, Unavailable> {
    if after > head.seq_no {
        // A topic without kept messages stands where its stream stands; another node may have said
        // so when the stream was further on.
        let end = shared.reader.info(partition).await?;
        let ahead = end.is_none_or(|info| after > info.state.last);
        let (seq_no, outcome) = if ahead {
            (head.seq_no, Err(UnrecoveredReason::Ahead))
        } else {
            (after, Ok(Vec::new()))
        };
        let head = Head { seq_no, ..head };
        return Ok(Replay { head, outcome });
    }
    let reading = shared.reader.between(partition, topic, after, head.seq_no);
    let outcome = match reading.await? {
        Ok(stored) => Ok(records(topic, &stored, after)),
        Err(Trimmed) => Err(UnrecoveredReason::Trimmed),
    };
    Ok(Replay { head, outcome })
}

/// The records of stored messages; `after` is the number before the first of them.
pub(super) fn records(topic: &Topic, stored: &[Stored], after: SeqNo) -> Vec<Record> {
    let mut previous = after;
    let record = |stored: &Stored| {
        let envelope = Envelope::decode(&stored.line)?;
        let record = envelope.record(topic.as_str(), &stored.payload, stored.seq_no, previous)?;
        previous = stored.seq_no;
        Some(record)
    };
    stored.iter().filter_map(record).collect()
}
