//! The columns of Shopify's product CSV, shared by import and export, including those that Savannah adds.

use iso_currency::Currency;
use rust_decimal::Decimal;
use sea_orm::ActiveEnum;

use super::csv_fields::{
    escape_separator, guard_code, guard_formula, parse_bool, parse_code, parse_number, parse_stock, parse_weight,
    split_escaped, strip_formula_guard,
};
use crate::{
    base::{Money, Patch},
    catalog::{
        CategoryInput, ProductPatch, PublicationStatus, VariantPatch,
        loader::ProductDescription,
        measure::{MeasureUnit, quantity_to_decimal},
        product, variant,
    },
};

/// The only column in which line breaks are allowed.
const DESCRIPTION_COLUMN: &str = "Body (HTML)";
/// Imported columns that are not in the tables below, because they belong together or to several fields.
const OTHER_IMPORTED_COLUMNS: [&str; 8] = [
    "Handle",
    "Variant Price",
    "Variant Compare At Price",
    "Sale Starts At",
    "Sale Ends At",
    "Image Src",
    "Image Alt Text",
    "Image Position",
];

/// Returns the old name of a column that Shopify renamed in 2025; other names are returned unchanged.
pub(super) fn map_renamed_column(name: String) -> String {
    let canonical = match name.to_ascii_lowercase().as_str() {
        "url handle" => "Handle",
        "description" => "Body (HTML)",
        "published on online store" => "Published",
        "sku" => "Variant SKU",
        "barcode" => "Variant Barcode",
        "price" => "Variant Price",
        "compare-at price" => "Variant Compare At Price",
        "inventory quantity" => "Variant Inventory Qty",
        "weight value (grams)" => "Variant Grams",
        "product image url" => "Image Src",
        "variant image url" => "Variant Image",
        _ => return name,
    };
    canonical.to_owned()
}

/// A product to export.
pub(super) struct ExportedProduct<'a> {
    pub(super) row: &'a product::Model,
    pub(super) description: Option<&'a ProductDescription>,
    pub(super) category_path: String,
    pub(super) tags: &'a [String],
}

/// A variant to export.
pub(super) struct ExportedVariant<'a> {
    pub(super) row: &'a variant::Model,
    pub(super) on_hand: i64,
    pub(super) currency: Currency,
}

