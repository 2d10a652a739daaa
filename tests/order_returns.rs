//! Units of orders that are canceled, come back, or are refunded: by line, before and after the money was captured.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    paying::{agree, by_bank, now, stands},
    shop::{Answer, Backend, Bank, Says, Shop},
    stories,
};

stories![
    refund_of_returned_units_leaves_unshipped_units_to_ship,
    refund_restock_without_shipped_units_is_rejected,
    refund_of_shipping_twice_is_rejected,
    refund_of_lines_in_parts_adds_up_to_the_total,
    refund_of_lines_above_what_is_left_names_the_lines,
    refund_that_failed_is_retried_with_its_lines,
    refund_of_free_lines_cancels_them,
    cancel_of_unshipped_units_lowers_the_amount_due,
    cancel_of_a_returned_parcel_voids_and_restocks,
    cancel_of_units_by_a_buyer_is_forbidden,
];

/// An order of staff's making that is confirmed, and of which so many units are shipped.
struct Sale {
    shop: Shop,
    staff: String,
    made: Value,
}

impl Sale {
    async fn open(backend: Backend, items: &[(&str, i64, i64)], shipped: i64) -> Self {
        let shop = Shop::open(backend).await;
        Self::of(shop, items, (shipped, json!({}))).await
    }

    async fn of(shop: Shop, items: &[(&str, i64, i64)], (shipped, said): (i64, Value)) -> Self {
        let mut wants = Vec::new();
        for (slug, price, units) in items {
            wants.push((shop.good(slug, *price, Some(20)).await, *units));
        }
        let staff = shop.sign_in(Role::Staff).await;
        let wants: Vec<_> = wants.iter().map(|(variant, units)| (variant.as_str(), *units)).collect();
        let made = order(&shop.order(Some(&staff), "k", &wants, said).await, "orderCreate");
        let sale = Self { shop, staff, made };
        if sale.made["status"] == "PENDING" {
            sale.does("orderConfirm", None).await;
        }
        if shipped > 0 {
            let parcel = json!({ "idempotencyKey": "p", "lines": [{ "lineId": sale.line(0), "quantity": shipped }] });
            sale.does("orderFulfil", Some(("OrderFulfilInput!", parcel))).await;
        }
        sale
    }

    fn line(&self, at: usize) -> Value {
        self.made["lines"][at]["id"].clone()
    }

    async fn asks(&self, mutation: &str, input: Option<(&str, Value)>) -> Answer {
        self.shop.step(&self.staff, mutation, id(&self.made), input).await
    }

    async fn does(&self, mutation: &str, input: Option<(&str, Value)>) -> Value {
        order(&self.asks(mutation, input).await, mutation)
    }

    async fn refunds(&self, key: &str, mut input: Value) -> Answer {
        input["idempotencyKey"] = json!(key);
        self.asks("orderRefund", Some(("OrderRefundInput!", input))).await
    }

    async fn cancels(&self, input: Value) -> Answer {
        self.asks("orderCancel", Some(("OrderCancelInput", input))).await
    }

    /// On hand and reserved of a variant.
    async fn stock(&self, sku: &str) -> (i64, i64) {
        let of = |column: &str| {
            format!(
                "SELECT {column} FROM inventory AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = '{sku}'"
            )
        };
        (self.shop.number(&of("on_hand")).await, self.shop.number(&of("reserved")).await)
    }

    async fn ends(&self) {
        self.shop.add_up().await;
        self.shop.settle().await;
    }
}

