//! Products the short way, and those of a page with their cursors.

use std::{collections::HashMap, ops::Range, sync::Arc};

use async_graphql::{ScalarType, Value, resolver_utils::enum_value};
use futures_util::future::{BoxFuture, try_join_all};

use super::{
    super::{
        category::Category,
        connection::ProductEdge,
        context::Scope,
        int,
        loader::{DescriptionOf, ImagesOf, OptionsOf, ProductStock, TagsOf, VariantsOf},
        product::{Product, ProductStatus, shown},
        variant::Variant,
    },
    Asked, AtHand, One, Way, category, maybe, text, variant,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    catalog::{
        columns::ProductColumns,
        loader::{Choices, Description, Image},
    },
    inventory::Stock,
};

/// What products need beside their rows.
#[derive(Debug, Default)]
pub struct Beside {
    texts: HashMap<DescriptionOf, Arc<[Description]>>,
    tags: HashMap<TagsOf, Arc<[String]>>,
    images: HashMap<ImagesOf, Arc<[Image]>>,
    options: HashMap<OptionsOf, Arc<[Choices]>>,
    stock: HashMap<ProductStock, Stock>,
    category: <Category as AtHand>::Beside,
    /// One for each time that they are asked for, in that order.
    variants: Vec<Variants>,
}

/// Variants of many products, and what they need beside their rows.
#[derive(Debug)]
struct Variants {
    key: async_graphql::Name,
    list: Vec<Variant>,
    of: HashMap<i64, Range<usize>>,
    beside: <Variant as AtHand>::Beside,
}

/// The columns that fields of a product are told from.
pub fn columns(asked: &Asked<'_>) -> ProductColumns {
    let none = ProductColumns::default();
    let of = |one: &One<'_>| match one.name() {
        "sku" => ProductColumns { sku: true, ..none },
        "name" => ProductColumns { name: true, ..none },
        "slug" => ProductColumns { slug: true, ..none },
        "vendor" => ProductColumns { vendor: true, ..none },
        "featured" => ProductColumns { featured: true, ..none },
        "category" => ProductColumns { category_id: true, ..none },
        "price" => ProductColumns { price: true, ..none },
        "salePrice" => ProductColumns { sale_price: true, ..none },
        "priceRange" => ProductColumns { price_now: true, price_max: true, ..none },
        "image" => ProductColumns { image: true, ..none },
        "version" => ProductColumns { version: true, ..none },
        "createdAt" => ProductColumns { created_at: true, ..none },
        "updatedAt" => ProductColumns { updated_at: true, ..none },
        // Their product is this one again.
        "variants" if one.below.any(&["product"]) => ProductColumns::ALL,
        "id" | "currency" | "description" | "descriptionHtml" | "tags" | "images" | "inStock" | "stockQuantity"
        | "options" | "variants" => none,
        _ => ProductColumns::ALL,
    };
    asked.fields().map(of).fold(ProductColumns { id: true, ..none }, ProductColumns::or)
}

impl AtHand for Product {
    type Beside = Beside;

    fn knows(one: &One<'_>) -> bool {
        match one.name() {
            "category" => one.below.all(Category::knows),
            "variants" => one.below.all(Variant::knows),
            _ => true,
        }
    }

    fn beside<'a>(
        things: &'a [Self],
        scope: &'a Scope,
        asked: &'a Asked<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Beside>>> {
        load(things.iter(), scope, asked)
    }

    fn value(&self, beside: &Beside, one: &One<'_>, way: &Way<'_>) -> Option<Value> {
        let row = &self.0;
        let amount = |minor| text(way.scope.amount(minor).to_string());
        let currency = || text(way.scope.shared.config.shop.currency.code());
        let texts = || beside.texts.get(&DescriptionOf(row.id)).and_then(|one| one.first()).filter(|one| one.says());
        let stock = || beside.stock.get(&ProductStock(row.id));
        Some(match one.name() {
            "id" => text(GlobalId::new(Kind::Product, row.id).encode()),
            "sku" => text(&row.sku),
            "name" => text(&row.name),
            "slug" => text(&row.slug),
            "description" => maybe(texts().map(|one| one.text.as_str())),
            "descriptionHtml" => maybe(texts().map(|one| one.html.as_str())),
            "vendor" => maybe(row.vendor.as_deref()),
            "tags" => Value::List(of(&beside.tags, &TagsOf(row.id)).iter().map(text).collect()),
            "status" => enum_value(ProductStatus::from(row.status)),
            "featured" => Value::from(row.featured),
            "category" => {
                let category = Category::find(&way.scope.tree(), row.category_id)?;
                way.object(&category, &beside.category, &one.below)?
            }
            "price" => amount(row.price),
            "salePrice" => row.sale_price.map_or(Value::Null, amount),
            "priceRange" => one.below.object("PriceRange", |part| match part.name() {
                "min" => Some(amount(row.price_now)),
                "max" => Some(amount(row.price_max)),
                "currency" => Some(currency()),
                _ => None,
            })?,
            "currency" => currency(),
            "image" => maybe(row.image.as_deref()),
            "images" => list(of(&beside.images, &ImagesOf(row.id)), "Image", one, |image, name| match name {
                "url" => Some(text(&image.url)),
                "alt" => Some(maybe(image.alt.as_deref())),
                _ => None,
            })?,
            "inStock" => Value::from(stock().is_some_and(|stock| stock.buyable)),
            "stockQuantity" => Value::from(stock().map_or(0, |stock| int(stock.available))),
            "options" => {
                list(of(&beside.options, &OptionsOf(row.id)), "ProductOption", one, |option, name| match name {
                    "name" => Some(text(&option.name)),
                    "values" => Some(Value::List(option.values.iter().map(text).collect())),
                    _ => None,
                })?
            }
            "variants" => {
                let variants = beside.variants.iter().find(|variants| variants.key == *one.key)?;
                let range = variants.of.get(&row.id).cloned().unwrap_or_default();
                let first = shown(way.argument(one, "first")?).ok()?;
                way.list(variants.list[range].iter().take(first), &variants.beside, one)?
            }
            "version" => Value::from(row.version),
            "createdAt" => row.created_at.to_value(),
            "updatedAt" => row.updated_at.to_value(),
            _ => return None,
        })
    }
}

