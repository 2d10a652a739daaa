use super::*;

fn item(quantity: i64, list: i64, unit: i64) -> Item {
    Item { quantity, list, unit, grams: None, tax: None }
}

fn taxed(quantity: i64, unit: i64, basis_points: i32, included: bool) -> Item {
    Item { tax: Some(Rate { basis_points, included }), ..item(quantity, unit, unit) }
}

const FLAT: Way = Way { price: 350, per_kg: None, free_from: Some(5_000), tax: None };

#[test]
fn a_sale_takes_off_and_shipping_comes_on_top() {
    let quote = quote(&[item(2, 1_000, 750), item(1, 99, 99)], Some(&FLAT)).expect("a quote");
    let expected = Totals { subtotal: 2_099, discount: 500, shipping: 350, total: 1_949, ..Totals::default() };
    assert_eq!(quote.totals, expected);
    assert_eq!(quote.lines[0], Line { list_total: 2_000, discount: 500, tax: 0, total: 1_500 });
}

#[test]
fn tax_that_prices_contain_is_told_and_not_added() {
    let quote = quote(&[taxed(1, 1_160, 1_600, true)], None).expect("a quote");
    let expected = Totals { subtotal: 1_160, tax: 160, tax_included: 160, total: 1_160, ..Totals::default() };
    assert_eq!(quote.totals, expected);
}

#[test]
fn tax_that_prices_do_not_contain_is_added() {
    let way = Way { tax: Some(Rate { basis_points: 1_600, included: false }), ..FLAT };
    let quote = quote(&[taxed(1, 1_000, 1_600, false)], Some(&way)).expect("a quote");
    let expected = Totals { subtotal: 1_000, shipping: 350, tax: 216, total: 1_566, ..Totals::default() };
    assert_eq!((quote.totals, quote.shipping_tax, quote.lines[0].total), (expected, 56, 1_160));
}

#[test]
fn the_middle_goes_to_the_even_cent() {
    // 5 % of 10, 30 and 50 cents: 0.5, 1.5 and 2.5.
    let tax = |unit| quote(&[taxed(1, unit, 500, false)], None).expect("a quote").totals.tax;
    assert_eq!([tax(10), tax(30), tax(50), tax(51)], [0, 2, 2, 3]);
    // In 21 at 5 % there is exactly 1.
    assert_eq!(quote(&[taxed(1, 21, 500, true)], None).expect("a quote").totals.tax, 1);
}

#[test]
fn a_kilogram_that_is_begun_is_paid() {
    let way = Way { per_kg: Some(100), free_from: None, ..FLAT };
    let price = |grams| quote(&[Item { grams, ..item(1, 0, 0) }], Some(&way)).expect("a quote").totals.shipping;
    let prices = [None, Some(0), Some(1), Some(1_000), Some(1_001)].map(price);
    assert_eq!(prices, [350, 350, 450, 450, 550]);
}

