//! What the stream has kept of a topic.
//!
//! With one replica, reads are direct. With more of them only the stream's leader is asked: another
//! replica may lag, and what it has not got yet would look as if it had never been.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::Options;
use super::envelope::{Envelope, HEADER, line_in, number};
use super::link::{Link, read_answer};
use super::names;
use super::setup::Info;
use crate::backbone::{PageSize, Retention, Unavailable, unix_ms};
use crate::protocol::{SeqNo, Topic};

/// No message was found.
const NO_MESSAGE: u32 = 10037;
/// At how many places a topic is read at once.
const MOST_WAYS: u64 = 16;
/// The stream is not there.
const NO_STREAM: u32 = 10059;

/// A message as the stream keeps it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Its number.
    pub(super) seq_no: SeqNo,
    /// Where it was published to.
    pub(super) subject: String,
    /// Our header line; empty when somebody else published it.
    pub(super) line: String,
    /// The payload.
    pub(super) payload: Bytes,
}

/// Something is missing for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trimmed;

type InfoAnswer = Result<Option<Arc<Info>>, Unavailable>;

/// Reads streams; one for all partitions.
pub(super) struct Reader {
    link: Arc<Link>,
    direct: bool,
    history_size: usize,
    /// How long a message may be asked for, where its id is kept longer.
    shorter_ttl_ms: Option<u64>,
    infos: Vec<mpsc::UnboundedSender<oneshot::Sender<InfoAnswer>>>,
}

impl Reader {
    /// For the streams of these settings.
    pub(super) fn new(link: Arc<Link>, options: &Options, retention: &Retention) -> Self {
        let shorter = retention.history_ttl < retention.dedup_ttl;
        let infos = (0..options.partitions).map(|partition| {
            let (ask, asked) = mpsc::unbounded_channel();
            link.run(answer_infos(link.clone(), names::stream(partition), asked));
            ask
        });
        Self {
            infos: infos.collect(),
            direct: options.replicas == 1,
            history_size: retention.history_size,
            shorter_ttl_ms: shorter.then_some(retention.history_ttl.as_millis() as u64),
            link,
        }
    }

