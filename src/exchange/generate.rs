//! A made-up catalog of any size: the same number always gives the same category or product, in any order.
//!
//! Nothing is kept but the shape of the category tree, so a million products can be made as they are written.

mod dice;
mod item;
mod name;
mod prose;
mod themes;
mod tree;
mod words;

use crate::catalog::{ProductDraft, Status};

use dice::Dice;
use item::Item;
use name::{capital, coin, count, count_of, join, list, slug};
use prose::Subject;
use tree::{Node, Theme, Tree};

// Each kind of thing has chances of its own.
const PRODUCT: u64 = 0x9d0d_0c75;
const MAKER: u64 = 0x4a2e_7b01;

/// A catalog of so many products in so many categories.
#[derive(Debug, Clone)]
pub struct Generator {
    products: u64,
    decimals: u32,
    themes: Vec<Theme>,
    tree: Tree,
    vendors: Vec<String>,
    tags: Vec<&'static str>,
    places: Vec<&'static str>,
    syllables: Vec<&'static str>,
}

impl Generator {
    /// A catalog in a currency with this many decimals. It has at least one category.
    #[must_use]
    pub fn new(products: u64, categories: u64, decimals: u32) -> Self {
        let themes = Theme::all();
        let tree = Tree::new(&themes, usize::try_from(categories).unwrap_or(usize::MAX));
        let syllables = list(words::SYLLABLES);
        let vendors = vendors(products, &syllables);
        let (tags, places) = (list(words::TAGS), list(words::PLACES));
        Self { products, decimals, themes, tree, vendors, tags, places, syllables }
    }

    /// The names from the root down to the `n`-th category, counted from 0. A parent's number is below its
    /// children's. Empty when there is no such category.
    #[must_use]
    pub fn category(&self, n: u64) -> Vec<String> {
        usize::try_from(n).map(|n| self.path(n)).unwrap_or_default()
    }

    /// The `n`-th product, counted from 0.
    #[must_use]
    pub fn product(&self, n: u64) -> ProductDraft {
        let mut dice = Dice::new(PRODUCT, n);
        let place = self.tree.choose(&mut dice);
        let item = self.item(&mut dice, n, place);
        let vendor = &self.vendors[dice.rank(self.vendors.len())];
        ProductDraft {
            line: 0,
            slug: slug(&[item.kind, item.noun, &item.model], n),
            name: Some(item.name(&mut dice)),
            description_html: Some(self.description(&mut dice, &item, vendor)),
            vendor: Some(vendor.clone()),
            category: Some(self.path(place)),
            tags: Some(self.tags(&mut dice)),
            status: Some(match dice.below(100) {
                0..96 => Status::Active,
                96..99 => Status::Draft,
                _ => Status::Archived,
            }),
            featured: Some(dice.percent(1)),
            images: Vec::new(),
            options: item.options(),
            variants: item.variants(&mut dice, self.decimals),
            after_refused: false,
        }
    }

    fn path(&self, n: usize) -> Vec<String> {
        // Products have the short words; a category's line has a long one.
        let long = count(&self.syllables).pow(3);
        self.tree.path(&self.themes, n, |line| capital(&coin(&self.syllables, long + count_of(line))))
    }

    /// Decide what the product is; everything else follows from this.
    fn item(&self, dice: &mut Dice, n: u64, place: usize) -> Item<'_> {
        let node = self.tree.node(place).copied().unwrap_or(Node::ROOT);
        let theme = &self.themes[node.theme];
        let (any_noun, any_kind) = (dice.index(theme.nouns.len()), dice.index(theme.kinds.len()));
        let noun = if node.depth > 1 { node.noun } else { any_noun };
        let kind = if node.depth > 2 { node.kind } else { any_kind };
        Item {
            n,
            theme,
            noun: theme.nouns[noun].0,
            kind: theme.kinds[kind],
            // A word is shared by about four products, however many there are.
            model: capital(&coin(&self.syllables, dice.below(self.products / 4 + 40))),
            material: dice.index(theme.materials.len()),
            shape: item::shape(dice),
        }
    }

    fn description(&self, dice: &mut Dice, item: &Item, vendor: &str) -> String {
        let theme = item.theme;
        let subject = Subject {
            model: &item.model,
            item: &join(item.kind, item.noun),
            vendor,
            place: dice.pick(&self.places),
            purpose: theme.uses[dice.index(theme.uses.len())].0,
            made: theme.source.made,
            material: &item.materials().join(" or "),
            lasts: theme.source.lasts,
        };
        prose::describe(dice, &subject)
    }

    fn tags(&self, dice: &mut Dice) -> Vec<String> {
        let all = self.tags.len();
        let first = dice.rank(all);
        let (many, stride) = (1 + dice.index(4), 1 + dice.index(all - 1));
        (0..many).map(|tag| self.tags[(first + tag * stride) % all].to_owned()).collect()
    }
}

