//! Streams and buckets: made at the start, and checked, because a server keeps silent about what it
//! does not know, and another gateway may have made them otherwise.

use std::time::Duration;

use async_nats::ServerInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::link::{ApiError, Link};
use super::{Options, names, revocations, roster};
use crate::backbone::Retention;
use crate::protocol::Epoch;

/// Direct reads, republishing with the number before, reads of the next message of a subject.
const OLDEST_SERVER: (u32, u32) = (2, 9);
/// What headers and subject may add to a message, in bytes.
const BESIDE_PAYLOAD: usize = 16 * 1024;
/// The name is taken by a stream that is not as we asked.
const NAME_IN_USE: u32 = 10058;
/// A cluster that elects its leader, or has not found its servers yet.
const NOT_YET: [u32; 4] = [10004, 10005, 10008, 10009];

/// What stands before the epoch in a stream's description.
const EPOCH: &str = ", epoch ";

/// A stream as the server describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    config: Value,
    /// Its ends.
    pub(super) state: Ends,
}

/// The first and the last number of a stream.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Ends {
    /// The lowest number that is kept; nothing below it is.
    #[serde(rename = "first_seq")]
    pub(super) first: u64,
    /// The highest number ever given.
    #[serde(rename = "last_seq")]
    pub(super) last: u64,
}

impl Info {
    /// The epoch of its numbers, as whoever made the stream wrote it down: when it was made is told
    /// otherwise by one server than by another, for a while or after a change of leaders. `None` when
    /// no gateway made it.
    #[must_use]
    pub(super) fn epoch(&self) -> Option<Epoch> {
        let (_, epoch) = self.config["description"].as_str()?.rsplit_once(EPOCH)?;
        let fits = epoch.len() == 16 && epoch.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Epoch::new(epoch))
    }
}

/// Whether the server can do what is needed.
///
/// # Errors
/// One line: what is wrong, and the mend.
pub(super) fn check_server(server: &ServerInfo, options: &Options) -> Result<(), String> {
    let version = &server.version;
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    let (Some(major), Some(minor)) = found else {
        return Err(format!(
            "the server's version {version:?} is not understood"
        ));
    };
    if (major, minor) < OLDEST_SERVER {
        return Err(format!(
            "nats-server {version} is too old: 2.9 or newer is needed"
        ));
    }
    let needed = options.max_message_bytes + BESIDE_PAYLOAD;
    if server.max_payload < needed {
        return Err(format!(
            "the server takes messages of at most {} bytes, and max-message-bytes needs {needed}: \
             raise the server's max_payload, or lower max-message-bytes",
            server.max_payload
        ));
    }
    Ok(())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(i64::MAX as u64)
}

fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..16].to_owned()
}

/// The streams that are needed, with epochs for those that have to be made. The first ones are those of the messages, by partition.
#[must_use]
pub(super) fn plan(options: &Options, retention: &Retention) -> Vec<Value> {
    let partitions = options.partitions;
    let replicas = options.replicas;
    let mut streams: Vec<Value> = (0..partitions)
        .map(|partition| {
            // The server refuses a window that is longer than what it keeps.
            let kept = retention.history_ttl.max(retention.dedup_ttl);
            json!({
                "name": names::stream(partition),
                "description": format!(
                    "micro-socket messages, partition {partition} of {partitions}{EPOCH}{}",
                    new_epoch()
                ),
                "subjects": [names::inward_all(partition)],
                "retention": "limits",
                "storage": "file",
                "discard": "old",
                "num_replicas": replicas,
                "max_age": nanos(kept),
                "max_bytes": retention.history_bytes / usize::from(partitions),
                // One more than is promised, so that a full topic shows whether one is missing.
                "max_msgs_per_subject": retention.history_size as u64 + 1,
                "duplicate_window": nanos(retention.dedup_ttl),
                "allow_direct": true,
                // A message that is gone must be older than all that are kept.
                "deny_delete": true,
                "deny_purge": true,
                "republish": {
                    "src": names::inward_all(partition),
                    "dest": names::live_all(partition),
                },
            })
        })
        .collect();
    if partitions > 1 {
        streams.extend((0..partitions).map(|partition| {
            json!({
                "name": names::ids_stream(partition),
                "description": format!("micro-socket message ids, partition {partition} of {partitions}"),
                "subjects": [names::ids_all(partition)],
                "retention": "limits",
                "storage": "file",
                "discard": "old",
                "num_replicas": replicas,
                "max_age": nanos(retention.dedup_ttl),
                "max_bytes": retention.dedup_bytes / usize::from(partitions),
                "max_msgs_per_subject": 1,
                "deny_delete": true,
            })
        }));
    }
    streams.push(json!({
        "name": names::SESSIONS_STREAM,
        "description": "micro-socket sessions",
        "subjects": [names::SESSIONS_ALL],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "max_age": nanos(options.session_bucket_ttl()),
        "max_bytes": options.session_bytes,
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
    }));
    streams.push(json!({
        "name": names::REVOKED_STREAM,
        "description": "micro-socket revoked users and tokens",
        "subjects": [names::REVOKED_ALL],
        "retention": "limits",
        "storage": "file",
        // One more is refused; none is forgotten before its time.
        "discard": "new",
        "num_replicas": replicas,
        "max_age": nanos(options.revocation_ttl),
        "max_msgs": revocations::MOST,
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
    }));
    streams.push(json!({
        "name": names::NODES_STREAM,
        "description": "micro-socket gateways",
        "subjects": [names::NODES_ALL],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "max_age": nanos(roster::FORGOTTEN_AFTER),
        "max_msgs": roster::MOST_NODES,
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
    }));
    streams
}

