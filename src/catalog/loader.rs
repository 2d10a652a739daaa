//! What hangs on many products, variants or categories at once: a key and a query, one statement each.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use super::{
    columns::VariantColumns,
    entity::{product, variant},
    filter::{Sight, VISIBLE},
    tree::Tree,
};
use crate::{base::Result, infra::Sql};

/// The texts of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Sanitised.
    pub html: String,
    /// Without any tags.
    pub text: String,
}

impl Description {
    /// Whether there is any text.
    #[must_use]
    pub fn says(&self) -> bool {
        !self.html.is_empty()
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub url: String,
    /// What it shows.
    pub alt: Option<String>,
}

/// What an option is for one variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The option: `Size`.
    pub name: String,
    /// The value: `M`.
    pub value: String,
}

/// An option of a product with the values its variants have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The option: `Size`.
    pub name: String,
    /// The values, in the order of the variants.
    pub values: Vec<String>,
}

/// Which part of a category's products, for `Category.products`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The category.
    pub category: i64,
    /// How many.
    pub limit: usize,
    /// After how many.
    pub offset: usize,
}

type Grouped<T> = HashMap<i64, Vec<T>>;

/// Runs `SELECT owner, … WHERE column is one of keys …` and groups the rows by their first column.
async fn grouped<T>(
    db: &impl ConnectionTrait,
    (select, column, tail): (&str, &str, &str),
    keys: &[i64],
    read: impl Fn(&QueryResult) -> Result<T>,
) -> Result<Grouped<T>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push(select).push(" WHERE ").any(column, keys.iter().copied()).push(tail);
    let mut found: Grouped<T> = HashMap::with_capacity(keys.len());
    for row in db.query_all_raw(sql.statement()).await? {
        found.entry(row.try_get_by(0)?).or_default().push(read(&row)?);
    }
    Ok(found)
}

/// The living variants of products, in order, with these columns.
///
/// # Errors
/// When the database cannot be asked.
pub async fn variants(
    db: &impl ConnectionTrait,
    products: &[i64],
    columns: VariantColumns,
) -> Result<Grouped<Arc<variant::Model>>> {
    let select = format!("SELECT v.product_id AS owner, {} FROM variant AS v", columns.of("v"));
    let tail = " AND v.deleted_at IS NULL ORDER BY v.product_id, v.position, v.id";
    grouped(db, (&select, "v.product_id", tail), products, |row| Ok(Arc::new(columns.read(row, 1)?))).await
}

/// Living variants by key, of products that whoever asks may see.
///
/// # Errors
/// When the database cannot be asked.
pub async fn variants_by_key(db: &impl ConnectionTrait, keys: &[i64], sight: Sight) -> Result<Grouped<variant::Model>> {
    let select = "SELECT v.id AS owner, v.* FROM variant AS v JOIN product AS p ON p.id = v.product_id";
    let tail = format!(" AND v.deleted_at IS NULL AND {}", sight.condition());
    grouped(db, (select, "v.id", &tail), keys, |row| Ok(variant::Model::from_query_result(row, "")?)).await
}

/// Products by key that whoever asks may see.
///
/// # Errors
/// When the database cannot be asked.
pub async fn products_by_key(db: &impl ConnectionTrait, keys: &[i64], sight: Sight) -> Result<Grouped<product::Model>> {
    let tail = format!(" AND {}", sight.condition());
    let select = "SELECT p.id AS owner, p.* FROM product AS p";
    grouped(db, (select, "p.id", &tail), keys, |row| Ok(product::Model::from_query_result(row, "")?)).await
}

/// The texts of products.
///
/// # Errors
/// When the database cannot be asked.
pub async fn descriptions(db: &impl ConnectionTrait, products: &[i64]) -> Result<Grouped<Description>> {
    let select = "SELECT d.product_id AS owner, d.html, d.text FROM product_description AS d";
    let read = |row: &QueryResult| Ok(Description { html: row.try_get("", "html")?, text: row.try_get("", "text")? });
    grouped(db, (select, "d.product_id", ""), products, read).await
}

/// The pictures of products, in order.
///
/// # Errors
/// When the database cannot be asked.
pub async fn images(db: &impl ConnectionTrait, products: &[i64]) -> Result<Grouped<Image>> {
    let select = "SELECT i.product_id AS owner, i.url, i.alt FROM product_image AS i";
    let read = |row: &QueryResult| Ok(Image { url: row.try_get("", "url")?, alt: row.try_get("", "alt")? });
    grouped(db, (select, "i.product_id", " ORDER BY i.product_id, i.position"), products, read).await
}

/// The tags of products, by the alphabet.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tags(db: &impl ConnectionTrait, products: &[i64]) -> Result<Grouped<String>> {
    let select = "SELECT t.product_id AS owner, t.tag FROM product_tag AS t";
    let tail = " ORDER BY t.product_id, t.tag_key";
    grouped(db, (select, "t.product_id", tail), products, |row| Ok(row.try_get("", "tag")?)).await
}

/// What each variant is, option by option.
///
/// # Errors
/// When the database cannot be asked.
pub async fn choices(db: &impl ConnectionTrait, variants: &[i64]) -> Result<Grouped<Choice>> {
    let select = "SELECT o.variant_id AS owner, o.name, o.value FROM variant_option AS o";
    let read = |row: &QueryResult| Ok(Choice { name: row.try_get("", "name")?, value: row.try_get("", "value")? });
    grouped(db, (select, "o.variant_id", " ORDER BY o.variant_id, o.position"), variants, read).await
}

