//! Deterministic random numbers: `SplitMix64`.

/// A random number generator that depends only on its seed.
#[derive(Debug, Clone)]
pub struct DemoRng(u64);

impl DemoRng {
    /// Creates the generator of an entity: `salt` identifies its type, `index` the instance.
    pub fn new<N: TryInto<u64>>(salt: u64, index: N) -> Self {
        let index: u64 = index.try_into().unwrap_or(u64::MAX);
        let mut seed = Self(index ^ salt.rotate_left(32));
        Self(seed.next_u64())
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which must not be zero.
    pub fn next_below(&mut self, end: u64) -> u64 {
        (self.next_u64() >> 16) % end
    }

    /// Returns a number from `minimum` to `maximum`, both inclusive; small ones are more frequent.
    pub fn next_skewed(&mut self, (minimum, maximum): (u64, u64)) -> u64 {
        let span = maximum - minimum;
        minimum + self.next_below(span + 1) * self.next_below(1 << 16) / (1 << 16)
    }

    /// Returns an index into a non-empty list of length `len`.
    pub fn next_index(&mut self, len: usize) -> usize {
        usize::try_from(self.next_u64() >> 32).unwrap_or(0) % len
    }

    /// Returns an element of a non-empty list.
    pub fn choose<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.next_index(list.len())]
    }

    /// Returns `true` with a probability of `percentage` percent.
    pub fn next_bool(&mut self, percentage: u64) -> bool {
        self.next_below(100) < percentage
    }

    /// Returns a rank: the first is about as frequent as the next two together, and those as the next four.
    pub fn next_rank(&mut self, len: usize) -> usize {
        let tiers = usize::try_from(len.ilog2()).unwrap_or(0) + 1;
        let tier_size = 1 << self.next_index(tiers);
        (tier_size - 1 + self.next_index(tier_size)) % len
    }
}
