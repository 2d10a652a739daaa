//! Synonyms: what staff declare to mean the same as words of a search. Pure.

use std::collections::{HashMap, HashSet};

use super::{token_text, tokenize_query};
use crate::base::{LanguageCode, search_token::SearchToken};

/// Maximum number of words of a term of a synonym group.
pub const MAX_WORDS_PER_TERM: usize = 5;
/// Maximum number of synonyms of all words of a search together; further ones are ignored.
const MAX_SYNONYMS_PER_SEARCH: usize = 40;

/// A term of a synonym group, as its words are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynonymTerm {
    /// Its words, normalized and separated by spaces.
    pub text: String,
    pub(super) tokens: Vec<SearchToken>,
}

/// The synonyms of terms, by the words of the term.
#[derive(Debug, Default)]
pub struct SynonymIndex {
    groups: Vec<SynonymGroup>,
    /// Indexes of the groups that have synonyms of a term.
    groups_by_term: HashMap<String, Vec<usize>>,
}

/// Synonyms in a language, or in all languages.
#[derive(Debug)]
struct SynonymGroup {
    language: Option<LanguageCode>,
    synonyms: Vec<SynonymTerm>,
}

/// One word of a search, or several that have synonyms together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypedTerm<'a> {
    pub(super) tokens: &'a [SearchToken],
    pub(super) text: String,
    pub(super) synonyms: Vec<&'a SynonymTerm>,
}

impl TypedTerm<'_> {
    /// Returns the word, if spelling correction applies to it.
    pub(super) fn correctable_word(&self) -> Option<&str> {
        match self.tokens {
            [SearchToken::Word(word) | SearchToken::Contraction { joined: word, .. }] if self.synonyms.is_empty() => {
                Some(word)
            }
            _ => None,
        }
    }
}

impl SynonymTerm {
    /// Parses a text. `None` if it contains no word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokenize_query(text);
        let texts: Vec<String> = tokens.iter().map(token_text).collect();
        (!tokens.is_empty()).then(|| Self { text: texts.join(" "), tokens })
    }

    /// Returns the number of its words.
    #[must_use]
    pub const fn word_count(&self) -> usize {
        self.tokens.len()
    }
}

impl SynonymIndex {
    /// Adds a group: with a term it is one-way, else each synonym has the others.
    pub fn add_group(&mut self, term: Option<&str>, synonyms: &[String], language: Option<LanguageCode>) {
        let synonyms: Vec<SynonymTerm> = synonyms.iter().filter_map(|text| SynonymTerm::parse(text)).collect();
        let keys: HashSet<String> = match term {
            Some(term) => SynonymTerm::parse(term).into_iter().map(|term| term.text).collect(),
            None => synonyms.iter().map(|synonym| synonym.text.clone()).collect(),
        };
        for key in keys {
            self.groups_by_term.entry(key).or_default().push(self.groups.len());
        }
        self.groups.push(SynonymGroup { language, synonyms });
    }

    /// Divides the words of a search into terms: at each position the longest sequence of words that has synonyms.
    pub(super) fn divide<'a>(
        &'a self,
        tokens: &'a [SearchToken],
        language: Option<LanguageCode>,
    ) -> Vec<TypedTerm<'a>> {
        let texts: Vec<String> = tokens.iter().map(token_text).collect();
        let (mut terms, mut remaining) = (Vec::with_capacity(tokens.len()), MAX_SYNONYMS_PER_SEARCH);
        let mut start = 0;
        while start < tokens.len() {
            let lengths = (1..=MAX_WORDS_PER_TERM.min(tokens.len() - start)).rev();
            let term = lengths.filter(|_| remaining > 0).find_map(|length| {
                let text = texts[start..start + length].join(" ");
                let synonyms = self.find_synonyms(&text, language);
                let tokens = &tokens[start..start + length];
                (!synonyms.is_empty()).then_some(TypedTerm { tokens, text, synonyms })
            });
            let mut term = term.unwrap_or_else(|| TypedTerm {
                tokens: &tokens[start..=start],
                text: texts[start].clone(),
                synonyms: Vec::new(),
            });
            term.synonyms.truncate(remaining);
            remaining -= term.synonyms.len();
            start += term.tokens.len();
            terms.push(term);
        }
        terms
    }

    /// Returns the distinct synonyms of a term in a language, in the order of their groups.
    fn find_synonyms(&self, term: &str, language: Option<LanguageCode>) -> Vec<&SynonymTerm> {
        let mut known = HashSet::from([term]);
        let groups = self.groups_by_term.get(term).into_iter().flatten().map(|index| &self.groups[*index]);
        let in_language = groups.filter(|group| group.language.is_none() || group.language == language);
        let synonyms = in_language.flat_map(|group| &group.synonyms);
        synonyms.filter(|synonym| known.insert(&synonym.text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(index: &SynonymIndex, text: &str, language: Option<LanguageCode>) -> Vec<String> {
        let tokens = tokenize_query(text);
        let describe = |term: TypedTerm<'_>| {
            let synonyms: Vec<&str> = term.synonyms.iter().map(|synonym| synonym.text.as_str()).collect();
            if synonyms.is_empty() { term.text } else { format!("{}={}", term.text, synonyms.join("|")) }
        };
        index.divide(&tokens, language).into_iter().map(describe).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn longest_term_at_each_position_has_its_synonyms() {
        let mut index = SynonymIndex::default();
        index.add_group(None, &texts(&["Sofa", "couch", "Settée"]), None);
        index.add_group(Some("cell phone"), &texts(&["mobile phone", "smartphone"]), None);
        index.add_group(Some("phone"), &texts(&["handset"]), None);
        assert_eq!(divide(&index, "red COUCH", None), ["red", "couch=sofa|settee"]);
        assert_eq!(divide(&index, "cell-phone case", None), ["cell phone=mobile phone|smartphone", "case"]);
        assert_eq!(divide(&index, "cell phones phone", None), ["cell", "phones", "phone=handset"]);
        assert_eq!(divide(&index, "smartphone", None), ["smartphone"]);
        assert_eq!(divide(&index, "sofa sofa", None), ["sofa=couch|settee", "sofa=couch|settee"]);
    }

    #[test]
    fn groups_of_a_language_apply_in_that_language_only() {
        let mut index = SynonymIndex::default();
        index.add_group(Some("chai"), &texts(&["tea"]), Some(LanguageCode::Swahili));
        index.add_group(Some("chai"), &texts(&["masala", "tea"]), None);
        assert_eq!(divide(&index, "chai", Some(LanguageCode::Swahili)), ["chai=tea|masala"]);
        assert_eq!(divide(&index, "chai", Some(LanguageCode::English)), ["chai=masala|tea"]);
        assert_eq!(divide(&index, "chai", None), ["chai=masala|tea"]);
    }

    #[test]
    fn synonyms_of_a_search_are_limited() {
        let mut index = SynonymIndex::default();
        for group in 0..4 {
            let synonyms: Vec<String> = (0..20).map(|number| format!("s{group}x{number}")).collect();
            index.add_group(Some(&format!("t{group}")), &synonyms, None);
        }
        let tokens = tokenize_query("t0 t1 t2 t3");
        let counts: Vec<usize> = index.divide(&tokens, None).iter().map(|term| term.synonyms.len()).collect();
        assert_eq!(counts, [20, 20, 0, 0]);
    }
}
