//! Batch resolution of products and of product edges.

use std::{collections::HashMap, ops::Range, sync::Arc};

use async_graphql::{ScalarType, Value, resolver_utils::enum_value};
use futures_util::future::{BoxFuture, try_join_all};

use super::{
    super::{
        category::Category,
        context::RequestContext,
        loader::{DescriptionOf, ImagesOf, OptionsOf, ProductStock, ProductVariantsKey, TagsOf},
        product::{Product, ProductStatus, parse_variant_limit},
        products::ProductEdge,
        scalars::clamp_to_i32,
        variant::Variant,
    },
    BatchResolve, FieldSelection, RenderContext, SelectedField, category, optional_string_value, string_value, variant,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    catalog::{
        loader::{OptionValues, ProductDescription, ProductImage},
        projection::ProductColumns,
    },
    inventory::StockAvailability,
};

/// Data of products beyond their rows.
#[derive(Debug, Default)]
pub struct PreloadedProducts {
    descriptions: HashMap<DescriptionOf, Arc<[ProductDescription]>>,
    tags: HashMap<TagsOf, Arc<[String]>>,
    images: HashMap<ImagesOf, Arc<[ProductImage]>>,
    options: HashMap<OptionsOf, Arc<[OptionValues]>>,
    stock: HashMap<ProductStock, StockAvailability>,
    category: <Category as BatchResolve>::Preloaded,
    /// One entry for each `variants` field of the selection, in that order.
    variants: Vec<PreloadedVariantLists>,
}

/// Variants of many products with their preloaded data.
#[derive(Debug)]
struct PreloadedVariantLists {
    response_key: async_graphql::Name,
    variants: Vec<Variant>,
    ranges: HashMap<i64, Range<usize>>,
    preloaded: <Variant as BatchResolve>::Preloaded,
}

/// Returns the columns that the selected product fields need.
pub fn select_product_columns(selection: &FieldSelection<'_>) -> ProductColumns {
    let no_columns = ProductColumns::default();
    let field_columns = |field: &SelectedField<'_>| match field.name() {
        "sku" => ProductColumns { sku: true, ..no_columns },
        "name" => ProductColumns { name: true, ..no_columns },
        "slug" => ProductColumns { slug: true, ..no_columns },
        "vendor" => ProductColumns { vendor: true, ..no_columns },
        "featured" => ProductColumns { featured: true, ..no_columns },
        "category" => ProductColumns { category_id: true, ..no_columns },
        "price" => ProductColumns { price: true, ..no_columns },
        "salePrice" => ProductColumns { sale_price: true, ..no_columns },
        "priceRange" => ProductColumns { price_now: true, price_max: true, ..no_columns },
        "image" => ProductColumns { image: true, ..no_columns },
        "version" => ProductColumns { version: true, ..no_columns },
        "createdAt" => ProductColumns { created_at: true, ..no_columns },
        "updatedAt" => ProductColumns { updated_at: true, ..no_columns },
        // `variants { product }` resolves to this row again, with an unknown selection.
        "variants" if field.selection.contains_any(&["product"]) => ProductColumns::ALL,
        "id" | "currency" | "description" | "descriptionHtml" | "tags" | "images" | "inStock" | "stockQuantity"
        | "options" | "variants" => no_columns,
        _ => ProductColumns::ALL,
    };
    selection.fields().map(field_columns).fold(ProductColumns { id: true, ..no_columns }, ProductColumns::or)
}

impl BatchResolve for Product {
    type Preloaded = PreloadedProducts;

    fn supports(field: &SelectedField<'_>) -> bool {
        match field.name() {
            "category" => field.selection.all_fields(Category::supports),
            "variants" => field.selection.all_fields(Variant::supports),
            _ => true,
        }
    }

