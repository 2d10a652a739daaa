//! Exports: the whole catalog as Shopify's product CSV with a few columns more, which imports back to the same.

use std::{borrow::Cow, collections::HashMap, io::Write, sync::Arc};

use chrono::{DateTime, Utc};
use csv::Writer;
use iso_currency::Currency;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Progress,
    cell::{guarded, guarded_code, name},
};
use crate::{
    base::{Error, Money, Result},
    catalog::{Status, Tree, columns::VariantColumns, loader, product, variant},
    infra::{Db, Sql},
};

/// How many products are read at once.
const BATCH: u64 = 500;
/// How many options the format always has columns for.
const OPTIONS: usize = 3;

/// The columns before and after those of the options.
const BEFORE: [&str; 9] =
    ["Handle", "Title", "Body (HTML)", "Vendor", "Category", "Tags", "Published", "Featured", "Status"];
const AFTER: [&str; 12] = [
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
    let options = most_options(db).await?.max(OPTIONS);
    let numbered = |number: usize| [format!("Option{number} Name"), format!("Option{number} Value")];
    let own = |column: &str| column.to_owned();
    let header: Vec<String> =
        BEFORE.into_iter().map(own).chain((1..=options).flat_map(numbered)).chain(AFTER.into_iter().map(own)).collect();
    let mut out = Writer::from_writer(to);
    out.write_record(&header).map_err(unwritten)?;
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
            for mut line in batch.lines(row, &tree, currency) {
                let cells = header.iter().map(|column| line.remove(column.as_str()).unwrap_or_default());
                out.write_record(cells.collect::<Vec<_>>()).map_err(unwritten)?;
            }
        }
        all += rows.len() as u64;
        progress.add(rows.len());
    }
    out.flush().map_err(|why| Error::fault("writing the export", why))?;
    Ok(all)
}

/// How many options the product with the most has.
async fn most_options(db: &Db) -> Result<usize> {
    let mut sql = db.sql();
    sql.push("SELECT CAST(COALESCE(MAX(position) + 1, 0) AS BIGINT) AS most FROM variant_option");
    let row = db.query_one_raw(sql.statement()).await?;
    let most: i64 = row.map_or(Ok(0), |row| row.try_get("", "most"))?;
    Ok(usize::try_from(most).unwrap_or(0))
}

fn unwritten(why: csv::Error) -> Error {
    Error::fault("writing the export", why)
}

/// The cells of one line, by column.
type Line = HashMap<Cow<'static, str>, String>;

/// What hangs on a batch of products. Seven statements.
struct Batch {
    variants: HashMap<i64, Vec<Arc<variant::Model>>>,
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
        let variants = loader::variants(db, &keys, VariantColumns::ALL).await?;
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
    /// The lines of a product: one for each variant, and more where it has more pictures.
    fn lines(&self, row: &product::Model, tree: &Tree, currency: Currency) -> Vec<Line> {
        let images = self.images.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let variants = self.variants.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let line = |number: usize| {
            let mut line = Line::from([("Handle".into(), guarded(&row.slug))]);
            if number == 0 {
                line.extend(self.about_product(row, tree).map(|(column, cell)| (column.into(), cell)));
            }
            if let Some(variant) = variants.get(number) {
                line.extend(self.about_variant(variant, currency).map(|(column, cell)| (column.into(), cell)));
                line.extend(self.about_options(variant));
            }
            if let Some(image) = images.get(number) {
                line.insert("Image Src".into(), guarded(&image.url));
                line.insert("Image Alt Text".into(), guarded(image.alt.as_deref().unwrap_or_default()));
            }
            line
        };
        (0..variants.len().max(images.len())).map(line).collect()
    }

    fn about_product(&self, row: &product::Model, tree: &Tree) -> [(&'static str, String); 8] {
        let flag = |yes: bool| if yes { "TRUE" } else { "FALSE" }.to_owned();
        let path = tree.find(row.category_id).map(|place| {
            let names = tree.ancestors(place).into_iter().chain([place]).map(|place| &tree.node(place).name);
            names.map(|text| name(text, '>')).collect::<Vec<_>>().join(" > ")
        });
        let status = match row.status {
            Status::Draft => "draft",
            Status::Active => "active",
            Status::Archived => "archived",
        };
        let html = self.descriptions.get(&row.id).and_then(|texts| texts.first()).map(|texts| guarded(&texts.html));
        let tags = self.tags.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let tags = tags.iter().map(|tag| name(tag, ',')).collect::<Vec<_>>().join(", ");
        [
            ("Title", guarded(&row.name)),
            ("Body (HTML)", html.unwrap_or_default()),
            ("Vendor", guarded(row.vendor.as_deref().unwrap_or_default())),
            ("Category", guarded(&path.unwrap_or_default())),
            ("Tags", guarded(&tags)),
            ("Published", flag(row.status == Status::Active)),
            ("Featured", flag(row.featured)),
            ("Status", status.to_owned()),
        ]
    }

    fn about_options(&self, row: &variant::Model) -> impl Iterator<Item = (Cow<'static, str>, String)> {
        let choices = self.choices.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        choices.iter().zip(1..).flat_map(|(choice, number)| {
            let cell = |what: &str, text: &str| (format!("Option{number} {what}").into(), guarded(text));
            [cell("Name", &choice.name), cell("Value", &choice.value)]
        })
    }

    fn about_variant(&self, row: &variant::Model, currency: Currency) -> [(&'static str, String); 10] {
        let amount = |minor: i64| Money::new(minor, currency).decimal().to_string();
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339()).unwrap_or_default();
        let text = |text: &Option<String>| guarded(text.as_deref().unwrap_or_default());
        let on_hand = || self.on_hand.get(&row.id).copied().unwrap_or(0).to_string();
        [
            ("Variant SKU", guarded_code(&row.sku)),
            ("Variant Grams", row.weight_grams.map(|grams| grams.to_string()).unwrap_or_default()),
            ("Variant Inventory Tracker", if row.track_stock { "savannah" } else { "" }.to_owned()),
            ("Variant Inventory Qty", if row.track_stock { on_hand() } else { String::new() }),
            ("Variant Price", amount(row.sale_price.unwrap_or(row.price))),
            ("Variant Compare At Price", row.sale_price.map(|_| amount(row.price)).unwrap_or_default()),
            ("Sale Starts At", time(row.sale_starts_at)),
            ("Sale Ends At", time(row.sale_ends_at)),
            ("Variant Barcode", guarded_code(row.barcode.as_deref().unwrap_or_default())),
            ("Variant Image", text(&row.image)),
        ]
    }
}
