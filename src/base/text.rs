//! Text as the shop compares it: folded, cut into words, made into slugs. The same on every database.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case, without accents, blanks single: two texts with one key are the same to a shopper.
#[must_use]
pub fn key(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match (c.is_whitespace() || c.is_control(), out.ends_with(' ') || out.is_empty()) {
            (true, true) => {}
            (true, false) => out.push(' '),
            (false, _) => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The words of a text, folded: runs of letters and digits.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = key(text);
    let words: Vec<String> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.into_iter()
}

/// A name for addresses: folded words joined by hyphens, at most `limit` characters.
#[must_use]
pub fn slug(text: &str, limit: usize) -> String {
    let mut slug = String::new();
    for word in words(text) {
        if slug.chars().count() + word.chars().count() + 1 > limit {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word);
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_blanks_do_not_matter() {
        assert_eq!(key("  Café \t CRÈME "), "cafe creme");
        assert_eq!(key("ﬁne"), "fine");
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let found: Vec<_> = words("Rock-'n'-Roll 2XL, Ñandú!").collect();
        assert_eq!(found, ["rock", "n", "roll", "2xl", "nandu"]);
    }

    #[test]
    fn slugs_are_cut_at_a_word() {
        assert_eq!(slug("Animals & Pet Supplies", 60), "animals-pet-supplies");
        assert_eq!(slug("Animals & Pet Supplies", 12), "animals-pet");
        assert_eq!(slug("!!!", 12), "");
    }
}
