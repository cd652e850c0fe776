//! Sessions that are not in the bucket yet, or not any more.

use super::*;
use crate::backbone::SessionTopic;
use crate::backbone::contract::nats_server::NatsServer;
use crate::backbone::nats::Nats;
use crate::backbone::nats::tests::opened_on;
use crate::backbone::sessions::MAX_SESSIONS;
use crate::protocol::{Epoch, Topic};

async fn opened(server: &NatsServer) -> (Nats, NatsSessions) {
    let nats = opened_on(server).await;
    let sessions = nats.sessions();
    (nats, sessions)
}

const NOW: Now = Now {
    mono_ns: 0,
    unix_ms: 0,
};

/// Until whatever is held fits.
async fn becomes(sessions: &NatsSessions, fits: impl Fn(&HashMap<SessionId, Held>) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fits(&sessions.shared.held.lock()) {
        assert!(Instant::now() < deadline, "it does not become so");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nats_does_not_take_is_not_tried_for_ever() {
    let server = NatsServer::with("max_payload: 90000").await;
    let (_nats, sessions) = opened(&server).await;
    let topic = |n: usize| SessionTopic {
        topic: Topic::new(&format!("{n:0>250}")).unwrap(),
        qos: 0,
        seq_no: 1,
        epoch: Epoch::new("e"),
    };
    let record = SessionRecord {
        user: "ann".to_owned(),
        topics: (0..400).map(topic).collect(),
    };
    sessions.save(NOW, 7, &record, Some(1000));
    becomes(&sessions, HashMap::is_empty).await;
}

fn record(seq_no: u64) -> SessionRecord {
    let topic = SessionTopic {
        topic: Topic::new("t").unwrap(),
        qos: 0,
        seq_no,
        epoch: Epoch::new("e"),
    };
    SessionRecord {
        user: "ann".to_owned(),
        topics: vec![topic],
    }
}

fn entry(node: &str, seq_no: u64, expires: Option<u64>) -> Entry {
    Entry {
        session: StoredSession::from(&record(seq_no)),
        node: node.to_owned(),
        expires,
    }
}

fn waiting(entry: Entry) -> Option<Arc<Waiting>> {
    let _share = None;
    Some(Arc::new(Waiting { entry, _share }))
}

#[tokio::test]
async fn what_is_not_written_yet_is_found_here() {
    let server = NatsServer::start().await;
    let (_nats, sessions) = opened(&server).await;
    let shared = &sessions.shared;
    let node = shared.bus.node();
    let last = || waiting(entry(node, 9, Some(1000)));
    let hold = |id, held| drop(shared.held.lock().insert(id, held));
    // The bucket has nothing of it yet.
    let held = Held {
        next: last(),
        writing: true,
        ..Held::default()
    };
    hold(1, held);
    // The bucket has an older one, and the newest is in the writer's hand.
    shared.write(2, &entry(node, 5, None), 0).await.unwrap();
    let held = Held {
        in_hand: last(),
        writing: true,
        ..Held::default()
    };
    hold(2, held);
    for id in [1, 2] {
        assert_eq!(sessions.claim(NOW, id, "bob").await, Ok(None));
        assert_eq!(sessions.claim(NOW, id, "ann").await, Ok(Some(record(9))));
    }
    // Somebody else has had it since.
    shared
        .write(3, &entry("other", 7, Some(1000)), 0)
        .await
        .unwrap();
    let held = Held {
        next: last(),
        writing: true,
        ..Held::default()
    };
    hold(3, held);
    assert_eq!(sessions.claim(NOW, 3, "ann").await, Ok(Some(record(7))));
    // What another gateway is told when it takes it over.
    let held = Held {
        in_hand: last(),
        writing: true,
        ..Held::default()
    };
    hold(4, held);
    let told = sessions.let_go(4).map(SessionRecord::from);
    assert_eq!(told, Some(record(9)));
}

/// On one thread: what is in hand is seen before its answer is.
#[tokio::test]
async fn a_write_that_was_too_late_does_not_end_a_newer_claim() {
    let server = NatsServer::start().await;
    let (_nats, sessions) = opened(&server).await;
    let taken = Arc::new(AtomicU64::new(0));
    let counts = taken.clone();
    sessions.when_taken(move |_, _| {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    let shared = &sessions.shared;
    for id in [1, 2] {
        shared.write(id, &entry("other", 5, None), 0).await.unwrap();
        sessions.save(NOW, id, &record(9), None);
    }
    loop {
        if let Some(session) = shared.held.lock().get_mut(&1)
            && session.in_hand.is_some()
        {
            session.claim = 7;
            break;
        }
        tokio::task::yield_now().await;
    }
    becomes(&sessions, |held| {
        !held.contains_key(&2) && !held[&1].writing
    })
    .await;
    assert_eq!(taken.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_let_go_when_it_is_over() {
    let mut server = NatsServer::start().await;
    let (_nats, sessions) = opened(&server).await;
    server.stop();
    sessions.save(NOW, 1, &record(1), Some(unix_ms() + 600_000));
    sessions.save(NOW, 2, &record(1), Some(1));
    becomes(&sessions, |held| held.len() == 1).await;
    assert!(sessions.shared.held.lock().contains_key(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_bounded() {
    let mut server = NatsServer::start().await;
    let (_nats, sessions) = opened(&server).await;
    server.stop();
    let ends = Some(unix_ms() + 600_000);
    for id in 0..MAX_SESSIONS as SessionId + 10 {
        sessions.save(NOW, id, &record(1), ends);
    }
    assert_eq!(sessions.shared.held.lock().len(), MAX_SESSIONS);
    // Those whose sockets live are as many as there are sockets.
    sessions.save(NOW, SessionId::MAX, &record(1), None);
    assert_eq!(sessions.shared.held.lock().len(), MAX_SESSIONS + 1);
}
