//! Users in few groups, so that what is bounded for all can be bounded for each: who takes the most
//! gives way, and nobody pushes out those who take less.
//!
//! A group is found by a hash with a key of its own, so that nobody can choose to share a group with
//! somebody.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

/// How many groups there are.
pub(super) const SHARES: usize = 64;

/// Finds the group of a user.
#[derive(Debug, Default)]
pub(super) struct Shares(RandomState);

impl Shares {
    /// The user's group, below [`SHARES`].
    pub(super) fn of(&self, user: &str) -> usize {
        self.0.hash_one(user) as usize % SHARES
    }
}
