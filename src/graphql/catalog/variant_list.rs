//! Pages of a product's variants, and the choice of one by its options.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, OneofObject, SimpleObject};
use macros::BatchedObject;
use tokio::sync::OnceCell;

use super::{product::Product, variant::Variant};
use crate::{
    base::{
        Error, GlobalId, Result,
        global_id::NodeType,
        pagination::{Cursor, CursorType, CursorValue, Page, PageRequest},
        text,
    },
    catalog::{
        loader::VariantOption,
        product_queries::VariantLookup,
        projection::{ColumnSet, VariantColumns},
        variant,
    },
    graphql::{
        batched::{Batched, BatchedList, Selection},
        context::RequestContext,
        loader::ProductVariantsKey,
        pagination::{CountedList, PagedList, connection},
    },
    inventory::{self, ProductChoices, VariantChoice},
};

/// Maximum number of options that select a variant.
const MAX_SELECTED_OPTIONS: usize = 10;

/// Selected value of one option.
#[derive(Debug, Clone, InputObject)]
pub struct SelectedOptionInput {
    /// Option name, such as `Size`; case-insensitive.
    pub name: String,
    /// Option value, such as `M`; case-insensitive.
    pub value: String,
}

/// Returns the variant of a product with the selected options, or the one that is shown instead.
#[must_use]
pub fn select_variant_choice<'a>(
    choices: Option<&'a ProductChoices>,
    selected_options: Option<&[SelectedOptionInput]>,
) -> Option<&'a VariantChoice> {
    let normalize = |SelectedOptionInput { name, value }: &SelectedOptionInput| VariantOption {
        name: text::normalize_text(name),
        value: text::normalize_text(value),
    };
    let selected_options = selected_options.unwrap_or_default().iter().take(MAX_SELECTED_OPTIONS);
    let selected_options: Vec<VariantOption> = selected_options.map(normalize).collect();
    inventory::select_variant(&choices?.variants, &selected_options)
}

/// Rejects too many options.
///
/// # Errors
/// Returns a user error if there are too many.
pub fn check_selected_options(selected_options: Option<&[SelectedOptionInput]>) -> Result<()> {
    let count = selected_options.unwrap_or_default().len();
    if count > MAX_SELECTED_OPTIONS {
        let message = format!("at most {MAX_SELECTED_OPTIONS} options; there are {count}");
        return Err(Error::bad_input("selectedOptions", message));
    }
    Ok(())
}

/// Identifies a variant by exactly one key.
#[derive(Debug, OneofObject)]
pub enum VariantBy {
    /// ID of the variant.
    Id(ID),
    /// Exact SKU.
    Sku(String),
    /// Exact barcode. If several variants have it: the one that was created first.
    Barcode(String),
}

impl VariantBy {
    /// Converts the input to the lookup key of a variant.
    ///
    /// # Errors
    /// Returns a user error if the ID is not the ID of a variant.
    pub fn into_lookup(self) -> Result<VariantLookup> {
        Ok(match self {
            Self::Id(id) => VariantLookup::Id(GlobalId::decode_as(&id, NodeType::Variant, "by.id")?),
            Self::Sku(sku) => VariantLookup::Sku(sku),
            Self::Barcode(barcode) => VariantLookup::Barcode(barcode),
        })
    }
}

/// Variants of a product, in order. All are loaded together with those of other products; pages are cut in memory.
#[derive(Debug)]
pub struct VariantList {
    product: Product,
    /// Columns required by the selected fields and cursors.
    columns: VariantColumns,
    rows: OnceCell<Arc<[Arc<variant::Model>]>>,
}

/// Variant with its cursor.
#[derive(Debug, SimpleObject, BatchedObject)]
#[graphql(name = "ProductVariantEdge")]
pub struct VariantEdge {
    /// Cursor of the variant.
    cursor: String,
    /// Variant.
    node: Batched<Variant>,
}

connection!(
    /// Page of a product's variants, in order.
    ProductVariantConnection(VariantList) {
        nodes: BatchedList<Variant> = "Variants of the page.",
        edges: BatchedList<VariantEdge> = "Variants of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of variants of the product, across all pages.",
    }
);

impl From<(String, Variant)> for VariantEdge {
    fn from((cursor, variant): (String, Variant)) -> Self {
        Self { cursor, node: Batched(variant) }
    }
}

/// Sort tag of the cursors.
const SORT_TAG: char = 'v';

impl VariantList {
    /// Creates the list of a product's variants and selects the columns.
    #[must_use]
    pub fn new(ctx: &Context<'_>, product: Product) -> Self {
        let selection = Selection::of_field(ctx);
        let mut columns = selection.nested_columns::<Variant>("nodes");
        selection.visit_named("edges", &mut |edges| {
            columns = columns.union(edges.nested_columns::<Variant>("node"));
        });
        let columns = columns.union(ColumnSet::from([variant::Column::Id, variant::Column::Position]));
        Self { product, columns, rows: OnceCell::const_new() }
    }

    async fn rows(&self, context: &RequestContext) -> Result<&Arc<[Arc<variant::Model>]>> {
        let key = ProductVariantsKey { product_id: self.product.row_id(), columns: self.columns };
        self.rows.get_or_try_init(|| async { Ok(context.load(key).await?.unwrap_or_default()) }).await
    }
}

impl PagedList for VariantList {
    type Row = Variant;

    async fn load_page(&self, context: &RequestContext, request: &PageRequest) -> Result<Page<Variant>> {
        let field = if request.backwards { "before" } else { "after" };
        let decode = |cursor: &String| Cursor::decode(cursor, SORT_TAG, &[CursorType::Int], field);
        let cursor = request.cursor.as_ref().map(decode).transpose()?;
        let is_on_page = |row: &&Arc<variant::Model>| {
            let Some(Cursor { values, id, .. }) = &cursor else { return true };
            let [CursorValue::Int(position)] = values.as_slice() else { return false };
            let place = (i64::from(row.position), row.id);
            if request.backwards { place < (*position, *id) } else { place > (*position, *id) }
        };
        let rows = self.rows(context).await?.iter();
        let to_variant = |row: &Arc<variant::Model>| Variant::with_product(Arc::clone(row), self.product.clone());
        // One more than the page, which tells whether another page exists.
        let limit = request.size + 1;
        let rows: Vec<Variant> = if request.backwards {
            rows.rev().filter(is_on_page).take(limit).map(to_variant).collect()
        } else {
            rows.filter(is_on_page).take(limit).map(to_variant).collect()
        };
        Ok(Page::from_rows(rows, request))
    }

    fn cursor(&self, variant: &Variant) -> String {
        let row = variant.row();
        Cursor { sort_tag: SORT_TAG, values: vec![CursorValue::Int(row.position.into())], id: row.id }.encode()
    }
}

impl CountedList for VariantList {
    async fn count(&self, context: &RequestContext) -> Result<i64> {
        Ok(i64::try_from(self.rows(context).await?.len()).unwrap_or(i64::MAX))
    }
}
