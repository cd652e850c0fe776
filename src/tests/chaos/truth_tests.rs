//! Each promise, broken: the truth notices, and names the right one.

use super::payload::payload;
use super::truth::{Ends, Seen, Truth, Witness};

/// Two who hear of three messages and a publisher who published them.
struct Scene {
    truth: Truth,
    ann: Witness,
    bob: Witness,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self {
            truth: Truth::keeping_all(),
            ann: Witness::new("ann", &["t"]),
            bob: Witness::new("bob", &["t"]),
        };
        scene.ann.subscribed(&mut scene.truth, "t", 0, None);
        scene.bob.subscribed(&mut scene.truth, "t", 1, None);
        scene.truth.epoch("t", "e");
        for seq_no in 1..=2 {
            let id = format!("p-{seq_no}-0");
            scene.truth.acked("t", seq_no, &id, true);
            scene.ann_gets(seq_no, &id);
        }
        scene.bob_gets(2, "p-2-0");
        scene
    }

    fn ann_gets(&mut self, seq_no: u64, id: &str) {
        let data = payload(id);
        self.ann
            .message(&mut self.truth, &seen("t", seq_no, id, &data));
    }

    fn bob_gets(&mut self, seq_no: u64, id: &str) {
        let data = payload(id);
        self.bob
            .message(&mut self.truth, &seen("t", seq_no, id, &data));
    }

    fn history(&mut self, ids: &[&str]) {
        let kept = ids.iter().zip(1..);
        let kept: Vec<_> = kept
            .map(|(id, seq_no)| (seq_no, (*id).to_owned(), payload(id)))
            .collect();
        self.truth.history("t", &kept);
    }

    /// What is broken at the end.
    fn broken(mut self, end: u64) -> Vec<&'static str> {
        let ends = Ends::from([("t".to_owned(), end)]);
        self.ann.judge(&mut self.truth, &ends);
        self.bob.judge(&mut self.truth, &ends);
        let all = ["I1", "I2", "I3", "I4", "I6", "I7"];
        let broken = all.iter().filter(|promise| !self.truth.holds(promise));
        broken.copied().collect()
    }
}

fn seen<'a>(topic: &'a str, seq_no: u64, id: &'a str, data: &'a str) -> Seen<'a> {
    Seen {
        topic,
        seq_no,
        prev_seq: None,
        id,
        data,
    }
}

#[test]
fn what_fits_breaks_nothing() {
    let mut scene = Scene::new();
    // A resend after a cut, and one who comes back.
    scene.truth.acked("t", 2, "p-2-0", false);
    scene.bob.subscribed(&mut scene.truth, "t", 3, Some(true));
    scene.bob_gets(3, "p-3-0");
    scene.ann_gets(3, "p-3-0");
    scene.history(&["p-1-0", "p-2-0", "p-3-0"]);
    assert_eq!(scene.broken(3), [""; 0]);
}

#[test]
fn a_session_goes_on_from_where_its_client_never_came() {
    let mut scene = Scene::new();
    let mut cat = Witness::new("cat", &["t"]);
    cat.subscribed(&mut scene.truth, "t", 2, Some(true));
    for seq_no in 1..=2 {
        let id = format!("p-{seq_no}-0");
        let data = payload(&id);
        cat.message(&mut scene.truth, &seen("t", seq_no, &id, &data));
    }
    assert_eq!(scene.broken(2), [""; 0]);
}

#[test]
fn i1_what_may_not_be_read() {
    let mut scene = Scene::new();
    let data = payload("x");
    scene
        .ann
        .message(&mut scene.truth, &seen("secret", 1, "x", &data));
    assert_eq!(scene.broken(2), ["I1"]);
    let mut scene = Scene::new();
    scene.bob.subscribed(&mut scene.truth, "secret", 0, None);
    assert_eq!(scene.broken(2), ["I1"]);
}

#[test]
fn i2_an_id_with_two_effects() {
    let mut scene = Scene::new();
    scene.truth.acked("t", 2, "p-2-0", true);
    assert_eq!(scene.broken(2), ["I2"]);
    let mut scene = Scene::new();
    scene.ann_gets(3, "p-1-0");
    scene.bob_gets(3, "p-1-0");
    assert_eq!(scene.broken(3), ["I2"]);
    let mut scene = Scene::new();
    scene.history(&["p-1-0", "p-2-0", "p-2-0"]);
    assert!(scene.broken(2).contains(&"I2"));
}

#[test]
fn i3_another_order() {
    let mut scene = Scene::new();
    scene.bob_gets(3, "p-3-0");
    scene.ann_gets(3, "p-4-0");
    assert_eq!(scene.broken(3), ["I3"]);
    let mut scene = Scene::new();
    scene.ann_gets(1, "p-1-0");
    assert_eq!(scene.broken(2), ["I3"]);
}

#[test]
fn i4_what_was_acked_and_never_came() {
    let mut scene = Scene::new();
    scene.truth.acked("t", 3, "p-3-0", true);
    scene.bob_gets(3, "p-3-0");
    assert_eq!(scene.broken(3), ["I4"]);
    // Passed over in silence, also when the gateway says that nothing was there, or nothing at all.
    for previous in [2, 0] {
        let mut scene = Scene::new();
        scene.truth.acked("t", 3, "p-3-0", true);
        for witness in [&mut scene.ann, &mut scene.bob] {
            let data = payload("p-4-0");
            let mut message = seen("t", 4, "p-4-0", &data);
            message.prev_seq = Some(previous);
            witness.message(&mut scene.truth, &message);
        }
        assert_eq!(scene.broken(4), ["I4"]);
    }
    let mut scene = Scene::new();
    scene.history(&["p-1-0"]);
    assert_eq!(scene.broken(2), ["I4"]);
}

#[test]
fn i6_continuity_lost_although_all_is_kept() {
    let mut scene = Scene::new();
    scene.ann.subscribed(&mut scene.truth, "t", 2, Some(false));
    assert_eq!(scene.broken(2), ["I6"]);
    let mut scene = Scene::new();
    scene.ann.subscribed(&mut scene.truth, "t", 2, None);
    assert_eq!(scene.broken(2), ["I6"]);
    let mut scene = Scene::new();
    scene.truth.epoch("t", "another");
    assert_eq!(scene.broken(2), ["I6"]);
}

#[test]
fn i7_another_payload() {
    let mut scene = Scene::new();
    let data = payload("p-3-0").replace(' ', "");
    for witness in [&mut scene.ann, &mut scene.bob] {
        witness.message(&mut scene.truth, &seen("t", 3, "p-3-0", &data));
    }
    assert_eq!(scene.broken(3), ["I7"]);
}

#[test]
fn a_loss_that_was_told_is_none_where_history_is_short() {
    let mut truth = Truth::keeping(2);
    let mut ann = Witness::new("ann", &["t"]);
    ann.subscribed(&mut truth, "t", 0, None);
    for seq_no in 1..=9 {
        truth.acked("t", seq_no, &format!("p-{seq_no}-0"), true);
    }
    ann.subscribed(&mut truth, "t", 9, Some(false));
    let data = payload("p-10-0");
    ann.message(&mut truth, &seen("t", 10, "p-10-0", &data));
    ann.judge(&mut truth, &Ends::from([("t".to_owned(), 10)]));
    assert_eq!(truth.faults(), [""; 0]);
    assert_eq!(truth.count("told of a loss"), 1);
}
