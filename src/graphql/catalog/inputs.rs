//! Inputs of the product and variant mutations. Omitted fields are unchanged; null clears nullable fields.

use async_graphql::{ID, InputObject, MaybeUndefined};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::super::{input::reject_null, product::ProductStatus};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    catalog::{
        ExpectedVersion, ProductImageInput,
        write::{OptionInput, ProductPatch, ProductSelector, VariantPatch, VariantSelector},
    },
};

/// Fields shared by the product inputs.
#[derive(Debug, Default, InputObject)]
pub struct ProductFields {
    /// URL slug of lowercase letters, digits and hyphens, unique across products. Defaults to one derived from the
    /// name.
    slug: MaybeUndefined<String>,
    /// Description as HTML, sanitized when stored; null clears it.
    description: MaybeUndefined<String>,
    /// Manufacturer or brand; null clears it.
    vendor: MaybeUndefined<String>,
    /// Category of the product. A new product without one is uncategorized.
    category_id: MaybeUndefined<ID>,
    /// All tags, at most 100; null clears them.
    tags: MaybeUndefined<Vec<String>>,
    /// Publication status; a new product defaults to draft.
    status: MaybeUndefined<ProductStatus>,
    /// Whether the product is featured in the storefront.
    featured: MaybeUndefined<bool>,
    /// All images in order, at most 100; null clears them.
    images: MaybeUndefined<Vec<ImageInput>>,
    /// All options in order, at most 10; null removes them.
    options: MaybeUndefined<Vec<ProductOptionInput>>,
}

/// Image of a product.
#[derive(Debug, InputObject)]
pub struct ImageInput {
    /// URL of the image.
    url: String,
    /// Alternative text for screen readers.
    alt: Option<String>,
}

/// Option of a product.
#[derive(Debug, InputObject)]
pub struct ProductOptionInput {
    /// Name of the option: `Size`, `Color`.
    name: String,
    /// Previous name, to rename an option; its values are kept.
    was: Option<String>,
    /// Value that existing variants get when the option is added to a product with variants.
    value: Option<String>,
}

/// Fields shared by the variant inputs. In a product input they apply to its only variant or the one with the SKU.
#[derive(Debug, Default, InputObject)]
pub struct VariantFields {
    /// SKU, unique across variants. Required for a new variant.
    sku: MaybeUndefined<String>,
    /// Regular price. Required for a new variant.
    price: MaybeUndefined<Decimal>,
    /// Sale price, below the regular price; null ends the sale.
    sale_price: MaybeUndefined<Decimal>,
    /// Start of the sale; null for immediately.
    sale_starts_at: MaybeUndefined<DateTime<Utc>>,
    /// End of the sale; null for no end.
    sale_ends_at: MaybeUndefined<DateTime<Utc>>,
    /// On-hand quantity including reserved units; cannot be less than the reserved units. Null disables stock tracking,
    /// so that the variant can always be bought; the default for a new variant.
    stock_quantity: MaybeUndefined<i64>,
    /// Expected on-hand quantity, used with `stockQuantity`; a mismatch rejects the whole request with
    /// `VERSION_CONFLICT`. Without it the quantity is overwritten.
    expected_stock_quantity: Option<i64>,
    /// Weight in grams; null for unknown.
    weight_grams: MaybeUndefined<i64>,
    /// EAN, UPC or ISBN; null for none.
    barcode: MaybeUndefined<String>,
}

/// Fields of a new or existing variant.
#[derive(Debug, Default, InputObject)]
pub struct ProductVariantInput {
    /// Fields shared by the variant inputs.
    #[graphql(flatten)]
    fields: VariantFields,
    /// One value for each option of the product, in the order of the options. Required for a new variant of a product
    /// with options.
    options: MaybeUndefined<Vec<String>>,
    /// URL of the variant's image; null for none.
    image: MaybeUndefined<String>,
}

