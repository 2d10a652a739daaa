//! Product lists: every sort order, both directions, keyset pagination. One statement per page,
//! as text: the filter's conditions, and the pages of each category's index merged. With a search, all matches are ranked;
//! `search_pages` reads fewer where it can.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult};

use super::{
    pinned_products,
    product_filter::{ExcludedFacet, ProductVisibility, ResolvedCatalogFilter},
};
use crate::{
    base::{
        Error, Result,
        pagination::{CursorType, CursorValue, Page, PageRequest},
    },
    catalog::{
        entity::{product, variant},
        projection::ProductColumns,
        search::{SearchQuery, tier::SearchTier},
    },
    infra::{
        SqlBuilder,
        keyset::{self, KeysetOrder, KeysetPage},
        sql_builder::query_rows,
    },
};

/// Maximum number of categories read by category index and merged; beyond it, the index of the sort order is used.
const MAX_MERGED_CATEGORIES: usize = 128;

/// Sort order of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductSort {
    /// The sort key.
    pub sort_key: ProductSortKey,
    /// Whether the order is reversed.
    pub reverse: bool,
}

/// Sort keys of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductSortKey {
    /// Featured products first, then the newest.
    BestMatch,
    /// How well the name matches the search, then the newest.
    Relevance,
    /// Current price, lowest first.
    Price,
    /// Name, alphabetically.
    Name,
    /// Newest first.
    Newest,
    /// Last changed first.
    UpdatedAt,
    /// Most units sold in the period that sales are counted in first.
    BestSelling,
    /// Highest discount of the current price first.
    Discount,
}

impl ProductSortKey {
    /// Returns the sort tag of cursors.
    pub(super) const fn cursor_tag(self) -> char {
        match self {
            Self::BestMatch => 'b',
            Self::Relevance => 'r',
            Self::Price => 'p',
            Self::Name => 'n',
            Self::Newest => 't',
            Self::UpdatedAt => 'u',
            Self::BestSelling => 's',
            Self::Discount => 'd',
        }
    }

    /// Returns the columns before the id.
    const fn sort_columns(self) -> &'static [(&'static str, CursorType)] {
        match self {
            Self::BestMatch => &[("p.featured", CursorType::Bool), ("p.created_at", CursorType::Time)],
            Self::Relevance => &[("p.tier", CursorType::Int), ("p.ranked_at", CursorType::Time)],
            Self::Price => &[("p.current_price", CursorType::Int)],
            Self::Name => &[("p.name_normalized", CursorType::Text)],
            Self::Newest => &[("p.created_at", CursorType::Time)],
            Self::UpdatedAt => &[("p.updated_at", CursorType::Time)],
            Self::BestSelling => &[("p.units_sold", CursorType::Int)],
            Self::Discount => &[("p.discount_percent", CursorType::Int)],
        }
    }

    const fn is_descending(self) -> bool {
        !matches!(self, Self::Price | Self::Name)
    }
}

/// The part of a list of products that is requested.
#[derive(Debug, Clone, Copy)]
pub struct ProductWindow<'a> {
    /// The sort order.
    pub sort: ProductSort,
    /// The page.
    pub request: &'a PageRequest,
    /// The columns to read; of a page with cursors also [`ProductSort::cursor_columns`].
    pub columns: ProductColumns,
}

/// A product in a list, with the tier of its search.
#[derive(Debug, Clone)]
pub struct ProductRow {
    /// The product.
    pub product: Arc<product::Model>,
    /// Rank of the tier in an order by relevance, else 0.
    pub tier: i32,
}

impl ProductRow {
    /// Reads the columns of a row from an index on.
    pub(super) fn read(row: &QueryResult, columns: ProductColumns, first_index: usize, tier: i32) -> Result<Self> {
        Ok(Self { product: Arc::new(columns.read(row, first_index)?), tier })
    }

