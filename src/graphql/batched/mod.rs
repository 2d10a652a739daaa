//! Batch resolution of objects and lists.
//!
//! The executor creates a future for every field of every object and joins them, which is most of the cost of a list
//! query. Here the objects of a list are resolved together, field by field: the data of a field is loaded for all
//! objects at once, then its values are computed without waiting; fields that load nothing need no future at all. The
//! response, the errors and the statements are those
//! of the executor. What a batch does not support is left to it; the selection decides, before anything is loaded.
//!
//! Each field is declared once, in the `impl` of its object, by [`macros::batched_object`].

mod selection;
mod values;

use std::{borrow::Cow, convert::Infallible, sync::Arc};

use async_graphql::{
    ContextSelectionSet, Name, OutputType, PathSegment, Positioned, ServerError, ServerResult, Value,
    indexmap::IndexMap, parser::types::Field, registry::Registry, resolver_utils::resolve_list,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};

use super::context::RequestContext;
use crate::{base::Result, infra::cache::CacheRecorder};

pub use selection::{SelectColumns, SelectedField, Selection};
pub use values::{BatchOutput, FieldContext, FieldOutput, FieldValues, ObjectBatch};

/// Object with fields that can be resolved for many objects at once. Implemented by macros.
pub trait BatchResolve: Send + Sync + Sized {
    /// Names of the fields that can be resolved in a batch.
    const BATCHED_FIELDS: &'static [&'static str] = &[];

    /// Returns the name of the type.
    #[must_use]
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("")
    }

    /// Returns whether a field with the selection can be resolved in a batch.
    #[must_use]
    fn supports(_name: &str, _selection: Selection<'_>) -> bool {
        false
    }

    /// Returns whether a field with the selection may load data.
    #[must_use]
    fn loads(_name: &str, _selection: Selection<'_>) -> bool {
        false
    }

    /// Records what a cached response with the object depends on.
    fn record_dependencies(&self, _recorder: &CacheRecorder, _context: &RequestContext) {}

    /// Resolves a supported field of all objects.
    fn resolve_field<'a>(_objects: &'a [&'a Self], _field: FieldContext<'a>) -> FieldValues<'a> {
        FieldValues::Ready(Vec::new())
    }
}

/// Objects in a scalar: there are none.
impl BatchResolve for Infallible {}

/// Resolves the selected fields of objects: those that load data together, the others at once.
fn resolve_objects<'a, T: BatchResolve>(
    objects: &'a [&'a T],
    selection: Selection<'a>,
    batch: ObjectBatch<'a>,
) -> BoxFuture<'a, Vec<Value>> {
    Box::pin(async move {
        record_dependencies(objects, batch.request_context);
        let fields = selection.merge_fields();
        let (mut columns, mut loads) = (Vec::with_capacity(fields.len()), Vec::new());
        for (index, field) in fields.iter().enumerate() {
            columns.push(match resolve_field(objects, FieldContext::new(batch, field, selection)) {
                FieldValues::Ready(values) => values,
                FieldValues::Loading(values) => {
                    loads.push(async move { (index, values.await) });
                    Vec::new()
                }
            });
        }
        for (index, values) in join_all(loads).await {
            columns[index] = values;
        }
        build_objects(objects.len(), &fields, columns)
    })
}

/// Resolves the selected fields of objects, none of which loads data.
fn resolve_objects_at_once<T: BatchResolve>(
    objects: &[&T],
    selection: Selection<'_>,
    batch: ObjectBatch<'_>,
) -> Vec<Value> {
    record_dependencies(objects, batch.request_context);
    let fields = selection.merge_fields();
    let resolve = |field| match resolve_field(objects, FieldContext::new(batch, field, selection)) {
        FieldValues::Ready(values) => values,
        FieldValues::Loading(values) => values.now_or_never().unwrap_or_default(),
    };
    let columns = fields.iter().map(resolve).collect();
    build_objects(objects.len(), &fields, columns)
}

/// Records what a response with the objects depends on, if the response may be cached.
fn record_dependencies<T: BatchResolve>(objects: &[&T], context: &RequestContext) {
    if let Some(recorder) = &context.cache_recorder {
        for object in objects {
            object.record_dependencies(recorder, context);
        }
    }
}