    fn preload<'a>(
        items: &'a [Self],
        context: &'a RequestContext,
        selection: &'a FieldSelection<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Preloaded>>> {
        preload_products(items.iter(), context, selection)
    }

    fn render(
        &self,
        preloaded: &PreloadedProducts,
        field: &SelectedField<'_>,
        render_context: &RenderContext<'_>,
    ) -> Option<Value> {
        let row = &self.0;
        let amount = |minor_units| string_value(render_context.request_context.decimal_amount(minor_units).to_string());
        let currency = || string_value(render_context.request_context.app_state.config.shop.currency.code());
        let description = || {
            preloaded
                .descriptions
                .get(&DescriptionOf(row.id))
                .and_then(|field| field.first())
                .filter(|field| field.has_text())
        };
        let stock = || preloaded.stock.get(&ProductStock(row.id));
        Some(match field.name() {
            "id" => string_value(GlobalId::new(NodeType::Product, row.id).encode()),
            "sku" => string_value(&row.sku),
            "name" => string_value(&row.name),
            "slug" => string_value(&row.slug),
            "description" => optional_string_value(description().map(|field| field.text.as_str())),
            "descriptionHtml" => optional_string_value(description().map(|field| field.html.as_str())),
            "vendor" => optional_string_value(row.vendor.as_deref()),
            "tags" => Value::List(find_list(&preloaded.tags, &TagsOf(row.id)).iter().map(string_value).collect()),
            "status" => enum_value(ProductStatus::from(row.status)),
            "featured" => Value::from(row.featured),
            "category" => {
                let category = Category::find(&render_context.request_context.category_tree(), row.category_id)?;
                render_context.render_object(&category, &preloaded.category, &field.selection)?
            }
            "price" => amount(row.price),
            "salePrice" => row.sale_price.map_or(Value::Null, amount),
            "priceRange" => field.selection.build_object("PriceRange", |child_field| match child_field.name() {
                "min" => Some(amount(row.price_now)),
                "max" => Some(amount(row.price_max)),
                "currency" => Some(currency()),
                _ => None,
            })?,
            "currency" => currency(),
            "image" => optional_string_value(row.image.as_deref()),
            "images" => {
                render_object_list(find_list(&preloaded.images, &ImagesOf(row.id)), "Image", field, |image, name| {
                    match name {
                        "url" => Some(string_value(&image.url)),
                        "alt" => Some(optional_string_value(image.alt.as_deref())),
                        _ => None,
                    }
                })?
            }
            "inStock" => Value::from(stock().is_some_and(|stock| stock.buyable)),
            "stockQuantity" => Value::from(stock().map_or(0, |stock| clamp_to_i32(stock.available))),
            "options" => render_object_list(
                find_list(&preloaded.options, &OptionsOf(row.id)),
                "ProductOption",
                field,
                |option, name| match name {
                    "name" => Some(string_value(&option.name)),
                    "values" => Some(Value::List(option.values.iter().map(string_value).collect())),
                    _ => None,
                },
            )?,
            "variants" => {
                let variants =
                    preloaded.variants.iter().find(|variants| variants.response_key == *field.response_key)?;
                let range = variants.ranges.get(&row.id).cloned().unwrap_or_default();
                let first = parse_variant_limit(render_context.parse_argument(field, "first")?).ok()?;
                render_context.render_list(variants.variants[range].iter().take(first), &variants.preloaded, field)?
            }
            "version" => Value::from(row.version),
            "createdAt" => row.created_at.to_value(),
            "updatedAt" => row.updated_at.to_value(),
            _ => return None,
        })
    }
}

/// Returns the list of a key; empty if there is none.
fn find_list<'a, K: Eq + std::hash::Hash, T>(lists: &'a HashMap<K, Arc<[T]>>, key: &K) -> &'a [T] {
    lists.get(key).map_or(&[], |list| list)
}

/// Renders a list of objects that contain only strings.
fn render_object_list<T>(
    items: &[T],
    type_name: &str,
    field: &SelectedField<'_>,
    render_field: impl Fn(&T, &str) -> Option<Value>,
) -> Option<Value> {
    let render_item =
        |item| field.selection.build_object(type_name, |child_field| render_field(item, child_field.name()));
    items.iter().map(render_item).collect::<Option<_>>().map(Value::List)
}

