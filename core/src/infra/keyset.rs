//! Keyset pages in SQL: the rows after a cursor, in the order of a list.

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{SqlBuilder, sql_builder::query_rows};
use crate::base::{
    Result,
    pagination::{Cursor, CursorType, CursorValue, Page, PageRequest},
};

/// The order of a list that is read in pages.
#[derive(Debug, Clone, Copy)]
pub struct KeysetOrder {
    /// The tag of its cursors, which no other order of the list has.
    pub tag: char,
    /// The columns before the id, with the types of their values. They have the direction of the id, so that one row
    /// comparison selects a page.
    pub columns: &'static [(&'static str, CursorType)],
    /// The column of the id, as tie-breaker.
    pub id_column: &'static str,
    /// Whether the list begins with the largest values.
    pub descending: bool,
}

impl KeysetOrder {
    /// Returns the cursor of a row with these values of the columns.
    #[must_use]
    pub fn cursor(&self, values: Vec<CursorValue>, id: i64) -> String {
        Cursor { sort_tag: self.tag, values, id }.encode()
    }

    /// Resolves a request for a page of the list.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the request's cursor does not belong to this order.
    pub fn resolve<'a>(&self, request: &'a PageRequest) -> Result<KeysetPage<'a>> {
        let field = if request.backwards { "before" } else { "after" };
        let types: Vec<CursorType> = self.columns.iter().map(|(_, value_type)| *value_type).collect();
        let decode = |text: &String| Cursor::decode(text, self.tag, &types, field);
        let cursor = request.cursor.as_ref().map(decode).transpose()?;
        Ok(KeysetPage { order: *self, request, cursor, descending: self.descending != request.backwards })
    }

    /// Loads a page of the rows that a statement with a `WHERE` clause selects. Statements: 1.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the request's cursor does not belong to this order.
    pub async fn load_page<T: FromQueryResult>(
        &self,
        db: &impl ConnectionTrait,
        mut sql: SqlBuilder,
        request: &PageRequest,
    ) -> Result<Page<T>> {
        let page = self.resolve(request)?;
        page.push_condition(&mut sql);
        page.push_order_and_limit(&mut sql);
        page.load(db, sql).await
    }
}

/// A page of a list: the part of the statement that selects its rows.
#[derive(Debug)]
pub struct KeysetPage<'a> {
    order: KeysetOrder,
    request: &'a PageRequest,
    cursor: Option<Cursor>,
    descending: bool,
}

impl KeysetPage<'_> {
    /// Appends ` AND (columns, id) < (values)`: the rows after the cursor.
    pub fn push_condition(&self, sql: &mut SqlBuilder) {
        let Some(Cursor { values, id, .. }) = &self.cursor else { return };
        sql.push(" AND (");
        for (column, _) in self.order.columns {
            sql.push(column).push(", ");
        }
        sql.push(self.order.id_column).push(if self.descending { ") < (" } else { ") > (" });
        for value in values {
            match value {
                CursorValue::Int(value) => sql.bind(*value),
                CursorValue::Bool(value) => sql.bind(*value),
                CursorValue::Time(value) => sql.bind(*value),
                CursorValue::Text(value) => sql.bind(value.as_str()),
            };
            sql.push(", ");
        }
        sql.bind(*id).push(")");
    }

    /// Appends the order and the limit: one row more than the page, which tells whether another page exists.
    pub fn push_order_and_limit(&self, sql: &mut SqlBuilder) {
        self.push_order(sql, if self.descending { " DESC" } else { "" });
    }

    /// Appends the order and the limit for an index that sorts `NULLS FIRST`. The columns have no nulls; the order
    /// decides which index PostgreSQL can read.
    pub fn push_nulls_first_order_and_limit(&self, sql: &mut SqlBuilder) {
        self.push_order(sql, if self.descending { " DESC NULLS LAST" } else { " NULLS FIRST" });
    }

    /// Appends the order and another limit: of a part of the list that is searched for the rows of the page.
    pub fn push_order_with_limit(&self, sql: &mut SqlBuilder, limit: usize) {
        self.push_order_to(sql, if self.descending { " DESC" } else { "" }, limit);
    }

    /// Returns the cursor after which the page begins.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Returns whether the rows are read in descending order.
    #[must_use]
    pub const fn is_descending(&self) -> bool {
        self.descending
    }

    /// Returns the number of rows to read: one more than the page has.
    #[must_use]
    pub const fn row_limit(&self) -> usize {
        self.request.size + 1
    }

    fn push_order(&self, sql: &mut SqlBuilder, direction: &str) {
        self.push_order_to(sql, direction, self.row_limit());
    }

    fn push_order_to(&self, sql: &mut SqlBuilder, direction: &str, limit: usize) {
        sql.push(" ORDER BY ");
        for (column, _) in self.order.columns {
            sql.push(column).push(direction).push(", ");
        }
        // Not a parameter: a bound limit is planned again at every execution, which costs as much as the page.
        sql.push(self.order.id_column).push(direction).push(&format!(" LIMIT {limit}"));
    }

    /// Loads the page with a statement that has the condition, the order and the limit. Statements: 1.
    pub async fn load<T: FromQueryResult>(&self, db: &impl ConnectionTrait, sql: SqlBuilder) -> Result<Page<T>> {
        Ok(Page::from_rows(query_rows(db, sql).await?, self.request))
    }
}

/// Returns the number that a statement selects, as `SELECT COUNT(*)` does. Statements: 1.
pub async fn load_count(db: &impl ConnectionTrait, sql: SqlBuilder) -> Result<i64> {
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by(0))?)
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    const ORDER: KeysetOrder = KeysetOrder {
        tag: 'n',
        columns: &[("featured", CursorType::Bool), ("name", CursorType::Text)],
        id_column: "id",
        descending: true,
    };

    fn page_sql(order: KeysetOrder, request: &PageRequest) -> Result<String> {
        let page = order.resolve(request)?;
        let mut sql = SqlBuilder::new(DbBackend::Postgres);
        page.push_condition(&mut sql);
        page.push_order_and_limit(&mut sql);
        Ok(sql.into_statement().sql)
    }

    #[test]
    fn first_page_has_no_condition() {
        let request = PageRequest { size: 20, backwards: false, cursor: None };
        let expected = " ORDER BY featured DESC, name DESC, id DESC LIMIT 21";
        assert_eq!(page_sql(ORDER, &request).ok().as_deref(), Some(expected));
    }

    #[test]
    fn page_before_a_cursor_is_read_in_the_opposite_direction() {
        let cursor = ORDER.cursor(vec![CursorValue::Bool(true), CursorValue::Text("mug".into())], 7);
        let request = PageRequest { size: 1, backwards: true, cursor: Some(cursor) };
        let expected = " AND (featured, name, id) > ($1, $2, $3) ORDER BY featured, name, id LIMIT 2";
        assert_eq!(page_sql(ORDER, &request).ok().as_deref(), Some(expected));
    }

    #[test]
    fn cursor_of_another_order_is_rejected() {
        let cursor = KeysetOrder { tag: 'p', columns: &[], ..ORDER }.cursor(Vec::new(), 7);
        let request = PageRequest { size: 1, backwards: false, cursor: Some(cursor) };
        assert!(page_sql(ORDER, &request).is_err());
    }
}
