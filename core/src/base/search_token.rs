//! Search tokens of a text; indexing and queries use the same tokenization.

use super::text::{is_word_character, normalize_for_search};

/// A search token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchToken {
    /// A run of letters and digits.
    Word(String),
    /// A word with apostrophes between its letters; users write it with apostrophes, without them or with spaces.
    Contraction {
        /// The word without apostrophes.
        joined: String,
        /// The parts between the apostrophes.
        parts: Vec<String>,
    },
    /// The characters of a run of Han, kana or Hangul, which has few or no spaces. Any substring may be searched for,
    /// so it is indexed by overlapping pairs.
    Unspaced(Vec<String>),
}

impl SearchToken {
    /// Returns the terms under which the token is indexed.
    #[must_use]
    pub fn index_terms(self) -> Vec<String> {
        match self {
            Self::Word(term) => vec![term],
            Self::Contraction { joined, parts } => [vec![joined], parts].concat(),
            // The last character is added so that every character begins a term: single-character searches use a prefix
            // match.
            Self::Unspaced(characters) => {
                let last = characters.last().cloned();
                character_pairs(&characters).chain(last).collect()
            }
        }
    }
}

/// Returns the overlapping pairs of a run.
pub fn character_pairs(characters: &[String]) -> impl Iterator<Item = String> {
    characters.windows(2).map(<[String]>::concat)
}

/// Returns the tokens of a text normalized by [`normalize_for_search`].
#[must_use]
pub fn tokenize(text: &str) -> Vec<SearchToken> {
    let folded = normalize_for_search(text);
    let runs = folded.split(|c: char| c != '\'' && !is_word_character(c));
    runs.flat_map(split_contractions).flat_map(to_search_tokens).collect()
}

/// Splits a run at its apostrophes into words; an apostrophe between two letters joins its parts into one word.
fn split_contractions(run: &str) -> Vec<Vec<&str>> {
    let mut words: Vec<Vec<&str>> = Vec::new();
    let mut previous_ends_in_letter = false;
    for part in run.split('\'') {
        let joins = previous_ends_in_letter && part.starts_with(is_space_delimited_letter);
        match words.last_mut().filter(|_| joins) {
            Some(word) => word.push(part),
            None if part.is_empty() => {}
            None => words.push(vec![part]),
        }
        previous_ends_in_letter = part.chars().next_back().is_some_and(is_space_delimited_letter);
    }
    words
}

fn to_search_tokens(parts: Vec<&str>) -> Vec<SearchToken> {
    if let [part] = parts[..] {
        return split_by_script(part);
    }
    let joined = parts.concat();
    vec![SearchToken::Contraction { joined, parts: parts.into_iter().map(str::to_owned).collect() }]
}

/// Splits a run without apostrophes where an unspaced script begins or ends. A combining mark belongs to its letter.
fn split_by_script(run: &str) -> Vec<SearchToken> {
    let mut tokens = Vec::new();
    for c in run.chars() {
        let is_mark = !c.is_alphanumeric();
        match tokens.last_mut() {
            Some(SearchToken::Unspaced(characters)) if is_unspaced(c) => characters.push(c.to_string()),
            Some(SearchToken::Unspaced(characters)) if is_mark => {
                if let Some(letter) = characters.last_mut() {
                    letter.push(c);
                }
            }
            Some(SearchToken::Word(word)) if is_mark || !is_unspaced(c) => word.push(c),
            _ if is_unspaced(c) => tokens.push(SearchToken::Unspaced(vec![c.to_string()])),
            _ => tokens.push(SearchToken::Word(c.to_string())),
        }
    }
    tokens
}

/// Returns whether a character is a letter of a script that separates words by spaces.
fn is_space_delimited_letter(c: char) -> bool {
    is_word_character(c) && !c.is_numeric() && !is_unspaced(c)
}

