//! Generator of a demo catalog of any size. Categories and products depend only on their index.
//!
//! Only the category tree is in memory, so a million products can be generated while they are written.

mod rng;
mod product;
mod names;
mod descriptions;
mod templates;
mod categories;
mod vocabulary;

use categories::{DemoCategory, DemoCategoryTree, Theme};
use descriptions::DescriptionSubject;
use names::{build_slug, capitalize, convert_to_u64, count_items, generate_word, join_words, split_words};
use product::ProductAttributes;
use rng::DemoRng;

// Each entity type has its own random stream.
const PRODUCT_SALT: u64 = 0x9d0d_0c75;
const VENDOR_SALT: u64 = 0x4a2e_7b01;

/// A generated product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoProduct {
    /// URL slug.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Description as HTML.
    pub description_html: String,
    /// Vendor name.
    pub vendor: String,
    /// Category names from the root of the tree down to the product's category.
    pub category_path: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Publication status.
    pub status: DemoStatus,
    /// Whether the product is featured.
    pub featured: bool,
    /// Option names in order; empty for a simple product.
    pub options: Vec<String>,
    /// The variants.
    pub variants: Vec<DemoVariant>,
}

/// Publication status of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoStatus {
    /// On sale.
    Active,
    /// In preparation.
    Draft,
    /// Withdrawn.
    Archived,
}

/// A generated variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoVariant {
    /// SKU.
    pub sku: String,
    /// One value for each of the product's options, in their order.
    pub options: Vec<String>,
    /// Regular price in whole units of the currency.
    pub price: u64,
    /// Sale price, if any.
    pub sale: Option<DemoSale>,
    /// On-hand quantity.
    pub on_hand: u64,
    /// Weight in grams.
    pub weight_grams: u64,
}

/// A sale price, optionally limited in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSale {
    /// Price during the sale, in whole units of the currency.
    pub price: u64,
    /// Start (inclusive) and end (exclusive), in seconds since 1970; `None` for an unlimited sale.
    pub period: Option<(u64, u64)>,
}

/// The generator of a catalog with a given number of products and categories.
#[derive(Debug, Clone)]
pub struct CatalogGenerator {
    products: u64,
    themes: Vec<Theme>,
    tree: DemoCategoryTree,
    vendors: Vec<String>,
    tags: Vec<&'static str>,
    places: Vec<&'static str>,
    syllables: Vec<&'static str>,
}

impl CatalogGenerator {
    /// Creates a generator. The catalog has at least one category.
    #[must_use]
    pub fn new(products: u64, categories: u64) -> Self {
        let themes = Theme::load_all();
        let tree = DemoCategoryTree::new(&themes, usize::try_from(categories).unwrap_or(usize::MAX));
        let syllables = split_words(vocabulary::SYLLABLES);
        let vendors = generate_vendors(products, &syllables);
        let (tags, places) = (split_words(vocabulary::TAGS), split_words(vocabulary::PLACES));
        Self { products, themes, tree, vendors, tags, places, syllables }
    }

    /// Returns the names from the root to the category with this index, from 0; empty if there is none. A parent has a
    /// smaller index than its children.
    #[must_use]
    pub fn category_path(&self, index: u64) -> Vec<String> {
        usize::try_from(index).map(|index| self.build_path(index)).unwrap_or_default()
    }

    /// Generates the product with this index, from 0.
    #[must_use]
    pub fn generate_product(&self, index: u64) -> DemoProduct {
        let mut rng = DemoRng::new(PRODUCT_SALT, index);
        let category_index = self.tree.choose_category(&mut rng);
        let attributes = self.choose_attributes(&mut rng, index, category_index);
        let vendor = &self.vendors[rng.next_rank(self.vendors.len())];
        // The random numbers are drawn in this order.
        DemoProduct {
            slug: build_slug(&[attributes.kind, attributes.noun, &attributes.model], index),
            name: attributes.generate_name(&mut rng),
            description_html: self.generate_description(&mut rng, &attributes, vendor),
            vendor: vendor.clone(),
            category_path: self.build_path(category_index),
            tags: self.choose_tags(&mut rng),
            status: match rng.next_below(100) {
                0..96 => DemoStatus::Active,
                96..99 => DemoStatus::Draft,
                _ => DemoStatus::Archived,
            },
            featured: rng.next_bool(1),
            options: attributes.option_names(),
            variants: attributes.generate_variants(&mut rng),
        }
    }

