//! Fields of the schema whose values are the same for all anonymous callers, with the sets of rows that they depend on.
//!
//! A field that is not listed here makes an operation private: its responses are never cached. A listed field must not
//! depend on the caller, on a token among its arguments, or on data whose changes emit no event with cache tags.

use crate::{
    catalog::cache_tags::{CATALOG, CATEGORIES, STOCK},
    infra::cache::CacheTag,
    media::events::MEDIA,
};

/// Fields of one type.
#[derive(Debug, Clone, Copy)]
pub struct PublicFields {
    /// Name of the type.
    pub type_name: &'static str,
    /// Names of the fields.
    pub fields: &'static [&'static str],
    /// Sets of rows that the fields depend on, in addition to the rows of the objects in the response.
    pub tags: &'static [CacheTag],
}

const fn public(type_name: &'static str, fields: &'static [&'static str], tags: &'static [CacheTag]) -> PublicFields {
    PublicFields { type_name, fields, tags }
}

/// Sets that a list of products depends on: whether a product is in it, and its position.
const PRODUCT_LIST: &[CacheTag] = &[CATALOG, CATEGORIES];
/// Sets that filters, facets and searches depend on.
const FILTERED_LIST: &[CacheTag] = &[CATALOG, CATEGORIES, STOCK];

/// All public fields.
pub const PUBLIC_FIELDS: &[PublicFields] = &[
    // The lookups depend on the rows that they find, and on the catalog if they find none.
    public("Query", &["shop", "product", "variant"], &[]),
    public("Query", &["category", "categories"], &[CATEGORIES]),
    public("Query", &["products"], PRODUCT_LIST),
    public("Query", &["searchSuggest"], FILTERED_LIST),
    public(
        "Shop",
        &[
            "name",
            "currency",
            "currencies",
            "languages",
            "countries",
            "loginProviders",
            "paymentMethods",
            "contactEmail",
            "logoUrl",
            "policies",
        ],
        &[],
    ),
    public("Country", &["code", "name", "phonePrefix", "requiredFields"], &[]),
    public("LoginProvider", &["name", "loginPath"], &[]),
    public("ShopPolicy", &["name", "url"], &[]),
    public("PaymentMethod", &["id", "kind", "name", "instructions", "minAmount", "maxAmount", "countries"], &[]),
    public(
        "Product",
        &[
            "id",
            "sku",
            "name",
            "slug",
            "description",
            "descriptionHtml",
            "seo",
            "vendor",
            "tags",
            "status",
            "featured",
            "price",
            "salePrice",
            "discountPercent",
            "saleEndsAt",
            "priceRange",
            "currency",
            "image",
            "featuredImage",
            "images",
            "options",
            "variants",
            "variantConnection",
            "version",
            "createdAt",
            "updatedAt",
        ],
        &[],
    ),
    public("Product", &["category"], &[CATEGORIES]),
    public("Product", &["inStock", "stockQuantity", "availability", "variant"], &[STOCK]),
    public(
        "ProductVariant",
        &[
            "id",
            "sku",
            "name",
            "product",
            "price",
            "salePrice",
            "discountPercent",
            "content",
            "unitPrice",
            "currency",
            "saleStartsAt",
            "saleEndsAt",
            "options",
            "weightGrams",
            "barcode",
            "image",
            "version",
            "createdAt",
            "updatedAt",
        ],
        &[],
    ),
    public("ProductVariant", &["inStock", "stockQuantity", "availability"], &[STOCK]),
    public(
        "Category",
        &[
            "id",
            "name",
            "slug",
            "description",
            "descriptionHtml",
            "image",
            "seo",
            "createdAt",
            "updatedAt",
            "level",
            "position",
            "version",
            "parent",
            "children",
            "ancestors",
            "descendants",
        ],
        &[CATEGORIES],
    ),
    public("Category", &["products", "productConnection", "productCount"], PRODUCT_LIST),
    public("ProductConnection", &["nodes", "edges", "pageInfo", "totalCount", "totalCountPrecision"], &[]),
    public("ProductConnection", &["facets", "search"], FILTERED_LIST),
    public("ProductEdge", &["cursor", "node"], &[]),
    public("ProductVariantConnection", &["nodes", "edges", "pageInfo", "totalCount"], &[]),
    public("ProductVariantEdge", &["cursor", "node"], &[]),
    public("PageInfo", &["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"], &[]),
    public("ProductFacets", &["categories", "priceRanges", "vendors", "tags", "options", "filters"], &[]),
    public("CategoryFacet", &["category", "count"], &[]),
    public("PriceRangeFacet", &["min", "max", "count"], &[]),
    public("ValueFacet", &["value", "count"], &[]),
    public("OptionFacet", &["name", "values"], &[]),
    public("Facet", &["key", "label", "kind", "values"], &[]),
    public("FacetValue", &["label", "count", "selected", "input"], &[]),
    public(
        "ProductSearch",
        &["query", "words", "corrected", "correctedQuery", "dropped", "expanded", "matchesAny"],
        &[],
    ),
    public("SearchExpansion", &["word", "synonyms"], &[]),
    public("SearchCorrection", &["word", "replacements"], &[]),
    public("SearchSuggestions", &["queries", "products", "categories"], &[]),
    public("ProductOption", &["name", "values", "optionValues"], &[]),
    public("ProductOptionValue", &["name"], &[]),
    public("ProductOptionValue", &["available", "firstAvailableVariant"], &[STOCK]),
    public("SelectedOption", &["name", "value"], &[]),
    public("Availability", &["available", "quantity", "backorderable", "low"], &[]),
    public("PriceRange", &["min", "max"], &[]),
    public("Money", &["amount", "currency"], &[]),
    public("UnitPrice", &["amount", "measure"], &[]),
    public("Measure", &["quantity", "unit"], &[]),
    public("Image", &["url", "alt", "width", "height", "placeholder"], &[MEDIA]),
    public("Seo", &["title", "description"], &[]),
];
