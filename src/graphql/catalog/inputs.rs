//! What staff say of products and variants. What is left out keeps its value; null clears what can be cleared.

use async_graphql::{ID, InputObject, MaybeUndefined};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::super::{product::ProductStatus, profile::required};
use crate::{
    base::{GlobalId, Result, id::Kind},
    catalog::{
        Expected, ImageDraft,
        edit::{OptionEdit, Part, ProductEdit, VariantEdit, Which},
    },
};

/// What can be said of any product.
#[derive(Debug, Default, InputObject)]
pub struct ProductFields {
    /// The lasting name in addresses: small letters, digits and hyphens; unique in the shop. Made of the name when a new
    /// product has none.
    slug: MaybeUndefined<String>,
    /// What there is to say about it, as HTML. It is made harmless; null for none.
    description: MaybeUndefined<String>,
    /// Who makes it; null for nobody.
    vendor: MaybeUndefined<String>,
    /// The category it belongs to. A new product without one is uncategorised.
    category_id: MaybeUndefined<ID>,
    /// All its tags: at most 100. Null for none.
    tags: MaybeUndefined<Vec<String>>,
    /// Where it stands in its life. A new product is a draft when nothing is said.
    status: MaybeUndefined<ProductStatus>,
    /// Whether the shop shows it first.
    featured: MaybeUndefined<bool>,
    /// All its pictures in their order: at most 100. Null for none.
    images: MaybeUndefined<Vec<ImageInput>>,
    /// All that a shopper chooses by, in order: at most 10. Null for nothing.
    options: MaybeUndefined<Vec<ProductOptionInput>>,
}

/// A picture of a product.
#[derive(Debug, InputObject)]
pub struct ImageInput {
    /// Where the picture is.
    url: String,
    /// What it shows, in words, for those who do not see it.
    alt: Option<String>,
}

/// An option of a product as it should be.
#[derive(Debug, InputObject)]
pub struct ProductOptionInput {
    /// What is chosen: `Size`, `Colour`.
    name: String,
    /// What it was called, where it gets another name. Its values stay.
    was: Option<String>,
    /// Of an option that is added to a product with variants: the value that all of them have.
    value: Option<String>,
}

/// What can be said of any variant; at a product it is said of its only variant, or of the one that has the sku.
#[derive(Debug, Default, InputObject)]
pub struct VariantFields {
    /// The shop's own number for it; unique in the shop. A new variant needs one.
    sku: MaybeUndefined<String>,
    /// The regular price. A new variant needs one.
    price: MaybeUndefined<Decimal>,
    /// What it costs while a sale lasts, less than the price; null ends the sale.
    sale_price: MaybeUndefined<Decimal>,
    /// When the sale begins; null for already.
    sale_starts_at: MaybeUndefined<DateTime<Utc>>,
    /// When the sale ends; null for never.
    sale_ends_at: MaybeUndefined<DateTime<Utc>>,
    /// How many are on hand, with those that buyers have reserved; never fewer than those. Null when it is not to be
    /// counted, and then it can always be bought: so it is with a new variant when nothing is said.
    stock_quantity: MaybeUndefined<i64>,
    /// How many are on hand as you know it, with `stockQuantity`: when others are by now, because something was sold or came
    /// back, the whole request is refused with `VERSION_CONFLICT`. Without it the count is overwritten.
    expected_stock_quantity: Option<i64>,
    /// What it weighs, in grams; null for unknown.
    weight_grams: MaybeUndefined<i64>,
    /// Its EAN, UPC or ISBN; null for none.
    barcode: MaybeUndefined<String>,
}

/// A variant, new or as it should be.
#[derive(Debug, Default, InputObject)]
pub struct ProductVariantInput {
    /// What can be said of any variant.
    #[graphql(flatten)]
    fields: VariantFields,
    /// One value for each option of the product, in their order. A new variant of a product with options needs them.
    options: MaybeUndefined<Vec<String>>,
    /// Where its own picture is; null for none.
    image: MaybeUndefined<String>,
}

/// A product to be made.
#[derive(Debug, InputObject)]
pub struct ProductCreateInput {
    /// What shoppers read: 1 to 500 characters.
    name: String,
    /// What can be said of any product.
    #[graphql(flatten)]
    fields: ProductFields,
    /// Of a simple product: what is said of its only variant.
    #[graphql(flatten)]
    only: VariantFields,
    /// Of a product with options: its variants, at most 100.
    variants: Option<Vec<ProductVariantInput>>,
}

/// What is to change of a product. What is left out keeps its value.
#[derive(Debug, InputObject)]
pub struct ProductUpdateInput {
    /// What shoppers read: 1 to 500 characters.
    name: MaybeUndefined<String>,
    /// What can be said of any product.
    #[graphql(flatten)]
    fields: ProductFields,
    /// What is said of its only variant, or of the one that has the sku.
    #[graphql(flatten)]
    only: VariantFields,
}

/// A product that is made or, if it is there, changed. What is left out keeps its value.
#[derive(Debug, InputObject)]
pub struct ProductUpsertInput {
    /// Which product, by its id. Without it by its slug, and without that by the sku.
    pub(super) id: Option<ID>,
    /// The version that you have read; when it is another by now, nothing of the row is written.
    pub(super) expected_version: Option<i32>,
    /// What shoppers read: 1 to 500 characters. A new product needs it.
    pub(super) name: MaybeUndefined<String>,
    /// What can be said of any product.
    #[graphql(flatten)]
    pub(super) fields: ProductFields,
    /// What is said of its only variant, or of the one that has the sku.
    #[graphql(flatten)]
    pub(super) only: VariantFields,
    /// Its variants as far as they are said, found by their sku or, without one, by their options; at most 100.
    pub(super) variants: Option<Vec<ProductVariantInput>>,
}

