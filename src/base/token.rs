//! A text in the pieces that a search looks for, the same for what is indexed and for what is typed.

use super::text::{is_word_character, search_key};

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A run of letters and digits.
    Word(String),
    /// A word with apostrophes between its letters: people write it with them, without them or with blanks.
    Contraction {
        /// Without the apostrophes.
        joined: String,
        /// What the apostrophes part.
        parts: Vec<String>,
    },
    /// The characters of a run of Han, kana or Hangul, which is written without blanks or with few: any piece of it may
    /// be looked for, so it is indexed by overlapping pairs.
    Unspaced(Vec<String>),
}

impl Token {
    /// The words under which this is indexed.
    #[must_use]
    pub fn index_words(self) -> Vec<String> {
        match self {
            Self::Word(word) => vec![word],
            Self::Contraction { joined, parts } => [vec![joined], parts].concat(),
            // The last one, so that each of them begins a word: one that is looked for alone is looked for as a prefix.
            Self::Unspaced(characters) => {
                let last = characters.last().cloned();
                pairs(&characters).chain(last).collect()
            }
        }
    }
}

/// The overlapping pairs of a run.
pub fn pairs(characters: &[String]) -> impl Iterator<Item = String> {
    characters.windows(2).map(<[String]>::concat)
}

/// The pieces of a text, folded by [`search_key`].
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let folded = search_key(text);
    let runs = folded.split(|c: char| c != '\'' && !is_word_character(c));
    runs.flat_map(contractions).flat_map(into_tokens).collect()
}

/// The parts of each word of a run, which may have apostrophes: those between two letters part nothing.
fn contractions(run: &str) -> Vec<Vec<&str>> {
    let mut words: Vec<Vec<&str>> = Vec::new();
    let mut after_letter = false;
    for part in run.split('\'') {
        let joins = after_letter && part.starts_with(is_spaced_letter);
        match words.last_mut().filter(|_| joins) {
            Some(word) => word.push(part),
            None if part.is_empty() => {}
            None => words.push(vec![part]),
        }
        after_letter = part.chars().next_back().is_some_and(is_spaced_letter);
    }
    words
}

fn into_tokens(parts: Vec<&str>) -> Vec<Token> {
    if let [part] = parts[..] {
        return by_script(part);
    }
    let joined = parts.concat();
    vec![Token::Contraction { joined, parts: parts.into_iter().map(str::to_owned).collect() }]
}

/// A run without apostrophes, cut where a script without blanks begins and ends. A mark belongs to its letter.
fn by_script(run: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for c in run.chars() {
        let is_mark = !c.is_alphanumeric();
        match tokens.last_mut() {
            Some(Token::Unspaced(characters)) if is_unspaced(c) => characters.push(c.to_string()),
            Some(Token::Unspaced(characters)) if is_mark => {
                if let Some(letter) = characters.last_mut() {
                    letter.push(c);
                }
            }
            Some(Token::Word(word)) if is_mark || !is_unspaced(c) => word.push(c),
            _ if is_unspaced(c) => tokens.push(Token::Unspaced(vec![c.to_string()])),
            _ => tokens.push(Token::Word(c.to_string())),
        }
    }
    tokens
}

fn is_spaced_letter(c: char) -> bool {
    is_word_character(c) && !c.is_numeric() && !is_unspaced(c)
}

/// Whether a letter is of Han, kana, Hangul or Bopomofo.
#[must_use]
pub const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3098}'
        | '\u{309d}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(text: &str) -> Vec<String> {
        tokens(text).into_iter().flat_map(Token::index_words).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(indexed("Rock-'n'-Roll 2XL, Ñandú!"), ["rock", "n", "roll", "2xl", "nandu"]);
        assert_eq!(indexed("'mug' ''  5'10 a''b dogs'"), ["mug", "5", "10", "a", "b", "dogs"]);
        assert_eq!(indexed("हिन्दी किताब ถ้วย"), ["हिन्दी", "किताब", "ถ้วย"]);
    }

    #[test]
    fn apostrophes_between_letters_part_nothing() {
        let found = [
            ("Men’s Shirt", vec!["mens", "men", "s", "shirt"]),
            ("O'Neill", vec!["oneill", "o", "neill"]),
            ("L'arbre à chat", vec!["larbre", "l", "arbre", "a", "chat"]),
            ("rockʼn'roll", vec!["rocknroll", "rock", "n", "roll"]),
            ("ng'ombe", vec!["ngombe", "ng", "ombe"]),
        ];
        for (text, words) in found {
            assert_eq!(indexed(text), words, "{text}");
        }
    }

    #[test]
    fn scripts_without_blanks_are_cut_into_pairs() {
        let found = [
            ("无线蓝牙耳机", "无线 线蓝 蓝牙 牙耳 耳机 机"),
            ("ステンレス水筒", "ステ テン ンレ レス ス水 水筒 筒"),
            ("무선 이어폰", "무선 선 이어 어폰 폰"),
            ("iPhone手机壳2个", "iphone 手机 机壳 壳 2 个"),
            ("ｶﾞﾗｽ か゚", "ガラ ラス ス か゚"),
            ("コーヒー々", "コー ーヒ ヒー ー々 々"),
            ("麺", "麺"),
        ];
        for (text, words) in found {
            assert_eq!(indexed(text).join(" "), words, "{text}");
        }
    }
}
