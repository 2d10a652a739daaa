//! Attributes of lines: what a buyer states about the units, such as an engraving. Lines with the same variant and the
//! same attributes are one line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::{digest, text, validation::InputScope};

/// The maximum number of attributes of a line.
pub const MAX_LINE_ATTRIBUTES: usize = 20;
/// The maximum length of a key. Characters.
pub const MAX_ATTRIBUTE_KEY_LENGTH: usize = 100;
/// The maximum length of a value. Characters.
pub const MAX_ATTRIBUTE_VALUE_LENGTH: usize = 1000;

/// An attribute of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The key, unique in the line.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The validated attributes of a line, ordered by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineAttributes(BTreeMap<String, String>);

impl LineAttributes {
    /// Validates attributes; errors are gathered at their paths below `input`. Keys are trimmed.
    pub fn validate(input: &mut InputScope<'_>, attributes: Vec<Attribute>) -> Self {
        input.check_count("", attributes.len(), MAX_LINE_ATTRIBUTES);
        let mut valid = BTreeMap::new();
        for (index, Attribute { key, value }) in attributes.into_iter().enumerate().take(MAX_LINE_ATTRIBUTES) {
            let mut input = input.at("").index(index);
            let key = input.text("key", &key, MAX_ATTRIBUTE_KEY_LENGTH);
            if key.is_empty() {
                input.reject("key", "this must not be empty");
            }
            let length = value.chars().count();
            if length > MAX_ATTRIBUTE_VALUE_LENGTH {
                input.reject("value", format!("at most {MAX_ATTRIBUTE_VALUE_LENGTH} characters; this has {length}"));
            }
            if text::has_control_characters(&value) {
                input.reject("value", "this must be without control characters");
            }
            if valid.insert(key, value).is_some() {
                input.reject("key", "a line has each key once");
            }
        }
        Self(valid)
    }

    /// Returns the attributes as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect())
    }

    /// Returns the digest that stands for the attributes in the unique key of a cart's lines; empty without attributes.
    #[must_use]
    pub fn digest(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let pairs: Vec<[&str; 2]> = self.0.iter().map(|(key, value)| [key.as_str(), value.as_str()]).collect();
        digest::sha256_base64url(&serde_json::json!(pairs).to_string())
    }
}

/// Returns the attributes of a stored JSON object, ordered by key.
#[must_use]
pub fn attributes_from_json(stored: &Value) -> Vec<Attribute> {
    let to_attribute = |(key, value): (&String, &Value)| Attribute {
        key: key.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    let mut attributes: Vec<_> = stored.as_object().into_iter().flat_map(Map::iter).map(to_attribute).collect();
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Validator;

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute { key: key.to_owned(), value: value.to_owned() }
    }

    fn validate(attributes: &[Attribute]) -> (LineAttributes, Vec<String>) {
        let mut validator = Validator::default();
        let valid = LineAttributes::validate(&mut validator.at("attributes"), attributes.to_vec());
        (valid, validator.into_errors().iter().map(|error| error.field.join(".")).collect())
    }

    #[test]
    fn equal_attributes_in_another_order_have_the_same_digest() {
        let (first, errors) = validate(&[attribute("color", "red"), attribute(" engraving ", "A")]);
        let (second, _) = validate(&[attribute("engraving", "A"), attribute("color", "red")]);
        assert_eq!((first.digest(), errors.len()), (second.digest(), 0));
        assert_eq!(attributes_from_json(&first.to_json()), [attribute("color", "red"), attribute("engraving", "A")]);
        assert_ne!(first.digest(), validate(&[attribute("color", "redengravingA")]).0.digest());
        assert_eq!((first.digest().len(), LineAttributes::default().digest().len()), (43, 0));
    }

    #[test]
    fn all_errors_of_attributes_are_reported() {
        let long = "é".repeat(1001);
        let invalid = [attribute("", "x"), attribute("a", &long), attribute("a", "x"), attribute("b\n", "\u{1e}")];
        let expected = ["attributes.0.key", "attributes.1.value", "attributes.2.key", "attributes.3.value"];
        assert_eq!(validate(&invalid).1, expected);
        let many: Vec<_> = (0..21).map(|number| attribute(&number.to_string(), "")).collect();
        assert_eq!(validate(&many).1, ["attributes"]);
        assert_eq!(validate(&many[..20]).1, Vec::<String>::new());
        assert_eq!(validate(&[attribute(&long[..202], "")]).1, ["attributes.0.key"]);
    }
}