/// Input of `productCreate`.
#[derive(Debug, InputObject)]
pub struct ProductCreateInput {
    /// Product name: 1 to 500 characters.
    name: String,
    /// Fields shared by the product inputs.
    #[graphql(flatten)]
    fields: ProductFields,
    /// Fields of the only variant of a product without options.
    #[graphql(flatten)]
    default_variant: VariantFields,
    /// Variants of a product with options, at most 100.
    variants: Option<Vec<ProductVariantInput>>,
}

/// Input of `productUpdate`. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct ProductUpdateInput {
    /// Product name: 1 to 500 characters.
    name: MaybeUndefined<String>,
    /// Fields shared by the product inputs.
    #[graphql(flatten)]
    fields: ProductFields,
    /// Fields of the only variant or the one with the SKU.
    #[graphql(flatten)]
    default_variant: VariantFields,
}

/// Row of `productsUpsert`: creates a product or updates an existing one. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct ProductUpsertInput {
    /// ID of the product. Without an ID it is matched by slug, then by SKU.
    pub(super) id: Option<ID>,
    /// Expected current version (optimistic locking); a mismatch rejects the row with `VERSION_CONFLICT`.
    pub(super) expected_version: Option<i32>,
    /// Product name: 1 to 500 characters. Required for a new product.
    pub(super) name: MaybeUndefined<String>,
    /// Fields shared by the product inputs.
    #[graphql(flatten)]
    pub(super) fields: ProductFields,
    /// Fields of the only variant or the one with the SKU.
    #[graphql(flatten)]
    pub(super) default_variant: VariantFields,
    /// Variants to create or update, matched by SKU or, without one, by options; at most 100. Other variants are
    /// unchanged.
    pub(super) variants: Option<Vec<ProductVariantInput>>,
}

impl ProductFields {
    /// Converts the fields into a patch without name, selector and variants.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid or a non-nullable field is null.
    pub(super) fn into_product_patch(self, path: &str, is_new: bool) -> Result<ProductPatch> {
        let Self { slug, description, vendor, category_id, tags, status, featured, images, options } = self;
        let category_path = format!("{path}.categoryId");
        let category_id = reject_null(category_id, is_new, &category_path)?;
        let category =
            category_id.map(|id| GlobalId::decode_as(&id, NodeType::Category, &category_path)).transpose()?;
        let to_image = |ImageInput { url, alt }| ProductImageInput { url, alt };
        let to_option =
            |ProductOptionInput { name, was, value }| OptionInput { name, previous_name: was, default_value: value };
        Ok(ProductPatch {
            path: path.to_owned(),
            slug: reject_null(slug, is_new, &format!("{path}.slug"))?,
            description: null_to_default(description),
            vendor: null_to_default(vendor),
            category_id: category,
            tags: null_to_default(tags),
            status: reject_null(status, is_new, &format!("{path}.status"))?.map(Into::into),
            featured: reject_null(featured, is_new, &format!("{path}.featured"))?,
            images: null_to_default(images).map(|images| images.into_iter().map(to_image).collect()),
            options: null_to_default(options).map(|options| options.into_iter().map(to_option).collect()),
            ..ProductPatch::default()
        })
    }

    /// Returns the slug of the input.
    pub(super) fn slug(&self) -> Option<&String> {
        self.slug.value()
    }
}

impl VariantFields {
    fn into_variant_patch(self, path: String, selector: VariantSelector) -> Result<VariantPatch> {
        let is_new = matches!(selector, VariantSelector::New);
        let Self {
            sku,
            price,
            sale_price,
            sale_starts_at,
            sale_ends_at,
            stock_quantity,
            expected_stock_quantity,
            weight_grams,
            barcode,
        } = self;
        Ok(VariantPatch {
            selector,
            sku: reject_null(sku, is_new, &format!("{path}.sku"))?,
            price: reject_null(price, is_new, &format!("{path}.price"))?,
            path,
            sale_price: sale_price.into(),
            sale_starts_at: sale_starts_at.into(),
            sale_ends_at: sale_ends_at.into(),
            on_hand: stock_quantity.into(),
            expected_on_hand: expected_stock_quantity,
            weight_grams: weight_grams.into(),
            barcode: barcode.into(),
            ..VariantPatch::default()
        })
    }

