//! Pages of a search by relevance, as text: the tiers one after another, each walked or gathered.
//!
//! The steps of the statement are common table expressions with at most as many rows as the page, and each is evaluated
//! only while those before it have not filled the page: the condition that counts their rows does not depend on a row, so
//! both databases evaluate it once, before they read anything. So the tiers are read from one snapshot, and the number of
//! statements does not depend on what is found.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::{
    pinned_products,
    product_filter::PUBLISHED_CONDITION,
    product_queries::ProductRow,
    search_pages::{
        MAX_WALKED_DOCUMENTS, MAX_WALKED_PRODUCTS, SearchPage, push_document_and_where, push_document_lookup,
        push_fts_match, push_given, push_product,
    },
};
use crate::{
    base::{
        Result,
        pagination::{CursorValue, Page, PageRequest},
    },
    catalog::search::{tier::SearchTier, way::SearchWays},
    infra::SqlBuilder,
};

/// Maximum number of names that are read and sorted to find those that begin with a text; more are walked.
pub const MAX_SORTED_NAMES: usize = 500;

/// Condition on `p`: the name begins with the search text.
const BEGINS: &str =
    "(p.name_normalized >= (SELECT name FROM given) AND p.name_normalized < (SELECT name_end FROM given))";
/// Condition on `p`: the name is not the search text.
const OTHER_NAME: &str = "p.name_normalized <> (SELECT name FROM given)";
/// A step of the statement that finds products of a tier.
#[derive(Debug, Clone, Copy)]
struct SearchStep {
    name: &'static str,
    tier: SearchTier,
    is_walk: bool,
}

/// The statement of a page, under construction.
struct TierStatement<'a> {
    page: SearchPage<'a>,
    sql: SqlBuilder,
    steps: Vec<SearchStep>,
    /// The tier of the cursor.
    first_tier: Option<SearchTier>,
    /// Condition on `p`: no variant has the search text as its SKU, and it is not pinned.
    other_sku: &'static str,
}

/// Returns a page of a search by relevance. Statements: 1.
pub(super) async fn load_tiered_page(
    db: &impl ConnectionTrait,
    ways: &SearchWays,
    page: SearchPage<'_>,
    request: &PageRequest,
) -> Result<Page<ProductRow>> {
    let statement = TierStatement::build(db.get_database_backend(), ways, page)?;
    let (steps, columns) = (statement.steps, page.columns);
    let rows = db.query_all_raw(statement.sql.into_statement()).await?;
    if request.cursor.is_none() {
        remember_short_walks(ways, page, &steps, &rows)?;
    }
    let first_index = 1 + steps.iter().filter(|step| step.is_walk).count();
    let to_row = |row: &QueryResult| ProductRow::read(row, columns, first_index, row.try_get_by(0)?);
    let rows = rows.iter().map(to_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(rows, request))
}

/// Returns the condition that more names begin with the search text than are sorted.
fn many_names() -> String {
    format!("(SELECT COUNT(*) FROM named) > {MAX_SORTED_NAMES}")
}

/// Returns the statement of a page of a search by relevance.
pub(super) fn build_tiered_page(backend: DbBackend, ways: &SearchWays, page: SearchPage<'_>) -> Result<Statement> {
    Ok(TierStatement::build(backend, ways, page)?.sql.into_statement())
}

/// Remembers the tiers whose walk did not fill the page. Behind the tier, each row has the number of rows of each walk.
fn remember_short_walks(
    ways: &SearchWays,
    page: SearchPage<'_>,
    steps: &[SearchStep],
    rows: &[QueryResult],
) -> Result<()> {
    let limit = page.keyset.row_limit();
    let tiers: Vec<i32> = rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?;
    for (index, step) in steps.iter().filter(|step| step.is_walk).enumerate() {
        if rows.is_empty() && step.tier == SearchTier::Begins {
            continue;
        }
        let is_before =
            |rank: &&i32| if page.list.descending { **rank > step.tier.rank() } else { **rank < step.tier.rank() };
        let earlier_count = tiers.iter().filter(is_before).count();
        let walked: i64 = rows.first().map_or(Ok(0), |row| row.try_get_by(1 + index))?;
        if earlier_count < limit && earlier_count + usize::try_from(walked).unwrap_or(limit) < limit {
            ways.remember_gathered(page.list, Some(step.tier));
        }
    }
    Ok(())
}

