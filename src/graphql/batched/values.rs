//! Values of the fields of a batch.

use std::{convert::Infallible, sync::Arc};

use async_graphql::{
    ContextSelectionSet, ID, InputType, PathSegment, ServerError, ServerResult, Value, dataloader::Loader,
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use std::hash::Hash;

use super::{
    super::{context::RequestContext, loader::Loaders, product::ProductStatus, shop::CurrencyCode},
    BatchResolve, Batched, BatchedList, SelectedField, Selection, resolve_objects,
};
use crate::base::{Error, Result};

/// Objects that are resolved together.
#[derive(Clone, Copy)]
pub struct ObjectBatch<'a> {
    request_context: &'a RequestContext,
    selection_context: &'a ContextSelectionSet<'a>,
    origin: BatchOrigin<'a>,
}

/// Origin of the objects of a batch, which determines their paths.
#[derive(Clone, Copy)]
pub enum BatchOrigin<'a> {
    /// The one object of a field that the executor resolves.
    Object,
    /// List of a field that the executor resolves.
    List,
    /// Values of a field of another batch. The function returns the index of an object's parent, and the object's
    /// index in the parent's list.
    Field(FieldContext<'a>, &'a (dyn Fn(usize) -> (usize, Option<usize>) + Sync)),
}

/// Field of the objects of a batch.
#[derive(Clone, Copy)]
pub struct FieldContext<'a> {
    batch: &'a ObjectBatch<'a>,
    field: &'a SelectedField<'a>,
    selection: Selection<'a>,
    /// Number of values that an object in the field has, at all levels.
    value_count: usize,
}

