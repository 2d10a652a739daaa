//! The short way for what a shop is asked all day.
//!
//! The executor makes a future of every field of every object and gathers them in sets, which for a listing is most of
//! its work. Here a list is answered as a whole: what its objects need beside themselves is loaded for all of them, and
//! then every object is written down in one go. Whatever is not known here (or turns out not to be at hand) goes the
//! executor's way, with the same answer and the same statements.

mod asked;
mod category;
mod product;
mod variant;

use std::{borrow::Cow, cell::Cell};

use async_graphql::{
    ContextSelectionSet, InputType, OutputType, Positioned, ServerResult, Value, indexmap::IndexMap,
    parser::types::Field, registry::Registry, resolver_utils::resolve_list,
};
use futures_util::future::BoxFuture;

use super::context::Scope;
use crate::base::Result;

pub use asked::{Asked, One};
pub use product::columns as product_columns;

/// A thing whose fields can be told in one go.
pub trait AtHand: OutputType + Sized {
    /// What many of these need beside themselves.
    type Beside: Default + Send + Sync;

    /// Whether the short way knows a field, and everything asked below it. Decided before anything is loaded.
    fn knows(one: &One<'_>) -> bool;

    /// Loads what is asked of these things beside themselves; `None` where that is nothing.
    fn beside<'a>(
        things: &'a [Self],
        scope: &'a Scope,
        asked: &'a Asked<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Beside>>>;

    /// The value of a field that is known; `None` when this one is not at hand after all.
    fn value(&self, beside: &Self::Beside, one: &One<'_>, way: &Way<'_>) -> Option<Value>;
}

/// What goes along on the short way.
pub struct Way<'a> {
    /// The request's view of the shop.
    pub scope: &'a Scope,
    ctx: &'a ContextSelectionSet<'a>,
    /// What the lists on the way cost. It is paid when the whole answer is there.
    owed: Cell<usize>,
}

impl Way<'_> {
    /// An argument of a field.
    pub fn argument<T: InputType>(&self, one: &One<'_>, name: &str) -> Option<T> {
        self.ctx.with_field(one.field).param_value(name, None).ok().map(|(_, value)| value)
    }

    /// A list of things of which the same is asked.
    pub fn list<'t, T: AtHand + 't>(
        &self,
        things: impl IntoIterator<Item = &'t T>,
        beside: &T::Beside,
        one: &One<'_>,
    ) -> Option<Value> {
        let values = things.into_iter().map(|thing| self.object(thing, beside, &one.below));
        let values = values.collect::<Option<Vec<_>>>()?;
        self.owed.set(self.owed.get().saturating_add(values.len().saturating_mul(one.below.size())));
        Some(Value::List(values))
    }

    /// What is asked of a thing.
    pub fn object<T: AtHand>(&self, thing: &T, beside: &T::Beside, asked: &Asked<'_>) -> Option<Value> {
        asked.object(&T::type_name(), |one| thing.value(beside, one, self))
    }
}

/// Tells all of these the short way, if that can be done.
async fn short<T: AtHand + Sync>(things: &[T], ctx: &ContextSelectionSet<'_>) -> Option<Vec<Value>> {
    let asked = Asked::of(&ctx.item.node, &ctx.query_env.fragments);
    if !asked.all(T::knows) {
        return None;
    }
    let scope: &Scope = ctx.data_unchecked();
    let beside = match T::beside(things, scope, &asked) {
        // What cannot be loaded is told field by field, each with its place: the executor's way.
        Some(load) => load.await.ok()?,
        None => T::Beside::default(),
    };
    let way = Way { scope, ctx, owed: Cell::new(0) };
    let values = things.iter().map(|thing| way.object(thing, &beside, &asked)).collect::<Option<Vec<_>>>()?;
    scope.pay(way.owed.get()).then_some(values)
}

/// A thing that goes the short way where it can.
#[derive(Debug, Clone)]
pub struct Quick<T>(pub T);

impl<T: AtHand + Sync> OutputType for Quick<T> {
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
        match short(std::slice::from_ref(&self.0), ctx).await.and_then(|mut values| values.pop()) {
            Some(value) => Ok(value),
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}

/// A list that goes the short way where it can.
#[derive(Debug, Clone)]
pub struct QuickList<T>(pub Vec<T>);

impl<T: AtHand + Sync> OutputType for QuickList<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match short(&self.0, ctx).await {
            Some(values) => Ok(Value::List(values)),
            None => Box::pin(resolve_list(ctx, field, &self.0, Some(self.0.len()))).await,
        }
    }
}

/// A text as a value.
fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// A text that may be missing.
fn maybe(text: Option<&str>) -> Value {
    text.map_or(Value::Null, self::text)
}

/// An object of the executor's making, with its own order of fields.
type Fields = IndexMap<async_graphql::Name, Value>;
