//! What staff say of products, and the writing of it. Strict where an import is forgiving: whatever is wrong is told,
//! each with the path of the input it is about, and a product is written as it was said or not at all.

mod found;
mod fit;
mod options;
mod told;
mod variant;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    category::{Book, UNSORTED},
    draft::{ImageDraft, ProductDraft, Status},
    entity::product,
    merge::Merged,
    parts, save,
    wrong::Expected,
};
use crate::{
    base::{Error, Result, error::Problem},
    infra::Tx,
};
pub(super) use fit::check_slug_text as check_slug;
use found::Found;

/// A field that may stay as it is (`None`), be cleared (`Some(None)`) or be set.
pub type Said<T> = Option<Option<T>>;

/// Which product is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    /// One that is to be made.
    #[default]
    New,
    /// The one of this key, which must be there; with the path of the id.
    Key(i64, String),
    /// The one that has this variant, which must be there; with the path of the variant's id.
    OfVariant(i64, String),
    /// The one of this slug or, without one, that has this sku; made where there is none.
    Named(Option<String>, Option<String>),
}

/// What is said of one product. A field that is `None` was not said: it keeps its value.
#[derive(Debug, Clone, Default)]
pub struct ProductEdit {
    /// The path of the input: `input.17`. Empty where there is none.
    pub path: String,
    /// Which product.
    pub which: Which,
    /// The version that its editor has seen.
    pub expected: Option<Expected>,
    /// What is done, as the audit log calls it, unless the product is made: `product.update`.
    pub action: &'static str,
    /// Its lasting name in addresses.
    pub slug: Option<String>,
    /// What shoppers read.
    pub name: Option<String>,
    /// HTML, not yet sanitised; empty for none.
    pub description: Option<String>,
    /// Who makes it; empty for nobody.
    pub vendor: Option<String>,
    /// The category's key.
    pub category: Option<i64>,
    /// All its tags.
    pub tags: Option<Vec<String>>,
    /// Draft, active or archived.
    pub status: Option<Status>,
    /// Shown first.
    pub featured: Option<bool>,
    /// All its pictures, in order.
    pub images: Option<Vec<ImageDraft>>,
    /// All its options, in order.
    pub options: Option<Vec<OptionEdit>>,
    /// Its variants as far as they are said.
    pub variants: Vec<VariantEdit>,
    /// Whether it is there at all.
    pub deleted: Option<bool>,
}

/// An option as it should be.
#[derive(Debug, Clone, Default)]
pub struct OptionEdit {
    /// What it is called.
    pub name: String,
    /// What it was called; the same where nothing is said.
    pub was: Option<String>,
    /// Of a new option, the value that every variant has that is there.
    pub value: Option<String>,
}

/// Which variant is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Part {
    /// One that is to be made.
    #[default]
    New,
    /// The one of this key.
    Key(i64),
    /// The one of this key, which is to go.
    Gone(i64),
    /// The one of the sku, or of the options, that are said; made where there is none.
    Matched,
    /// The one of the sku that is said, else the only one there is.
    Only,
}

/// What is said of one variant.
#[derive(Debug, Clone, Default)]
pub struct VariantEdit {
    /// The path of the input: `input.variants.3`. Of [`Part::Gone`] and [`Part::Key`], the path of the rest.
    pub path: String,
    /// Which variant.
    pub which: Part,
    /// The version that its editor has seen.
    pub expected: Option<Expected>,
    /// The shop's own number for it.
    pub sku: Option<String>,
    /// One value for each option of the product.
    pub options: Option<Vec<String>>,
    /// The regular price.
    pub price: Option<Decimal>,
    /// What it costs while the sale lasts; cleared with the whole sale.
    pub sale_price: Said<Decimal>,
    /// When the sale begins.
    pub sale_starts_at: Said<DateTime<Utc>>,
    /// When the sale ends.
    pub sale_ends_at: Said<DateTime<Utc>>,
    /// How many are on hand; cleared where they are not to be counted.
    pub stock: Said<i64>,
    /// How many its editor believes to be on hand.
    pub expected_stock: Option<i64>,
    /// In grams.
    pub weight_grams: Said<i64>,
    /// Where its picture is.
    pub image: Said<String>,
    /// EAN, UPC or ISBN.
    pub barcode: Said<String>,
}