/// The options of products with the values their living variants have.
///
/// # Errors
/// When the database cannot be asked.
pub async fn options(db: &impl ConnectionTrait, products: &[i64]) -> Result<Grouped<Choices>> {
    let select = "SELECT o.product_id AS owner, o.name, o.value FROM variant_option AS o JOIN variant AS v ON v.id = o.variant_id";
    let tail = " AND v.deleted_at IS NULL ORDER BY o.product_id, o.position, v.position, v.id";
    let read = |row: &QueryResult| Ok(Choice { name: row.try_get("", "name")?, value: row.try_get("", "value")? });
    let choices = grouped(db, (select, "o.product_id", tail), products, read).await?;
    let gather = |choices: Vec<Choice>| {
        let mut options: Vec<Choices> = Vec::new();
        for Choice { name, value } in choices {
            match options.iter_mut().find(|option| option.name == name) {
                Some(option) if option.values.contains(&value) => {}
                Some(option) => option.values.push(value),
                None => options.push(Choices { name, values: vec![value] }),
            }
        }
        options
    };
    Ok(choices.into_iter().map(|(owner, choices)| (owner, gather(choices))).collect())
}

/// The names of the options of products, in order.
///
/// # Errors
/// When the database cannot be asked.
pub async fn option_names(db: &impl ConnectionTrait, products: &[i64]) -> Result<Grouped<String>> {
    let select = "SELECT o.product_id AS owner, o.name FROM product_option AS o";
    let tail = " ORDER BY o.product_id, o.position";
    grouped(db, (select, "o.product_id", tail), products, |row| Ok(row.try_get("", "name")?)).await
}

/// How many visible products lie in and below categories. One statement for any number of them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn counts(db: &impl ConnectionTrait, tree: &Tree, categories: &[i64]) -> Result<HashMap<i64, i64>> {
    let places: Vec<usize> = categories.iter().filter_map(|key| tree.find(*key)).collect();
    // Many subtrees overlap; past a point the whole tally is less to ask for than its parts.
    let reach: usize = places.iter().map(|place| tree.node(*place).size).sum();
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT category_id AS category, products AS many FROM category_tally");
    if reach < tree.nodes().len() {
        let keys = places.iter().flat_map(|place| tree.subtree(*place)).map(|node| node.id);
        sql.push(" WHERE ").any("category_id", keys);
    }
    let mut sums = vec![0_i64; tree.nodes().len() + 1];
    for row in db.query_all_raw(sql.statement()).await? {
        if let Some(place) = tree.find(row.try_get("", "category")?) {
            sums[place + 1] = row.try_get("", "many")?;
        }
    }
    for place in 0..tree.nodes().len() {
        sums[place + 1] += sums[place];
    }
    let count = |place: usize| (tree.node(place).id, sums[place + tree.node(place).size] - sums[place]);
    Ok(places.into_iter().map(count).collect())
}

/// The first products of each category and all below it, best first. One statement for each distinct limit and offset.
///
/// # Errors
/// When the database cannot be asked.
pub async fn slices(
    db: &impl ConnectionTrait,
    tree: &Tree,
    slices: &[Slice],
) -> Result<HashMap<Slice, Vec<product::Model>>> {
    let mut alike: HashMap<(usize, usize), Vec<i64>> = HashMap::new();
    for Slice { category, limit, offset } in slices {
        alike.entry((*limit, *offset)).or_default().push(*category);
    }
    let mut found: HashMap<Slice, Vec<product::Model>> = HashMap::new();
    for ((limit, offset), categories) in alike {
        let sql = slice(db, tree, (limit, offset), &categories);
        for row in db.query_all_raw(sql.statement()).await? {
            let key = Slice { category: row.try_get("", "owner")?, limit, offset };
            found.entry(key).or_default().push(product::Model::from_query_result(&row, "")?);
        }
    }
    Ok(found)
}

fn slice(db: &impl ConnectionTrait, tree: &Tree, (limit, offset): (usize, usize), categories: &[i64]) -> Sql {
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    for place in categories.iter().filter_map(|key| tree.find(*key)) {
        pairs.extend(tree.subtree(place).iter().map(|node| (tree.node(place).id, node.id)));
    }
    let bound = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM (SELECT p.*, m.owner, row_number() OVER (PARTITION BY m.owner ORDER BY p.featured DESC, p.created_at DESC, p.id DESC) AS place FROM ");
    if sql.postgres() {
        // Of each category its own index gives the first rows; only those are ranked.
        sql.push("unnest(").ints(pairs.iter().map(|pair| pair.0)).push(", ").ints(pairs.iter().map(|pair| pair.1));
        sql.push(") AS m (owner, category) CROSS JOIN LATERAL (SELECT p.* FROM product AS p WHERE p.category_id = m.category AND ");
        sql.push(VISIBLE)
            .push(" ORDER BY p.featured DESC, p.created_at DESC, p.id DESC LIMIT ")
            .bind(bound(limit + offset));
        sql.push(") AS p");
    } else {
        let pairs: Vec<[i64; 2]> = pairs.iter().map(|(owner, category)| [*owner, *category]).collect();
        sql.push("(SELECT value ->> 0 AS owner, value ->> 1 AS category FROM json_each(")
            .bind(serde_json::json!(pairs).to_string());
        sql.push(")) AS m JOIN product AS p ON p.category_id = m.category AND ").push(VISIBLE);
    }
    sql.push(") AS ranked WHERE place > ").bind(bound(offset)).push(" AND place <= ").bind(bound(offset + limit));
    sql.push(" ORDER BY owner, place");
    sql
}