/// Preloads the data that the selection needs; `None` if no data is needed.
fn preload_products<'a>(
    products: impl Iterator<Item = &'a Product> + Clone + Send + Sync + 'a,
    context: &'a RequestContext,
    selection: &'a FieldSelection<'a>,
) -> Option<BoxFuture<'a, Result<PreloadedProducts>>> {
    let with_descriptions = selection.contains_any(&["description", "descriptionHtml"]);
    let (with_tags, with_images, with_options) =
        (selection.contains_any(&["tags"]), selection.contains_any(&["images"]), selection.contains_any(&["options"]));
    let with_stock = selection.contains_any(&["inStock", "stockQuantity"]);
    let with_category_data = selection
        .fields_named("category")
        .any(|item| item.selection.contains_any_nested(&["productCount", "description"]));
    let with_variants = selection.contains_any(&["variants"]);
    if !(with_descriptions
        || with_tags
        || with_images
        || with_options
        || with_stock
        || with_category_data
        || with_variants)
    {
        return None;
    }
    Some(Box::pin(async move {
        let keys = |is_selected: bool| products.clone().filter(move |_| is_selected).map(|item| item.0.id);
        let (with_descriptions, with_tags, with_images, with_options, with_stock, category, with_variants) = futures_util::try_join!(
            context.load_many(keys(with_descriptions).map(DescriptionOf)),
            context.load_many(keys(with_tags).map(TagsOf)),
            context.load_many(keys(with_images).map(ImagesOf)),
            context.load_many(keys(with_options).map(OptionsOf)),
            context.load_many(keys(with_stock).map(ProductStock)),
            preload_categories(
                products.clone(),
                context,
                selection.fields_named("category").filter(|_| with_category_data)
            ),
            try_join_all(selection.fields_named("variants").map(|item| preload_variants(
                products.clone(),
                context,
                item
            ))),
        )?;
        Ok(PreloadedProducts {
            descriptions: with_descriptions,
            tags: with_tags,
            images: with_images,
            options: with_options,
            stock: with_stock,
            category,
            variants: with_variants,
        })
    }))
}

/// Preloads the categories of products.
async fn preload_categories<'a>(
    products: impl Iterator<Item = &'a Product>,
    context: &'a RequestContext,
    category_fields: impl Iterator<Item = &'a SelectedField<'a>>,
) -> Result<<Category as BatchResolve>::Preloaded> {
    let categories: Vec<_> =
        products.filter_map(|product| Category::find(&context.category_tree(), product.0.category_id)).collect();
    let loads = category_fields.filter_map(|field| Category::preload(&categories, context, &field.selection));
    Ok(try_join_all(loads).await?.into_iter().reduce(category::PreloadedCategories::merge).unwrap_or_default())
}

/// Preloads the variants of products for one `variants` field.
async fn preload_variants<'a>(
    products: impl Iterator<Item = &'a Product> + Clone,
    context: &'a RequestContext,
    field: &'a SelectedField<'a>,
) -> Result<PreloadedVariantLists> {
    let columns = variant::select_variant_columns(&field.selection);
    let loader_key = |product: &Product| ProductVariantsKey { product_id: product.0.id, columns };
    let rows_by_key = context.load_many(products.clone().map(loader_key).collect::<Vec<_>>()).await?;
    let (mut variants, mut ranges) = (Vec::new(), HashMap::with_capacity(rows_by_key.len()));
    for product in products {
        let rows = rows_by_key.get(&loader_key(product)).into_iter().flat_map(|rows| rows.iter());
        let start = variants.len();
        variants.extend(rows.map(|row| Variant::with_product(Arc::clone(row), product.clone())));
        ranges.insert(product.0.id, start..variants.len());
    }
    let preloaded = match Variant::preload(&variants, context, &field.selection) {
        Some(load) => load.await?,
        None => variant::PreloadedVariants::default(),
    };
    Ok(PreloadedVariantLists { response_key: field.response_key.clone(), variants, ranges, preloaded })
}

impl BatchResolve for ProductEdge {
    /// One entry for each `node` field of the selection, by response key.
    type Preloaded = HashMap<async_graphql::Name, PreloadedProducts>;

    fn supports(field: &SelectedField<'_>) -> bool {
        field.name() != "node" || field.selection.all_fields(Product::supports)
    }

    fn preload<'a>(
        items: &'a [Self],
        context: &'a RequestContext,
        selection: &'a FieldSelection<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Preloaded>>> {
        let load = |field: &'a SelectedField<'a>| {
            let load = preload_products(items.iter().map(|edge| &edge.node.0), context, &field.selection)?;
            Some(async move { load.await.map(|preloaded| (field.response_key.clone(), preloaded)) })
        };
        let loads: Vec<_> = selection.fields_named("node").filter_map(load).collect();
        if loads.is_empty() {
            return None;
        }
        Some(Box::pin(async { Ok(try_join_all(loads).await?.into_iter().collect()) }))
    }

    fn render(
        &self,
        preloaded: &Self::Preloaded,
        field: &SelectedField<'_>,
        render_context: &RenderContext<'_>,
    ) -> Option<Value> {
        match (field.name(), preloaded.get(field.response_key)) {
            ("cursor", _) => Some(string_value(&self.cursor)),
            ("node", Some(preloaded)) => render_context.render_object(&self.node.0, preloaded, &field.selection),
            ("node", None) => {
                render_context.render_object(&self.node.0, &PreloadedProducts::default(), &field.selection)
            }
            _ => None,
        }
    }
}
