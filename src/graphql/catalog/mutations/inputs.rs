//! Inputs of the product and variant mutations. Omitted fields are unchanged; null clears nullable fields.

use async_graphql::{ID, InputObject, MaybeUndefined};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::{
    base::{Error, ExpectedVersion, GlobalId, Patch, Result, global_id::NodeType},
    catalog::{
        CategoryInput, ProductImage,
        write::{OptionInput, ProductPatch, ProductSelector, VariantPatch, VariantSelector},
    },
    graphql::{
        catalog::{measure::MeasureInput, product::ProductStatus, seo::SeoInput},
        input::{reject_null, to_patch},
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
    /// Title and description for search engines; null clears both.
    seo: MaybeUndefined<SeoInput>,
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

/// Image of a product or category: one of `mediaId` and `url`.
#[derive(Debug, InputObject)]
pub struct ImageInput {
    /// ID of a picture of the shop (`Media`) whose file has arrived.
    media_id: Option<ID>,
    /// URL of the image; also that of a picture of the shop.
    url: Option<String>,
    /// Alternative text for screen readers.
    alt: Option<String>,
}

impl ImageInput {
    /// Converts the input; `path` is its path for errors.
    pub(super) fn into_image(self, path: &str) -> Result<ProductImage> {
        let Self { media_id, url, alt } = self;
        if media_id.is_some() == url.is_some() {
            return Err(Error::bad_input(path, "give one of `mediaId` and `url`"));
        }
        let decode = |id: ID| GlobalId::decode_as(&id, NodeType::Media, &format!("{path}.mediaId"));
        Ok(ProductImage { url: url.unwrap_or_default(), alt, media_id: media_id.map(decode).transpose()? })
    }
}

/// Option of a product.
#[derive(Debug, InputObject)]
pub struct ProductOptionInput {
    /// Name of the option: `Size`, `Color`.
    name: String,
    /// Previous name, to rename an option; its values are kept.
    previous_name: Option<String>,
    /// Value that existing variants get when the option is added to a product with variants.
    value: Option<String>,
}

/// Fields shared by the variant inputs. In a product input they apply to its only variant or the one with the SKU.
#[derive(Debug, Default, PartialEq, InputObject)]
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
    /// Content of the package, for the price per unit of measure; null for unknown.
    content: MaybeUndefined<MeasureInput>,
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
    /// URL of the variant's image, also of a picture of the shop (`Media.image`); null for none.
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
    id: Option<ID>,
    /// Expected current version (optimistic locking); a mismatch rejects the row with `VERSION_CONFLICT`.
    expected_version: Option<i32>,
    /// Product name: 1 to 500 characters. Required for a new product.
    name: MaybeUndefined<String>,
    /// Fields shared by the product inputs.
    #[graphql(flatten)]
    fields: ProductFields,
    /// Fields of the only variant or the one with the SKU.
    #[graphql(flatten)]
    default_variant: VariantFields,
    /// Variants to create or update, matched by SKU or, without one, by options; at most 100. Other variants are
    /// unchanged.
    variants: Option<Vec<ProductVariantInput>>,
}

/// What the three product inputs have in common.
struct ProductInputParts {
    /// Path of the input.
    path: String,
    selector: ProductSelector,
    expected_version: Option<ExpectedVersion>,
    name: MaybeUndefined<String>,
    fields: ProductFields,
    default_variant: VariantFields,
    variants: Vec<ProductVariantInput>,
}

impl ProductInputParts {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid or a non-nullable field is null.
    fn into_patch(self) -> Result<ProductPatch> {
        let Self { path, selector, expected_version, name, fields, default_variant, variants } = self;
        let ProductFields { slug, description, seo, vendor, category_id, tags, status, featured, images, options } =
            fields;
        let (seo_title, seo_description) = SeoInput::into_patches(seo);
        let is_new = selector == ProductSelector::New;
        let nullability = Nullability { path: &path, is_new };
        let variant_selector = if is_new { VariantSelector::New } else { VariantSelector::BySkuOrOptions };
        // In a row with a list of variants, a SKU without other fields only selects the product.
        let sku_selects_product = !variants.is_empty() && matches!(selector, ProductSelector::Sku(_));
        let name = nullability.require("name", name)?;
        let category_path = format!("{path}.categoryId");
        let category = match nullability.require("categoryId", category_id)? {
            Patch::Set(id) => {
                Patch::Set(CategoryInput::Id(GlobalId::decode_as(&id, NodeType::Category, &category_path)?))
            }
            Patch::Unchanged | Patch::Clear => Patch::Unchanged,
        };
        let to_image = |(index, image): (usize, ImageInput)| image.into_image(&format!("{path}.images.{index}"));
        let images = match images {
            MaybeUndefined::Value(images) => {
                Patch::Set(images.into_iter().enumerate().map(to_image).collect::<Result<Vec<_>>>()?)
            }
            MaybeUndefined::Null => Patch::Clear,
            MaybeUndefined::Undefined => Patch::Unchanged,
        };
        let to_option = |ProductOptionInput { name, previous_name, value }| OptionInput {
            name,
            previous_name,
            default_value: value,
        };
        let mut patch = ProductPatch {
            expected_version,
            action: "product.update",
            name,
            slug: nullability.require("slug", slug)?,
            description: to_patch(description),
            seo_title,
            seo_description,
            vendor: to_patch(vendor),
            category,
            tags: to_patch(tags),
            status: nullability.require("status", status)?.map(Into::into),
            featured: nullability.require("featured", featured)?,
            images,
            options: to_patch(options).map(|options| options.into_iter().map(to_option).collect()),
            ..ProductPatch::default()
        };
        if default_variant != VariantFields::default() && !sku_selects_product {
            let default_variant = default_variant.into_variant_patch(&path, is_new)?;
            patch.variants.push(VariantPatch { selector: VariantSelector::Single, ..default_variant });
        }
        for (index, variant) in variants.into_iter().enumerate() {
            patch.variants.push(variant.into_variant_patch(&format!("{path}.variants.{index}"), variant_selector)?);
        }
        Ok(ProductPatch { path, selector, ..patch })
    }
}

/// How null is treated in fields that cannot be cleared.
#[derive(Debug, Clone, Copy)]
struct Nullability<'a> {
    /// Path of the input.
    path: &'a str,
    /// Whether the entity is new: null then counts as omitted.
    is_new: bool,
}

