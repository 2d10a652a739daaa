//! Values of the fields of a batch.

use std::{convert::Infallible, hash::Hash, sync::Arc};

use async_graphql::{
    ContextSelectionSet, ID, InputType, Json, PathSegment, ServerError, ServerResult, Value, dataloader::Loader,
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;

use super::{BatchResolve, Batched, BatchedList, SelectedField, Selection, resolve_objects, resolve_objects_at_once};
use crate::{
    base::{Error, Result},
    graphql::{
        catalog::{facet_filters::FacetKind, measure::MeasureUnitEnum, product::ProductStatus},
        context::RequestContext,
        loader::Loaders,
        scalars::CurrencyCode,
    },
};

/// Objects that are resolved together.
#[derive(Clone, Copy)]
pub struct ObjectBatch<'a> {
    /// Context of the request.
    pub request_context: &'a RequestContext,
    /// Context of the field that the executor resolves.
    pub selection_context: &'a ContextSelectionSet<'a>,
    /// Returns the path of the object with an index.
    pub path_of: &'a (dyn Fn(usize) -> Vec<PathSegment> + Sync),
}

/// Field of the objects of a batch.
#[derive(Clone, Copy)]
pub struct FieldContext<'a> {
    /// Objects of the field.
    pub batch: ObjectBatch<'a>,
    /// Field of their selection.
    pub field: &'a SelectedField<'a>,
    /// Selection of the field.
    pub selection: Selection<'a>,
    /// Number of values that an object in the field has, at all levels.
    value_count: usize,
}

/// Values of a field, one for each object of a batch; `None` for an object whose field failed.
pub enum FieldValues<'a> {
    /// Computed without waiting.
    Ready(Vec<Option<Value>>),
    /// Computed from loaded data.
    Loading(BoxFuture<'a, Vec<Option<Value>>>),
}

/// What a field resolves to.
pub enum FieldOutput<T> {
    /// Scalar, list of scalars or null.
    Value(Value),
    /// Object.
    Object(T),
    /// List of objects.
    List(Arc<[T]>),
    /// The field failed.
    Failed(Error),
}

/// Type of a field that can be resolved in a batch.
pub trait BatchOutput {
    /// Type of the objects in the field.
    type Object: BatchResolve;

    /// Returns what the field resolves to.
    fn into_output(self, field: FieldContext<'_>) -> FieldOutput<Self::Object>;
}

impl FieldValues<'_> {
    /// Waits for the values.
    async fn resolve(self) -> Vec<Option<Value>> {
        match self {
            Self::Ready(values) => values,
            Self::Loading(values) => values.await,
        }
    }
}

impl<'a> FieldContext<'a> {
    /// Creates the context of a field in the selection of the objects.
    #[must_use]
    pub fn new(batch: ObjectBatch<'a>, field: &'a SelectedField<'a>, selection: Selection<'a>) -> Self {
        let selection = selection.of_selected(field);
        Self { batch, field, selection, value_count: selection.value_count() }
    }

    /// Returns an argument of the field.
    pub fn argument<T: InputType>(self, name: &str) -> ServerResult<T> {
        let context = self.batch.selection_context.with_field(self.field.field);
        context.param_value(name, None).map(|(_, value)| value)
    }

    /// Renders what the field resolves to for each object.
    pub fn render<O: BatchOutput<Object: 'a>>(self, outputs: impl Iterator<Item = O>) -> FieldValues<'a> {
        let (mut values, mut outputs_with_objects) = (Vec::with_capacity(outputs.size_hint().0), Vec::new());
        for (index, output) in outputs.enumerate() {
            values.push(match output.into_output(self) {
                FieldOutput::Value(value) => Some(value),
                FieldOutput::Failed(error) => {
                    self.report(index, self.to_server_error(error));
                    None
                }
                output => {
                    outputs_with_objects.push((index, output));
                    None
                }
            });
        }
        let children = ChildObjects { field: self, outputs: outputs_with_objects };
        if children.outputs.is_empty() {
            FieldValues::Ready(values)
        } else if self.selection.loads::<O::Object>() {
            FieldValues::Loading(Box::pin(async move {
                let path_of = |index| children.path(index);
                let batch = ObjectBatch { path_of: &path_of, ..self.batch };
                let resolved = resolve_objects(&children.objects(), self.selection, batch).await;
                children.insert_into(values, resolved)
            }))
        } else {
            let path_of = |index| children.path(index);
            let batch = ObjectBatch { path_of: &path_of, ..self.batch };
            let resolved = resolve_objects_at_once(&children.objects(), self.selection, batch);
            FieldValues::Ready(children.insert_into(values, resolved))
        }
    }

