//! Spelling correction: the words of the vocabulary nearest to a mistyped word, among a bounded number of candidates.
//!
//! A word with one typo has the same beginning or end as the correct one, or the typo is in the middle and both ends
//! match. Three indexes of the vocabulary find such words by range scans, each up to a limit, identically on both
//! databases.

use std::collections::HashMap;

use moka::sync::Cache;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

pub use crate::catalog::queries::search_index::SpellingCandidate;
use crate::{
    base::Result,
    catalog::{
        entity::search_term,
        queries::{self, search_index::MAX_WORDS_PER_RANGE},
    },
};

/// Minimum length of a word in which one typo is tolerated.
const MIN_LENGTH_FOR_ONE_TYPO: usize = 4;
/// Minimum length of a word in which two typos are tolerated.
const MIN_LENGTH_FOR_TWO_TYPOS: usize = 8;
/// Maximum number of corrections of a word.
const MAX_CORRECTIONS: usize = 5;
/// Maximum number of known words that are remembered, of about 150 bytes each.
const MAX_KNOWN_WORDS: u64 = 20_000;
/// Maximum number of ranges read per typed word: its halves in three lengths, its thirds and its ends in five.
const MAX_RANGES_PER_WORD: usize = 21;
/// Maximum number of vocabulary words that one typed word is compared with.
pub const MAX_CANDIDATES_PER_WORD: usize = MAX_RANGES_PER_WORD * MAX_WORDS_PER_RANGE;

/// Typed words that are prefixes of vocabulary words. The vocabulary only grows, so they need not be looked up again.
#[derive(Debug)]
pub(super) struct KnownWords(Cache<String, ()>);

impl Default for KnownWords {
    fn default() -> Self {
        Self(Cache::new(MAX_KNOWN_WORDS))
    }
}

/// Returns the nearest vocabulary words of each word that is not a prefix of any. Statements: 1 at most; none if all words
/// are known.
pub(super) async fn find_corrections(
    db: &impl ConnectionTrait,
    known_words: &KnownWords,
    typed: &[&str],
) -> Result<HashMap<String, Vec<String>>> {
    let unknown: Vec<&str> = typed.iter().copied().filter(|word| !known_words.0.contains_key(*word)).collect();
    let mut suggestions_by_word: HashMap<String, Vec<(usize, String)>> = HashMap::new();
    for SpellingCandidate { typed, suggestion } in load_candidates(db, &unknown).await? {
        if suggestion == typed {
            known_words.0.insert(typed, ());
        } else if let Some(distance) = measure_typo_distance(&typed, &suggestion) {
            suggestions_by_word.entry(typed).or_default().push((distance, suggestion));
        }
    }
    Ok(suggestions_by_word
        .into_iter()
        .map(|(typed, suggestion)| (typed, select_best_corrections(suggestion)))
        .collect())
}

/// Returns the candidates for words that are not a prefix of any vocabulary word, at most [`MAX_CANDIDATES_PER_WORD`]
/// for each; a prefix of a vocabulary word has only itself as a candidate. Statements: 1 at most; none if no word is long
/// enough for a typo to be tolerated.
pub async fn load_candidates(db: &impl ConnectionTrait, typed: &[&str]) -> Result<Vec<SpellingCandidate>> {
    let ranges: Vec<Value> = typed.iter().flat_map(|typed| build_index_ranges(typed)).collect();
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    queries::search_index::load_spelling_candidates(db, ranges).await
}

/// Returns the number of typos tolerated in a word of a length.
const fn count_allowed_typos(length: usize) -> usize {
    match length {
        0..MIN_LENGTH_FOR_ONE_TYPO => 0,
        MIN_LENGTH_FOR_ONE_TYPO..MIN_LENGTH_FOR_TWO_TYPOS => 1,
        _ => 2,
    }
}

