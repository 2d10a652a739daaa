//! Data loaders: a key and a query each. Made anew for every request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use async_graphql::dataloader::Loader;

use crate::{
    base::{Error, Result},
    catalog::{
        Tree, category,
        columns::VariantColumns,
        filter::Sight,
        loader,
        loader::{Choice, Choices, Description, Image, Slice},
        product, variant,
    },
    customer::{self, Reach, address_row},
    identity::entity::account,
    infra::Db,
    inventory::{self, Stock, row::Row, staff},
    notification::preference::{self, Wanted},
};

/// Loads for one request.
#[derive(Debug)]
pub struct Loads {
    /// The request's database.
    pub db: Db,
    /// The request's tree.
    pub tree: Arc<ArcSwap<Tree>>,
    /// Which products its caller may see.
    pub sight: Sight,
}

/// Declares a key that owns a list and the query that finds the lists of many.
macro_rules! list {
    ($(#[$doc:meta])* $key:ident, $value:ty, |$loads:ident, $keys:ident| $query:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub i64);

        impl Loader<$key> for Loads {
            type Value = Arc<[$value]>;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>> {
                let ($loads, keys) = (self, keys.iter().map(|key| key.0).collect::<Vec<_>>());
                let $keys = keys.as_slice();
                let found = $query.await?;
                Ok(found.into_iter().map(|(key, list)| ($key(key), list.into())).collect())
            }
        }
    };
}

list!(
    /// A variant, as a list of at most one.
    VariantKey, variant::Model, |loads, keys| loader::variants_by_key(&loads.db, keys, loads.sight)
);
list!(
    /// A product, as a list of at most one.
    ProductKey, product::Model, |loads, keys| loader::products_by_key(&loads.db, keys, loads.sight)
);
list!(
    /// The texts of a product, as a list of at most one.
    DescriptionOf, Description, |loads, keys| loader::descriptions(&loads.db, keys)
);
list!(
    /// The pictures of a product.
    ImagesOf, Image, |loads, keys| loader::images(&loads.db, keys)
);
list!(
    /// The tags of a product.
    TagsOf, String, |loads, keys| loader::tags(&loads.db, keys)
);
list!(
    /// The options of a product.
    OptionsOf, Choices, |loads, keys| loader::options(&loads.db, keys)
);
list!(
    /// What a variant is, option by option.
    ChoicesOf, Choice, |loads, keys| loader::choices(&loads.db, keys)
);

list!(
    /// The addresses of an account.
    AddressesOf, address_row::Model, |loads, keys| customer::loader::addresses_of(&loads.db, keys)
);

/// Declares a key of one thing that is found only within somebody's reach: one's own, or with the permission everybody's.
macro_rules! reached {
    ($(#[$doc:meta])* $key:ident, $value:ty, $query:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key {
            /// Its key.
            pub key: i64,
            /// How far who asks may reach.
            pub reach: Reach,
        }

        impl Loader<$key> for Loads {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>> {
                let mut found = HashMap::new();
                for reach in keys.iter().map(|one| one.reach).collect::<HashSet<_>>() {
                    let within = keys.iter().filter(|one| one.reach == reach).map(|one| one.key).collect::<Vec<_>>();
                    let rows = $query(&self.db, &within, reach).await?;
                    found.extend(rows.into_iter().map(|(key, row)| ($key { key, reach }, row)));
                }
                Ok(found)
            }
        }
    };
}

reached!(
    /// An account that may be seen.
    CustomerKey, account::Model, customer::loader::customers
);
reached!(
    /// An address that may be seen.
    AddressKey, address_row::Model, customer::loader::addresses
);

/// Declares a key that owns one thing and the query that finds it for many.
macro_rules! single {
    ($(#[$doc:meta])* $key:ident, $value:ty, |$loads:ident, $keys:ident| $query:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub i64);

        impl Loader<$key> for Loads {
            type Value = $value;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, $value>> {
                let ($loads, $keys) = (self, keys.iter().map(|key| key.0).collect::<Vec<_>>());
                Ok($query.await?.into_iter().map(|(key, value)| ($key(key), value)).collect())
            }
        }
    };
}

single!(
    /// The stock of a product's variants together.
    ProductStock, Stock, |loads, keys| inventory::of_products(&loads.db, &keys)
);
single!(
    /// The stock of a variant.
    VariantStock, Stock, |loads, keys| inventory::of_variants(&loads.db, &keys)
);
single!(
    /// How many products lie in and below a category.
    CountOf, i64, |loads, keys| loader::counts(&loads.db, &loads.tree.load(), &keys)
);
single!(
    /// What an account wants to hear of; nothing where it has chosen nothing.
    PreferencesOf, Wanted, |loads, keys| preference::of_many(&loads.db, &keys)
);
single!(
    /// The text of a category.
    CategoryText, String, |loads, keys| category::descriptions(&loads.db, &keys)
);

list!(
    /// The stock of a variant at each location.
    LevelsOf, Row, |loads, keys| inventory::ledger::levels(&loads.db, keys)
);

/// All locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Locations;

impl Loader<Locations> for Loads {
    type Value = Arc<[staff::Location]>;
    type Error = Error;

    async fn load(&self, _: &[Locations]) -> Result<HashMap<Locations, Self::Value>> {
        Ok(HashMap::from([(Locations, staff::locations(&self.db).await?.into())]))
    }
}

pub(super) use {list, reached};

/// The variants of a product, with some of their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VariantsOf {
    /// The product.
    pub product: i64,
    /// What is asked of them.
    pub columns: VariantColumns,
}

impl Loader<VariantsOf> for Loads {
    type Value = Arc<[Arc<variant::Model>]>;
    type Error = Error;

    async fn load(&self, keys: &[VariantsOf]) -> Result<HashMap<VariantsOf, Self::Value>> {
        let columns = keys.iter().map(|key| key.columns).fold(VariantColumns::default(), VariantColumns::or);
        let mut products: Vec<i64> = keys.iter().map(|key| key.product).collect();
        products.sort_unstable();
        products.dedup();
        let found = loader::variants(&self.db, &products, columns).await?;
        let found: HashMap<i64, Self::Value> = found.into_iter().map(|(key, rows)| (key, rows.into())).collect();
        Ok(keys.iter().filter_map(|key| Some((*key, Arc::clone(found.get(&key.product)?)))).collect())
    }
}

impl Loader<Slice> for Loads {
    type Value = Vec<product::Model>;
    type Error = Error;

    async fn load(&self, keys: &[Slice]) -> Result<HashMap<Slice, Self::Value>> {
        loader::slices(&self.db, &self.tree.load(), keys).await
    }
}
