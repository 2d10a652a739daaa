//! The GraphQL response types.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

/// The response envelope.
#[derive(Serialize)]
pub struct BaselineResponse<T> {
    pub data: T,
}

/// The data of `products { nodes }`.
#[derive(Serialize)]
pub struct ProductsData<'a> {
    pub products: ProductNodes<'a>,
}

#[derive(Serialize)]
pub struct ProductNodes<'a> {
    pub nodes: Vec<Product<'a>>,
}

/// The data of `product`.
#[derive(Serialize)]
pub struct ProductData<'a> {
    pub product: Option<Product<'a>>,
}

/// The data of `categories`.
#[derive(Serialize)]
pub struct CategoriesData<'a> {
    pub categories: Vec<CategoryBranch<'a>>,
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
pub struct CategoryBranch<'a> {
    pub id: String,
    pub name: &'a str,
    pub slug: &'a str,
    #[serde(rename = "productCount")]
    pub product_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<Self>>,
}

/// Encodes a global id.
pub fn encode_global_id(kind: &str, key: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}:{key}"))
}

/// Decodes the primary key from a global id of this kind.
pub fn decode_global_id(id: &str, kind: &str) -> Option<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix(kind)?.strip_prefix(':')?.parse().ok()
}

/// Formats minor units as a decimal amount.
pub fn format_price(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// Serializes the response.
pub fn serialize_response<T: Serialize>(data: T) -> sqlx::Result<Vec<u8>> {
    serde_json::to_vec(&BaselineResponse { data }).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
