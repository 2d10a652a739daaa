//! Pages of a search by relevance, as text: the tiers one after another, each walked or gathered.
//!
//! The steps of the statement are common table expressions with at most as many rows as the page, and each is evaluated
//! only while those before it have not filled the page: the condition that counts their rows does not depend on a row, so
//! both databases evaluate it once, before they read anything. So the tiers are read from one snapshot, and the number of
//! statements does not depend on what is found.

use sea_orm::DbBackend;

use super::{
    pinned_products,
    product_filter::PUBLISHED_CONDITION,
    search_pages::{
        MAX_WALKED_DOCUMENTS, MAX_WALKED_PRODUCTS, SearchPage, count_walked, has_more, probe_frame,
        push_document_and_where, push_document_lookup, push_filtered, push_fts_match, push_given, push_product,
    },
};
use crate::{
    base::{Result, pagination::CursorValue},
    catalog::search::{
        tier::SearchTier,
        way::{SearchWay, SearchWays},
    },
    infra::SqlBuilder,
};

/// Condition on `p`: the name begins with the search text, and is longer.
const BEGINS: &str =
    "p.name_normalized > (SELECT prefix FROM given) AND p.name_normalized < (SELECT prefix_end FROM given)";
/// Further condition on `p`: the name has the first character of the search text. Must contain the expression of an index.
const SAME_FIRST_CHARACTER: &str = " AND substr(p.name_normalized, 1, 1) = substr((SELECT prefix FROM given), 1, 1)";
/// Condition on `p`: the name is not the search text, and does not begin with it.
const OTHER_NAME: &str = "p.name_normalized <> (SELECT name FROM given) AND NOT \
    (p.name_normalized > (SELECT prefix FROM given) AND p.name_normalized < (SELECT prefix_end FROM given))";

/// A step of the statement that finds products of a tier.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchStep {
    name: &'static str,
    pub(super) tier: SearchTier,
    pub(super) is_walk: bool,
    /// The probe that a walk depends on.
    probe: Option<&'static str>,
}

/// The statement of a page, under construction.
pub(super) struct TierStatement<'a> {
    backend: DbBackend,
    page: SearchPage<'a>,
    pub(super) sql: SqlBuilder,
    pub(super) steps: Vec<SearchStep>,
    /// Whether it has all tiers, from that of the cursor on.
    pub(super) is_complete: bool,
    /// The tier of the cursor.
    first_tier: Option<SearchTier>,
    /// Condition on `p`: no variant has the search text as its SKU, and it is not pinned.
    other_sku: &'static str,
    /// Whether the matches that satisfy the filter are a set, `filtered`.
    has_filtered: bool,
}

