//! Facets of a product list.

use std::{fmt, marker::PhantomData, sync::Arc};

use async_graphql::{Context, Object, SimpleObject};
use tokio::sync::OnceCell;

use super::{
    category::Category,
    facet_filters::{self, Facet, FacetKind},
};
use crate::{
    base::{Result, pagination},
    catalog::{
        cache_tags::{CATALOG, CATEGORIES, STOCK},
        facets::{self, FacetCount, FlagCounts, OptionFacetCount, PriceBucket},
        product_filter::ResolvedCatalogFilter,
    },
    graphql::{
        batched::Batched,
        context::{RequestContext, request_context},
        pagination::cost_per_list,
        scalars::MoneyObject,
    },
    infra::cache::{CacheTag, CachedWeight, DataKey},
};

/// Cache of the computed facets of one list.
#[derive(Debug, Default)]
pub struct FacetCache {
    categories: OnceCell<Arc<Vec<(usize, i64)>>>,
    prices: OnceCell<Arc<Vec<PriceBucket>>>,
    vendors: OnceCell<Arc<Vec<FacetCount>>>,
    tags: OnceCell<Arc<Vec<FacetCount>>>,
    options: OnceCell<Arc<Vec<OptionFacetCount>>>,
    flags: OnceCell<Arc<FlagCounts>>,
}

/// Key of a facet in the data cache.
struct FacetKey<'a, V> {
    name: &'static str,
    /// The filter, with the visibility of the caller.
    filter: &'a ResolvedCatalogFilter,
    /// Version of the tree, whose indexes the facet of categories has.
    tree_version: i64,
    value: PhantomData<fn() -> V>,
}

impl<V> fmt::Debug for FacetKey<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, filter, tree_version, value: _ } = self;
        f.debug_tuple("FacetKey").field(name).field(filter).field(tree_version).finish()
    }
}

impl<V: CachedWeight + Send + Sync + 'static> DataKey for FacetKey<'_, V> {
    type Value = V;
    const KIND: &'static str = "facet";
    const TAGS: &'static [CacheTag] = &[CATALOG, CATEGORIES, STOCK];
}

/// Facets of the filtered products: values for further filtering with their product counts. Each facet applies all
/// other conditions of the filter but not its own: vendors are counted regardless of the vendor filter.
#[derive(Debug)]
pub struct ProductFacets<'a> {
    /// Filter of the list.
    pub filter: &'a Arc<ResolvedCatalogFilter>,
    /// Computed facets.
    pub cache: &'a FacetCache,
}

/// Facet value with its product count.
#[derive(Debug, SimpleObject)]
pub struct ValueFacet {
    /// Value, as the filter accepts it.
    value: String,
    /// Number of products.
    count: i64,
}

/// Category with its product count.
#[derive(Debug, SimpleObject)]
pub struct CategoryFacet {
    /// Category.
    category: Category,
    /// Number of products in the category and its descendants.
    count: i64,
}

/// Price range with its product count.
#[derive(Debug, SimpleObject)]
pub struct PriceRangeFacet {
    /// Lower bound, inclusive.
    min: Batched<MoneyObject>,
    /// Upper bound, exclusive; null for the last range.
    max: Option<Batched<MoneyObject>>,
    /// Number of products.
    count: i64,
}

/// Option with its values and their product counts.
#[derive(Debug, SimpleObject)]
pub struct OptionFacet {
    /// Option name, such as `Size`.
    name: String,
    /// Option values, by descending product count.
    values: Vec<ValueFacet>,
}

/// Complexity of one facet of a list.
const FACET_COST: usize = 400;
/// Default number of facet values.
const DEFAULT_FACET_VALUES: i32 = 50;

fn to_value_facets(counts: &[FacetCount], limit: usize) -> Vec<ValueFacet> {
    let to_facet = |FacetCount { value, count }: &FacetCount| ValueFacet { value: value.clone(), count: *count };
    counts.iter().take(limit).map(to_facet).collect()
}

