//! Text normalization for uniqueness and for search, and slugs. It is independent of the database.
//!
//! [`normalize_text`] decides uniqueness of category, option, tag and vendor names and keeps letters that a language
//! treats as distinct. [`normalize_for_search`] decides search matches and folds more.

use unicode_normalization::{
    UnicodeNormalization,
    char::{compose, is_combining_mark},
};

/// Returns the text in lower case, without accents, with single spaces. Texts with equal results are duplicates.
///
/// An accent is a mark on a Latin, Greek or Cyrillic letter, or a vowel point of Arabic or Hebrew. Marks of other
/// scripts (the voicing of kana, vowel signs, viramas, tones) form different letters, and so do Cyrillic letters that
/// Unicode composes (й, ї, ў), except ё, which is commonly written е.
#[must_use]
pub fn normalize_text(text: &str) -> String {
    // Most texts are ASCII; skipping decomposition and composition saves most of the time.
    if text.is_ascii() { fold_characters(text.chars()) } else { fold_characters(text.nfkd()).nfc().collect() }
}

/// Folds a decomposed text.
fn fold_characters(decomposed: impl Iterator<Item = char>) -> String {
    let mut folded = String::new();
    let mut base = ' ';
    for c in decomposed.filter(|c| !is_invisible(*c)) {
        if is_combining_mark(c) {
            if !is_accent(base, c) {
                folded.push(c);
            }
            continue;
        }
        if !(c.is_whitespace() || c.is_control()) {
            folded.extend(c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c }));
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
        base = folded.chars().next_back().unwrap_or(' ');
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Returns [`normalize_text`] with letters that Unicode does not decompose transliterated (ł as l, ß as ss) as
/// PostgreSQL's `unaccent` does, typographic apostrophes and hyphens in ASCII, and Arabic letters without their hamza.
#[must_use]
pub fn normalize_for_search(text: &str) -> String {
    let normalized = normalize_text(text);
    if normalized.is_ascii() {
        return normalized;
    }
    let mut transliterated = String::with_capacity(normalized.len());
    for c in normalized.nfd().filter(|c| !matches!(c, '\u{653}'..='\u{655}')) {
        match transliterate_letter(c) {
            "" => transliterated.push(c),
            letters => transliterated.push_str(letters),
        }
    }
    transliterated.nfc().collect()
}

/// Returns a URL slug: normalized words joined by hyphens, at most `limit` characters.
#[must_use]
pub fn slugify(text: &str, limit: usize) -> String {
    let mut slug = String::new();
    for term in normalize_text(text).split(|c| !is_word_character(c)).filter(|term| !term.is_empty()) {
        if slug.chars().count() + term.chars().count() + 1 > limit {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(term);
    }
    slug
}

/// Returns whether a character of a normalized text belongs to a word.
#[must_use]
pub fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Returns whether a character is invisible: joiners, soft hyphens, directions, variation selectors, the Arabic
/// elongation.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a mark is an accent of its lower-case base letter, not part of a different letter.
fn is_accent(base: char, mark: char) -> bool {
    if is_vowel_point(mark) {
        return true;
    }
    match base {
        // Cyrillic: ё is an accented letter, and a grave marks only the stress of ѐ and ѝ.
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' => {
            compose(base, mark).is_none() || base == 'е' && mark == '\u{308}' || mark == '\u{300}'
        }
        // Latin and Greek.
        '\0'..='\u{3ff}'
        | '\u{1d00}'..='\u{1fff}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a720}'..='\u{a7ff}'
        | '\u{ab30}'..='\u{ab6f}' => true,
        _ => !base.is_alphanumeric(),
    }
}

/// Returns whether a mark is an optional Arabic or Hebrew point or sign; hamza and madda are not.
const fn is_vowel_point(mark: char) -> bool {
    matches!(mark, '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{652}' | '\u{656}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{8d3}'..='\u{8ff}')
}

/// Returns the Latin transliteration of a letter, or an empty string if the letter is kept.
const fn transliterate_letter(c: char) -> &'static str {
    match c {
        'ᴀ' | 'ᶏ' | 'ⱥ' => "a",
        'ƀ' | 'ƃ' | 'ɓ' | 'ʙ' | 'ᴃ' | 'ᵬ' | 'ᶀ' => "b",
        'ƈ' | 'ȼ' | 'ɕ' | 'ᴄ' | 'ꞓ' => "c",
        'ð' | 'đ' | 'ƌ' | 'ȡ' | 'ɖ' | 'ɗ' | 'ᴅ' | 'ᴆ' | 'ᵭ' | 'ᶁ' | 'ᶑ' | 'ꝱ' | 'ꝺ' => "d",
        'ɇ' | 'ɛ' | 'ᴇ' | 'ᶒ' | 'ᶓ' | 'ⱸ' => "e",
        'ƒ' | 'ᵮ' | 'ᶂ' | 'ꜰ' | 'ꝼ' => "f",
        'ǥ' | 'ɠ' | 'ɡ' | 'ɢ' | 'ʛ' | 'ᶃ' | 'ꞡ' => "g",
        'ħ' | 'ɦ' | 'ɧ' | 'ʜ' | 'ⱨ' => "h",
        'ı' | 'ɨ' | 'ɪ' | 'ᵻ' | 'ᶖ' => "i",
        'ȷ' | 'ɉ' | 'ɟ' | 'ʝ' | 'ᴊ' => "j",
        'ƙ' | 'ᴋ' | 'ᶄ' | 'ⱪ' | 'ꝁ' | 'ꝃ' | 'ꝅ' | 'ꞣ' => "k",
        'ł' | 'ƚ' | 'ȴ' | 'ɫ' | 'ɬ' | 'ɭ' | 'ʟ' | 'ᴌ' | 'ᶅ' | 'ⱡ' | 'ꝇ' | 'ꝉ' | 'ꝲ' => "l",
        'ɱ' | 'ᴍ' | 'ᵯ' | 'ᶆ' | 'ꝳ' => "m",
        'ŋ' | 'ƞ' | 'ȵ' | 'ɲ' | 'ɳ' | 'ɴ' | 'ᵰ' | 'ᶇ' | 'ꝴ' | 'ꞑ' | 'ꞥ' => "n",
        'ø' | 'ᴏ' | 'ⱺ' | 'ꝋ' | 'ꝍ' => "o",
        'ƥ' | 'ᴘ' | 'ᵱ' | 'ᵽ' | 'ᶈ' | 'ꝑ' | 'ꝓ' | 'ꝕ' => "p",
        'ĸ' | 'ʠ' | 'ꝗ' | 'ꝙ' => "q",
        'ɍ' | 'ɼ' | 'ɽ' | 'ɾ' | 'ʀ' | 'ᵲ' | 'ᵳ' | 'ᶉ' | 'ꝵ' | 'ꝶ' | 'ꞧ' => "r",
        'ȿ' | 'ʂ' | 'ᵴ' | 'ᶊ' | 'ẜ' | 'ẝ' | 'ꜱ' | 'ꞩ' => "s",
        'ŧ' | 'ƫ' | 'ƭ' | 'ȶ' | 'ʈ' | 'ᴛ' | 'ᵵ' | 'ⱦ' | 'ꝷ' | 'ꞇ' => "t",
        'ʉ' | 'ᴜ' | 'ᵾ' | 'ᶙ' => "u",
        'ʋ' | 'ᴠ' | 'ᶌ' | 'ỽ' | 'ⱱ' | 'ⱴ' | 'ꝟ' => "v",
        'ᴡ' | 'ⱳ' => "w",
        'ᶍ' => "x",
        'ƴ' | 'ɏ' | 'ʏ' | 'ỿ' => "y",
        'ƶ' | 'ȥ' | 'ɀ' | 'ʐ' | 'ʑ' | 'ᴢ' | 'ᵶ' | 'ᶎ' | 'ⱬ' => "z",
        'ꜳ' => "aa",
        'æ' | 'ᴁ' => "ae",
        'ꜵ' => "ao",
        'ꜷ' => "au",
        'ꜹ' | 'ꜻ' => "av",
        'ꜽ' => "ay",
        'ȸ' => "db",
        'ʣ' | 'ʥ' => "dz",
        'ƕ' => "hv",
        'ỻ' => "ll",
        'ʪ' => "ls",
        'ʫ' => "lz",
        'œ' | 'ɶ' => "oe",
        'ƣ' => "oi",
        'ꝏ' => "oo",
        'ȹ' => "qp",
        'ß' => "ss",
        'þ' | 'ᵺ' | 'ꝥ' | 'ꝧ' => "th",
        'ʦ' => "ts",
        'ᵫ' => "ue",
        'ꝡ' => "vy",
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{2b9}' | '\u{2bb}'..='\u{2bd}' | '\u{2c8}' => "'",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        _ => "",
    }
}