impl<'a> TierStatement<'a> {
    /// Returns the statement of a page, without the tiers behind `last_tier`.
    pub(super) fn build(
        backend: DbBackend,
        ways: &SearchWays,
        page: SearchPage<'a>,
        last_tier: Option<SearchTier>,
    ) -> Result<Self> {
        let first_tier = pinned_products::cursor_tier(page)?;
        let (sql, other_sku) = (SqlBuilder::new(backend), pinned_products::other_sku(page.query));
        let mut statement = Self {
            backend,
            page,
            sql,
            steps: Vec::new(),
            is_complete: true,
            first_tier,
            other_sku,
            has_filtered: false,
        };
        statement.push_given();
        let mut tiers = SearchTier::BEST_FIRST;
        if !page.list.descending {
            tiers.reverse();
        }
        let is_last_before =
            |tier: SearchTier| last_tier.is_some_and(|last| page.list.is_tier_before(last.rank(), tier.rank()));
        for tier in tiers.into_iter().skip_while(|tier| first_tier.is_some_and(|first| first != *tier)) {
            if !statement.steps.is_empty() && is_last_before(tier) {
                statement.is_complete = false;
                break;
            }
            let way = ways.find(page.list, Some(tier));
            match tier {
                SearchTier::Pinned => statement.push_pinned(),
                SearchTier::Exact => statement.push_exact(),
                SearchTier::Begins | SearchTier::InName | SearchTier::Rest => statement.push_found(tier, way),
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
        self.steps.push(SearchStep { name, tier, is_walk: false, probe: None });
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
        let Some(CursorValue::Time(ranked_at)) = cursor.values.get(1) else { return };
        let operator = if self.page.list.descending { "<" } else { ">" };
        self.sql.push(&format!(" AND ({alias}.ranked_at, {alias}.{id}) {operator} ("));
        self.sql.bind(*ranked_at).push(", ").bind(cursor.id).push(")");
    }

    /// Appends the order within a tier, and a limit.
    fn push_order(&mut self, alias: &str, id: &str, limit: usize) {
        let direction = self.direction();
        let order = format!(" ORDER BY {alias}.ranked_at{direction}, {alias}.{id}{direction} LIMIT {limit}");
        self.sql.push(&order);
    }

    const fn direction(&self) -> &'static str {
        if self.page.list.descending { " DESC" } else { "" }
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
            push_product(&mut this.sql, this.page.list.filter, "c.id");
            push_document_and_where(&mut this.sql);
            this.sql.push(pinned_products::not_pinned(this.page.query)).push(" AND ");
            this.push_gate();
            this.push_position(SearchTier::Exact, "p", "id");
            this.push_order("p", "id", this.page.keyset.row_limit());
        });
    }

    /// Appends the steps of a tier that is found by names or words, in a way: a probe, a walk, and the gathering of all
    /// matches.
    fn push_found(&mut self, tier: SearchTier, way: SearchWay) {
        let [probe, walk, found, gather] = match tier {
            SearchTier::Begins => ["begins_probe", "begins_walk", "begins_found", "begins_gather"],
            SearchTier::Rest => ["rest_probe", "rest_walk", "rest_found", "rest_gather"],
            _ => ["name_probe", "name_walk", "name_found", "name_gather"],
        };
        let columns = if self.knows_times(tier) { "id, ranked_at" } else { "id" };
        if tier != SearchTier::Begins
            && !self.has_filtered
            && self.page.list.filter.is_filtered_in_search_index(&self.sql)
        {
            self.push_set("filtered", |this| {
                push_filtered(&mut this.sql, this.page.list.filter);
                this.push_gate();
            });
            self.has_filtered = true;
        }
        let used_probe = (way == SearchWay::Probe).then_some(probe);
        if let Some(probe) = used_probe {
            let [start, end] = probe_frame(self.backend, probe, columns);
            self.sql.push(&start);
            self.push_matches(tier);
            self.sql.push(&end);
        }
        if way != SearchWay::Gather {
            self.push_walk(walk, tier, used_probe);
        }
        self.push_set(found, |this| {
            if let Some(probe) = used_probe {
                this.sql.push(&format!("SELECT {columns} FROM {probe} WHERE NOT {} UNION ALL ", has_more(probe)));
            }
            this.push_matches(tier);
            this.sql.push(&used_probe.map(|probe| format!(" AND {}", has_more(probe))).unwrap_or_default());
        });
        self.push_gather(gather, tier, found);
    }

    /// Appends the selection of the matches of a tier, if the page is not full. A name is read from the index of names, and
    /// may have other words than the search.
    fn push_matches(&mut self, tier: SearchTier) {
        let is_rest = tier == SearchTier::Rest;
        if tier == SearchTier::Begins {
            self.sql.push("SELECT p.id, p.ranked_at FROM product AS p WHERE ");
            self.push_gate();
            self.sql.push(&format!(" AND {PUBLISHED_CONDITION} AND {BEGINS}"));
            self.push_position(tier, "p", "id");
        } else if !self.sql.is_postgres() {
            self.sql.push("SELECT rowid AS id FROM product_search WHERE ");
            self.push_gate();
            let column = if is_rest { "words" } else { "name_words" };
            self.sql.push(&format!(" AND product_search MATCH (SELECT {column} FROM given)"));
            if is_rest {
                self.sql.push(" AND +rowid NOT IN (");
                push_fts_match(&mut self.sql, "name_words");
                self.sql.push(")");
            }
        } else if self.has_filtered {
            self.sql.push("SELECT p.id, p.ranked_at FROM filtered AS p WHERE ").push(if is_rest { "NOT " } else { "" });
            self.sql.push("p.in_name AND ");
            self.push_gate();
            self.push_position(tier, "p", "id");
        } else if is_rest {
            self.sql.push("SELECT s.product_id AS id, s.ranked_at FROM product_search AS s WHERE ");
            self.push_gate();
            self.sql.push(" AND s.document @@ (SELECT words FROM given) AND NOT (s.name @@ (SELECT words FROM given))");
            self.push_position(tier, "s", "product_id");
        } else {
            self.sql.push("SELECT n.product_id AS id, n.ranked_at FROM product_search_name AS n WHERE ");
            self.push_gate();
            self.sql.push(" AND n.words @@ (SELECT words FROM given)");
            self.push_position(tier, "n", "product_id");
        }
    }

    /// Returns whether the times of the matches of a tier are known without reading their products.
    fn knows_times(&self, tier: SearchTier) -> bool {
        tier == SearchTier::Begins || self.sql.is_postgres()
    }

    /// Appends `WHERE …`: the conditions of a tier on a product `p` that was found by its name or its words.
    fn push_tier_conditions(&mut self, tier: SearchTier) {
        if tier == SearchTier::Begins {
            push_document_and_where(&mut self.sql);
        } else {
            self.sql.push(&format!(" WHERE {OTHER_NAME}"));
        }
        self.sql.push(" AND ").push(self.other_sku);
    }

    /// Appends the step that reads the newest products, and keeps those of the tier.
    fn push_walk(&mut self, name: &'static str, tier: SearchTier, probe: Option<&'static str>) {
        let limit = self.page.keyset.row_limit();
        let walked = if tier == SearchTier::Rest { MAX_WALKED_DOCUMENTS } else { MAX_WALKED_PRODUCTS };
        let more = probe.map(|probe| format!(" AND {}", has_more(probe))).unwrap_or_default();
        self.push_set(name, |this| match tier {
            SearchTier::Begins => {
                let more = format!("{more}{SAME_FIRST_CHARACTER}");
                this.push_newest_products(tier, "p.id, p.ranked_at, p.name_normalized", &more, walked, "w");
                push_product(&mut this.sql, this.page.list.filter, "w.id");
                this.push_tier_conditions(tier);
                this.sql.push(" AND ").push(&BEGINS.replace("p.", "w."));
                this.push_order("w", "id", limit);
            }
            _ if this.sql.is_postgres() => {
                this.sql.push("SELECT p.id FROM (SELECT n.product_id, n.ranked_at, n.words");
                this.sql.push(" FROM product_search_name AS n WHERE ");
                this.push_gate();
                this.sql.push(&more);
                this.push_position(tier, "n", "product_id");
                this.push_order("n", "product_id", walked);
                this.sql.push(") AS w");
                if tier == SearchTier::Rest {
                    push_document_lookup(&mut this.sql, "w.product_id");
                }
                push_product(&mut this.sql, this.page.list.filter, "w.product_id");
                this.push_tier_conditions(tier);
                let negation = if tier == SearchTier::Rest { "NOT " } else { "" };
                this.sql.push(&format!(" AND {negation}(w.words @@ (SELECT words FROM given))"));
                this.push_order("w", "product_id", limit);
            }
            _ => {
                this.push_newest_products(tier, "p.*", &more, walked, "p");
                this.push_tier_conditions(tier);
                this.sql.push(" AND +p.id IN (");
                push_fts_match(&mut this.sql, if tier == SearchTier::Rest { "words" } else { "name_words" });
                if tier == SearchTier::Rest {
                    this.sql.push(") AND +p.id NOT IN (");
                    push_fts_match(&mut this.sql, "name_words");
                }
                this.sql.push(") AND ");
                this.page.list.filter.push_product_conditions(&mut this.sql);
                this.push_order("p", "id", limit);
            }
        });
        self.steps.push(SearchStep { name, tier, is_walk: true, probe });
    }

    /// Appends `SELECT p.id FROM (…) AS …`: the newest products that a walk reads, if the page is not full.
    fn push_newest_products(&mut self, tier: SearchTier, columns: &str, more: &str, limit: usize, alias: &str) {
        self.sql.push(&format!("SELECT p.id FROM (SELECT {columns} FROM product AS p WHERE "));
        self.push_gate();
        self.sql.push(more).push(" AND ").push(PUBLISHED_CONDITION);
        self.push_position(tier, "p", "id");
        self.push_order("p", "id", limit);
        self.sql.push(&format!(") AS {alias}"));
    }

    /// Appends the step that sorts the matches of a tier. Where their times are known, products are read in that order, and
    /// only as many as the page has.
    fn push_gather(&mut self, name: &'static str, tier: SearchTier, found: &'static str) {
        let limit = self.page.keyset.row_limit();
        self.push_step(name, tier, |this| {
            let knows_times = this.knows_times(tier);
            this.sql.push("SELECT p.id FROM ");
            if knows_times {
                // SQLite sorts the products instead.
                let offset = if this.sql.is_postgres() { " OFFSET 0" } else { "" };
                let direction = this.direction();
                let order = format!("ORDER BY m.ranked_at{direction}, m.id{direction}{offset}");
                this.sql.push("(SELECT m.id, m.ranked_at FROM ").push(found).push(" AS m ").push(&order).push(")");
            } else {
                this.sql.push(found);
            }
            this.sql.push(" AS c");
            push_product(&mut this.sql, this.page.list.filter, "c.id");
            this.push_tier_conditions(tier);
            if !knows_times {
                this.push_position(tier, "p", "id");
            }
            this.push_order(if knows_times { "c" } else { "p" }, "id", limit);
        });
    }

    /// Appends the rows of the steps. A walk and the gathering of a tier may both have found a product.
    fn push_result(&mut self) {
        let direction = self.direction();
        let Self { page, sql, steps, .. } = self;
        sql.push(" SELECT f.tier");
        for step in steps.iter().filter(|step| step.is_walk) {
            sql.push(", ").push(&count_walked(step.name, step.probe));
        }
        sql.push(", ").push(&page.columns.select_list("p")).push(" FROM (");
        for (index, step) in steps.iter().enumerate() {
            let union = if index == 0 { "" } else { " UNION " };
            // Each pinned product has its own rank.
            let tier = if step.tier == SearchTier::Pinned { "tier".to_owned() } else { step.tier.rank().to_string() };
            sql.push(&format!("{union}SELECT {tier} AS tier, id FROM {}", step.name));
        }
        let order =
            format!("f.tier{direction}, p.ranked_at{direction}, p.id{direction} LIMIT {}", page.keyset.row_limit());
        sql.push(") AS f JOIN product AS p ON p.id = f.id ORDER BY ").push(&order);
    }
}