/// A column of the product's fields, in its first row.
pub(super) struct ProductColumn {
    pub(super) name: &'static str,
    /// Reads a cell of the file. A later column overrides an earlier one.
    pub(super) read: fn(&mut ProductPatch, &str),
    /// Formats the cell; `None` for columns that are not exported.
    pub(super) format: Option<fn(&ExportedProduct<'_>) -> String>,
}

/// A column of a variant's fields.
pub(super) struct VariantColumn {
    pub(super) name: &'static str,
    /// Reads a cell that is not empty, and adds warnings; `None` for columns that are not read on their own.
    pub(super) read: Option<fn(&mut VariantPatch, &str, &mut Vec<String>)>,
    /// Formats the cell.
    pub(super) format: fn(&ExportedVariant<'_>) -> String,
}

/// The columns of products, in the order of the export.
pub(super) static PRODUCT_COLUMNS: [ProductColumn; 12] = [
    ProductColumn {
        name: "Title",
        read: |patch, cell| {
            if !cell.is_empty() {
                patch.name = read_text(cell);
            }
        },
        format: Some(|product| guard_formula(&product.row.name)),
    },
    ProductColumn {
        name: DESCRIPTION_COLUMN,
        read: |patch, cell| patch.description = read_text(cell),
        format: Some(|product| product.format_description(|description| Some(&description.html))),
    },
    ProductColumn {
        name: "SEO Title",
        read: |patch, cell| patch.seo_title = read_text(cell),
        format: Some(|product| product.format_description(|description| description.seo_title.as_deref())),
    },
    ProductColumn {
        name: "SEO Description",
        read: |patch, cell| patch.seo_description = read_text(cell),
        format: Some(|product| product.format_description(|description| description.seo_description.as_deref())),
    },
    ProductColumn {
        name: "Vendor",
        read: |patch, cell| patch.vendor = read_text(cell),
        format: Some(|product| guard_formula(product.row.vendor.as_deref().unwrap_or_default())),
    },
    ProductColumn { name: "Type", read: read_category, format: None },
    ProductColumn { name: "Product Category", read: read_category, format: None },
    ProductColumn {
        name: "Category",
        read: read_category,
        format: Some(|product| guard_formula(&product.category_path)),
    },
    ProductColumn {
        name: "Tags",
        read: |patch, cell| patch.tags = Patch::Set(split_escaped(strip_formula_guard(cell), ',')),
        format: Some(|product| {
            let tags: Vec<String> = product.tags.iter().map(|tag| escape_separator(tag, ',')).collect();
            guard_formula(&tags.join(", "))
        }),
    },
    ProductColumn {
        name: "Published",
        read: |patch, cell| {
            let to_status = |is_active| if is_active { PublicationStatus::Active } else { PublicationStatus::Draft };
            patch.status = Patch::from_provided(parse_bool(cell).map(to_status));
        },
        format: Some(|product| format_flag(product.row.status == PublicationStatus::Active)),
    },
    ProductColumn {
        name: "Featured",
        read: |patch, cell| patch.featured = Patch::from_provided(parse_bool(cell)),
        format: Some(|product| format_flag(product.row.featured)),
    },
    ProductColumn {
        name: "Status",
        read: |patch, cell| {
            if !cell.is_empty() {
                patch.status = Patch::from_provided(parse_status(cell));
            }
        },
        format: Some(|product| format_status(product.row.status).to_owned()),
    },
];

/// The columns of variants, in the order of the export.
pub(super) static VARIANT_COLUMNS: [VariantColumn; 12] = [
    VariantColumn {
        name: "Variant SKU",
        read: Some(|patch, cell, _| patch.sku = Patch::from_provided(parse_code(cell))),
        format: |variant| guard_code(&variant.row.sku),
    },
    VariantColumn {
        name: "Variant Grams",
        read: Some(|patch, cell, warnings| {
            patch.weight_grams = Patch::from_provided(parse_weight(cell, Decimal::ONE, warnings));
        }),
        format: |variant| variant.row.weight_grams.map(|grams| grams.to_string()).unwrap_or_default(),
    },
    VariantColumn {
        name: "Unit Price Total Measure",
        read: Some(|patch, cell, warnings| {
            patch.content_quantity = Patch::from_provided(parse_quantity(cell, warnings));
        }),
        format: |variant| {
            let quantity = variant.row.content_quantity.map(quantity_to_decimal);
            quantity.map(|quantity| quantity.to_string()).unwrap_or_default()
        },
    },
    VariantColumn {
        name: "Unit Price Total Measure Unit",
        read: Some(|patch, cell, warnings| {
            patch.content_unit = Patch::from_provided(parse_unit(cell, warnings));
        }),
        format: |variant| variant.row.content_unit.map(|unit| unit.to_value()).unwrap_or_default(),
    },
    VariantColumn {
        name: "Variant Inventory Tracker",
        read: None,
        format: |variant| if variant.row.track_stock { "savannah" } else { "" }.to_owned(),
    },
    VariantColumn {
        name: "Variant Inventory Qty",
        read: Some(|patch, cell, warnings| patch.on_hand = Patch::from_provided(parse_stock(cell, warnings))),
        format: |variant| if variant.row.track_stock { variant.on_hand.to_string() } else { String::new() },
    },
    VariantColumn {
        name: "Variant Price",
        read: None,
        format: |variant| variant.format_amount(variant.row.sale_price.unwrap_or(variant.row.price)),
    },
    VariantColumn {
        name: "Variant Compare At Price",
        read: None,
        format: |variant| variant.row.sale_price.map(|_| variant.format_amount(variant.row.price)).unwrap_or_default(),
    },
    VariantColumn {
        name: "Sale Starts At",
        read: None,
        format: |variant| variant.row.sale_starts_at.map(|moment| moment.to_rfc3339()).unwrap_or_default(),
    },
    VariantColumn {
        name: "Sale Ends At",
        read: None,
        format: |variant| variant.row.sale_ends_at.map(|moment| moment.to_rfc3339()).unwrap_or_default(),
    },
    VariantColumn {
        name: "Variant Barcode",
        read: Some(|patch, cell, _| patch.barcode = Patch::from_provided(parse_code(cell))),
        format: |variant| guard_code(variant.row.barcode.as_deref().unwrap_or_default()),
    },
    VariantColumn {
        name: "Variant Image",
        read: Some(|patch, cell, _| patch.image = read_text(cell)),
        format: |variant| guard_formula(variant.row.image.as_deref().unwrap_or_default()),
    },
];

impl ExportedVariant<'_> {
    fn format_amount(&self, minor_units: i64) -> String {
        Money::new(minor_units, self.currency).to_decimal().to_string()
    }
}

impl ExportedProduct<'_> {
    /// Formats a text of the description; empty if there is none.
    fn format_description(&self, text_of: impl Fn(&ProductDescription) -> Option<&str>) -> String {
        self.description.and_then(text_of).map(guard_formula).unwrap_or_default()
    }
}

