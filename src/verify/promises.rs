//! I2 to I7: what is sent, and what must be seen. Each ends with a message that nothing follows, so
//! that a double is seen as well as a loss.

use futures_util::future::{try_join, try_join_all};
use serde_json::value::RawValue;

use crate::client::by_hand::Clock;
use crate::client::{Event, Message, SigningKey};
use crate::protocol::{ClientMessage, ErrorCode, Resume, Subscribe, UnrecoveredReason};

use super::checks;
use super::peer::{Target, publish_text, unexpected};
use super::report::{Broken, Outcome};
use super::stats;

type Result<T> = std::result::Result<T, Broken>;

/// How a socket that is dropped goes: a browser always says goodbye.
const GONE: &str = if cfg!(target_arch = "wasm32") {
    "closed (a browser cannot cut a socket)"
} else {
    "cut without a close"
};

/// The id of the message that ends a check.
const END: &str = "end";

fn pass(evidence: String) -> Result<(Outcome, String)> {
    Ok((Outcome::Pass, evidence))
}

/// This gateway does not keep enough messages to show it.
fn too_short(seen: &str, needed: usize) -> Result<(Outcome, String)> {
    let text = format!("{seen}; the history is too short to replay {needed}");
    Ok((Outcome::Skipped, text))
}

/// Ids are the user's, whatever the topic: they carry the run's name.
fn own_ids(target: &Target, name: &str, count: usize) -> Vec<String> {
    let name = target.own(name);
    (1..=count).map(|n| format!("{name}-{n}")).collect()
}

pub(super) async fn dedup(target: &Target) -> Result<(Outcome, String)> {
    const AT_ONCE: usize = 50;
    let topic = target.own("dedup");
    let mut subscriber = target.user(&[&topic]).await?;
    let mut one = target.user(&[]).await?;
    let mut other = target.user(&[]).await?;
    let first = own_ids(target, "again", 1);
    let mut acks = one.publish(&topic, &first).await?;
    acks.extend(one.publish(&topic, &first).await?);
    acks.extend(other.publish(&topic, &first).await?);
    let at_once = own_ids(target, "at-once", AT_ONCE);
    let (mine, theirs) = try_join(
        one.publish(&topic, &at_once),
        other.publish(&topic, &at_once),
    )
    .await?;
    acks.extend(mine.into_iter().chain(theirs));
    checks::one_effect(&acks)?;
    let end = own_end(target, "dedup");
    one.publish(&topic, std::slice::from_ref(&end)).await?;
    let seen = subscriber.messages_until(&end).await?;
    checks::rising(&seen)?;
    let expected = 1 + AT_ONCE;
    if seen.len() != expected {
        let count = seen.len();
        return Err(format!("{count} messages came of {expected} ids").into());
    }
    let again = acks.len() - expected;
    pass(format!(
        "{expected} ids published {} times over 2 sockets, {AT_ONCE} of them at once: {expected} ok, {again} duplicate with the first position, {} delivered",
        acks.len(),
        seen.len()
    ))
}

pub(super) async fn order(target: &Target) -> Result<(Outcome, String)> {
    const EACH: usize = 50;
    let topic = target.own("order");
    let mut subscribers = Vec::new();
    for _ in 0..3 {
        subscribers.push(target.user(&[&topic]).await?);
    }
    let names = ["a", "b", "c", "d"];
    let sent = names.map(|name| own_ids(target, &format!("order-{name}"), EACH));
    let mut peers = Vec::new();
    for _ in names {
        peers.push(target.user(&[]).await?);
    }
    let publishing = peers.iter_mut().zip(&sent);
    try_join_all(publishing.map(|(peer, ids)| peer.publish(&topic, ids))).await?;
    let end = own_end(target, "order");
    peers[0].publish(&topic, std::slice::from_ref(&end)).await?;
    let mut seen = Vec::new();
    for subscriber in &mut subscribers {
        seen.push(subscriber.messages_until(&end).await?);
    }
    for messages in &seen {
        checks::rising(messages)?;
        checks::each_in_order(messages, &sent)?;
    }
    checks::same(&seen)?;
    let count = seen[0].len();
    if count != names.len() * EACH {
        return Err(format!("{count} messages came of {}", names.len() * EACH).into());
    }
    pass(format!(
        "{} publishers at once, {} subscribers: the same {count} messages in the same order, {} without a hole",
        names.len(),
        seen.len(),
        span(&seen[0])
    ))
}

/// `#1..#200`
fn span(messages: &[Message]) -> String {
    let number = |message: Option<&Message>| message.map_or(0, |m| m.seq_no);
    format!(
        "#{}..#{}",
        number(messages.first()),
        number(messages.last())
    )
}

fn own_end(target: &Target, name: &str) -> String {
    target.own(&format!("{name}-{END}"))
}

