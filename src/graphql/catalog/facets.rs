//! Facets of a product list.

use std::sync::Arc;

use async_graphql::{Context, Object, SelectionField, SimpleObject};
use macros::BatchedObject;
use tokio::sync::OnceCell;

use super::{
    category::Category,
    facet_filters::{self, Facet, FacetKind},
};
use crate::{
    base::{Error, Result, pagination},
    catalog::{
        CategoryTree,
        cache_tags::{CATALOG, CATEGORIES, STOCK},
        facets::{FacetCount, OptionFacetCount, PriceBucket},
        find::{self, CountedFacet, CountedFacets, FacetCounts},
        product_filter::ResolvedCatalogFilter,
    },
    graphql::{
        batched::{Batched, BatchedList},
        context::{AppState, RequestContext, request_context},
        pagination::cost_per_list,
        scalars::MoneyObject,
    },
    infra::cache::{CacheTag, DataKey, MIN_RENEWAL_INTERVAL, StaleValue},
};

/// Key of facets in the data cache.
#[derive(Debug)]
struct FacetKey<'a> {
    /// The facets.
    #[expect(dead_code, reason = "the text of the key contains it")]
    facets: CountedFacets,
    /// The filter, with the visibility of the caller.
    #[expect(dead_code, reason = "the text of the key contains it")]
    filter: &'a ResolvedCatalogFilter,
    /// Version of the tree, whose indexes the facet of categories has.
    #[expect(dead_code, reason = "the text of the key contains it")]
    tree_version: i64,
}

impl DataKey for FacetKey<'_> {
    type Value = FacetCounts;
    const KIND: &'static str = "facet";
    const TAGS: &'static [CacheTag] = &[CATALOG, CATEGORIES, STOCK];
}

/// The facets that are selected of a list, which are counted together.
#[derive(Debug)]
pub struct SelectedFacets {
    facets: CountedFacets,
    counts: OnceCell<Arc<FacetCounts>>,
}

/// Facets of the filtered products: values for further filtering with their product counts. Each facet applies all
/// other conditions of the filter but not its own: vendors are counted regardless of the vendor filter.
#[derive(Debug)]
pub struct ProductFacets<'a> {
    /// Filter of the list.
    pub filter: &'a Arc<ResolvedCatalogFilter>,
    /// Selected facets.
    pub selected: &'a SelectedFacets,
}

/// Facet value with its product count.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct ValueFacet {
    /// Value, as the filter accepts it.
    value: String,
    /// Number of products.
    count: i64,
}

/// Category with its product count.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct CategoryFacet {
    /// Category.
    category: Batched<Category>,
    /// Number of products in the category and its descendants.
    count: i64,
}

/// Price range with its product count.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct PriceRangeFacet {
    /// Lower bound, inclusive.
    min: Batched<MoneyObject>,
    /// Upper bound, exclusive; null for the last range.
    max: Option<Batched<MoneyObject>>,
    /// Number of products.
    count: i64,
}

/// Option with its values and their product counts.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct OptionFacet {
    /// Option name, such as `Size`.
    name: String,
    /// Option values, by descending product count.
    values: BatchedList<ValueFacet>,
}

/// Complexity of one facet of a list.
const FACET_COST: usize = 400;
/// Default number of facet values.
const DEFAULT_FACET_VALUES: i32 = 50;

fn to_value_facets(counts: &[FacetCount], limit: usize) -> BatchedList<ValueFacet> {
    let to_facet = |FacetCount { value, count }: &FacetCount| ValueFacet { value: value.clone(), count: *count };
    BatchedList::limited(counts.iter().take(limit).map(to_facet))
}

impl SelectedFacets {
    /// Returns the facets in the selection of a list.
    #[must_use]
    pub fn of_list(ctx: &Context<'_>) -> Self {
        let mut facets = CountedFacets::default();
        for list in ctx.field().selection_set().filter(|field| field.name() == "facets") {
            for field in list.selection_set() {
                insert_selected(&mut facets, &field);
            }
        }
        Self { facets, counts: OnceCell::const_new() }
    }
}

/// Adds the facets of a selected field.
fn insert_selected(facets: &mut CountedFacets, field: &SelectionField<'_>) {
    match field.name() {
        "categories" => facets.insert(CountedFacet::Categories),
        "priceRanges" => facets.insert(CountedFacet::Prices),
        "vendors" => facets.insert(CountedFacet::Vendors),
        "tags" => facets.insert(CountedFacet::Tags),
        "options" => facets.insert(CountedFacet::Options),
        "filters" => {
            let arguments = field.arguments().unwrap_or_default();
            let kinds = arguments.into_iter().find(|(name, _)| name == "kinds").map(|(_, value)| value);
            for kind in FacetKind::parse_list(kinds) {
                facets.insert(kind.counted());
            }
        }
        _ => {}
    }
}

