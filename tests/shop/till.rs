//! Carts, and what is needed to buy from a shop.

use savannah::{
    base::{GlobalId, id::Kind},
    pricing,
};
use serde_json::{Value, json};

use super::{Answer, Shop, simple};

/// What stories look at of a cart.
const CART: &str = "id state version itemCount note email phone
    lines { variantId sku quantity unitPrice unitPriceWhenAdded }
    problems { code variantId left priceBefore priceNow message }";
/// What stories look at of what a cart comes to.
pub const TOTALS: &str = "subtotal discount shipping tax taxIncluded total currency";

impl Shop {
    /// Gives the shop what a development shop has: two ways of shipping, and Kenya's tax.
    pub async fn fit_out(&self) {
        let currency = self.app.shared.config.shop.currency;
        let fitted = self.db.write(async |tx| pricing::fit_out(tx, currency).await).await;
        assert!(fitted.unwrap_or_else(|why| panic!("not fitted out: {}", why.log())));
    }

    /// Shelves a simple product with so many of it; its variant's id.
    pub async fn good(&self, slug: &str, price: i64, stock: Option<i64>) -> String {
        let mut draft = simple(slug, slug, price);
        draft.variants[0].stock = stock;
        self.shelve(&[draft]).await;
        self.variant_id(&slug.to_uppercase()).await
    }

    /// The id of a variant by its sku.
    pub async fn variant_id(&self, sku: &str) -> String {
        let key = self.number(&format!("SELECT id FROM variant WHERE sku = '{sku}'")).await;
        GlobalId::new(Kind::Variant, key).encode()
    }

    /// Asks with a token, or without one.
    pub async fn ask_maybe(&self, token: Option<&str>, query: &str, variables: Value) -> Answer {
        match token {
            Some(token) => self.ask_as(token, query, variables).await,
            None => self.ask_with(query, variables).await,
        }
    }

    /// Begins a cart with these in it: variants and quantities. Its id.
    pub async fn cart(&self, token: Option<&str>, lines: &[(&str, i64)]) -> String {
        let query =
            "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } userErrors { code } } }";
        let made = self.ask_maybe(token, query, json!({ "input": { "lines": wishes(lines) } })).await;
        assert_eq!(made.problems("cartCreate"), [], "{}", made.body);
        made.at("/cartCreate/cart/id").as_str().expect("an id").to_owned()
    }

    /// Sends one of the mutations of lines: `cartLinesAdd` or `cartLinesUpdate`.
    pub async fn cart_lines(&self, token: Option<&str>, mutation: &str, id: &str, lines: &[(&str, i64)]) -> Answer {
        let query = format!(
            "mutation($id: ID!, $lines: [CartLineInput!]!) {{ {mutation}(id: $id, lines: $lines) {{
            cart {{ {CART} }} userErrors {{ code field message }} }} }}"
        );
        self.ask_maybe(token, &query, json!({ "id": id, "lines": wishes(lines) })).await
    }

    /// A cart as somebody sees it; null when they do not.
    pub async fn see_cart(&self, token: Option<&str>, id: &str) -> Value {
        let query = format!("query($id: ID!) {{ cart(id: $id) {{ {CART} {TOTALS} }} }}");
        self.ask_maybe(token, &query, json!({ "id": id })).await.at("/cart").clone()
    }
}

/// Lines as they travel.
pub fn wishes(lines: &[(&str, i64)]) -> Value {
    lines.iter().map(|(id, quantity)| json!({ "variantId": id, "quantity": quantity })).collect()
}

/// What is in a cart: skus and quantities, in order.
pub fn held(cart: &Value) -> Vec<(String, i64)> {
    let lines = cart["lines"].as_array().unwrap_or_else(|| panic!("no lines in {cart}"));
    let line =
        |line: &Value| (line["sku"].as_str().expect("a sku").to_owned(), line["quantity"].as_i64().expect("many"));
    lines.iter().map(line).collect()
}
