//! What a mistyped word may mean: the known words nearest to it, among a bounded number of candidates.
//!
//! A word with one mistake begins or ends as the right one does, or has its mistake in the middle, between the same two
//! ends. Three indexes of the vocabulary find those by ranges, each range read up to a limit, alike on both databases.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{base::Result, infra::Sql};

/// A word must have this many letters before a mistake in it is forgiven.
const FORGIVEN_FROM: usize = 4;
/// A word must have this many letters before two mistakes in it are forgiven.
const FORGIVEN_TWICE_FROM: usize = 8;
/// How many known words may stand for one that is not known.
const CORRECTIONS: usize = 5;
/// How many known words one range of an index gives.
const RANGE_LIMIT: usize = 200;
/// How many ranges are read for one typed word: its halves in three lengths, its thirds and its ends in five.
const RANGES: usize = 21;
/// The most known words that one typed word is compared with.
pub const CANDIDATES_PER_WORD: usize = RANGES * RANGE_LIMIT;

/// The columns of the vocabulary that have an index of candidates, and the order of each.
const INDEXES: [(&str, &str); 3] = [("word", "word"), ("backwards", "backwards"), ("ends", "ends, word")];

/// A known word that a typed one may stand for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// What was typed.
    pub typed: String,
    /// A known word of about that length which begins or ends alike.
    pub known: String,
}

/// For each word that no known word begins with: the known words nearest to it. One statement at most.
pub(super) async fn nearest(db: &impl ConnectionTrait, typed: &[&str]) -> Result<HashMap<String, Vec<String>>> {
    let mut found: HashMap<String, Vec<(usize, String)>> = HashMap::new();
    for Candidate { typed, known } in candidates(db, typed).await? {
        if let Some(distance) = forgiven(&typed, &known) {
            found.entry(typed).or_default().push((distance, known));
        }
    }
    Ok(found.into_iter().map(|(typed, known)| (typed, best(known))).collect())
}

/// What words that no known word begins with are compared with, at most [`CANDIDATES_PER_WORD`] for each. One statement
/// at most: none where no word is long enough for a mistake to be forgiven.
///
/// # Errors
/// When the database cannot be asked.
pub async fn candidates(db: &impl ConnectionTrait, typed: &[&str]) -> Result<Vec<Candidate>> {
    let ranges: Vec<Value> = typed.iter().flat_map(|typed| ranges(typed)).collect();
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(db.get_database_backend());
    let columns = [("typed", "text"), ("length", "int"), ("place", "int"), ("low", "text"), ("high", "text")];
    sql.with(&columns, ranges);
    let bytewise = if sql.postgres() { " COLLATE \"C\"" } else { "" };
    // The last character there is closes the range of all words with one beginning.
    let last = if sql.postgres() { "chr(1114111)" } else { "char(1114111)" };
    sql.push(&format!(
        ", probe AS MATERIALIZED (SELECT * FROM given WHERE NOT EXISTS (SELECT 1 FROM search_word AS k \
         WHERE k.word >= given.typed{bytewise} AND k.word < (given.typed || {last}){bytewise}))"
    ));
    for (place, (column, order)) in INDEXES.into_iter().enumerate() {
        let range = format!(
            "SELECT word FROM search_word WHERE length(word) = probe.length AND {column} >= probe.low{bytewise} \
             AND {column} < probe.high{bytewise} ORDER BY {order} LIMIT {RANGE_LIMIT}"
        );
        sql.push(if place == 0 { " " } else { " UNION " });
        if sql.postgres() {
            sql.push("SELECT probe.typed AS typed, near.word AS known FROM probe CROSS JOIN LATERAL (");
            sql.push(&range).push(") AS near");
        } else {
            sql.push("SELECT probe.typed AS typed, near.value AS known FROM probe, json_each((");
            sql.push("SELECT json_group_array(word) FROM (").push(&range).push("))) AS near");
        }
        sql.push(&format!(" WHERE probe.place = {place}"));
    }
    let rows = db.query_all_raw(sql.statement()).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok(Candidate { typed: row.try_get("", "typed")?, known: row.try_get("", "known")? })
    };
    rows.iter().map(read).collect()
}

