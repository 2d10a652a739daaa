//! SKUs of imported variants: given, generated from the product's slug, or numbered if used twice. No I/O.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    input::VariantPatch,
    validate::{MAX_SKU_LENGTH, build_option_key},
};
use crate::{base::text, catalog::entity::variant};

/// Maximum lengths of the slug and of the options in a generated SKU, in characters.
const MAX_SKU_SLUG_LENGTH: usize = 90;
const MAX_SKU_OPTIONS_LENGTH: usize = 80;
/// Highest number appended to a SKU that is used twice.
const MAX_SKU_SUFFIX: u32 = 9;

/// The variant that has a SKU.
#[derive(Debug, Clone, Copy)]
pub(super) struct SkuOwner {
    /// The variant.
    pub(super) variant_id: i64,
    /// Its product.
    pub(super) product_id: i64,
    /// Whether the variant is deleted, by itself or with its product.
    pub(super) is_deleted: bool,
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
    pub(super) fn from_patch(slug: &str, patch: &VariantPatch) -> Result<Self, String> {
        let given = find_given_sku(patch);
        let sku = given.map_or_else(|| generate_sku(slug, patch.option_values()), str::to_owned);
        if sku.chars().count() > MAX_SKU_LENGTH {
            return Err(format!("a sku of `{slug}` is longer than {MAX_SKU_LENGTH} characters"));
        }
        let fingerprint = compute_fingerprint(&[slug, &build_option_key(patch.option_values())]);
        let fallback = format!("{sku}-{fingerprint:016x}");
        Ok(Self { sku, fallback })
    }

    fn alternatives(&self) -> impl Iterator<Item = String> {
        (2..=MAX_SKU_SUFFIX).map(|number| format!("{}-{number}", self.sku)).chain([self.fallback.clone()])
    }
}

/// Returns the trimmed SKU of a patch; `None` if it is missing or blank.
pub(super) fn find_given_sku(patch: &VariantPatch) -> Option<&str> {
    patch.sku.value().map(|sku| sku.trim()).filter(|sku| !sku.is_empty())
}

fn generate_sku(slug: &str, option_values: &[String]) -> String {
    let slug: String = slug.chars().take(MAX_SKU_SLUG_LENGTH).collect();
    let options = text::slugify(&option_values.join(" "), MAX_SKU_OPTIONS_LENGTH);
    if options.is_empty() { slug } else { format!("{slug}-{options}") }
}

/// Returns the FNV-1a hash, which does not change between releases.
fn compute_fingerprint(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0x1f]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns the substitutes of the SKUs that are requested twice or have an owner: their owners must be known before
/// SKUs are allocated.
pub(super) fn collect_alternatives(requests: &[SkuRequest], owners: &HashMap<String, SkuOwner>) -> BTreeSet<String> {
    let mut requested = HashSet::new();
    let repeated: HashSet<&str> =
        requests.iter().map(|request| request.sku.as_str()).filter(|sku| !requested.insert(*sku)).collect();
    let is_contested =
        |request: &&SkuRequest| repeated.contains(request.sku.as_str()) || owners.contains_key(&request.sku);
    let mut alternatives: BTreeSet<String> =
        requests.iter().filter(is_contested).flat_map(SkuRequest::alternatives).collect();
    // A requested SKU may equal the substitute of another.
    let colliding: Vec<_> = requests.iter().filter(|request| alternatives.contains(&request.sku)).collect();
    alternatives.extend(colliding.into_iter().flat_map(SkuRequest::alternatives));
    alternatives
}

/// The owners of SKUs in the database, and the SKUs claimed by earlier products of the batch.
#[derive(Debug, Default)]
pub(super) struct SkuAllocator {
    /// Owners by SKU.
    pub(super) owners: HashMap<String, SkuOwner>,
    claimed: HashSet<String>,
}

impl SkuAllocator {
    /// Returns whether another row has or claims a SKU.
    pub(super) fn is_taken(&self, sku: &str, variant_id: i64) -> bool {
        self.owners.get(sku).is_some_and(|owner| owner.variant_id != variant_id) || self.claimed.contains(sku)
    }

    /// Claims SKUs for rows that will be written.
    pub(super) fn claim(&mut self, skus: impl IntoIterator<Item = String>) {
        self.claimed.extend(skus);
    }

    /// Allocates a SKU for a variant. A substitute assigned earlier is kept while it is needed. `None` if all are
    /// taken.
    pub(super) fn allocate(&mut self, request: &SkuRequest, row: &variant::Model) -> Option<String> {
        let current = request.alternatives().find(|sku| *sku == row.sku);
        let mut candidates = std::iter::once(request.sku.clone()).chain(current).chain(request.alternatives());
        let allocated = candidates.find(|sku| !self.is_taken(sku, row.id))?;
        self.claimed.insert(allocated.clone());
        Some(allocated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Patch;

    #[test]
    fn generated_sku_is_stable_and_within_length_limit() {
        let slug = "x".repeat(255);
        let patch =
            VariantPatch { options: Patch::Set(vec!["Größe M".into(), "Rot".into()]), ..VariantPatch::default() };
        let (first, second) = (
            SkuRequest::from_patch(&slug, &patch).expect("valid sku"),
            SkuRequest::from_patch(&slug, &patch).expect("valid sku"),
        );
        assert_eq!(first.sku, format!("{}-große-m-rot", "x".repeat(90)));
        assert_eq!((&first.sku, &first.fallback), (&second.sku, &second.fallback));
        assert!(first.alternatives().all(|sku| sku.chars().count() <= 200));
        assert_eq!(compute_fingerprint(&["a"]), compute_fingerprint(&["a"]));
        assert_ne!(compute_fingerprint(&["a", "b"]), compute_fingerprint(&["ab"]));
    }
}
