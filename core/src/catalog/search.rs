//! Full-text search: the indexed words of products, and the parsing of search text.
//!
//! Words are normalized and tokenized here, so that both databases return the same results. A word matches every word
//! it is a prefix of; a word that is not a prefix of any is corrected to the nearest words of the vocabulary.

use std::{collections::BTreeSet, sync::Arc};

use sea_orm::{ConnectionTrait, DbBackend};

use super::queries::{product_filter::ProductVisibility, search_index};
use crate::base::{
    LanguageCode, Result,
    search_token::{self, SearchToken, tokenize},
    text,
};

pub mod entity;
pub mod pin_admin;
pub mod ranking;
pub mod report;
pub mod rules;
pub mod spelling;
pub mod suggest;
pub mod synonym_admin;
pub mod synonyms;
pub mod tier;
pub mod way;

use rules::SearchRules;
use synonyms::TypedTerm;

/// Maximum length of a word; longer ones are truncated.
const MAX_WORD_LENGTH: usize = 40;
/// Maximum number of words of a product; further ones are ignored.
const MAX_WORDS_PER_PRODUCT: usize = 2_000;
/// Maximum number of words of a search; further ones are ignored.
pub const MAX_WORDS_PER_SEARCH: usize = 12;
/// Maximum number of letter pairs in one run of a search; further ones are ignored.
const MAX_PAIRS_PER_RUN: usize = 24;
/// Maximum length of a search text in characters.
pub const MAX_SEARCH_TEXT_LENGTH: usize = 200;

/// A parsed search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// The whole search text, normalized.
    pub normalized_text: String,
    /// The words of the search text that are searched for, normalized and separated by spaces.
    pub word_text: String,
    /// Ids of the products pinned for the search text, the first one on top.
    pinned_ids: Arc<[i64]>,
    /// The terms, all of which must match, unless `matches_any`.
    terms: Vec<SearchTerm>,
    /// The word of each term.
    words: Vec<QueryWord>,
    /// The words of terms of several words, which are terms of their own if no product matches all terms.
    separate: Vec<(SearchTerm, QueryWord)>,
    /// Whether one of the terms that are not dropped is enough, because no product matches all.
    matches_any: bool,
}

/// A word of a search text, or several that have synonyms together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryWord {
    /// The word as typed, normalized; several are separated by spaces.
    pub typed: String,
    /// What is searched for as well; a word that has synonyms is not corrected.
    pub synonyms: Vec<String>,
    /// The words that are searched for instead, nearest first; empty if the word was not corrected.
    pub corrections: Vec<String>,
    /// Whether it is not searched for: products match other words of the text, none has this one.
    pub is_dropped: bool,
    /// Whether words may begin with it: it is not a run of a script without spaces.
    can_be_prefix: bool,
}

impl QueryWord {
    /// Returns the word that is searched for: the typed one or the first correction.
    #[must_use]
    pub fn searched(&self) -> &str {
        self.corrections.first().unwrap_or(&self.typed)
    }
}

/// A search term: alternatives, of which one must match with all its words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SearchTerm(Vec<Vec<SearchWord>>);

/// A word to be matched in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SearchWord {
    text: String,
    /// Whether words that start with it match too.
    is_prefix: bool,
}

impl SearchWord {
    /// Creates a word that must match exactly.
    const fn exact(text: String) -> Self {
        Self { text, is_prefix: false }
    }

    /// Creates a word as typed, which is a prefix if it has two letters or more.
    fn from_typed(text: String) -> Self {
        Self { is_prefix: text.chars().nth(1).is_some(), text }
    }
}

