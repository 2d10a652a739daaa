//! Search: the words of a product, and what a shopper's words are taken to mean.
//!
//! Both databases are handed words that were folded and cut here, so they find the same things. A word matches every
//! word that begins with it; a word that nothing begins with is taken for the nearest one that the shop knows.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    base::{
        Result, text,
        token::{self, Token, tokens},
    },
    infra::Tx,
};

pub mod near;

/// Longer words are cut.
const WORD_LIMIT: usize = 40;
/// More words of one product are left out.
const WORDS_PER_PRODUCT: usize = 2_000;
/// More words of one search are left out.
const WORDS_PER_SEARCH: usize = 12;
/// More pairs of letters in one run of a search are left out.
const PAIRS_PER_RUN: usize = 24;
/// The largest text anybody may search for, in characters.
pub const TEXT_LIMIT: usize = 200;

/// A shopper's words, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Everything that was typed, folded.
    pub key: String,
    /// What each word may stand for. All must match.
    terms: Vec<Term>,
}

/// The alternatives that a typed word stands for: of one of them, all words must match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term(Vec<Vec<Word>>);

/// A word of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    /// Words that begin so match too.
    prefix: bool,
}

impl Word {
    /// As it is in the index.
    const fn exact(text: String) -> Self {
        Self { text, prefix: false }
    }

    /// As it was typed: perhaps not to its end, once there are two letters.
    fn typed(text: String) -> Self {
        Self { prefix: text.chars().nth(1).is_some(), text }
    }
}

impl Query {
    /// Understands what was typed. `None` when there is no word in it. One statement at most.
    ///
    /// # Errors
    /// When the database cannot be asked for the words it knows.
    pub async fn read(db: &impl ConnectionTrait, typed: &str) -> Result<Option<Self>> {
        let tokens: Vec<Token> = tokens(typed).into_iter().take(WORDS_PER_SEARCH).map(cut).collect();
        if tokens.is_empty() {
            return Ok(None);
        }
        let words: Vec<&str> = tokens.iter().filter_map(whole).collect();
        let nearest = near::nearest(db, &words).await?;
        let terms = tokens.iter().map(|token| {
            let known = whole(token).and_then(|word| nearest.get(word)).into_iter().flatten();
            let mut any: Vec<Vec<Word>> = known.map(|word| vec![Word::exact(word.clone())]).collect();
            any.extend(written(token, !any.is_empty()));
            Term(any)
        });
        Ok(Some(Self { key: text::search_key(typed), terms: terms.collect() }))
    }

    /// The query in the words of a database's index.
    #[must_use]
    pub fn expression(&self, backend: DbBackend) -> String {
        let postgres = backend == DbBackend::Postgres;
        let word = |Word { text, prefix }: &Word| match (postgres, *prefix) {
            (true, true) => format!("'{text}':*"),
            (true, false) => format!("'{text}'"),
            (false, true) => format!("\"{text}\" *"),
            (false, false) => format!("\"{text}\""),
        };
        let (or, and) = if postgres { (" | ", " & ") } else { (" OR ", " AND ") };
        let all = |words: &Vec<Word>| match &words[..] {
            [one] => word(one),
            many => format!("({})", many.iter().map(word).collect::<Vec<_>>().join(and)),
        };
        let term = |Term(any): &Term| format!("({})", any.iter().map(all).collect::<Vec<_>>().join(or));
        self.terms.iter().map(term).collect::<Vec<_>>().join(and)
    }
}

/// The word that a token is, if a mistake in it can be forgiven.
fn whole(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) | Token::Contraction { joined: word, .. } => Some(word),
        Token::Unspaced(_) => None,
    }
}

/// What a token stands for as it was typed; if its word was corrected, only what else it may be.
fn written(token: &Token, is_corrected: bool) -> Vec<Vec<Word>> {
    let one = |word: &String| (!is_corrected).then(|| vec![Word::typed(word.clone())]);
    match token {
        Token::Word(word) => one(word).into_iter().collect(),
        Token::Contraction { joined, parts } => {
            one(joined).into_iter().chain([parts.iter().cloned().map(Word::typed).collect()]).collect()
        }
        Token::Unspaced(letters) => match &letters[..] {
            [letter] => vec![vec![Word { text: letter.clone(), prefix: true }]],
            _ => vec![token::pairs(letters).take(PAIRS_PER_RUN).map(Word::exact).collect()],
        },
    }
}

/// A token whose words are no longer than the index has them.
fn cut(token: Token) -> Token {
    let short = |word: String| word.chars().take(WORD_LIMIT).collect();
    match token {
        Token::Word(word) => Token::Word(short(word)),
        Token::Contraction { joined, parts } => {
            Token::Contraction { joined: short(joined), parts: parts.into_iter().map(short).collect() }
        }
        unspaced @ Token::Unspaced(_) => unspaced,
    }
}

/// The words of a text for the index.
fn index_words(text: &str) -> impl Iterator<Item = String> {
    tokens(text).into_iter().map(cut).flat_map(Token::index_words)
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
        self.name.extend(index_words(name));
    }

    /// Adds words of anything else.
    pub fn rest(&mut self, other: &str) {
        for word in index_words(other) {
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
    let words: BTreeSet<&String> = documents.values().flat_map(|one| one.name.iter().chain(&one.rest)).collect();
    // Pairs of letters are never taken for mistakes. In one order, so that two writers never wait for each other.
    let words = words.into_iter().filter(|word| !word.starts_with(token::is_unspaced));
    let mut sql = tx.sql();
    let columns = [("word", "text"), ("backwards", "text"), ("ends", "text")];
    sql.insert("search_word", &columns, words.map(|word| near::vocabulary_row(word)).collect());
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
    fn both_databases_are_asked_the_same() {
        let term = |any: &[&str], prefix| {
            Term(any.iter().map(|word| vec![Word { text: (*word).to_owned(), prefix }]).collect())
        };
        let query = Query { key: "red mugg".into(), terms: vec![term(&["red"], true), term(&["mug", "mugs"], false)] };
        assert_eq!(query.expression(DbBackend::Postgres), "('red':*) & ('mug' | 'mugs')");
        assert_eq!(query.expression(DbBackend::Sqlite), "(\"red\" *) AND (\"mug\" OR \"mugs\")");
    }

    #[test]
    fn expressions_hold_every_way_to_write_a_word() {
        let expression = |typed: &str| {
            let terms = tokens(typed).iter().map(|token| Term(written(token, false))).collect();
            Query { key: String::new(), terms }.expression(DbBackend::Postgres)
        };
        assert_eq!(expression("men's x"), "('mens':* | ('men':* & 's')) & ('x')");
        assert_eq!(expression("蓝牙耳机"), "(('蓝牙' & '牙耳' & '耳机'))");
        assert_eq!(expression("机 tv"), "('机':*) & ('tv':*)");
    }
}