    /// Returns the cursor of this row. Its [`ProductSort::cursor_columns`] must have been read.
    #[must_use]
    pub fn cursor(&self, sort: ProductSort) -> String {
        let product = &self.product;
        let values = match sort.sort_key {
            ProductSortKey::BestMatch => {
                vec![CursorValue::Bool(product.featured), CursorValue::Time(product.created_at)]
            }
            ProductSortKey::Relevance => {
                vec![CursorValue::Int(self.tier.into()), CursorValue::Time(product.ranked_at)]
            }
            ProductSortKey::Price => vec![CursorValue::Int(product.current_price)],
            ProductSortKey::Name => vec![CursorValue::Text(product.name_normalized.clone())],
            ProductSortKey::Newest => vec![CursorValue::Time(product.created_at)],
            ProductSortKey::UpdatedAt => vec![CursorValue::Time(product.updated_at)],
            ProductSortKey::BestSelling => vec![CursorValue::Int(product.units_sold)],
            ProductSortKey::Discount => vec![CursorValue::Int(product.discount_percent)],
        };
        sort.keyset().cursor(values, product.id)
    }
}

impl ProductSort {
    pub(super) const fn keyset(self) -> KeysetOrder {
        let Self { sort_key, reverse } = self;
        KeysetOrder {
            tag: sort_key.cursor_tag(),
            columns: sort_key.sort_columns(),
            id_column: "p.id",
            descending: sort_key.is_descending() != reverse,
        }
    }

    /// Returns the columns that a cursor contains.
    #[must_use]
    pub fn cursor_columns(self) -> ProductColumns {
        use product::Column::{
            CreatedAt, CurrentPrice, DiscountPercent, Featured, Id, NameNormalized, RankedAt, UnitsSold, UpdatedAt,
        };
        match self.sort_key {
            ProductSortKey::BestMatch => ProductColumns::from([Id, Featured, CreatedAt]),
            ProductSortKey::Price => ProductColumns::from([Id, CurrentPrice]),
            ProductSortKey::Name => ProductColumns::from([Id, NameNormalized]),
            ProductSortKey::Relevance => ProductColumns::from([Id, RankedAt]),
            ProductSortKey::Newest => ProductColumns::from([Id, CreatedAt]),
            ProductSortKey::UpdatedAt => ProductColumns::from([Id, UpdatedAt]),
            ProductSortKey::BestSelling => ProductColumns::from([Id, UnitsSold]),
            ProductSortKey::Discount => ProductColumns::from([Id, DiscountPercent]),
        }
    }

    /// Resolves `BEST_MATCH` for a filter, and validates the sort key.
    ///
    /// # Errors
    /// Returns `BadUserInput` if relevance is requested without a search.
    pub fn resolve(self, filter: &ResolvedCatalogFilter, has_search_text: bool) -> Result<Self> {
        match self.sort_key {
            ProductSortKey::BestMatch if filter.has_search() => {
                Ok(Self { sort_key: ProductSortKey::Relevance, ..self })
            }
            ProductSortKey::Relevance if !has_search_text => {
                Err(Error::bad_input("sort.field", "RELEVANCE is an order of search results: give `filter.search` too"))
            }
            ProductSortKey::Relevance if !filter.has_search() => {
                Ok(Self { sort_key: ProductSortKey::BestMatch, ..self })
            }
            _ => Ok(self),
        }
    }
}

/// Returns one page of the matching products with the given columns. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn load_product_page(
    db: &impl ConnectionTrait,
    filter: &ResolvedCatalogFilter,
    window: &ProductWindow<'_>,
) -> Result<Page<ProductRow>> {
    let ProductWindow { sort, request: page_request, columns } = *window;
    let keyset_page = sort.keyset().resolve(page_request)?;
    if filter.matches_nothing {
        return Ok(Page { rows: Vec::new(), has_next: false, has_previous: false });
    }
    let mut sql = SqlBuilder::new(db.get_database_backend());
    ProductPageQuery { filter, sort, page: keyset_page, columns }.push_sql(&mut sql);
    let is_ranked = sort.sort_key == ProductSortKey::Relevance;
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let to_row = |row: &QueryResult| {
        let tier = if is_ranked { row.try_get_by(0)? } else { 0 };
        ProductRow::read(row, columns, usize::from(is_ranked), tier)
    };
    let rows = rows.iter().map(to_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(rows, page_request))
}

