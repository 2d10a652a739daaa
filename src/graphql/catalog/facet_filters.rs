//! Facets in one list, each value with the filter input that selects it.

use async_graphql::{Enum, InputType, Json, SimpleObject};
use macros::BatchedObject;
use serde_json::{Value, json};

use super::facets::ProductFacets;
use crate::{
    base::{GlobalId, Money, Result, global_id::NodeType, text},
    catalog::{
        CatalogFilter,
        facets::{FacetCount, FlagCount, OptionFacetCount, PriceBucket},
        find::CountedFacet,
    },
    graphql::{batched::BatchedList, context::RequestContext},
};

/// Kind of a facet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum FacetKind {
    /// Subcategories of the filtered category, or the root categories.
    Category,
    /// Ranges of the current price.
    Price,
    /// Vendors.
    Vendor,
    /// Tags.
    Tag,
    /// Values of an option; one facet per option.
    Option,
    /// Whether a variant is available for purchase.
    InStock,
    /// Whether the product is on sale.
    OnSale,
}

impl FacetKind {
    /// All kinds, in their default order.
    const ALL: [Self; 7] =
        [Self::Category, Self::Price, Self::Vendor, Self::Tag, Self::Option, Self::InStock, Self::OnSale];
    /// Number of kinds.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the kinds of an argument; all if it is absent.
    pub(super) fn parse_list(argument: Option<async_graphql::Value>) -> Vec<Self> {
        let kinds = <Option<Vec<Self>> as InputType>::parse(argument).ok().flatten();
        kinds.unwrap_or_else(|| Self::ALL.to_vec())
    }

    /// Returns the facet that is counted for it.
    pub(super) const fn counted(self) -> CountedFacet {
        match self {
            Self::Category => CountedFacet::Categories,
            Self::Price => CountedFacet::Prices,
            Self::Vendor => CountedFacet::Vendors,
            Self::Tag => CountedFacet::Tags,
            Self::Option => CountedFacet::Options,
            Self::InStock | Self::OnSale => CountedFacet::Flags,
        }
    }
}

/// Facet: values for further filtering.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct Facet {
    /// Key, unique among the facets of a list: `vendor`, `option:size`.
    key: String,
    /// Label in English; the name of the option for options.
    label: String,
    /// Kind of the facet.
    kind: FacetKind,
    /// Values, by descending product count; price ranges ascending.
    values: BatchedList<FacetValue>,
}

/// Value of a facet.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct FacetValue {
    /// Label: the value as displayed; in English for ranges, availability and sale.
    label: String,
    /// Number of products that the filter matches with this value instead of the facet's current condition.
    count: i64,
    /// Whether the filter contains the value.
    selected: bool,
    /// Fields of `ProductFilter` that select this value. Replace the fields of the same name: the filter
    /// `{ ...filter, ...input }` matches `count` products. To select several vendors, tags or option values, combine the
    /// lists of their inputs.
    input: Json<Value>,
}

/// Returns the facets of the kinds, in their order. Statements: 1 at most.
pub(super) async fn list_facets(
    facets: &ProductFacets<'_>,
    context: &RequestContext,
    kinds: Option<Vec<FacetKind>>,
    limit: usize,
) -> Result<Vec<Facet>> {
    let mut kinds = kinds.unwrap_or_else(|| FacetKind::ALL.to_vec());
    let mut seen = std::collections::HashSet::new();
    kinds.retain(|kind| seen.insert(*kind));
    let builder = FacetBuilder { facets, context, filter: facets.filter.conditions() };
    let mut list = Vec::new();
    for kind in kinds {
        list.extend(builder.build(kind, limit).await?);
    }
    list.retain(|facet| !facet.values.is_empty());
    Ok(list)
}

/// Builds the facets of a list.
struct FacetBuilder<'a> {
    facets: &'a ProductFacets<'a>,
    context: &'a RequestContext,
    filter: &'a CatalogFilter,
}