impl ProductFacets<'_> {
    /// Returns the counts of a facet, together with those of all selected facets.
    pub(super) async fn counts(&self, context: &RequestContext, facet: CountedFacet) -> Result<Arc<FacetCounts>> {
        let SelectedFacets { facets, counts } = self.selected;
        if !facets.contains(facet) {
            return self.load(context, facet.into()).await;
        }
        counts.get_or_try_init(|| self.load(context, *facets)).await.cloned()
    }

    /// Counts facets, unless they are cached. A public response may show those of a short time ago, which are counted again
    /// in the background.
    async fn load(&self, context: &RequestContext, facets: CountedFacets) -> Result<Arc<FacetCounts>> {
        let tree = context.category_tree();
        let key = FacetKey { facets, filter: self.filter, tree_version: tree.version() };
        let cache = &context.app_state.data_cache;
        if let Some(recorder) = &context.cache_recorder
            && let Some(StaleValue { value, is_due }) = cache.find_stale(&context.db, &key)
        {
            let now = context.db.now();
            recorder.record_change_at(now + MIN_RENEWAL_INTERVAL, now);
            if is_due {
                tokio::spawn(renew_facets(Arc::clone(&context.app_state), Arc::clone(self.filter), tree, facets));
            }
            return Ok(value);
        }
        let read = || {
            let (filter, tree) = (Arc::clone(self.filter), Arc::clone(&tree));
            context.run_expensive_read(move |db| async move { find::count_facets(&db, &filter, &tree, facets).await })
        };
        cache.get_or_compute(&context.db, &key, read).await
    }
}

/// Counts facets again, after their products have changed.
async fn renew_facets(
    app_state: Arc<AppState>,
    filter: Arc<ResolvedCatalogFilter>,
    tree: Arc<CategoryTree>,
    facets: CountedFacets,
) {
    let AppState { db, data_cache, expensive_reads, .. } = &*app_state;
    let key = FacetKey { facets, filter: &filter, tree_version: tree.version() };
    let count = async || {
        let permit = expensive_reads.acquire().await;
        let _permit = permit.map_err(|error| Error::internal("waiting for an expensive read", error))?;
        find::count_facets(db, &filter, &tree, facets).await
    };
    if let Err(error) = data_cache.renew(db, &key, count).await {
        tracing::warn!(error = error.log_message(), "facets could not be renewed");
    }
}

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
    ) -> Result<BatchedList<CategoryFacet>> {
        let context = request_context(ctx);
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.counts(context, CountedFacet::Categories).await?;
        let to_facet = |(category_index, count): &(usize, i64)| CategoryFacet {
            category: Batched(Category::from_index(&context.category_tree(), *category_index)),
            count: *count,
        };
        Ok(BatchedList::limited(counts.categories.iter().take(first).map(to_facet)))
    }

    /// At most six ranges of the current price with rounded bounds, ascending.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn price_ranges(&self, ctx: &Context<'_>) -> Result<BatchedList<PriceRangeFacet>> {
        let context = request_context(ctx);
        let amount = |minor_units| context.money(minor_units);
        let counts = self.counts(context, CountedFacet::Prices).await?;
        let to_facet = |PriceBucket { min, max, count }: &PriceBucket| PriceRangeFacet {
            min: amount(*min),
            max: max.map(amount),
            count: *count,
        };
        Ok(BatchedList::limited(counts.prices.iter().map(to_facet)))
    }

    /// Vendors, by descending product count.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn vendors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values (0-100).", default_with = "DEFAULT_FACET_VALUES")] first: i32,
    ) -> Result<BatchedList<ValueFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.counts(request_context(ctx), CountedFacet::Vendors).await?;
        Ok(to_value_facets(&counts.vendors, first))
    }

    /// Tags, by descending product count.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values (0-100).", default_with = "DEFAULT_FACET_VALUES")] first: i32,
    ) -> Result<BatchedList<ValueFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.counts(request_context(ctx), CountedFacet::Tags).await?;
        Ok(to_value_facets(&counts.tags, first))
    }

    /// Options with their values. Values of an option in the filter are counted as if the option were not filtered.
    #[graphql(complexity = "cost_per_list(FACET_COST + child_complexity)")]
    async fn options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Maximum number of values per option (0-100).", default_with = "DEFAULT_FACET_VALUES")]
        first: i32,
    ) -> Result<BatchedList<OptionFacet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        let counts = self.counts(request_context(ctx), CountedFacet::Options).await?;
        let to_facet = |OptionFacetCount { name, values: counts }: &OptionFacetCount| OptionFacet {
            name: name.clone(),
            values: to_value_facets(counts, first),
        };
        Ok(BatchedList::limited(counts.options.iter().map(to_facet)))
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
    ) -> Result<BatchedList<Facet>> {
        let first = pagination::validate_page_size("first", Some(first))?;
        Ok(BatchedList::limited(facet_filters::list_facets(self, request_context(ctx), kinds, first).await?))
    }
}
