//! Titles and descriptions of pages for search engines.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};
use macros::BatchedObject;

use crate::{base::Patch, graphql::input::to_patch};

/// Maximum length of a description that is taken from the text of a page.
const MAX_EXCERPT_LENGTH: usize = 300;

/// Title and description of a page for search engines and link previews.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct Seo {
    /// Title; the name if none is set.
    title: String,
    /// Description; the beginning of the description if none is set. Null if there is neither.
    description: Option<String>,
}

impl Seo {
    /// Creates the texts of a page from those that are set, else from its name and text.
    #[must_use]
    pub fn new(title: Option<&str>, description: Option<&str>, name: &str, text: Option<&str>) -> Self {
        let description = description.map(str::to_owned).or_else(|| text.map(shorten_text));
        Self {
            title: title.unwrap_or(name).to_owned(),
            description: description.filter(|description| !description.is_empty()),
        }
    }
}

/// Returns the first words of a text, on one line.
fn shorten_text(text: &str) -> String {
    let mut excerpt = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        length += word.chars().count() + usize::from(!excerpt.is_empty());
        if length > MAX_EXCERPT_LENGTH {
            break;
        }
        if !excerpt.is_empty() {
            excerpt.push(' ');
        }
        excerpt.push_str(word);
    }
    excerpt
}

/// Title and description of a page for search engines. Omitted fields are unchanged; null or an empty text clears.
#[derive(Debug, Clone, Default, InputObject)]
pub struct SeoInput {
    /// Title, at most 200 characters.
    title: MaybeUndefined<String>,
    /// Description, at most 500 characters.
    description: MaybeUndefined<String>,
}

impl SeoInput {
    /// Converts an input to patches of title and description; null clears both.
    #[must_use]
    pub fn into_patches(input: MaybeUndefined<Self>) -> (Patch, Patch) {
        match input {
            MaybeUndefined::Undefined => (Patch::Unchanged, Patch::Unchanged),
            MaybeUndefined::Null => (Patch::Clear, Patch::Clear),
            MaybeUndefined::Value(Self { title, description }) => (to_patch(title), to_patch(description)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_ends_with_a_whole_word() {
        assert_eq!(shorten_text(" One\ntwo  three "), "One two three");
        let words = "word ".repeat(100);
        let excerpt = shorten_text(&words);
        assert_eq!((excerpt.chars().count(), excerpt.ends_with("word")), (299, true));
        assert_eq!(shorten_text(&"x".repeat(301)), "");
    }
}
