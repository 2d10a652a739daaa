//! Batch resolution of frequently queried lists.
//!
//! The executor creates a future for every field of every object and joins them, which is most of the cost of a list
//! query. Here a list is resolved as a whole: related data is preloaded for all objects, then each object is rendered
//! synchronously. Unsupported fields and missing data fall back to the executor, with the same response and the same
//! statements.

mod selection;
mod category;
mod product;
mod variant;

use std::{borrow::Cow, cell::Cell};

use async_graphql::{
    ContextSelectionSet, InputType, OutputType, Positioned, ServerResult, Value, indexmap::IndexMap,
    parser::types::Field, registry::Registry, resolver_utils::resolve_list,
};
use futures_util::future::BoxFuture;

use super::context::RequestContext;
use crate::base::Result;

pub use product::select_product_columns as product_columns;
pub use selection::{FieldSelection, SelectedField};

/// Type whose fields can be rendered synchronously from preloaded data.
pub trait BatchResolve: OutputType + Sized {
    /// Data of many objects beyond their rows.
    type Preloaded: Default + Send + Sync;

    /// Returns whether a field and its whole selection are supported. Called before preloading.
    fn supports(field: &SelectedField<'_>) -> bool;

    /// Preloads the data that the selection needs; `None` if no data is needed.
    fn preload<'a>(
        items: &'a [Self],
        context: &'a RequestContext,
        selection: &'a FieldSelection<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Preloaded>>>;

    /// Returns the value of a supported field; `None` if its data is missing.
    fn render(
        &self,
        preloaded: &Self::Preloaded,
        field: &SelectedField<'_>,
        render_context: &RenderContext<'_>,
    ) -> Option<Value>;
}

/// Context of batch rendering.
pub struct RenderContext<'a> {
    /// Context of the request.
    pub request_context: &'a RequestContext,
    selection_context: &'a ContextSelectionSet<'a>,
    /// Cost of the lists rendered so far, charged when the response is complete.
    value_count: Cell<usize>,
}

impl RenderContext<'_> {
    /// Returns an argument of a field.
    pub fn parse_argument<T: InputType>(&self, field: &SelectedField<'_>, name: &str) -> Option<T> {
        self.selection_context.with_field(field.field).param_value(name, None).ok().map(|(_, value)| value)
    }

    /// Renders a list of objects with the same selection.
    pub fn render_list<'t, T: BatchResolve + 't>(
        &self,
        items: impl IntoIterator<Item = &'t T>,
        preloaded: &T::Preloaded,
        field: &SelectedField<'_>,
    ) -> Option<Value> {
        let values = items.into_iter().map(|item| self.render_object(item, preloaded, &field.selection));
        let values = values.collect::<Option<Vec<_>>>()?;
        self.value_count
            .set(self.value_count.get().saturating_add(values.len().saturating_mul(field.selection.value_count())));
        Some(Value::List(values))
    }

    /// Renders the selected fields of an object.
    pub fn render_object<T: BatchResolve>(
        &self,
        item: &T,
        preloaded: &T::Preloaded,
        selection: &FieldSelection<'_>,
    ) -> Option<Value> {
        selection.build_object(&T::type_name(), |field| item.render(preloaded, field, self))
    }
}

/// Resolves all objects in one batch; `None` if a field is unsupported or its data is missing.
async fn resolve_batched<T: BatchResolve + Sync>(items: &[T], ctx: &ContextSelectionSet<'_>) -> Option<Vec<Value>> {
    let selection = FieldSelection::from_selection_set(&ctx.item.node, &ctx.query_env.fragments);
    if !selection.all_fields(T::supports) {
        return None;
    }
    let context: &RequestContext = ctx.data_unchecked();
    let preloaded = match T::preload(items, context, &selection) {
        // A load error falls back to the executor, which reports it with the path of each field.
        Some(load) => load.await.ok()?,
        None => T::Preloaded::default(),
    };
    let render_context = RenderContext { request_context: context, selection_context: ctx, value_count: Cell::new(0) };
    let values = items
        .iter()
        .map(|item| render_context.render_object(item, &preloaded, &selection))
        .collect::<Option<Vec<_>>>()?;
    context.try_charge_values(render_context.value_count.get()).then_some(values)
}

/// Object that is resolved in a batch if possible.
#[derive(Debug, Clone)]
pub struct Batched<T>(pub T);

impl<T: BatchResolve + Sync> OutputType for Batched<T> {
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
        match resolve_batched(std::slice::from_ref(&self.0), ctx).await.and_then(|mut values| values.pop()) {
            Some(value) => Ok(value),
            None => Box::pin(self.0.resolve(ctx, field)).await,
        }
    }
}

/// List that is resolved in a batch if possible.
#[derive(Debug, Clone)]
pub struct BatchedList<T>(pub Vec<T>);

impl<T: BatchResolve + Sync> OutputType for BatchedList<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match resolve_batched(&self.0, ctx).await {
            Some(values) => Ok(Value::List(values)),
            None => Box::pin(resolve_list(ctx, field, &self.0, Some(self.0.len()))).await,
        }
    }
}

/// Returns a string value.
fn string_value(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// Returns a string value, or null for `None`.
fn optional_string_value(text: Option<&str>) -> Value {
    text.map_or(Value::Null, self::string_value)
}

/// Fields of an executor object, in response order.
type ObjectFields = IndexMap<async_graphql::Name, Value>;
