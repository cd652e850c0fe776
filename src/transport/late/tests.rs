//! Subscriptions whose answers come late.

use super::*;

#[tokio::test]
async fn what_the_replay_has_and_the_turn_had_too_is_not_asked_for_again() {
    let test = async {
        let world = World::start();
        let mut other = world.user("bob").await;
        other.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        world.answer();
        other.expect("subscribed").await;
        let mut ann = world.user("ann").await;
        ann.send([subscribe(1, 0)]).await;
        world.asked(1).await;
        world.publish("t", 1, "1");
        // It is handed out, and ann is passed over.
        assert_eq!(other.numbers(1).await, [1]);
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 1);
        assert_eq!(ann.numbers(1).await, [1]);
        ann.expect_quiet().await;
        world.asked(0).await;
        world.publish("t", 2, "2");
        assert_eq!(ann.numbers(1).await, [2]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_answer_for_a_window_that_is_gone_is_let_go() {
    let test = async {
        let world = World::start();
        let mut ann = world.user("ann").await;
        ann.send([subscribe(1, 0)]).await;
        world.asked(1).await;
        world.answer();
        ann.expect("subscribed").await;
        (1..=1001).for_each(|id| world.publish("t", id, "1"));
        assert!(ann.numbers(1000).await.into_iter().eq(1..=1000));
        // The window is full; what follows is asked for, and the subscription begins anew meanwhile.
        let ack = json!({"type": "ack", "topic": "t", "seqNo": 1000});
        ann.send([ack, subscribe(1, 990)]).await;
        world.asked(2).await;
        world.answer();
        // The older answer has been looked at when this one has come.
        ann.send([json!({"type": "ping"})]).await;
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 11);
        assert!(ann.numbers(11).await.into_iter().eq(991..=1001));
        ann.expect("pong").await;
        world.asked(0).await;
        world.publish("t", 1002, "1");
        assert_eq!(ann.numbers(1).await, [1002]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn a_topic_that_an_operator_took_before_the_answer_is_refused() {
    let test = async {
        let world = World::start();
        world.publish("t", 1, "1");
        let mut ann = world.user("ann").await;
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        let (reply, taken) = oneshot::channel();
        let topic = Topic::new("t").unwrap();
        let question = Question::Unsubscribe("ann".into(), topic, reply);
        soon(
            "the operator's answer",
            world.shard.clone().answer(question),
        )
        .await;
        assert_eq!(taken.await, Ok(1));
        ann.expect("unsubscribed").await;
        world.answer();
        let error = ann.expect("error").await;
        assert_eq!(
            (&error["code"], &error["topic"]),
            (&json!("NOT_AVAILABLE"), &json!("t"))
        );
        ann.expect_quiet().await;
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        world.answer();
        assert_eq!(ann.expect("subscribed").await["replayed"], 1);
        assert_eq!(ann.numbers(1).await, [1]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn what_waited_for_a_subscription_that_failed_is_nobodys() {
    let test = async {
        let world = World::start();
        let mut ann = world.user("ann").await;
        ann.send([subscribe_to("t")]).await;
        world.asked(1).await;
        (1..=2).for_each(|id| world.publish("t", id, "1"));
        world.refuse();
        ann.expect("error").await;
        // Its number in the shard is the next topic's.
        ann.send([subscribe_to("u")]).await;
        world.asked(1).await;
        world.answer();
        ann.expect("subscribed").await;
        world.publish("u", 3, "1");
        let message = ann.expect("message").await;
        assert_eq!(
            (&message["topic"], &message["seqNo"]),
            (&json!("u"), &json!(1))
        );
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_cannot_wait_with_more_gets_what_others_topics_had_before_the_close() {
    let test = async {
        let world = World::start();
        let mut first = world.user("bob").await;
        let mut ann = world.user("ann").await;
        for topic in ["a", "b", "c"] {
            first.send([subscribe_to(topic)]).await;
            world.asked(1).await;
            world.answer();
            first.expect("subscribed").await;
            ann.send([subscribe_to(topic)]).await;
            world.asked(1).await;
            if topic != "b" {
                world.answer();
                ann.expect("subscribed").await;
            } else {
                world.refuse();
                ann.expect("error").await;
            }
        }
        ann.send([subscribe_to("b")]).await;
        world.asked(1).await;
        let payload = format!("\"{}\"", "x".repeat(60_000));
        world.publish("a", 1, "1");
        (2..=20).for_each(|id| world.publish("b", id, &payload));
        world.publish("c", 21, "1");
        for topic in ["a", "c"] {
            assert_eq!(ann.expect("message").await["topic"], topic);
        }
        match soon("a close", ann.0.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4200),
            other => panic!("expected a close, got {other:?}"),
        }
    };
    LocalSet::new().run_until(test).await;
}

/// A peer that was never behind has all its time for a replay.
#[tokio::test]
async fn a_replay_has_its_time_from_when_it_is_queued() {
    let test = async {
        let world = World::start();
        let payload = format!("\"{}\"", "x".repeat(1000));
        (1..=100).for_each(|id| world.publish("t", id, &payload));
        let mut ann = world.user("ann").await;
        let key = world.shard.keys_where(|_| true)[0];
        let then = world.shard.now_ms();
        soon("the next millisecond", async {
            while world.shard.now_ms() == then {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world
            .shard
            .with(key, |state, _| state.get(key).unwrap().socket.stall(true));
        ann.send([subscribe(0, 0)]).await;
        world.asked(1).await;
        let now_ms = world.shard.now_ms();
        world.answer();
        let deadline = || {
            let mut state = world.shard.state.borrow_mut();
            let connection = state.get(key)?;
            let behind = connection.backlog.is_some();
            behind.then(|| connection.deadline(&LIMITS))
        };
        let deadline = soon("a backlog", async {
            loop {
                match deadline() {
                    Some(deadline) => return deadline,
                    None => sleep(Duration::from_millis(1)).await,
                }
            }
        })
        .await;
        assert!(deadline >= now_ms + 10_000, "{deadline} after {now_ms}");
        world
            .shard
            .with(key, |state, _| state.get(key).unwrap().take_again());
        assert_eq!(ann.expect("subscribed").await["replayed"], 100);
        assert!(ann.numbers(100).await.into_iter().eq(1..=100));
    };
    LocalSet::new().run_until(test).await;
}