/// Parses the quantity of a content, with a warning if it is ignored.
fn parse_quantity(cell: &str, warnings: &mut Vec<String>) -> Option<Decimal> {
    // Files of other shops have a zero without a unit where there is no content.
    let quantity = parse_number(cell).filter(|quantity| !quantity.is_sign_negative());
    if quantity.is_none() {
        warnings.push(format!("measure \"{cell}\" is not a non-negative number and is left unchanged"));
    }
    quantity.filter(|quantity| !quantity.is_zero())
}

/// Parses a unit of measure, with a warning if it is ignored.
fn parse_unit(cell: &str, warnings: &mut Vec<String>) -> Option<MeasureUnit> {
    let unit = MeasureUnit::try_from_value(&cell.to_ascii_lowercase()).ok();
    if unit.is_none() {
        warnings.push(format!("measure unit \"{cell}\" is not known and is left unchanged"));
    }
    unit
}

/// Returns whether a line break in an imported column is an error.
pub(super) fn is_single_line(column: &str) -> bool {
    let product_columns = PRODUCT_COLUMNS.iter().map(|column| column.name).filter(|name| *name != DESCRIPTION_COLUMN);
    let variant_columns = VARIANT_COLUMNS.iter().filter(|column| column.read.is_some()).map(|column| column.name);
    let mut names = product_columns.chain(variant_columns).chain(OTHER_IMPORTED_COLUMNS);
    names.any(|name| name.eq_ignore_ascii_case(column))
}

/// Parses a publication status.
pub(super) fn parse_status(cell: &str) -> Option<PublicationStatus> {
    use PublicationStatus::{Active, Archived, Draft};
    [Active, Draft, Archived].into_iter().find(|status| format_status(*status).eq_ignore_ascii_case(cell))
}

fn format_status(status: PublicationStatus) -> &'static str {
    match status {
        PublicationStatus::Draft => "draft",
        PublicationStatus::Active => "active",
        PublicationStatus::Archived => "archived",
    }
}

fn format_flag(is_set: bool) -> String {
    if is_set { "TRUE" } else { "FALSE" }.to_owned()
}

fn read_text(cell: &str) -> Patch {
    Patch::Set(strip_formula_guard(cell).to_owned())
}

fn read_category(patch: &mut ProductPatch, cell: &str) {
    if !cell.is_empty() {
        let path = Some(split_escaped(strip_formula_guard(cell), '>')).filter(|path| !path.is_empty());
        patch.category = Patch::from_provided(path.map(CategoryInput::Path));
    }
}