    fn build_path(&self, index: usize) -> Vec<String> {
        // Products use the short words, product lines of categories the long ones.
        let long_word_count = count_items(&self.syllables).pow(3);
        self.tree.build_path(&self.themes, index, |line| {
            capitalize(&generate_word(&self.syllables, long_word_count + convert_to_u64(line)))
        })
    }

    /// Chooses the attributes from which the rest of the product is generated.
    fn choose_attributes(&self, rng: &mut DemoRng, index: u64, category_index: usize) -> ProductAttributes<'_> {
        let node = self.tree.node(category_index).copied().unwrap_or(DemoCategory::ROOT);
        let theme = &self.themes[node.theme_index];
        let (random_noun, random_kind) = (rng.next_index(theme.nouns.len()), rng.next_index(theme.kinds.len()));
        let noun = if node.depth > 1 { node.noun_index } else { random_noun };
        let kind = if node.depth > 2 { node.kind_index } else { random_kind };
        ProductAttributes {
            index,
            theme,
            noun: theme.nouns[noun].0,
            kind: theme.kinds[kind],
            // About four products share a word, whatever the size of the catalog.
            model: capitalize(&generate_word(&self.syllables, rng.next_below(self.products / 4 + 40))),
            first_material: rng.next_index(theme.materials.len()),
            option_counts: product::choose_option_counts(rng),
        }
    }

    fn generate_description(&self, rng: &mut DemoRng, attributes: &ProductAttributes, vendor: &str) -> String {
        let theme = attributes.theme;
        let subject = DescriptionSubject {
            model: &attributes.model,
            item_name: &join_words(attributes.kind, attributes.noun),
            vendor,
            place: rng.choose(&self.places),
            purpose: theme.purposes[rng.next_index(theme.purposes.len())].0,
            material_phrase: theme.template.material_phrase,
            material: &attributes.materials().join(" or "),
            is_durable: theme.template.is_durable,
        };
        descriptions::generate_description(rng, &subject)
    }

    fn choose_tags(&self, rng: &mut DemoRng) -> Vec<String> {
        let total = self.tags.len();
        let first_index = rng.next_rank(total);
        let (tag_count, stride) = (1 + rng.next_index(4), 1 + rng.next_index(total - 1));
        (0..tag_count).map(|tag| self.tags[(first_index + tag * stride) % total].to_owned()).collect()
    }
}