/// How many mistakes are forgiven in a word of so many letters.
const fn allowed(length: usize) -> usize {
    match length {
        0..FORGIVEN_FROM => 0,
        FORGIVEN_FROM..FORGIVEN_TWICE_FROM => 1,
        _ => 2,
    }
}

/// The ranges of the indexes in which what was meant may stand, as rows of the statement.
fn ranges(typed: &str) -> Vec<Value> {
    let letters: Vec<char> = typed.chars().collect();
    let (length, most) = (letters.len(), allowed(letters.len()));
    if most == 0 {
        return Vec::new();
    }
    let first = |count: usize| letters.iter().take(count).collect::<String>();
    let last = |count: usize| letters.iter().rev().take(count).collect::<String>();
    // One mistake leaves one half as it is. Two leave a third; where that is the middle one, the ends tell.
    let (half, third) = (length.div_ceil(2), (length / 3).max(3));
    let mut wanted = vec![(0, first(half), 1), (1, last(length - half), 1), (2, ends(typed), most)];
    if most == 2 {
        wanted.extend([(0, first(third), 2), (1, last(third), 2)]);
    }
    let of_each_length = |(place, low, slack): (usize, String, usize)| {
        let high = format!("{low}\u{10ffff}");
        (length - slack..=length + slack).map(move |length| json!([typed, length, place, low, high]))
    };
    wanted.into_iter().flat_map(of_each_length).collect()
}

/// The first and the last letter of a word.
fn ends(word: &str) -> String {
    word.chars().next().into_iter().chain(word.chars().next_back()).collect()
}

/// A word as a row of the vocabulary: `word`, `backwards`, `ends`.
pub(super) fn vocabulary_row(word: &str) -> Value {
    json!([word, word.chars().rev().collect::<String>(), ends(word)])
}

/// How far two words are apart, if a typing mistake explains it: one for a short word, two for a long one.
fn forgiven(typed: &str, known: &str) -> Option<usize> {
    let most = allowed(typed.chars().count());
    Some(strsim::osa_distance(typed, known)).filter(|distance| *distance <= most && most > 0)
}

fn best(mut known: Vec<(usize, String)>) -> Vec<String> {
    known.sort();
    let least = known.first().map_or(0, |(distance, _)| *distance);
    known.into_iter().filter(|(distance, _)| *distance == least).take(CORRECTIONS).map(|(_, word)| word).collect()
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

    /// Whether one of the ranges of a typed word holds a known one.
    fn reached(typed: &str, known: &str) -> bool {
        let Value::Array(forms) = vocabulary_row(known) else { return false };
        ranges(typed).iter().any(|range| {
            let form = forms[usize::try_from(range[2].as_u64().unwrap_or_default()).unwrap_or_default()].as_str();
            let inside = form >= range[3].as_str() && form < range[4].as_str();
            inside && range[1].as_u64() == u64::try_from(known.chars().count()).ok()
        })
    }

    #[test]
    fn every_single_mistake_in_a_word_is_reached() {
        let known = ["lamp", "chair", "oneill", "kettles", "blankets", "headphones"];
        for known in known {
            let letters: Vec<char> = known.chars().collect();
            for place in 0..letters.len() {
                let (before, after) = (&letters[..place], &letters[place..]);
                let with = |middle: &[char], rest: &[char]| [before, middle, rest].concat().iter().collect::<String>();
                let mut typed = vec![with(&[], &after[1..]), with(&['z'], &after[1..]), with(&['z'], after)];
                if let [one, other, rest @ ..] = after {
                    typed.push(with(&[*other, *one], rest));
                }
                for typed in typed.into_iter().filter(|typed| forgiven(typed, known) == Some(1)) {
                    assert!(reached(&typed, known), "{typed} for {known}");
                }
            }
        }
        assert!(reached("haedphoens", "headphones") && reached("kithcenwar", "kitchenware"));
        assert!(ranges("donaudampfschifffahrt").len() <= RANGES && ranges("mug").is_empty());
    }
}
