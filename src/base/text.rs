//! Text as the shop compares it: folded for uniqueness or for searching, and made into slugs. The same on every
//! database.
//!
//! [`key`] decides which texts are the same: names of categories, options, tags and vendors. It keeps apart what
//! languages keep apart. [`search_key`] decides which texts find each other, and folds more.

use unicode_normalization::{
    UnicodeNormalization,
    char::{compose, is_combining_mark},
};

/// Lower case, without accents, blanks single: two texts with one key are the same to a shopper.
///
/// An accent is a mark on a Latin, Greek or Cyrillic letter, or a vowel point of Arabic or Hebrew. Marks of other
/// scripts (the voicing of kana, vowel signs, viramas, tones) make other letters, and so do those of Cyrillic letters
/// that Unicode knows as one (й, ї, ў), except ё, which is commonly written е.
#[must_use]
pub fn key(text: &str) -> String {
    // Most texts are plain: nothing of them is taken apart or put together, which takes longer than all the rest.
    if text.is_ascii() { fold(text.chars()) } else { fold(text.nfkd()).nfc().collect() }
}

/// Folds a text that is taken apart.
fn fold(decomposed: impl Iterator<Item = char>) -> String {
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

/// The [`key`] of a text with the letters that Unicode does not take apart written plainly (ł as l, ß as ss), as
/// PostgreSQL's `unaccent` does, typographic apostrophes and hyphens too, and Arabic letters without their hamza.
#[must_use]
pub fn search_key(text: &str) -> String {
    let key = key(text);
    if key.is_ascii() {
        return key;
    }
    let mut plain = String::with_capacity(key.len());
    for c in key.nfd().filter(|c| !matches!(c, '\u{653}'..='\u{655}')) {
        match plain_letters(c) {
            "" => plain.push(c),
            letters => plain.push_str(letters),
        }
    }
    plain.nfc().collect()
}

/// A name for addresses: folded words joined by hyphens, at most `limit` characters.
#[must_use]
pub fn slug(text: &str, limit: usize) -> String {
    let mut slug = String::new();
    for word in key(text).split(|c| !is_word_character(c)).filter(|word| !word.is_empty()) {
        if slug.chars().count() + word.chars().count() + 1 > limit {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    slug
}

/// Whether a character of a folded text belongs to a word.
#[must_use]
pub fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Whether a character shows nothing of its own: joiners, soft hyphens, directions, variants, the Arabic elongation.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a mark says nothing but how its letter, in lower case, is spoken.
fn is_accent(base: char, mark: char) -> bool {
    if is_vowel_point(mark) {
        return true;
    }
    match base {
        // Cyrillic: ё is an accent, and so is a grave, which marks the stress of ѐ and ѝ.
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

/// The points and signs that Arabic and Hebrew may be written with or without; the hamza and the madda are none.
const fn is_vowel_point(mark: char) -> bool {
    matches!(mark, '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{652}' | '\u{656}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{8d3}'..='\u{8ff}')
}

/// How a letter is written in plain Latin ones; nothing for one that stays.
const fn plain_letters(c: char) -> &'static str {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_and_blanks_do_not_matter() {
        assert_eq!(key("  Café \t CRÈME "), "cafe creme");
        assert_eq!(key("ﬁne"), "fine");
        for (one, other) in [
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
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        for nothing in ["", " \t", "\u{301}", "\u{94d}", "\u{200d}\u{fe0f}"] {
            assert_eq!(key(nothing), "", "{nothing:?}");
        }
    }

    #[test]
    fn key_keeps_apart_letters_that_languages_keep_apart() {
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
        for (one, other) in pairs {
            assert_ne!(key(one), key(other));
            assert!(key(one).chars().count() == one.to_lowercase().chars().count(), "{one} {}", key(one));
        }
    }

    #[test]
    fn search_key_writes_letters_plainly() {
        for (text, plain) in [
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
            assert_eq!(search_key(text), plain);
        }
    }

    #[test]
    fn slugs_are_cut_at_a_word() {
        assert_eq!(slug("Animals & Pet Supplies", 60), "animals-pet-supplies");
        assert_eq!(slug("Animals & Pet Supplies", 12), "animals-pet");
        assert_eq!(slug("!!!", 12), "");
        assert_eq!(slug("Rock-'n'-Roll 2XL, Ñandú!", 60), "rock-n-roll-2xl-nandu");
        assert_eq!(slug("हिन्दी किताब", 60), "हिन्दी-किताब");
    }

    fn text() -> impl Strategy<Value = String> {
        let letters = "[a-zß-ƿ\u{300}-\u{345}α-ωа-я\u{591}-\u{5c7}א-ת\u{610}-\u{655}क-\u{94d}ก-\u{e4e}か-ヿ\u{3099}가-각\u{200b}-\u{200f} '’]";
        let mixed = proptest::collection::vec(prop_oneof![3 => letters, 1 => ".".prop_map(String::from)], 0..24);
        mixed.prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in text()) {
            prop_assert_eq!(key(&key(&text)), key(&text));
            prop_assert_eq!(search_key(&search_key(&text)), search_key(&text));
            prop_assert_eq!(search_key(&key(&text)), search_key(&text));
        }

        #[test]
        fn normalization_forms_fold_alike(text in text()) {
            for fold in [key, search_key] {
                prop_assert_eq!(fold(&text.nfc().collect::<String>()), fold(&text));
                prop_assert_eq!(fold(&text.nfd().collect::<String>()), fold(&text));
            }
        }
    }
}
