//! Users and tokens that were turned away before their time.
//!
//! Bounded: when the list is full its oldest entry goes, and from then on every token issued up to
//! that entry's moment is refused. So forgetting refuses too much rather than too little.
//!
//! Invariant: pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Principal;

/// Entries that are kept; each is at most about 400 bytes.
const MAX_ENTRIES: usize = 65_536;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    User(Arc<str>),
    Token(Arc<str>),
}

/// The list.
#[derive(Debug)]
pub struct Revoked {
    /// Up to which moment the subject's tokens are refused, and its number in `order`.
    entries: HashMap<Subject, (u64, u64)>,
    order: BTreeMap<u64, Subject>,
    next: u64,
    /// Tokens issued up to here are refused, whoever they are of.
    floor_ms: Option<u64>,
    most: usize,
}

impl Default for Revoked {
    fn default() -> Self {
        Self::with_room(MAX_ENTRIES)
    }
}

impl Revoked {
    fn with_room(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            floor_ms: None,
            most,
        }
    }

    /// Refuses the user's tokens that were issued up to this moment.
    pub fn user(&mut self, unix_ms: u64, user: &str) {
        self.add(unix_ms, Subject::User(user.into()));
    }

    /// Refuses the token with this id.
    pub fn token(&mut self, unix_ms: u64, id: &str) {
        self.add(unix_ms, Subject::Token(id.into()));
    }

    fn add(&mut self, unix_ms: u64, subject: Subject) {
        // What is said again by a slower clock takes nothing back.
        let known = self.entries.get(&subject).map(|(at_ms, _)| *at_ms);
        let unix_ms = known.unwrap_or_default().max(unix_ms);
        let number = self.next;
        self.next += 1;
        self.order.insert(number, subject.clone());
        if let Some((_, before)) = self.entries.insert(subject, (unix_ms, number)) {
            self.order.remove(&before);
        }
        if self.order.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
            && let Some((at_ms, _)) = self.entries.remove(&oldest)
        {
            self.floor_ms = self.floor_ms.max(Some(at_ms));
        }
    }

    /// Whether the principal's token is refused. A token that does not say when it was issued
    /// counts as issued before.
    #[must_use]
    pub fn refuses(&self, principal: &Principal) -> bool {
        let before = |moment_ms: u64| principal.was_issued_by(moment_ms);
        if self.floor_ms.is_some_and(before) {
            return true;
        }
        if self.entries.is_empty() {
            return false;
        }
        let by_user = self.entries.get(&Subject::User(principal.user.clone()));
        let id = principal.token_id.clone();
        by_user.is_some_and(|(at_ms, _)| before(*at_ms))
            || id.is_some_and(|id| self.entries.contains_key(&Subject::Token(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Grants;

    fn token(user: &str, id: Option<&str>, issued_s: Option<u64>) -> Principal {
        Principal {
            user: user.into(),
            grants: Grants::AllButPrivate(user.into()),
            expires_unix_ms: None,
            token_id: id.map(Into::into),
            issued_unix_ms: issued_s.map(|s| s * 1000),
            admin: false,
        }
    }

    #[test]
    fn a_user_comes_back_with_a_newer_token() {
        let mut revoked = Revoked::default();
        revoked.user(10_500, "ann");
        for (issued, refused) in [
            (None, true),
            (Some(9), true),
            (Some(10), true),
            (Some(11), false),
        ] {
            assert_eq!(
                revoked.refuses(&token("ann", None, issued)),
                refused,
                "{issued:?}"
            );
        }
        assert!(!revoked.refuses(&token("bob", None, Some(9))));
    }

    #[test]
    fn the_latest_moment_holds() {
        let mut revoked = Revoked::default();
        revoked.user(10_000, "ann");
        revoked.user(5_000, "ann");
        assert!(revoked.refuses(&token("ann", None, Some(10))));
        assert!(!revoked.refuses(&token("ann", None, Some(11))));
    }

    #[test]
    fn a_token_does_not() {
        let mut revoked = Revoked::default();
        revoked.token(10_000, "t1");
        assert!(revoked.refuses(&token("ann", Some("t1"), Some(20))));
        assert!(!revoked.refuses(&token("t1", Some("t2"), None)));
    }

    #[test]
    fn what_is_forgotten_is_refused_for_everyone() {
        let mut revoked = Revoked::with_room(2);
        revoked.token(1_000, "t1");
        revoked.token(2_000, "t2");
        revoked.user(3_000, "ann");
        revoked.user(4_000, "ann");
        assert_eq!((revoked.entries.len(), revoked.order.len()), (2, 2));
        assert!(revoked.refuses(&token("bob", Some("t1"), Some(1))));
        assert!(revoked.refuses(&token("bob", None, None)));
        assert!(!revoked.refuses(&token("bob", Some("t3"), Some(2))));
        assert!(revoked.refuses(&token("bob", Some("t2"), Some(9))));
        assert!(revoked.refuses(&token("ann", None, Some(4))));
    }
}
