use super::client::Standing;
use super::*;

const SETUP: &str = r#"{"type":"setup","token":"ada","topics":["prices"]}"#;
const SUBSCRIBED: &str = r#"{"type":"subscribed","topic":"prices","seqNo":4,"epoch":"e1"}"#;
const READY: &str = r#"{"type":"ready","sessionId":"s-1","resumed":false,"userId":"ada"}"#;
const PUBLISH: &str = r#"{"type":"publish","topic":"prices","messageId":"m","payload":1}"#;
const ACK: &str =
    r#"{"type":"ack","messageId":"m","status":"ok","topic":"prices","seqNo":5,"epoch":"e"}"#;
const MESSAGE: &str = r#"{"type":"message","topic":"prices","seqNo":5,"messageId":"m","data":1}"#;

fn sent(text: &str) -> Event {
    Event::Sent(text.into())
}

fn received(text: &str) -> Event {
    Event::Received(text.into())
}

fn opening() -> Event {
    Event::Opening {
        url: "ws://h/ws".into(),
    }
}

fn closed(code: u16) -> Event {
    Event::Closed {
        code,
        reason: String::new(),
    }
}

fn happened(at: f64, event: Event) -> Happened {
    let client = ClientId::FIRST;
    Happened { client, at, event }
}

fn first(playground: &Playground) -> &Client {
    playground.client(ClientId::FIRST)
}

/// Plays events one millisecond apart.
fn play(events: impl IntoIterator<Item = Event>) -> Playground {
    let mut playground = Playground::default();
    let mut at = 0.0;
    for event in events {
        playground.apply(happened(at, event));
        at += 1.0;
    }
    playground
}

fn rows(playground: &Playground) -> Vec<std::sync::Arc<Row>> {
    playground.log().after(0).cloned().collect()
}

