//! Data loader of single rows by primary key.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use async_graphql::dataloader::Loader;
use sea_orm::{EntityTrait, Iterable, ModelTrait, PrimaryKeyToColumn, QueryFilter, Value};

use super::loader::Loaders;
use crate::{
    base::{Error, Result},
    infra::eq_any,
};

/// Key of a row of an entity, without an access check: the caller of the loader checks a permission or the owner.
pub struct RowKey<E> {
    id: i64,
    entity: PhantomData<fn() -> E>,
}

impl<E> RowKey<E> {
    /// Creates the key of a primary key.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self { id, entity: PhantomData }
    }
}

impl<E> Clone for RowKey<E> {
    fn clone(&self) -> Self {
        Self::new(self.id)
    }
}

impl<E> PartialEq for RowKey<E> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<E> Eq for RowKey<E> {}

impl<E> Hash for RowKey<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<E> Loader<RowKey<E>> for Loaders
where
    E: EntityTrait + 'static,
    E::Model: Clone + Send + Sync + 'static,
{
    type Value = E::Model;
    type Error = Error;

    async fn load(&self, keys: &[RowKey<E>]) -> Result<HashMap<RowKey<E>, E::Model>> {
        let Some(primary_key) = E::PrimaryKey::iter().next() else { return Ok(HashMap::new()) };
        let column = primary_key.into_column();
        let rows = E::find().filter(eq_any(&self.db, column, keys.iter().map(|key| key.id))).all(&self.db).await?;
        let with_key = |row: E::Model| match row.get(column) {
            Value::BigInt(Some(id)) => Some((RowKey::new(id), row)),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(with_key).collect())
    }
}
