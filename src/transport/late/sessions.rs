//! A session that is found late.

use super::super::{Kick, Whom};
use super::*;
use crate::backbone::{MemorySessions, SessionId, SessionRecord, Sessions};

/// A question for a session.
struct Wanted {
    id: SessionId,
    user: String,
    answer: oneshot::Sender<Result<Option<SessionRecord>, Unavailable>>,
}

/// Sessions in memory, but for the answers to questions for one.
#[derive(Default)]
pub(super) struct LateSessions {
    memory: MemorySessions,
    wanted: Mutex<VecDeque<Wanted>>,
}

impl Sessions for LateSessions {
    fn save(&self, now: Now, id: SessionId, record: &SessionRecord, expires_unix_ms: Option<u64>) {
        self.memory.save(now, id, record, expires_unix_ms);
    }

    fn outlives_the_process(&self) -> bool {
        false
    }

    fn claim(
        &self,
        _: Now,
        id: SessionId,
        user: &str,
    ) -> Answer<Result<Option<SessionRecord>, Unavailable>> {
        let (answer, later) = oneshot::channel();
        let user = user.to_owned();
        self.wanted.lock().push_back(Wanted { id, user, answer });
        Answer::Later(later)
    }

    fn forget(&self, id: SessionId) {
        self.memory.forget(id);
    }
}

impl World {
    /// Waits until a session is asked for, then goes on when `before` did.
    async fn find_session(&self, before: impl FnOnce()) {
        let wanted = soon("a question for a session", async {
            loop {
                if let Some(wanted) = self.sessions.wanted.lock().pop_front() {
                    return wanted;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        let wanted = wanted.await;
        before();
        let now = self.shard.gateway.now();
        let Answer::Ready(found) = self.sessions.memory.claim(now, wanted.id, &wanted.user) else {
            panic!("memory answers at once");
        };
        let _ = wanted.answer.send(found);
    }
}

#[tokio::test]
async fn who_was_kicked_meanwhile_gets_nothing_and_leaves_the_session_as_it_was() {
    let test = async {
        let world = World::start();
        let mut ann = world.client().await;
        ann.send([json!({"type": "setup", "token": "ann"})]).await;
        let session = ann.expect("ready").await["sessionId"].clone();
        ann.send([subscribe_to("t")]).await;
        world.asked(1).await;
        world.answer();
        ann.expect("subscribed").await;
        drop(ann);
        soon("the end of the socket", async {
            while !world.shard.keys_where(|_| true).is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        world.publish("t", 1, "1");

        let resume =
            json!({"type": "resume", "token": "ann", "sessionId": session, "lastSeqPerTopic": {}});
        let mut kicked = world.client().await;
        kicked.send([resume.clone()]).await;
        let kick = || {
            let (answer, _) = oneshot::channel();
            let whom = Whom {
                user: Some("ann".into()),
                ..Whom::default()
            };
            world.shard.kick(Kick { whom, answer });
        };
        world.find_session(kick).await;
        match soon("a close", kicked.0.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4003),
            other => panic!("expected a close, got {other:?}"),
        }
        drop(kicked);

        let mut next = world.client().await;
        next.send([resume]).await;
        world.find_session(|| {}).await;
        world.asked(1).await;
        world.answer();
        assert_eq!(next.expect("subscribed").await["replayed"], 1);
        assert_eq!(next.numbers(1).await, [1]);
        assert_eq!(next.expect("ready").await["resumed"], true);
    };
    LocalSet::new().run_until(test).await;
}
