//! What is kept, what goes and who pays.

use super::*;
use crate::backbone::Publication;

fn logs(per_topic: usize, ttl_ms: u64, bytes: usize) -> Logs<Record> {
    Logs::new(Bounds { per_topic, ttl_ms }, Pool::new(bytes, 1))
}

fn append(logs: &mut Logs<Record>, now_ms: u64, topic: &str) -> SeqNo {
    write(logs, now_ms, 0, topic)
}

/// A message of somebody of this share of the users.
fn write(logs: &mut Logs<Record>, now_ms: u64, writer: usize, topic: &str) -> SeqNo {
    let publication = Publication {
        user: "u",
        topic,
        message_id: "m",
        payload: "1",
        sig: None,
    };
    logs.append(now_ms, writer, topic, |seq, prev| {
        Record::new(&publication, seq, prev, 0)
    })
    .1
    .seq_no
}

fn numbers(
    logs: &Logs<Record>,
    topic: &str,
    after: SeqNo,
) -> Result<Vec<SeqNo>, UnrecoveredReason> {
    logs.after(topic, after)
        .map(|records| records.iter().map(|r| r.seq_no).collect())
}

#[test]
fn topics_are_numbered_apart_from_one() {
    let mut logs = logs(10, 1000, usize::MAX);
    assert_eq!(
        [
            append(&mut logs, 0, "a"),
            append(&mut logs, 0, "b"),
            append(&mut logs, 0, "a")
        ],
        [1, 1, 2]
    );
    assert_eq!(numbers(&logs, "a", 0), Ok(vec![1, 2]));
    assert_eq!(numbers(&logs, "a", 2), Ok(vec![]));
    assert_eq!(numbers(&logs, "a", 3), Err(UnrecoveredReason::Ahead));
    assert_eq!(numbers(&logs, "never", 0), Ok(vec![]));
}

#[test]
fn what_was_trimmed_is_never_passed_over_in_silence() {
    let mut logs = logs(3, 1000, usize::MAX);
    for _ in 0..5 {
        append(&mut logs, 0, "a");
    }
    assert_eq!(numbers(&logs, "a", 1), Err(UnrecoveredReason::Trimmed));
    assert_eq!(numbers(&logs, "a", 2), Ok(vec![3, 4, 5]));
}

#[test]
fn age_and_bytes_take_the_oldest_of_all_topics_first() {
    let mut by_age = logs(100, 1000, usize::MAX);
    append(&mut by_age, 0, "a");
    append(&mut by_age, 500, "a");
    by_age.trim(1000);
    assert_eq!(numbers(&by_age, "a", 0), Err(UnrecoveredReason::Trimmed));
    assert_eq!(numbers(&by_age, "a", 1), Ok(vec![2]));

    let mut by_bytes = logs(100, 1000, 2000);
    for i in 0..100 {
        append(&mut by_bytes, 0, if i % 2 == 0 { "a" } else { "b" });
        assert!(by_bytes.bytes <= 2000);
    }
    assert!(numbers(&by_bytes, "a", 48).is_ok());
    assert!(numbers(&by_bytes, "a", 0).is_err());
}

#[test]
fn a_forgotten_topic_goes_on_counting() {
    let mut logs = logs(100, 1000, usize::MAX);
    for _ in 0..7 {
        append(&mut logs, 0, "a");
    }
    logs.trim(1000);
    assert_eq!(logs.size(), (0, 0));
    assert_eq!(numbers(&logs, "a", 7), Ok(vec![]));
    assert_eq!(numbers(&logs, "a", 6), Err(UnrecoveredReason::Trimmed));
    assert_eq!(append(&mut logs, 2000, "a"), 8);
    assert_eq!(numbers(&logs, "a", 7), Ok(vec![8]));
}

#[test]
fn the_first_message_of_a_topic_that_is_not_known_has_none_before_it() {
    let mut logs = logs(100, 1000, usize::MAX);
    assert_eq!(logs.next("a"), (1, 0));
    for _ in 0..7 {
        append(&mut logs, 0, "a");
    }
    assert_eq!(logs.next("a"), (8, 7));
    logs.trim(1000);
    assert_eq!((logs.next("a"), logs.next("b")), ((8, 0), (8, 0)));
}