impl ProductFields {
    /// An edit of which nothing but this is said.
    ///
    /// # Errors
    /// When the category's id is none, or a field is null that cannot be empty.
    pub(super) fn edit(self, path: &str, is_new: bool) -> Result<ProductEdit> {
        let Self { slug, description, vendor, category_id, tags, status, featured, images, options } = self;
        let category_path = format!("{path}.categoryId");
        let category_id = required(category_id, is_new, &category_path)?;
        let category = category_id.map(|id| GlobalId::key(&id, Kind::Category, &category_path)).transpose()?;
        let image = |ImageInput { url, alt }| ImageDraft { url, alt };
        let option = |ProductOptionInput { name, was, value }| OptionEdit { name, was, value };
        Ok(ProductEdit {
            path: path.to_owned(),
            slug: required(slug, is_new, &format!("{path}.slug"))?,
            description: all(description),
            vendor: all(vendor),
            category,
            tags: all(tags),
            status: required(status, is_new, &format!("{path}.status"))?.map(Into::into),
            featured: required(featured, is_new, &format!("{path}.featured"))?,
            images: all(images).map(|images| images.into_iter().map(image).collect()),
            options: all(options).map(|options| options.into_iter().map(option).collect()),
            ..ProductEdit::default()
        })
    }

    /// The slug that is said.
    pub(super) fn slug(&self) -> Option<&String> {
        self.slug.value()
    }
}

impl VariantFields {
    fn edit(self, path: String, which: Part) -> Result<VariantEdit> {
        let is_new = matches!(which, Part::New);
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
        Ok(VariantEdit {
            which,
            sku: required(sku, is_new, &format!("{path}.sku"))?,
            price: required(price, is_new, &format!("{path}.price"))?,
            path,
            sale_price: sale_price.into(),
            sale_starts_at: sale_starts_at.into(),
            sale_ends_at: sale_ends_at.into(),
            stock: stock_quantity.into(),
            expected_stock: expected_stock_quantity,
            weight_grams: weight_grams.into(),
            barcode: barcode.into(),
            ..VariantEdit::default()
        })
    }

    /// Whether anything is said.
    fn says(&self) -> bool {
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
        let ends = !sale_starts_at.is_undefined() || !sale_ends_at.is_undefined();
        let counts =
            !stock_quantity.is_undefined() || expected_stock_quantity.is_some() || !weight_grams.is_undefined();
        let named = !sku.is_undefined() || !price.is_undefined();
        named || !sale_price.is_undefined() || ends || counts || !barcode.is_undefined()
    }

    /// The sku that is said.
    pub(super) fn sku(&self) -> Option<&String> {
        self.sku.value()
    }
}

impl ProductVariantInput {
    /// As the catalog knows it.
    ///
    /// # Errors
    /// When a field is null that cannot be empty.
    pub(super) fn edit(self, path: String, which: Part) -> Result<VariantEdit> {
        let Self { fields, options, image } = self;
        let options = required(options, matches!(which, Part::New), &format!("{path}.options"))?;
        Ok(VariantEdit { options, image: image.into(), ..fields.edit(path, which)? })
    }
}

impl ProductCreateInput {
    /// As the catalog knows it.
    ///
    /// # Errors
    /// When the category's id is none.
    pub(super) fn edit(self) -> Result<ProductEdit> {
        let Self { name, fields, only, variants } = self;
        let edit = ProductEdit { name: Some(name), action: "product.create", ..fields.edit("input", true)? };
        with_variants(edit, only, variants, Part::New)
    }
}

impl ProductUpdateInput {
    /// As the catalog knows it.
    ///
    /// # Errors
    /// When the category's id is none.
    pub(super) fn edit(self, which: Which, expected: Option<i32>) -> Result<ProductEdit> {
        let Self { name, fields, only } = self;
        let expected = expected.map(|version| Expected(version, "expectedVersion".into()));
        let name = required(name, false, "input.name")?;
        let edit = ProductEdit { name, which, expected, action: "product.update", ..fields.edit("input", false)? };
        with_variants(edit, only, None, Part::New)
    }
}

/// The edit with what is said of its variants: of the only one, and of each of a list.
///
/// # Errors
/// When a field is null that cannot be empty.
pub(super) fn with_variants(
    mut edit: ProductEdit,
    only: VariantFields,
    variants: Option<Vec<ProductVariantInput>>,
    which: Part,
) -> Result<ProductEdit> {
    let variants = variants.unwrap_or_default();
    // By its sku alone a row says which product is meant; beside a list of variants that is all it says.
    let named = !variants.is_empty() && matches!(&edit.which, Which::Named(None, Some(_)));
    if only.says() && !named {
        let part = if matches!(edit.which, Which::New) { Part::New } else { Part::Only };
        edit.variants.push(VariantEdit { which: Part::Only, ..only.edit(edit.path.clone(), part)? });
    }
    let path = edit.path.clone();
    let one = |(number, one): (usize, ProductVariantInput)| one.edit(format!("{path}.variants.{number}"), which);
    for one in variants.into_iter().enumerate().map(one) {
        edit.variants.push(one?);
    }
    Ok(edit)
}

/// A list or text that null empties.
fn all<T: Default>(said: MaybeUndefined<T>) -> Option<T> {
    match said {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(T::default()),
        MaybeUndefined::Value(value) => Some(value),
    }
}