async fn refund_of_returned_units_leaves_unshipped_units_to_ship(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 3)], 1).await;
    sale.does("orderCapture", None).await;
    assert_eq!(sale.stock("MUG").await, (19, 2));
    let lines = json!([{ "lineId": sale.line(0), "quantityFulfilled": 1, "restock": true }]);
    let back = order(&sale.refunds("r", json!({ "lines": lines })).await, "orderRefund");
    assert_eq!(back["refunds"], json!([{ "amount": "100.00", "status": "DONE" }]));
    assert_eq!((&back["status"], &back["lines"][0]["quantityUnfulfilled"]), (&json!("PROCESSING"), &json!(2)));
    assert_eq!(sale.stock("MUG").await, (20, 2), "the returned unit is in stock, the others stay reserved");
    let too_many = json!([{ "lineId": sale.line(0), "quantityFulfilled": 1 }]);
    let wrong = sale.refunds("r2", json!({ "lines": too_many })).await;
    assert_eq!(wrong.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.lines.0.quantityFulfilled")]));
    // The buyer gets the two that they still pay for.
    let sent = sale.does("orderFulfil", Some(("OrderFulfilInput!", json!({ "idempotencyKey": "p2" })))).await;
    assert_eq!((&sent["status"], &sent["lines"][0]["quantityFulfilled"]), (&json!("SHIPPED"), &json!(3)));
    sale.ends().await;
}

async fn refund_restock_without_shipped_units_is_rejected(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 3)], 1).await;
    sale.does("orderCapture", None).await;
    let line = |input: Value| {
        let mut line = json!({ "lineId": sale.line(0) });
        line.as_object_mut().expect("an object").extend(input.as_object().expect("an object").clone());
        json!({ "lines": [line] })
    };
    for (input, field) in [
        (json!({ "quantityUnfulfilled": 1, "restock": true }), "restock"),
        (json!({ "quantityUnfulfilled": 3 }), "quantityUnfulfilled"),
        (json!({ "quantityFulfilled": -1, "quantityUnfulfilled": 2 }), "quantityFulfilled"),
        (json!({}), "quantityFulfilled"),
    ] {
        let wrong = sale.refunds("r", line(input)).await;
        let field = format!("input.lines.0.{field}");
        assert_eq!(wrong.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", field.as_str())]));
    }
    sale.ends().await;
}

async fn refund_of_shipping_twice_is_rejected(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let way = shop.number("SELECT id FROM shipping_method WHERE name = 'Standard'").await;
    let way = savannah::base::GlobalId::new(savannah::base::id::Kind::ShippingMethod, way).encode();
    let sale = Sale::of(shop, &[("mug", 1160, 2)], (0, json!({ "shippingMethodId": way }))).await;
    sale.does("orderCapture", None).await;
    let unit = |shipping: bool| json!({ "lines": [{ "lineId": sale.line(0), "quantityUnfulfilled": 1 }], "shipping": shipping });
    let back = order(&sale.refunds("r1", unit(true)).await, "orderRefund");
    assert_eq!(back["refunds"][0]["amount"], "1510.00", "{back}");
    let again = sale.refunds("r2", unit(true)).await;
    assert_eq!(again.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.shipping")]));
    let both = sale.refunds("r2", json!({ "amount": "5.00", "shipping": true })).await;
    assert_eq!(both.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.shipping")]));
    let copy = "INSERT INTO refund (order_id, payment_id, amount, shipping, status, created_at, updated_at) \
        SELECT order_id, payment_id, 5, 5, 'pending', created_at, updated_at FROM refund";
    assert!(sale.shop.sql(copy).await.is_err(), "the database refuses shipping twice as well");
    let all = order(&sale.refunds("r3", unit(false)).await, "orderRefund");
    assert_eq!(stands(&all), ("REFUNDED", "REFUNDED"));
    sale.ends().await;
}

async fn refund_of_lines_in_parts_adds_up_to_the_total(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 7)], 3).await;
    // A discount that no unit's share divides evenly.
    for sql in [
        "UPDATE order_line SET discount = 5, total = total - 5",
        "UPDATE customer_order SET discount = 5, total = total - 5",
        "UPDATE payment SET amount = amount - 5",
    ] {
        sale.shop.sql(sql).await.expect("a discount");
    }
    sale.does("orderCapture", None).await;
    for (key, shipped, unshipped) in [("a", 1, 0), ("b", 0, 3), ("c", 2, 1)] {
        let line = json!({ "lineId": sale.line(0), "quantityFulfilled": shipped, "quantityUnfulfilled": unshipped });
        order(&sale.refunds(key, json!({ "lines": [line] })).await, "orderRefund");
    }
    assert_eq!(sale.shop.number("SELECT SUM(amount) FROM refund").await, 69_995);
    let first = sale.shop.number("SELECT amount FROM refund ORDER BY id LIMIT 1").await;
    let last = sale.shop.number("SELECT amount FROM refund ORDER BY id DESC LIMIT 1").await;
    assert_ne!(first * 3, last, "three units of the end carry what the first have left over");
    sale.ends().await;
}