/// Returns whether a text of several lines has control characters other than line breaks and tabs.
#[must_use]
pub fn has_control_characters(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !['\n', '\r', '\t'].contains(&c))
}

/// Returns a text of another system as one line of limited length.
#[must_use]
pub fn to_single_line(text: &str, max_chars: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn normalize_text_ignores_case_accents_and_blanks() {
        assert_eq!(normalize_text("  Café \t CRÈME "), "cafe creme");
        assert_eq!(normalize_text("ﬁne"), "fine");
        for (left, right) in [
            ("ΟΔΌΣ", "οδος"),
            ("ёлка", "ЕЛКА"),
            ("за́мок", "замок"),
            ("שָׁלוֹם", "שלום"),
            ("كِتَاب", "كتاب"),
            ("Donau\u{ad}dampf", "donaudampf"),
            ("ﾊﾞｽ", "バス"),
            ("クッション", "クッション"),
            ("मी\u{200d}ल", "मील"),
        ] {
            assert_eq!(normalize_text(left), normalize_text(right), "{left} {right}");
        }
        for blank in ["", " \t", "\u{301}", "\u{94d}", "\u{200d}\u{fe0f}"] {
            assert_eq!(normalize_text(blank), "", "{blank:?}");
        }
    }

    #[test]
    fn normalize_text_keeps_distinct_letters() {
        let pairs = [
            ("ハハ", "パパ"),
            ("カラス", "ガラス"),
            ("かご", "かこ"),
            ("मूल", "माला"),
            ("का", "की"),
            ("क्ष", "कष"),
            ("ক", "কি"),
            ("กา", "ก้า"),
            ("กิน", "กน"),
            ("май", "маи"),
            ("їжа", "іжа"),
            ("ўсё", "усё"),
            ("رأس", "راس"),
            ("Łuk", "Luk"),
            ("Maße", "Masse"),
        ];
        for (left, right) in pairs {
            assert_ne!(normalize_text(left), normalize_text(right));
            assert!(
                normalize_text(left).chars().count() == left.to_lowercase().chars().count(),
                "{left} {}",
                normalize_text(left)
            );
        }
    }

    #[test]
    fn normalize_for_search_transliterates_letters() {
        for (text, expected) in [
            ("Łuk", "luk"),
            ("Øl", "ol"),
            ("Spaß STRASSE ẞ", "spass strasse ss"),
            ("Œuvre", "oeuvre"),
            ("Ærø", "aero"),
            ("Đak ðrop", "dak drop"),
            ("Þór", "thor"),
            ("ılık İSTANBUL", "ilik istanbul"),
            ("Ħamrun ŧ ŋ ĸ ɓ", "hamrun t n q b"),
            ("Ǿ ǽ", "o ae"),
            ("O’Neill ʻokina", "o'neill 'okina"),
            ("2–3", "2-3"),
            ("أحمر", "احمر"),
            ("ガラス", "ガラス"),
            ("май", "май"),
        ] {
            assert_eq!(normalize_for_search(text), expected);
        }
    }

    #[test]
    fn slug_is_truncated_at_a_word() {
        assert_eq!(slugify("Animals & Pet Supplies", 60), "animals-pet-supplies");
        assert_eq!(slugify("Animals & Pet Supplies", 12), "animals-pet");
        assert_eq!(slugify("!!!", 12), "");
        assert_eq!(slugify("Rock-'n'-Roll 2XL, Ñandú!", 60), "rock-n-roll-2xl-nandu");
        assert_eq!(slugify("हिन्दी किताब", 60), "हिन्दी-किताब");
    }

    fn text_strategy() -> impl Strategy<Value = String> {
        let letters = "[a-zß-ƿ\u{300}-\u{345}α-ωа-я\u{591}-\u{5c7}א-ת\u{610}-\u{655}क-\u{94d}ก-\u{e4e}か-ヿ\u{3099}가-각\u{200b}-\u{200f} '’]";
        let mixed = proptest::collection::vec(prop_oneof![3 => letters, 1 => ".".prop_map(String::from)], 0..24);
        mixed.prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn normalization_is_idempotent(text in text_strategy()) {
            prop_assert_eq!(normalize_text(&normalize_text(&text)), normalize_text(&text));
            prop_assert_eq!(normalize_for_search(&normalize_for_search(&text)), normalize_for_search(&text));
            prop_assert_eq!(normalize_for_search(&normalize_text(&text)), normalize_for_search(&text));
        }

        #[test]
        fn unicode_normalization_form_does_not_matter(text in text_strategy()) {
            for normalize in [normalize_text, normalize_for_search] {
                prop_assert_eq!(normalize(&text.nfc().collect::<String>()), normalize(&text));
                prop_assert_eq!(normalize(&text.nfd().collect::<String>()), normalize(&text));
            }
        }
    }
}
