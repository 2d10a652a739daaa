//! Lists of products: every order, both directions, from any cursor. One statement a page.

use std::sync::Arc;

use chrono::DateTime;
use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    columns::ProductColumns,
    entity::product,
    filter::{Except, Sight, Wanted},
};
use crate::{
    base::{
        Error, Result,
        page::{Cursor, Key, Page, Window},
    },
    infra::Sql,
};

/// Past so many categories their products are found through the order's index, and not category by category.
const MERGE_LIMIT: usize = 128;

/// In which order products are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// The other way round.
    pub reverse: bool,
}

/// What products can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Featured ones first, then the newest.
    Best,
    /// How well the name fits the search, then the newest.
    Relevance,
    /// What a buyer pays now, cheapest first.
    Price,
    /// By the alphabet.
    Name,
    /// The newest first.
    Newest,
}

impl By {
    /// The mark in cursors.
    const fn tag(self) -> char {
        match self {
            Self::Best => 'b',
            Self::Relevance => 'r',
            Self::Price => 'p',
            Self::Name => 'n',
            Self::Newest => 't',
        }
    }

    /// The columns before the id. All of an order go the same way, so that one row comparison pages it.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Best => &["p.featured", "p.created_at"],
            Self::Relevance => &["score"],
            Self::Price => &["p.price_now"],
            Self::Name => &["p.name_key"],
            Self::Newest => &["p.created_at"],
        }
    }

    const fn falls(self) -> bool {
        matches!(self, Self::Best | Self::Relevance | Self::Newest)
    }

    /// The kinds of its keys, to tell a cursor from a forgery.
    fn shape(self) -> Vec<Key> {
        match self {
            Self::Best => vec![Key::Flag(false), Key::Time(DateTime::UNIX_EPOCH)],
            Self::Relevance | Self::Price => vec![Key::Int(0)],
            Self::Name => vec![Key::Text(String::new())],
            Self::Newest => vec![Key::Time(DateTime::UNIX_EPOCH)],
        }
    }
}

/// A product in a list, with its place.
#[derive(Debug, Clone)]
pub struct Row {
    /// The product.
    pub product: Arc<product::Model>,
    /// How well it fits the search; 0 where nothing is searched.
    pub score: i32,
}

impl Row {
    fn read(row: &QueryResult, columns: ProductColumns, scored: bool) -> Result<Self> {
        let score = if scored { row.try_get_by(0)? } else { 0 };
        Ok(Self { product: Arc::new(columns.read(row, usize::from(scored))?), score })
    }

    /// The cursor of this row in an order, whose columns it must have been read with.
    #[must_use]
    pub fn cursor(&self, order: Order) -> String {
        let product = &self.product;
        let keys = match order.by {
            By::Best => vec![Key::Flag(product.featured), Key::Time(product.created_at)],
            By::Relevance => vec![Key::Int(self.score.into())],
            By::Price => vec![Key::Int(product.price_now)],
            By::Name => vec![Key::Text(product.name_key.clone())],
            By::Newest => vec![Key::Time(product.created_at)],
        };
        Cursor { order: order.by.tag(), keys, id: product.id }.encode()
    }
}

impl Order {
    /// The columns that a cursor is made of.
    #[must_use]
    pub fn keys(self) -> ProductColumns {
        let none = ProductColumns { id: true, ..ProductColumns::default() };
        match self.by {
            By::Best => ProductColumns { featured: true, created_at: true, ..none },
            By::Relevance => none,
            By::Price => ProductColumns { price_now: true, ..none },
            By::Name => ProductColumns { name_key: true, ..none },
            By::Newest => ProductColumns { created_at: true, ..none },
        }
    }

    /// What `BEST_MATCH` means here, and whether this order can be at all.
    ///
    /// # Errors
    /// When relevance is asked for without a search.
    pub fn settle(self, wanted: &Wanted, searched: bool) -> Result<Self> {
        match self.by {
            By::Best if wanted.searches() => Ok(Self { by: By::Relevance, ..self }),
            By::Relevance if !searched => Err(Error::bad_input(
                "orderBy.field",
                "RELEVANCE is an order of search results: give `filter.search` too",
            )),
            By::Relevance if !wanted.searches() => Ok(Self { by: By::Best, ..self }),
            _ => Ok(self),
        }
    }
}

/// One page of the products that are wanted, with these columns of each. One statement.
///
/// # Errors
/// When the cursor is not one of this list, or the database cannot be asked.
pub async fn page(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    order: Order,
    window: &Window,
    columns: ProductColumns,
) -> Result<Page<Row>> {
    let field = if window.backwards { "before" } else { "after" };
    let shape = || order.by.shape();
    let cursor =
        window.cursor.as_deref().map(|text| Cursor::decode(text, order.by.tag(), &shape(), field)).transpose()?;
    if wanted.nothing {
        return Ok(Page { rows: Vec::new(), has_next: false, has_previous: false });
    }
    let mut sql = Sql::new(db.get_database_backend());
    let limit = i64::try_from(window.size + 1).unwrap_or(i64::MAX);
    let falls = order.by.falls() != (order.reverse != window.backwards);
    Select { wanted, order, cursor, falls, limit, columns }.write(&mut sql);
    let scored = order.by == By::Relevance;
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Row::read(row, columns, scored)).collect::<Result<Vec<_>>>()?;
    Ok(Page::settle(rows, window))
}

/// The statement of one page.
struct Select<'a> {
    wanted: &'a Wanted,
    order: Order,
    cursor: Option<Cursor>,
    falls: bool,
    limit: i64,
    columns: ProductColumns,
}

