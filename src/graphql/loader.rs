//! Data loaders, each a key type and a query. Created per request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use async_graphql::dataloader::Loader;
use futures_util::TryFutureExt;

use super::{
    catalog::{image::ImageObject, variant::SelectedOption},
    context::{AppState, RequestContext},
};
use crate::{
    base::{Error, Result},
    catalog::{
        CategoryTree, category, category_row,
        loader::{self, CategorySlice, ProductDescription},
        product,
        product_filter::ProductVisibility,
        projection::VariantColumns,
        variant,
    },
    customer::{self, OwnerScope, address_row},
    identity::entity::account,
    infra::Db,
    inventory::{self, ProductChoices, StockAvailability, location, stock_level::StockLevelRow},
    media::{MediaToken, entity::media, queries::load_by_tokens},
    notification::preference::{self, ChannelPreferences},
};

/// Data loaders of one request.
#[derive(Debug)]
pub struct Loaders {
    /// State shared by all requests.
    pub app_state: Arc<AppState>,
    /// Database handle of the request.
    pub db: Db,
    /// Category tree of the request.
    pub category_tree: Arc<ArcSwap<CategoryTree>>,
    /// Products that the caller may see.
    pub visibility: ProductVisibility,
}

/// Declares a key type with the query that loads the values of many keys; a list becomes a shared slice.
macro_rules! batch_loader {
    ($(#[$doc:meta])* $key:ident, $value:ty, |$loaders:ident, $ids:ident| $query:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub i64);

        impl Loader<$key> for Loaders {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>> {
                let ($loaders, ids) = (self, keys.iter().map(|key| key.0).collect::<Vec<_>>());
                let $ids = ids.as_slice();
                Ok($query.await?.into_iter().map(|(id, value)| ($key(id), value.into())).collect())
            }
        }
    };
}

batch_loader!(
    /// Key of a variant, as a list of at most one.
    VariantKey, Arc<[variant::Model]>, |loaders, keys| loader::load_visible_variants(&loaders.db, keys, loaders.visibility)
);
batch_loader!(
    /// Key of a product, as a list of at most one.
    ProductKey, Arc<[product::Model]>, |loaders, keys| loader::load_visible_products(&loaders.db, keys, loaders.visibility)
);
batch_loader!(
    /// Key of a product's descriptions, as a list of at most one.
    DescriptionOf, Arc<[ProductDescription]>, |loaders, keys| loader::load_descriptions(&loaders.db, keys)
);
batch_loader!(
    /// Key of a product's images.
    ImagesOf, Arc<[ImageObject]>, |loaders, keys| {
        let to_object = |row: loader::ProductImage| ImageObject::new(row.url, row.alt);
        loader::load_images(&loaders.db, keys).map_ok(move |lists| convert_rows(lists, to_object))
    }
);
batch_loader!(
    /// Key of a product's tags.
    TagsOf, Arc<[String]>, |loaders, keys| loader::load_tags(&loaders.db, keys)
);
batch_loader!(
    /// Key of a product's options and variants.
    ProductChoicesOf, Arc<ProductChoices>, |loaders, keys| inventory::load_product_choices(&loaders.db, keys)
);
batch_loader!(
    /// Key of a variant's option values.
    ChoicesOf, Arc<[SelectedOption]>, |loaders, keys| {
        let to_object = |row: loader::VariantOption| SelectedOption { name: row.name, value: row.value };
        loader::load_variant_options(&loaders.db, keys).map_ok(move |lists| convert_rows(lists, to_object))
    }
);

batch_loader!(
    /// Key of an account's addresses.
    AddressesOf, Arc<[address_row::Model]>, |loaders, keys| customer::loader::load_addresses_by_owner(&loaders.db, keys)
);

/// Converts lists of rows to lists of objects of the schema.
fn convert_rows<R, T>(lists: HashMap<i64, Vec<R>>, convert: fn(R) -> T) -> HashMap<i64, Vec<T>> {
    lists.into_iter().map(|(key, rows)| (key, rows.into_iter().map(convert).collect())).collect()
}

/// Declares a key type for a row that is visible only to its owner or to callers with the permission.
macro_rules! owner_scoped_loader {
    ($(#[$doc:meta])* $key:ident, $value:ty, $query:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key {
            /// Row ID.
            pub key: i64,
            /// Access scope of the caller.
            pub owner_scope: OwnerScope,
        }

        impl Loader<$key> for Loaders {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>> {
                let mut values = HashMap::new();
                for owner_scope in keys.iter().map(|key| key.owner_scope).collect::<HashSet<_>>() {
                    let in_scope = keys.iter().filter(|key| key.owner_scope == owner_scope);
                    let ids = in_scope.map(|key| key.key).collect::<Vec<_>>();
                    let rows = $query(&self.db, &ids, owner_scope).await?;
                    values.extend(rows.into_iter().map(|(key, row)| ($key { key, owner_scope }, row)));
                }
                Ok(values)
            }
        }
    };
}

owner_scoped_loader!(
    /// Key of an account within the caller's access scope.
    AccountKey, account::Model, customer::loader::load_accounts
);
owner_scoped_loader!(
    /// Key of an address within the caller's access scope.
    AddressKey, address_row::Model, customer::loader::load_addresses
);

batch_loader!(
    /// Key of the combined stock availability of a product's variants.
    ProductStock, StockAvailability, |loaders, keys| inventory::load_product_availability(&loaders.db, keys)
);
batch_loader!(
    /// Key of a variant's stock availability.
    VariantStock, StockAvailability, |loaders, keys| inventory::load_variant_availability(&loaders.db, keys)
);
batch_loader!(
    /// Key of the number of products in a category and its descendants.
    CountOf, i64, |loaders, keys| loader::count_products_by_category(&loaders.db, &loaders.category_tree.load(), keys)
);
batch_loader!(
    /// Key of an account's notification preferences; no value if it has set none.
    PreferencesOf, ChannelPreferences, |loaders, keys| preference::load_preferences_by_account(&loaders.db, keys)
);
batch_loader!(
    /// Key of the row of a category.
    CategoryRowOf, Arc<category_row::Model>, |loaders, keys| category::load_category_rows(&loaders.db, keys)
);

batch_loader!(
    /// Key of a variant's stock levels at each location.
    LevelsOf, Arc<[StockLevelRow]>, |loaders, keys| inventory::stock_level::load_stock_levels(&loaders.db, keys)
);

/// Key of a picture by its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaKey(pub MediaToken);

impl Loader<MediaKey> for Loaders {
    type Value = Arc<media::Model>;
    type Error = Error;

    async fn load(&self, keys: &[MediaKey]) -> Result<HashMap<MediaKey, Self::Value>> {
        let tokens: Vec<MediaToken> = keys.iter().map(|key| key.0).collect();
        let rows = load_by_tokens(&self.db, &tokens).await?;
        Ok(rows.into_iter().map(|(token, row)| (MediaKey(token), Arc::new(row))).collect())
    }
}

/// Key of the list of all locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocationsKey;

impl Loader<LocationsKey> for Loaders {
    type Value = Arc<[location::StockLocation]>;
    type Error = Error;

    async fn load(&self, _: &[LocationsKey]) -> Result<HashMap<LocationsKey, Self::Value>> {
        Ok(HashMap::from([(LocationsKey, location::list_locations(&self.db).await?.into())]))
    }
}

/// Key of the latest category tree, for categories that were created after the request's snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LatestTreeKey;

impl LatestTreeKey {
    /// Returns the key if the request's snapshot does not contain a category.
    #[must_use]
    pub fn unless_known(context: &RequestContext, category_id: i64) -> Option<Self> {
        context.category_tree().find_index(category_id).is_none().then_some(Self)
    }
}

impl Loader<LatestTreeKey> for Loaders {
    type Value = Arc<CategoryTree>;
    type Error = Error;

    async fn load(&self, _: &[LatestTreeKey]) -> Result<HashMap<LatestTreeKey, Self::Value>> {
        let cache = &self.app_state.category_tree_cache;
        cache.refresh(&self.db).await?;
        Ok(HashMap::from([(LatestTreeKey, cache.current())]))
    }
}

pub(super) use {batch_loader, owner_scoped_loader};

/// Key of a product's variants with selected columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProductVariantsKey {
    /// Product ID.
    pub product_id: i64,
    /// Columns required by the selected fields.
    pub columns: VariantColumns,
}

impl Loader<ProductVariantsKey> for Loaders {
    type Value = Arc<[Arc<variant::Model>]>;
    type Error = Error;

    async fn load(&self, keys: &[ProductVariantsKey]) -> Result<HashMap<ProductVariantsKey, Self::Value>> {
        let columns = keys.iter().map(|key| key.columns).fold(VariantColumns::EMPTY, VariantColumns::union);
        let mut product_ids: Vec<i64> = keys.iter().map(|key| key.product_id).collect();
        product_ids.sort_unstable();
        product_ids.dedup();
        let variants_by_product = loader::load_variants(&self.db, &product_ids, columns).await?;
        let variants_by_product: HashMap<i64, Self::Value> =
            variants_by_product.into_iter().map(|(key, rows)| (key, rows.into())).collect();
        Ok(keys.iter().filter_map(|key| Some((*key, Arc::clone(variants_by_product.get(&key.product_id)?)))).collect())
    }
}

impl Loader<CategorySlice> for Loaders {
    type Value = Vec<product::Model>;
    type Error = Error;

    async fn load(&self, keys: &[CategorySlice]) -> Result<HashMap<CategorySlice, Self::Value>> {
        loader::load_category_slices(&self.db, &self.category_tree.load(), keys).await
    }
}