/// A list that belongs to a thing; empty where there is none.
fn of<'a, K: Eq + std::hash::Hash, T>(lists: &'a HashMap<K, Arc<[T]>>, key: &K) -> &'a [T] {
    lists.get(key).map_or(&[], |list| list)
}

/// A list of small objects that hold nothing but texts.
fn list<T>(things: &[T], name: &str, one: &One<'_>, value: impl Fn(&T, &str) -> Option<Value>) -> Option<Value> {
    let tell = |thing| one.below.object(name, |part| value(thing, part.name()));
    things.iter().map(tell).collect::<Option<_>>().map(Value::List)
}

/// Loads what is asked of products; `None` where that is nothing.
fn load<'a>(
    things: impl Iterator<Item = &'a Product> + Clone + Send + Sync + 'a,
    scope: &'a Scope,
    asked: &'a Asked<'a>,
) -> Option<BoxFuture<'a, Result<Beside>>> {
    let texts = asked.any(&["description", "descriptionHtml"]);
    let (tags, images, options) = (asked.any(&["tags"]), asked.any(&["images"]), asked.any(&["options"]));
    let stock = asked.any(&["inStock", "stockQuantity"]);
    let counted = asked.named("category").any(|one| one.below.deep(&["productCount", "description"]));
    let variants = asked.any(&["variants"]);
    if !(texts || tags || images || options || stock || counted || variants) {
        return None;
    }
    Some(Box::pin(async move {
        let keys = |wanted: bool| things.clone().filter(move |_| wanted).map(|one| one.0.id);
        let (texts, tags, images, options, stock, category, variants) = futures_util::try_join!(
            scope.load_many(keys(texts).map(DescriptionOf)),
            scope.load_many(keys(tags).map(TagsOf)),
            scope.load_many(keys(images).map(ImagesOf)),
            scope.load_many(keys(options).map(OptionsOf)),
            scope.load_many(keys(stock).map(ProductStock)),
            categories_of(things.clone(), scope, asked.named("category").filter(|_| counted)),
            try_join_all(asked.named("variants").map(|one| variants_of(things.clone(), scope, one))),
        )?;
        Ok(Beside { texts, tags, images, options, stock, category, variants })
    }))
}

/// What the categories of products need.
async fn categories_of<'a>(
    things: impl Iterator<Item = &'a Product>,
    scope: &'a Scope,
    asked: impl Iterator<Item = &'a One<'a>>,
) -> Result<<Category as AtHand>::Beside> {
    let list: Vec<_> = things.filter_map(|thing| Category::find(&scope.tree(), thing.0.category_id)).collect();
    let loads = asked.filter_map(|one| Category::beside(&list, scope, &one.below));
    Ok(try_join_all(loads).await?.into_iter().reduce(category::Beside::and).unwrap_or_default())
}

/// The variants of products as they are asked for once, and what those need.
async fn variants_of<'a>(
    things: impl Iterator<Item = &'a Product> + Clone,
    scope: &'a Scope,
    one: &'a One<'a>,
) -> Result<Variants> {
    let columns = variant::columns(&one.below);
    let key = |thing: &Product| VariantsOf { product: thing.0.id, columns };
    let found = scope.load_many(things.clone().map(key).collect::<Vec<_>>()).await?;
    let (mut list, mut of) = (Vec::new(), HashMap::with_capacity(found.len()));
    for thing in things {
        let rows = found.get(&key(thing)).into_iter().flat_map(|rows| rows.iter());
        let start = list.len();
        list.extend(rows.map(|row| Variant::of(Arc::clone(row), thing.clone())));
        of.insert(thing.0.id, start..list.len());
    }
    let beside = match Variant::beside(&list, scope, &one.below) {
        Some(load) => load.await?,
        None => variant::Beside::default(),
    };
    Ok(Variants { key: one.key.clone(), list, of, beside })
}

impl AtHand for ProductEdge {
    /// One for each time that the product is asked for, by the name it has in the answer.
    type Beside = HashMap<async_graphql::Name, Beside>;

    fn knows(one: &One<'_>) -> bool {
        one.name() != "node" || one.below.all(Product::knows)
    }

    fn beside<'a>(
        things: &'a [Self],
        scope: &'a Scope,
        asked: &'a Asked<'a>,
    ) -> Option<BoxFuture<'a, Result<Self::Beside>>> {
        let load = |one: &'a One<'a>| {
            let load = load(things.iter().map(|edge| &edge.node.0), scope, &one.below)?;
            Some(async move { load.await.map(|beside| (one.key.clone(), beside)) })
        };
        let loads: Vec<_> = asked.named("node").filter_map(load).collect();
        if loads.is_empty() {
            return None;
        }
        Some(Box::pin(async { Ok(try_join_all(loads).await?.into_iter().collect()) }))
    }

    fn value(&self, beside: &Self::Beside, one: &One<'_>, way: &Way<'_>) -> Option<Value> {
        match (one.name(), beside.get(one.key)) {
            ("cursor", _) => Some(text(&self.cursor)),
            ("node", Some(beside)) => way.object(&self.node.0, beside, &one.below),
            ("node", None) => way.object(&self.node.0, &Beside::default(), &one.below),
            _ => None,
        }
    }
}
