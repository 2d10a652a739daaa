//! Captures whose answer is lost, refused, or comes after the order has ended: the money is always accounted for.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    paying::{agree, by_bank, now, stands},
    shop::{Backend, Bank, Says, Shop, moment},
    stories,
};

stories![
    capture_whose_answer_is_lost_is_asked_again,
    capture_that_is_refused_can_be_asked_for_anew,
    void_that_is_refused_refunds_what_was_captured,
    void_refused_without_a_capture_asks_how_the_payment_stands,
    payment_that_comes_later_is_polled_until_it_expires,
];

async fn authorized(backend: Backend) -> (Shop, std::sync::Arc<Bank>, Value, String) {
    let (shop, bank) = Bank::shop(backend, Says::Authorised).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    assert_eq!(stands(&made), ("CONFIRMED", "AUTHORISED"));
    let staff = shop.sign_in(Role::Staff).await;
    (shop, bank, made, staff)
}

async fn capture_whose_answer_is_lost_is_asked_again(backend: Backend) {
    let (shop, bank, made, staff) = authorized(backend).await;
    bank.captures(Says::Unknown);
    let told = order(&shop.step(&staff, "orderCapture", id(&made), None).await, "orderCapture");
    assert_eq!((stands(&told), bank.balance()), (("CONFIRMED", "AUTHORISED"), 20_000), "taken there, not known here");
    let line = json!([{ "lineId": made["lines"][0]["id"], "quantity": 1 }]);
    let units = shop.step(&staff, "orderCancel", id(&made), Some(("OrderCancelInput", json!({ "lines": line })))).await;
    assert_eq!(units.problems("orderCancel"), pairs(&[("ILLEGAL_TRANSITION", "id")]), "its amount is being captured");
    bank.captures(Says::Done);
    shop.clock.set(moment("2026-11-01T09:00:31Z"));
    shop.settle().await;
    assert_eq!(stands(&now(&shop, &made).await), ("CONFIRMED", "PAID"));
    let keys = bank.keys("capture");
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn capture_that_is_refused_can_be_asked_for_anew(backend: Backend) {
    let (shop, bank, made, staff) = authorized(backend).await;
    bank.captures(Says::Refused);
    let refused = shop.step(&staff, "orderCapture", id(&made), None).await;
    assert_eq!(refused.problems("orderCapture"), pairs(&[("PAYMENT_FAILED", "id")]));
    shop.clock.set(moment("2026-11-01T09:00:31Z"));
    shop.settle().await;
    assert_eq!(bank.keys("capture").len(), 1, "nobody asks again by themselves");
    let line = json!([{ "lineId": made["lines"][0]["id"], "quantity": 1 }]);
    let less = shop.step(&staff, "orderCancel", id(&made), Some(("OrderCancelInput", json!({ "lines": line })))).await;
    assert_eq!(order(&less, "orderCancel")["payments"][0]["amount"], "100.00");
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn void_that_is_refused_refunds_what_was_captured(backend: Backend) {
    let (shop, bank, made, staff) = authorized(backend).await;
    bank.captures(Says::Unknown);
    order(&shop.step(&staff, "orderCapture", id(&made), None).await, "orderCapture");
    bank.voids(Says::Refused);
    let gone = order(&shop.step(&staff, "orderCancel", id(&made), None).await, "orderCancel");
    assert_eq!((stands(&gone), bank.balance()), (("CANCELLED", "VOIDED"), 20_000));
    bank.captures(Says::Done);
    shop.clock.set(moment("2026-11-01T09:00:31Z"));
    shop.settle().await;
    assert_eq!((stands(&now(&shop, &made).await), bank.balance()), (("CANCELLED", "REFUNDED"), 0));
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn void_refused_without_a_capture_asks_how_the_payment_stands(backend: Backend) {
    let (shop, bank, made, staff) = authorized(backend).await;
    // The bank has taken the money by itself.
    bank.paid(&bank.keys("authorise")[0], 20_000);
    bank.voids(Says::Refused);
    order(&shop.step(&staff, "orderCancel", id(&made), None).await, "orderCancel");
    shop.settle().await;
    assert_eq!((stands(&now(&shop, &made).await), bank.balance()), (("CANCELLED", "REFUNDED"), 0));
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn payment_that_comes_later_is_polled_until_it_expires(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let buy = async |key: &str| order(&shop.order(None, key, &[(&mug, 1)], by_bank()).await, "orderCreate");
    let (paid, unpaid) = (buy("a").await, buy("b").await);
    for (time, asked) in [("09:00:31", 4), ("09:00:45", 4), ("09:01:10", 6)] {
        shop.clock.set(moment(&format!("2026-11-01T{time}Z")));
        shop.settle().await;
        assert_eq!(bank.keys("authorise").len(), asked, "{time}");
    }
    // The buyer pays, and nobody tells the shop: it asks.
    bank.paid(&bank.keys("authorise")[0], 10_000);
    shop.clock.set(moment("2026-11-01T09:10:00Z"));
    shop.settle().await;
    assert_eq!(stands(&now(&shop, &paid).await), ("CONFIRMED", "PAID"));
    shop.clock.set(moment("2026-11-01T09:16:00Z"));
    shop.settle().await;
    assert_eq!(stands(&now(&shop, &unpaid).await), ("CANCELLED", "VOIDED"));
    let asked = bank.keys("authorise").len();
    shop.clock.set(moment("2026-11-01T12:00:00Z"));
    shop.settle().await;
    assert_eq!(bank.keys("authorise").len(), asked, "nobody asks after an order that has ended");
    agree(&shop, &bank).await;
    shop.add_up().await;
}
