//! What a user may do with a topic. Nothing is allowed that is not granted.

/// Stands for the user in a pattern.
const USER: &str = "{user}";
/// Topics that begin so belong, with demo auth, to the user whose name follows.
const PRIVATE: &str = "private.";

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
    /// Everything but what is another user's: `private.ann` and all that begins with `private.ann.`
    /// are for the user `ann` alone. What demo auth grants, so that a refusal can be seen there.
    AllButPrivate(Box<str>),
    /// What one of the patterns allows.
    Only {
        /// Topics to read.
        read: Box<[Pattern]>,
        /// Topics to write.
        write: Box<[Pattern]>,
    },
}

impl Grants {
    /// The grants of a token's claim, for this user.
    #[must_use]
    pub fn of(read: &[String], write: &[String], user: &str) -> Self {
        let compile =
            |patterns: &[String]| patterns.iter().map(|p| Pattern::new(p, user)).collect();
        Self::Only {
            read: compile(read),
            write: compile(write),
        }
    }

    /// Whether the action is allowed on the topic.
    #[must_use]
    pub fn allow(&self, action: Action, topic: &str) -> bool {
        let patterns = match (self, action) {
            (Self::AllButPrivate(user), _) => {
                let Some(owner) = topic.strip_prefix(PRIVATE) else {
                    return true;
                };
                let rest = owner.strip_prefix(&**user);
                return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            }
            (Self::Only { read, .. }, Action::Read) => read,
            (Self::Only { write, .. }, Action::Write) => write,
        };
        patterns.iter().any(|pattern| pattern.matches(topic))
    }
}

/// A pattern of a claim with the user filled in: one topic, or all that begin with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    prefix: bool,
}

impl Pattern {
    /// Reads a pattern as it stands in the claim. Whether it is a prefix is settled before the user
    /// is filled in, and what is filled in is not looked at again: no name of a user, `*` and
    /// `{user}` among them, reaches further than the text of that name.
    #[must_use]
    pub fn new(written: &str, user: &str) -> Self {
        let (text, prefix) = match written.strip_suffix('*') {
            Some(text) => (text, true),
            None => (written, false),
        };
        Self {
            text: text.replace(USER, user),
            prefix,
        }
    }

    fn matches(&self, topic: &str) -> bool {
        if self.prefix {
            topic.starts_with(&self.text)
        } else {
            topic == self.text
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_allow_what_they_say() {
        // Pattern, user, allowed topics, denied topics.
        let table: &[(&str, &str, &[&str], &[&str])] = &[
            (
                "prices",
                "ann",
                &["prices"],
                &["price", "prices.eur", "Prices", "prices*"],
            ),
            (
                "prices.*",
                "ann",
                &["prices.eur", "prices."],
                &["prices", "pricesx", "x.prices.eur"],
            ),
            ("*", "ann", &["a", "prices.eur", "*"], &[]),
            ("", "ann", &[], &["a"]),
            ("a*b", "ann", &["a*b"], &["axb", "ab"]),
            ("a**", "ann", &["a*", "a*b"], &["a", "ab"]),
            (
                "user.{user}",
                "ann",
                &["user.ann"],
                &["user.bob", "user.{user}", "user.ann.x"],
            ),
            (
                "user.{user}.*",
                "ann",
                &["user.ann.x"],
                &["user.ann", "user.anna.x", "user.bob.x"],
            ),
            (
                "{user}/{user}",
                "ann",
                &["ann/ann"],
                &["ann/bob", "ann/{user}"],
            ),
            // Users with names that look like patterns.
            ("user.{user}", "*", &["user.*"], &["user.ann", "user."]),
            ("user.{user}.*", "*", &["user.*.x"], &["user.ann.x"]),
            ("{user}", "a*", &["a*"], &["ab", "a"]),
            ("{user}", "{user}", &["{user}"], &["ann"]),
            (
                "{user}.x",
                "{user}*",
                &["{user}*.x"],
                &["ann.x", "{user}.x"],
            ),
            ("{us{user}er}", "ann", &["{usanner}"], &["ann"]),
            // Braces made only by filling in are not filled in again.
            ("{{user}er}", "us", &["{user}"], &["us"]),
        ];
        for (pattern, user, allowed, denied) in table {
            let grants = Grants::of(&[(*pattern).to_owned()], &[], user);
            for topic in *allowed {
                assert!(
                    grants.allow(Action::Read, topic),
                    "{pattern} {user} {topic}"
                );
                assert!(
                    !grants.allow(Action::Write, topic),
                    "{pattern} {user} {topic}"
                );
            }
            for topic in *denied {
                assert!(
                    !grants.allow(Action::Read, topic),
                    "{pattern} {user} {topic}"
                );
            }
        }
    }

    #[test]
    fn with_demo_auth_a_private_topic_is_its_user_s_alone() {
        let grants = Grants::AllButPrivate("ann".into());
        for topic in [
            "a",
            "private",
            "privates.ben",
            "private.ann",
            "private.ann.x",
        ] {
            assert!(grants.allow(Action::Read, topic), "{topic}");
            assert!(grants.allow(Action::Write, topic), "{topic}");
        }
        for topic in ["private.", "private.ben", "private.anna", "private.ben.ann"] {
            assert!(!grants.allow(Action::Read, topic), "{topic}");
            assert!(!grants.allow(Action::Write, topic), "{topic}");
        }
    }

    #[test]
    fn no_pattern_allows_nothing() {
        let none = Grants::of(&[], &[], "ann");
        assert!(!none.allow(Action::Read, "a") && !none.allow(Action::Write, "a"));
    }

    proptest! {
        /// An exact pattern allows one topic at most, whoever the user is.
        #[test]
        fn an_exact_pattern_is_one_topic(
            before in "[a-c.*{}]{0,4}", after in "[a-c.{}]{0,4}x?", user in "[a-c*{}]{1,6}|\\{user\\}\\*?",
            topic in "[a-c.*{}x]{1,16}",
        ) {
            prop_assume!(!before.contains(USER) && !after.contains(USER) && !after.ends_with('*'));
            let written = format!("{before}{USER}{after}");
            prop_assume!(written.matches(USER).count() == 1);
            let grants = Grants::of(&[written], &[], &user);
            let only = format!("{before}{user}{after}");
            prop_assert!(grants.allow(Action::Read, &only));
            prop_assert_eq!(grants.allow(Action::Read, &topic), topic == only);
        }

        /// A prefix allows nothing that does not begin with the user's own part.
        #[test]
        fn a_prefix_stays_with_its_user(user in "[a-c*{}]{1,6}", topic in "u\\.[a-c*{}]{1,6}\\.[a-c*]{0,3}") {
            let grants = Grants::of(&[], &[format!("u.{USER}.*")], &user);
            prop_assert_eq!(grants.allow(Action::Write, &topic), topic.starts_with(&format!("u.{user}.")));
            prop_assert!(!grants.allow(Action::Read, &topic));
        }
    }
}