/// Generates the vendors of a catalog of this size, the most frequent first.
fn generate_vendors(products: u64, syllables: &[&str]) -> Vec<String> {
    let trades = split_words(vocabulary::VENDOR_SUFFIXES);
    let fixed_vendors = split_words(vocabulary::FIXED_VENDORS).into_iter().map(str::to_owned);
    // Products take words from the start of the sequence, vendors from its end.
    let generated_vendors = (1..).map(|index| {
        let word = generate_word(syllables, count_items(syllables).pow(3) - index);
        join_words(&capitalize(&word), DemoRng::new(VENDOR_SALT, index).choose(&trades))
    });
    let vendor_count = usize::try_from(20 + products.isqrt()).unwrap_or(usize::MAX);
    fixed_vendors.chain(generated_vendors).take(vendor_count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_product_depends_only_on_its_index() {
        let (first, second) = (CatalogGenerator::new(5_000, 200), CatalogGenerator::new(5_000, 200));
        let forwards: Vec<_> = (0..500).map(|index| first.generate_product(index)).collect();
        let mut backwards: Vec<_> = (0..500).rev().map(|index| second.generate_product(index)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn slugs_and_skus_are_unique_ascii() {
        let generator = CatalogGenerator::new(20_000, 500);
        let (mut slugs, mut skus) = (HashSet::new(), HashSet::new());
        for product in (0..20_000).map(|index| generator.generate_product(index)) {
            let is_slug_character = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(product.slug.chars().all(is_slug_character), "{}", product.slug);
            assert!(slugs.insert(product.slug));
            for variant in product.variants {
                assert!(skus.insert(variant.sku));
            }
        }
    }

    #[test]
    fn category_tree_lists_parents_first_without_duplicates() {
        for size in [1, 2, 10, 100, 1_000, 20_000] {
            let generator = CatalogGenerator::new(10, size);
            let mut seen = HashSet::new();
            let mut deepest = 0;
            for path in (0..size).map(|index| generator.category_path(index)) {
                let parents = &path[..path.len() - 1];
                assert!(parents.is_empty() || seen.contains(parents), "{path:?} came before its parent");
                deepest = deepest.max(path.len());
                assert!(seen.insert(path.clone()), "{path:?} came twice");
            }
            assert!(deepest <= 5 && (size < 10 || deepest >= 3), "{size} categories are {deepest} deep");
            assert!(generator.category_path(size).is_empty());
        }
    }

    #[test]
    fn thousand_categories_have_about_ten_roots() {
        let generator = CatalogGenerator::new(10, 1_000);
        let roots = (0..1_000).filter(|&index| generator.category_path(index).len() == 1).count();
        assert!((8..=14).contains(&roots), "{roots}");
    }

    #[test]
    fn generated_products_are_complete() {
        let generator = CatalogGenerator::new(20_000, 1_000);
        let paths: HashSet<_> = (0..1_000).map(|index| generator.category_path(index)).collect();
        for product in (0..20_000).map(|index| generator.generate_product(index)) {
            assert!(paths.contains(&product.category_path));
            let html = &product.description_html;
            assert!((150..=700).contains(&html.len()), "{} bytes: {html}", html.len());
            assert!(!html.contains(['{', '}']), "{html}");
            let tags = &product.tags;
            assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len(), "{tags:?}");
            let chosen: HashSet<_> = product.variants.iter().map(|variant| &variant.options).collect();
            assert_eq!(chosen.len(), product.variants.len(), "{product:?}");
            for variant in &product.variants {
                assert_eq!(variant.options.len(), product.options.len());
                if let Some(sale) = variant.sale {
                    assert!(sale.price < variant.price && sale.price > 0, "{product:?}");
                    assert!(sale.period.is_none_or(|(start, end)| start < end));
                }
            }
        }
    }

    #[test]
    fn product_mix_matches_a_real_shop() {
        let generator = CatalogGenerator::new(20_000, 1_000);
        let products: Vec<_> = (0..20_000).map(|index| generator.generate_product(index)).collect();
        let share = |predicate: &dyn Fn(&DemoProduct) -> bool| products.iter().filter(|p| predicate(p)).count() / 200;
        assert!((48..=52).contains(&share(&|p| p.variants.len() == 1)));
        assert!((24..=32).contains(&share(&|p| p.variants.len() >= 3)));
        assert!((94..=97).contains(&share(&|p| p.status == DemoStatus::Active)));
        assert!((13..=17).contains(&share(&|p| p.variants[0].sale.is_some())));
        let variants: usize = products.iter().map(|p| p.variants.len()).sum();
        assert!((48_000..=60_000).contains(&variants), "{variants}");
    }

    #[test]
    fn model_word_matches_few_products_at_any_size() {
        for size in [200, 20_000, 10_000_000] {
            let generator = CatalogGenerator::new(size, 100);
            let words: HashSet<_> =
                (0..size.min(20_000)).map(|index| generate_word(&generator.syllables, index)).collect();
            assert_eq!(convert_to_u64(words.len()), size.min(20_000));
        }
        let generator = CatalogGenerator::new(20_000, 100);
        let find_model_word = |index| generator.generate_product(index).name.rsplit(' ').nth(1).map(str::to_owned);
        let models: HashSet<_> = (0..20_000).map(find_model_word).collect();
        assert!((3_500..=5_040).contains(&models.len()), "{}", models.len());
    }
}
