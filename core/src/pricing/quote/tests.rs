use super::*;

fn untaxed_item(quantity: i64, list_price: i64, unit_price: i64) -> QuoteItem {
    QuoteItem { quantity, list_price, unit_price, weight_grams: None, tax_rate: None }
}

fn taxed_item(quantity: i64, unit_price: i64, rate_bps: i32, included: bool) -> QuoteItem {
    QuoteItem {
        tax_rate: Some(EffectiveTaxRate { rate_bps, included }),
        ..untaxed_item(quantity, unit_price, unit_price)
    }
}

const FLAT_SHIPPING: ShippingCharge =
    ShippingCharge { price: 350, price_per_kg: None, free_shipping_threshold: Some(5_000), tax_rate: None };

#[test]
fn totals_with_sale_and_shipping_add_up() {
    let quote = calculate_quote(&[untaxed_item(2, 1_000, 750), untaxed_item(1, 99, 99)], Some(&FLAT_SHIPPING))
        .expect("a quote");
    let expected = Totals { list_subtotal: 2_099, discount: 500, shipping: 350, total: 1_949, ..Totals::default() };
    assert_eq!(quote.totals, expected);
    assert_eq!(quote.lines[0], QuoteLine { list_total: 2_000, discount: 500, tax: 0, total: 1_500 });
}

#[test]
fn included_tax_is_reported_and_not_added() {
    let quote = calculate_quote(&[taxed_item(1, 1_160, 1_600, true)], None).expect("a quote");
    let expected = Totals { list_subtotal: 1_160, tax: 160, tax_included: 160, total: 1_160, ..Totals::default() };
    assert_eq!(quote.totals, expected);
}

#[test]
fn excluded_tax_is_added() {
    let shipping_charge =
        ShippingCharge { tax_rate: Some(EffectiveTaxRate { rate_bps: 1_600, included: false }), ..FLAT_SHIPPING };
    let quote = calculate_quote(&[taxed_item(1, 1_000, 1_600, false)], Some(&shipping_charge)).expect("a quote");
    let expected = Totals { list_subtotal: 1_000, shipping: 350, tax: 216, total: 1_566, ..Totals::default() };
    assert_eq!((quote.totals, quote.shipping_tax, quote.lines[0].total), (expected, 56, 1_160));
}

#[test]
fn tax_at_midpoint_rounds_half_to_even() {
    // 5 % of 10, 30 and 50 cents: 0.5, 1.5 and 2.5.
    let tax = |unit| calculate_quote(&[taxed_item(1, unit, 500, false)], None).expect("a quote").totals.tax;
    assert_eq!([tax(10), tax(30), tax(50), tax(51)], [0, 2, 2, 3]);
    // 21 cents including 5 % contain exactly 1 cent of tax.
    assert_eq!(calculate_quote(&[taxed_item(1, 21, 500, true)], None).expect("a quote").totals.tax, 1);
}

#[test]
fn weight_price_charges_started_kilograms() {
    let shipping_charge = ShippingCharge { price_per_kg: Some(100), free_shipping_threshold: None, ..FLAT_SHIPPING };
    let price = |grams| {
        calculate_quote(&[QuoteItem { weight_grams: grams, ..untaxed_item(1, 0, 0) }], Some(&shipping_charge))
            .expect("a quote")
            .totals
            .shipping
    };
    let prices = [None, Some(0), Some(1), Some(1_000), Some(1_001)].map(price);
    assert_eq!(prices, [350, 350, 450, 450, 550]);
}

#[test]
fn shipping_above_threshold_is_free() {
    let shipping =
        |unit| calculate_quote(&[untaxed_item(1, 9_000, unit)], Some(&FLAT_SHIPPING)).expect("a quote").totals.shipping;
    // The threshold applies to the discounted price, not to the regular price.
    assert_eq!([shipping(4_999), shipping(5_000)], [350, 0]);
}

#[test]
fn invalid_amounts_are_rejected_without_overflow() {
    for quantity in [i64::MIN, -1, 0, MAX_LINE_QUANTITY + 1, 1 << 31, i64::MAX] {
        assert!(calculate_quote(&[untaxed_item(quantity, 1, 1)], None).is_err(), "{quantity}");
    }
    for (list, unit) in [(1, 2), (-1, -1), (0, -1)] {
        assert!(calculate_quote(&[untaxed_item(1, list, unit)], None).is_err(), "{list} {unit}");
    }
    assert!(calculate_quote(&[untaxed_item(1, MAX_MINOR_UNITS, MAX_MINOR_UNITS)], None).is_ok());
    assert!(calculate_quote(&[untaxed_item(2, MAX_MINOR_UNITS, MAX_MINOR_UNITS)], None).is_err());
    assert!(calculate_quote(&[untaxed_item(MAX_LINE_QUANTITY, i64::MAX, i64::MAX)], None).is_err());
    assert!(calculate_quote(&[untaxed_item(1, MAX_MINOR_UNITS, 1), untaxed_item(1, 1, 1)], None).is_err());
    assert!(calculate_quote(&[taxed_item(1, MAX_MINOR_UNITS, 1, false)], None).is_err());
    assert!(
        calculate_quote(
            &[untaxed_item(1, MAX_MINOR_UNITS, MAX_MINOR_UNITS)],
            Some(&ShippingCharge { free_shipping_threshold: None, ..FLAT_SHIPPING })
        )
        .is_err()
    );
    let heavy = QuoteItem { weight_grams: Some(i64::MAX), ..untaxed_item(2, 1, 1) };
    assert!(calculate_quote(&[heavy], None).is_err());
    let expensive =
        ShippingCharge { price_per_kg: Some(MAX_MINOR_UNITS), free_shipping_threshold: None, ..FLAT_SHIPPING };
    assert!(
        calculate_quote(&[QuoteItem { weight_grams: Some(1 << 40), ..untaxed_item(1, 1, 1) }], Some(&expensive))
            .is_err()
    );
}

