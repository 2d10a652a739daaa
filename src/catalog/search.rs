//! Search: the words of a product, and what a shopper's words are taken to mean.
//!
//! Both databases are handed words that were folded and cut here, so they find the same things. A word matches every
//! word that begins with it; a word that nothing begins with is taken for the nearest one that the shop knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    base::{Result, text},
    infra::{Sql, Tx},
};

/// Longer words are cut.
const WORD_LIMIT: usize = 40;
/// More words of one product are left out.
const WORDS_PER_PRODUCT: usize = 2_000;
/// More words of one search are left out.
const WORDS_PER_SEARCH: usize = 12;
/// The largest text anybody may search for, in characters.
pub const TEXT_LIMIT: usize = 200;
/// A word must have this many letters before a mistake in it is forgiven.
const FORGIVEN_FROM: usize = 4;
/// How many known words may stand for one that is not known.
const CORRECTIONS: usize = 5;

/// A shopper's words, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Everything that was typed, folded.
    pub key: String,
    /// Each word with what it may stand for. All must match.
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// One of these.
    any: Vec<String>,
    /// Beginnings count.
    prefix: bool,
}

impl Query {
    /// Understands what was typed. `None` when there is no word in it.
    ///
    /// # Errors
    /// When the database cannot be asked for the words it knows.
    pub async fn read(db: &impl ConnectionTrait, typed: &str) -> Result<Option<Self>> {
        let mut words: Vec<String> = text::words(typed).map(cut).collect();
        words.truncate(WORDS_PER_SEARCH);
        if words.is_empty() {
            return Ok(None);
        }
        let mut nearest = nearest(db, &words).await?;
        let terms = words.into_iter().map(|word| match nearest.remove(&word) {
            Some(known) => Term { any: known, prefix: false },
            None => Term { prefix: word.chars().count() > 1, any: vec![word] },
        });
        Ok(Some(Self { key: text::key(typed), terms: terms.collect() }))
    }

    /// The query in the words of a database's index.
    #[must_use]
    pub fn expression(&self, backend: DbBackend) -> String {
        let postgres = backend == DbBackend::Postgres;
        let word = |word: &String, prefix: bool| match (postgres, prefix) {
            (true, true) => format!("'{word}':*"),
            (true, false) => format!("'{word}'"),
            (false, true) => format!("\"{word}\" *"),
            (false, false) => format!("\"{word}\""),
        };
        let (or, and) = if postgres { (" | ", " & ") } else { (" OR ", " AND ") };
        let term = |term: &Term| {
            let any: Vec<_> = term.any.iter().map(|known| word(known, term.prefix)).collect();
            format!("({})", any.join(or))
        };
        self.terms.iter().map(term).collect::<Vec<_>>().join(and)
    }
}

fn cut(word: String) -> String {
    if word.chars().count() > WORD_LIMIT { word.chars().take(WORD_LIMIT).collect() } else { word }
}

/// For each word that no known word begins with: the known words nearest to it. One statement.
async fn nearest(db: &impl ConnectionTrait, words: &[String]) -> Result<HashMap<String, Vec<String>>> {
    let mut sql = Sql::new(db.get_database_backend());
    // The last letter there is closes the range of all words with one beginning.
    if sql.postgres() {
        // Two letters that changed places leave a short word hardly a trigram: its first letter finds it too.
        sql.push("SELECT w.word AS typed, k.word AS known FROM (SELECT word FROM unnest(")
            .texts(words.iter().map(String::as_str))
            .push(
                ") AS t (word) WHERE NOT EXISTS (SELECT 1 FROM search_word AS p \
             WHERE p.word >= t.word COLLATE \"C\" AND p.word < (t.word || chr(1114111)) COLLATE \"C\") OFFSET 0) AS w \
             CROSS JOIN LATERAL ((SELECT word FROM search_word WHERE word % w.word \
             ORDER BY similarity(word, w.word) DESC, word LIMIT 20) UNION SELECT word FROM search_word \
             WHERE word >= left(w.word, 1) COLLATE \"C\" AND word < (left(w.word, 1) || chr(1114111)) COLLATE \"C\" \
             AND length(word) BETWEEN length(w.word) - 2 AND length(w.word) + 2) AS k",
            );
    } else {
        // SQLite has no similarity; words of about that length with the same first or second letter are compared here.
        sql.push("SELECT w.value AS typed, k.word AS known FROM json_each(")
            .texts(words.iter().map(String::as_str))
            .push(
                ") AS w JOIN search_word AS k ON length(k.word) BETWEEN length(w.value) - 2 AND length(w.value) + 2 \
                 AND (substr(k.word, 1, 1) = substr(w.value, 1, 1) OR substr(k.word, 2, 1) = substr(w.value, 2, 1)) \
                 WHERE NOT EXISTS (SELECT 1 FROM search_word AS p \
                 WHERE p.word >= w.value AND p.word < w.value || char(1114111))",
            );
    }
    let mut found: HashMap<String, Vec<(usize, String)>> = HashMap::new();
    for row in db.query_all_raw(sql.statement()).await? {
        let (typed, known): (String, String) = (row.try_get("", "typed")?, row.try_get("", "known")?);
        if let Some(distance) = forgiven(&typed, &known) {
            found.entry(typed).or_default().push((distance, known));
        }
    }
    Ok(found.into_iter().map(|(typed, known)| (typed, best(known))).collect())
}

