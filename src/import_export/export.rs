//! Export of the whole catalog as Shopify's product CSV with additional columns. Importing it again is lossless.

use std::{borrow::Cow, collections::HashMap, io::Write, sync::Arc};

use chrono::{DateTime, Utc};
use csv::Writer;
use iso_currency::Currency;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Progress,
    csv_fields::{escape_separator, guard_code, guard_formula},
};
use crate::{
    base::{Error, Money, Result},
    catalog::{CategoryTree, PublicationStatus, loader, product, projection::VariantColumns, variant},
    infra::{Db, SqlBuilder},
};

/// The number of products per batch.
const EXPORT_BATCH_SIZE: u64 = 500;
/// The minimum number of option columns.
const MIN_OPTION_COLUMNS: usize = 3;

/// The columns before the option columns.
const LEADING_COLUMNS: [&str; 9] =
    ["Handle", "Title", "Body (HTML)", "Vendor", "Category", "Tags", "Published", "Featured", "Status"];
/// The columns after the option columns.
const TRAILING_COLUMNS: [&str; 12] = [
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Price",
    "Variant Compare At Price",
    "Sale Starts At",
    "Sale Ends At",
    "Variant Barcode",
    "Variant Image",
    "Image Src",
    "Image Alt Text",
];

/// Writes all products except deleted ones, and returns their number. Drafts and archived products are included.
pub async fn export_products(db: &Db, currency: Currency, output: impl Write, progress: &Progress) -> Result<u64> {
    let tree = CategoryTree::load(db).await?;
    let option_count = load_max_option_count(db).await?.max(MIN_OPTION_COLUMNS);
    let option_headers = |number: usize| [format!("Option{number} Name"), format!("Option{number} Value")];
    let to_owned_header = |header_name: &str| header_name.to_owned();
    let header: Vec<String> = LEADING_COLUMNS
        .into_iter()
        .map(to_owned_header)
        .chain((1..=option_count).flat_map(option_headers))
        .chain(TRAILING_COLUMNS.into_iter().map(to_owned_header))
        .collect();
    let mut writer = Writer::from_writer(output);
    writer.write_record(&header).map_err(convert_write_error)?;
    let mut last_id = 0;
    let mut exported_count = 0;
    loop {
        let rows: Vec<product::Model> = product::Entity::find()
            .filter(product::Column::Id.gt(last_id))
            .filter(product::Column::DeletedAt.is_null())
            .order_by_asc(product::Column::Id)
            .limit(EXPORT_BATCH_SIZE)
            .all(db)
            .await?;
        let Some(last_row) = rows.last() else { break };
        last_id = last_row.id;
        let batch = ExportBatch::load(db, &rows).await?;
        for row in &rows {
            for mut export_row in batch.build_rows(row, &tree, currency) {
                let cells =
                    header.iter().map(|header_name| export_row.remove(header_name.as_str()).unwrap_or_default());
                writer.write_record(cells.collect::<Vec<_>>()).map_err(convert_write_error)?;
            }
        }
        exported_count += rows.len() as u64;
        progress.add_items(rows.len());
    }
    writer.flush().map_err(|error| Error::internal("writing the export", error))?;
    Ok(exported_count)
}

/// Returns the largest number of options of a product.
async fn load_max_option_count(db: &Db) -> Result<usize> {
    let mut sql = db.sql();
    sql.push("SELECT CAST(COALESCE(MAX(position) + 1, 0) AS BIGINT) AS most FROM variant_option");
    let row = db.query_one_raw(sql.into_statement()).await?;
    let max_count: i64 = row.map_or(Ok(0), |row| row.try_get("", "most"))?;
    Ok(usize::try_from(max_count).unwrap_or(0))
}

fn convert_write_error(error: csv::Error) -> Error {
    Error::internal("writing the export", error)
}

/// The cells of a CSV row by column.
type ExportRow = HashMap<Cow<'static, str>, String>;

/// The related rows of a batch of products. Statements: 7.
struct ExportBatch {
    variants: HashMap<i64, Vec<Arc<variant::Model>>>,
    descriptions: HashMap<i64, Vec<loader::ProductDescription>>,
    images: HashMap<i64, Vec<loader::ProductImage>>,
    tags: HashMap<i64, Vec<String>>,
    variant_options: HashMap<i64, Vec<loader::VariantOption>>,
    on_hand: HashMap<i64, i64>,
}

/// The on-hand stock of a variant at all locations, including reserved units.
#[derive(Debug, FromQueryResult)]
struct VariantOnHand {
    variant_id: i64,
    on_hand: i64,
}

