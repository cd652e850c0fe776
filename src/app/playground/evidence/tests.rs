use super::super::client::ClientId;
use super::super::gateway::{Measured, Stats};
use super::super::latencies::Latencies;
use super::super::{Event, Happened, Playground};
use super::{Promise, Verdict};

const A: ClientId = ClientId::FIRST;
const B: ClientId = ClientId::ALL[1];
/// The places of the promises.
const I1: usize = 0;
const I2: usize = 1;
const I3: usize = 2;
const I4: usize = 3;
const I5: usize = 4;
const I6: usize = 5;
const I7: usize = 6;

const SUBSCRIBED: &str = r#"{"type":"subscribed","topic":"t","seqNo":0,"epoch":"e"}"#;
const READY: &str = r#"{"type":"ready","sessionId":"s","userId":"ann"}"#;

struct Story {
    playground: Playground,
    at: f64,
}

impl Story {
    /// Clients A and B, both ready as `ann`, both subscribed to `t` at its beginning.
    fn begin() -> Self {
        let playground = Playground::default();
        let mut story = Self {
            playground,
            at: 0.0,
        };
        story.playground.bring(B);
        for client in [A, B] {
            story.connects(client);
            story.got(client, SUBSCRIBED).got(client, READY);
        }
        story
    }

    fn event(&mut self, client: ClientId, event: Event) -> &mut Self {
        let at = self.at;
        self.playground.apply(Happened { client, at, event });
        self
    }

    fn connects(&mut self, client: ClientId) -> &mut Self {
        let url = "ws://h/ws".to_owned();
        self.event(client, Event::Opening { url });
        self.event(client, Event::Opened)
    }

    fn sent(&mut self, client: ClientId, text: &str) -> &mut Self {
        self.event(client, Event::Sent(text.to_owned()))
    }

    fn got(&mut self, client: ClientId, text: &str) -> &mut Self {
        self.event(client, Event::Received(text.to_owned()))
    }

    fn after(&mut self, ms: f64) -> &mut Self {
        self.at += ms;
        self
    }