/// How far two words are apart, if a typing mistake explains it: one for a short word, two for a long one.
fn forgiven(typed: &str, known: &str) -> Option<usize> {
    let length = typed.chars().count();
    let most = match length {
        0..FORGIVEN_FROM => return None,
        FORGIVEN_FROM..8 => 1,
        _ => 2,
    };
    Some(strsim::osa_distance(typed, known)).filter(|distance| *distance <= most)
}

fn best(mut known: Vec<(usize, String)>) -> Vec<String> {
    known.sort();
    let least = known.first().map_or(0, |(distance, _)| *distance);
    known.into_iter().filter(|(distance, _)| *distance == least).take(CORRECTIONS).map(|(_, word)| word).collect()
}

/// The words of one product.
#[derive(Debug, Default)]
pub struct Document {
    name: BTreeSet<String>,
    rest: BTreeSet<String>,
}

impl Document {
    /// Adds words of the name, which count for more.
    pub fn name(&mut self, name: &str) {
        self.name.extend(text::words(name).map(cut));
    }

    /// Adds words of anything else.
    pub fn rest(&mut self, other: &str) {
        for word in text::words(other).map(cut) {
            if self.rest.len() >= WORDS_PER_PRODUCT {
                return;
            }
            self.rest.insert(word);
        }
    }
}

/// Replaces what is found of these products.
///
/// # Errors
/// When the database refuses.
pub async fn store(tx: &Tx, documents: &BTreeMap<i64, Document>) -> Result<()> {
    let words: BTreeSet<&str> =
        documents.values().flat_map(|one| one.name.iter().chain(&one.rest)).map(String::as_str).collect();
    let mut sql = tx.sql();
    // In one order, so that two writers never wait for each other.
    if sql.postgres() {
        sql.push("INSERT INTO search_word SELECT word FROM unnest(").texts(words).push(") AS new (word)");
    } else {
        sql.push("INSERT INTO search_word SELECT value FROM json_each(").texts(words).push(") WHERE true");
    }
    sql.push(" ON CONFLICT DO NOTHING");
    tx.execute_raw(sql.statement()).await?;
    let rows = documents.iter().map(|(key, one)| (*key, &one.name, &one.rest));
    if tx.sql().postgres() { store_postgres(tx, rows).await } else { store_sqlite(tx, rows).await }
}

type Words<'a> = &'a BTreeSet<String>;

async fn store_postgres(tx: &Tx, rows: impl Iterator<Item = (i64, Words<'_>, Words<'_>)>) -> Result<()> {
    let (mut keys, mut names, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let vector =
        |words: &mut dyn Iterator<Item = &String>| words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    for (key, name, rest) in rows {
        keys.push(key);
        names.push(vector(&mut name.iter()));
        all.push(vector(&mut name.union(rest)));
    }
    let mut sql = tx.sql();
    sql.push("INSERT INTO product_search (product_id, name, document) SELECT key, name::tsvector, every::tsvector FROM unnest(");
    sql.ints(keys).push(", ").texts(names.iter().map(String::as_str)).push(", ");
    sql.texts(all.iter().map(String::as_str)).push(
        ") AS new (key, name, every) \
         ON CONFLICT (product_id) DO UPDATE SET name = excluded.name, document = excluded.document",
    );
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

async fn store_sqlite(tx: &Tx, rows: impl Iterator<Item = (i64, Words<'_>, Words<'_>)>) -> Result<()> {
    let line = |words: Words<'_>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let rows: Vec<_> = rows.map(|(key, name, rest)| serde_json::json!([key, line(name), line(rest)])).collect();
    let mut sql = tx.sql();
    sql.push(
        "REPLACE INTO product_search (rowid, name, rest) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(",
    );
    sql.bind(serde_json::Value::Array(rows).to_string()).push(")");
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_forgiven_in_a_short_word_and_two_in_a_long_one() {
        assert_eq!(forgiven("kettel", "kettle"), Some(1));
        assert_eq!(forgiven("mgu", "mug"), None);
        assert_eq!(forgiven("headfones", "headphones"), Some(2));
        assert_eq!(forgiven("kettel", "metal"), None);
    }

    #[test]
    fn both_databases_are_asked_the_same() {
        let term = |any: &[&str], prefix| Term { any: any.iter().map(|word| (*word).to_owned()).collect(), prefix };
        let query = Query { key: "red mugg".into(), terms: vec![term(&["red"], true), term(&["mug", "mugs"], false)] };
        assert_eq!(query.expression(DbBackend::Postgres), "('red':*) & ('mug' | 'mugs')");
        assert_eq!(query.expression(DbBackend::Sqlite), "(\"red\" *) AND (\"mug\" OR \"mugs\")");
    }
}
