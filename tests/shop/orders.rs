//! Orders, and what must hold of them whatever has happened.

use serde_json::{Value, json};

use super::{Answer, Shop, wishes};

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
        for (what, sql) in WRONGS {
            assert_eq!(self.number(&format!("SELECT count(*) FROM {sql}")).await, 0, "{what}");
        }
    }
}

/// What must never be, as what is counted of it.
const WRONGS: [(&str, &str); 11] = [
    ("stock below zero, or promised beyond it", "inventory WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand"),
    (
        "stock that is not what the ledger says",
        "inventory AS i WHERE i.on_hand <> COALESCE((SELECT SUM(delta) FROM stock_movement AS m \
         WHERE m.variant_id = i.variant_id AND m.location_id = i.location_id), 0)",
    ),
    (
        "promises that are not what is reserved",
        "inventory AS i WHERE i.reserved <> COALESCE((SELECT SUM(quantity) FROM stock_hold AS h \
         WHERE h.variant_id = i.variant_id AND h.location_id = i.location_id), 0)",
    ),
    (
        "promises to orders that have ended, or to what was sent",
        "stock_hold AS h JOIN order_line AS l ON l.id = h.order_line_id JOIN customer_order AS o ON o.id = l.order_id \
         WHERE o.status IN ('cancelled', 'refunded', 'shipped', 'delivered') \
         OR h.quantity > l.quantity - l.fulfilled - l.cancelled",
    ),
    (
        "orders that are kept nothing for",
        "order_line AS l JOIN customer_order AS o ON o.id = l.order_id JOIN variant AS v ON v.id = l.variant_id \
         WHERE l.tracked AND NOT v.backorder AND o.status IN ('pending', 'confirmed', 'processing') \
         AND l.quantity - l.fulfilled - l.cancelled <> \
         COALESCE((SELECT SUM(quantity) FROM stock_hold AS h WHERE h.order_line_id = l.id), 0)",
    ),
    (
        "units sold that are not units sent",
        "customer_order AS o WHERE (SELECT COALESCE(SUM(l.fulfilled), 0) FROM order_line AS l \
         WHERE l.order_id = o.id AND l.tracked) <> (SELECT COALESCE(-SUM(m.delta), 0) FROM stock_movement AS m \
         WHERE m.reason = 'sold' AND m.reference = 'order ' || o.number)",
    ),
    (
        "orders whose status is not the last of their history",
        "customer_order AS o WHERE o.status <> COALESCE((SELECT e.to_status FROM order_entry AS e \
         WHERE e.order_id = o.id AND e.kind = 'status' ORDER BY e.id DESC LIMIT 1), 'pending')",
    ),
    (
        "changes of status that nobody was told of",
        "customer_order AS o WHERE (SELECT count(*) FROM order_entry AS e WHERE e.order_id = o.id AND e.kind = 'status') <> \
         (SELECT count(*) FROM outbox AS b WHERE b.kind = 'OrderStatusChanged' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "orders that nobody was told of",
        "customer_order AS o WHERE 1 <> (SELECT count(*) FROM outbox AS b \
         WHERE b.kind = 'OrderPlaced' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "payments that are not what their ledger says",
        "payment AS p WHERE p.captured <> COALESCE((SELECT SUM(amount) FROM payment_entry AS e \
         WHERE e.payment_id = p.id AND e.kind = 'capture'), 0) OR p.refunded <> COALESCE((SELECT SUM(amount) \
         FROM payment_entry AS e WHERE e.payment_id = p.id AND e.kind = 'refund'), 0)",
    ),
    (
        "carts that were ordered, and yet not",
        "cart AS c LEFT JOIN customer_order AS o ON o.id = c.order_id \
         WHERE (c.state = 'ordered') <> (o.id IS NOT NULL) OR (o.id IS NOT NULL AND o.cart_id <> c.id)",
    ),
];

fn lay(over: &mut Value, said: Value) {
    if let (Value::Object(over), Value::Object(said)) = (over, said) {
        over.extend(said);
    }
}