impl FacetBuilder<'_> {
    async fn build(&self, kind: FacetKind, limit: usize) -> Result<Vec<Facet>> {
        let Self { facets, context, filter } = self;
        let counts = facets.counts(context, kind.counted()).await?;
        let single = |key: &str, label: &str, values: Vec<FacetValue>| {
            vec![Facet { key: key.to_owned(), label: label.to_owned(), kind, values: BatchedList::limited(values) }]
        };
        Ok(match kind {
            FacetKind::Category => {
                let values = counts.categories.iter().take(limit);
                single("category", "Category", values.map(|count| self.to_category_value(*count)).collect())
            }
            FacetKind::Price => {
                let buckets = counts.prices.iter().take(limit);
                single("price", "Price", buckets.map(|bucket| self.to_price_value(bucket)).collect())
            }
            FacetKind::Vendor => {
                let to_value = |FacetCount { value, count }: &FacetCount| FacetValue {
                    label: value.clone(),
                    count: *count,
                    selected: contains_text(&filter.vendors, value),
                    input: Json(json!({ "vendors": [value] })),
                };
                single("vendor", "Vendor", counts.vendors.iter().take(limit).map(to_value).collect())
            }
            FacetKind::Tag => {
                let values = counts.tags.iter().take(limit);
                single("tag", "Tag", values.map(|count| self.to_tag_value(count)).collect())
            }
            FacetKind::Option => {
                let options = counts.options.iter();
                options.map(|option| self.to_option_facet(option, limit)).collect()
            }
            FacetKind::InStock => {
                let labels = ["In stock", "Out of stock"];
                let counts = counts.flags.in_stock;
                single("inStock", "Availability", to_flag_values(counts, filter.in_stock, "inStock", labels))
            }
            FacetKind::OnSale => {
                let labels = ["On sale", "Regular price"];
                let counts = counts.flags.on_sale;
                single("onSale", "Sale", to_flag_values(counts, filter.on_sale, "onSale", labels))
            }
        })
    }

    fn to_category_value(&self, (index, count): (usize, i64)) -> FacetValue {
        let tree = self.context.category_tree();
        let id = GlobalId::new(NodeType::Category, tree.node(index).id).encode();
        let input = json!({ "category": { "id": id } });
        // Only descendants of the filtered category are values.
        FacetValue { label: tree.node(index).name.clone(), count, selected: false, input: Json(input) }
    }

    /// The bounds of a filter are inclusive, so the upper one is a minor unit below that of the range.
    fn to_price_value(&self, bucket: &PriceBucket) -> FacetValue {
        let currency = self.context.app_state.config.shop.currency;
        let amount = |minor_units: i64| Money::new(minor_units, currency).to_decimal().to_string();
        let (min, max) = (bucket.min, bucket.max.map(|max| max - 1));
        let code = currency.code();
        let (label, range) = match max {
            Some(max) => {
                (format!("{code} {} – {}", amount(min), amount(max)), json!({ "min": amount(min), "max": amount(max) }))
            }
            None => (format!("{code} {}+", amount(min)), json!({ "min": amount(min) })),
        };
        FacetValue {
            label,
            count: bucket.count,
            selected: self.filter.price_range == (Some(min), max),
            input: Json(json!({ "price": range })),
        }
    }

    /// Tags that the filter requires or excludes are not part of the facet: the input keeps them.
    fn to_tag_value(&self, FacetCount { value, count }: &FacetCount) -> FacetValue {
        let tags = &self.filter.tags;
        FacetValue {
            label: value.clone(),
            count: *count,
            selected: contains_text(&tags.any, value),
            input: Json(json!({ "tags": { "any": [value], "all": tags.all, "none": tags.none } })),
        }
    }

    /// The input keeps the filters of the other options.
    fn to_option_facet(&self, OptionFacetCount { name, values }: &OptionFacetCount, limit: usize) -> Facet {
        let normalized_name = text::normalize_text(name);
        let (own, others): (Vec<_>, Vec<_>) =
            self.filter.options.iter().partition(|(other, _)| *other == normalized_name);
        let other_inputs: Vec<Value> =
            others.iter().map(|(name, values)| json!({ "name": name, "values": values })).collect();
        let to_value = |FacetCount { value, count }: &FacetCount| {
            let mut inputs = other_inputs.clone();
            inputs.push(json!({ "name": name, "values": [value] }));
            FacetValue {
                label: value.clone(),
                count: *count,
                selected: own.iter().any(|(_, selected)| contains_text(selected, value)),
                input: Json(json!({ "options": inputs })),
            }
        };
        Facet {
            key: format!("option:{normalized_name}"),
            label: name.clone(),
            kind: FacetKind::Option,
            values: BatchedList::limited(values.iter().take(limit).map(to_value)),
        }
    }
}

/// Returns the values of a condition that holds or does not, with products or selected.
fn to_flag_values(counts: FlagCount, selected: Option<bool>, field: &str, labels: [&str; 2]) -> Vec<FacetValue> {
    let values = [(true, counts.holds), (false, counts.fails)].into_iter().zip(labels);
    let to_value = |((holds, count), label): ((bool, i64), &str)| FacetValue {
        label: label.to_owned(),
        count,
        selected: selected == Some(holds),
        input: Json(json!({ field: holds })),
    };
    values.map(to_value).filter(|value| value.count > 0 || value.selected).collect()
}

/// Returns whether a list contains a text, without regard to case and accents.
fn contains_text(list: &[String], value: &str) -> bool {
    let normalized = text::normalize_text(value);
    list.iter().any(|item| text::normalize_text(item) == normalized)
}