    /// Loads the keys of all objects, then renders what the field resolves to.
    pub fn load<T: Sync, K, O>(
        self,
        objects: &'a [&'a T],
        key_of: impl Fn(&'a T) -> Option<K>,
        output_of: impl Fn(&'a T, Option<<Loaders as Loader<K>>::Value>) -> O + Send + 'a,
    ) -> FieldValues<'a>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        O: BatchOutput<Object: 'a>,
        Loaders: Loader<K, Error = Error>,
    {
        let keys: Vec<Option<K>> = objects.iter().map(|object| key_of(object)).collect();
        if keys.iter().all(Option::is_none) {
            return self.render(objects.iter().map(|object| output_of(object, None)));
        }
        FieldValues::Loading(Box::pin(async move {
            let values = match self.load_keys(&keys).await {
                Ok(loaded) => self.render(objects.iter().zip(loaded).map(|(object, value)| output_of(object, value))),
                Err(error) => self.fail_all(objects.len(), &self.to_server_error(error)),
            };
            values.resolve().await
        }))
    }

    /// Loads the keys of all objects, then the keys that depend on what was loaded, then renders what the field
    /// resolves to.
    pub fn load_in_turn<T: Sync, K, N, O>(
        self,
        objects: &'a [&'a T],
        key_of: impl Fn(&'a T) -> Option<K>,
        next_key_of: impl Fn(&'a T, &Option<<Loaders as Loader<K>>::Value>) -> Option<N> + Send + 'a,
        output_of: impl Fn(&'a T, Option<<Loaders as Loader<K>>::Value>, Option<<Loaders as Loader<N>>::Value>) -> O
        + Send
        + 'a,
    ) -> FieldValues<'a>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        N: Send + Sync + Hash + Eq + Clone + 'static,
        O: BatchOutput<Object: 'a>,
        Loaders: Loader<K, Error = Error> + Loader<N, Error = Error>,
    {
        let keys: Vec<Option<K>> = objects.iter().map(|object| key_of(object)).collect();
        FieldValues::Loading(Box::pin(async move {
            let fail = |error| self.fail_all(objects.len(), &self.to_server_error(error)).resolve();
            let loaded = match self.load_keys(&keys).await {
                Ok(loaded) => loaded,
                Err(error) => return fail(error).await,
            };
            let next_keys = objects.iter().zip(&loaded).map(|(object, value)| next_key_of(object, value));
            let next_keys: Vec<Option<N>> = next_keys.collect();
            let next_loaded = match self.load_keys(&next_keys).await {
                Ok(next_loaded) => next_loaded,
                Err(error) => return fail(error).await,
            };
            let loaded = objects.iter().zip(loaded.into_iter().zip(next_loaded));
            let values = self.render(loaded.map(|(object, (value, next))| output_of(object, value, next)));
            values.resolve().await
        }))
    }

    /// Loads keys and returns the value of each.
    async fn load_keys<K>(self, keys: &[Option<K>]) -> Result<Vec<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Error>,
    {
        if keys.iter().all(Option::is_none) {
            return Ok(vec![None; keys.len()]);
        }
        let loaded = self.batch.request_context.load_many(keys.iter().flatten().cloned()).await?;
        Ok(keys.iter().map(|key| loaded.get(key.as_ref()?).cloned()).collect())
    }

    /// Reports an error of the field for every object.
    pub fn fail_all(self, object_count: usize, error: &ServerError) -> FieldValues<'a> {
        (0..object_count).for_each(|index| self.report(index, error.clone()));
        FieldValues::Ready(vec![None; object_count])
    }

    /// Reports an error as the executor does: the response omits the field, until it is shaped.
    fn report(self, index: usize, error: ServerError) {
        self.batch.selection_context.add_error(ServerError { path: self.path(index), ..error });
    }

    fn path(self, index: usize) -> Vec<PathSegment> {
        let mut path = (self.batch.path_of)(index);
        path.push(PathSegment::Field(self.field.response_key.to_string()));
        path
    }

    fn to_server_error(self, error: Error) -> ServerError {
        async_graphql::Error::from(error).into_server_error(self.field.field.pos)
    }
}

/// Objects in a field.
struct ChildObjects<'a, T> {
    field: FieldContext<'a>,
    /// Outputs that contain objects, with the indexes of the objects whose field it is.
    outputs: Vec<(usize, FieldOutput<T>)>,
}

impl<T> ChildObjects<'_, T> {
    fn objects(&self) -> Vec<&T> {
        self.outputs.iter().flat_map(|(_, output)| output.objects()).collect()
    }