async fn refund_of_lines_above_what_is_left_names_the_lines(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 30, 1)], 0).await;
    sale.does("orderCapture", None).await;
    order(&sale.refunds("r1", json!({ "amount": "5.00" })).await, "orderRefund");
    let lines = json!({ "lines": [{ "lineId": sale.line(0), "quantityUnfulfilled": 1 }] });
    let wrong = sale.refunds("r2", lines).await;
    assert_eq!(wrong.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.lines")]));
    let message = wrong.at("/orderRefund/userErrors/0/message");
    assert_eq!(message, "at most 25.00 KES can be refunded; this comes to 30.00");
    let wrong = sale.refunds("r2", json!({ "amount": "25.01" })).await;
    assert_eq!(wrong.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.amount")]));
    sale.ends().await;
}

async fn refund_that_failed_is_retried_with_its_lines(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Done).await;
    let sale = Sale::of(shop, &[("mug", 100, 2)], (0, by_bank())).await;
    bank.gives_back(Says::Refused);
    let lines = json!({ "lines": [{ "lineId": sale.line(0), "quantityUnfulfilled": 1 }] });
    let told = order(&sale.refunds("r", lines).await, "orderRefund");
    assert_eq!(told["refunds"], json!([{ "amount": "100.00", "status": "FAILED" }]));
    let key = sale.shop.number("SELECT id FROM refund").await;
    let refund = savannah::base::GlobalId::new(savannah::base::id::Kind::Refund, key).encode();
    let retry = async || {
        let query =
            "mutation($id: ID!) { refundRetry(id: $id) { order { status paymentStatus lines { quantityRefunded }
            refunds { amount status } } userErrors { code field } } }";
        sale.shop.ask_as(&sale.staff, query, json!({ "id": refund })).await
    };
    assert_eq!(retry().await.at("/refundRetry/order/refunds/0/status"), "FAILED", "it is refused once more");
    bank.gives_back(Says::Done);
    let done = retry().await;
    let expected = json!({ "status": "CONFIRMED", "paymentStatus": "PARTIALLY_REFUNDED",
        "lines": [{ "quantityRefunded": 1 }], "refunds": [{ "amount": "100.00", "status": "DONE" }] });
    assert_eq!(done.at("/refundRetry/order"), &expected);
    assert_eq!(retry().await.problems("refundRetry"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let keys = bank.keys("refund");
    assert!(keys.len() == 3 && keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
    assert_eq!(bank.balance(), 10_000);
    agree(&sale.shop, &bank).await;
    sale.ends().await;
}

async fn refund_of_free_lines_cancels_them(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 2), ("sticker", 0, 3)], 1).await;
    let paid = sale.does("orderCapture", None).await;
    assert_eq!(paid["status"], "PROCESSING");
    let lines = json!({ "lines": [{ "lineId": sale.line(1), "quantityUnfulfilled": 3 }] });
    let told = order(&sale.refunds("r", lines).await, "orderRefund");
    assert_eq!(told["refunds"], json!([{ "amount": "0.00", "status": "DONE" }]));
    assert_eq!((stands(&told), sale.stock("STICKER").await), (("PROCESSING", "PAID"), (20, 0)));
    let nothing = sale.refunds("r2", json!({ "amount": "0.00" })).await;
    assert_eq!(nothing.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.amount")]));
    sale.ends().await;
}

