//! A demo that publishes: prices that wander, two sensors and now and then an alert, so that the first
//! minute on `/docs` has something to watch.
//!
//! [`Feed`] makes the messages and is pure; [`publish`] sends them on their way.
//!
//! Uses: auth, backbone, gateway.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::auth::Principal;
use crate::backbone::Publication;
use crate::gateway::Gateway;

/// The user of the feed's messages.
const USER: &str = "demo-feed";
/// How often it speaks.
const PERIOD: Duration = Duration::from_millis(500);
/// A change of price that is worth an alert, as a share of it.
const JUMP: f64 = 0.004;

/// A message of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it goes.
    pub topic: &'static str,
    /// A JSON object.
    pub payload: String,
}

/// What wanders.
#[derive(Debug, Clone)]
pub struct Feed {
    random: u64,
    step: u64,
    prices: [(&'static str, f64); 3],
    sensors: [Sensor; 2],
}

#[derive(Debug, Clone)]
struct Sensor {
    topic: &'static str,
    temperature: f64,
    humidity: f64,
}

impl Feed {
    /// A feed whose wandering follows from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let sensor = |topic, temperature, humidity| Sensor {
            topic,
            temperature,
            humidity,
        };
        Self {
            random: seed | 1,
            step: 0,
            prices: [
                ("EUR/USD", 1.0842),
                ("GBP/USD", 1.2715),
                ("BTC/USD", 67_310.0),
            ],
            sensors: [
                sensor("sensors/hall", 21.5, 41.0),
                sensor("sensors/cellar", 12.8, 68.0),
            ],
        }
    }

    /// What is published next: a price each time, a sensor every fourth, an alert where a price jumped.
    pub fn speak(&mut self) -> Vec<Item> {
        self.step += 1;
        let mut items = Vec::new();
        let jumped = self.chance() > 0.97;
        let change = self.swing() * if jumped { 4.0 * JUMP } else { JUMP / 4.0 };
        let at = (self.step % self.prices.len() as u64) as usize;
        let (symbol, price) = &mut self.prices[at];
        *price *= 1.0 + change;
        let (bid, ask) = (*price, *price * 1.0002);
        let digits = if *price > 1000.0 { 1 } else { 4 };
        items.push(Item {
            topic: "prices",
            payload: format!(
                r#"{{"symbol":"{symbol}","bid":{bid:.digits$},"ask":{ask:.digits$}}}"#
            ),
        });
        if change.abs() > JUMP {
            let direction = if change > 0.0 { "up" } else { "down" };
            let percent = (change * 100.0).abs();
            items.push(Item {
                topic: "alerts",
                payload: format!(
                    r#"{{"level":"notice","text":"{symbol} is {direction} {percent:.1} % at once"}}"#
                ),
            });
        }
        if self.step.is_multiple_of(4) {
            let (warmer, damper) = (self.swing(), self.swing());
            let at = (self.step / 4 % self.sensors.len() as u64) as usize;
            let Sensor {
                topic,
                temperature,
                humidity,
            } = &mut self.sensors[at];
            *temperature = (*temperature + warmer * 0.2).clamp(-20.0, 45.0);
            *humidity = (*humidity + damper).clamp(5.0, 95.0);
            items.push(Item {
                topic,
                payload: format!(
                    r#"{{"temperature":{temperature:.1},"humidity":{humidity:.0},"unit":"C"}}"#
                ),
            });
        }
        items
    }

    /// From 0 to 1, by xorshift.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From -1 to 1.
    fn swing(&mut self) -> f64 {
        self.chance() * 2.0 - 1.0
    }
}

/// Publishes the feed until it is stopped, while `wanted` says so. What the backbone refuses is left
/// out: it is a demo.
pub async fn publish(gateway: Arc<Gateway>, wanted: impl Fn() -> bool, stop: CancellationToken) {
    let principal = Principal::demo(USER);
    let mut feed = Feed::new(gateway.now().unix_ms);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if !wanted() {
            continue;
        }
        for item in feed.speak() {
            let message_id = uuid::Uuid::new_v4().to_string();
            let publication = Publication {
                user: USER,
                topic: item.topic,
                message_id: &message_id,
                payload: &item.payload,
                sig: None,
            };
            let now = gateway.now();
            if let Ok(answer) = gateway.publish(now, &principal, publication) {
                let _ = gateway.published_when(now, answer).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::protocol::Topic;

    #[test]
    fn everything_it_says_is_json_and_stays_plausible() {
        let mut feed = Feed::new(42);
        let mut topics = BTreeSet::new();
        for _ in 0..10_000 {
            for item in feed.speak() {
                let value: Value = serde_json::from_str(&item.payload).unwrap();
                assert!(Topic::check(item.topic).is_ok());
                topics.insert(item.topic);
                if item.topic == "prices" {
                    let (bid, ask) = (
                        value["bid"].as_f64().unwrap(),
                        value["ask"].as_f64().unwrap(),
                    );
                    assert!(0.0 < bid && bid <= ask, "{value}");
                }
            }
        }
        let all = ["alerts", "prices", "sensors/cellar", "sensors/hall"];
        assert_eq!(topics, BTreeSet::from(all));
    }

    #[test]
    fn alerts_are_rare() {
        let mut feed = Feed::new(7);
        let items: Vec<_> = (0..1_000).flat_map(|_| feed.speak()).collect();
        let alerts = items.iter().filter(|item| item.topic == "alerts").count();
        assert!((1..100).contains(&alerts), "{alerts}");
    }

    #[test]
    fn one_seed_is_one_feed() {
        let (mut a, mut b) = (Feed::new(3), Feed::new(3));
        assert!((0..50).all(|_| a.speak() == b.speak()));
    }
}
