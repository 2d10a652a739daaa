//! Pages and counts of order lists.
//!
//! As SQL text, because pages compare rows and have a literal limit, and on PostgreSQL merge the rows of each status
//! combination from one index.

use sea_orm::ConnectionTrait;

use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    customer::OwnerScope,
    infra::{SqlBuilder, keyset},
    order::{
        OrderRow,
        entity::orders,
        number,
        order_filter::{OrderListFilter, OrderSearchTerms, ResolvedOrderFilter},
    },
};

/// Columns of the status lists of a filter.
const STATUS_COLUMNS: [&str; 3] = ["status", "payment_status", "fulfillment_status"];

/// Returns one page of orders. Statements: 1.
///
/// With status conditions, PostgreSQL reads the first rows of each status combination from the index in list order and
/// merges them: a page of a rare status costs as much as a page of a frequent one.
///
/// # Errors
/// Returns `BadUserInput` if the cursor does not belong to this list.
pub async fn list_orders(
    db: &impl ConnectionTrait,
    filter: &ResolvedOrderFilter,
    page_request: &PageRequest,
) -> Result<Page<OrderRow>> {
    let page = filter.sort.keyset().resolve(page_request)?;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let status_lists = filter.indexed_status_lists().filter(|_| sql.is_postgres());
    if let Some(status_lists) = &status_lists {
        sql.push("SELECT ").push_columns::<orders::Entity>("o").push(" FROM ");
        for (column, list) in STATUS_COLUMNS.into_iter().zip(status_lists) {
            sql.push("unnest(")
                .bind_texts(list.iter().map(String::as_str))
                .push(&format!(") AS by_{column} ({column}) CROSS JOIN "));
        }
        sql.push("LATERAL (SELECT o.* FROM orders AS o WHERE true");
        for column in STATUS_COLUMNS {
            sql.push(&format!(" AND o.{column} = by_{column}.{column}"));
        }
        filter.push_other_conditions(&mut sql);
    } else {
        sql.push("SELECT ").push_columns::<orders::Entity>("o").push(" FROM orders AS o WHERE true");
        filter.push_conditions(&mut sql);
    }
    page.push_condition(&mut sql);
    if status_lists.is_some() {
        // The index by status, and no other, sorts `NULLS FIRST`.
        page.push_nulls_first_order_and_limit(&mut sql);
        sql.push(") AS o");
    }
    page.push_order_and_limit(&mut sql);
    page.load(db, sql).await
}

/// Returns the number of matching orders. Statements: 1, with cost proportional to that number.
pub async fn count_orders(db: &impl ConnectionTrait, filter: &ResolvedOrderFilter) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT COUNT(*) FROM orders AS o WHERE true");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

impl ResolvedOrderFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        // If one status is selected, all three columns get a condition: the index by status begins with the order
        // status.
        let status_lists =
            self.indexed_status_lists().map_or_else(|| self.status_lists(), |status_lists| status_lists.map(Some));
        for (column, list) in STATUS_COLUMNS.into_iter().zip(status_lists) {
            if let Some(list) = list {
                sql.push(" AND ").eq_any_text(&format!("o.{column}"), list.iter().map(String::as_str));
            }
        }
        self.push_other_conditions(sql);
    }

    fn push_other_conditions(&self, sql: &mut SqlBuilder) {
        let OrderListFilter { placed_from, placed_to, updated_from, updated_to, account, number, sku, .. } =
            &self.filter;
        let OrderListFilter { min_total, max_total, .. } = &self.filter;
        if let OwnerScope::Account(owner_id) = self.owner_scope {
            sql.push(" AND o.account_id = ").bind(owner_id);
        }
        if let Some(account) = account {
            sql.push(" AND o.account_id = ").bind(*account);
        }
        sql.and_within("o.placed_at", *placed_from, *placed_to);
        sql.and_within("o.updated_at", *updated_from, *updated_to);
        if let Some(min_total) = min_total {
            sql.push(" AND o.total >= ").bind(*min_total);
        }
        if let Some(max_total) = max_total {
            sql.push(" AND o.total <= ").bind(*max_total);
        }
        if let Some(input) = number {
            sql.push(" AND o.number = ").bind(number::parse_order_number(input).unwrap_or_default());
        }
        if let Some(sku) = sku {
            sql.push(" AND o.id IN (SELECT l.order_id FROM order_line AS l WHERE ");
            sql.push(indexed_expression(sql.is_postgres(), "lower(l.sku)"))
                .push(" = ")
                .bind(sku.trim().to_lowercase())
                .push(")");
        }
        self.push_search_condition(sql);
    }

    fn push_search_condition(&self, sql: &mut SqlBuilder) {
        let Some(OrderSearchTerms { name, email, phone, number }) = &self.search_terms else { return };
        let postgres = sql.is_postgres();
        sql.push(" AND (");
        sql.starts_with(indexed_expression(postgres, "o.number"), number);
        sql.push(" OR ");
        sql.starts_with(indexed_expression(postgres, "lower(o.email)"), email);
        sql.push(" OR ");
        sql.starts_with("o.customer_name_normalized", name);
        if let Some(phone) = phone {
            sql.push(" OR ");
            sql.starts_with(indexed_expression(postgres, "o.phone"), phone);
        }
        sql.push(")");
    }
}

/// Returns a column in the form of its index (PostgreSQL: collation "C").
fn indexed_expression(postgres: bool, column: &'static str) -> &'static str {
    match (postgres, column) {
        (true, "o.number") => "o.number COLLATE \"C\"",
        (true, "lower(o.email)") => "lower(o.email) COLLATE \"C\"",
        (true, "o.phone") => "o.phone COLLATE \"C\"",
        (true, "lower(l.sku)") => "lower(l.sku) COLLATE \"C\"",
        _ => column,
    }
}
