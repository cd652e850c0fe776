//! Things worth seeing, and faults, played by the page itself.
//!
//! A [`Scenario`] is data: who does what, what is waited for, and what is said in the end. A [`Run`]
//! plays it: fed with what happens to the clients and with the time, it hands out commands, gives up
//! on a wait that takes too long, and ends with a verdict from what was observed.

mod delivery;
mod facts;
mod faults;
mod frames;
mod results;
mod run;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod trouble;
mod waits;

pub use faults::{FAULTS, RETURNS};
pub use results::TopicResult;
pub use run::{Cast, Command, Fault, Progress, Run};

/// The scenarios, in the order of the page.
pub static SCENARIOS: [&Scenario; 7] = [
    &delivery::FAN_OUT,
    &delivery::DEDUP,
    &delivery::DENIED,
    &delivery::LATE,
    &trouble::CUT_AND_RESUME,
    &trouble::SLOW,
    &trouble::TAKE_OVER,
];

/// A place in the cast. In a scenario 0 is client A and so on; for a fault 0 is the active client.
pub type Role = usize;

/// Clients of a scenario at most.
const ROLES: usize = 4;

/// What is played.
#[derive(Debug)]
pub struct Scenario {
    /// Its name in a word, the same that tests use.
    pub id: &'static str,
    /// What the button says.
    pub title: &'static str,
    /// What to watch, in a sentence.
    pub watch: &'static str,
    /// How many clients take part.
    pub roles: usize,
    /// Which topic its publishes are about.
    pub topic: TopicOf,
    /// Why it cannot be played now, in words.
    pub hindrance: fn(&Run) -> Option<String>,
    /// What is done, one after the other.
    pub steps: &'static [Step],
    /// What is said when every step came to its end.
    pub verdict: fn(&Run) -> Verdict,
}

/// Scenarios are told apart by their names.
impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The topic of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicOf {
    /// One that nobody else uses.
    Fresh,
    /// A private topic of client A's user.
    Private,
    /// The one that the active client last spoke of.
    Focus,
}

/// One step: acts that are done at once, and what must be seen then.
#[derive(Debug)]
pub struct Step {
    /// For the reader.
    pub words: &'static str,
    /// What is done.
    pub acts: &'static [Act],
    /// What must be seen, all of it.
    pub until: &'static [Until],
    /// Seconds to wait for that.
    pub within: u32,
}

/// A step that is waited for as long as anything that should happen at once.
const fn step(words: &'static str, acts: &'static [Act], until: &'static [Until]) -> Step {
    Step {
        words,
        acts,
        until,
        within: 10,
    }
}

/// Something that is done.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Connects and sends `setup` with the token of `user`.
    Enter {
        /// Who.
        role: Role,
        /// Whose token.
        user: Role,
        /// Whether the run's topic is subscribed with it.
        subscribed: bool,
    },
    /// Subscribes the run's topic, perhaps from its beginning.
    Subscribe {
        /// Who.
        role: Role,
        /// With `lastSeq` 0.
        from_start: bool,
    },
    /// Publishes messages with the ids `first` and up. An id that was used before makes a duplicate.
    Publish {
        /// Who.
        role: Role,
        /// The first id.
        first: u32,
        /// How many.
        count: u32,
        /// How large each payload is, in bytes, about.
        bytes: usize,
    },
    /// Sends a text as it is.
    Raw(Role, &'static str),
    /// Ends TCP without a close frame.
    Cut(Role),
    /// Stops writing to the socket.
    Stall(Role),
    /// Connects and resumes the session of `of`, with the token of `of`.
    Resume {
        /// Who.
        role: Role,
        /// Whose session.
        of: Role,
    },
    /// Connects, sends `setup`, and subscribes all topics from where they were.
    Return(Role),
}

/// Something that must be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// `ready` on this connection.
    Ready(Role),
    /// `subscribed` on this connection.
    Subscribed(Role),
    /// So many acks in all.
    Acked(Role, usize),
    /// So many messages of the run's topic in all.
    Got(Role, u64),
    /// So many errors in all.
    Refused(Role, usize),
    /// The end of this connection.
    Closed(Role),
    /// A fault was inflicted on this connection.
    Inflicted(Role),
    /// Every topic is subscribed again and everything that was announced has come.
    Back(Role),
    /// The time of the step is over; for `offline` that is the time that was chosen.
    Over,
}

/// What was observed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is what was promised.
    pub good: bool,
    /// The sentence.
    pub words: String,
}

impl Verdict {
    fn new(good: bool, words: String) -> Self {
        Self { good, words }
    }
}

/// Nothing stands in the way.
fn nothing(_: &Run) -> Option<String> {
    None
}