    /// Returns whether any field is set.
    fn has_values(&self) -> bool {
        let Self {
            sku,
            price,
            sale_price,
            sale_starts_at,
            sale_ends_at,
            stock_quantity,
            expected_stock_quantity,
            weight_grams,
            barcode,
        } = self;
        let has_sale_dates = !sale_starts_at.is_undefined() || !sale_ends_at.is_undefined();
        let has_counts =
            !stock_quantity.is_undefined() || expected_stock_quantity.is_some() || !weight_grams.is_undefined();
        let has_sku_or_price = !sku.is_undefined() || !price.is_undefined();
        has_sku_or_price || !sale_price.is_undefined() || has_sale_dates || has_counts || !barcode.is_undefined()
    }

    /// Returns the SKU of the input.
    pub(super) fn sku(&self) -> Option<&String> {
        self.sku.value()
    }
}

impl ProductVariantInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if a non-nullable field is null.
    pub(super) fn into_variant_patch(self, path: String, selector: VariantSelector) -> Result<VariantPatch> {
        let Self { fields, options, image: to_image } = self;
        let options = reject_null(options, matches!(selector, VariantSelector::New), &format!("{path}.options"))?;
        Ok(VariantPatch { options, image: to_image.into(), ..fields.into_variant_patch(path, selector)? })
    }
}

impl ProductCreateInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid.
    pub(super) fn into_product_patch(self) -> Result<ProductPatch> {
        let Self { name, fields, default_variant, variants } = self;
        let patch =
            ProductPatch { name: Some(name), action: "product.create", ..fields.into_product_patch("input", true)? };
        add_variants(patch, default_variant, variants, VariantSelector::New)
    }
}

impl ProductUpdateInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid.
    pub(super) fn into_product_patch(
        self,
        selector: ProductSelector,
        expected_version: Option<i32>,
    ) -> Result<ProductPatch> {
        let Self { name, fields, default_variant } = self;
        let expected_version = expected_version.map(|version| ExpectedVersion(version, "expectedVersion".into()));
        let name = reject_null(name, false, "input.name")?;
        let patch = ProductPatch {
            name,
            selector,
            expected_version,
            action: "product.update",
            ..fields.into_product_patch("input", false)?
        };
        add_variants(patch, default_variant, None, VariantSelector::New)
    }
}

/// Adds the variants to the patch: the only one, and those of the list.
///
/// # Errors
/// Returns a user error if a non-nullable field is null.
pub(super) fn add_variants(
    mut patch: ProductPatch,
    default_variant: VariantFields,
    variants: Option<Vec<ProductVariantInput>>,
    selector: VariantSelector,
) -> Result<ProductPatch> {
    let variants = variants.unwrap_or_default();
    // In a row with a list of variants, a SKU without other fields only selects the product.
    let targets_existing_variant =
        !variants.is_empty() && matches!(&patch.selector, ProductSelector::BySlugOrSku(None, Some(_)));
    if default_variant.has_values() && !targets_existing_variant {
        let default_selector =
            if matches!(patch.selector, ProductSelector::New) { VariantSelector::New } else { VariantSelector::Single };
        patch.variants.push(VariantPatch {
            selector: VariantSelector::Single,
            ..default_variant.into_variant_patch(patch.path.clone(), default_selector)?
        });
    }
    let path = patch.path.clone();
    let variant = |(index, variant): (usize, ProductVariantInput)| {
        variant.into_variant_patch(format!("{path}.variants.{index}"), selector)
    };
    for variant in variants.into_iter().enumerate().map(variant) {
        patch.variants.push(variant?);
    }
    Ok(patch)
}

/// Converts null to the empty list or text.
fn null_to_default<T: Default>(input: MaybeUndefined<T>) -> Option<T> {
    match input {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(T::default()),
        MaybeUndefined::Value(value) => Some(value),
    }
}
