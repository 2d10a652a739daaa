//! Export of the whole catalog as Shopify's product CSV with additional columns. Importing it again is lossless.

use std::{collections::HashMap, io::Write, sync::Arc};

use csv::Writer;
use iso_currency::Currency;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Progress,
    csv_fields::{escape_separator, guard_formula},
    shopify_columns::{ExportedProduct, ExportedVariant, PRODUCT_COLUMNS, VARIANT_COLUMNS, VariantColumn},
};
use crate::{
    base::{Error, Result},
    catalog::{CategoryTree, loader, product, projection::VariantColumns, variant},
    infra::{Db, SqlBuilder},
};

/// The number of products per batch.
const EXPORT_BATCH_SIZE: u64 = 500;
/// The minimum number of option columns.
const MIN_OPTION_COLUMNS: usize = 3;

/// Writes all products except deleted ones, and returns their number. Drafts and archived products are included.
pub async fn export_products(db: &Db, currency: Currency, output: impl Write, progress: &Progress) -> Result<u64> {
    let tree = CategoryTree::load(db).await?;
    let option_count = load_max_option_count(db).await?.max(MIN_OPTION_COLUMNS);
    let format = ExportFormat { tree: &tree, currency, option_count };
    let mut writer = Writer::from_writer(output);
    writer.write_record(format.header()).map_err(convert_write_error)?;
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
            for cells in batch.build_rows(row, &format) {
                writer.write_record(cells).map_err(convert_write_error)?;
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

/// What the cells depend on besides the rows.
struct ExportFormat<'a> {
    tree: &'a CategoryTree,
    currency: Currency,
    option_count: usize,
}

impl ExportFormat<'_> {
    fn header(&self) -> Vec<String> {
        let product_columns = PRODUCT_COLUMNS.iter().filter(|column| column.format.is_some());
        let options = (1..=self.option_count)
            .flat_map(|number| [format!("Option{number} Name"), format!("Option{number} Value")]);
        let mut header = vec!["Handle".to_owned()];
        header.extend(product_columns.map(|column| column.name.to_owned()));
        header.extend(options);
        header.extend(VARIANT_COLUMNS.iter().map(|column| column.name.to_owned()));
        header.extend(["Image Src", "Image Alt Text"].map(str::to_owned));
        header
    }
}

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
    fn build_rows(&self, row: &product::Model, format: &ExportFormat<'_>) -> Vec<Vec<String>> {
        let images = self.images.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let variants = self.variants.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let product = self.describe_product(row, format.tree);
        let build_row = |index: usize| {
            let mut cells = vec![guard_formula(&row.slug)];
            let formatters = PRODUCT_COLUMNS.iter().filter_map(|column| column.format);
            cells.extend(formatters.map(|format| if index == 0 { format(&product) } else { String::new() }));
            let variant = variants.get(index);
            self.push_option_cells(&mut cells, variant.map(|variant| variant.id), format.option_count);
            let variant = variant.map(|variant| ExportedVariant {
                row: variant,
                on_hand: self.on_hand.get(&variant.id).copied().unwrap_or(0),
                currency: format.currency,
            });
            let format_cell = |column: &VariantColumn| variant.as_ref().map(column.format).unwrap_or_default();
            cells.extend(VARIANT_COLUMNS.iter().map(format_cell));
            let image = images.get(index);
            cells.push(image.map(|image| guard_formula(&image.url)).unwrap_or_default());
            cells.push(image.and_then(|image| image.alt.as_deref()).map(guard_formula).unwrap_or_default());
            cells
        };
        (0..variants.len().max(images.len())).map(build_row).collect()
    }

    fn describe_product<'a>(&'a self, row: &'a product::Model, tree: &CategoryTree) -> ExportedProduct<'a> {
        let path = tree.find_index(row.category_id).map(|index| {
            let names = tree.ancestors(index).into_iter().chain([index]).map(|index| &tree.node(index).name);
            names.map(|text| escape_separator(text, '>')).collect::<Vec<_>>().join(" > ")
        });
        ExportedProduct {
            row,
            description: self.descriptions.get(&row.id).and_then(|texts| texts.first()),
            category_path: path.unwrap_or_default(),
            tags: self.tags.get(&row.id).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    fn push_option_cells(&self, cells: &mut Vec<String>, variant_id: Option<i64>, option_count: usize) {
        let options = variant_id.and_then(|variant_id| self.variant_options.get(&variant_id));
        let options = options.map(Vec::as_slice).unwrap_or_default();
        for index in 0..option_count {
            let option = options.get(index);
            cells.push(option.map(|option| guard_formula(&option.name)).unwrap_or_default());
            cells.push(option.map(|option| guard_formula(&option.value)).unwrap_or_default());
        }
    }
}
