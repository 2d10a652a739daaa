//! The options of a product as they should be: named anew, in another order, more of them or fewer.

use std::collections::{HashMap, HashSet};

use super::{OptionEdit, ProductEdit, found::Found};
use crate::{
    base::text,
    catalog::{
        entity::variant,
        lay::WORD_LIMIT,
        wrong::{Wrong, at},
    },
};

/// The most options of one product.
const LIMIT: usize = 10;

/// The options of a product, and what its variants that are there are chosen by.
#[derive(Debug, Default)]
pub(super) struct Arrangement {
    /// The names, in order.
    pub(super) names: Vec<String>,
    /// They differ from what is there.
    pub(super) renamed: bool,
    /// The values of living variants, by key, where they may have changed.
    pub(super) values: HashMap<i64, Vec<String>>,
}

/// Where the values of an option come from.
enum Source {
    /// From the option that was at this place.
    Was(usize),
    /// The same for all.
    All(String),
}

impl Arrangement {
    /// The options as they were, or as the edit says them.
    pub(super) fn of(
        edit: &ProductEdit,
        known: &[String],
        (there, found): (&[variant::Model], &Found),
        wrong: &mut Wrong,
    ) -> Self {
        let Some(said) = &edit.options else { return Self { names: known.to_vec(), ..Self::default() } };
        let path = at(&edit.path, "options");
        wrong.count(&path, said.len(), LIMIT);
        let mut seen = HashSet::new();
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        let living: Vec<_> = there.iter().filter(|row| row.deleted_at.is_none()).collect();
        for (number, one) in said.iter().enumerate() {
            let path = at(&path, &number.to_string());
            let name = wrong.text(&at(&path, "name"), &one.name, WORD_LIMIT);
            let key = text::key(&name);
            if key.is_empty() {
                wrong.input(&at(&path, "name"), "an option needs a name");
            } else if !seen.insert(key) {
                wrong.input(&at(&path, "name"), "two options of one name");
            }
            sources.push(source(one, known, (&path, living.is_empty()), wrong));
            names.push(name);
        }
        let twice = sources.iter().filter_map(|source| match source {
            Source::Was(place) => Some(place),
            Source::All(_) => None,
        });
        if twice.clone().collect::<HashSet<_>>().len() < twice.count() {
            wrong.input(&path, "two options come from the same one");
        }
        let values = |row: &&variant::Model| {
            let known: Vec<&str> = found.values(row.id).collect();
            let value = |source: &Source| match source {
                Source::Was(place) => known.get(*place).copied().unwrap_or_default().to_owned(),
                Source::All(value) => value.clone(),
            };
            (row.id, sources.iter().map(value).collect())
        };
        let values = living.iter().map(values).collect();
        Self { renamed: names != known, names, values }
    }
}

/// Where an option's values come from: the option that it was, or what is said for all.
fn source(one: &OptionEdit, known: &[String], (path, alone): (&str, bool), wrong: &mut Wrong) -> Source {
    let was = text::key(one.was.as_deref().unwrap_or(&one.name));
    if let Some(place) = known.iter().position(|name| text::key(name) == was) {
        return Source::Was(place);
    }
    if let Some(was) = &one.was {
        wrong.input(&at(path, "was"), format!("the product has no option `{was}`"));
    }
    let value = wrong.text(&at(path, "value"), one.value.as_deref().unwrap_or_default(), WORD_LIMIT);
    if text::key(&value).is_empty() && !alone {
        let message = "a new option needs the value that the variants have which are there";
        wrong.input(&at(path, "value"), message);
    }
    Source::All(value)
}