/// Returns whether a letter is Han, kana, Hangul or Bopomofo.
#[must_use]
pub const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3098}'
        | '\u{309d}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_terms(text: &str) -> Vec<String> {
        tokenize(text).into_iter().flat_map(SearchToken::index_terms).collect()
    }

    #[test]
    fn word_is_a_run_of_letters_and_digits() {
        assert_eq!(index_terms("Rock-'n'-Roll 2XL, Ñandú!"), ["rock", "n", "roll", "2xl", "nandu"]);
        assert_eq!(index_terms("'mug' ''  5'10 a''b dogs'"), ["mug", "5", "10", "a", "b", "dogs"]);
        assert_eq!(index_terms("हिन्दी किताब ถ้วย"), ["हिन्दी", "किताब", "ถ้วย"]);
    }

    #[test]
    fn apostrophe_between_letters_makes_a_contraction() {
        let cases = [
            ("Men’s Shirt", vec!["mens", "men", "s", "shirt"]),
            ("O'Neill", vec!["oneill", "o", "neill"]),
            ("L'arbre à chat", vec!["larbre", "l", "arbre", "a", "chat"]),
            ("rockʼn'roll", vec!["rocknroll", "rock", "n", "roll"]),
            ("ng'ombe", vec!["ngombe", "ng", "ombe"]),
        ];
        for (text, expected) in cases {
            assert_eq!(index_terms(text), expected, "{text}");
        }
    }

    #[test]
    fn unspaced_script_is_split_into_pairs() {
        let cases = [
            ("无线蓝牙耳机", "无线 线蓝 蓝牙 牙耳 耳机 机"),
            ("ステンレス水筒", "ステ テン ンレ レス ス水 水筒 筒"),
            ("무선 이어폰", "무선 선 이어 어폰 폰"),
            ("iPhone手机壳2个", "iphone 手机 机壳 壳 2 个"),
            ("ｶﾞﾗｽ か゚", "ガラ ラス ス か゚"),
            ("コーヒー々", "コー ーヒ ヒー ー々 々"),
            ("麺", "麺"),
        ];
        for (text, expected) in cases {
            assert_eq!(index_terms(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn letters_of_every_script_are_folded_alike() {
        // A text, its terms, and a text that must not have the same terms.
        let cases = [
            // Vowel signs, viramas and nuktas of Indic scripts.
            ("टोकरी", "टोकरी", "टोकरा"),
            ("का", "का", "की"),
            ("कु", "कु", "के"),
            ("ज़रा", "ज़रा", "जरा"),
            ("கூடை", "கூடை", "கடை"),
            ("ঝুড়ি", "ঝুড়ি", "ঝড়"),
            // Voicing of kana, in both widths, composed or not.
            ("ガラス", "ガラ ラス ス", "カラス"),
            ("ｶﾞﾗｽ", "ガラ ラス ス", "ｶﾗｽ"),
            ("かこ\u{3099}", "かご ご", "かこ"),
            // Latin letters that Unicode does not take apart.
            ("Łóżko", "lozko", "lozka"),
            ("Straße", "strasse", "strase"),
            ("Ørsted", "orsted", "arsted"),
            ("ĐÆŒ ðæœ", "daeoe daeoe", "dao"),
            ("ıİIi", "iiii", "iii"),
            // Apostrophes between letters.
            ("ng'ombe", "ngombe ng ombe", "ng ombe"),
            ("ng’ombe", "ngombe ng ombe", "ngo mbe"),
            ("ng＇ombe", "ngombe ng ombe", "ngombe"),
            // Runs without spaces.
            ("不锈钢", "不锈 锈钢 钢", "不钢锈"),
            ("스테인리스", "스테 테인 인리 리스 스", "스테인"),
        ];
        for (text, expected, other) in cases {
            let expected: Vec<String> = expected.split(' ').map(crate::base::text::normalize_for_search).collect();
            assert_eq!(index_terms(text), expected, "{text}");
            assert_ne!(index_terms(other), expected, "{text} and {other}");
        }
    }
}
