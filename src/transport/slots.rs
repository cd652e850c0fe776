//! The connections of a shard by their numbers, in pages that never move: room for more is made
//! without a copy of all that is there, however many they are.
//!
//! Invariant: pure.

use crate::hub::Slot;

/// Values in a page.
const PAGE: usize = 128;

/// Values with small numbers; a number is given again after its value was removed.
#[derive(Debug)]
pub(super) struct Slots<T> {
    pages: Vec<Vec<Option<T>>>,
    free: Vec<Slot>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
        }
    }
}

const fn place(slot: Slot) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}

impl<T> Slots<T> {
    /// The number that the next [`Slots::insert`] gives.
    pub(super) fn next(&self) -> Slot {
        match (self.free.last(), self.pages.last()) {
            (Some(free), _) => *free,
            (None, None) => 0,
            (None, Some(page)) => ((self.pages.len() - 1) * PAGE + page.len()) as Slot,
        }
    }

    /// Keeps a value and returns its number.
    pub(super) fn insert(&mut self, value: T) -> Slot {
        let slot = self.next();
        if self.free.pop().is_some() {
            if let Some(free) = self.entry(slot) {
                *free = Some(value);
            }
            return slot;
        }
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => page.push(Some(value)),
            _ => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(Some(value));
                self.pages.push(page);
            }
        }
        slot
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Option<T>> {
        let (page, at) = place(slot);
        self.pages.get_mut(page)?.get_mut(at)
    }

    /// The value of a number.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entry(slot)?.as_mut()
    }

    /// Removes the value of a number, which is free from now on.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = self.entry(slot)?.take()?;
        self.free.push(slot);
        Some(value)
    }

    /// All values with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let all = self.pages.iter().flatten();
        (0..)
            .zip(all)
            .filter_map(|(slot, value)| Some((slot, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_a_map_whose_numbers_stay_small(steps in prop::collection::vec(0_u32..600, 1..1000)) {
            let (mut slots, mut model, mut most) = (Slots::default(), BTreeMap::new(), 0);
            for (value, step) in steps.into_iter().enumerate() {
                if step < 300 {
                    prop_assert_eq!(slots.remove(step), model.remove(&step));
                } else {
                    let next = slots.next();
                    prop_assert_eq!(slots.insert(value), next);
                    prop_assert_eq!(model.insert(next, value), None);
                }
                most = most.max(model.len());
                prop_assert!(slots.next() as usize <= most);
                prop_assert_eq!(slots.get_mut(step).copied(), model.get(&step).copied());
            }
            let all: Vec<_> = slots.iter().map(|(slot, value)| (slot, *value)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
