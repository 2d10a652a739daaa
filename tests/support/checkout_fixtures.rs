//! Checkout fixtures: carts, products, shipping methods and tax.

use savannah::{
    base::{GlobalId, Patch, global_id::NodeType},
    pricing,
};
use serde_json::{Value, json};

use super::{GraphqlResponse, TestApp, simple_product};

/// Selected fields of a cart.
const CART_FIELDS: &str = "id status version itemCount note email phone
    lines { id variantId sku quantity cost { unitPrice { amount } } unitPriceWhenAdded { amount } }
    problems { code blocking lineId variantId available priceBefore { amount } priceNow { amount } message }";
/// Selected fields of a cart's totals.
const CART_TOTAL_FIELDS: &str =
    "cost { subtotal { amount } listSubtotal { amount } discount { amount } shipping { amount } tax { amount }
    taxIncluded { amount } total { amount currency } }";

impl TestApp {
    /// Seeds the development defaults: two shipping methods and Kenyan tax.
    pub async fn seed_shipping_and_tax(&self) {
        let currency = self.http_app.state.config.shop.currency;
        let seeded = self.db.write(async |tx| pricing::seed_default_rates(tx, currency).await).await;
        assert!(seeded.unwrap_or_else(|error| panic!("rates not seeded: {}", error.log_message())));
    }

    /// Creates a simple product with this stock. Returns the variant's id.
    pub async fn create_product(&self, slug: &str, price: i64, stock: Option<i64>) -> String {
        let mut product_input = simple_product(slug, slug, price);
        product_input.variants[0].on_hand = Patch::from_provided(stock);
        self.save_products(&[product_input]).await;
        self.query_variant_id(&slug.to_uppercase()).await
    }

    /// Returns the id of a variant by SKU.
    pub async fn query_variant_id(&self, sku: &str) -> String {
        let key = self.query_scalar(&format!("SELECT id FROM variant WHERE sku = '{sku}'")).await;
        GlobalId::new(NodeType::Variant, key).encode()
    }

    /// Sends a GraphQL query, with a token if given.
    pub async fn query_maybe_as(&self, token: Option<&str>, query: &str, variables: Value) -> GraphqlResponse {
        match token {
            Some(token) => self.query_as(token, query, variables).await,
            None => self.query_with_variables(query, variables).await,
        }
    }

    /// Creates a cart with variants and quantities. Returns its id.
    pub async fn create_cart(&self, token: Option<&str>, lines: &[(&str, i64)]) -> String {
        let query =
            "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } userErrors { code } } }";
        let created = self.query_maybe_as(token, query, json!({ "input": { "lines": line_inputs(lines) } })).await;
        assert_eq!(created.user_errors("cartCreate"), [], "{}", created.body);
        created.data_at("/cartCreate/cart/id").as_str().expect("an id").to_owned()
    }

    /// Sends a mutation of cart lines: `cartLinesAdd`, or `cartLinesUpdate` of the lines of the variants.
    pub async fn mutate_cart_lines(
        &self,
        token: Option<&str>,
        mutation: &str,
        id: &str,
        lines: &[(&str, i64)],
    ) -> GraphqlResponse {
        let (input, inputs) = if mutation == "cartLinesUpdate" {
            let mut updates = Vec::new();
            for (variant, quantity) in lines {
                updates.push(json!({ "id": self.query_line_id(id, variant).await, "quantity": quantity }));
            }
            ("CartLineUpdateInput", Value::Array(updates))
        } else {
            ("LineInput", line_inputs(lines))
        };
        let query = format!(
            "mutation($id: ID!, $lines: [{input}!]!) {{ {mutation}(id: $id, lines: $lines) {{
            cart {{ {CART_FIELDS} }} userErrors {{ code field message }} }} }}"
        );
        self.query_maybe_as(token, &query, json!({ "id": id, "lines": inputs })).await
    }

    /// Returns the id of the first line of a variant in a cart; the id of no line if there is none.
    pub async fn query_line_id(&self, cart: &str, variant: &str) -> String {
        let variant = GlobalId::decode_as(variant, NodeType::Variant, "").unwrap_or_default();
        let sql = format!(
            "SELECT COALESCE(MIN(l.id), 999999) FROM cart_line AS l JOIN cart AS c ON c.id = l.cart_id
             WHERE c.token = '{cart}' AND l.variant_id = {variant}"
        );
        GlobalId::new(NodeType::CartLine, self.query_scalar(&sql).await).encode()
    }

    /// Returns a cart as visible to the caller; null if not visible.
    pub async fn query_cart(&self, token: Option<&str>, id: &str) -> Value {
        let query = format!("query($id: ID!) {{ cart(id: $id) {{ {CART_FIELDS} {CART_TOTAL_FIELDS} }} }}");
        self.query_maybe_as(token, &query, json!({ "id": id })).await.data_at("/cart").clone()
    }
}

/// Returns line inputs as JSON.
pub fn line_inputs(lines: &[(&str, i64)]) -> Value {
    lines.iter().map(|(id, quantity)| json!({ "variantId": id, "quantity": quantity })).collect()
}

/// Returns the SKUs and quantities of a cart, in order.
pub fn cart_line_quantities(cart: &Value) -> Vec<(String, i64)> {
    let lines = cart["lines"].as_array().unwrap_or_else(|| panic!("no lines in {cart}"));
    let line =
        |line: &Value| (line["sku"].as_str().expect("a sku").to_owned(), line["quantity"].as_i64().expect("count"));
    lines.iter().map(line).collect()
}
