//! Which products a caller wants, as conditions of one statement.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, ConnectionTrait};

use super::{draft::Status, search, tree::Tree};
use crate::{
    base::{Error, Result, page, text},
    identity::{Caller, Permission},
    infra::Sql,
};

/// What everybody may see. The partial indexes are written in the same words, so that they serve.
pub const VISIBLE: &str = "p.status = 'active' AND p.deleted_at IS NULL";
/// What staff may see: everything that is there.
const THERE: &str = "p.deleted_at IS NULL";

/// Which products somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sight {
    /// What is on sale.
    #[default]
    Shopper,
    /// What is not on sale too.
    Staff,
}

impl Sight {
    /// Returns what a caller sees: staff who write the catalog see all of it.
    #[must_use]
    pub fn of(caller: Caller) -> Self {
        if caller.permissions().has(Permission::CatalogWrite) { Self::Staff } else { Self::Shopper }
    }

    /// As a condition on the product `p`.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Shopper => VISIBLE,
            Self::Staff => THERE,
        }
    }
}

/// The most values in one list of a filter.
const LIST_LIMIT: usize = 100;
/// The most options in a filter: each is looked for anew in every facet of the others.
const OPTION_LIMIT: usize = 10;

/// What a caller asks for. What is `None` or empty does not narrow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// A category by key; everything below it counts.
    pub category: Option<i64>,
    /// Words to search for.
    pub search: Option<String>,
    /// What a buyer pays now, in minor units, both ends included.
    pub price: (Option<i64>, Option<i64>),
    /// Something of it can be bought now.
    pub in_stock: Option<bool>,
    /// It is cheaper than usual now.
    pub on_sale: Option<bool>,
    /// Shown first.
    pub featured: Option<bool>,
    /// One of these makers.
    pub vendors: Vec<String>,
    /// At least one of these tags.
    pub tags: Vec<String>,
    /// One variant that has, of each option, one of the values.
    pub options: Vec<(String, Vec<String>)>,
    /// Made in this time: from, up to but not including.
    pub created: Span,
    /// Last changed in this time.
    pub updated: Span,
    /// Where they stand in their life: staff only. What is on sale where nothing is said.
    pub status: Vec<Status>,
}

/// A span of time, open where nothing is said.
pub type Span = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// One part of a filter, which a facet leaves out to count its own alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Except {
    /// Leave out nothing.
    Nothing,
    /// The price.
    Price,
    /// The makers.
    Vendors,
    /// The tags.
    Tags,
    /// The options.
    Options,
}

/// A filter that was checked and understood: ready to become SQL.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The keys of the category and all below it; `None` for the whole shop.
    pub categories: Option<Vec<i64>>,
    /// Where the category is in the tree.
    pub category: Option<usize>,
    /// The search, understood.
    pub query: Option<search::Query>,
    filter: Filter,
    /// Nothing can match.
    pub nothing: bool,
}

impl Filter {
    /// Checks the filter and understands its words: one statement if it searches, none otherwise.
    ///
    /// # Errors
    /// When it asks for what cannot be.
    pub async fn understand(self, db: &impl ConnectionTrait, tree: &Tree) -> Result<Wanted> {
        self.check()?;
        let query = match &self.search {
            Some(typed) => Some(search::Query::read(db, typed).await?),
            None => None,
        };
        let category = self.category.map(|key| tree.find(key));
        let place = category.flatten();
        Ok(Wanted {
            categories: place.map(|place| tree.subtree(place).iter().map(|node| node.id).collect()),
            category: place,
            // A category that is gone, or a search without a word, finds nothing.
            nothing: category == Some(None) || query == Some(None),
            query: query.flatten(),
            filter: Self { options: merge(self.options), ..self },
        })
    }

    fn check(&self) -> Result<()> {
        if self.search.as_ref().is_some_and(|typed| typed.chars().count() > search::TEXT_LIMIT) {
            let message = format!("a search has at most {} characters", search::TEXT_LIMIT);
            return Err(Error::bad_input("filter.search", message));
        }
        let lists = [
            ("filter.vendors", self.vendors.len(), LIST_LIMIT),
            ("filter.tags", self.tags.len(), LIST_LIMIT),
            ("filter.options", self.options.len(), OPTION_LIMIT),
        ];
        let values = self.options.iter().map(|(_, values)| ("filter.options.values", values.len(), LIST_LIMIT));
        for (field, count, limit) in lists.into_iter().chain(values) {
            if count > limit {
                return Err(Error::bad_input(field, format!("at most {limit}; there are {count}")));
            }
        }
        for (field, (from, to)) in [("filter.createdAt", self.created), ("filter.updatedAt", self.updated)] {
            if [from, to].iter().flatten().any(|at| !page::in_range(at)) {
                return Err(Error::bad_input(field, "the year must be from 1 to 9999"));
            }
        }
        Ok(())
    }
}