impl<'a> TierStatement<'a> {
    fn build(backend: DbBackend, ways: &SearchWays, page: SearchPage<'a>) -> Result<Self> {
        let first_tier = pinned_products::cursor_tier(page)?;
        let (sql, other_sku) = (SqlBuilder::new(backend), pinned_products::other_sku(page.query));
        let mut statement = Self { page, sql, steps: Vec::new(), first_tier, other_sku };
        statement.push_given();
        let mut tiers = SearchTier::BEST_FIRST;
        if !page.list.descending {
            tiers.reverse();
        }
        for tier in tiers.into_iter().skip_while(|tier| first_tier.is_some_and(|first| first != *tier)) {
            let is_walked = !ways.is_gathered(page.list, Some(tier));
            match tier {
                SearchTier::Pinned => statement.push_pinned(),
                SearchTier::Exact => statement.push_exact(),
                SearchTier::Begins => statement.push_begins(is_walked),
                SearchTier::InName => statement.push_in_name(is_walked),
                SearchTier::Rest => statement.push_rest(is_walked),
            }
        }
        statement.push_result();
        Ok(statement)
    }

    /// Appends the search text as a row, and the products of which a variant has it as its SKU.
    fn push_given(&mut self) {
        push_given(&mut self.sql, self.page.query);
        self.sql.push(", sku_match AS MATERIALIZED (SELECT v.product_id FROM variant AS v WHERE v.deleted_at IS NULL");
        self.sql.push(" AND lower(v.sku) = (SELECT sku FROM given))");
        pinned_products::push_pinned_sets(&mut self.sql, self.page);
    }

    /// Appends a step: a statement that selects the ids of products `p`.
    fn push_step(&mut self, name: &'static str, tier: SearchTier, push_body: impl FnOnce(&mut Self)) {
        self.push_set(name, push_body);
        self.steps.push(SearchStep { name, tier, is_walk: name.ends_with("_walk") });
    }

    /// Appends a set of products that a step reads, which is not a step itself.
    fn push_set(&mut self, name: &'static str, push_body: impl FnOnce(&mut Self)) {
        self.sql.push(", ").push(name).push(" AS MATERIALIZED (");
        push_body(self);
        self.sql.push(")");
    }

    /// Appends the condition that the steps so far have not filled the page.
    fn push_gate(&mut self) {
        let Self { page, sql, steps, .. } = self;
        if steps.is_empty() {
            sql.push("true");
            return;
        }
        sql.push("(SELECT COUNT(*) FROM (");
        for (index, step) in steps.iter().enumerate() {
            sql.push(if index == 0 { "SELECT id FROM " } else { " UNION SELECT id FROM " }).push(step.name);
        }
        sql.push(&format!(") AS found) < {}", page.keyset.row_limit()));
    }

    /// Appends ` AND …`: the products after the cursor, which are in the tier of the cursor.
    fn push_position(&mut self, tier: SearchTier, alias: &str, id: &str) {
        let Some(cursor) = self.page.keyset.cursor().filter(|_| self.first_tier == Some(tier)) else { return };
        let Some(CursorValue::Time(created_at)) = cursor.values.get(1) else { return };
        let operator = if self.page.list.descending { "<" } else { ">" };
        self.sql.push(&format!(" AND ({alias}.created_at, {alias}.{id}) {operator} ("));
        self.sql.bind(*created_at).push(", ").bind(cursor.id).push(")");
    }

    /// Appends the order within a tier, and a limit.
    fn push_order(&mut self, alias: &str, id: &str, limit: usize) {
        let direction = self.direction();
        let order = format!(" ORDER BY {alias}.created_at{direction}, {alias}.{id}{direction} LIMIT {limit}");
        self.sql.push(&order);
    }