    /// The stream as it is at some moment after this call; `None` when there is none.
    pub(super) async fn info(&self, partition: u16) -> InfoAnswer {
        let (reply, answer) = oneshot::channel();
        let gone = || Unavailable("the gateway stops".to_owned());
        let ask = self.infos.get(usize::from(partition)).ok_or_else(gone)?;
        ask.send(reply).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn info_now(&self, partition: u16) -> Result<Arc<Info>, Unavailable> {
        let info = self.info(partition).await?;
        info.ok_or_else(|| Unavailable("the stream is gone".to_owned()))
    }

    /// The newest number of a topic, from the stream's leader. A topic without kept messages has
    /// nothing up to the newest number of the whole stream: that is its head then.
    pub(super) async fn head(&self, partition: u16, topic: &Topic) -> Result<SeqNo, Unavailable> {
        let subject = names::inward(partition, topic.as_str());
        let last = json!({ "last_by_subj": subject });
        if let Some(stored) = self.ask_leader(partition, &last).await? {
            return Ok(stored.seq_no);
        }
        let end = self.info_now(partition).await?.state.last;
        // One that was stored between the two questions must not be below the head.
        let stored = self.ask_leader(partition, &last).await?;
        Ok(stored.map_or(end, |stored| stored.seq_no))
    }

    /// The message with this number.
    pub(super) async fn get(
        &self,
        partition: u16,
        seq_no: SeqNo,
    ) -> Result<Option<Stored>, Unavailable> {
        self.ask_leader(partition, &json!({ "seq": seq_no })).await
    }

    /// Every message of a topic after a number, up to another one, oldest first.
    pub(super) async fn between(
        &self,
        partition: u16,
        topic: &Topic,
        after: SeqNo,
        to: SeqNo,
    ) -> Result<Result<Vec<Stored>, Trimmed>, Unavailable> {
        let most = self.history_size;
        let Some(mut found) = self.scan(partition, topic, after, to).await? else {
            return Ok(Err(Trimmed));
        };
        // Up to the topic's end, and last of all: a topic that pushed out a message after `after` has
        // more than `history_size` newer ones, which are counted here.
        let behind = found.last().map_or(after, |last| last.seq_no.max(to));
        let rest = PageSize {
            messages: most + 1 - found.len(),
            ..PageSize::ALL
        };
        found.extend(self.kept(partition, topic, behind, rest).await?);
        if found.len() > most || found.first().is_some_and(|first| self.is_too_old(first)) {
            return Ok(Err(Trimmed));
        }
        // Age and size take the stream's oldest messages, whatever their topic.
        let ends = self.info_now(partition).await?.state;
        if after + 1 < ends.first {
            return Ok(Err(Trimmed));
        }
        found.retain(|stored| stored.seq_no <= to);
        Ok(Ok(found))
    }

    /// The messages of a topic between two numbers, read at several places at once; `None` when they
    /// are more than may be asked for.
    async fn scan(
        &self,
        partition: u16,
        topic: &Topic,
        after: SeqNo,
        to: SeqNo,
    ) -> Result<Option<Vec<Stored>>, Unavailable> {
        let subject = names::inward(partition, topic.as_str());
        let Some(first) = self.next(partition, &subject, after + 1).await? else {
            return Ok(Some(Vec::new()));
        };
        if first.seq_no > to {
            return Ok(Some(Vec::new()));
        }
        let begin = first.seq_no + 1;
        let span = (to + 1).saturating_sub(begin);
        let ways = (span / 4).clamp(1, MOST_WAYS);
        let found = AtomicUsize::new(1);
        let read = async |way: u64| {
            let mut stored = Vec::new();
            let end = begin + span * (way + 1) / ways;
            let mut from = begin + span * way / ways;
            while from < end && found.load(Ordering::Relaxed) <= self.history_size {
                let next = self.next(partition, &subject, from).await?;
                let Some(next) = next.filter(|next| next.seq_no < end) else {
                    break;
                };
                from = next.seq_no + 1;
                found.fetch_add(1, Ordering::Relaxed);
                stored.push(next);
            }
            Ok::<_, Unavailable>(stored)
        };
        let parts = try_join_all((0..ways).map(read)).await?;
        if found.into_inner() > self.history_size {
            return Ok(None);
        }
        Ok(Some(
            std::iter::once(first)
                .chain(parts.into_iter().flatten())
                .collect(),
        ))
    }

    /// The kept messages of a topic after a number, as many as go on a page, oldest first.
    pub(super) async fn kept(
        &self,
        partition: u16,
        topic: &Topic,
        after: SeqNo,
        mut page: PageSize,
    ) -> Result<Vec<Stored>, Unavailable> {
        let subject = names::inward(partition, topic.as_str());
        let mut found = Vec::new();
        let mut from = after + 1;
        while found.len() < page.messages {
            let Some(stored) = self.next(partition, &subject, from).await? else {
                break;
            };
            from = stored.seq_no + 1;
            if self.is_too_old(&stored) {
                continue;
            }
            if !page.takes(found.len(), stored.line.len() + stored.payload.len()) {
                break;
            }
            found.push(stored);
        }
        Ok(found)
    }

    /// Whether a message has outlived its time, where the stream keeps it longer for its id.
    fn is_too_old(&self, stored: &Stored) -> bool {
        let Some(ttl_ms) = self.shorter_ttl_ms else {
            return false;
        };
        let ts = Envelope::decode(&stored.line).map(|envelope| envelope.ts);
        ts.is_none_or(|ts| ts.saturating_add(ttl_ms) <= unix_ms())
    }

    /// A subject's first kept message from a number on.
    async fn next(
        &self,
        partition: u16,
        subject: &str,
        from: SeqNo,
    ) -> Result<Option<Stored>, Unavailable> {
        let what = json!({ "seq": from, "next_by_subj": subject });
        if self.direct {
            self.ask_direct(partition, &what).await
        } else {
            self.ask_leader(partition, &what).await
        }
    }

    async fn ask_direct(
        &self,
        partition: u16,
        what: &Value,
    ) -> Result<Option<Stored>, Unavailable> {
        let subject = format!("$JS.API.DIRECT.GET.{}", names::stream(partition));
        let answer = self
            .link
            .request(subject, None, what.to_string().into())
            .await?;
        match answer.status {
            None => {}
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) => return Err(Unavailable(format!("the stream answers {status}"))),
        }
        let nonsense = || Unavailable("the stream answers what cannot be read".to_owned());
        let headers = answer.headers.ok_or_else(nonsense)?;
        let text = |name| headers.get(name).map(|value| value.as_str().to_owned());
        Ok(Some(Stored {
            seq_no: number(&headers, "Nats-Sequence").ok_or_else(nonsense)?,
            subject: text("Nats-Subject").ok_or_else(nonsense)?,
            line: text(HEADER).unwrap_or_default(),
            payload: answer.payload,
        }))
    }

