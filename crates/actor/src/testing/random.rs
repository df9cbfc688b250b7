//! The draws of a simulation: all from its seed.

/// Splitmix64 (Steele, Lea, Flood 2014): small, and good from any seed.
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    /// Draws that differ for different purposes of one seed.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Random(seed ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..n`; `n` is not zero.
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The high half of the product: as even as a test needs.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Whether something comes to pass that does so in `share` of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64 / (1_u64 << 53) as f64) < share
    }
}