impl SearchQuery {
    /// Parses a search text in a language, whose synonyms apply. `None` if it contains no word. Statements: 1 at most.
    pub async fn parse(
        db: &impl ConnectionTrait,
        search_text: &str,
        rules: &SearchRules,
        language: Option<LanguageCode>,
    ) -> Result<Option<Self>> {
        let mut tokens = tokenize_query(search_text);
        tokens.truncate(MAX_WORDS_PER_SEARCH);
        if tokens.is_empty() {
            return Ok(None);
        }
        let typed_terms = rules.synonyms.divide(&tokens, language);
        let words: Vec<&str> = typed_terms.iter().filter_map(TypedTerm::correctable_word).collect();
        let corrections_by_word = spelling::find_corrections(db, &rules.known_words, &words).await?;
        let (mut terms, mut words) = (Vec::with_capacity(tokens.len()), Vec::with_capacity(tokens.len()));
        let mut separate = Vec::new();
        for term in typed_terms {
            let corrections = term.correctable_word().and_then(|word| corrections_by_word.get(word)).cloned();
            let corrections = corrections.unwrap_or_default();
            terms.push(SearchTerm::from_typed(&term, &corrections));
            let TypedTerm { tokens, text: typed, synonyms } = term;
            let can_be_prefix = matches!(tokens, [token] if !matches!(token, SearchToken::Unspaced(_)));
            let synonyms = synonyms.into_iter().map(|synonym| synonym.text.clone()).collect();
            words.push(QueryWord { typed, synonyms, corrections, is_dropped: false, can_be_prefix });
            if tokens.len() > 1 {
                separate.extend(tokens.iter().map(separate_token));
            }
        }
        let normalized_text = text::normalize_for_search(search_text);
        let word_text = tokens.iter().map(token_text).collect::<Vec<_>>().join(" ");
        let pinned_ids = rules.find_pinned_ids(&word_text);
        Ok(Some(Self { normalized_text, word_text, pinned_ids, terms, words, separate, matches_any: false }))
    }

    /// Returns what names of the tier [`tier::SearchTier::Begins`] begin with: the search text, with a space if its last
    /// word is a single letter, which matches no longer word. Otherwise each name with that letter would be a candidate.
    #[must_use]
    pub fn name_prefix(&self) -> String {
        let last_word = self.normalized_text.rsplit(' ').next().unwrap_or_default();
        let is_exact = last_word.chars().nth(1).is_none() && !last_word.starts_with(search_token::is_unspaced);
        [self.normalized_text.as_str(), if is_exact { " " } else { "" }].concat()
    }

    /// Returns the ids of the products pinned for the search text, the first one on top.
    #[must_use]
    pub fn pinned_ids(&self) -> &[i64] {
        &self.pinned_ids
    }

    /// Accepts products that match any of its terms, if no product of a visibility matches all of them. Terms that none
    /// matches are dropped. Statements: 1; none if it has a single word.
    pub async fn relax(&mut self, db: &impl ConnectionTrait, visibility: ProductVisibility) -> Result<()> {
        if self.terms.len() + self.separate.len() < 2 {
            return Ok(());
        }
        let backend = db.get_database_backend();
        let terms = self.terms.iter().chain(self.separate.iter().map(|(term, _)| term));
        let terms = terms.map(|term| term.to_match_expression(backend)).collect();
        let expressions = [vec![self.to_match_expression(backend)], terms].concat();
        let found = search_index::find_matching_expressions(db, &expressions, visibility).await?;
        // Without any match it stays as it is: it finds nothing either way.
        if !found.is_empty() && !found.contains(&0) {
            self.matches_any = true;
            let (terms, words): (Vec<_>, Vec<_>) = self.separate.drain(..).unzip();
            self.terms.extend(terms);
            self.words.extend(words);
            for (number, word) in (1..).zip(&mut self.words) {
                word.is_dropped = !found.contains(&number);
            }
        }
        Ok(())
    }

    /// Returns whether products match any of its terms only.
    #[must_use]
    pub const fn matches_any(&self) -> bool {
        self.matches_any
    }

    /// Returns the words of the search text with their corrections.
    #[must_use]
    pub fn words(&self) -> &[QueryWord] {
        &self.words
    }

    /// Returns whether a text with these indexed words matches: each term, as typed or as it is searched for.
    fn matches_words(&self, indexed_words: &[String]) -> bool {
        let matches = |SearchWord { text, is_prefix }: &SearchWord| {
            indexed_words.iter().any(|word| word == text || (*is_prefix && word.starts_with(text.as_str())))
        };
        self.terms.iter().zip(&self.words).all(|(SearchTerm(alternatives), QueryWord { typed, can_be_prefix, .. })| {
            let typed_word = SearchWord { text: typed.clone(), is_prefix: typed.chars().nth(1).is_some() };
            (*can_be_prefix && matches(&typed_word)) || alternatives.iter().any(|words| words.iter().all(matches))
        })
    }