    async fn ask_leader(
        &self,
        partition: u16,
        what: &Value,
    ) -> Result<Option<Stored>, Unavailable> {
        ask_leader(&self.link, &names::stream(partition), what).await
    }
}

/// Asks a stream's leader for one message.
pub(super) async fn ask_leader(
    link: &Link,
    stream: &str,
    what: &Value,
) -> Result<Option<Stored>, Unavailable> {
    #[derive(Deserialize)]
    struct Answer {
        message: Raw,
    }
    #[derive(Deserialize)]
    struct Raw {
        subject: String,
        seq: SeqNo,
        #[serde(default)]
        hdrs: String,
        #[serde(default)]
        data: String,
    }
    let subject = format!("STREAM.MSG.GET.{stream}");
    let raw = match link.api::<Answer>(&subject, what).await? {
        Ok(answer) => answer.message,
        Err(error) if error.err_code == NO_MESSAGE => return Ok(None),
        Err(error) => return Err(Unavailable(error.to_string())),
    };
    let decode = |text: &str| {
        let nonsense = |_| Unavailable("the stream answers what cannot be read".to_owned());
        STANDARD.decode(text).map_err(nonsense)
    };
    let headers = decode(&raw.hdrs)?;
    let headers = String::from_utf8_lossy(&headers);
    Ok(Some(Stored {
        seq_no: raw.seq,
        line: line_in(&headers).unwrap_or_default().to_owned(),
        subject: raw.subject,
        payload: decode(&raw.data)?.into(),
    }))
}

/// The header line of a message that was repeated, and the two numbers that stand beside it.
#[must_use]
pub(super) fn live_headers(headers: &HeaderMap) -> Option<(SeqNo, SeqNo, String)> {
    let seq_no = number(headers, "Nats-Sequence")?;
    let previous = number(headers, "Nats-Last-Sequence")?;
    let line = headers.get(HEADER).map(|value| value.as_str().to_owned());
    Some((seq_no, previous, line.unwrap_or_default()))
}

/// Asks once for everybody who has asked until then.
async fn answer_infos(
    link: Arc<Link>,
    stream: String,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<InfoAnswer>>,
) {
    let mut askers = Vec::new();
    while asked.recv_many(&mut askers, usize::MAX).await > 0 {
        let answer = ask_info(&link, &stream).await;
        for asker in askers.drain(..) {
            let _ = asker.send(answer.clone());
        }
    }
}

/// A stream as it is; `None` when there is none.
pub(super) async fn ask_info(link: &Link, stream: &str) -> InfoAnswer {
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    let answer = link.request(subject, None, Bytes::new()).await?;
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Unavailable("JetStream does not answer".to_owned()));
    }
    match read_answer(&answer.payload)? {
        Ok(info) => Ok(Some(Arc::new(info))),
        Err(error) if error.err_code == NO_STREAM => Ok(None),
        Err(error) => Err(Unavailable(error.to_string())),
    }
}
