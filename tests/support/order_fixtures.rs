//! Order fixtures: placement and order mutations.

use serde_json::{Value, json};

use super::{GraphqlResponse, TestApp, assert_invariants, line_inputs};

/// Selected fields of an order.
pub const ORDER_FIELDS: &str =
    "id number token status paymentStatus fulfillmentStatus version email phone expiresAt
    cost { total { amount } } lines { id sku name quantity cost { unitPrice { amount } total { amount } } quantityFulfilled quantityUnfulfilled quantityRefunded }
    payments { status amount { amount } capturedAmount { amount } refundedAmount { amount } action { __typename ... on RedirectAction { url } } declineCode error }
    refunds { amount { amount } status }
    history { type fromStatus toStatus actor note }";

/// Returns a valid shipping address.
pub fn shipping_address() -> Value {
    json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "KE" } })
}

impl TestApp {
    /// Creates an order without a cart; `overrides` replace fields of the default input.
    pub async fn create_order(
        &self,
        token: Option<&str>,
        key: &str,
        items: &[(&str, i64)],
        overrides: Value,
    ) -> GraphqlResponse {
        let query = format!(
            "mutation($input: OrderCreateInput!) {{ orderCreate(input: $input) {{ order {{ {ORDER_FIELDS} }}
            attempt {{ __typename }} userErrors {{ code field message }} }} }}"
        );
        let mut input = json!({ "lines": line_inputs(items), "paymentMethodId": "cash_on_delivery", "idempotencyKey": key, "email": "wanjiku@example.com",
            "shippingAddress": shipping_address() });
        merge_fields(&mut input, overrides);
        self.query_maybe_as(token, &query, json!({ "input": input })).await
    }

    /// Completes the checkout of a cart; `overrides` replace fields of the default input.
    pub async fn complete_checkout(
        &self,
        token: Option<&str>,
        key: &str,
        cart: &str,
        overrides: Value,
    ) -> GraphqlResponse {
        let query = format!(
            "mutation($input: CheckoutCompleteInput!) {{ checkoutComplete(input: $input) {{ order {{ {ORDER_FIELDS} }}
            attempt {{ __typename }} userErrors {{ code field message }} }} }}"
        );
        let total = self.query_cart(token, cart).await["cost"]["total"]["amount"].clone();
        let mut input = json!({ "cartId": cart, "paymentMethodId": "cash_on_delivery", "idempotencyKey": key, "email": "wanjiku@example.com",
            "shippingAddress": shipping_address(), "expectedTotal": total });
        merge_fields(&mut input, overrides);
        self.query_maybe_as(token, &query, json!({ "input": input })).await
    }

    /// Sends an order mutation: `orderConfirm`, or `orderFulfill` with an input.
    pub async fn run_order_mutation(
        &self,
        token: &str,
        mutation: &str,
        id: &str,
        input: Option<(&str, Value)>,
    ) -> GraphqlResponse {
        let (declaration, arguments) =
            input.as_ref().map_or((String::new(), ""), |(kind, _)| (format!(", $input: {kind}"), ", input: $input"));
        let query = format!(
            "mutation($id: ID!{declaration}) {{ {mutation}(id: $id{arguments}) {{ order {{ {ORDER_FIELDS} }}
            userErrors {{ code field message }} }} }}"
        );
        let input = input.map_or(Value::Null, |(_, input)| input);
        self.query_as(token, &query, json!({ "id": id, "input": input })).await
    }

    /// Asserts that stock, orders and payments are consistent.
    pub async fn assert_invariants(&self) {
        assert_invariants(&self.db).await;
    }
}

fn merge_fields(target: &mut Value, overrides: Value) {
    if let (Value::Object(target), Value::Object(overrides)) = (target, overrides) {
        target.extend(overrides);
    }
}
