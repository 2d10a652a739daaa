//! The shapes of the answers, as GraphQL gives them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

/// The whole answer.
#[derive(Serialize)]
pub struct Answer<T> {
    pub data: T,
}

/// `products { nodes }`
#[derive(Serialize)]
pub struct Products<'a> {
    pub products: Nodes<'a>,
}

#[derive(Serialize)]
pub struct Nodes<'a> {
    pub nodes: Vec<Product<'a>>,
}

/// `product`
#[derive(Serialize)]
pub struct One<'a> {
    pub product: Option<Product<'a>>,
}

/// `categories`
#[derive(Serialize)]
pub struct Categories<'a> {
    pub categories: Vec<Branch<'a>>,
}

#[derive(Serialize)]
pub struct Product<'a> {
    pub id: String,
    pub name: &'a str,
    pub sku: &'a str,
    pub price: String,
    pub category: Category<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<Variant<'a>>>,
}

#[derive(Serialize)]
pub struct Category<'a> {
    pub id: String,
    pub name: &'a str,
    pub slug: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestors: Option<Vec<Self>>,
}

#[derive(Serialize)]
pub struct Variant<'a> {
    pub id: String,
    pub sku: &'a str,
    pub price: String,
}

#[derive(Serialize)]
pub struct Branch<'a> {
    pub id: String,
    pub name: &'a str,
    pub slug: &'a str,
    #[serde(rename = "productCount")]
    pub product_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<Self>>,
}

/// An opaque id.
pub fn id(kind: &str, key: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}:{key}"))
}

/// The key in the id of a thing of this kind.
pub fn key_of(id: &str, kind: &str) -> Option<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix(kind)?.strip_prefix(':')?.parse().ok()
}

/// Cents as shillings.
pub fn price(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// The answer's bytes.
pub fn write<T: Serialize>(data: T) -> sqlx::Result<Vec<u8>> {
    serde_json::to_vec(&Answer { data }).map_err(|why| sqlx::Error::Encode(Box::new(why)))
}
