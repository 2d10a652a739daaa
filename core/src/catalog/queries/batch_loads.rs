//! Bulk loaders as text: by a set of columns, joined with another table, or the first rows of each owner.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use super::product_filter::{PUBLISHED_CONDITION, ProductVisibility};
use crate::{
    base::Result,
    catalog::{
        CategoryTree,
        entity::{product, variant},
        loader::{CategorySlice, GroupedRows, OptionValues, VariantOption},
        projection::VariantColumns,
    },
    infra::{SqlBuilder, sql_builder::list_columns},
};

/// The parts of `SELECT owner, … WHERE owner_column IN (ids) …`.
struct GroupedQuery<'a> {
    select: &'a str,
    owner_column: &'a str,
    tail: &'a str,
}

/// Runs a query and groups the rows by their first column.
async fn load_grouped<T>(
    db: &impl ConnectionTrait,
    query: GroupedQuery<'_>,
    ids: &[i64],
    parse_row: impl Fn(&QueryResult) -> Result<T>,
) -> Result<GroupedRows<T>> {
    let GroupedQuery { select, owner_column, tail } = query;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(select).push(" WHERE ").eq_any(owner_column, ids.iter().copied()).push(tail);
    let mut groups: GroupedRows<T> = HashMap::with_capacity(ids.len());
    for row in db.query_all_raw(sql.into_statement()).await? {
        groups.entry(row.try_get_by(0)?).or_default().push(parse_row(&row)?);
    }
    Ok(groups)
}

/// Returns the active variants of products, in order, with the given columns.
pub async fn load_variants(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
    columns: VariantColumns,
) -> Result<GroupedRows<Arc<variant::Model>>> {
    let select = format!("SELECT v.product_id AS owner, {} FROM variant AS v", columns.select_list("v"));
    let tail = " AND v.deleted_at IS NULL ORDER BY v.product_id, v.position, v.id";
    let query = GroupedQuery { select: &select, owner_column: "v.product_id", tail };
    load_grouped(db, query, product_ids, |row| Ok(Arc::new(columns.read(row, 1)?))).await
}

/// Returns active variants by id, of products that the caller may see.
pub async fn load_visible_variants(
    db: &impl ConnectionTrait,
    variant_ids: &[i64],
    visibility: ProductVisibility,
) -> Result<GroupedRows<variant::Model>> {
    let columns = list_columns::<variant::Entity>("v");
    let select = format!("SELECT v.id AS owner, {columns} FROM variant AS v JOIN product AS p ON p.id = v.product_id");
    let tail = format!(" AND v.deleted_at IS NULL AND {}", visibility.sql_condition());
    let query = GroupedQuery { select: &select, owner_column: "v.id", tail: &tail };
    load_grouped(db, query, variant_ids, |row| Ok(variant::Model::from_query_result(row, "")?)).await
}

/// Returns products by id that the caller may see.
pub async fn load_visible_products(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
    visibility: ProductVisibility,
) -> Result<GroupedRows<product::Model>> {
    let tail = format!(" AND {}", visibility.sql_condition());
    let select = format!("SELECT p.id AS owner, {} FROM product AS p", list_columns::<product::Entity>("p"));
    let query = GroupedQuery { select: &select, owner_column: "p.id", tail: &tail };
    load_grouped(db, query, product_ids, |row| Ok(product::Model::from_query_result(row, "")?)).await
}

