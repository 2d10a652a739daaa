//! Attributes of cart and order lines.

use async_graphql::{InputObject, SimpleObject};
use serde_json::Value;

use crate::{
    base::Validator,
    cart::{self, LineAttributes, attributes_from_json},
};

/// Attribute of a line: free text that the buyer states about the units, such as an engraving.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
#[graphql(name = "Attribute")]
pub struct AttributeObject {
    /// Key, unique in the line.
    key: String,
    /// Value.
    value: String,
}

/// Attribute of a line.
#[derive(Debug, Clone, InputObject)]
pub struct AttributeInput {
    /// Key, unique in the line: 1 to 100 characters.
    key: String,
    /// Value: at most 1000 characters.
    value: String,
}

/// Converts stored attributes to objects, ordered by key.
#[must_use]
pub fn to_attributes(stored: &Value) -> Vec<AttributeObject> {
    let to_attribute = |cart::Attribute { key, value }| AttributeObject { key, value };
    attributes_from_json(stored).into_iter().map(to_attribute).collect()
}

/// Validates the attributes of a line; errors are gathered at their paths below `path`.
pub fn parse_attributes(validator: &mut Validator, path: &str, attributes: Vec<AttributeInput>) -> LineAttributes {
    let attributes = attributes.into_iter().map(|AttributeInput { key, value }| cart::Attribute { key, value });
    LineAttributes::validate(&mut validator.at(path), attributes.collect())
}
