//! SKUs of variants: given, generated from the product's slug, or numbered if used twice.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::ConnectionTrait;

use super::{
    entity::variant,
    product_input::{ProductInput, VariantInput},
};
use crate::{
    base::{Result, text},
    infra::Tx,
};

/// Maximum length of a given SKU in characters; a substitute may be longer.
pub(super) const MAX_SKU_LENGTH: usize = 180;
/// Maximum lengths of the slug and of the options in a generated SKU, in characters.
const GENERATED_SKU_PART_LENGTHS: (usize, usize) = (90, 80);
/// Highest number appended to a SKU that is used twice.
const MAX_SKU_SUFFIX: u32 = 9;
/// Separator of the values in an option key; no option value contains it.
const OPTION_KEY_SEPARATOR: &str = "\u{1f}";

/// Returns the normalized option values of a variant as one key, equal for different ways of writing them.
pub(super) fn build_option_key(input: &VariantInput) -> String {
    input.options.iter().map(|value| text::normalize_text(value)).collect::<Vec<_>>().join(OPTION_KEY_SEPARATOR)
}

/// The SKU that a variant requests, and the substitutes if another variant has it.
#[derive(Debug)]
pub(super) struct SkuRequest {
    pub(super) sku: String,
    /// The substitute if all numbers are taken: stable for a variant, and unique to it.
    fallback: String,
}

impl SkuRequest {
    /// Returns the given SKU, or one generated from the product's slug and the options.
    pub(super) fn from_input(product_input: &ProductInput, variant_input: &VariantInput) -> Result<Self, String> {
        let provided = variant_input.sku.as_deref().map(str::trim).filter(|sku| !sku.is_empty());
        let sku = provided.map_or_else(|| generate_sku(product_input, variant_input), str::to_owned);
        if sku.chars().count() > MAX_SKU_LENGTH {
            return Err(format!("a sku of `{}` is longer than {MAX_SKU_LENGTH} characters", product_input.slug));
        }
        let fallback =
            format!("{sku}-{:016x}", compute_fingerprint(&[&product_input.slug, &build_option_key(variant_input)]));
        Ok(Self { sku, fallback })
    }

    fn alternatives(&self) -> impl Iterator<Item = String> {
        (2..=MAX_SKU_SUFFIX).map(|number| format!("{}-{number}", self.sku)).chain([self.fallback.clone()])
    }
}

fn generate_sku(product_input: &ProductInput, variant_input: &VariantInput) -> String {
    let (slug, options) = GENERATED_SKU_PART_LENGTHS;
    let slug: String = product_input.slug.chars().take(slug).collect();
    let options = text::slugify(&variant_input.options.join(" "), options);
    if options.is_empty() { slug } else { format!("{slug}-{options}") }
}

/// Returns the FNV-1a hash, which does not change between releases.
fn compute_fingerprint(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0x1f]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Allocator of SKUs: those taken in the database, and those claimed by earlier inputs.
#[derive(Debug, Default)]
pub(super) struct SkuAllocator {
    variant_ids_by_sku: HashMap<String, i64>,
    claimed_skus: HashSet<String>,
}

impl SkuAllocator {
    /// Loads the owners of the requested SKUs and, where one is contested, of its substitutes. Statements: 2 at most.
    pub(super) async fn load(tx: &Tx, inputs: &[ProductInput]) -> Result<Self> {
        let build_requests = || {
            inputs.iter().flat_map(|input| {
                input.variants.iter().map(move |variant_input| SkuRequest::from_input(input, variant_input))
            })
        };
        let requests: Vec<SkuRequest> = build_requests().filter_map(std::result::Result::ok).collect();
        let mut allocator = Self::default();
        let mut duplicates = HashSet::new();
        let mut unique = BTreeSet::new();
        for request in &requests {
            if !unique.insert(request.sku.as_str()) {
                duplicates.insert(request.sku.as_str());
            }
        }
        allocator.load_owners(tx, &unique).await?;
        let is_contested = |request: &&SkuRequest| {
            duplicates.contains(request.sku.as_str()) || allocator.variant_ids_by_sku.contains_key(&request.sku)
        };
        let mut alternatives: BTreeSet<String> =
            requests.iter().filter(is_contested).flat_map(SkuRequest::alternatives).collect();
        // A requested SKU may equal the substitute of another.
        let colliding: Vec<_> = requests.iter().filter(|request| alternatives.contains(&request.sku)).collect();
        alternatives.extend(colliding.into_iter().flat_map(SkuRequest::alternatives));
        if !alternatives.is_empty() {
            allocator.load_owners(tx, &alternatives.iter().map(String::as_str).collect()).await?;
        }
        Ok(allocator)
    }

    async fn load_owners(&mut self, tx: &Tx, skus: &BTreeSet<&str>) -> Result<()> {
        let mut sql = tx.sql();
        sql.push("SELECT sku, id FROM variant WHERE ").eq_any_text("sku", skus.iter().copied());
        for row in tx.query_all_raw(sql.into_statement()).await? {
            self.variant_ids_by_sku.insert(row.try_get("", "sku")?, row.try_get("", "id")?);
        }
        Ok(())
    }

    /// Allocates a SKU for a variant. A substitute assigned earlier is kept while it is needed. `None` if all are
    /// taken.
    pub(super) fn allocate(&mut self, request: &SkuRequest, row: &variant::Model) -> Option<String> {
        let current = request.alternatives().find(|sku| *sku == row.sku);
        let mut candidates = std::iter::once(request.sku.clone()).chain(current).chain(request.alternatives());
        let is_free = |sku: &String| {
            self.variant_ids_by_sku.get(sku).is_none_or(|owner_id| *owner_id == row.id)
                && !self.claimed_skus.contains(sku)
        };
        let allocated = candidates.find(is_free)?;
        self.claimed_skus.insert(allocated.clone());
        Some(allocated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_sku_is_stable_and_within_length_limit() {
        let product_input = ProductInput { slug: "x".repeat(255), ..ProductInput::default() };
        let variant_input = VariantInput { options: vec!["Größe M".into(), "Rot".into()], ..VariantInput::default() };
        let (first, second) = (
            SkuRequest::from_input(&product_input, &variant_input).expect("valid sku"),
            SkuRequest::from_input(&product_input, &variant_input).expect("valid sku"),
        );
        assert_eq!(first.sku, format!("{}-große-m-rot", "x".repeat(90)));
        assert_eq!((&first.sku, &first.fallback), (&second.sku, &second.fallback));
        assert!(first.alternatives().all(|sku| sku.chars().count() <= 200));
        assert_eq!(compute_fingerprint(&["a"]), compute_fingerprint(&["a"]));
        assert_ne!(compute_fingerprint(&["a", "b"]), compute_fingerprint(&["ab"]));
    }
}