pub(super) async fn delivery(target: &Target) -> Result<(Outcome, String)> {
    const COUNT: usize = 100;
    const REPLAYED: usize = 20;
    let topic = target.own("delivery");
    let mut subscribers = [target.user(&[&topic]).await?, target.user(&[&topic]).await?];
    let mut publisher = target.user(&[]).await?;
    let sent = own_ids(target, "delivery", COUNT);
    let acks = publisher.publish(&topic, &sent).await?;
    let end = own_end(target, "delivery");
    publisher
        .publish(&topic, std::slice::from_ref(&end))
        .await?;
    for subscriber in &mut subscribers {
        let seen = subscriber.messages_until(&end).await?;
        checks::exactly(&seen, &sent)?;
        let places = seen.iter().map(|m| (&*m.message_id, m.seq_no));
        if places.ne(acks.iter().map(|a| (&*a.message_id, a.seq_no))) {
            let why = "a message has another position than its ack";
            return Err(why.to_owned().into());
        }
    }
    let after = &acks[COUNT - REPLAYED - 1];
    let mut late = target.user(&[]).await?;
    late.send(&ClientMessage::Subscribe(Subscribe {
        topic: topic.as_str().into(),
        last_seq: Some(after.seq_no),
        epoch: Some(after.epoch.to_string().into()),
        qos: None,
    }))
    .await;
    let received = format!(
        "{COUNT} acked, {COUNT} received by each of {} subscribers",
        subscribers.len()
    );
    match late.next().await? {
        Event::Subscribed(s) if s.recovered == Some(true) => {}
        Event::Subscribed(s) if s.reason == Some(UnrecoveredReason::Trimmed) => {
            return too_short(&received, REPLAYED);
        }
        other => return Err(unexpected("subscribed with recovered", &other).into()),
    }
    let replayed = late.messages_until(&end).await?;
    checks::exactly(&replayed, &sent[COUNT - REPLAYED..])?;
    pass(format!(
        "{received}; lastSeq {} replayed exactly {REPLAYED}",
        after.seq_no
    ))
}

pub(super) async fn latency(
    target: &Target,
    get: &impl AsyncFn(String) -> std::result::Result<Option<String>, String>,
) -> Result<(Outcome, String)> {
    const COUNT: usize = 200;
    let topic = target.own("latency");
    let mut subscriber = target.user(&[&topic]).await?;
    let mut publisher = target.user(&[]).await?;
    let clock = Clock::start();
    let mut times = Vec::with_capacity(COUNT);
    for id in own_ids(target, "latency", COUNT) {
        let began = clock.now();
        let text = publish_text(&topic, &id, RawValue::NULL, None);
        publisher.send_all([text]).await;
        let early = match subscriber.messages_until(&id).await {
            Ok(early) => early,
            Err(why) => {
                publisher.acks(1).await?; // why there is no message, if the gateway told
                return Err(why.into());
            }
        };
        times.push(clock.now().saturating_sub(began));
        if !early.is_empty() {
            return Err("a message came twice".to_owned().into());
        }
        publisher.acks(1).await?;
    }
    let show = |times: [f64; 3]| {
        let [p50, p95, p99] = times.map(hundredths);
        format!("p50 {p50} p95 {p95} p99 {p99} ms")
    };
    let measured = show(checks::percentiles(&times));
    let measured = format!("{COUNT} from publish to receipt: {measured}");
    match stats::latency(&target.url, get).await {
        Ok(Some(own)) => pass(format!(
            "{measured}; /stats, to the socket write: {}",
            show(own)
        )),
        Err(why) => Err(format!("{measured}; {why}").into()),
        Ok(None) => Ok((
            Outcome::Skipped,
            format!("{measured}; /stats cannot be asked here"),
        )),
    }
}

/// With two decimals, made of whole numbers: a browser need not load what formats fractions.
fn hundredths(ms: f64) -> String {
    let all = (ms * 100.0).round() as u64;
    format!("{}.{:02}", all / 100, all % 100)
}

pub(super) async fn resume(target: &Target) -> Result<(Outcome, String)> {
    const BEFORE: usize = 10;
    const MISSED: usize = 30;
    let topic = target.own("resume");
    let mut publisher = target.user(&[]).await?;
    let mut subscriber = target.open().await?;
    let session = subscriber
        .set_up(target.token.expose(), &[&topic])
        .await?
        .session_id;
    let before = own_ids(target, "before", BEFORE + 1);
    publisher.publish(&topic, &before).await?;
    let seen = subscriber.messages_until(&before[BEFORE]).await?;
    let acks = publisher
        .publish(&topic, &own_ids(target, "unseen", 1))
        .await?;
    let reached = acks[0].seq_no - 1;
    drop(subscriber); // one message on its way
    let missed = own_ids(target, "missed", MISSED);
    publisher.publish(&topic, &missed).await?;

    let resume = |token: &str| {
        ClientMessage::Resume(Resume {
            token: token.to_owned().into(),
            session_id: session.clone(),
            last_seq_per_topic: [(topic.clone().into(), reached)].into(),
            epochs: [(topic.clone().into(), acks[0].epoch.to_string().into())].into(),
        })
    };
    let foreign = foreign_session(target, &resume(&target.own("foreigner"))).await?;
    let mut subscriber = target.open().await?;
    subscriber.send(&resume(target.token.expose())).await;
    match subscriber.next().await? {
        Event::Subscribed(s) if s.recovered == Some(true) => {}
        Event::Subscribed(s) if s.reason == Some(UnrecoveredReason::Trimmed) => {
            return too_short(&format!("{GONE} at #{reached}; {foreign}"), 1 + MISSED);
        }
        other => return Err(unexpected("subscribed with recovered", &other).into()),
    }
    let mut after = Vec::new();
    loop {
        match subscriber.next().await? {
            Event::Message(message) => after.push(message),
            Event::Ready(ready) if ready.resumed && ready.session_id == session => break,
            other => return Err(unexpected("the same session", &other).into()),
        }
    }
    let end = own_end(target, "resume");
    publisher
        .publish(&topic, std::slice::from_ref(&end))
        .await?;
    after.extend(subscriber.messages_until(&end).await?);
    let expected: Vec<String> = own_ids(target, "unseen", 1)
        .into_iter()
        .chain(missed)
        .collect();
    checks::exactly(&after, &expected)?;
    checks::rising(&after)?;
    checks::exactly(&seen, &before[..BEFORE])?;
    pass(format!(
        "{GONE} at #{reached}; resume brought the {} missed ones, {}, once and in order, then live ones; {foreign}",
        after.len(),
        span(&after)
    ))
}

