//! The statement that counts an action.

use chrono::{DateTime, SecondsFormat, Utc};

use super::subject::ThrottleSubject;
use crate::{
    base::Result,
    infra::{Tx, entity::throttle, sql_builder::query_rows},
};

/// Counts the subjects, each by its increment, unless one of them has reached its limit; returns their counters, or none.
/// Statements: 1.
///
/// As text, because the rows that it inserts are compared with the stored ones before any of them is written.
pub(super) async fn count_unless_exhausted(
    tx: &Tx,
    subjects: &[(ThrottleSubject, u32)],
) -> Result<Vec<throttle::Model>> {
    let columns = [
        ("action", "text"),
        ("subject_hash", "text"),
        ("count", "int"),
        ("max_count", "int"),
        ("window_ends_at", "timestamptz"),
    ];
    let row = |(subject, increment): &(ThrottleSubject, u32)| {
        let window_ends_at = tx.now().checked_add_signed(subject.window).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let window_ends_at = window_ends_at.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        serde_json::json!([subject.action, subject.subject_hash, increment, subject.max_count, window_ends_at])
    };
    let mut sql = tx.sql();
    sql.with_rows(&columns, subjects.iter().map(row).collect());
    sql.push("INSERT INTO throttle (action, subject_hash, count, window_ends_at, created_at, updated_at) ");
    sql.push("SELECT action, subject_hash, count, window_ends_at, ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(" FROM given WHERE NOT EXISTS (SELECT 1 FROM throttle AS t JOIN given AS g ");
    sql.push("ON t.action = g.action AND t.subject_hash = g.subject_hash WHERE t.count + g.count > g.max_count AND t.window_ends_at > ");
    sql.bind(tx.now()).push(") ON CONFLICT (action, subject_hash) DO UPDATE SET updated_at = excluded.updated_at, ");
    sql.push("count = excluded.count + CASE WHEN throttle.window_ends_at <= ").bind(tx.now());
    sql.push(" THEN 0 ELSE throttle.count END, window_ends_at = CASE WHEN throttle.window_ends_at <= ").bind(tx.now());
    sql.push(" THEN excluded.window_ends_at ELSE throttle.window_ends_at END RETURNING ");
    sql.push_columns::<throttle::Entity>("throttle");
    query_rows(tx, sql).await
}