/// The statement of one page.
struct ProductPageQuery<'a> {
    filter: &'a ResolvedCatalogFilter,
    sort: ProductSort,
    page: KeysetPage<'a>,
    columns: ProductColumns,
}

impl ProductPageQuery<'_> {
    fn push_sql(&self, sql: &mut SqlBuilder) {
        let merged_category_ids = self
            .filter
            .category_ids
            .as_ref()
            .filter(|category_ids| (2..=MAX_MERGED_CATEGORIES).contains(&category_ids.len()));
        match merged_category_ids {
            // The index of each category yields its first rows in order; merging them reads no more rows than are
            // shown.
            Some(category_ids) if sql.is_postgres() && !self.filter.has_search() => {
                sql.push("SELECT ")
                    .push(&self.columns.select_list("p"))
                    .push(" FROM unnest(")
                    .bind_ints(category_ids.iter().copied());
                sql.push(") AS c (id) CROSS JOIN LATERAL (");
                self.push_select(sql, "SELECT p.*", " AND p.category_id = c.id");
                sql.push(") AS p");
                self.page.push_order_and_limit(sql);
            }
            _ => self.push_select(sql, &format!("SELECT {}", self.columns.select_list("p")), ""),
        }
    }

    /// Appends the rows of the filtered categories, or of the one category in the condition `category`.
    fn push_select(&self, sql: &mut SqlBuilder, select: &str, category: &str) {
        let is_ranked = self.sort.sort_key == ProductSortKey::Relevance;
        if is_ranked && let Some(query) = &self.filter.search_query {
            let columns = self.columns.select_list("p");
            sql.push("SELECT p.tier, ").push(&columns).push(" FROM (SELECT p.*, ");
            push_search_tier(sql, query);
            sql.push(" AS tier");
        } else {
            sql.push(select);
        }
        self.filter.push_from_clause(sql, &ExcludedFacet::None);
        if category.is_empty() {
            self.filter.push_category_condition(sql);
        } else {
            sql.push(category);
        }
        if is_ranked {
            sql.push(") AS p WHERE true");
        }
        self.page.push_condition(sql);
        self.page.push_order_and_limit(sql);
    }
}

/// Appends the rank of the [`SearchTier`] of `p`.
fn push_search_tier(sql: &mut SqlBuilder, query: &SearchQuery) {
    sql.push("CASE");
    pinned_products::push_ranks(sql, query);
    sql.push(" WHEN p.name_normalized = ").bind(query.normalized_text.as_str());
    let text_parameter = sql.bind_count();
    // Evaluated once, not for each product.
    sql.push(" OR p.id IN (SELECT x.product_id FROM variant AS x WHERE x.deleted_at IS NULL AND lower(x.sku) = ");
    sql.placeholder(text_parameter).push(&format!(") THEN {}", SearchTier::Exact.rank()));
    sql.push(" WHEN substr(p.name_normalized, 1, length(").bind(query.name_prefix());
    let prefix_parameter = sql.bind_count();
    sql.push(")) = ").placeholder(prefix_parameter).push(&format!(" THEN {} WHEN ", SearchTier::Begins.rank()));
    if sql.is_postgres() {
        sql.push("s.name @@ ").bind(query.to_match_expression(DbBackend::Postgres)).push("::text::tsquery");
    } else {
        sql.push("p.id IN (SELECT rowid FROM product_search WHERE product_search MATCH ");
        sql.bind(format!("{{name}} : ({})", query.to_match_expression(DbBackend::Sqlite))).push(")");
    }
    sql.push(&format!(" THEN {} ELSE {} END", SearchTier::InName.rank(), SearchTier::Rest.rank()));
}