/// Makes the streams that are not there and checks all of them. Returns the epochs of the messages'
/// streams, by partition.
///
/// # Errors
/// One line: what is wrong, and the mend.
pub(super) async fn ensure(
    link: &Link,
    options: &Options,
    retention: &Retention,
) -> Result<Vec<Epoch>, String> {
    let mut epochs = Vec::new();
    for wanted in plan(options, retention) {
        let name = wanted["name"].as_str().unwrap_or_default();
        let info = make(link, name, &wanted, options.connect_patience)
            .await
            .map_err(|why| format!("stream {name}: {why}"))?;
        epochs.extend(info.epoch());
    }
    Ok(epochs)
}

/// Gives a stream another epoch: its numbers are not those that were told under the one it has.
///
/// # Errors
/// Why the server does not do it.
pub(super) async fn renumber(link: &Link, name: &str, info: &Info) -> Result<(), String> {
    let mut config = info.config.clone();
    let text = config["description"].as_str().unwrap_or_default();
    let text = text.rsplit_once(EPOCH).map_or(text, |(text, _)| text);
    config["description"] = format!("{text}{EPOCH}{}", new_epoch()).into();
    let subject = format!("STREAM.UPDATE.{name}");
    match link.api::<Value>(&subject, &config).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(explain(&error)),
        Err(unavailable) => Err(unavailable.0),
    }
}

async fn make(link: &Link, name: &str, wanted: &Value, patience: Duration) -> Result<Info, String> {
    let deadline = Instant::now() + patience;
    let problem = loop {
        let created = link
            .api::<Value>(&format!("STREAM.CREATE.{name}"), wanted)
            .await;
        let problem = match created {
            Ok(Ok(_)) => break None,
            Ok(Err(error)) if error.err_code == NAME_IN_USE => break None,
            Ok(Err(error)) if !NOT_YET.contains(&error.err_code) => break Some(explain(&error)),
            Ok(Err(error)) => explain(&error),
            Err(unavailable) => format!(
                "{}; is JetStream enabled (nats-server -js) for this account?",
                unavailable.0
            ),
        };
        if Instant::now() >= deadline {
            break Some(problem);
        }
        sleep(Duration::from_millis(200)).await;
    };
    if let Some(problem) = problem {
        return Err(problem);
    }
    // Asked for again: what the server stored, not what it was sent.
    let info = settled(link, name, deadline).await?;
    let mut faults = Vec::new();
    differences(&with_epoch_of(&info, wanted), &info.config, "", &mut faults);
    if faults.is_empty() {
        return Ok(info);
    }
    Err(format!(
        "it is not as the settings want it ({}): start every gateway with the same settings, or change the \
         stream with `nats stream edit {name}`, or take a newer nats-server where it leaves a field out",
        faults.join(", ")
    ))
}