/// Returns the index ranges that may contain the intended word, as rows of the statement.
fn build_index_ranges(typed: &str) -> Vec<Value> {
    let letters: Vec<char> = typed.chars().collect();
    let (length, max_typos) = (letters.len(), count_allowed_typos(letters.len()));
    if max_typos == 0 {
        return Vec::new();
    }
    let first = |count: usize| letters.iter().take(count).collect::<String>();
    let last = |count: usize| letters.iter().rev().take(count).collect::<String>();
    // One typo leaves one half unchanged. Two leave one third; if that is the middle one, the ends are compared.
    let (half, third) = (length.div_ceil(2), (length / 3).max(3));
    let mut probes = vec![(0, first(half), 1), (1, last(length - half), 1), (2, boundary_letters(typed), max_typos)];
    if max_typos == 2 {
        probes.extend([(0, first(third), 2), (1, last(third), 2)]);
    }
    let expand_lengths = |(index_number, low, length_slack): (usize, String, usize)| {
        let high = format!("{low}\u{10ffff}");
        (length - length_slack..=length + length_slack)
            .map(move |length| json!([typed, length, index_number, low, high]))
    };
    probes.into_iter().flat_map(expand_lengths).collect()
}

/// Returns the first and the last letter of a word.
fn boundary_letters(word: &str) -> String {
    word.chars().next().into_iter().chain(word.chars().next_back()).collect()
}

/// Returns a word as a row of the vocabulary: `term`, `reversed`, `end_letters`.
pub(in crate::catalog) fn build_search_term(word: &str) -> search_term::Model {
    search_term::Model {
        term: word.to_owned(),
        reversed: word.chars().rev().collect(),
        end_letters: boundary_letters(word),
    }
}

/// Returns the edit distance of two words if it is tolerated: up to one typo in a short word, two in a long one.
fn measure_typo_distance(typed: &str, suggestion: &str) -> Option<usize> {
    let max_typos = count_allowed_typos(typed.chars().count());
    Some(strsim::osa_distance(typed, suggestion)).filter(|distance| *distance <= max_typos && max_typos > 0)
}

fn select_best_corrections(mut suggestions: Vec<(usize, String)>) -> Vec<String> {
    suggestions.sort();
    let smallest_distance = suggestions.first().map_or(0, |(distance, _)| *distance);
    suggestions
        .into_iter()
        .filter(|(distance, _)| *distance == smallest_distance)
        .take(MAX_CORRECTIONS)
        .map(|(_, word)| word)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typo_tolerance_grows_with_word_length() {
        assert_eq!(measure_typo_distance("kettel", "kettle"), Some(1));
        assert_eq!(measure_typo_distance("mgu", "mug"), None);
        assert_eq!(measure_typo_distance("headfones", "headphones"), Some(2));
        assert_eq!(measure_typo_distance("kettel", "metal"), None);
    }

    /// Returns whether one of the index ranges of a typed word contains a vocabulary word.
    fn is_in_index_ranges(typed: &str, word: &str) -> bool {
        let search_term::Model { term, reversed, end_letters } = build_search_term(word);
        let forms = [term, reversed, end_letters];
        build_index_ranges(typed).iter().any(|range| {
            let form = Some(forms[usize::try_from(range[2].as_u64().unwrap_or_default()).unwrap_or_default()].as_str());
            let is_inside = form >= range[3].as_str() && form < range[4].as_str();
            is_inside && range[1].as_u64() == u64::try_from(word.chars().count()).ok()
        })
    }

    #[test]
    fn index_ranges_cover_every_single_typo() {
        let words = ["lamp", "chair", "oneill", "kettles", "blankets", "headphones"];
        for word in words {
            let letters: Vec<char> = word.chars().collect();
            for index in 0..letters.len() {
                let (before, after) = (&letters[..index], &letters[index..]);
                let assemble =
                    |middle: &[char], rest: &[char]| [before, middle, rest].concat().iter().collect::<String>();
                let mut typed =
                    vec![assemble(&[], &after[1..]), assemble(&['z'], &after[1..]), assemble(&['z'], after)];
                if let [first, second, rest @ ..] = after {
                    typed.push(assemble(&[*second, *first], rest));
                }
                for typed in typed.into_iter().filter(|typed| measure_typo_distance(typed, word) == Some(1)) {
                    assert!(is_in_index_ranges(&typed, word), "{typed} for {word}");
                }
            }
        }
        assert!(is_in_index_ranges("haedphoens", "headphones") && is_in_index_ranges("kithcenwar", "kitchenware"));
        assert!(
            build_index_ranges("donaudampfschifffahrt").len() <= MAX_RANGES_PER_WORD
                && build_index_ranges("mug").is_empty()
        );
    }
}