/// A deterministic random number generator (xorshift).
struct XorShiftRng(u64);

impl XorShiftRng {
    fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a non-negative number with a uniformly distributed bit length of at most `bits`.
    fn random_amount(&mut self, bits: u32) -> i64 {
        let bits = u32::try_from(self.next_u64() % u64::from(bits + 1)).unwrap_or(0);
        i64::try_from(self.next_u64() & ((1_u64 << bits) - 1)).unwrap_or(0)
    }

    fn optional<T>(&mut self, generate: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.next_u64().is_multiple_of(3)).then(|| generate(self))
    }

    fn random_tax_rate(&mut self) -> Option<EffectiveTaxRate> {
        self.optional(|rng| EffectiveTaxRate {
            rate_bps: i32::try_from(rng.next_u64() % 10_001).unwrap_or(0),
            included: rng.next_u64().is_multiple_of(2),
        })
    }

    fn random_item(&mut self) -> QuoteItem {
        let list_price = self.random_amount(52);
        let unit_price = if self.next_u64().is_multiple_of(2) {
            list_price
        } else {
            list_price - self.random_amount(52).min(list_price)
        };
        let (quantity, grams, tax) =
            (self.random_amount(14), self.optional(|rng| rng.random_amount(40)), self.random_tax_rate());
        QuoteItem { quantity, list_price, unit_price, weight_grams: grams, tax_rate: tax }
    }

    fn random_shipping_charge(&mut self) -> Option<ShippingCharge> {
        self.optional(|rng| ShippingCharge {
            price: rng.random_amount(50),
            price_per_kg: rng.optional(|rng| rng.random_amount(30)),
            free_shipping_threshold: rng.optional(|rng| rng.random_amount(50)),
            tax_rate: rng.random_tax_rate(),
        })
    }
}

/// Every random quote is either rejected or consistent.
#[test]
fn random_quotes_total_is_sum_of_parts() {
    let mut rng = XorShiftRng(0x5EED_CAFE);
    let mut priced_count = 0;
    for iteration in 0..50_000 {
        let items: Vec<QuoteItem> = (0..rng.next_u64() % 6).map(|_| rng.random_item()).collect();
        let shipping_charge = rng.random_shipping_charge();
        let Ok(Quote { lines, shipping_tax, totals, .. }) = calculate_quote(&items, shipping_charge.as_ref()) else {
            continue;
        };
        priced_count += 1;
        let sum_of = |part: fn(&QuoteLine) -> i64| lines.iter().map(part).sum::<i64>();
        let Totals { list_subtotal, discount, shipping, tax, tax_included, total } = totals;
        assert_eq!(list_subtotal, sum_of(|line| line.list_total), "{iteration}");
        assert_eq!(discount, sum_of(|line| line.discount), "{iteration}");
        assert_eq!(tax, sum_of(|line| line.tax) + shipping_tax, "{iteration}");
        assert_eq!(total, list_subtotal - discount + shipping + tax - tax_included, "{iteration}");
        let shipping_added =
            shipping_charge.and_then(|shipping_charge| shipping_charge.tax_rate).is_some_and(|tax| !tax.included);
        let shipping_total = shipping + if shipping_added { shipping_tax } else { 0 };
        assert_eq!(total, sum_of(|line| line.total) + shipping_total, "{iteration}");
        for (item, line) in items.iter().zip(&lines) {
            let paid = line.list_total - line.discount;
            assert_eq!(
                (line.list_total, paid),
                (item.list_price * item.quantity, item.unit_price * item.quantity),
                "{iteration}"
            );
            assert!(
                (0..=MAX_MINOR_UNITS).contains(&line.total) && (0..=paid).contains(&line.tax),
                "{iteration}: {line:?}"
            );
            let Some(EffectiveTaxRate { rate_bps, included }) = item.tax_rate else {
                assert_eq!((line.tax, line.total), (0, paid), "{iteration}");
                continue;
            };
            assert_eq!(line.total, if included { paid } else { paid + line.tax }, "{iteration}");
            // The rounding error is at most half a unit.
            let denominator = if included { 10_000 + i128::from(rate_bps) } else { 10_000 };
            let rounding_error = i128::from(line.tax) * denominator - i128::from(paid) * i128::from(rate_bps);
            assert!(rounding_error.abs() * 2 <= denominator, "{iteration}: {rounding_error}");
        }
        assert!((0..=MAX_MINOR_UNITS).contains(&total) && tax_included <= tax, "{iteration}");
    }
    assert!(priced_count > 5_000, "only {priced_count} could be priced");
}

#[test]
fn tax_excluded_total_excludes_included_tax() {
    let items = [taxed_item(1, 1_160, 1_600, true), taxed_item(1, 1_000, 1_600, false)];
    let totals = calculate_quote(&items, None).expect("a quote").totals;
    assert_eq!((totals.tax, totals.tax_included, totals.tax_excluded_total()), (320, 160, 160));
}