/// Number of products of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductCount {
    /// The number; at most [`MAX_COUNTED_PRODUCTS`] if it is not exact.
    pub value: i64,
    /// Whether it is exact: there are more products otherwise.
    pub is_exact: bool,
}

/// Number of matching products up to which they are counted.
pub const MAX_COUNTED_PRODUCTS: i64 = 10_000;

/// Returns the number of matching products, counted up to a limit. Statements: 1; without a filter it sums the category
/// tallies, which is always exact.
pub async fn count_products(db: &impl ConnectionTrait, filter: &ResolvedCatalogFilter) -> Result<ProductCount> {
    if filter.matches_nothing {
        return Ok(ProductCount { value: 0, is_exact: true });
    }
    let mut sql = SqlBuilder::new(db.get_database_backend());
    if filter.is_only_category() {
        sql.push(
            "SELECT CAST(COALESCE(SUM(p.product_count), 0) AS BIGINT) FROM category_product_count AS p WHERE true",
        );
        filter.push_category_condition(&mut sql);
        return Ok(ProductCount { value: keyset::load_count(db, sql).await?, is_exact: true });
    }
    sql.push("SELECT COUNT(*) FROM (SELECT p.id");
    filter.push_matches_clause(&mut sql, &ExcludedFacet::None);
    sql.push(&format!(" LIMIT {}) AS counted", MAX_COUNTED_PRODUCTS + 1));
    let count = keyset::load_count(db, sql).await?;
    Ok(ProductCount { value: count.min(MAX_COUNTED_PRODUCTS), is_exact: count <= MAX_COUNTED_PRODUCTS })
}

/// Lookup key of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductLookup<'a> {
    /// By id.
    Id(i64),
    /// By URL slug.
    Slug(&'a str),
    /// By SKU of any of its variants.
    Sku(&'a str),
}

/// Lookup key of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantLookup {
    /// By id.
    Id(i64),
    /// By SKU.
    Sku(String),
    /// By barcode; the oldest variant if several have it.
    Barcode(String),
}

/// Returns an active variant of a product that the caller may see. Statements: 1.
pub async fn find_variant(
    db: &impl ConnectionTrait,
    lookup: &VariantLookup,
    visibility: ProductVisibility,
) -> Result<Option<variant::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ")
        .push_columns::<variant::Entity>("v")
        .push(" FROM variant AS v JOIN product AS p ON p.id = v.product_id WHERE v.deleted_at IS NULL AND ");
    sql.push(visibility.sql_condition());
    match lookup {
        VariantLookup::Id(variant_id) => sql.push(" AND v.id = ").bind(*variant_id),
        VariantLookup::Sku(sku) => sql.push(" AND v.sku = ").bind(sku.as_str()),
        VariantLookup::Barcode(barcode) => sql.push(" AND v.barcode = ").bind(barcode.as_str()),
    };
    sql.push(" ORDER BY v.id LIMIT 1");
    Ok(query_rows(db, sql).await?.into_iter().next())
}

/// Returns a product with the given columns, if the caller may see it. Statements: 1.
pub async fn find_product(
    db: &impl ConnectionTrait,
    lookup: ProductLookup<'_>,
    visibility: ProductVisibility,
    columns: ProductColumns,
) -> Result<Option<product::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ")
        .push(&columns.select_list("p"))
        .push(" FROM product AS p WHERE ")
        .push(visibility.sql_condition());
    match lookup {
        ProductLookup::Id(product_id) => sql.push(" AND p.id = ").bind(product_id),
        ProductLookup::Slug(slug) => sql.push(" AND p.slug = ").bind(slug),
        ProductLookup::Sku(sku) => {
            sql.push(" AND p.id = (SELECT v.product_id FROM variant AS v WHERE v.deleted_at IS NULL AND v.sku = ");
            sql.bind(sku).push(")")
        }
    };
    let row = db.query_one_raw(sql.into_statement()).await?;
    row.map(|row| columns.read(&row, 0)).transpose()
}