#[test]
fn the_gateway_is_named_while_there_is_one() {
    let ready = READY.replace('}', r#","node":"web1-3000"}"#);
    let mut playground = play([opening(), Event::Opened, sent(SETUP), received(&ready)]);
    assert_eq!(first(&playground).node(), "web1-3000");
    playground.apply(happened(9.0, closed(1012)));
    assert_eq!(first(&playground).node(), "");
    let playground = play([opening(), Event::Opened, sent(SETUP), received(READY)]);
    assert_eq!(first(&playground).node(), "");
}

#[test]
fn the_states_follow_the_connection() {
    let tour = [
        (opening(), "connecting"),
        (Event::Opened, "connected"),
        (sent(SETUP), "connected"),
        (received(SUBSCRIBED), "connected"),
        (received(READY), "ready"),
        (closed(4100), "closed"),
        (opening(), "connecting"),
    ];
    let mut playground = Playground::default();
    assert_eq!(first(&playground).phase().name(), "disconnected");
    for (event, expected) in tour {
        playground.apply(happened(0.0, event));
        assert_eq!(first(&playground).phase().name(), expected);
        assert!(!first(&playground).next_step().words.is_empty());
    }
}

#[test]
fn an_answer_names_its_request_and_the_time_it_took() {
    let playground = play([
        opening(),
        Event::Opened,
        sent(SETUP),
        received(SUBSCRIBED),
        received(READY),
    ]);
    let rows = rows(&playground);
    assert_eq!(rows[3].link, Some(Link { row: 3, ms: 1.0 }));
    assert_eq!(rows[4].link, Some(Link { row: 3, ms: 2.0 }));
    assert_eq!(rows[2].link, Some(Link { row: 5, ms: 2.0 }));
}

#[test]
fn the_page_knows_its_place_in_each_topic() {
    let mut playground = play([
        opening(),
        Event::Opened,
        sent(SETUP),
        received(SUBSCRIBED),
        received(READY),
    ]);
    playground.apply(happened(9.0, received(MESSAGE)));
    let standing = Standing {
        seq_no: 5,
        epoch: "e1".into(),
    };
    assert_eq!(first(&playground).topics().get("prices"), Some(&standing));
    playground.apply(happened(9.0, closed(1006)));
    assert_eq!(first(&playground).topics().len(), 1, "kept for resume");
    assert_eq!(first(&playground).next_step().offers[0].kind, "resume");
    playground.apply(happened(
        9.0,
        received(r#"{"type":"unsubscribed","topic":"prices"}"#),
    ));
    assert!(first(&playground).topics().is_empty());
}

#[test]
fn the_next_step_leads_through_the_tour() {
    let mut playground = play([opening(), Event::Opened]);
    assert_eq!(first(&playground).next_step().offers[0].kind, "setup");
    playground.apply(happened(0.0, sent(SETUP)));
    assert!(first(&playground).next_step().offers.is_empty());
    playground.apply(happened(0.0, received(SUBSCRIBED)));
    playground.apply(happened(0.0, received(READY)));
    let offer = &first(&playground).next_step().offers[0];
    assert_eq!(
        (offer.kind, offer.topic.as_deref()),
        ("publish", Some("prices"))
    );
    playground.apply(happened(0.0, sent(PUBLISH)));
    let refused = r#"{"type":"error","code":"ACL_DENIED","message":"","topic":"prices"}"#;
    playground.apply(happened(0.0, received(refused)));
    assert!(!first(&playground).next_step().words.contains("duplicate"));
    playground.apply(happened(0.0, sent(PUBLISH)));
    playground.apply(happened(0.0, received(ACK)));
    assert!(first(&playground).next_step().words.contains("duplicate"));
}

#[test]
fn the_topic_last_spoken_of_is_offered() {
    let mut playground = play([opening(), Event::Opened, sent(SETUP), received(SUBSCRIBED)]);
    playground.apply(happened(
        0.0,
        received(r#"{"type":"subscribed","topic":"alerts","seqNo":0}"#),
    ));
    playground.apply(happened(0.0, received(READY)));
    let topic = |p: &Playground| first(p).next_step().offers[0].topic.clone();
    assert_eq!(
        topic(&playground).as_deref(),
        Some("prices"),
        "the first of setup"
    );
    playground.apply(happened(
        0.0,
        sent(r#"{"type":"subscribe","topic":"alerts"}"#),
    ));
    assert_eq!(topic(&playground).as_deref(), Some("alerts"));
}

#[test]
fn what_is_no_frame_is_logged_all_the_same() {
    let playground = play([opening(), Event::Opened, sent("{nope"), received("<b>?")]);
    let rows = rows(&playground);
    assert_eq!(
        (rows[2].kind.as_str(), &*rows[2].text),
        ("bad frame", "{nope")
    );
    assert_eq!((rows[3].tone, &*rows[3].text), (Tone::Trouble, "<b>?"));
}

#[test]
fn a_close_is_explained_in_the_log() {
    let playground = play([opening(), Event::Opened, closed(4001)]);
    let last = rows(&playground).pop().unwrap();
    assert_eq!(last.kind, "closed");
    assert!(last.text.contains("The token was refused."));
}

#[test]
fn a_cut_is_not_put_down_to_the_url() {
    for (events, asks) in [
        (vec![opening(), closed(1006)], true),
        (vec![opening(), Event::Opened, closed(1006)], false),
    ] {
        let playground = play(events);
        let last = rows(&playground).pop().unwrap();
        for words in [first(&playground).next_step().words.as_str(), &*last.text] {
            assert_eq!(words.contains("URL"), asks, "{words}");
        }
    }
}

#[test]
fn a_flood_is_noticed() {
    let mut playground = play([opening(), Event::Opened]);
    playground.apply_all((0..100).map(|_| happened(0.0, received(MESSAGE))));
    assert!(playground.flooded());
    playground.apply_all([happened(0.0, received(MESSAGE))]);
    assert!(!playground.flooded());
}

#[test]
fn a_new_connection_owes_no_answers_of_the_old_one() {
    let playground = play([
        opening(),
        Event::Opened,
        sent(PUBLISH),
        closed(1006),
        opening(),
        Event::Opened,
        received(r#"{"type":"ack","messageId":"m","status":"ok"}"#),
    ]);
    assert_eq!(rows(&playground).pop().unwrap().link, None);
}

#[test]
fn clients_know_nothing_of_each_other() {
    let mut playground = play([opening(), Event::Opened, sent(SETUP), received(READY)]);
    let second = playground.add().unwrap();
    assert_eq!(playground.client(second).phase().name(), "disconnected");
    let happened = |event| Happened {
        client: second,
        at: 9.0,
        event,
    };
    playground.apply(happened(opening()));
    playground.apply(happened(closed(1006)));
    assert_eq!(first(&playground).phase().name(), "ready");
    let rows = rows(&playground);
    assert_eq!(rows.iter().filter(|row| row.client == second).count(), 2);
}

#[test]
fn clients_come_and_go_up_to_four_and_the_first_stays() {
    let mut playground = Playground::default();
    let letters = |p: &Playground| p.ids().map(ClientId::letter).collect::<String>();
    assert_eq!(letters(&playground), "A");
    let added: Vec<_> = std::iter::from_fn(|| playground.add()).collect();
    assert_eq!(added.len(), 3);
    assert_eq!(letters(&playground), "ABCD");
    playground.remove(added[0]);
    playground.remove(ClientId::FIRST);
    assert_eq!(letters(&playground), "ACD");
    assert_eq!(playground.add(), Some(added[0]), "the free place");
    for letter in ["A", "D"] {
        let id = ClientId::from_letter(letter).unwrap();
        assert_eq!(id.letter(), letter);
    }
    assert_eq!(ClientId::from_letter("E"), None);
}