async fn cancel_of_unshipped_units_lowers_the_amount_due(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 3), ("bowl", 50, 1)], 1).await;
    let one = |line: usize, quantity: i64| json!({ "lines": [{ "lineId": sale.line(line), "quantity": quantity }] });
    let wrong = sale.cancels(one(0, 3)).await;
    assert_eq!(wrong.problems("orderCancel"), pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")]));
    let less = order(&sale.cancels(one(0, 2)).await, "orderCancel");
    assert_eq!((stands(&less), &less["payments"][0]["amount"]), (("PROCESSING", "AUTHORISED"), &json!("150.00")));
    assert_eq!(sale.stock("MUG").await, (19, 0));
    // Nothing is left to be shipped: the order goes on.
    let rest = order(&sale.cancels(one(1, 1)).await, "orderCancel");
    assert_eq!((stands(&rest), &rest["payments"][0]["amount"]), (("SHIPPED", "AUTHORISED"), &json!("100.00")));
    let paid = sale.does("orderCapture", None).await;
    assert_eq!((stands(&paid), &paid["payments"][0]["capturedAmount"]), (("SHIPPED", "PAID"), &json!("100.00")));
    let late = sale.cancels(one(0, 1)).await;
    assert_eq!(late.problems("orderCancel")[0].0, "VALIDATION_ERROR");
    let done = sale.does("orderDeliver", None).await;
    assert_eq!(done["status"], "DELIVERED");
    let all = order(&sale.refunds("all", json!({})).await, "orderRefund");
    assert_eq!((stands(&all), &all["payments"][0]["refundedAmount"]), (("REFUNDED", "REFUNDED"), &json!("100.00")));
    sale.ends().await;
}

async fn cancel_of_a_returned_parcel_voids_and_restocks(backend: Backend) {
    let sale = Sale::open(backend, &[("mug", 100, 3), ("bowl", 50, 1)], 2).await;
    let early = sale.asks("orderCancel", None).await;
    assert_eq!(early.problems("orderCancel"), pairs(&[("ILLEGAL_TRANSITION", "id")]), "a parcel is on its way");
    let restock = |quantity: i64| json!({ "restock": [{ "lineId": sale.line(0), "quantity": quantity }] });
    let wrong = sale.cancels(restock(3)).await;
    assert_eq!(wrong.problems("orderCancel"), pairs(&[("VALIDATION_ERROR", "input.restock.0.quantity")]));
    // Two came back, one of them broken.
    let gone = order(&sale.cancels(restock(1)).await, "orderCancel");
    assert_eq!(stands(&gone), ("CANCELLED", "VOIDED"));
    assert_eq!((sale.stock("MUG").await, sale.stock("BOWL").await), ((19, 0), (20, 0)));
    let returned = "SELECT delta FROM stock_movement WHERE reason = 'returned'";
    assert_eq!(sale.shop.number(returned).await, 1);
    sale.ends().await;
    let sale = Sale::open(backend, &[("mug", 100, 1)], 1).await;
    sale.does("orderCapture", None).await;
    let paid = sale.cancels(json!({ "restock": [] })).await;
    assert_eq!(paid.problems("orderCancel"), pairs(&[("ILLEGAL_TRANSITION", "id")]), "what is paid is refunded");
    sale.ends().await;
}

async fn cancel_of_units_by_a_buyer_is_forbidden(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let buyer = shop.sign_in(Role::Customer).await;
    let made = order(&shop.order(Some(&buyer), "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    let lines = json!([{ "lineId": made["lines"][0]["id"], "quantity": 1 }]);
    for input in [json!({ "lines": lines }), json!({ "restock": [] })] {
        let answer = shop.step(&buyer, "orderCancel", id(&made), Some(("OrderCancelInput", input))).await;
        assert_eq!(answer.code(), "FORBIDDEN");
    }
    assert_eq!(now(&shop, &made).await["status"], "PENDING");
    shop.add_up().await;
}