#[test]
fn where_it_is_to_linger_a_topic_keeps_its_number_until_it_is_forgotten() {
    let mut logs = logs(100, 1000, usize::MAX).lingering();
    for topic in ["a", "b", "b", "b", "c", "c"] {
        append(&mut logs, 0, topic);
    }
    logs.trim(1000);
    logs.drop_gone(|_| true);
    assert_eq!((logs.next("a"), logs.next("b")), ((2, 1), (4, 3)));
    assert_eq!(numbers(&logs, "a", 1), Ok(vec![]));
    assert_eq!(numbers(&logs, "a", 0), Err(UnrecoveredReason::Trimmed));
    // What is published to again is no longer to be forgotten.
    assert_eq!(append(&mut logs, 1000, "c"), 3);
    check(&logs);
    let mut empty: Vec<_> = std::iter::from_fn(|| logs.next_empty()).collect();
    empty.sort_unstable_by_key(|(_, head)| *head);
    let names: Vec<_> = empty
        .iter()
        .map(|(topic, head)| (topic.as_str(), *head))
        .collect();
    assert_eq!(names, [("a", 1), ("b", 3)]);
    logs.linger(empty[0].0.clone());
    logs.forget(&empty[1].0);
    assert_eq!((logs.next("a"), logs.next("b")), ((2, 1), (4, 0)));
    logs.drop_gone(|record| record.seq_no == 3);
    check(&logs);
    while let Some((topic, _)) = logs.next_empty() {
        logs.forget(&topic);
    }
    assert_eq!((logs.size(), logs.queued), ((0, 0), 0));
    assert_eq!(logs.head("a"), 3);
}

#[test]
fn a_hole_in_the_numbers_lets_go_of_what_was_before() {
    let mut logs = logs(10, 1000, usize::MAX);
    append(&mut logs, 0, "a");
    let mut record = logs.kept_after("a", 0, PageSize::ALL).remove(0);
    record.seq_no = 9;
    logs.insert(0, 0, "a", record);
    assert_eq!(logs.head("a"), 9);
    assert_eq!(numbers(&logs, "a", 1), Err(UnrecoveredReason::Trimmed));
    assert_eq!(numbers(&logs, "a", 8), Ok(vec![9]));
    logs.trim(1000);
    assert_eq!((logs.size(), logs.queued), ((0, 0), 0));
}

#[test]
fn the_oldest_of_all_goes_first_also_where_topics_let_go_of_their_own() {
    let mut logs = logs(2, 1000, usize::MAX);
    for at_ms in 0..100 {
        append(&mut logs, at_ms, "busy");
        if at_ms == 50 {
            append(&mut logs, at_ms, "quiet");
        }
    }
    assert_eq!(logs.queued, 2, "each topic once");
    logs.trim(1049);
    assert_eq!(numbers(&logs, "quiet", 0), Ok(vec![1]));
    logs.trim(1050);
    assert_eq!(numbers(&logs, "quiet", 0), Err(UnrecoveredReason::Trimmed));
    assert_eq!(numbers(&logs, "busy", 98), Ok(vec![99, 100]));
    logs.trim(1099);
    assert_eq!((logs.size(), logs.queued), ((0, 0), 0));
}

#[test]
fn what_is_gone_is_let_go_of_in_every_topic() {
    let mut logs = logs(10, 1000, usize::MAX);
    for topic in ["a", "b", "a", "b", "b"] {
        append(&mut logs, 0, topic);
    }
    logs.drop_gone(|record| record.seq_no <= 2);
    assert_eq!(numbers(&logs, "b", 2), Ok(vec![3]));
    assert_eq!((logs.size().0, logs.queued, logs.head("a")), (1, 1, 2));
}

/// Room for about this many messages.
fn room(messages: usize) -> usize {
    let mut logs = logs(1, 1000, usize::MAX);
    append(&mut logs, 0, "t0");
    messages * logs.bytes
}

/// The bookkeeping agrees with what is kept, and with what two logs together told their pool.
fn check(logs: &Logs<Record>) {
    let mut held = [0; SHARES];
    for log in logs.topics.values() {
        assert_eq!(
            log.bytes,
            log.ring.iter().map(|(_, k)| cost(k)).sum::<usize>()
        );
        held[log.payer] += log.bytes;
        let Some(oldest) = log.oldest() else {
            assert!(logs.lingers);
            continue;
        };
        let mut queued = logs.oldest[log.payer].iter();
        assert!(queued.any(|Reverse((stamp, name))| *name == log.name && *stamp <= oldest));
    }
    assert_eq!(logs.held, held);
    assert_eq!(logs.bytes, held.iter().sum::<usize>());
    assert_eq!(
        logs.queued,
        logs.oldest.iter().map(BinaryHeap::len).sum::<usize>()
    );
    assert!(logs.queued <= 64 + 2 * logs.topics.len());
}

