//! Conditions of entity queries.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, Value,
    sea_query::{Expr, ExprTrait, Func, Query, ValueType, sea_value_to_json_value},
};
use serde_json::Value as JsonValue;

/// Returns the condition "`column` is one of `values`". Its text does not depend on the number of values, so a statement
/// with it is prepared once: PostgreSQL receives an array, SQLite JSON.
pub fn eq_any<V>(db: &impl ConnectionTrait, column: impl ColumnTrait, values: impl IntoIterator<Item = V>) -> Expr
where
    V: Into<Value> + ValueType,
{
    build_list_condition(db.get_database_backend(), column, values)
}

fn build_list_condition<V>(backend: DbBackend, column: impl ColumnTrait, values: impl IntoIterator<Item = V>) -> Expr
where
    V: Into<Value> + ValueType,
{
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    let column = Expr::col(column.as_column_ref());
    if backend == DbBackend::Postgres {
        let array = Value::Array(V::array_type(), Some(Box::new(values)));
        return column.eq(Func::cust("ANY").arg(array));
    }
    let list: JsonValue = values.iter().map(sea_value_to_json_value).collect();
    let elements = Func::cust("json_each").arg(list.to_string());
    column.in_subquery(Query::select().column("value").from_function(elements, "element").take())
}

/// Returns a value as a part of the text of a statement. The condition of a partial index must be one: with a parameter
/// the index is not used.
pub fn literal(value: impl Into<Value>) -> Expr {
    Expr::Constant(value.into())
}

#[cfg(test)]
mod tests {
    use sea_orm::{EntityTrait, QueryFilter, QueryTrait};

    use super::*;
    use crate::infra::entity::outbox_event::{Column, Entity};

    fn select(backend: DbBackend) -> (String, usize) {
        let query = Entity::find()
            .filter(build_list_condition(backend, Column::Id, [1_i64, 2]))
            .filter(Expr::col(Column::EventType).eq(literal("OrderPlaced")));
        let statement = query.build(backend);
        let condition = statement.sql.split_once(" WHERE ").map(|(_, condition)| condition.to_owned());
        (condition.unwrap_or_default(), statement.values.map_or(0, |values| values.0.len()))
    }

    #[test]
    fn a_list_is_one_value_and_a_literal_none() {
        let expected = "\"outbox_event\".\"id\" = ANY($1) AND \"event_type\" = 'OrderPlaced'";
        assert_eq!(select(DbBackend::Postgres), (expected.to_owned(), 1));
        let expected = "\"outbox_event\".\"id\" IN (SELECT \"value\" FROM json_each(?) AS \"element\") \
                        AND \"event_type\" = 'OrderPlaced'";
        assert_eq!(select(DbBackend::Sqlite), (expected.to_owned(), 1));
    }
}
