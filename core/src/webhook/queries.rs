//! Statements of endpoints and deliveries, and their lists for staff.

mod sending;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, sea_query::Expr};

use super::{
    WebhookEventType,
    entity::{
        WebhookDeliveryStatus, WebhookEndpointStatus, webhook_attempt, webhook_delivery, webhook_endpoint,
        webhook_event, webhook_subscription,
    },
};
use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    infra::{
        Db, SqlBuilder, Tx, eq_any,
        keyset::{self, KeysetOrder},
        sql_builder::{group_by_owner, query_rows},
    },
};

pub(super) use sending::{
    DueDelivery, block_deliveries, find_next_due_times, load_due_deliveries, load_endpoints, lock_endpoints,
    unblock_successors,
};

/// The key of PostgreSQL's advisory lock of the fan-out: an arbitrary number not used elsewhere.
const FAN_OUT_LOCK_KEY: i64 = 7_365_761_092;

/// The key of a row.
#[derive(Debug, FromQueryResult)]
struct KeyRow {
    key: i64,
}

/// Waits until no other transaction creates deliveries. On SQLite there is a single writer. Statements: 1.
///
/// As text, because it calls a function of PostgreSQL.
pub(super) async fn lock_fan_out(tx: &Tx) -> Result<()> {
    if tx.sql().is_postgres() {
        let mut sql = tx.sql();
        sql.push("SELECT pg_advisory_xact_lock(").bind(FAN_OUT_LOCK_KEY).push(")");
        tx.query_one_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Returns the endpoints that get events of a type, ascending: active ones, and paused ones, for which events wait.
/// Statements: 1.
///
/// As text, because it is a join without its other columns.
pub(super) async fn find_subscribed_endpoints(
    db: &impl ConnectionTrait,
    event_type: WebhookEventType,
) -> Result<Vec<i64>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT s.endpoint_id AS key FROM webhook_subscription AS s JOIN webhook_endpoint AS e ");
    sql.push("ON e.id = s.endpoint_id WHERE s.event_type = ").bind(event_type);
    sql.push(" AND e.status IN ('active', 'paused') ORDER BY s.endpoint_id");
    let rows: Vec<KeyRow> = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Returns active endpoints with deliveries that were due before a time and no job that sends them. Statements: 1.
///
/// As text, because jobs are found by a key that contains the endpoint's.
pub(super) async fn find_stalled_endpoints(db: &Db, due_before: DateTime<Utc>) -> Result<Vec<i64>> {
    let mut sql = db.sql();
    sql.push("SELECT e.id AS key FROM webhook_endpoint AS e WHERE e.status = 'active' AND EXISTS (SELECT 1 ");
    sql.push("FROM webhook_delivery AS d WHERE d.endpoint_id = e.id AND d.status = 'pending' AND NOT d.is_blocked ");
    sql.push("AND d.next_attempt_at < ").bind(due_before);
    sql.push(
        ") AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.ordering_key = 'webhook ' || e.id \
         AND j.status IN ('pending', 'running')) ORDER BY e.id",
    );
    let rows: Vec<KeyRow> = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Fails the pending deliveries of endpoints that are not active and were requested before a time. Those that waited for
/// them are unblocked when the endpoint is activated. Statements: 1.
///
/// As text, because it compares with rows of another table.
pub(super) async fn fail_waiting_deliveries(tx: &Tx, requested_before: DateTime<Utc>) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push(
        "UPDATE webhook_delivery SET status = 'failed', next_attempt_at = NULL, is_blocked = false, \
         last_error = COALESCE(last_error, ",
    );
    sql.bind("the endpoint was not active for too long").push("), updated_at = ").bind(tx.now());
    sql.push(" WHERE status = 'pending' AND requested_at < ").bind(requested_before);
    sql.push(" AND endpoint_id IN (SELECT id FROM webhook_endpoint WHERE status <> 'active')");
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Lets the sender decide again which pending deliveries of an endpoint wait for others. Statements: 1.
pub(super) async fn unblock_deliveries(tx: &Tx, endpoint_id: i64) -> Result<()> {
    webhook_delivery::Entity::update_many()
        .col_expr(webhook_delivery::Column::IsBlocked, Expr::value(false))
        .filter(webhook_delivery::Column::EndpointId.eq(endpoint_id))
        .filter(webhook_delivery::Column::IsBlocked.eq(true))
        .filter(Expr::cust("status = 'pending'"))
        .exec(tx)
        .await?;
    Ok(())
}

/// A selection of deliveries to repeat.
#[derive(Debug, Clone)]
pub struct RedeliverySelection {
    /// The endpoint.
    pub endpoint_id: i64,
    /// The status; `None` for delivered and failed ones.
    pub status: Option<WebhookDeliveryStatus>,
    /// The earliest creation time, inclusive.
    pub created_from: DateTime<Utc>,
    /// The latest creation time, exclusive.
    pub created_until: DateTime<Utc>,
}

/// Returns the beginning of the statement that makes deliveries pending again.
fn begin_repetition(tx: &Tx) -> SqlBuilder {
    let mut sql = tx.sql();
    sql.push("UPDATE webhook_delivery SET status = 'pending', failures = 0, delivered_at = NULL, next_attempt_at = ");
    sql.bind(tx.now()).push(", requested_at = ").bind(tx.now()).push(", updated_at = ").bind(tx.now());
    sql
}

/// Makes a finished delivery pending again; returns how many. Statements: 1.
///
/// As text, because it shares its columns with [`repeat_deliveries`].
pub(super) async fn repeat_delivery(tx: &Tx, delivery_id: i64) -> Result<u64> {
    let mut sql = begin_repetition(tx);
    sql.push(" WHERE status <> 'pending' AND id = ").bind(delivery_id);
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Makes finished deliveries pending again, at most `limit`, the oldest first; returns how many. Statements: 1.
///
/// As text, because the number of updated rows is limited.
pub(super) async fn repeat_deliveries(tx: &Tx, selection: &RedeliverySelection, limit: u32) -> Result<u64> {
    let RedeliverySelection { endpoint_id, status, created_from, created_until } = selection;
    let mut sql = begin_repetition(tx);
    sql.push(" WHERE id IN (SELECT d.id FROM webhook_delivery AS d WHERE d.endpoint_id = ").bind(*endpoint_id);
    sql.push(" AND d.status <> 'pending' AND d.created_at >= ").bind(*created_from);
    sql.push(" AND d.created_at < ").bind(*created_until);
    if let Some(status) = status {
        sql.push(" AND d.status = ").bind(*status);
    }
    sql.push(&format!(" ORDER BY d.id LIMIT {limit})"));
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Selects the deliveries that were created before a time and are not pending.
pub(super) fn find_old_deliveries(created_before: DateTime<Utc>) -> sea_orm::Select<webhook_delivery::Entity> {
    webhook_delivery::Entity::find()
        .filter(webhook_delivery::Column::CreatedAt.lt(created_before))
        .filter(webhook_delivery::Column::Status.ne(WebhookDeliveryStatus::Pending))
}

/// Deletes events without deliveries that were created before a time, at most `limit`; returns how many. Statements: 1.
///
/// As text, because it compares with rows of another table and the number of rows is limited.
pub(super) async fn delete_unused_events(tx: &Tx, created_before: DateTime<Utc>, limit: u32) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM webhook_event WHERE id IN (SELECT e.id FROM webhook_event AS e WHERE e.created_at < ");
    sql.bind(created_before);
    sql.push(" AND NOT EXISTS (SELECT 1 FROM webhook_delivery AS d WHERE d.event_id = e.id)");
    sql.push(&format!(" ORDER BY e.id LIMIT {limit})"));
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// A filter of endpoints. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default)]
pub struct WebhookEndpointFilter {
    /// The status.
    pub status: Option<WebhookEndpointStatus>,
}

/// Newest first.
const ENDPOINT_ORDER: KeysetOrder = KeysetOrder { tag: 'w', columns: &[], id_column: "e.id", descending: true };

impl webhook_endpoint::Model {
    /// Returns the endpoint's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        ENDPOINT_ORDER.cursor(Vec::new(), self.id)
    }
}

impl WebhookEndpointFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { status } = self;
        sql.push(" WHERE true");
        if let Some(status) = status {
            sql.push(" AND e.status = ").bind(*status);
        }
    }
}

/// Returns a page of endpoints, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_endpoints(
    db: &Db,
    filter: &WebhookEndpointFilter,
    request: &PageRequest,
) -> Result<Page<webhook_endpoint::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<webhook_endpoint::Entity>("e").push(" FROM webhook_endpoint AS e");
    filter.push_conditions(&mut sql);
    ENDPOINT_ORDER.load_page(db, sql, request).await
}

/// Returns the number of endpoints. Statements: 1.
pub async fn count_endpoints(db: &Db, filter: &WebhookEndpointFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM webhook_endpoint AS e");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

/// A filter of deliveries. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default)]
pub struct WebhookDeliveryFilter {
    /// The endpoint.
    pub endpoint_id: Option<i64>,
    /// The status.
    pub status: Option<WebhookDeliveryStatus>,
    /// The event type.
    pub event_type: Option<WebhookEventType>,
    /// The earliest creation time, inclusive.
    pub created_from: Option<DateTime<Utc>>,
    /// The latest creation time, exclusive.
    pub created_until: Option<DateTime<Utc>>,
}

/// Newest first.
const DELIVERY_ORDER: KeysetOrder = KeysetOrder { tag: 'd', columns: &[], id_column: "d.id", descending: true };

impl webhook_delivery::Model {
    /// Returns the delivery's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        DELIVERY_ORDER.cursor(Vec::new(), self.id)
    }
}

impl WebhookDeliveryFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { endpoint_id, status, event_type, created_from, created_until } = self;
        sql.push(" WHERE true");
        if let Some(endpoint_id) = endpoint_id {
            sql.push(" AND d.endpoint_id = ").bind(*endpoint_id);
        }
        if let Some(status) = status {
            sql.push(" AND d.status = ").bind(*status);
        }
        if let Some(event_type) = event_type {
            sql.push(" AND d.event_type = ").bind(*event_type);
        }
        sql.and_within("d.created_at", *created_from, *created_until);
    }
}