/// What is wanted, but for the epoch: that of the stream's maker holds.
fn with_epoch_of(info: &Info, wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    let text = wanted["description"].as_str().unwrap_or_default();
    if let (Some((text, _)), Some(epoch)) = (text.rsplit_once(EPOCH), info.epoch()) {
        wanted["description"] = format!("{text}{EPOCH}{epoch}").into();
    }
    wanted
}

/// The stream once its servers agree about it: of two that make it at the same moment, the later one
/// can have the last word.
async fn settled(link: &Link, name: &str, deadline: Instant) -> Result<Info, String> {
    let mut before: Option<Info> = None;
    loop {
        let answer = link
            .api::<Info>(&format!("STREAM.INFO.{name}"), &json!({}))
            .await;
        let problem = match (answer, &before) {
            (Ok(Ok(info)), Some(before)) if before.config == info.config => return Ok(info),
            (Ok(Ok(info)), _) if info.config["num_replicas"] == 1 => return Ok(info),
            (Ok(Ok(info)), _) => {
                before = Some(info);
                "its servers do not agree about it".to_owned()
            }
            (Ok(Err(error)), _) => explain(&error),
            (Err(unavailable), _) => unavailable.0,
        };
        if Instant::now() >= deadline {
            return Err(problem);
        }
        sleep(Duration::from_millis(250)).await;
    }
}

fn explain(error: &ApiError) -> String {
    let mend = match error.err_code {
        10074 => "; nats-replicas above 1 needs a cluster of NATS servers",
        10005 => "; nats-replicas is more than there are servers with JetStream",
        10047 | 10028 | 10023 => "; give JetStream more storage, or lower history-bytes",
        10065 => "; another stream takes the subjects micro-socket.>",
        10039 => "; JetStream is not enabled for this account",
        _ => "",
    };
    format!("{error}{mend}")
}

/// What of `wanted` is otherwise in `found`.
fn differences(wanted: &Value, found: &Value, path: &str, faults: &mut Vec<String>) {
    match wanted {
        Value::Object(fields) => {
            for (name, wanted) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                // What is false is left out of an answer.
                let found = found.get(name).unwrap_or(&Value::Null);
                differences(wanted, found, &path, faults);
            }
        }
        wanted if wanted == found => {}
        wanted => faults.push(format!("{path} is {found} instead of {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_left_out_or_changed_is_named() {
        let wanted = json!({"a": 1, "b": {"c": "x", "d": true}, "e": ["s"]});
        let mut faults = Vec::new();
        let more = json!({"a": 1, "b": {"c": "x", "d": true, "z": 1}, "e": ["s"], "z": 1});
        differences(&wanted, &more, "", &mut faults);
        assert!(faults.is_empty());
        let other = json!({"a": 2, "b": {"c": "x"}, "e": []});
        differences(&wanted, &other, "", &mut faults);
        assert_eq!(
            faults,
            [
                "a is 2 instead of 1",
                "b.d is null instead of true",
                "e is [] instead of [\"s\"]"
            ]
        );
    }

    fn described(text: &str) -> Info {
        let state = Ends { first: 1, last: 0 };
        let config = json!({ "description": text });
        Info { config, state }
    }

    #[test]
    fn the_epoch_is_what_the_maker_wrote_down() {
        let found = described("micro-socket messages, partition 0 of 1, epoch 0123456789abcdef");
        assert_eq!(found.epoch().unwrap().as_str(), "0123456789abcdef");
        let retention = Retention {
            history_size: 1,
            history_ttl: Duration::from_secs(1),
            history_bytes: 1,
            dedup_ttl: Duration::from_secs(1),
            dedup_bytes: 1,
        };
        let plan = plan(&Options::default(), &retention);
        let wanted = &with_epoch_of(&found, &plan[0])["description"];
        assert_eq!(*wanted, found.config["description"]);
        // Another partition is another partition.
        let other = described("micro-socket messages, partition 0 of 2, epoch 0123456789abcdef");
        assert_ne!(
            with_epoch_of(&other, &plan[0])["description"],
            other.config["description"]
        );
        for text in [
            "",
            "micro-socket messages",
            "a, epoch x",
            "a, epoch 0123456789abcdeg",
        ] {
            let found = described(text);
            assert!(found.epoch().is_none(), "{text}");
            assert_eq!(with_epoch_of(&found, &plan[0]), plan[0]);
        }
    }
}
