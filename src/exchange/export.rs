//! Exports: the whole catalog as Shopify's product CSV with a few columns more, which imports back to the same.

use std::{collections::HashMap, io::Write};

use csv::Writer;
use iso_currency::Currency;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::Progress;
use crate::{
    base::{Error, Money, Result},
    catalog::{Status, Tree, loader, product, variant},
    infra::{Db, Sql},
};

/// How many products are read at once.
const BATCH: u64 = 500;
/// How many options the format has columns for.
const OPTIONS: usize = 3;

const HEADER: [&str; 27] = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Category",
    "Tags",
    "Published",
    "Featured",
    "Status",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Option3 Name",
    "Option3 Value",
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

/// Writes every product that is not deleted, drafts and archived ones too.
///
/// # Errors
/// When the database cannot be asked or the file cannot be written.
pub async fn products(db: &Db, currency: Currency, to: impl Write, progress: &Progress) -> Result<u64> {
    let tree = Tree::load(db).await?;
    let mut out = Writer::from_writer(to);
    out.write_record(HEADER).map_err(unwritten)?;
    let mut last = 0;
    let mut all = 0;
    loop {
        let rows: Vec<product::Model> = product::Entity::find()
            .filter(product::Column::Id.gt(last))
            .filter(product::Column::DeletedAt.is_null())
            .order_by_asc(product::Column::Id)
            .limit(BATCH)
            .all(db)
            .await?;
        let Some(end) = rows.last() else { break };
        last = end.id;
        let batch = Batch::load(db, &rows).await?;
        for row in &rows {
            write(&mut out, row, &batch, &tree, currency)?;
        }
        all += rows.len() as u64;
        progress.add(rows.len());
    }
    out.flush().map_err(|why| Error::fault("writing the export", why))?;
    Ok(all)
}

fn unwritten(why: csv::Error) -> Error {
    Error::fault("writing the export", why)
}

/// What hangs on a batch of products. Seven statements.
struct Batch {
    variants: HashMap<i64, Vec<variant::Model>>,
    descriptions: HashMap<i64, Vec<loader::Description>>,
    images: HashMap<i64, Vec<loader::Image>>,
    tags: HashMap<i64, Vec<String>>,
    choices: HashMap<i64, Vec<loader::Choice>>,
    on_hand: HashMap<i64, i64>,
}

/// The counted stock of a variant, reserved pieces included.
#[derive(Debug, FromQueryResult)]
struct OnHand {
    variant_id: i64,
    on_hand: i64,
}

impl Batch {
    async fn load(db: &Db, rows: &[product::Model]) -> Result<Self> {
        let keys: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let variants = loader::variants(db, &keys).await?;
        let variant_keys: Vec<i64> = variants.values().flatten().map(|variant| variant.id).collect();
        let mut sql = Sql::new(db.get_database_backend());
        sql.push("SELECT variant_id, CAST(SUM(on_hand) AS BIGINT) AS on_hand FROM inventory WHERE ");
        sql.any("variant_id", variant_keys.iter().copied()).push(" GROUP BY variant_id");
        let stock = OnHand::find_by_statement(sql.statement()).all(db).await?;
        Ok(Self {
            choices: loader::choices(db, &variant_keys).await?,
            descriptions: loader::descriptions(db, &keys).await?,
            images: loader::images(db, &keys).await?,
            tags: loader::tags(db, &keys).await?,
            on_hand: stock.into_iter().map(|row| (row.variant_id, row.on_hand)).collect(),
            variants,
        })
    }
}

fn write<W: Write>(
    out: &mut Writer<W>,
    row: &product::Model,
    batch: &Batch,
    tree: &Tree,
    currency: Currency,
) -> Result<()> {
    let of = |map: &HashMap<i64, Vec<loader::Image>>| map.get(&row.id).cloned().unwrap_or_default();
    let images = of(&batch.images);
    let variants = batch.variants.get(&row.id).map(Vec::as_slice).unwrap_or_default();
    for number in 0..variants.len().max(images.len()) {
        let mut line: HashMap<&str, String> = HashMap::from([("Handle", row.slug.clone())]);
        if number == 0 {
            about_product(&mut line, row, batch, tree);
        }
        if let Some(variant) = variants.get(number) {
            let choices = batch.choices.get(&variant.id).map(Vec::as_slice).unwrap_or_default();
            if choices.len() > OPTIONS {
                let message = format!("the format has {OPTIONS} options, and `{}` has {}", row.slug, choices.len());
                return Err(Error::bad_input("", message));
            }
            about_variant(&mut line, variant, choices, batch.on_hand.get(&variant.id), currency);
        }
        if let Some(image) = images.get(number) {
            line.insert("Image Src", image.url.clone());
            line.insert("Image Alt Text", image.alt.clone().unwrap_or_default());
        }
        let cells = HEADER.map(|column| line.remove(column).unwrap_or_default());
        out.write_record(cells).map_err(unwritten)?;
    }
    Ok(())
}

fn about_product(line: &mut HashMap<&str, String>, row: &product::Model, batch: &Batch, tree: &Tree) {
    let flag = |yes: bool| if yes { "TRUE" } else { "FALSE" }.to_owned();
    let path = tree.find(row.category_id).map(|place| {
        let names = tree.ancestors(place).into_iter().chain([place]).map(|place| tree.node(place).name.as_str());
        names.collect::<Vec<_>>().join(" > ")
    });
    let status = match row.status {
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Archived => "archived",
    };
    let html = batch.descriptions.get(&row.id).and_then(|texts| texts.first()).map(|texts| texts.html.clone());
    line.extend([
        ("Title", row.name.clone()),
        ("Body (HTML)", html.unwrap_or_default()),
        ("Vendor", row.vendor.clone().unwrap_or_default()),
        ("Category", path.unwrap_or_default()),
        ("Tags", batch.tags.get(&row.id).map(|tags| tags.join(", ")).unwrap_or_default()),
        ("Published", flag(row.status == Status::Active)),
        ("Featured", flag(row.featured)),
        ("Status", status.to_owned()),
    ]);
}

fn about_variant(
    line: &mut HashMap<&str, String>,
    row: &variant::Model,
    choices: &[loader::Choice],
    on_hand: Option<&i64>,
    currency: Currency,
) {
    let amount = |minor: i64| Money::new(minor, currency).decimal().to_string();
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.to_rfc3339()).unwrap_or_default();
    let columns =
        [("Option1 Name", "Option1 Value"), ("Option2 Name", "Option2 Value"), ("Option3 Name", "Option3 Value")];
    for ((name, value), choice) in columns.into_iter().zip(choices) {
        line.insert(name, choice.name.clone());
        line.insert(value, choice.value.clone());
    }
    line.extend([
        ("Variant SKU", row.sku.clone()),
        ("Variant Grams", row.weight_grams.map(|grams| grams.to_string()).unwrap_or_default()),
        ("Variant Price", amount(row.sale_price.unwrap_or(row.price))),
        ("Variant Compare At Price", row.sale_price.map(|_| amount(row.price)).unwrap_or_default()),
        ("Sale Starts At", time(row.sale_starts_at)),
        ("Sale Ends At", time(row.sale_ends_at)),
        ("Variant Barcode", row.barcode.clone().unwrap_or_default()),
        ("Variant Image", row.image.clone().unwrap_or_default()),
    ]);
    if row.track_stock {
        line.insert("Variant Inventory Tracker", "savannah".to_owned());
        line.insert("Variant Inventory Qty", on_hand.copied().unwrap_or(0).to_string());
    }
}
