//! How things are called: coined words, plurals, titles, addresses.

use std::fmt::Write;

/// The words of a list as the word files write it.
pub fn list(words: &'static str) -> Vec<&'static str> {
    words.split(", ").map(str::trim).collect()
}

/// Two words with a space between.
pub fn join(first: &str, second: &str) -> String {
    [first, " ", second].concat()
}

/// More than one of it.
pub fn plural(noun: &str) -> String {
    let stem = |cut: usize| &noun[..noun.len() - cut];
    let ends = |endings: &[&str]| endings.iter().any(|ending| noun.ends_with(ending));
    if ends(&["ss", "sh", "ch", "x"]) {
        [noun, "es"].concat()
    } else if ends(&["s"]) {
        noun.to_owned()
    } else if ends(&["fe"]) {
        [stem(2), "ves"].concat()
    } else if ends(&["lf", "rf"]) {
        [stem(1), "ves"].concat()
    } else if ends(&["ry", "dy", "ty", "ny"]) {
        [stem(1), "ies"].concat()
    } else {
        [noun, "s"].concat()
    }
}

/// `small spaces` to `Small Spaces`; joining words stay as they are.
pub fn title(words: &str) -> String {
    let capital = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) if !matches!(word, "the" | "to") => [first.to_ascii_uppercase().as_str(), rest].concat(),
        _ => word.to_owned(),
    };
    words.split(' ').map(capital).collect::<Vec<_>>().join(" ")
}

/// The `n`-th coined word: three syllables as long as those suffice, then more. No two numbers give the same
/// word as long as both take the same number of syllables.
pub fn coin(syllables: &[&str], n: u64) -> String {
    let base = count(syllables);
    let (mut words, mut length) = (base.pow(3), 3);
    while words <= n && length < 5 {
        words *= base;
        length += 1;
    }
    // Neighbours in number should not look alike: multiply by a number that shares no divisor with the base.
    let mut rest = (n % words) * 1_000_003 % words;
    let mut word = String::with_capacity(length * 3);
    for _ in 0..length {
        word.push_str(syllables[usize::try_from(rest % base).unwrap_or(0)]);
        rest /= base;
    }
    word
}

/// With its first letter large.
pub fn capital(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

/// The words in small letters and the number, with hyphens between.
pub fn slug(words: &[&str], n: u64) -> String {
    let mut slug = String::with_capacity(64);
    for word in words {
        slug.extend(word.chars().map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }));
        slug.push('-');
    }
    push_number(&mut slug, n + 1, 1);
    slug
}

/// Append a number of at least so many digits.
pub fn push_number(text: &mut String, number: u64, width: usize) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{number:0width$}");
}

/// How many there are.
pub fn count<T>(list: &[T]) -> u64 {
    count_of(list.len())
}

/// The same number in 64 bits.
pub fn count_of(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