/// The makers of a shop of this size, the best known first.
fn vendors(products: u64, syllables: &[&str]) -> Vec<String> {
    let trades = list(words::TRADES);
    let known = list(words::VENDORS).into_iter().map(str::to_owned);
    // Products take their words from the beginning, makers from the end.
    let coined = (1..).map(|n| {
        let word = coin(syllables, count(syllables).pow(3) - n);
        join(&capital(&word), Dice::new(MAKER, n).pick(&trades))
    });
    let many = usize::try_from(20 + products.isqrt()).unwrap_or(usize::MAX);
    known.chain(coined).take(many).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn the_same_number_gives_the_same_product_in_any_order() {
        let (one, other) = (Generator::new(5_000, 200, 2), Generator::new(5_000, 200, 2));
        let forwards: Vec<_> = (0..500).map(|n| one.product(n)).collect();
        let mut backwards: Vec<_> = (0..500).rev().map(|n| other.product(n)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn slugs_and_skus_are_unique_and_plain() {
        let shop = Generator::new(20_000, 500, 2);
        let (mut slugs, mut skus) = (HashSet::new(), HashSet::new());
        for product in (0..20_000).map(|n| shop.product(n)) {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(product.slug.chars().all(plain), "{}", product.slug);
            assert!(slugs.insert(product.slug));
            for variant in product.variants {
                assert!(skus.insert(variant.sku.unwrap_or_default()));
            }
        }
    }

    #[test]
    fn a_tree_of_any_size_has_parents_first_and_no_twins() {
        for size in [1, 2, 10, 100, 1_000, 20_000] {
            let shop = Generator::new(10, size, 2);
            let mut seen = HashSet::new();
            let mut deepest = 0;
            for path in (0..size).map(|n| shop.category(n)) {
                let parents = &path[..path.len() - 1];
                assert!(parents.is_empty() || seen.contains(parents), "{path:?} came before its parent");
                deepest = deepest.max(path.len());
                assert!(seen.insert(path.clone()), "{path:?} came twice");
            }
            assert!(deepest <= 5 && (size < 10 || deepest >= 3), "{size} categories are {deepest} deep");
            assert!(shop.category(size).is_empty());
        }
    }

    #[test]
    fn a_thousand_categories_hang_below_about_ten_roots() {
        let shop = Generator::new(10, 1_000, 2);
        let roots = (0..1_000).filter(|&n| shop.category(n).len() == 1).count();
        assert!((8..=14).contains(&roots), "{roots}");
    }

    #[test]
    fn every_product_is_whole() {
        let shop = Generator::new(20_000, 1_000, 2);
        let paths: HashSet<_> = (0..1_000).map(|n| shop.category(n)).collect();
        for product in (0..20_000).map(|n| shop.product(n)) {
            assert!(paths.contains(&product.category.clone().unwrap_or_default()));
            let html = product.description_html.clone().unwrap_or_default();
            assert!((150..=700).contains(&html.len()), "{} bytes: {html}", html.len());
            assert!(!html.contains(['{', '}']), "{html}");
            let tags = product.tags.clone().unwrap_or_default();
            assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len(), "{tags:?}");
            let chosen: HashSet<_> = product.variants.iter().map(|variant| &variant.options).collect();
            assert_eq!(chosen.len(), product.variants.len(), "{product:?}");
            for variant in &product.variants {
                assert_eq!(variant.options.len(), product.options.len());
                let price = variant.price.unwrap_or_default();
                assert_eq!(price.scale(), 2);
                if let Some(Some(sale)) = variant.sale {
                    assert!(sale.price < price && sale.price > Decimal::ZERO, "{product:?}");
                    assert!(sale.starts_at <= sale.ends_at);
                }
            }
        }
    }

    #[test]
    fn the_mix_is_that_of_a_real_shop() {
        let shop = Generator::new(20_000, 1_000, 2);
        let all: Vec<_> = (0..20_000).map(|n| shop.product(n)).collect();
        let share = |wanted: &dyn Fn(&ProductDraft) -> bool| all.iter().filter(|p| wanted(p)).count() / 200;
        assert!((48..=52).contains(&share(&|p| p.variants.len() == 1)));
        assert!((24..=32).contains(&share(&|p| p.variants.len() >= 3)));
        assert!((94..=97).contains(&share(&|p| p.status == Some(Status::Active))));
        assert!((13..=17).contains(&share(&|p| matches!(p.variants[0].sale, Some(Some(_))))));
        let variants: usize = all.iter().map(|p| p.variants.len()).sum();
        assert!((48_000..=60_000).contains(&variants), "{variants}");
    }

    #[test]
    fn a_model_word_finds_a_few_products_in_a_shop_of_any_size() {
        for size in [200, 20_000, 10_000_000] {
            let shop = Generator::new(size, 100, 2);
            let words: HashSet<_> = (0..size.min(20_000)).map(|n| coin(&shop.syllables, n)).collect();
            assert_eq!(count_of(words.len()), size.min(20_000));
        }
        let shop = Generator::new(20_000, 100, 2);
        let named = |n: u64| shop.product(n).name.and_then(|name| name.rsplit(' ').nth(1).map(str::to_owned));
        let models: HashSet<_> = (0..20_000).map(named).collect();
        assert!((3_500..=5_040).contains(&models.len()), "{}", models.len());
    }

    #[test]
    fn a_currency_without_decimals_gets_none() {
        let shop = Generator::new(10, 1, 0);
        assert!((0..10).flat_map(|n| shop.product(n).variants).all(|v| v.price.is_some_and(|p| p.scale() == 0)));
    }
}