/// The same option twice means one of all its values.
fn merge(options: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for (name, values) in options.into_iter().filter(|(_, values)| !values.is_empty()) {
        let (name, values) = (text::key(&name), values.iter().map(|value| text::key(value)));
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(values),
            None => merged.push((name, values.collect())),
        }
    }
    merged
}

impl Wanted {
    /// Whether nothing but the category narrows it.
    #[must_use]
    pub fn is_only_category(&self) -> bool {
        self.query.is_none() && Filter { category: None, ..self.filter.clone() } == Filter::default()
    }

    /// Whether it searches.
    #[must_use]
    pub fn searches(&self) -> bool {
        self.query.is_some()
    }

    /// The folded names of the options it asks for.
    pub fn option_names(&self) -> impl Iterator<Item = &str> {
        self.filter.options.iter().map(|(name, _)| name.as_str())
    }

    /// ` FROM product AS p … WHERE …` for everything but the category.
    pub fn from(&self, sql: &mut Sql, except: &Except) {
        sql.push(" FROM product AS p");
        if let Some(query) = &self.query {
            if sql.postgres() {
                sql.push(" JOIN product_search AS s ON s.product_id = p.id AND s.document @@ ");
                sql.bind(query.expression(sea_orm::DbBackend::Postgres)).push("::text::tsquery");
            } else {
                sql.push(" JOIN product_search AS s ON s.rowid = p.id AND product_search MATCH ");
                sql.bind(query.expression(sea_orm::DbBackend::Sqlite));
            }
        }
        sql.push(" WHERE ");
        self.visible(sql);
        self.conditions(sql, except);
    }

    /// What is on sale, or what stands where staff have said. The words are those of the partial indexes.
    fn visible(&self, sql: &mut Sql) {
        let status = &self.filter.status;
        if status.is_empty() {
            sql.push(VISIBLE);
            return;
        }
        sql.push(THERE).push(" AND ");
        if !status.contains(&Status::Active) {
            sql.push("p.status <> 'active' AND ");
        }
        let words: Vec<String> = status.iter().map(ActiveEnum::to_value).collect();
        sql.any_text("p.status", words.iter().map(String::as_str));
    }

    /// ` AND p.category_id …`, if it asks for a category.
    pub fn and_category(&self, sql: &mut Sql) {
        match self.categories.as_deref() {
            None => {}
            Some([one]) => {
                sql.push(" AND p.category_id = ").bind(*one);
            }
            Some(many) => {
                sql.push(" AND ").any("p.category_id", many.iter().copied());
            }
        }
    }

    fn conditions(&self, sql: &mut Sql, except: &Except) {
        let Filter {
            category: _,
            search: _,
            price,
            in_stock,
            on_sale,
            featured,
            vendors,
            tags,
            options,
            created,
            updated,
            status: _,
        } = &self.filter;
        if *except != Except::Price {
            range(sql, "p.price_now", *price, "<=");
        }
        for (column, flag) in
            [("p.in_stock", in_stock), ("p.sale_price IS NOT NULL", on_sale), ("p.featured", featured)]
        {
            match flag {
                Some(true) => sql.push(" AND (").push(column).push(")"),
                Some(false) => sql.push(" AND NOT (").push(column).push(")"),
                None => sql,
            };
        }
        let keys = |texts: &[String]| texts.iter().map(|text| text::key(text)).collect::<Vec<_>>();
        if !vendors.is_empty() && *except != Except::Vendors {
            sql.push(" AND ").any_text("p.vendor_key", keys(vendors).iter().map(String::as_str));
        }
        if !tags.is_empty() && *except != Except::Tags {
            sql.push(" AND EXISTS (SELECT 1 FROM product_tag AS t WHERE t.product_id = p.id AND ");
            sql.any_text("t.tag_key", keys(tags).iter().map(String::as_str)).push(")");
        }
        if !options.is_empty() && *except != Except::Options {
            sql.push(" AND EXISTS (SELECT 1 FROM variant AS v WHERE v.product_id = p.id AND v.deleted_at IS NULL");
            self.and_choices(sql, None);
            sql.push(")");
        }
        range(sql, "p.created_at", *created, "<");
        range(sql, "p.updated_at", *updated, "<");
    }

    /// ` AND …`: the variant `v` has, of each option asked for but the one named here, one of the values.
    pub fn and_choices(&self, sql: &mut Sql, but: Option<&str>) {
        for (name, values) in self.filter.options.iter().filter(|(name, _)| but != Some(name)) {
            sql.push(" AND EXISTS (SELECT 1 FROM variant_option AS c WHERE c.variant_id = v.id AND c.name_key = ");
            sql.bind(name.as_str()).push(" AND ").any_text("c.value_key", values.iter().map(String::as_str)).push(")");
        }
    }
}

fn range<T: Into<sea_orm::Value>>(sql: &mut Sql, column: &str, (from, to): (Option<T>, Option<T>), below: &str) {
    if let Some(from) = from {
        sql.push(" AND ").push(column).push(" >= ").bind(from);
    }
    if let Some(to) = to {
        sql.push(" AND ").push(column).push(" ").push(below).push(" ").bind(to);
    }
}
