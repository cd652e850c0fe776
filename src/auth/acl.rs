//! What a user may do with a topic. Nothing is allowed that is not granted.
//!
//! Invariant: pure.

/// What somebody wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Subscribe it, replay it, read its history.
    Read,
    /// Publish to it.
    Write,
}

/// The topics a user may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything.
    All,
}

impl Grants {
    /// Whether the action is allowed on the topic.
    #[must_use]
    pub fn allow(&self, _action: Action, _topic: &str) -> bool {
        match self {
            Self::All => true,
        }
    }
}