    fn publishes(&mut self, client: ClientId, id: &str, payload: &str) -> &mut Self {
        let text =
            format!(r#"{{"type":"publish","topic":"t","messageId":"{id}","payload":{payload}}}"#);
        self.sent(client, &text)
    }

    fn acked(&mut self, client: ClientId, id: &str, status: &str, seq_no: u64) -> &mut Self {
        let text = format!(
            r#"{{"type":"ack","messageId":"{id}","topic":"t","status":"{status}","seqNo":{seq_no},"epoch":"e"}}"#
        );
        self.got(client, &text)
    }

    fn message(&mut self, client: ClientId, seq_no: u64, id: &str, data: &str) -> &mut Self {
        let text = format!(
            r#"{{"type":"message","topic":"t","seqNo":{seq_no},"messageId":"{id}","data":{data}}}"#
        );
        self.got(client, &text)
    }

    fn denied(&mut self, client: ClientId, more: &str) -> &mut Self {
        let text =
            format!(r#"{{"type":"error","code":"ACL_DENIED","message":"","topic":"t"{more}}}"#);
        self.got(client, &text)
    }

    fn promise(&self, place: usize) -> Promise {
        self.playground.promises(None)[place].clone()
    }

    fn verdict(&self, place: usize) -> Verdict {
        self.promise(place).verdict
    }

    fn words(&self, place: usize) -> String {
        self.promise(place).words
    }
}

#[test]
fn before_anything_was_seen_each_says_how_to_see_something() {
    let fresh = Playground::default();
    for promise in fresh.promises(None) {
        assert_eq!(promise.verdict, Verdict::Nothing);
        assert!(!promise.words.is_empty());
    }
}

#[test]
fn access_is_broken_by_what_comes_of_a_refused_topic() {
    let mut story = Story::begin();
    story.denied(A, "");
    assert_eq!(
        story.words(I1),
        "1 refusal; 0 messages came of what was refused"
    );
    assert_eq!(story.verdict(I1), Verdict::Holds);
    story.message(B, 1, "m", "1");
    assert_eq!(story.verdict(I1), Verdict::Holds, "B may read it");
    story.message(A, 1, "m", "1");
    assert_eq!(story.verdict(I1), Verdict::Broken);
}

#[test]
fn access_forgets_a_refusal_that_is_over() {
    let mut story = Story::begin();
    story
        .denied(A, "")
        .got(A, SUBSCRIBED)
        .message(A, 1, "m", "1");
    assert_eq!(story.verdict(I1), Verdict::Holds);
    story.denied(A, "");
    story
        .sent(A, r#"{"type":"setup","token":"ben"}"#)
        .message(A, 2, "n", "1");
    assert_eq!(story.verdict(I1), Verdict::Holds);
}

#[test]
fn access_is_broken_by_a_refused_publish_that_arrives() {
    let mut story = Story::begin();
    story
        .publishes(A, "m", "1")
        .denied(A, r#","messageId":"m""#);
    story.message(B, 1, "other", "1");
    assert_eq!(story.verdict(I1), Verdict::Holds);
    story.message(B, 2, "m", "1");
    assert_eq!(story.verdict(I1), Verdict::Broken);
    // Tried again, and allowed this time.
    let mut story = Story::begin();
    story
        .publishes(A, "m", "1")
        .denied(A, r#","messageId":"m""#);
    story.publishes(A, "m", "1").message(B, 1, "m", "1");
    assert_eq!(story.verdict(I1), Verdict::Holds);
}

#[test]
fn dedup_wants_the_first_position_again_and_no_second_ok() {
    let mut story = Story::begin();
    story.acked(A, "m", "ok", 1);
    assert_eq!(story.verdict(I2), Verdict::Nothing);
    story
        .acked(A, "m", "duplicate", 1)
        .acked(B, "m", "duplicate", 1);
    assert_eq!(story.verdict(I2), Verdict::Holds);
    assert!(story.words(I2).starts_with("3 acks, 2 of them duplicate"));
    for (status, seq_no) in [("duplicate", 2), ("ok", 2), ("ok", 1)] {
        let mut story = Story::begin();
        story.acked(A, "m", "ok", 1).acked(A, "m", "duplicate", 1);
        story.acked(A, "m", status, seq_no);
        assert_eq!(story.verdict(I2), Verdict::Broken, "{status} {seq_no}");
    }
    // Long after, the id is forgotten, as it may be.
    story.after(400_000.0).acked(A, "m", "ok", 9);
    assert_eq!(story.verdict(I2), Verdict::Holds);
}

#[test]
fn dedup_is_judged_by_the_gateways_own_setting() {
    let mut story = Story::begin();
    let stats = r#"{"connections":0,"subscriptions":0,"published":0,"delivered":0,
        "latency":{"p50Ms":0,"p95Ms":0,"p99Ms":0,"count":0,"buckets":[]},
        "slo":{"targetMs":50,"objective":0.99,"met":true,"deliveries":0,"windowS":300},"dedupTtlMs":5000}"#;
    story.playground.heed(&Stats::read(stats).unwrap());
    story.playground.begin_evidence();
    story.acked(A, "m", "ok", 1).acked(A, "m", "duplicate", 1);
    story.after(5000.0).acked(A, "m", "ok", 2);
    assert_eq!(story.verdict(I2), Verdict::Holds);
    story.after(4999.0).acked(A, "m", "ok", 3);
    assert_eq!(story.verdict(I2), Verdict::Broken);
}

#[test]
fn dedup_is_of_each_user_by_itself() {
    let mut story = Story::begin();
    story.got(B, r#"{"type":"ready","sessionId":"s","userId":"ben"}"#);
    story.acked(A, "m", "ok", 1).acked(B, "m", "ok", 2);
    story.acked(A, "m", "duplicate", 1);
    assert_eq!(story.verdict(I2), Verdict::Holds);
}

#[test]
fn a_message_that_comes_twice_breaks_dedup() {
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").message(A, 1, "m", "1");
    assert_eq!(story.verdict(I2), Verdict::Broken);
    assert_eq!(story.verdict(I3), Verdict::Holds);
}

#[test]
fn order_is_one_for_all_clients() {
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").message(A, 2, "n", "1");
    story.message(B, 1, "m", "1");
    assert_eq!(story.verdict(I3), Verdict::Holds);
    story.message(B, 2, "other", "1");
    assert_eq!(story.verdict(I3), Verdict::Broken);
    assert!(
        story
            .words(I3)
            .contains("1 place where clients saw different messages")
    );
}

#[test]
fn order_is_broken_by_a_message_behind_a_newer_one() {
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").message(A, 3, "o", "1");
    story.message(A, 2, "n", "1");
    assert_eq!(story.verdict(I3), Verdict::Broken);
    assert_eq!(story.verdict(I4), Verdict::Broken, "and 3 was a gap");
}

#[test]
fn a_gap_that_is_told_is_none() {
    let mut story = Story::begin();
    story.message(A, 1, "m", "1");
    assert_eq!(story.words(I4), "1 message, 0 hidden gaps; 0 gaps told");
    story.connects(A);
    story.got(
        A,
        r#"{"type":"subscribed","topic":"t","seqNo":90,"epoch":"e","recovered":false,"reason":"trimmed"}"#,
    );
    story.message(A, 91, "n", "1");
    assert_eq!(story.words(I4), "2 messages, 0 hidden gaps; 1 gap told");
    assert_eq!(story.verdict(I4), Verdict::Holds);
    story.message(A, 93, "o", "1");
    assert_eq!(story.verdict(I4), Verdict::Broken);
}

#[test]
fn latency_is_from_publish_to_each_subscriber_here() {
    let mut story = Story::begin();
    story
        .publishes(A, "m", "1")
        .after(8.0)
        .message(A, 1, "m", "1");
    story.after(8.0).message(B, 1, "m", "1");
    let words = story.words(I5);
    assert!(
        words.starts_with("Here, 2 messages from publish to deliver: p50 8"),
        "{words}"
    );
    assert_eq!(
        story.verdict(I5),
        Verdict::Nothing,
        "the gateway was not asked"
    );
    let mut measured = Measured {
        times: Latencies {
            count: 2,
            percentiles: [0.1, 0.2, 0.3],
            ..Latencies::default()
        },
        target_ms: 50,
        objective: 0.99,
        met: true,
        judged: 100,
        window_s: 300,
    };
    let seen = |measured| story.playground.promises(Some(&measured))[I5].clone();
    assert_eq!(seen(measured).verdict, Verdict::Holds);
    let words = seen(measured).words;
    let gateway = "In the gateway since its start, 2 messages from accept to write: p50 0.1 ms p95 0.2 ms p99 0.3 ms. \
                   Target 50 ms for 99 %; 100 messages in the last 5 minutes: met.";
    assert!(words.ends_with(gateway), "{words}");
    // Measured and held against a target is what is promised: a miss is told, and breaks nothing.
    measured.met = false;
    assert_eq!(seen(measured).verdict, Verdict::Missed);
    assert!(seen(measured).words.ends_with(": missed."));
    measured.judged = 11;
    assert_eq!(seen(measured).verdict, Verdict::Holds);
    let few = "11 messages in the last 5 minutes: too few to judge.";
    assert!(seen(measured).words.ends_with(few));
}

#[test]
fn what_was_replayed_says_nothing_of_latency() {
    let mut story = Story::begin();
    story.publishes(B, "m", "1").connects(A).after(60_000.0);
    story.got(
        A,
        r#"{"type":"subscribed","topic":"t","seqNo":1,"epoch":"e","recovered":true,"replayed":1}"#,
    );
    story.message(A, 1, "m", "1");
    assert!(story.words(I5).starts_with("Publish to a topic"));
    story
        .publishes(B, "n", "1")
        .after(2.0)
        .message(A, 2, "n", "1");
    assert!(story.words(I5).starts_with("Here, 1 message"));
    // The gateway began anew: the place that was reached before says nothing.
    story
        .connects(A)
        .got(A, &SUBSCRIBED.replace("\"e\"", "\"f\""));
    story.publishes(B, "o", "1").after(2.0);
    story.message(A, 1, "o", "1");
    assert!(story.words(I5).starts_with("Here, 2 messages"));
}

#[test]
fn a_duplicate_takes_no_part_in_latency() {
    let mut story = Story::begin();
    story
        .publishes(A, "m", "1")
        .after(4.0)
        .publishes(A, "m", "1");
    story.after(4.0).message(A, 1, "m", "1");
    let words = story.words(I5);
    assert!(words.contains("p50 8"), "from the first: {words}");
}

#[test]
fn resume_is_judged_by_what_followed_it() {
    let resume = r#"{"type":"resume","token":"a","sessionId":"s","lastSeqPerTopic":{"t":1}}"#;
    let back =
        r#"{"type":"subscribed","topic":"t","seqNo":3,"epoch":"e","recovered":true,"replayed":2}"#;
    let ready = r#"{"type":"ready","sessionId":"s","userId":"ann","resumed":true}"#;
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").connects(A).sent(A, resume);
    story
        .got(A, back)
        .message(A, 2, "n", "1")
        .message(A, 3, "o", "1")
        .got(A, ready);
    assert_eq!(story.verdict(I6), Verdict::Holds);
    assert_eq!(
        story.words(I6),
        "1 resume: 1 went on, 0 expired; 1 topic recovered with 2 messages, 0 told as lost, 0 short"
    );
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").connects(A).sent(A, resume);
    story.got(A, back).message(A, 3, "o", "1").got(A, ready);
    assert_eq!(story.verdict(I6), Verdict::Broken);
    let mut story = Story::begin();
    story.connects(A).sent(A, resume);
    story.got(
        A,
        r#"{"type":"error","code":"SESSION_EXPIRED","message":""}"#,
    );
    assert_eq!(story.verdict(I6), Verdict::Holds, "it was told");
    assert!(
        story
            .words(I6)
            .starts_with("1 resume: 0 went on, 1 expired")
    );
}

#[test]
fn integrity_compares_bytes() {
    let mut story = Story::begin();
    story.publishes(A, "m", "[ ]").message(A, 1, "m", "[ ]");
    assert_eq!(
        story.words(I7),
        "1 payload of this page's own, 3 bytes: 0 changed on the way"
    );
    assert_eq!(story.verdict(I7), Verdict::Holds);
    story.message(B, 1, "m", "[]");
    assert_eq!(story.verdict(I7), Verdict::Broken);
    // Which of two payloads under one id takes effect is not the page's to say.
    let mut story = Story::begin();
    story
        .publishes(A, "m", "1")
        .publishes(A, "m", "2")
        .message(A, 1, "m", "1");
    assert_eq!(story.verdict(I7), Verdict::Nothing);
}

#[test]
fn an_id_that_others_use_too_is_not_taken_for_this_pages_own() {
    let ack = |status: &str, seq_no: u64| {
        format!(
            r#"{{"type":"ack","messageId":"m","status":"{status}","topic":"t","seqNo":{seq_no},"epoch":"e"}}"#
        )
    };
    let mut story = Story::begin();
    story.publishes(A, "m", "1").got(A, &ack("ok", 1));
    story.message(A, 1, "m", "1").message(A, 2, "m", "2");
    assert_eq!(story.verdict(I7), Verdict::Holds, "{}", story.words(I7));
    // What was published before the evidence began may have been another payload.
    let mut story = Story::begin();
    story.publishes(A, "m", "2").got(A, &ack("duplicate", 1));
    story.message(B, 1, "m", "1");
    assert_eq!(story.verdict(I7), Verdict::Nothing);
}

#[test]
fn it_begins_anew_and_outlives_its_clients() {
    let mut story = Story::begin();
    story.message(A, 1, "m", "1").message(B, 1, "m", "1");
    story.playground.remove(B);
    assert!(story.words(I3).starts_with("2 messages"));
    story.playground.begin_evidence();
    assert_eq!(story.verdict(I3), Verdict::Nothing);
    story.message(A, 2, "n", "1");
    assert!(story.words(I3).starts_with("1 message,"));
}