fn resolve_field<'a, T: BatchResolve>(objects: &'a [&'a T], field: FieldContext<'a>) -> FieldValues<'a> {
    match field.field.name() {
        "__typename" => field.render(objects.iter().map(|_| T::type_name().into_owned())),
        _ => T::resolve_field(objects, field),
    }
}

/// Builds objects from the values of their fields.
fn build_objects(object_count: usize, fields: &[SelectedField<'_>], columns: Vec<Vec<Option<Value>>>) -> Vec<Value> {
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    // The names of the document are shared by all requests with it: cloning those for each object would make the threads
    // compete for their reference counts.
    let response_keys: Vec<Name> = fields.iter().map(|field| Name::new(field.response_key.as_str())).collect();
    let build_object = |_| {
        let mut object = IndexMap::with_capacity(fields.len());
        for (response_key, column) in response_keys.iter().zip(&mut columns) {
            if let Some(value) = column.next().flatten() {
                object.insert(response_key.clone(), value);
            }
        }
        Value::Object(object)
    };
    (0..object_count).map(build_object).collect()
}

/// Resolves the objects of a field in a batch; `None` if the selection is not supported.
async fn resolve_batch<T: BatchResolve>(
    objects: &[&T],
    is_list: bool,
    ctx: &ContextSelectionSet<'_>,
) -> Option<Vec<Value>> {
    let selection = Selection::of_object(ctx);
    if !selection.is_supported::<T>() {
        return None;
    }
    let path_of = |index| {
        let mut path = ctx.set_error_path(ServerError::new("", None)).path;
        path.extend(is_list.then_some(PathSegment::Index(index)));
        path
    };
    let batch = ObjectBatch { request_context: ctx.data_unchecked(), selection_context: ctx, path_of: &path_of };
    Some(if selection.loads::<T>() {
        resolve_objects(objects, selection, batch).await
    } else {
        resolve_objects_at_once(objects, selection, batch)
    })
}

/// Object that is resolved in a batch if possible.
#[derive(Debug, Clone)]
pub struct Batched<T>(pub T);

impl<T: BatchResolve + OutputType> OutputType for Batched<T> {
    fn type_name() -> Cow<'static, str> {
        <T as OutputType>::type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(value) = resolve_batch(&[&self.0], false, ctx).await.and_then(|mut values| values.pop()) {
            return Ok(value);
        }
        record_dependencies(&[&self.0], ctx.data_unchecked());
        Box::pin(self.0.resolve(ctx, field)).await
    }
}

/// List that is resolved in a batch if possible.
#[derive(Debug, Clone)]
pub struct BatchedList<T> {
    objects: Arc<[T]>,
    /// Whether the list is charged to the request's value budget.
    is_charged: bool,
}

impl<T> BatchedList<T> {
    /// Creates a list whose length the complexity of its field limits.
    pub fn limited(objects: impl IntoIterator<Item = T>) -> Self {
        Self { objects: objects.into_iter().collect(), is_charged: false }
    }

    /// Creates a list whose length only the request's value budget limits.
    pub fn unlimited(objects: impl IntoIterator<Item = T>) -> Self {
        Self { is_charged: true, ..Self::limited(objects) }
    }

    /// Returns whether the list has no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Charges the list to the request's value budget, unless its length is limited.
    fn charge(&self, context: &RequestContext, values_per_object: usize) -> Result<()> {
        let object_count = if self.is_charged { self.objects.len() } else { 0 };
        context.charge_values(object_count.saturating_mul(values_per_object))
    }
}

/// List of a data loader.
impl<T> From<Option<Arc<[T]>>> for BatchedList<T> {
    fn from(objects: Option<Arc<[T]>>) -> Self {
        Self { objects: objects.unwrap_or_default(), is_charged: false }
    }
}

impl<T: BatchResolve + OutputType> OutputType for BatchedList<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Err(error) = self.charge(ctx.data_unchecked(), Selection::of_object(ctx).value_count()) {
            return Err(ctx.set_error_path(async_graphql::Error::from(error).into_server_error(field.pos)));
        }
        let objects: Vec<&T> = self.objects.iter().collect();
        if let Some(values) = resolve_batch(&objects, true, ctx).await {
            return Ok(Value::List(values));
        }
        record_dependencies(&objects, ctx.data_unchecked());
        Box::pin(resolve_list(ctx, field, objects, Some(self.objects.len()))).await
    }
}