    /// Returns the query in the syntax of a database's index.
    #[must_use]
    pub fn to_match_expression(&self, backend: DbBackend) -> String {
        let terms = self.terms.iter().zip(&self.words).filter(|(_, word)| !word.is_dropped);
        let expressions: Vec<String> = terms.map(|(term, _)| term.to_match_expression(backend)).collect();
        let (or, and) = match_operators(backend);
        expressions.join(if self.matches_any { or } else { and })
    }
}

impl SearchTerm {
    /// Creates the term of typed words with their corrections or synonyms.
    fn from_typed(TypedTerm { tokens, synonyms, .. }: &TypedTerm<'_>, corrections: &[String]) -> Self {
        let corrected = corrections.iter().map(|word| vec![SearchWord::exact(word.clone())]);
        let typed = expand_typed_tokens(tokens, !corrections.is_empty());
        let synonyms = synonyms.iter().flat_map(|synonym| expand_typed_tokens(&synonym.tokens, false));
        Self(corrected.chain(typed).chain(synonyms).collect())
    }

    /// Returns the term in the syntax of a database's index, in parentheses.
    fn to_match_expression(&self, backend: DbBackend) -> String {
        let postgres = backend == DbBackend::Postgres;
        let format_word = |SearchWord { text, is_prefix: prefix }: &SearchWord| match (postgres, *prefix) {
            (true, true) => format!("'{text}':*"),
            (true, false) => format!("'{text}'"),
            (false, true) => format!("\"{text}\" *"),
            (false, false) => format!("\"{text}\""),
        };
        let (or, and) = match_operators(backend);
        let format_all = |words: &Vec<SearchWord>| match &words[..] {
            [single] => format_word(single),
            multiple => format!("({})", multiple.iter().map(format_word).collect::<Vec<_>>().join(and)),
        };
        format!("({})", self.0.iter().map(format_all).collect::<Vec<_>>().join(or))
    }
}

/// Returns the operators of alternatives and of conditions that must all hold.
const fn match_operators(backend: DbBackend) -> (&'static str, &'static str) {
    if matches!(backend, DbBackend::Postgres) { (" | ", " & ") } else { (" OR ", " AND ") }
}

/// Returns the tokens of a search text, or of a term that is searched for.
fn tokenize_query(text: &str) -> Vec<SearchToken> {
    tokenize(text).into_iter().map(truncate_token).collect()
}

/// Returns the word, or the run of characters, of a token.
fn token_text(token: &SearchToken) -> String {
    match token {
        SearchToken::Word(word) | SearchToken::Contraction { joined: word, .. } => word.clone(),
        SearchToken::Unspaced(characters) => characters.concat(),
    }
}

/// Returns one word of a term of several as a term of its own.
fn separate_token(token: &SearchToken) -> (SearchTerm, QueryWord) {
    let word = QueryWord {
        typed: token_text(token),
        synonyms: Vec::new(),
        corrections: Vec::new(),
        is_dropped: false,
        can_be_prefix: !matches!(token, SearchToken::Unspaced(_)),
    };
    (SearchTerm(expand_typed_token(token, false)), word)
}

/// Returns the alternatives of tokens that must all match. Of several tokens, contractions are searched for as one word.
fn expand_typed_tokens(tokens: &[SearchToken], is_corrected: bool) -> Vec<Vec<SearchWord>> {
    match tokens {
        [token] => expand_typed_token(token, is_corrected),
        _ => vec![
            tokens.iter().filter_map(|token| expand_typed_token(token, false).into_iter().next()).flatten().collect(),
        ],
    }
}

