//! How often was this asked for lately? A count-min sketch: a few bytes a key, never too low, rarely too high.
//!
//! It is what keeps keys that are asked for once out of the cache (the idea of TinyLFU's doorkeeper). Counts are
//! halved regularly, so that what was hot yesterday has to earn its place again.

/// One row for each of these multipliers (odd, so that they permute): a key is counted once in each row, and a count
/// is too high only when other keys hit it in all of them.
const ROWS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x27d4_eb2f_1656_67c5];

/// Counts don't go beyond this: who is asked for more often is no hotter to us.
const HIGHEST: u8 = 15;

pub(super) struct Sketch {
    /// `ROWS.len()` rows of `width` counts.
    counts: Vec<u8>,
    width: usize,
    asked: usize,
}

impl Sketch {
    /// A sketch for about so many keys; never more than a few megabytes.
    pub(super) fn new(keys: usize) -> Self {
        let width = keys.clamp(16, 1 << 17).saturating_mul(8).next_power_of_two();
        Self { counts: vec![0; width * ROWS.len()], width, asked: 0 }
    }

    /// Counts one more ask. Every `width` asks all counts are halved.
    pub(super) fn count(&mut self, hash: u64) {
        for place in self.places(hash) {
            if let Some(count) = self.counts.get_mut(place) {
                *count = count.saturating_add(1).min(HIGHEST);
            }
        }
        self.asked += 1;
        if self.asked >= self.width {
            self.asked = 0;
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// How often it was asked for: at least so often as it was, since the last halving.
    pub(super) fn estimate(&self, hash: u64) -> u8 {
        self.places(hash).into_iter().filter_map(|place| self.counts.get(place)).copied().min().unwrap_or(0)
    }

    fn places(&self, hash: u64) -> [usize; ROWS.len()] {
        let mut row = 0;
        ROWS.map(|multiplier| {
            let mixed = hash.wrapping_add(multiplier).wrapping_mul(multiplier);
            // The high bits of a product depend on all bits of the hash; the width is a power of two.
            let column = usize::try_from(mixed >> 32).unwrap_or(0) & (self.width - 1);
            row += 1;
            (row - 1) * self.width + column
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_never_too_low_and_rarely_too_high() {
        let mut sketch = Sketch::new(1_000);
        let hash = |key: u64| key.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17);
        for key in 0..1_000 {
            sketch.count(hash(key));
        }
        assert!((0..1_000).all(|key| sketch.estimate(hash(key)) >= 1));
        let too_high = (0..1_000).filter(|key| sketch.estimate(hash(*key)) > 1).count();
        assert!(too_high <= 5, "{too_high} of 1000");
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_forgotten() {
        let mut sketch = Sketch::new(16);
        sketch.count(7);
        sketch.count(7);
        assert_eq!(sketch.estimate(7), 2);
        for _ in 0..4 * 128 {
            sketch.count(1 << 40);
        }
        assert_eq!(sketch.estimate(7), 0);
    }
}
