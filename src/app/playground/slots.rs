//! The places in the document in which rows of the log are shown.
//!
//! A row that comes into view takes the slot of one that left it: however fast rows go by, nothing is
//! made and nothing is thrown away. A row that stays keeps its slot, and with it the focus and what is
//! selected in it.

use super::listing::WINDOW;

/// A slot in the order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its number, below [`WINDOW`].
    pub slot: usize,
    /// Whether it shows another row than before, and so stands in another place.
    pub moved: bool,
}

/// Which slot shows which row.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    /// The row of each slot; no more than are needed.
    shown: Vec<Option<u64>>,
}

impl Slots {
    /// Gives each row a slot; rows are numbered upwards, and those beyond [`WINDOW`] get none.
    pub fn place(&mut self, rows: &[u64]) -> Vec<Placed> {
        let rows = &rows[..rows.len().min(WINDOW)];
        for shown in &mut self.shown {
            *shown = shown.filter(|row| rows.binary_search(row).is_ok());
        }
        let mut free = 0;
        let placed = rows.iter().map(|row| {
            let known = self.shown.iter().position(|shown| *shown == Some(*row));
            let slot = known.unwrap_or_else(|| {
                while self.shown.get(free).is_some_and(Option::is_some) {
                    free += 1;
                }
                if free == self.shown.len() {
                    self.shown.push(None);
                }
                self.shown[free] = Some(*row);
                free
            });
            let moved = known.is_none();
            Placed { slot, moved }
        });
        placed.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows upwards from a first one, with gaps.
    fn windows() -> impl Strategy<Value = Vec<Vec<u64>>> {
        let window = (0u64..200, prop::collection::vec(1u64..4, 0..=WINDOW + 2));
        let window = window.prop_map(|(first, steps)| {
            let rows = steps.iter().scan(first, |row, step| {
                *row += step;
                Some(*row)
            });
            rows.collect()
        });
        prop::collection::vec(window, 1..20)
    }

    proptest! {
        /// Moving only what is said to have moved brings the document into the order of the rows.
        #[test]
        fn each_row_has_one_slot_and_what_stays_is_left_alone(windows in windows()) {
            let mut slots = Slots::default();
            let mut document: Vec<(usize, u64)> = Vec::new();
            for rows in windows {
                let rows = &rows[..rows.len().min(WINDOW)];
                let placed = slots.place(rows);
                prop_assert_eq!(placed.len(), rows.len());
                document.retain(|(slot, _)| placed.iter().any(|p| p.slot == *slot && !p.moved));
                let mut next = document.len();
                for (placed, row) in placed.iter().zip(rows).rev() {
                    if placed.moved {
                        document.insert(next, (placed.slot, *row));
                    } else {
                        next -= 1;
                    }
                }
                let shown: Vec<u64> = document.iter().map(|(_, row)| *row).collect();
                prop_assert_eq!(&shown, rows);
                let order: Vec<usize> = document.iter().map(|(slot, _)| *slot).collect();
                let given: Vec<usize> = placed.iter().map(|p| p.slot).collect();
                prop_assert_eq!(order, given);
            }
        }
    }

    #[test]
    fn a_row_that_comes_takes_the_slot_of_one_that_went() {
        let mut slots = Slots::default();
        let last: Vec<u64> = (1..=48).collect();
        assert!(slots.place(&last).iter().all(|placed| placed.moved));
        let next: Vec<u64> = (3..=50).collect();
        let placed = slots.place(&next);
        assert!(placed[..46].iter().all(|placed| !placed.moved));
        let moved = |slot| Placed { slot, moved: true };
        assert_eq!(placed[46..], [moved(0), moved(1)]);
    }
}