impl Select<'_> {
    fn write(&self, sql: &mut Sql) {
        let many = self.wanted.categories.as_ref().filter(|keys| (2..=MERGE_LIMIT).contains(&keys.len()));
        match many {
            // Each category's own index gives its first rows in order; merging those reads no more than is shown.
            Some(keys) if sql.postgres() && !self.wanted.searches() => {
                sql.push("SELECT ").push(&self.columns.of("p")).push(" FROM unnest(").ints(keys.iter().copied());
                sql.push(") AS c (id) CROSS JOIN LATERAL (");
                self.plain(sql, "SELECT p.*", " AND p.category_id = c.id");
                sql.push(") AS p");
                self.tail(sql);
            }
            _ => self.plain(sql, &format!("SELECT {}", self.columns.of("p")), ""),
        }
    }

    /// The rows of the categories, or of one that the statement around it names.
    fn plain(&self, sql: &mut Sql, select: &str, category: &str) {
        let scored = self.order.by == By::Relevance;
        if scored && let Some(query) = &self.wanted.query {
            let columns = self.columns.of("p");
            sql.push("SELECT p.score, ").push(&columns).push(" FROM (SELECT p.*, ");
            score(sql, query);
            sql.push(" AS score");
        } else {
            sql.push(select);
        }
        self.wanted.from(sql, &Except::Nothing);
        if category.is_empty() {
            self.wanted.and_category(sql);
        } else {
            sql.push(category);
        }
        if scored {
            sql.push(") AS p WHERE true");
        }
        self.keyset(sql);
        self.tail(sql);
    }

    /// ` AND (columns, id) < (values)`: the rows past the cursor.
    fn keyset(&self, sql: &mut Sql) {
        let Some(cursor) = &self.cursor else { return };
        sql.push(" AND (");
        for column in self.order.by.columns() {
            sql.push(column).push(", ");
        }
        sql.push(if self.falls { "p.id) < (" } else { "p.id) > (" });
        for key in &cursor.keys {
            match key {
                Key::Int(value) => sql.bind(*value),
                Key::Flag(value) => sql.bind(*value),
                Key::Time(value) => sql.bind(*value),
                Key::Text(value) => sql.bind(value.as_str()),
            };
            sql.push(", ");
        }
        sql.bind(cursor.id).push(")");
    }

    fn tail(&self, sql: &mut Sql) {
        let way = if self.falls { " DESC" } else { "" };
        sql.push(" ORDER BY ");
        for column in self.order.by.columns() {
            sql.push(column).push(way).push(", ");
        }
        // Written out: a limit that is bound is planned for anew at every execution, which costs as much as the page.
        sql.push("p.id").push(way).push(&format!(" LIMIT {}", self.limit));
    }
}

/// How well a product's name fits: 4 it is the sku or the name, 3 the name begins so, 2 all words are in the name.
fn score(sql: &mut Sql, query: &super::search::Query) {
    sql.push("CASE WHEN EXISTS (SELECT 1 FROM variant AS x WHERE x.product_id = p.id AND x.deleted_at IS NULL AND lower(x.sku) = ");
    sql.bind(query.key.as_str());
    let key = sql.count();
    sql.push(") OR p.name_key = ").place(key).push(" THEN 4 WHEN substr(p.name_key, 1, length(").place(key);
    sql.push(")) = ").place(key).push(" THEN 3 WHEN ");
    let expression =
        query.expression(if sql.postgres() { sea_orm::DbBackend::Postgres } else { sea_orm::DbBackend::Sqlite });
    if sql.postgres() {
        sql.push("s.name @@ ").bind(expression).push("::text::tsquery");
    } else {
        sql.push("p.id IN (SELECT rowid FROM product_search WHERE product_search MATCH ");
        sql.bind(format!("{{name}} : ({expression})")).push(")");
    }
    sql.push(" THEN 2 ELSE 1 END");
}

/// How many products are wanted. One statement; without a filter it adds up what the categories know.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(db: &impl ConnectionTrait, wanted: &Wanted) -> Result<i64> {
    if wanted.nothing {
        return Ok(0);
    }
    let mut sql = Sql::new(db.get_database_backend());
    if wanted.is_only_category() {
        sql.push("SELECT CAST(COALESCE(SUM(p.products), 0) AS BIGINT) AS many FROM category_tally AS p WHERE true");
        wanted.and_category(&mut sql);
    } else {
        sql.push("SELECT COUNT(*) AS many");
        wanted.from(&mut sql, &Except::Nothing);
        wanted.and_category(&mut sql);
    }
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "many"))?)
}

/// Which product is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// By key.
    Key(i64),
    /// By its name in addresses.
    Slug(&'a str),
    /// By the number of any of its variants.
    Sku(&'a str),
}

/// One product, if whoever asks may see it, with these columns. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(
    db: &impl ConnectionTrait,
    (named, sight): (Named<'_>, Sight),
    columns: ProductColumns,
) -> Result<Option<product::Model>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT ").push(&columns.of("p")).push(" FROM product AS p WHERE ").push(sight.condition());
    match named {
        Named::Key(key) => sql.push(" AND p.id = ").bind(key),
        Named::Slug(slug) => sql.push(" AND p.slug = ").bind(slug),
        Named::Sku(sku) => {
            sql.push(" AND p.id = (SELECT v.product_id FROM variant AS v WHERE v.deleted_at IS NULL AND v.sku = ");
            sql.bind(sku).push(")")
        }
    };
    let row = db.query_one_raw(sql.statement()).await?;
    row.map(|row| columns.read(&row, 0)).transpose()
}
