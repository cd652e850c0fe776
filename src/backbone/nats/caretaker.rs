//! Looks after the streams: whether they answer, whether they are still the same, whether messages
//! may have gone past us.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pump::Command;
use super::reader::ask_info;
use super::{Options, Shared, names, setup};
use crate::backbone::Retention;
use crate::protocol::SeqNo;

/// How often the streams of the messages are looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How often the others are, which say by themselves when they do not answer.
const LOOK_FURTHER: Duration = Duration::from_secs(3);

/// Looks after the streams.
pub(super) struct Caretaker {
    shared: Arc<Shared>,
    pumps: Arc<[mpsc::UnboundedSender<Command>]>,
    options: Options,
    retention: Retention,
    /// The end of each stream of messages when it was looked at last.
    ends: Vec<SeqNo>,
    /// The names of the other streams, and when all of them were there.
    others: Vec<String>,
    whole: Instant,
}

impl Caretaker {
    pub(super) fn new(
        shared: &Arc<Shared>,
        pumps: &Arc<[mpsc::UnboundedSender<Command>]>,
        options: Options,
        retention: &Retention,
    ) -> Self {
        let plan = setup::plan(&options, retention);
        let others = plan.iter().skip(usize::from(options.partitions));
        let others = others.filter_map(|stream| Some(stream["name"].as_str()?.to_owned()));
        Self {
            shared: shared.clone(),
            pumps: pumps.clone(),
            retention: retention.clone(),
            ends: Vec::new(),
            others: others.collect(),
            whole: Instant::now(),
            options,
        }
    }

    pub(super) async fn run(mut self) {
        // The first connection is no loss.
        self.shared.link.take_missed();
        loop {
            let _ = tokio::time::timeout(LOOK_AFTER, self.shared.link.changed()).await;
            if self.shared.link.is_connected() {
                let problem = match self.look().await {
                    None => self.look_further().await,
                    problem => problem,
                };
                self.shared.report(problem);
            }
        }
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for pump in self.pumps.iter() {
            let _ = pump.send(command());
        }
    }

    /// Makes the streams that are gone. Returns why that cannot be done.
    async fn make_again(&self, stream: &str) -> Option<String> {
        tracing::warn!(%stream, "the stream is gone and is made again");
        let made = setup::ensure(&self.shared.link, &self.options, &self.retention).await;
        made.err()
    }

    /// Returns why the streams of the messages cannot be used.
    pub(super) async fn look(&mut self) -> Option<String> {
        let mut ends = Vec::new();
        for partition in 0..self.options.partitions {
            match self.shared.reader.info(partition).await {
                Ok(Some(info)) if self.went_back(partition, &info) => {
                    return Some(self.begin_anew(partition, &info).await);
                }
                Ok(Some(info)) => {
                    self.compare(partition, &info);
                    ends.push(info.state.last);
                }
                Ok(None) => return self.make_again(&names::stream(partition)).await,
                Err(unavailable) => return Some(unavailable.0),
            }
        }
        let before = std::mem::replace(&mut self.ends, ends);
        if self.shared.link.take_missed() {
            self.tell_all(|| Command::Resync);
        } else {
            // What was there at the last look has come by now.
            for (partition, end) in (0..).zip(before) {
                self.tell_all(|| Command::Clear(partition, end));
            }
        }
        None
    }

    /// Returns why the other streams cannot be used: those of sessions, of ids, of what is revoked.
    async fn look_further(&mut self) -> Option<String> {
        if self.whole.elapsed() < LOOK_FURTHER {
            return None;
        }
        for stream in &self.others {
            match ask_info(&self.shared.link, stream).await {
                Ok(Some(_)) => {}
                Ok(None) => return self.make_again(stream).await,
                Err(unavailable) => return Some(unavailable.0),
            }
        }
        self.whole = Instant::now();
        None
    }

    /// Whether the stream has lost what it stored last, and gives its numbers again. Of several
    /// replicas one that has just become the leader may only seem to.
    fn went_back(&self, partition: u16, info: &setup::Info) -> bool {
        let end = self.ends.get(usize::from(partition));
        self.options.replicas == 1
            && end.is_some_and(|end| info.state.last < *end)
            && info.epoch() == Some(self.shared.epoch(partition))
    }

    /// Gives the stream another epoch, which every gateway finds at its next look. Returns why it cannot
    /// be used until then.
    async fn begin_anew(&self, partition: u16, info: &setup::Info) -> String {
        tracing::warn!(partition, "the stream has lost what it stored last");
        let stream = names::stream(partition);
        match setup::renumber(&self.shared.link, &stream, info).await {
            Ok(()) => format!("stream {stream} has lost messages: its numbers begin anew"),
            Err(why) => {
                format!("stream {stream} has lost messages and takes no other epoch: {why}")
            }
        }
    }

    /// Whether the stream is still the one that we know.
    fn compare(&mut self, partition: u16, info: &setup::Info) {
        let Some(epoch) = info.epoch() else {
            return;
        };
        if self.shared.epoch(partition) != epoch {
            tracing::warn!(partition, "the stream is a new one: its numbers begin anew");
            self.shared.epochs.write()[usize::from(partition)] = epoch.clone();
            // Where the other one ended says nothing of this one.
            if let Some(end) = self.ends.get_mut(usize::from(partition)) {
                *end = 0;
            }
            self.tell_all(|| Command::Renumbered(partition, epoch.clone()));
        }
    }
}
