//! What became of each topic on the way back.

use super::super::continuity::{Counts, Return};
use super::run::Run;
use crate::protocol::ErrorCode;

/// What became of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicResult {
    /// The topic.
    pub topic: String,
    /// What was said of the position.
    pub last_return: Option<Return>,
    /// Why it was refused, where it was.
    pub refused: Option<ErrorCode>,
    /// What came since.
    pub counts: Counts,
}

impl TopicResult {
    /// What became of the position, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.last_return, self.refused) {
            (Some(back), _) => back.words(),
            (None, Some(code)) => format!("refused: {}", code.as_str()),
            (None, None) => "did not come back".to_owned(),
        }
    }
}

impl Run {
    /// What became of each topic that role 0 had before.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicResult> {
        let Some(before) = &self.cast.before else {
            return Vec::new();
        };
        let (now, errors) = (self.facts[0].continuity.topics(), &self.facts[0].errors);
        let topics = before.topics().keys().filter_map(|topic| {
            let (now, then) = (now.get(topic)?, before.continuity().topics().get(topic));
            Some(TopicResult {
                topic: topic.clone(),
                last_return: now
                    .last_return
                    .filter(|_| self.facts[0].returned.contains(topic)),
                refused: errors
                    .iter()
                    .find(|error| error.topic == *topic)
                    .map(|error| error.code),
                counts: now
                    .counts
                    .since(then.map_or_else(Counts::default, |then| then.counts)),
            })
        });
        topics.collect()
    }
}