/// Declares methods that compute a facet with the maximum number of values, unless it is cached.
macro_rules! computed_facets {
    ($($(#[$doc:meta])* $name:ident -> $cell:ident: $value:ty = |$db:ident, $filter:ident, $tree:ident| $read:expr;)+) => {
        impl ProductFacets<'_> {
            $(
                $(#[$doc])*
                pub(super) async fn $name(&self, context: &RequestContext) -> Result<&$value> {
                    let tree = context.category_tree();
                    let tree_version = tree.version();
                    let key = FacetKey { name: stringify!($name), filter: self.filter, tree_version, value: PhantomData };
                    let read = || {
                        let ($filter, $tree) = (Arc::clone(self.filter), Arc::clone(&tree));
                        context.run_expensive_read(|db| async move {
                            let ($db, _) = (&db, &$tree);
                            $read.await
                        })
                    };
                    let read_cached = || context.app_state.data_cache.get_or_compute::<FacetKey<'_, $value>, _>(
                        &context.db,
                        &key,
                        read,
                    );
                    self.cache.$cell.get_or_try_init(read_cached).await.map(|counts| &**counts)
                }
            )+
        }
    };
}

computed_facets!(
    /// Counts by category: indexes in the tree.
    category_counts -> categories: Vec<(usize, i64)> =
        |db, filter, tree| facets::count_by_category(db, &filter, &tree, pagination::MAX_PAGE_SIZE);
    /// Counts by price range.
    price_buckets -> prices: Vec<PriceBucket> = |db, filter, tree| facets::count_by_price(db, &filter);
    /// Counts by vendor.
    vendor_counts -> vendors: Vec<FacetCount> =
        |db, filter, tree| facets::count_by_vendor(db, &filter, pagination::MAX_PAGE_SIZE);
    /// Counts by tag.
    tag_counts -> tags: Vec<FacetCount> =
        |db, filter, tree| facets::count_by_tag(db, &filter, pagination::MAX_PAGE_SIZE);
    /// Counts by option value.
    option_counts -> options: Vec<OptionFacetCount> =
        |db, filter, tree| facets::count_by_option(db, &filter, pagination::MAX_PAGE_SIZE);
    /// Counts by availability and sale.
    flag_counts -> flags: FlagCounts = |db, filter, tree| facets::count_by_flags(db, &filter);
);

/// Facets of the filtered products: values for further filtering with their product counts. Each facet applies all
/// other conditions of the filter but not its own: vendors are counted regardless of the vendor filter.
#[Object]
impl ProductFacets<'_> {
    /// Subcategories of the filtered category, or the root categories; by descending product count.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn categories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values (0-100).", default_with = "DEFAULT_FACET_VALUES")] first: i32,
    ) -> Result<Vec<CategoryFacet>> {
        let context = request_context(ctx);
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.category_counts(context).await?;
        let to_facet = |(category_index, count): &(usize, i64)| CategoryFacet {
            category: Category::from_index(&context.category_tree(), *category_index),
            count: *count,
        };
        Ok(counts.iter().take(first).map(to_facet).collect())
    }

    /// At most six ranges of the current price with rounded bounds, ascending.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn price_ranges(&self, ctx: &Context<'_>) -> Result<Vec<PriceRangeFacet>> {
        let context = request_context(ctx);
        let amount = |minor_units| context.money(minor_units);
        let ranges = self.price_buckets(context).await?;
        let to_facet = |PriceBucket { min, max, count }: &PriceBucket| PriceRangeFacet {
            min: amount(*min),
            max: max.map(amount),
            count: *count,
        };
        Ok(ranges.iter().map(to_facet).collect())
    }

    /// Vendors, by descending product count.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn vendors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values (0-100).", default_with = "DEFAULT_FACET_VALUES")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.vendor_counts(request_context(ctx)).await?;
        Ok(to_value_facets(counts, first))
    }

    /// Tags, by descending product count.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values (0-100).", default_with = "DEFAULT_FACET_VALUES")] first: i32,
    ) -> Result<Vec<ValueFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.tag_counts(request_context(ctx)).await?;
        Ok(to_value_facets(counts, first))
    }

    /// Options with their values. Values of an option in the filter are counted as if the option were not filtered.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values per option (0-100).", default_with = "DEFAULT_FACET_VALUES")]
        first: i32,
    ) -> Result<Vec<OptionFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let options = self.option_counts(request_context(ctx)).await?;
        let to_facet = |OptionFacetCount { name, values: counts }: &OptionFacetCount| OptionFacet {
            name: name.clone(),
            values: to_value_facets(counts, first),
        };
        Ok(options.iter().map(to_facet).collect())
    }

    /// Facets of all kinds in one list, to render filters without knowing them: each value has the filter input that
    /// selects it. Facets without values are omitted.
    #[graphql(
        complexity = "cost_per_list(FACET_COST * kinds.as_ref().map_or(FacetKind::COUNT, |kinds| kinds.len().min(FacetKind::COUNT)) + child_complexity)"
    )]
    async fn filters(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Kinds of facets, in this order; all by default.")] kinds: Option<Vec<FacetKind>>,
        #[graphql(desc = "Maximum number of values per facet (0-100).", default_with = "DEFAULT_FACET_VALUES")]
        first: i32,
    ) -> Result<Vec<Facet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        facet_filters::list_facets(self, request_context(ctx), kinds, first).await
    }
}
