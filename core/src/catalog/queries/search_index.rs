//! The search index and its vocabulary, as text: the columns of the index have types of each database, and candidates of
//! a correction are read from several index ranges.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sea_orm::{ActiveModelTrait, ConnectionTrait, FromQueryResult, IntoActiveModel};
use serde_json::{Value, json};

use super::product_filter::ProductVisibility;
use crate::{
    base::{Result, search_token},
    catalog::search::{SearchDocument, spelling},
    infra::{SqlBuilder, Tx, sql_builder::query_rows},
};

/// Maximum number of words read from one index range.
pub(in crate::catalog) const MAX_WORDS_PER_RANGE: usize = 200;
/// The vocabulary columns with an index, and the sort order of each.
const VOCABULARY_INDEXES: [(&str, &str); 3] =
    [("term", "term"), ("reversed", "reversed"), ("end_letters", "end_letters, term")];

/// A vocabulary word that may be the correction of a typed one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, FromQueryResult)]
pub struct SpellingCandidate {
    /// The typed word.
    pub typed: String,
    /// A vocabulary word of similar length with the same beginning or end, or the typed word if it begins a vocabulary word.
    pub suggestion: String,
}

/// Replaces the search documents of products.
pub async fn store_search_documents(tx: &Tx, documents: &BTreeMap<i64, SearchDocument>) -> Result<()> {
    let words: BTreeSet<&String> =
        documents.values().flat_map(|document| document.name_words.iter().chain(&document.other_words)).collect();
    // Letter pairs are never spelling candidates. Words are sorted, so that concurrent writers do not deadlock.
    let words = words.into_iter().filter(|word| !word.starts_with(search_token::is_unspaced));
    let rows: Vec<_> = words.map(|word| spelling::build_search_term(word).into_active_model().reset_all()).collect();
    if !rows.is_empty() {
        let mut sql = tx.sql();
        sql.insert_models(&rows).push(" ON CONFLICT DO NOTHING");
        tx.execute_raw(sql.into_statement()).await?;
    }
    if tx.sql().is_postgres() {
        store_documents_postgres(tx, documents).await
    } else {
        store_documents_sqlite(tx, documents).await
    }
}

async fn store_documents_postgres(tx: &Tx, documents: &BTreeMap<i64, SearchDocument>) -> Result<()> {
    let (mut name_vectors, mut document_vectors) = (Vec::new(), Vec::new());
    let format_vector =
        |words: &mut dyn Iterator<Item = &String>| words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    for SearchDocument { name_words, other_words } in documents.values() {
        name_vectors.push(format_vector(&mut name_words.iter()));
        document_vectors.push(format_vector(&mut name_words.union(other_words)));
    }
    let mut sql = tx.sql();
    sql.push("INSERT INTO product_search (product_id, name, document) SELECT key, name::tsvector, every::tsvector FROM unnest(");
    sql.bind_ints(documents.keys().copied()).push(", ").bind_texts(name_vectors.iter().map(String::as_str)).push(", ");
    sql.bind_texts(document_vectors.iter().map(String::as_str)).push(
        ") AS new (key, name, every) \
         ON CONFLICT (product_id) DO UPDATE SET name = excluded.name, document = excluded.document",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

async fn store_documents_sqlite(tx: &Tx, documents: &BTreeMap<i64, SearchDocument>) -> Result<()> {
    let join_words = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let to_row = |(product_id, document): (&i64, &SearchDocument)| {
        json!([product_id, join_words(&document.name_words), join_words(&document.other_words)])
    };
    let rows: Value = documents.iter().map(to_row).collect();
    let mut sql = tx.sql();
    sql.push(
        "REPLACE INTO product_search (rowid, name, document) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(",
    );
    sql.bind(rows.to_string()).push(")");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Returns which of the words occur in products that the caller may see. Statements: 1.
pub(in crate::catalog) async fn load_visible_words<'a>(
    db: &impl ConnectionTrait,
    words: impl IntoIterator<Item = &'a str>,
    visibility: ProductVisibility,
) -> Result<HashSet<String>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.with_rows(&[("word", "text")], words.into_iter().map(|word| json!([word])).collect());
    sql.push("SELECT given.word FROM given WHERE EXISTS (SELECT 1 FROM ");
    // The index finds the products of a word; only those are looked up, in either database.
    if sql.is_postgres() {
        sql.push(
            "(SELECT s.product_id FROM product_search AS s WHERE s.document @@ ('''' || given.word || '''')::tsquery",
        );
        sql.push(" OFFSET 0) AS found JOIN product AS p ON p.id = found.product_id WHERE ");
    } else {
        sql.push("product_search AS s CROSS JOIN product AS p ON p.id = s.rowid ");
        sql.push("WHERE product_search MATCH '\"' || given.word || '\"' AND ");
    }
    sql.push(visibility.sql_condition()).push(")");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| Ok(row.try_get("", "word")?)).collect()
}