#[test]
fn goods_of_enough_worth_travel_free() {
    let shipping = |unit| quote(&[item(1, 9_000, unit)], Some(&FLAT)).expect("a quote").totals.shipping;
    // It is what is paid that counts, not the regular price.
    assert_eq!([shipping(4_999), shipping(5_000)], [350, 0]);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_wraps() {
    for quantity in [i64::MIN, -1, 0, MOST + 1, 1 << 31, i64::MAX] {
        assert!(quote(&[item(quantity, 1, 1)], None).is_err(), "{quantity}");
    }
    for (list, unit) in [(1, 2), (-1, -1), (0, -1)] {
        assert!(quote(&[item(1, list, unit)], None).is_err(), "{list} {unit}");
    }
    assert!(quote(&[item(1, MAX_MINOR, MAX_MINOR)], None).is_ok());
    assert!(quote(&[item(2, MAX_MINOR, MAX_MINOR)], None).is_err());
    assert!(quote(&[item(MOST, i64::MAX, i64::MAX)], None).is_err());
    assert!(quote(&[item(1, MAX_MINOR, 1), item(1, 1, 1)], None).is_err());
    assert!(quote(&[taxed(1, MAX_MINOR, 1, false)], None).is_err());
    assert!(quote(&[item(1, MAX_MINOR, MAX_MINOR)], Some(&Way { free_from: None, ..FLAT })).is_err());
    let heavy = Item { grams: Some(i64::MAX), ..item(2, 1, 1) };
    assert!(quote(&[heavy], None).is_err());
    let dear = Way { per_kg: Some(MAX_MINOR), free_from: None, ..FLAT };
    assert!(quote(&[Item { grams: Some(1 << 40), ..item(1, 1, 1) }], Some(&dear)).is_err());
}

/// Numbers that are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to a number that is itself of any size up to this many bits: small and large are as likely.
    fn number(&mut self, bits: u32) -> i64 {
        let bits = u32::try_from(self.roll() % u64::from(bits + 1)).unwrap_or(0);
        i64::try_from(self.roll() & ((1_u64 << bits) - 1)).unwrap_or(0)
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.roll().is_multiple_of(3)).then(|| make(self))
    }

    fn rate(&mut self) -> Option<Rate> {
        self.maybe(|dice| Rate {
            basis_points: i32::try_from(dice.roll() % 10_001).unwrap_or(0),
            included: dice.roll().is_multiple_of(2),
        })
    }

    fn item(&mut self) -> Item {
        let list = self.number(52);
        let unit = if self.roll().is_multiple_of(2) { list } else { list - self.number(52).min(list) };
        let (quantity, grams, tax) = (self.number(14), self.maybe(|dice| dice.number(40)), self.rate());
        Item { quantity, list, unit, grams, tax }
    }

    fn way(&mut self) -> Option<Way> {
        self.maybe(|dice| Way {
            price: dice.number(50),
            per_kg: dice.maybe(|dice| dice.number(30)),
            free_from: dice.maybe(|dice| dice.number(50)),
            tax: dice.rate(),
        })
    }
}

/// Whatever is asked, it is refused or every part adds up.
#[test]
fn whatever_is_asked_the_total_is_the_sum_of_its_parts() {
    let mut dice = Dice(0x5EED_CAFE);
    let mut priced = 0;
    for round in 0..50_000 {
        let items: Vec<Item> = (0..dice.roll() % 6).map(|_| dice.item()).collect();
        let way = dice.way();
        let Ok(Quote { lines, shipping_tax, totals, .. }) = quote(&items, way.as_ref()) else { continue };
        priced += 1;
        let of = |part: fn(&Line) -> i64| lines.iter().map(part).sum::<i64>();
        let Totals { subtotal, discount, shipping, tax, tax_included, total } = totals;
        assert_eq!(subtotal, of(|line| line.list_total), "{round}");
        assert_eq!(discount, of(|line| line.discount), "{round}");
        assert_eq!(tax, of(|line| line.tax) + shipping_tax, "{round}");
        assert_eq!(total, subtotal - discount + shipping + tax - tax_included, "{round}");
        let shipping_added = way.and_then(|way| way.tax).is_some_and(|tax| !tax.included);
        let shipping_total = shipping + if shipping_added { shipping_tax } else { 0 };
        assert_eq!(total, of(|line| line.total) + shipping_total, "{round}");
        for (item, line) in items.iter().zip(&lines) {
            let paid = line.list_total - line.discount;
            assert_eq!((line.list_total, paid), (item.list * item.quantity, item.unit * item.quantity), "{round}");
            assert!((0..=MAX_MINOR).contains(&line.total) && (0..=paid).contains(&line.tax), "{round}: {line:?}");
            let Some(Rate { basis_points, included }) = item.tax else {
                assert_eq!((line.tax, line.total), (0, paid), "{round}");
                continue;
            };
            assert_eq!(line.total, if included { paid } else { paid + line.tax }, "{round}");
            // No rounding is off by more than half a unit.
            let whole = if included { 10_000 + i128::from(basis_points) } else { 10_000 };
            let off = i128::from(line.tax) * whole - i128::from(paid) * i128::from(basis_points);
            assert!(off.abs() * 2 <= whole, "{round}: {off}");
        }
        assert!((0..=MAX_MINOR).contains(&total) && tax_included <= tax, "{round}");
    }
    assert!(priced > 5_000, "only {priced} could be priced");
}

#[test]
fn tax_added_is_the_part_that_prices_do_not_include() {
    let items = [taxed(1, 1_160, 1_600, true), taxed(1, 1_000, 1_600, false)];
    let totals = quote(&items, None).expect("a quote").totals;
    assert_eq!((totals.tax, totals.tax_included, totals.tax_added()), (320, 160, 160));
}
