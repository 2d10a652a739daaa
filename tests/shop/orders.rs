//! Orders, placed and brought further.

use serde_json::{Value, json};

use super::{Answer, Shop, add_up, wishes};

/// What stories look at of an order.
pub const ORDER: &str = "id number token status paymentStatus fulfilmentStatus version email phone total expiresAt
    lines { id sku name quantity unitPrice total quantityFulfilled quantityUnfulfilled quantityRefunded }
    payments { status amount capturedAmount refundedAmount actionUrl } refunds { amount status }
    history { kind fromStatus toStatus actor note }";

/// An address that things can be sent to.
pub fn address() -> Value {
    json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "KE" } })
}

impl Shop {
    /// Orders variants without a cart; what is said besides goes over what is usual.
    pub async fn order(&self, token: Option<&str>, key: &str, items: &[(&str, i64)], said: Value) -> Answer {
        let query = format!(
            "mutation($input: OrderCreateInput!) {{ orderCreate(input: $input) {{ order {{ {ORDER} }}
            payment {{ status actionUrl }} userErrors {{ code field message }} }} }}"
        );
        let mut input = json!({ "items": wishes(items), "idempotencyKey": key, "email": "wanjiku@example.com",
            "shippingAddress": address() });
        lay(&mut input, said);
        self.ask_maybe(token, &query, json!({ "input": input })).await
    }

    /// Orders what is in a cart.
    pub async fn check_out(&self, token: Option<&str>, key: &str, cart: &str, said: Value) -> Answer {
        let query = format!(
            "mutation($input: CheckoutCompleteInput!) {{ checkoutComplete(input: $input) {{ order {{ {ORDER} }}
            payment {{ status actionUrl }} userErrors {{ code field message }} }} }}"
        );
        let total = self.see_cart(token, cart).await["total"].clone();
        let mut input = json!({ "cartId": cart, "idempotencyKey": key, "email": "wanjiku@example.com",
            "shippingAddress": address(), "expectedTotal": total });
        lay(&mut input, said);
        self.ask_maybe(token, &query, json!({ "input": input })).await
    }

    /// Takes a step with an order: `orderConfirm`, or `orderFulfil` with an input.
    pub async fn step(&self, token: &str, mutation: &str, id: &str, input: Option<(&str, Value)>) -> Answer {
        let (declared, passed) =
            input.as_ref().map_or((String::new(), ""), |(kind, _)| (format!(", $input: {kind}"), ", input: $input"));
        let query = format!(
            "mutation($id: ID!{declared}) {{ {mutation}(id: $id{passed}) {{ order {{ {ORDER} }}
            userErrors {{ code field message }} }} }}"
        );
        let input = input.map_or(Value::Null, |(_, input)| input);
        self.ask_as(token, &query, json!({ "id": id, "input": input })).await
    }

    /// Fails when anything about stock, orders and money does not add up.
    pub async fn add_up(&self) {
        add_up(&self.db).await;
    }
}

fn lay(over: &mut Value, said: Value) {
    if let (Value::Object(over), Value::Object(said)) = (over, said) {
        over.extend(said);
    }
}