/// Returns the options of products with the values of their active variants.
pub async fn load_product_options(db: &impl ConnectionTrait, product_ids: &[i64]) -> Result<GroupedRows<OptionValues>> {
    let select = "SELECT o.product_id AS owner, o.name, o.value FROM variant_option AS o JOIN variant AS v ON v.id = o.variant_id";
    let tail = " AND v.deleted_at IS NULL ORDER BY o.product_id, o.position, v.position, v.id";
    let parse_row =
        |row: &QueryResult| Ok(VariantOption { name: row.try_get("", "name")?, value: row.try_get("", "value")? });
    let query = GroupedQuery { select, owner_column: "o.product_id", tail };
    let variant_options = load_grouped(db, query, product_ids, parse_row).await?;
    let collect_values = |variant_options: Vec<VariantOption>| {
        let mut options: Vec<OptionValues> = Vec::new();
        for VariantOption { name, value } in variant_options {
            match options.iter_mut().find(|option| option.name == name) {
                Some(option) if option.values.contains(&value) => {}
                Some(option) => option.values.push(value),
                None => options.push(OptionValues { name, values: vec![value] }),
            }
        }
        options
    };
    Ok(variant_options.into_iter().map(|(owner, variant_options)| (owner, collect_values(variant_options))).collect())
}

/// Returns the first products of each category's subtree, best match first. Statements: 1 per distinct limit and
/// offset.
pub async fn load_category_slices(
    db: &impl ConnectionTrait,
    tree: &CategoryTree,
    slices: &[CategorySlice],
) -> Result<HashMap<CategorySlice, Vec<product::Model>>> {
    let mut ids_by_window: HashMap<SliceWindow, Vec<i64>> = HashMap::new();
    for CategorySlice { category_id, limit, offset } in slices {
        let window = SliceWindow { limit: *limit, offset: *offset };
        ids_by_window.entry(window).or_default().push(*category_id);
    }
    let mut products_by_slice: HashMap<CategorySlice, Vec<product::Model>> = HashMap::new();
    for (window, category_ids) in ids_by_window {
        let SliceWindow { limit, offset } = window;
        let sql = build_slice_query(db, tree, window, &category_ids);
        for row in db.query_all_raw(sql.into_statement()).await? {
            let slice_key = CategorySlice { category_id: row.try_get("", "owner")?, limit, offset };
            products_by_slice.entry(slice_key).or_default().push(product::Model::from_query_result(&row, "")?);
        }
    }
    Ok(products_by_slice)
}

/// The range of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SliceWindow {
    limit: usize,
    offset: usize,
}

fn build_slice_query(
    db: &impl ConnectionTrait,
    tree: &CategoryTree,
    window: SliceWindow,
    category_ids: &[i64],
) -> SqlBuilder {
    let SliceWindow { limit, offset } = window;
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    for index in category_ids.iter().filter_map(|category_id| tree.find_index(*category_id)) {
        pairs.extend(tree.subtree(index).iter().map(|node| (tree.node(index).id, node.id)));
    }
    let to_i64 = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ranked.owner, ").push_columns::<product::Entity>("ranked");
    sql.push(" FROM (SELECT p.*, m.owner, row_number() OVER (PARTITION BY m.owner ORDER BY p.featured DESC, p.created_at DESC, p.id DESC) AS place FROM ");
    if sql.is_postgres() {
        // The index of each category yields its first rows; only those are ranked.
        sql.push("unnest(")
            .bind_ints(pairs.iter().map(|pair| pair.0))
            .push(", ")
            .bind_ints(pairs.iter().map(|pair| pair.1));
        sql.push(") AS m (owner, category) CROSS JOIN LATERAL (SELECT p.* FROM product AS p WHERE p.category_id = m.category AND ");
        sql.push(PUBLISHED_CONDITION)
            .push(" ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT ")
            .bind(to_i64(limit + offset));
        sql.push(") AS p");
    } else {
        let pairs: Vec<[i64; 2]> = pairs.iter().map(|(owner, category)| [*owner, *category]).collect();
        sql.push("(SELECT value ->> 0 AS owner, value ->> 1 AS category FROM json_each(")
            .bind(serde_json::json!(pairs).to_string());
        sql.push(")) AS m JOIN product AS p ON p.category_id = m.category AND ").push(PUBLISHED_CONDITION);
    }
    sql.push(") AS ranked WHERE place > ").bind(to_i64(offset)).push(" AND place <= ").bind(to_i64(offset + limit));
    sql.push(" ORDER BY owner, place");
    sql
}
