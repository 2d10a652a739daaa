//! Generation of names: words, plurals, title case, slugs.

use std::fmt::Write;

/// Splits a comma-separated word list.
pub fn split_words(words: &'static str) -> Vec<&'static str> {
    words.split(", ").map(str::trim).collect()
}

/// Joins two words with a space.
pub fn join_words(first: &str, second: &str) -> String {
    [first, " ", second].concat()
}

/// Returns the plural of an English noun.
pub fn pluralize(noun: &str) -> String {
    let take_stem = |suffix_length: usize| &noun[..noun.len() - suffix_length];
    let ends_with_any = |endings: &[&str]| endings.iter().any(|ending| noun.ends_with(ending));
    if ends_with_any(&["ss", "sh", "ch", "x"]) {
        [noun, "es"].concat()
    } else if ends_with_any(&["s"]) {
        noun.to_owned()
    } else if ends_with_any(&["fe"]) {
        [take_stem(2), "ves"].concat()
    } else if ends_with_any(&["lf", "rf"]) {
        [take_stem(1), "ves"].concat()
    } else if ends_with_any(&["ry", "dy", "ty", "ny"]) {
        [take_stem(1), "ies"].concat()
    } else {
        [noun, "s"].concat()
    }
}

/// Converts to title case: `small spaces` to `Small Spaces`; `the` and `to` stay in lower case.
pub fn convert_to_title_case(words: &str) -> String {
    let capitalize_word = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) if !matches!(word, "the" | "to") => [first.to_ascii_uppercase().as_str(), rest].concat(),
        _ => word.to_owned(),
    };
    words.split(' ').map(capitalize_word).collect::<Vec<_>>().join(" ")
}

/// Generates the word with this index: three syllables while those suffice, then more. Words with the same number of
/// syllables are unique.
pub fn generate_word(syllables: &[&str], index: u64) -> String {
    let base = count_items(syllables);
    let (mut words, mut length) = (base.pow(3), 3);
    while words <= index && length < 5 {
        words *= base;
        length += 1;
    }
    // The multiplier is coprime to the base, so that adjacent indexes give dissimilar words.
    let mut remainder = (index % words) * 1_000_003 % words;
    let mut word = String::with_capacity(length * 3);
    for _ in 0..length {
        word.push_str(syllables[usize::try_from(remainder % base).unwrap_or(0)]);
        remainder /= base;
    }
    word
}

/// Capitalizes the first letter.
pub fn capitalize(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

/// Builds a slug: the words in lower case and the number, joined by hyphens.
pub fn build_slug(words: &[&str], index: u64) -> String {
    let mut slug = String::with_capacity(64);
    for word in words {
        slug.extend(word.chars().map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }));
        slug.push('-');
    }
    push_number(&mut slug, index + 1, 1);
    slug
}

/// Appends a number, zero-padded to `width` digits.
pub fn push_number(text: &mut String, number: u64, width: usize) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{number:0width$}");
}

/// Returns the length of a list as `u64`.
pub fn count_items<T>(list: &[T]) -> u64 {
    convert_to_u64(list.len())
}

/// Converts to `u64`.
pub fn convert_to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