/// Another user cannot go on with the session; its socket stays usable.
async fn foreign_session(target: &Target, resume: &ClientMessage<'_>) -> Result<&'static str> {
    let mut foreigner = target.open().await?;
    foreigner.send(resume).await;
    match foreigner.next().await? {
        Event::Error(error) if error.code == ErrorCode::SessionExpired => {}
        Event::Error(error) if error.code == ErrorCode::AuthFailed => {
            return Ok("a foreign session was not tried: it takes another user's token");
        }
        other => {
            let why = unexpected("SESSION_EXPIRED", &other);
            return Err(format!("a foreign session: {why}").into());
        }
    }
    foreigner.set_up(&target.own("foreigner"), &[]).await?;
    Ok("a foreign session is refused with SESSION_EXPIRED")
}

/// JSON that a gateway which reads payloads would write otherwise.
const ODD: [&str; 8] = [
    r#"{"b" : 1.0,"a":1e3 ,"a":-0}"#,
    r#""A\/\u00e9\ud83d\ude00é""#,
    "123456789012345678901234567890.10",
    "null",
    "[ ]",
    r#""""#,
    r#"{"nested":{"":[[],{}]}, "</script>":true}"#,
    r#"{"type":"message","topic":"x","seqNo":1}"#,
];

pub(super) async fn integrity(target: &Target) -> Result<(Outcome, String)> {
    let topic = target.own("integrity");
    let secret = target.own("a key of at least thirty-two bytes");
    let key = SigningKey::new(secret.as_bytes()).map_err(|e| e.to_string())?;
    let mut subscriber = target.user(&[&topic]).await?;
    let mut publisher = target.user(&[]).await?;
    let sent = own_ids(target, "odd", ODD.len());
    let mut texts = Vec::new();
    for (id, payload) in sent.iter().zip(ODD) {
        let payload: &RawValue = serde_json::from_str(payload).map_err(|e| e.to_string())?;
        let sig = key.sign(&topic, id, payload.get());
        texts.push(publish_text(&topic, id, payload, Some(&sig)));
    }
    publisher.send_all(texts).await;
    let acks = publisher.acks(ODD.len()).await?;
    let end = own_end(target, "integrity");
    publisher
        .publish(&topic, std::slice::from_ref(&end))
        .await?;
    let live = subscriber.messages_until(&end).await?;
    unchanged(&live, &sent, &key).map_err(|why| format!("live: {why}"))?;
    let mut late = target.user(&[]).await?;
    late.send(&ClientMessage::Subscribe(Subscribe {
        topic: topic.as_str().into(),
        last_seq: Some(acks[0].seq_no - 1),
        epoch: None,
        qos: None,
    }))
    .await;
    match late.next().await? {
        Event::Subscribed(s) if s.recovered == Some(true) => {}
        Event::Subscribed(s) if s.reason == Some(UnrecoveredReason::Trimmed) => {
            let seen = format!("{} odd payloads byte for byte, live", ODD.len());
            return too_short(&seen, ODD.len() + 1);
        }
        other => return Err(unexpected("subscribed with recovered", &other).into()),
    }
    let replayed = late.messages_until(&end).await?;
    unchanged(&replayed, &sent, &key).map_err(|why| format!("replay: {why}"))?;
    pass(format!(
        "{} odd payloads byte for byte, live and on replay; every sig unchanged and verified",
        ODD.len()
    ))
}

fn unchanged(
    messages: &[Message],
    sent: &[String],
    key: &SigningKey,
) -> std::result::Result<(), String> {
    checks::exactly(messages, sent)?;
    for (message, payload) in messages.iter().zip(ODD) {
        if message.data.get() != payload {
            return Err(format!("{payload} became {}", message.data));
        }
        message.verify(key).map_err(|why| why.to_string())?;
    }
    Ok(())
}