impl Nullability<'_> {
    /// Returns the patch of a field that cannot be cleared.
    ///
    /// # Errors
    /// Returns a user error if the field of an existing entity is null.
    fn require<T>(self, field: &str, input: MaybeUndefined<T>) -> Result<Patch<T>> {
        Ok(Patch::from_provided(reject_null(input, self.is_new, &format!("{}.{field}", self.path))?))
    }
}

impl VariantFields {
    /// Converts the fields into a patch of a new variant.
    fn into_variant_patch(self, path: &str, is_new: bool) -> Result<VariantPatch> {
        let nullability = Nullability { path, is_new };
        let Self {
            sku,
            price,
            sale_price,
            sale_starts_at,
            sale_ends_at,
            stock_quantity,
            expected_stock_quantity,
            weight_grams,
            content,
            barcode,
        } = self;
        let content = to_patch(content);
        Ok(VariantPatch {
            path: path.to_owned(),
            sku: nullability.require("sku", sku)?,
            price: nullability.require("price", price)?,
            sale_price: to_patch(sale_price),
            sale_starts_at: to_patch(sale_starts_at),
            sale_ends_at: to_patch(sale_ends_at),
            on_hand: to_patch(stock_quantity),
            expected_on_hand: expected_stock_quantity,
            weight_grams: to_patch(weight_grams),
            content_quantity: content.as_ref().map(|content| content.quantity),
            content_unit: content.map(|content| content.unit.into()),
            barcode: to_patch(barcode),
            ..VariantPatch::default()
        })
    }
}

impl ProductVariantInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if a non-nullable field is null.
    pub(super) fn into_variant_patch(self, path: &str, selector: VariantSelector) -> Result<VariantPatch> {
        let Self { fields, options, image } = self;
        let is_new = selector == VariantSelector::New;
        let options = Nullability { path, is_new }.require("options", options)?;
        Ok(VariantPatch { selector, options, image: to_patch(image), ..fields.into_variant_patch(path, is_new)? })
    }
}

impl ProductCreateInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid.
    pub(super) fn into_product_patch(self) -> Result<ProductPatch> {
        let Self { name, fields, default_variant, variants } = self;
        let parts = ProductInputParts {
            path: "input".into(),
            selector: ProductSelector::New,
            expected_version: None,
            name: MaybeUndefined::Value(name),
            fields,
            default_variant,
            variants: variants.unwrap_or_default(),
        };
        parts.into_patch()
    }
}

impl ProductUpdateInput {
    /// Converts the input into a patch.
    ///
    /// # Errors
    /// Returns a user error if the category's ID is invalid or a non-nullable field is null.
    pub(super) fn into_product_patch(
        self,
        selector: ProductSelector,
        expected_version: Option<i32>,
    ) -> Result<ProductPatch> {
        let Self { name, fields, default_variant } = self;
        let parts = ProductInputParts {
            path: "input".into(),
            selector,
            expected_version: expected_version
                .map(|version| ExpectedVersion { version, path: "expectedVersion".into() }),
            name,
            fields,
            default_variant,
            variants: Vec::new(),
        };
        parts.into_patch()
    }
}

impl ProductUpsertInput {
    /// Converts the row into a patch.
    ///
    /// # Errors
    /// Returns a user error if an ID is invalid, a non-nullable field is null, or the row selects no product.
    pub(super) fn into_product_patch(self, row_index: usize) -> Result<ProductPatch> {
        let path = format!("products.{row_index}");
        let Self { id, expected_version, name, fields, default_variant, variants } = self;
        let selector = match (&id, fields.slug.value(), default_variant.sku.value()) {
            (Some(id), _, _) => {
                let id_path = format!("{path}.id");
                let product_id = GlobalId::decode_as(id, NodeType::Product, &id_path)?;
                ProductSelector::Id { product_id, path: id_path }
            }
            (None, Some(slug), _) => ProductSelector::Slug(slug.clone()),
            (None, None, Some(sku)) => ProductSelector::Sku(sku.clone()),
            (None, None, None) => return Err(Error::bad_input(&path, "give the product's id, its slug or its sku")),
        };
        let expected_version =
            expected_version.map(|version| ExpectedVersion { version, path: format!("{path}.expectedVersion") });
        let variants = variants.unwrap_or_default();
        let parts = ProductInputParts { path, selector, expected_version, name, fields, default_variant, variants };
        parts.into_patch()
    }
}
