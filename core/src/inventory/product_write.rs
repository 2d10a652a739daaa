//! Writes products together with their stock: the entry points of the catalog's write path.

use iso_currency::Currency;

use super::{
    in_stock::refresh_in_stock,
    on_hand::{ExpectedOnHand, check_on_hand, set_on_hand, set_on_hand_with_audit},
    stock_level::VariantUnits,
};
use crate::{
    base::{Error, Result, error::PublicError},
    catalog::write::{self, ProductPatch, WriteMode, WriteReport, WrittenProduct, WrittenVariant},
    infra::Tx,
};

/// What happens if a product of a batch is invalid.
#[derive(Debug, Clone, Copy)]
pub enum InvalidProductPolicy<'a> {
    /// The other products are written.
    Skip,
    /// Nothing is written; the errors of all products follow these.
    FailAll(&'a [PublicError]),
}

/// Writes one product as edited by staff, with its stock and audit records.
///
/// # Errors
/// Returns all user errors.
pub async fn write_product(tx: &Tx, currency: Currency, patch: &ProductPatch) -> Result<WrittenProduct> {
    let patches = std::slice::from_ref(patch);
    let mut products = write_products(tx, currency, patches, InvalidProductPolicy::FailAll(&[])).await?;
    let written = products.pop().and_then(Result::ok);
    written.ok_or_else(|| Error::internal("writing a product", "no result returned"))
}

/// Writes products as edited by staff, with their stock and audit records. Returns the products in the order of the
/// input, or their user errors.
///
/// # Errors
/// Returns the user errors of all products, depending on the policy, and `VersionConflict` if an expected on-hand
/// quantity differs.
pub async fn write_products(
    tx: &Tx,
    currency: Currency,
    patches: &[ProductPatch],
    policy: InvalidProductPolicy<'_>,
) -> Result<Vec<Result<WrittenProduct, Vec<PublicError>>>> {
    let report = write::write_products(tx, WriteMode::Strict, currency, patches).await?;
    if let InvalidProductPolicy::FailAll(earlier_errors) = policy {
        let errors = report.products.iter().filter_map(|product| product.as_ref().err()).flatten();
        Error::fail_if_any(earlier_errors.iter().chain(errors).cloned().collect())?;
    }
    let written =
        patches.iter().zip(&report.products).filter_map(|(patch, product)| Some((patch, product.as_ref().ok()?)));
    let variants = written.flat_map(|(patch, product)| patch.variants.iter().zip(&product.variants));
    let expected_on_hand = variants.filter_map(|(patch, variant)| {
        let path = [patch.path.as_str(), "expectedStockQuantity"];
        let path = path.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        Some(ExpectedOnHand { variant_id: variant.row.id, quantity: patch.expected_on_hand?, path })
    });
    check_on_hand(tx, &expected_on_hand.collect::<Vec<_>>()).await?;
    set_on_hand_with_audit(tx, &collect_on_hand(&report)).await?;
    let changed_variants = report.written().flat_map(|product| product.changed_variant_ids.iter().copied());
    refresh_in_stock(tx, &changed_variants.collect::<Vec<_>>()).await?;
    Ok(report.products)
}

/// Writes products of an import with their stock: invalid input is corrected or left out, with a message for its line.
pub async fn import_products(tx: &Tx, currency: Currency, patches: &[ProductPatch]) -> Result<WriteReport> {
    let report = write::write_products(tx, WriteMode::Repair, currency, patches).await?;
    set_on_hand(tx, &collect_on_hand(&report)).await?;
    Ok(report)
}

/// Returns the on-hand quantities in the input, by variant.
fn collect_on_hand(report: &WriteReport) -> Vec<VariantUnits> {
    let variants = report.written().flat_map(|product| &product.variants);
    let to_units =
        |variant: &WrittenVariant| Some(VariantUnits { variant_id: variant.row.id, quantity: variant.on_hand? });
    variants.filter_map(to_units).collect()
}