/// Returns which expressions of the index, by their numbers, match a product that the caller may see; if the first one
/// does, no other one is tried. Statements: 1.
pub(in crate::catalog) async fn find_matching_expressions(
    db: &impl ConnectionTrait,
    expressions: &[String],
    visibility: ProductVisibility,
) -> Result<HashSet<i32>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let rows = expressions.iter().enumerate().map(|(number, expression)| json!([number, expression])).collect();
    sql.with_rows(&[("number", "int"), ("words", "text")], rows);
    let matches = if sql.is_postgres() {
        "EXISTS (SELECT 1 FROM (SELECT s.product_id FROM product_search AS s WHERE s.document @@ given.words::tsquery \
         OFFSET 0) AS found JOIN product AS p ON p.id = found.product_id WHERE "
    } else {
        "EXISTS (SELECT 1 FROM product_search AS s CROSS JOIN product AS p ON p.id = s.rowid \
         WHERE product_search MATCH given.words AND "
    };
    sql.push(", first AS MATERIALIZED (SELECT given.number FROM given WHERE given.number = 0 AND ").push(matches);
    sql.push(visibility.sql_condition());
    sql.push(")) SELECT number FROM first UNION ALL SELECT given.number FROM given WHERE given.number > 0");
    sql.push(" AND NOT EXISTS (SELECT 1 FROM first) AND ").push(matches).push(visibility.sql_condition()).push(")");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| Ok(row.try_get("", "number")?)).collect()
}

/// Returns the candidates for words that are not a prefix of any vocabulary word, from the ranges of the indexes: rows of
/// the typed word, the length, the number of the index, and both ends. A prefix of a vocabulary word has
/// only itself as a candidate. Statements: 1.
pub(in crate::catalog) async fn load_spelling_candidates(
    db: &impl ConnectionTrait,
    ranges: Vec<Value>,
) -> Result<Vec<SpellingCandidate>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let columns = [("typed", "text"), ("length", "int"), ("place", "int"), ("low", "text"), ("high", "text")];
    sql.with_rows(&columns, ranges);
    let collation = if sql.is_postgres() { " COLLATE \"C\"" } else { "" };
    // The highest code point ends the range of all words with a prefix.
    let last_character = if sql.is_postgres() { "chr(1114111)" } else { "char(1114111)" };
    sql.push(&format!(
        ", probe AS MATERIALIZED (SELECT * FROM given WHERE NOT EXISTS (SELECT 1 FROM search_term AS k \
         WHERE k.term >= given.typed{collation} AND k.term < (given.typed || {last_character}){collation})) \
         SELECT typed AS typed, typed AS suggestion FROM given WHERE typed NOT IN (SELECT typed FROM probe)"
    ));
    for (index_number, (column, order)) in VOCABULARY_INDEXES.into_iter().enumerate() {
        let range = format!(
            "SELECT term FROM search_term WHERE length(term) = probe.length AND {column} >= probe.low{collation} \
             AND {column} < probe.high{collation} ORDER BY {order} LIMIT {MAX_WORDS_PER_RANGE}"
        );
        sql.push(" UNION ");
        if sql.is_postgres() {
            sql.push("SELECT probe.typed AS typed, near.term AS suggestion FROM probe CROSS JOIN LATERAL (");
            sql.push(&range).push(") AS near");
        } else {
            sql.push("SELECT probe.typed AS typed, near.value AS suggestion FROM probe, json_each((");
            sql.push("SELECT json_group_array(term) FROM (").push(&range).push("))) AS near");
        }
        sql.push(&format!(" WHERE probe.place = {index_number}"));
    }
    query_rows(db, sql).await
}