impl ExportBatch {
    async fn load(db: &Db, rows: &[product::Model]) -> Result<Self> {
        let product_ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let variants = loader::load_variants(db, &product_ids, VariantColumns::ALL).await?;
        let variant_ids: Vec<i64> = variants.values().flatten().map(|variant| variant.id).collect();
        let mut sql = SqlBuilder::new(db.get_database_backend());
        sql.push("SELECT variant_id, CAST(SUM(on_hand) AS BIGINT) AS on_hand FROM inventory_level WHERE ");
        sql.eq_any("variant_id", variant_ids.iter().copied()).push(" GROUP BY variant_id");
        let stock = VariantOnHand::find_by_statement(sql.into_statement()).all(db).await?;
        Ok(Self {
            variant_options: loader::load_variant_options(db, &variant_ids).await?,
            descriptions: loader::load_descriptions(db, &product_ids).await?,
            images: loader::load_images(db, &product_ids).await?,
            tags: loader::load_tags(db, &product_ids).await?,
            on_hand: stock.into_iter().map(|row| (row.variant_id, row.on_hand)).collect(),
            variants,
        })
    }
    /// Builds the CSV rows of a product: one per variant or image, whichever are more.
    fn build_rows(&self, row: &product::Model, tree: &CategoryTree, currency: Currency) -> Vec<ExportRow> {
        let images = self.images.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let variants = self.variants.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let export_row = |index: usize| {
            let mut export_row = ExportRow::from([("Handle".into(), guard_formula(&row.slug))]);
            if index == 0 {
                export_row.extend(self.product_cells(row, tree).map(|(column, cell)| (column.into(), cell)));
            }
            if let Some(variant) = variants.get(index) {
                export_row.extend(self.variant_cells(variant, currency).map(|(column, cell)| (column.into(), cell)));
                export_row.extend(self.option_cells(variant));
            }
            if let Some(image) = images.get(index) {
                export_row.insert("Image Src".into(), guard_formula(&image.url));
                export_row.insert("Image Alt Text".into(), guard_formula(image.alt.as_deref().unwrap_or_default()));
            }
            export_row
        };
        (0..variants.len().max(images.len())).map(export_row).collect()
    }

    fn product_cells(&self, row: &product::Model, tree: &CategoryTree) -> [(&'static str, String); 8] {
        let format_flag = |is_set: bool| if is_set { "TRUE" } else { "FALSE" }.to_owned();
        let path = tree.find_index(row.category_id).map(|index| {
            let names = tree.ancestors(index).into_iter().chain([index]).map(|index| &tree.node(index).name);
            names.map(|text| escape_separator(text, '>')).collect::<Vec<_>>().join(" > ")
        });
        let status = match row.status {
            PublicationStatus::Draft => "draft",
            PublicationStatus::Active => "active",
            PublicationStatus::Archived => "archived",
        };
        let html =
            self.descriptions.get(&row.id).and_then(|texts| texts.first()).map(|texts| guard_formula(&texts.html));
        let tags = self.tags.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let tags = tags.iter().map(|tag| escape_separator(tag, ',')).collect::<Vec<_>>().join(", ");
        [
            ("Title", guard_formula(&row.name)),
            ("Body (HTML)", html.unwrap_or_default()),
            ("Vendor", guard_formula(row.vendor.as_deref().unwrap_or_default())),
            ("Category", guard_formula(&path.unwrap_or_default())),
            ("Tags", guard_formula(&tags)),
            ("Published", format_flag(row.status == PublicationStatus::Active)),
            ("Featured", format_flag(row.featured)),
            ("Status", status.to_owned()),
        ]
    }

    fn option_cells(&self, row: &variant::Model) -> impl Iterator<Item = (Cow<'static, str>, String)> {
        let options = self.variant_options.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        options.iter().zip(1..).flat_map(|(option, position)| {
            let cell = |column_suffix: &str, text: &str| {
                (format!("Option{position} {column_suffix}").into(), guard_formula(text))
            };
            [cell("Name", &option.name), cell("Value", &option.value)]
        })
    }

    fn variant_cells(&self, row: &variant::Model, currency: Currency) -> [(&'static str, String); 10] {
        let amount = |minor: i64| Money::new(minor, currency).to_decimal().to_string();
        let format_time = |moment: Option<DateTime<Utc>>| moment.map(|moment| moment.to_rfc3339()).unwrap_or_default();
        let text = |text: &Option<String>| guard_formula(text.as_deref().unwrap_or_default());
        let on_hand = || self.on_hand.get(&row.id).copied().unwrap_or(0).to_string();
        [
            ("Variant SKU", guard_code(&row.sku)),
            ("Variant Grams", row.weight_grams.map(|grams| grams.to_string()).unwrap_or_default()),
            ("Variant Inventory Tracker", if row.track_stock { "savannah" } else { "" }.to_owned()),
            ("Variant Inventory Qty", if row.track_stock { on_hand() } else { String::new() }),
            ("Variant Price", amount(row.sale_price.unwrap_or(row.price))),
            ("Variant Compare At Price", row.sale_price.map(|_| amount(row.price)).unwrap_or_default()),
            ("Sale Starts At", format_time(row.sale_starts_at)),
            ("Sale Ends At", format_time(row.sale_ends_at)),
            ("Variant Barcode", guard_code(row.barcode.as_deref().unwrap_or_default())),
            ("Variant Image", text(&row.image)),
        ]
    }
}
