//! Who takes part, and with what: the well-behaved, and what can be done to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use micro_socket::client::Qos;
use tokio::task::JoinHandle;

use super::disturb::{clog, cut};
use super::payload::FAT_NAME;
use super::publish::Publisher;
use super::readers::{meddle, read};
use super::resumer::Resumer;
use super::truth::{Ends, Witness};
use super::world::{FAT, OPEN, SECRET, World, socket, token};
use crate::harness::{Dice, Wire, soon};

/// One who publishes small messages does so every so often.
const SMALL: Duration = Duration::from_millis(8);
/// And large ones.
const LARGE: Duration = Duration::from_millis(30);
/// What the kernel of a slow reader takes in that was not read yet, in bytes.
const NARROW: u32 = 8 * 1024;
/// How long those who take part have to come to the end once nothing disturbs them any more.
const SETTLING: Duration = Duration::from_secs(120);

/// All that runs.
pub struct Cast {
    world: Arc<World>,
    /// Cut and clogged once that begins.
    cut: Vec<Arc<Wire>>,
    clogged: Vec<Arc<Wire>>,
    readers: Vec<JoinHandle<Witness>>,
    publishers: Vec<JoinHandle<()>>,
    disturbers: Vec<JoinHandle<()>>,
    dice: Dice,
}

impl Cast {
    /// Those who behave.
    pub async fn enter(world: Arc<World>, dice: Dice) -> Self {
        let mut cast = Self {
            cut: Vec::new(),
            clogged: Vec::new(),
            readers: Vec::new(),
            publishers: Vec::new(),
            disturbers: Vec::new(),
            world,
            dice,
        };
        let gateway = cast.world.addr;
        for (name, qos) in [("ron", Qos::Zero), ("rea", Qos::Zero), ("roy", Qos::One)] {
            cast.reader(gateway, name, &OPEN, qos, true);
        }
        cast.reader(gateway, "boss", &[SECRET, FAT], Qos::Zero, false);
        for (name, qos) in [("wes", Qos::Zero), ("wim", Qos::One)] {
            let wire = Arc::new(Wire::to(gateway).await);
            cast.reader(wire.addr, name, &[OPEN[0], OPEN[1], FAT], qos, false);
            cast.cut.push(wire);
        }
        for (name, qos) in [("sam", Qos::Zero), ("sue", Qos::One)] {
            let wire = Arc::new(Wire::narrow(gateway, NARROW).await);
            cast.reader(wire.addr, name, &[FAT, OPEN[0]], qos, false);
            cast.clogged.push(wire);
        }
        // Nothing is published before all listen: from here on each misses nothing.
        let subscriptions = 3 * 2 + 2 + 2 * 3 + 2 * 2;
        soon("the subscriptions", async {
            while cast.world.truth().count("subscribed") < subscriptions {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        for name in ["pat", "pia"] {
            cast.publisher(gateway, name, &OPEN, "open/*", SMALL);
        }
        cast.publisher(gateway, FAT_NAME, &[FAT], "open/*", LARGE);
        cast.publisher(gateway, "spy", &[SECRET], "secret/*", SMALL * 4);
        let wire = Arc::new(Wire::to(gateway).await);
        cast.publisher(wire.addr, "pol", &OPEN, "open/*", SMALL);
        cast.cut.push(wire);
        cast
    }

    fn reader(&mut self, at: SocketAddr, name: &str, topics: &[&str], qos: Qos, measured: bool) {
        let socket = socket(at, token(name, topics, &[]), topics, qos);
        let witness = Witness::new(name, topics);
        let reading = read(self.world.clone(), socket, witness, measured);
        self.readers.push(tokio::spawn(reading));
    }

    fn publisher(
        &mut self,
        at: SocketAddr,
        name: &str,
        topics: &[&'static str],
        may_write: &str,
        every: Duration,
    ) {
        let token = token(name, &[], &[may_write]);
        let publisher = Publisher {
            name: name.to_owned(),
            topics: topics.into(),
            every,
            sockets: [(); 2].map(|()| socket(at, token.clone(), &[], Qos::Zero)),
            dice: self.dice.another(),
        };
        self.publishers
            .push(tokio::spawn(publisher.run(self.world.clone())));
    }

    /// From now on some are cut off, some cut themselves off, some do not read, and one meddles.
    pub fn disturb(&mut self) {
        for wire in &self.cut {
            let cutting = cut(self.world.clone(), wire.clone(), self.dice.another());
            self.disturbers.push(tokio::spawn(cutting));
        }
        for wire in &self.clogged {
            let clogging = clog(self.world.clone(), wire.clone(), self.dice.another());
            self.disturbers.push(tokio::spawn(clogging));
        }
        for name in ["ray", "rex", "rob"] {
            let witness = Witness::new(name, &OPEN);
            let token = token(name, &OPEN, &[]);
            let dice = self.dice.another();
            let resumer = Resumer::new(self.world.clone(), token, &OPEN, witness, dice);
            self.readers.push(tokio::spawn(resumer.run()));
        }
        let name = "eve";
        let allowed = token(name, &["open/*"], &["open/*"]);
        let topics = [OPEN[0], SECRET];
        let meddler = socket(self.world.addr, allowed, &topics, Qos::Zero);
        let meddling = meddle(self.world.clone(), meddler.handle(), self.dice.another());
        self.disturbers.push(tokio::spawn(meddling));
        let witness = Witness::new(name, &[OPEN[0]]);
        let reading = read(self.world.clone(), meddler, witness, false);
        self.readers.push(tokio::spawn(reading));
    }

    /// Lets those come to an end who publish or disturb: every publish is acknowledged.
    pub async fn quiet_down(&mut self) {
        self.world.over.send_replace(true);
        for (what, tasks) in [
            ("those who disturb", &mut self.disturbers),
            ("the acks of all publishes", &mut self.publishers),
        ] {
            for task in tasks.drain(..) {
                let done = tokio::time::timeout(SETTLING, task).await;
                if done.is_err() {
                    self.world
                        .truth()
                        .fault("I4", format!("waited in vain for {what}"));
                }
            }
        }
    }

    /// Waits until each has seen the last message of each of its topics, and judges them.
    pub async fn judge(self, ends: Ends) {
        self.world.ends.send_replace(Some(ends.clone()));
        let all = futures_util::future::join_all(self.readers);
        tokio::pin!(all);
        let witnesses = match tokio::time::timeout(SETTLING, &mut all).await {
            Ok(witnesses) => witnesses,
            Err(_) => {
                self.world.give_up();
                soon("those who wait", all).await
            }
        };
        for witness in witnesses {
            witness.unwrap().judge(&mut self.world.truth(), &ends);
        }
    }
}
