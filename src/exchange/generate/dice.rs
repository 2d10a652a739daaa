//! Chance that is the same on every run: `SplitMix64` counted up from a seed.

/// A stream of numbers that depends on nothing but its seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The stream of the `n`-th thing of the kind that `salt` stands for.
    pub fn new<N: TryInto<u64>>(salt: u64, n: N) -> Self {
        let n: u64 = n.try_into().unwrap_or(u64::MAX);
        let mut seed = Self(n ^ salt.rotate_left(32));
        Self(seed.roll())
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.roll() >> 16) % end
    }

    /// A number from `low` to `high`, both included; small ones come more often.
    pub fn low_of(&mut self, (low, high): (u64, u64)) -> u64 {
        let span = high - low;
        low + self.below(span + 1) * self.below(1 << 16) / (1 << 16)
    }

    /// A place in a list of `len` things, of which there is at least one.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.roll() >> 32).unwrap_or(0) % len
    }

    /// One of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }

    /// True in `chance` of a hundred throws.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A place in a ranking: the first comes about as often as the next two together, and those as the next four.
    pub fn rank(&mut self, len: usize) -> usize {
        let tiers = usize::try_from(len.ilog2()).unwrap_or(0) + 1;
        let below = 1 << self.index(tiers);
        (below - 1 + self.index(below)) % len
    }
}
