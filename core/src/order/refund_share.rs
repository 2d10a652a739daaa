//! Value of refunded units, computed so that the refunds of a line add up to its total exactly. Pure.

/// Returns the value of the next `units` units of a line, in minor units, if `refunded` of its `quantity` units are
/// already refunded.
///
/// The share is the difference of two rounded-down prefixes of the total, so that any split into refunds adds up to
/// `total`.
#[must_use]
pub fn refund_share(total: i64, quantity: i64, refunded: i64, units: i64) -> i64 {
    let value_of = |count: i64| i128::from(total) * i128::from(count) / i128::from(quantity.max(1));
    i64::try_from(value_of(refunded + units) - value_of(refunded)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refund_share_after_a_refund_completes_the_total() {
        let shares = [refund_share(1000, 3, 0, 1), refund_share(1000, 3, 1, 1), refund_share(1000, 3, 2, 1)];
        assert_eq!(shares, [333, 333, 334]);
        // Without the previous refunds, the share of the last unit would be one cent too low.
        assert_ne!(shares[2], refund_share(1000, 3, 0, 1));
        assert_eq!((refund_share(1000, 3, 1, 2), refund_share(1000, 3, 0, 3)), (667, 1000));
    }

    #[test]
    fn refund_share_of_nothing_is_nothing() {
        assert_eq!(refund_share(1000, 3, 1, 0), 0);
        assert_eq!(refund_share(0, 3, 0, 3), 0);
    }

    #[test]
    fn refund_share_of_the_largest_amounts_does_not_overflow() {
        assert_eq!(refund_share(i64::MAX, 10_000, 0, 10_000), i64::MAX);
    }

    proptest! {
        #[test]
        fn refund_shares_of_any_split_add_up_to_the_total(
            total in 0..=900_000_000_000_i64,
            parts in prop::collection::vec(0..=60_i64, 1..=20),
        ) {
            let quantity: i64 = parts.iter().sum();
            prop_assume!(quantity > 0);
            let (mut refunded, mut sum) = (0, 0);
            for part in parts {
                let share = refund_share(total, quantity, refunded, part);
                prop_assert!(share >= 0);
                refunded += part;
                sum += share;
                // The refunded sum never exceeds the value of the refunded units.
                prop_assert!(i128::from(sum) * i128::from(quantity) <= i128::from(total) * i128::from(refunded));
            }
            prop_assert_eq!(sum, total);
        }
    }
}