#[test]
fn a_user_with_much_history_does_not_push_out_one_with_little() {
    let mut logs = logs(100, u64::MAX / (1 << 20), room(300));
    for i in 0..50 {
        write(&mut logs, i, 1, "mine");
    }
    for i in 50..50_000 {
        write(&mut logs, i, 2, &format!("flood{}", i % 40));
        if i % 1000 == 0 {
            check(&logs);
        }
    }
    assert_eq!(numbers(&logs, "mine", 0).unwrap().len(), 50);
    let floods = |i| numbers(&logs, &format!("flood{i}"), u64::MAX - 1).is_ok();
    assert!((0..40).all(|i| !floods(i)));
    assert!(logs.size().1 > room(290), "what nobody needs is lent");
    // Beyond an equal part it gives as the other does, its oldest first.
    for i in 0..1000 {
        write(&mut logs, 60_000, 1, &format!("mine{}", i % 20));
    }
    assert!(numbers(&logs, "mine", 0).is_err());
    let held = |share: usize| logs.held[share];
    assert!(held(1).abs_diff(held(2)) <= room(2), "{:?}", logs.held);
    check(&logs);
}

#[test]
fn a_topic_counts_for_who_wrote_most_of_it_and_otherwise_for_itself() {
    let mut logs = logs(12, u64::MAX / (1 << 20), usize::MAX);
    let own = logs.names.of("t");
    let [a, b, c] = [1, 2, 3].map(|i| (own + i) % SHARES);
    let mut payers = Vec::new();
    for writer in [a, a, a, b, b, b, b, b, b, b, b, b, b, b, b, c, a, b, c, a] {
        write(&mut logs, 0, writer, "t");
        check(&logs);
        let payer = logs.topics["t"].payer;
        payers.push([a, b, c, own].iter().position(|s| *s == payer).unwrap());
    }
    // Half of it keeps it; three quarters win it; the bound of the topic counts.
    assert_eq!(
        payers,
        [0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    );
}

#[test]
fn one_record_at_the_oldest_end_shields_nobody() {
    let mut logs = logs(1000, u64::MAX / (1 << 20), room(500));
    for i in 0..20 {
        write(&mut logs, 0, 1, &format!("shared{i}"));
    }
    for _ in 0..50 {
        write(&mut logs, 1, 1, "mine");
    }
    for i in 0..5000 {
        write(&mut logs, 2, 2, &format!("shared{}", i % 20));
    }
    assert_eq!(numbers(&logs, "mine", 0).unwrap().len(), 50);
    check(&logs);
}

#[test]
fn several_logs_give_where_the_most_is_held() {
    let pool = Pool::new(room(400), 2);
    let bounds = Bounds {
        per_topic: 1000,
        ttl_ms: u64::MAX / (1 << 20),
    };
    let mut logs: [Logs<Record>; 2] = [0, 1].map(|_| Logs::new(bounds, pool.clone()));
    for _ in 0..100 {
        write(&mut logs[1], 0, 1, "t1");
    }
    for _ in 0..350 {
        write(&mut logs[0], 0, 2, "t2");
    }
    let given = logs[0].size().1;
    assert!((room(290)..=room(300)).contains(&given), "{given}");
    assert_eq!(numbers(&logs[1], "t1", 0).unwrap().len(), 100);
    // While nobody touches the log of the one who must give, the other may grow to its own part.
    for _ in 0..200 {
        write(&mut logs[1], 0, 3, "t3");
    }
    assert_eq!(logs[0].size().1, given);
    let all = |logs: &[Logs<Record>; 2]| logs[0].size().1 + logs[1].size().1;
    let over = all(&logs);
    assert!((room(450)..=room(500)).contains(&over), "{over}");
    logs.iter_mut().for_each(|logs| logs.trim(0));
    let over = all(&logs);
    assert!((room(390)..=room(400)).contains(&over), "{over}");
    assert!(logs[1].kept_after("t1", 0, PageSize::ALL).len() > 90);
    logs.iter().for_each(check);
}

#[test]
fn topics_that_come_and_go_and_change_hands_leave_nothing_behind() {
    let mut logs = logs(4, 100, room(200));
    let mut dice = 1_u64;
    for i in 0..20_000_u64 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (writer, topic) = ((dice >> 33) as usize % 5, (dice >> 40) % 90);
        write(&mut logs, i / 4, writer, &format!("t{topic}"));
        if i % 500 == 0 {
            check(&logs);
            logs.drop_gone(|record| record.seq_no < i / 100);
            check(&logs);
        }
    }
    logs.trim(u64::MAX >> 20);
    assert_eq!((logs.size(), logs.queued), ((0, 0), 0));
    assert_eq!(logs.held, [0; SHARES]);
}