/// A product that was written as it was said.
#[derive(Debug, Clone)]
pub struct Edited {
    /// As it is now.
    pub product: product::Model,
    /// It was not there before.
    pub made: bool,
    /// The variants that were said, in the order in which they were.
    pub variants: Vec<super::variant::Model>,
    /// What was said of their stock.
    pub stock: Vec<(i64, i64)>,
    /// Every variant of which something changed that its stock may depend on.
    pub touched: Vec<i64>,
}

/// What has become of one product: it was written, or why it was not.
pub type Outcome = Result<Edited, Vec<Problem>>;

/// Where and when products are changed, and what is known of them.
#[derive(Debug)]
struct Desk {
    found: Found,
    currency: Currency,
    now: DateTime<Utc>,
    /// Where new products go that nobody says where they belong.
    unsorted: i64,
    /// The products, slugs and skus that edits before have taken.
    taken: HashSet<i64>,
    slugs: HashSet<String>,
    skus: HashSet<String>,
}

/// Writes what is said of products, each as it was said or not at all. A number of statements that does not depend on
/// how many they are.
///
/// # Errors
/// When the database refuses.
pub async fn edit(tx: &Tx, currency: Currency, edits: &[ProductEdit]) -> Result<Vec<Outcome>> {
    // What is known stays true until the transaction ends: whoever changes the catalog takes the tree's lock.
    super::tree::lock(tx).await?;
    let found = Found::load(tx, edits).await?;
    let unsorted = unsorted(tx, edits, &found).await?;
    let (taken, slugs, skus) = Default::default();
    let mut desk = Desk { found, currency, now: tx.now(), unsorted, taken, slugs, skus };
    let laid: Vec<Result<(ProductDraft, Merged), Vec<Problem>>> = edits.iter().map(|one| desk.fit(one)).collect();
    let (mut outcomes, mut all, mut whose) = (Vec::new(), Vec::new(), Vec::new());
    for (place, one) in laid.into_iter().enumerate() {
        match one {
            Ok((draft, merged)) => {
                outcomes.push(Err(Vec::new()));
                whose.push((place, draft));
                all.push(merged);
            }
            Err(problems) => outcomes.push(Err(problems)),
        }
    }
    let mut batch: Vec<_> = whose.iter().map(|(_, draft)| draft).zip(all).collect();
    parts::compare(tx, &mut batch).await?;
    save::write(tx, &mut batch).await?;
    let action = |place: usize| edits[place].action;
    let changes: Vec<_> = whose
        .iter()
        .zip(&batch)
        .flat_map(|((place, _), (_, merged))| told::changes(merged, action(*place), currency))
        .collect();
    tx.record(&changes).await?;
    for ((place, _), (_, merged)) in whose.iter().zip(batch) {
        outcomes[*place] = Ok(told::edited(merged));
    }
    Ok(outcomes)
}

/// The same, all or nothing.
///
/// # Errors
/// Everything that is wrong, or when the database refuses.
pub async fn edit_all(tx: &Tx, currency: Currency, edits: &[ProductEdit]) -> Result<Vec<Edited>> {
    let (mut edited, mut problems) = (Vec::with_capacity(edits.len()), Vec::new());
    for outcome in edit(tx, currency, edits).await? {
        match outcome {
            Ok(one) => edited.push(one),
            Err(some) => problems.extend(some),
        }
    }
    Error::all(problems)?;
    Ok(edited)
}

/// The category of products of which nobody says where they belong, if there are any.
async fn unsorted(tx: &Tx, edits: &[ProductEdit], found: &Found) -> Result<i64> {
    if edits.iter().all(|one| one.category.is_some() || found.product(&one.which).is_some()) {
        return Ok(0);
    }
    let mut book = Book::open(tx).await?;
    let key = book.ensure(&[UNSORTED.to_owned()]).await?;
    book.close().await?;
    Ok(key)
}

/// Values by key.
type ByKey<T> = HashMap<i64, T>;