    const fn direction(&self) -> &'static str {
        if self.page.list.descending { " DESC" } else { "" }
    }

    /// Appends a join with the product of an id, if it satisfies the filter.
    fn push_product(&mut self, id: &str) {
        push_product(&mut self.sql, self.page.list.filter, id);
    }

    fn push_pinned(&mut self) {
        let is_first = self.first_tier == Some(SearchTier::Pinned);
        // Nothing to add, unless no other step remains.
        if is_first || !self.page.query.pinned_ids().is_empty() {
            self.push_step("pinned", SearchTier::Pinned, |this| {
                pinned_products::push_pinned_page(&mut this.sql, this.page, is_first);
                this.push_gate();
            });
        }
    }

    fn push_exact(&mut self) {
        self.push_step("exact", SearchTier::Exact, |this| {
            this.sql.push("SELECT p.id FROM (SELECT p.id FROM product AS p WHERE ").push(PUBLISHED_CONDITION);
            this.sql
                .push(" AND p.name_normalized = (SELECT name FROM given) UNION SELECT product_id FROM sku_match) AS c");
            this.push_product("c.id");
            push_document_and_where(&mut this.sql);
            this.sql.push(pinned_products::not_pinned(this.page.query)).push(" AND ");
            this.push_gate();
            this.push_position(SearchTier::Exact, "p", "id");
            this.push_order("p", "id", this.page.keyset.row_limit());
        });
    }

    /// A few names are read by the index of names and sorted; many are walked or gathered.
    fn push_begins(&mut self, is_walked: bool) {
        const TIER: SearchTier = SearchTier::Begins;
        let limit = self.page.keyset.row_limit();
        self.push_set("named", |this| {
            this.sql.push("SELECT p.id FROM product AS p WHERE ");
            this.push_gate();
            this.sql.push(" AND ").push(PUBLISHED_CONDITION).push(" AND ").push(BEGINS);
            this.sql.push(&format!(" ORDER BY p.name_normalized, p.id LIMIT {}", MAX_SORTED_NAMES + 1));
        });
        let push_rest = |this: &mut Self, condition: &str| {
            push_document_and_where(&mut this.sql);
            this.sql.push(" AND ").push(OTHER_NAME).push(" AND ").push(this.other_sku).push(" AND ").push(condition);
            this.push_position(TIER, "p", "id");
            this.push_order("p", "id", limit);
        };
        self.push_step("begins", TIER, |this| {
            this.sql.push("SELECT p.id FROM named AS c");
            this.push_product("c.id");
            push_rest(this, &format!("NOT ({})", many_names()));
        });
        if is_walked {
            self.push_step("begins_walk", TIER, |this| {
                this.sql.push("SELECT p.id FROM (SELECT p.* FROM product AS p WHERE ");
                this.push_gate();
                this.sql.push(" AND ").push(&many_names()).push(" AND ").push(PUBLISHED_CONDITION);
                this.push_position(TIER, "p", "id");
                this.push_order("p", "id", MAX_WALKED_PRODUCTS);
                this.sql.push(") AS p");
                push_document_and_where(&mut this.sql);
                this.sql.push(&format!(" AND {BEGINS} AND {OTHER_NAME} AND {} AND ", this.other_sku));
                this.page.list.filter.push_product_conditions(&mut this.sql);
                this.push_order("p", "id", limit);
            });
        }
        self.push_set("begins_found", |this| {
            this.sql.push("SELECT p.id FROM product AS p WHERE ");
            this.push_gate();
            this.sql
                .push(" AND ")
                .push(&many_names())
                .push(" AND ")
                .push(PUBLISHED_CONDITION)
                .push(" AND ")
                .push(BEGINS);
        });
        self.push_step("begins_gather", TIER, |this| {
            this.sql.push("SELECT p.id FROM begins_found AS c");
            this.push_product("c.id");
            push_rest(this, "true");
        });
    }

    fn push_in_name(&mut self, is_walked: bool) {
        if is_walked {
            self.push_walk("name_walk", SearchTier::InName);
        }
        self.push_set("name_found", |this| {
            if this.sql.is_postgres() {
                this.sql.push("SELECT n.product_id AS id, n.created_at FROM product_search_name AS n WHERE ");
                this.push_gate();
                this.sql.push(" AND n.words @@ (SELECT words FROM given)");
                this.push_position(SearchTier::InName, "n", "product_id");
            } else {
                this.sql.push("SELECT rowid AS id FROM product_search WHERE ");
                this.push_gate();
                this.sql.push(" AND product_search MATCH (SELECT name_words FROM given)");
            }
        });
        self.push_gather("name_gather", SearchTier::InName, "name_found");
    }

    fn push_rest(&mut self, is_walked: bool) {
        if is_walked {
            self.push_walk("rest_walk", SearchTier::Rest);
        }
        self.push_set("rest_found", |this| {
            if this.sql.is_postgres() {
                this.sql.push("SELECT s.product_id AS id FROM product_search AS s WHERE ");
                this.push_gate();
                this.sql.push(" AND s.document @@ (SELECT words FROM given)");
                this.sql.push(" AND NOT (s.name @@ (SELECT words FROM given))");
            } else {
                this.sql.push("SELECT rowid AS id FROM product_search WHERE ");
                this.push_gate();
                this.sql.push(" AND product_search MATCH (SELECT words FROM given) AND +rowid NOT IN (");
                push_fts_match(&mut this.sql, "name_words");
                this.sql.push(")");
            }
        });
        self.push_gather("rest_gather", SearchTier::Rest, "rest_found");
    }

    /// Appends the step that reads the newest products, and keeps those of the tier.
    fn push_walk(&mut self, name: &'static str, tier: SearchTier) {
        let limit = self.page.keyset.row_limit();
        let walked = if tier == SearchTier::Rest { MAX_WALKED_DOCUMENTS } else { MAX_WALKED_PRODUCTS };
        self.push_step(name, tier, |this| {
            if this.sql.is_postgres() {
                this.sql.push("SELECT w.product_id AS id FROM (SELECT n.product_id, n.created_at, n.words");
                this.sql.push(" FROM product_search_name AS n WHERE ");
                this.push_gate();
                this.push_position(tier, "n", "product_id");
                this.push_order("n", "product_id", walked);
                this.sql.push(") AS w");
                if tier == SearchTier::Rest {
                    push_document_lookup(&mut this.sql, "w.product_id");
                }
                this.push_product("w.product_id");
                let negation = if tier == SearchTier::Rest { "NOT " } else { "" };
                this.sql.push(&format!(" WHERE {negation}(w.words @@ (SELECT words FROM given)) AND NOT {BEGINS}"));
                this.sql.push(" AND ").push(this.other_sku);
                this.push_order("w", "product_id", limit);
            } else {
                this.sql.push("SELECT p.id FROM (SELECT p.* FROM product AS p WHERE ");
                this.push_gate();
                this.sql.push(" AND ").push(PUBLISHED_CONDITION);
                this.push_position(tier, "p", "id");
                this.push_order("p", "id", walked);
                this.sql.push(") AS p WHERE +p.id IN (");
                push_fts_match(&mut this.sql, if tier == SearchTier::Rest { "words" } else { "name_words" });
                if tier == SearchTier::Rest {
                    this.sql.push(") AND +p.id NOT IN (");
                    push_fts_match(&mut this.sql, "name_words");
                }
                this.sql.push(&format!(") AND NOT {BEGINS} AND {} AND ", this.other_sku));
                this.page.list.filter.push_product_conditions(&mut this.sql);
                this.push_order("p", "id", limit);
            }
        });
    }

    /// Appends the step that sorts the matches of a tier. Where their times are known, products are read in that order, and
    /// only as many as the page has.
    fn push_gather(&mut self, name: &'static str, tier: SearchTier, found: &'static str) {
        let limit = self.page.keyset.row_limit();
        self.push_step(name, tier, |this| {
            let is_sorted = this.sql.is_postgres() && tier == SearchTier::InName;
            if is_sorted {
                let direction = this.direction();
                let order = format!("ORDER BY m.created_at{direction}, m.id{direction} OFFSET 0");
                this.sql.push("SELECT p.id FROM (SELECT m.id, m.created_at FROM ").push(found);
                this.sql.push(" AS m ").push(&order).push(") AS c");
            } else {
                this.sql.push("SELECT p.id FROM ").push(found).push(" AS c");
            }
            this.push_product("c.id");
            this.sql.push(&format!(" WHERE NOT {BEGINS} AND {}", this.other_sku));
            if is_sorted {
                this.push_order("c", "id", limit);
            } else {
                this.push_position(tier, "p", "id");
                this.push_order("p", "id", limit);
            }
        });
    }

    /// Appends the rows of the steps. A walk and the gathering of a tier may both have found a product.
    fn push_result(&mut self) {
        let direction = self.direction();
        let Self { page, sql, steps, .. } = self;
        sql.push(" SELECT f.tier");
        for step in steps.iter().filter(|step| step.is_walk) {
            let count = format!("(SELECT COUNT(*) FROM {})", step.name);
            if step.tier == SearchTier::Begins {
                // Few names are not walked, which is not in vain.
                let limit = page.keyset.row_limit();
                sql.push(&format!(", CASE WHEN {} THEN {count} ELSE {limit} END", many_names()));
            } else {
                sql.push(", ").push(&count);
            }
        }
        sql.push(", ").push(&page.columns.select_list("p")).push(" FROM (");
        for (index, step) in steps.iter().enumerate() {
            let union = if index == 0 { "" } else { " UNION " };
            // Each pinned product has its own rank.
            let tier = if step.tier == SearchTier::Pinned { "tier".to_owned() } else { step.tier.rank().to_string() };
            sql.push(&format!("{union}SELECT {tier} AS tier, id FROM {}", step.name));
        }
        sql.push(") AS f JOIN product AS p ON p.id = f.id");
        sql.push(&format!(" ORDER BY f.tier{direction}, p.created_at{direction}, p.id{direction}"));
        sql.push(&format!(" LIMIT {}", page.keyset.row_limit()));
    }
}
