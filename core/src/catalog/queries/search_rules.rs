//! Pages of synonym groups and of search texts with pinned products, as text: keyset pages.

use crate::{
    base::{
        Result,
        pagination::{CursorType, CursorValue, Page, PageRequest},
    },
    catalog::search::entity::{search_pin, search_synonym_group},
    infra::{
        Db,
        keyset::{self, KeysetOrder},
    },
};

/// Newest first.
const SYNONYM_ORDER: KeysetOrder = KeysetOrder { tag: 'y', columns: &[], id_column: "g.id", descending: true };
/// By search text.
const PIN_ORDER: KeysetOrder = KeysetOrder {
    tag: 'q',
    columns: &[("p.query_normalized", CursorType::Text)],
    id_column: "p.id",
    descending: false,
};

impl search_synonym_group::Model {
    /// Returns the cursor of the group.
    #[must_use]
    pub fn cursor(&self) -> String {
        SYNONYM_ORDER.cursor(Vec::new(), self.id)
    }
}

impl search_pin::Model {
    /// Returns the cursor of the search text.
    #[must_use]
    pub fn cursor(&self) -> String {
        PIN_ORDER.cursor(vec![CursorValue::Text(self.query_normalized.clone())], self.id)
    }
}

/// Returns a page of the synonym groups, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_synonym_groups(db: &Db, request: &PageRequest) -> Result<Page<search_synonym_group::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<search_synonym_group::Entity>("g");
    sql.push(" FROM search_synonym_group AS g WHERE true");
    SYNONYM_ORDER.load_page(db, sql, request).await
}

/// Returns the number of synonym groups. Statements: 1.
pub async fn count_synonym_groups(db: &Db) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM search_synonym_group");
    keyset::load_count(db, sql).await
}

/// Returns a page of the search texts with pinned products, by text. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_search_pins(db: &Db, request: &PageRequest) -> Result<Page<search_pin::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<search_pin::Entity>("p").push(" FROM search_pin AS p WHERE true");
    PIN_ORDER.load_page(db, sql, request).await
}

/// Returns the number of search texts with pinned products. Statements: 1.
pub async fn count_search_pins(db: &Db) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM search_pin");
    keyset::load_count(db, sql).await
}