    /// Returns the path of the child object with an index.
    fn path(&self, index: usize) -> Vec<PathSegment> {
        let positions = |(parent, output): &(usize, FieldOutput<T>)| {
            let (parent, is_list) = (*parent, matches!(output, FieldOutput::List(_)));
            (0..output.objects().len()).map(move |child| (parent, is_list.then_some(child)))
        };
        let (parent, child) = self.outputs.iter().flat_map(positions).nth(index).unwrap_or_default();
        let mut path = self.field.path(parent);
        path.extend(child.map(PathSegment::Index));
        path
    }

    /// Inserts the resolved objects into the values of the field.
    fn insert_into(&self, mut values: Vec<Option<Value>>, resolved: Vec<Value>) -> Vec<Option<Value>> {
        let mut resolved = resolved.into_iter();
        for (index, output) in &self.outputs {
            values[*index] = match output {
                FieldOutput::List(list) => Some(Value::List(resolved.by_ref().take(list.len()).collect())),
                _ => resolved.next(),
            };
        }
        values
    }
}

impl<T> FieldOutput<T> {
    fn objects(&self) -> &[T] {
        match self {
            Self::Object(object) => std::slice::from_ref(object),
            Self::List(objects) => objects,
            Self::Value(_) | Self::Failed(_) => &[],
        }
    }
}

/// Implements [`BatchOutput`] for types without objects.
macro_rules! value_outputs {
    (|$value:ident| $to_value:expr; $($ty:ty),+) => {
        $(impl BatchOutput for $ty {
            type Object = Infallible;

            fn into_output(self, _: FieldContext<'_>) -> FieldOutput<Infallible> {
                let $value = self;
                FieldOutput::Value($to_value)
            }
        })+
    };
}

value_outputs!(|value| value.to_value(); bool, i32, i64, usize, Decimal, DateTime<Utc>, CurrencyCode, FacetKind, ProductStatus, MeasureUnitEnum);
value_outputs!(|json| async_graphql::to_value(json.0).unwrap_or_default(); Json<serde_json::Value>);
value_outputs!(|text| Value::String(text); String);
value_outputs!(|text| Value::String(text.into()); &str, ID);
value_outputs!(|texts| Value::List(texts.iter().cloned().map(Value::String).collect()); Vec<String>, Arc<[String]>);

impl<T: BatchOutput> BatchOutput for Option<T> {
    type Object = T::Object;

    fn into_output(self, field: FieldContext<'_>) -> FieldOutput<T::Object> {
        self.map_or(FieldOutput::Value(Value::Null), |value| value.into_output(field))
    }
}

impl<T: BatchOutput> BatchOutput for Result<T> {
    type Object = T::Object;

    fn into_output(self, field: FieldContext<'_>) -> FieldOutput<T::Object> {
        self.map_or_else(FieldOutput::Failed, |value| value.into_output(field))
    }
}

impl<T: BatchResolve> BatchOutput for Batched<T> {
    type Object = T;

    fn into_output(self, _: FieldContext<'_>) -> FieldOutput<T> {
        FieldOutput::Object(self.0)
    }
}

impl<T: BatchResolve> BatchOutput for BatchedList<T> {
    type Object = T;

    fn into_output(self, field: FieldContext<'_>) -> FieldOutput<T> {
        let charged = self.charge(field.batch.request_context, field.value_count);
        charged.map_or_else(FieldOutput::Failed, |()| FieldOutput::List(self.objects))
    }
}