/// Values of a field, one for each object of a batch; `None` for an object whose field failed.
pub enum FieldValues<'a> {
    /// Values computed from the objects.
    Ready(Vec<Option<Value>>),
    /// Values that depend on loads.
    Pending(BoxFuture<'a, Vec<Option<Value>>>),
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
    /// Type of the objects in the field; [`Infallible`] if it has none.
    type Object: BatchResolve;

    /// Returns what the field resolves to.
    fn into_output(self, field: FieldContext<'_>) -> FieldOutput<Self::Object>;
}

impl<'a> ObjectBatch<'a> {
    /// Creates the batch of a field that the executor resolves.
    pub fn new(selection_context: &'a ContextSelectionSet<'a>, origin: BatchOrigin<'a>) -> Self {
        Self { request_context: selection_context.data_unchecked(), selection_context, origin }
    }

    /// Returns the path of an object.
    fn path(&self, index: usize) -> Vec<PathSegment> {
        let (mut path, index) = match self.origin {
            BatchOrigin::Object => (self.root_path(), None),
            BatchOrigin::List => (self.root_path(), Some(index)),
            BatchOrigin::Field(field, locate) => {
                let (parent_index, index) = locate(index);
                (field.path(parent_index), index)
            }
        };
        path.extend(index.map(PathSegment::Index));
        path
    }

    fn root_path(&self) -> Vec<PathSegment> {
        self.selection_context.set_error_path(ServerError::new("", None)).path
    }
}

impl<'a> FieldContext<'a> {
    /// Creates the context of a field.
    pub fn new(batch: &'a ObjectBatch<'a>, field: &'a SelectedField<'a>, selection: Selection<'a>) -> Self {
        let selection = selection.of_selected(field);
        Self { batch, field, selection, value_count: selection.value_count() }
    }

    /// Returns the name in the schema.
    #[must_use]
    pub fn name(self) -> &'a str {
        &self.field.field.node.name.node
    }

    /// Returns the context of the request.
    #[must_use]
    pub fn request_context(self) -> &'a RequestContext {
        self.batch.request_context
    }

    /// Returns the selection of the field.
    #[must_use]
    pub fn selection(self) -> Selection<'a> {
        self.selection
    }

    /// Returns an argument of the field.
    pub fn argument<T: InputType>(self, name: &str) -> ServerResult<T> {
        let context = self.batch.selection_context.with_field(self.field.field);
        context.param_value(name, None).map(|(_, value)| value)
    }

    /// Renders what the field resolves to, one output for each object.
    pub fn render<O: BatchOutput<Object: 'a>>(self, outputs: impl Iterator<Item = O>) -> FieldValues<'a> {
        let (mut values, mut children) = (Vec::with_capacity(outputs.size_hint().0), Vec::new());
        for output in outputs {
            let parent_index = values.len();
            values.push(match output.into_output(self) {
                FieldOutput::Value(value) => Some(value),
                FieldOutput::Failed(error) => {
                    self.fail(parent_index, self.to_server_error(error));
                    None
                }
                FieldOutput::Object(object) => {
                    children.push((parent_index, ChildObjects::Single(object)));
                    None
                }
                FieldOutput::List(objects) => {
                    children.push((parent_index, ChildObjects::List(objects)));
                    None
                }
            });
        }
        if children.is_empty() {
            return FieldValues::Ready(values);
        }
        FieldValues::Pending(Box::pin(async move {
            let objects: Vec<_> = children.iter().flat_map(|(_, objects)| objects.as_slice()).collect();
            let locate = |index| locate_child(&children, index);
            let batch = ObjectBatch { origin: BatchOrigin::Field(self, &locate), ..*self.batch };
            let mut resolved = resolve_objects(&objects, self.selection, &batch).await.into_iter();
            for (parent_index, objects) in &children {
                values[*parent_index] = match objects {
                    ChildObjects::Single(_) => resolved.next(),
                    ChildObjects::List(list) => Some(Value::List(resolved.by_ref().take(list.len()).collect())),
                };
            }
            values
        }))
    }

    /// Loads the keys of all objects, then renders what the field resolves to.
    pub fn load<T, K, O>(
        self,
        objects: &'a [&'a T],
        key: impl Fn(&'a T) -> Option<K>,
        output: impl Fn(&'a T, Option<<Loaders as Loader<K>>::Value>) -> O + Send + 'a,
    ) -> FieldValues<'a>
    where
        T: Sync,
        K: Send + Sync + Hash + Eq + Clone + 'static,
        O: BatchOutput<Object: 'a>,
        Loaders: Loader<K, Error = Error>,
    {
        let keys: Vec<Option<K>> = objects.iter().map(|object| key(object)).collect();
        if keys.iter().all(Option::is_none) {
            return self.render(objects.iter().map(|object| output(object, None)));
        }
        FieldValues::Pending(Box::pin(async move {
            let values = match self.request_context().load_many(keys.iter().flatten().cloned()).await {
                Ok(loaded) => {
                    let loaded = keys.iter().map(|key| loaded.get(key.as_ref()?).cloned());
                    self.render(objects.iter().zip(loaded).map(|(object, value)| output(object, value)))
                }
                Err(error) => self.fail_all(objects.len(), &self.to_server_error(error)),
            };
            values.resolve().await
        }))
    }

    /// Reports an error for every object.
    #[must_use]
    pub fn fail_all(self, object_count: usize, error: &ServerError) -> FieldValues<'a> {
        (0..object_count).for_each(|index| self.fail(index, error.clone()));
        FieldValues::Ready(vec![None; object_count])
    }

    /// Reports an error for an object, as the executor does.
    fn fail(self, index: usize, error: ServerError) {
        self.batch.selection_context.add_error(ServerError { path: self.path(index), ..error });
    }

    fn path(self, index: usize) -> Vec<PathSegment> {
        let mut path = self.batch.path(index);
        path.push(PathSegment::Field(self.field.response_key.to_string()));
        path
    }

    fn to_server_error(self, error: Error) -> ServerError {
        async_graphql::Error::from(error).into_server_error(self.field.field.pos)
    }
}

/// Objects in a field of one parent.
enum ChildObjects<T> {
    Single(T),
    List(Arc<[T]>),
}

impl<T> ChildObjects<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::Single(object) => std::slice::from_ref(object),
            Self::List(objects) => objects,
        }
    }
}

/// Returns the index of a child's parent, and the child's index in the parent's list.
fn locate_child<T>(children: &[(usize, ChildObjects<T>)], mut index: usize) -> (usize, Option<usize>) {
    for (parent_index, objects) in children {
        let length = objects.as_slice().len();
        if index < length {
            return (*parent_index, matches!(objects, ChildObjects::List(_)).then_some(index));
        }
        index -= length;
    }
    (0, None)
}

impl FieldValues<'_> {
    /// Returns the values.
    pub async fn resolve(self) -> Vec<Option<Value>> {
        match self {
            Self::Ready(values) => values,
            Self::Pending(values) => values.await,
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

value_outputs!(|value| InputType::to_value(&value); bool, i32, i64, usize, Decimal, DateTime<Utc>, CurrencyCode, ProductStatus);
value_outputs!(|text| Value::String(text.into()); &str, String, ID);
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
        match self.charge(field.request_context(), || field.value_count) {
            Ok(()) => FieldOutput::List(self.objects),
            Err(error) => FieldOutput::Failed(error),
        }
    }
}
