//! Tiers of a search: how well a product matches. Within a tier the newest products are first.

/// How well a product matches a search; the best tier whose condition it satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchTier {
    /// All words are in some of its fields.
    Rest = 1,
    /// All words are in its name.
    InName = 2,
    /// Its name begins with the search text.
    Begins = 3,
    /// Its name or the SKU of a variant is the search text.
    Exact = 4,
    /// Staff have pinned it for the search text. Each pinned product has a rank of its own, from the top down.
    Pinned = 1_000,
}

/// Maximum number of products pinned for a search text.
pub const MAX_PINNED_PRODUCTS: usize = 20;

impl SearchTier {
    /// All tiers, the best one first.
    pub const BEST_FIRST: [Self; 5] = [Self::Pinned, Self::Exact, Self::Begins, Self::InName, Self::Rest];

    /// Returns the number of the tier in cursors and statements; higher is better. Of pinned products it is the highest.
    #[must_use]
    pub const fn rank(self) -> i32 {
        self as i32
    }

    /// Returns the tier with a number.
    #[must_use]
    pub fn from_rank(rank: i64) -> Option<Self> {
        if Self::pinned_ranks().any(|pinned| i64::from(pinned) == rank) {
            return Some(Self::Pinned);
        }
        Self::BEST_FIRST.into_iter().find(|tier| i64::from(tier.rank()) == rank)
    }

    /// Returns the ranks of pinned products, the one on top first.
    pub fn pinned_ranks() -> impl Iterator<Item = i32> {
        (1..=Self::Pinned.rank()).rev().take(MAX_PINNED_PRODUCTS)
    }
}
