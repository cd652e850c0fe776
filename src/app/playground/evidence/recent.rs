//! What was seen lately, in a table of fixed size: what is pushed out is no longer judged.

/// Places; one entry each.
const PLACES: usize = 4096;

/// The newest entries by key. An entry that falls into a taken place pushes out what was there.
#[derive(Debug, Clone)]
pub(super) struct Recent<V> {
    /// Empty before the first entry.
    places: Vec<Option<(u64, V)>>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<V: Copy> Recent<V> {
    pub(super) fn get(&mut self, key: u64) -> Option<&mut V> {
        match self.places.get_mut(place(key)) {
            Some(Some((found, value))) if *found == key => Some(value),
            _ => None,
        }
    }

    pub(super) fn put(&mut self, key: u64, value: V) {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        self.places[place(key)] = Some((key, value));
    }
}

fn place(key: u64) -> usize {
    // The high bits of a fingerprint are as even as the low ones.
    (key >> 32) as usize % PLACES
}

/// One number for several texts: different ones for different texts, but for one in 2^64 (FNV-1a).
pub(super) fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for text in texts {
        // A byte that is in no UTF-8 parts them.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_until_another_takes_its_place() {
        let mut recent = Recent::default();
        assert!(recent.get(7 << 32).is_none());
        recent.put(7 << 32, 'a');
        assert_eq!(recent.get(7 << 32), Some(&mut 'a'));
        assert!(recent.get(8 << 32).is_none());
        recent.put((7 << 32) + 1, 'b');
        assert!(recent.get(7 << 32).is_none());
        for key in 0..100_000 {
            recent.put(fingerprint(&[&key.to_string()]), 'c');
        }
        assert_eq!(recent.places.len(), PLACES);
    }

    #[test]
    fn fingerprints_tell_texts_and_their_borders_apart() {
        assert_eq!(fingerprint(&["a", "b"]), fingerprint(&["a", "b"]));
        assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["ab"]));
        assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["b", "a"]));
        assert_ne!(fingerprint(&["[ ]"]), fingerprint(&["[]"]));
    }
}
