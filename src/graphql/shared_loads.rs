//! Loads that the executions for one event share: what one of them has loaded, the others do not load again.

use std::{
    any::{Any, TypeId},
    borrow::Cow,
    collections::HashMap,
    fmt,
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::dataloader::{CacheFactory, CacheStorage, DataLoader, Loader};

use super::loader::Loaders;
use crate::{
    base::{Error, Result},
    catalog::product_filter::ProductVisibility,
};

/// Values by the type of their key and what the callers may see.
type ValuesByType = HashMap<(TypeId, ProductVisibility), Box<dyn Any + Send + Sync>>;

/// Values loaded for one event. Cheap to clone.
#[derive(Clone, Default)]
pub struct SharedLoads(Arc<Mutex<ValuesByType>>);

impl fmt::Debug for SharedLoads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedLoads").finish_non_exhaustive()
    }
}

impl SharedLoads {
    fn values_of<K, V>(&self, visibility: ProductVisibility) -> Arc<Mutex<HashMap<K, V>>>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let mut values_by_type = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = values_by_type
            .entry((TypeId::of::<K>(), visibility))
            .or_insert_with(|| Box::new(Arc::<Mutex<HashMap<K, V>>>::default()));
        // A key type has one type of values, so that the cast cannot fail; an empty map would only repeat loads.
        values.downcast_ref::<Arc<Mutex<HashMap<K, V>>>>().cloned().unwrap_or_default()
    }
}

/// Key that was loaded and has no value, which the data loaders do not cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AbsentKey<K>(K);

/// Loads of one caller's execution that are shared.
#[derive(Debug, Clone)]
pub struct CallerLoads {
    /// The shared loads.
    pub shared: SharedLoads,
    /// Products that the caller may see.
    pub visibility: ProductVisibility,
}

impl CallerLoads {
    /// Loads one value, unless it was loaded before.
    pub async fn load_one<K>(
        &self,
        loaders: &DataLoader<Loaders, LoadCache>,
        key: K,
    ) -> Result<Option<<Loaders as Loader<K>>::Value>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Error>,
    {
        if self.is_absent(&key) {
            return Ok(None);
        }
        let loaded = loaders.load_one(key.clone()).await?;
        if loaded.is_none() {
            self.mark_absent(key);
        }
        Ok(loaded)
    }

    /// Loads those of many values that were not loaded before.
    pub async fn load_many<K>(
        &self,
        loaders: &DataLoader<Loaders, LoadCache>,
        mut keys: Vec<K>,
    ) -> Result<HashMap<K, <Loaders as Loader<K>>::Value>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Error>,
    {
        keys.retain(|key| !self.is_absent(key));
        let loaded = loaders.load_many(keys.clone()).await?;
        for key in keys.into_iter().filter(|key| !loaded.contains_key(key)) {
            self.mark_absent(key);
        }
        Ok(loaded)
    }

    /// Returns whether a key was loaded and has no value.
    fn is_absent<K: Send + Sync + Clone + Eq + Hash + 'static>(&self, key: &K) -> bool {
        let absent = self.shared.values_of::<AbsentKey<K>, ()>(self.visibility);
        absent.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&AbsentKey(key.clone()))
    }

    /// Records that a key has no value.
    fn mark_absent<K: Send + Sync + Clone + Eq + Hash + 'static>(&self, key: K) {
        let absent = self.shared.values_of::<AbsentKey<K>, ()>(self.visibility);
        absent.lock().unwrap_or_else(PoisonError::into_inner).insert(AbsentKey(key), ());
    }
}

/// Cache of the data loaders of a request: none, or the loads shared by the executions for an event.
#[derive(Debug, Clone, Default)]
pub struct LoadCache(pub Option<CallerLoads>);

impl CacheFactory for LoadCache {
    fn create<K, V>(&self) -> Box<dyn CacheStorage<Key = K, Value = V>>
    where
        K: Send + Sync + Clone + Eq + Hash + 'static,
        V: Send + Sync + Clone + 'static,
    {
        match &self.0 {
            None => Box::new(NoStorage::<K, V>(PhantomData)),
            Some(CallerLoads { shared, visibility }) => {
                Box::new(SharedStorage { values: shared.values_of::<K, V>(*visibility), found: None })
            }
        }
    }
}

/// Storage without values.
struct NoStorage<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> CacheStorage for NoStorage<K, V>
where
    K: Send + Sync + Clone + Eq + Hash + 'static,
    V: Send + Sync + Clone + 'static,
{
    type Key = K;
    type Value = V;

    fn get(&mut self, _: &K) -> Option<&V> {
        None
    }

    fn insert(&mut self, _: Cow<'_, K>, _: Cow<'_, V>) {}

    fn remove(&mut self, _: &K) {}

    fn clear(&mut self) {}

    fn iter(&self) -> Box<dyn Iterator<Item = (&'_ K, &'_ V)> + '_> {
        Box::new(std::iter::empty())
    }
}

/// Storage whose values are shared with other requests.
struct SharedStorage<K, V> {
    values: Arc<Mutex<HashMap<K, V>>>,
    /// The value found last, to which a reference is returned.
    found: Option<V>,
}

impl<K, V> CacheStorage for SharedStorage<K, V>
where
    K: Send + Sync + Clone + Eq + Hash + 'static,
    V: Send + Sync + Clone + 'static,
{
    type Key = K;
    type Value = V;

    fn get(&mut self, key: &K) -> Option<&V> {
        self.found = self.values.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        self.found.as_ref()
    }

    fn insert(&mut self, key: Cow<'_, K>, value: Cow<'_, V>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.into_owned(), value.into_owned());
    }

    fn remove(&mut self, key: &K) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn clear(&mut self) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (&'_ K, &'_ V)> + '_> {
        // Entries cannot be borrowed from a locked map; the data loader does not iterate.
        Box::new(std::iter::empty())
    }
}
