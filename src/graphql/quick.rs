//! The short way for what is at hand.
//!
//! The executor makes a future of every field and gathers them in a set, which for a listing is most of its work. An
//! object of which only fields are asked for that need nothing but itself is answered here in one go; everything else
//! (loads, arguments, directives, fragments) goes the executor's way, with the same answer.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection, SelectionSet},
    registry::Registry,
};

use super::context::Scope;

/// A thing some of whose fields are at hand.
pub trait AtHand {
    /// The value of a field that needs nothing but the thing itself; `None` for any other.
    fn at_hand(&self, scope: &Scope, field: &Field) -> Option<Value>;
}

/// A thing that goes the short way where it can.
#[derive(Debug, Clone)]
pub struct Quick<T>(pub T);

impl<T: AtHand + OutputType> OutputType for Quick<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match object(&self.0, ctx.data_unchecked(), &ctx.item.node) {
            Some(object) => Ok(object),
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}

/// What is asked of a thing, if all of it is at hand.
pub fn object(thing: &impl AtHand, scope: &Scope, asked: &SelectionSet) -> Option<Value> {
    let mut answer = IndexMap::with_capacity(asked.items.len());
    for selection in &asked.items {
        let Selection::Field(field) = &selection.node else { return None };
        let field = &field.node;
        if !field.directives.is_empty() {
            return None;
        }
        let value = thing.at_hand(scope, field)?;
        // A name that is asked for twice is for the executor to put together.
        if answer.insert(field.response_key().node.clone(), value).is_some() {
            return None;
        }
    }
    Some(Value::Object(answer))
}

/// A text as a value.
pub fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}