/// Returns the alternatives of a token as typed; if its word was corrected, only the other ones.
fn expand_typed_token(token: &SearchToken, is_corrected: bool) -> Vec<Vec<SearchWord>> {
    let keep_typed = |word: &String| (!is_corrected).then(|| vec![SearchWord::from_typed(word.clone())]);
    match token {
        SearchToken::Word(word) => keep_typed(word).into_iter().collect(),
        SearchToken::Contraction { joined, parts } => keep_typed(joined)
            .into_iter()
            .chain([parts.iter().cloned().map(SearchWord::from_typed).collect()])
            .collect(),
        SearchToken::Unspaced(letters) => match &letters[..] {
            [letter] => vec![vec![SearchWord { text: letter.clone(), is_prefix: true }]],
            _ => vec![search_token::character_pairs(letters).take(MAX_PAIRS_PER_RUN).map(SearchWord::exact).collect()],
        },
    }
}

/// Truncates the words of a token to the maximum length.
fn truncate_token(token: SearchToken) -> SearchToken {
    let truncate = |word: String| word.chars().take(MAX_WORD_LENGTH).collect();
    match token {
        SearchToken::Word(word) => SearchToken::Word(truncate(word)),
        SearchToken::Contraction { joined, parts } => {
            SearchToken::Contraction { joined: truncate(joined), parts: parts.into_iter().map(truncate).collect() }
        }
        unspaced @ SearchToken::Unspaced(_) => unspaced,
    }
}

/// Returns the words of a text for the index.
pub(super) fn tokenize_for_index(text: &str) -> impl Iterator<Item = String> {
    tokenize(text).into_iter().map(truncate_token).flat_map(SearchToken::index_terms)
}

/// The indexed words of one product.
#[derive(Debug, Default)]
pub struct SearchDocument {
    /// Words of the name.
    pub(super) name_words: BTreeSet<String>,
    /// Words of all other fields.
    pub(super) other_words: BTreeSet<String>,
}

impl SearchDocument {
    /// Adds words of the name, which score higher.
    pub fn add_name(&mut self, name: &str) {
        self.name_words.extend(tokenize_for_index(name));
    }

    /// Adds words of any other field.
    pub fn add_text(&mut self, text: &str) {
        for word in tokenize_for_index(text) {
            if self.other_words.len() >= MAX_WORDS_PER_PRODUCT {
                return;
            }
            self.other_words.insert(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn match_expression_is_equivalent_on_both_databases() {
        let term = |alternatives: &[&str], is_prefix| {
            SearchTerm(
                alternatives.iter().map(|word| vec![SearchWord { text: (*word).to_owned(), is_prefix }]).collect(),
            )
        };
        let word = |typed: &str| QueryWord {
            typed: typed.into(),
            synonyms: Vec::new(),
            corrections: Vec::new(),
            is_dropped: false,
            can_be_prefix: true,
        };
        let mut query = SearchQuery {
            normalized_text: "red mugg x".into(),
            word_text: "red mugg x".into(),
            pinned_ids: Arc::default(),
            terms: vec![term(&["red"], true), term(&["mug", "mugs"], false), term(&["x"], false)],
            words: ["red", "mugg", "x"].map(word).to_vec(),
            separate: Vec::new(),
            matches_any: false,
        };
        assert_eq!(query.to_match_expression(DbBackend::Postgres), "('red':*) & ('mug' | 'mugs') & ('x')");
        assert_eq!(query.to_match_expression(DbBackend::Sqlite), "(\"red\" *) AND (\"mug\" OR \"mugs\") AND (\"x\")");
        query.matches_any = true;
        query.words[2].is_dropped = true;
        assert_eq!(query.to_match_expression(DbBackend::Postgres), "('red':*) | ('mug' | 'mugs')");
        assert_eq!(query.to_match_expression(DbBackend::Sqlite), "(\"red\" *) OR (\"mug\" OR \"mugs\")");
    }

    #[test]
    fn match_expression_contains_every_spelling() {
        let expression = |search_text: &str| {
            let terms = tokenize(search_text).into_iter().map(|token| SearchTerm(expand_typed_token(&token, false)));
            terms.map(|term| term.to_match_expression(DbBackend::Postgres)).collect::<Vec<_>>().join(" & ")
        };
        assert_eq!(expression("men's x"), "('mens':* | ('men':* & 's')) & ('x')");
        assert_eq!(expression("蓝牙耳机"), "(('蓝牙' & '牙耳' & '耳机'))");
        assert_eq!(expression("机 tv"), "('机':*) & ('tv':*)");
    }
}