/// Returns a page of deliveries, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_deliveries(
    db: &Db,
    filter: &WebhookDeliveryFilter,
    request: &PageRequest,
) -> Result<Page<webhook_delivery::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<webhook_delivery::Entity>("d").push(" FROM webhook_delivery AS d");
    filter.push_conditions(&mut sql);
    DELIVERY_ORDER.load_page(db, sql, request).await
}

/// Returns the number of deliveries. Statements: 1.
pub async fn count_deliveries(db: &Db, filter: &WebhookDeliveryFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM webhook_delivery AS d");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

/// Returns the attempts of deliveries, each in order. Statements: 1.
pub async fn load_attempts(
    db: &impl ConnectionTrait,
    delivery_ids: &[i64],
) -> Result<HashMap<i64, Vec<webhook_attempt::Model>>> {
    let query = webhook_attempt::Entity::find()
        .filter(eq_any(db, webhook_attempt::Column::DeliveryId, delivery_ids.iter().copied()))
        .order_by_asc(webhook_attempt::Column::Id);
    Ok(group_by_owner(query.all(db).await?, |row| row.delivery_id))
}

/// Returns events by key. Statements: 1.
pub async fn load_events(db: &impl ConnectionTrait, event_ids: &[i64]) -> Result<HashMap<i64, webhook_event::Model>> {
    let query = webhook_event::Entity::find().filter(eq_any(db, webhook_event::Column::Id, event_ids.iter().copied()));
    Ok(query.all(db).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Returns the event types of endpoints, in a fixed order. Statements: 1.
pub async fn load_subscriptions(
    db: &impl ConnectionTrait,
    endpoint_ids: &[i64],
) -> Result<HashMap<i64, Vec<webhook_subscription::Model>>> {
    let query = webhook_subscription::Entity::find()
        .filter(eq_any(db, webhook_subscription::Column::EndpointId, endpoint_ids.iter().copied()))
        .order_by_asc(webhook_subscription::Column::EventType);
    Ok(group_by_owner(query.all(db).await?, |row| row.endpoint_id))
}
