//! Users and tokens that every gateway turns away, in a bucket: they outlive the gateway that was
//! told, and those that start later find them there.
//!
//! A gateway reads all of them before it lets anybody in, and then every second whether there are
//! more, so that one which was cut off from the others learns what it has missed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::link::Link;
use super::names;
use super::reader::ask_leader;
use super::setup::Ends;
use crate::backbone::Unavailable;

/// Revocations that are kept.
pub(super) const MOST: usize = 65_536;
/// How often is looked for more of them.
const LOOK: Duration = Duration::from_secs(1);
/// At how many places the bucket is read at once.
const WAYS: u64 = 16;
/// The longest entry that a gateway would write, in bytes: a name of 255 bytes, each escaped.
const MAX_BYTES: usize = 2048;
/// The longest name of a user or a token, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// The bucket is full.
const FULL: u32 = 10077;

/// Whose tokens are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// Those of this user that were issued until then.
    User(String),
    /// The one with this id.
    Jti(String),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose.
    pub whose: Whose,
    /// When that was said, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The bucket.
#[derive(Clone)]
pub struct Revocations {
    link: Arc<Link>,
}

impl Revocations {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Writes one down, in place of an earlier one of the same user or token.
    ///
    /// # Errors
    /// [`Unavailable`] when it is not kept.
    pub async fn add(&self, revocation: &Revocation) -> Result<(), Unavailable> {
        let (kind, name) = match &revocation.whose {
            Whose::User(name) => ("user", name),
            Whose::Jti(name) => ("jti", name),
        };
        // Strings and numbers: writing them to memory cannot fail.
        let body = serde_json::to_vec(revocation).unwrap_or_default();
        let subject = names::revoked(kind, name);
        match self.link.store(subject, None, body.into()).await? {
            Ok(_) => Ok(()),
            Err(error) if error.err_code == FULL => Err(Unavailable(format!(
                "{error}: a shorter revocation-ttl, or a new signing key, makes room"
            ))),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    /// All of them, and where the bucket ended then.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn all(&self) -> Result<(Vec<Revocation>, u64), Unavailable> {
        let ends = self.ends().await?;
        Ok((self.between(ends.first.max(1), ends.last).await?, ends.last))
    }

    /// From now on `learn` is called with each that is written after `seen`, until the gateway ends.
    pub fn follow(&self, seen: u64, learn: impl Fn(Revocation) + Send + Sync + 'static) {
        let own = self.clone();
        let following = async move {
            let (mut seen, mut failing) = (seen, false);
            loop {
                sleep(LOOK).await;
                let looked = own.look(&mut seen, &learn).await;
                match &looked {
                    Err(error) if !failing => {
                        tracing::warn!(%error, "what is revoked elsewhere is not learned");
                    }
                    Ok(()) if failing => {
                        tracing::info!("what is revoked elsewhere is learned again");
                    }
                    _ => {}
                }
                failing = looked.is_err();
            }
        };
        self.link.run(following);
    }

    async fn look(
        &self,
        seen: &mut u64,
        learn: &(impl Fn(Revocation) + Send + Sync),
    ) -> Result<(), Unavailable> {
        let ends = self.ends().await?;
        if ends.last < *seen {
            tracing::warn!("the bucket of revocations is a new one: earlier ones hold only here");
            *seen = 0;
        }
        if ends.last > *seen {
            let from = ends.first.max(*seen + 1);
            self.between(from, ends.last)
                .await?
                .into_iter()
                .for_each(learn);
            *seen = ends.last;
        }
        Ok(())
    }

    async fn ends(&self) -> Result<Ends, Unavailable> {
        #[derive(Deserialize)]
        struct Answer {
            state: Ends,
        }
        let subject = format!("STREAM.INFO.{}", names::REVOKED_STREAM);
        let answer = self.link.api::<Answer>(&subject, &json!({})).await?;
        answer
            .map(|answer| answer.state)
            .map_err(|error| Unavailable(error.to_string()))
    }

    /// Those with these numbers, read at several places at once.
    async fn between(&self, from: u64, to: u64) -> Result<Vec<Revocation>, Unavailable> {
        let span = (to + 1).saturating_sub(from);
        let ways = (span / 4).clamp(1, WAYS);
        let part = |way| self.one_by_one(from + span * way / ways, from + span * (way + 1) / ways);
        let parts = try_join_all((0..ways).map(part)).await?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Those from a number on, below another one.
    async fn one_by_one(&self, mut from: u64, end: u64) -> Result<Vec<Revocation>, Unavailable> {
        let mut found = Vec::new();
        while from < end {
            let what = json!({ "seq": from, "next_by_subj": names::REVOKED_ALL });
            let stored = ask_leader(&self.link, names::REVOKED_STREAM, &what).await?;
            let Some(stored) = stored.filter(|stored| stored.seq_no < end) else {
                break;
            };
            from = stored.seq_no.max(from) + 1;
            match read(&stored.payload) {
                Some(revocation) => found.push(revocation),
                None => tracing::warn!("a revocation that no gateway wrote was left out"),
            }
        }
        Ok(found)
    }
}

fn read(body: &[u8]) -> Option<Revocation> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let revocation: Revocation = serde_json::from_slice(body).ok()?;
    let (Whose::User(name) | Whose::Jti(name)) = &revocation.whose;
    (1..=MAX_NAME_BYTES)
        .contains(&name.len())
        .then_some(revocation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_of_others_are_none() {
        let long = "x".repeat(256);
        for text in [
            "",
            "{}",
            r#"{"whose":{"user":""},"at_ms":1}"#,
            r#"{"whose":{"user":"ann"},"at_ms":-1}"#,
            r#"{"whose":{"host":"ann"},"at_ms":1}"#,
            &format!(r#"{{"whose":{{"jti":"{long}"}},"at_ms":1}}"#),
            &format!(
                r#"{{"whose":{{"jti":"a"}},"at_ms":1,"more":"{}"}}"#,
                "x".repeat(3000)
            ),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(name in "\\PC{1,40}", at_ms: u64, user: bool) {
            let whose = if user { Whose::User(name) } else { Whose::Jti(name) };
            let revocation = Revocation { whose, at_ms };
            let body = serde_json::to_vec(&revocation).unwrap();
            prop_assert_eq!(read(&body), Some(revocation));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body: Vec<u8>) {
            let _ = read(&body);
        }
    }
}
