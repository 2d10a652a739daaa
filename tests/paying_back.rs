//! Money that goes back through somebody else: at once, after being asked again, or not.

use futures_util::future::join;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    paying::{agree, by_bank, now, stands},
    shop::{Answer, Backend, Bank, Says, Shop, moment},
    stories,
};

stories![
    a_cancelled_order_gives_its_money_back,
    a_refund_that_is_refused_gave_nothing_back,
    a_refund_that_nobody_knows_of_is_asked_for_again,
    two_refunds_at_once_give_back_what_there_is,
    whoever_has_all_the_money_back_is_sent_nothing,
];

async fn paid(backend: Backend) -> (Shop, std::sync::Arc<Bank>, Value, String) {
    let (shop, bank) = Bank::shop(backend, Says::Done).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 3)], by_bank()).await, "orderCreate");
    assert_eq!(stands(&made), ("CONFIRMED", "PAID"));
    let staff = shop.sign_in(Role::Staff).await;
    (shop, bank, made, staff)
}

async fn refund(shop: &Shop, staff: &str, made: &Value, key: &str, mut input: Value) -> Answer {
    input["idempotencyKey"] = json!(key);
    shop.step(staff, "orderRefund", id(made), Some(("OrderRefundInput!", input))).await
}

async fn a_cancelled_order_gives_its_money_back(backend: Backend) {
    let (shop, bank, made, staff) = paid(backend).await;
    order(&refund(&shop, &staff, &made, "r", json!({ "amount": "50.00" })).await, "orderRefund");
    let gone = order(&shop.step(&staff, "orderCancel", id(&made), None).await, "orderCancel");
    assert_eq!(
        (stands(&gone), &gone["refunds"][1]["status"]),
        (("CANCELLED", "PARTIALLY_REFUNDED"), &json!("PENDING"))
    );
    shop.settle().await;
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), bank.balance()), (("CANCELLED", "REFUNDED"), 0), "{seen}");
    assert_eq!(shop.number("SELECT on_hand * 10 + reserved FROM inventory").await, 50);
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn a_refund_that_is_refused_gave_nothing_back(backend: Backend) {
    let (shop, bank, made, staff) = paid(backend).await;
    bank.gives_back(Says::Refused);
    let told = order(&refund(&shop, &staff, &made, "r1", json!({ "amount": "100.00" })).await, "orderRefund");
    assert_eq!(told["refunds"], json!([{ "amount": "100.00", "status": "FAILED" }]));
    assert_eq!((stands(&told), &told["payments"][0]["refundedAmount"]), (("CONFIRMED", "PAID"), &json!("0.00")));
    shop.settle().await;
    // All of it can still go back.
    bank.gives_back(Says::Done);
    let all = order(&refund(&shop, &staff, &made, "r2", json!({})).await, "orderRefund");
    assert_eq!((stands(&all), bank.balance()), (("REFUNDED", "REFUNDED"), 0), "{all}");
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn a_refund_that_nobody_knows_of_is_asked_for_again(backend: Backend) {
    let (shop, bank, made, staff) = paid(backend).await;
    bank.gives_back(Says::Unknown);
    let told = order(&refund(&shop, &staff, &made, "r1", json!({ "amount": "100.00" })).await, "orderRefund");
    assert_eq!(told["refunds"], json!([{ "amount": "100.00", "status": "PENDING" }]));
    // What is on its way back is not there to be given again.
    let wrong = refund(&shop, &staff, &made, "r2", json!({ "amount": "200.01" })).await;
    assert_eq!(wrong.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.amount")]));
    shop.work().await;
    bank.gives_back(Says::Done);
    shop.clock.set(moment("2026-11-01T09:10:00Z"));
    shop.settle().await;
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), &seen["refunds"][0]["status"]), (("CONFIRMED", "PARTIALLY_REFUNDED"), &json!("DONE")));
    let keys = bank.keys("refund");
    assert!(keys.len() >= 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(bank.balance(), 20_000);
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn two_refunds_at_once_give_back_what_there_is(backend: Backend) {
    let (shop, bank, made, staff) = paid(backend).await;
    let all =
        (0..6).map(|at| refund(&shop, &staff, &made, ["a", "b", "c", "d", "e", "f"][at], json!({ "amount": "90.00" })));
    let all = futures_util::future::join_all(all).await;
    let done = all.iter().filter(|one| one.problems("orderRefund").is_empty()).count();
    assert_eq!(done, 3, "three times 90 of 300");
    let whole = json!({});
    let (one, two) =
        join(refund(&shop, &staff, &made, "rest", whole.clone()), refund(&shop, &staff, &made, "rest too", whole))
            .await;
    let told = [one.problems("orderRefund"), two.problems("orderRefund")];
    assert_eq!(told.iter().filter(|told| told.is_empty()).count(), 1, "{told:?}");
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), bank.balance()), (("REFUNDED", "REFUNDED"), 0), "{seen}");
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn whoever_has_all_the_money_back_is_sent_nothing(backend: Backend) {
    let (shop, bank, made, staff) = paid(backend).await;
    let parcel = json!({ "idempotencyKey": "p", "lines": [{ "lineId": made["lines"][0]["id"], "quantity": 1 }] });
    order(&shop.step(&staff, "orderFulfil", id(&made), Some(("OrderFulfilInput!", parcel))).await, "orderFulfil");
    // By amounts, not by lines: what was promised is free nevertheless.
    for (key, amount) in [("r1", "120.00"), ("r2", "180.00")] {
        order(&refund(&shop, &staff, &made, key, json!({ "amount": amount })).await, "orderRefund");
    }
    assert_eq!(stands(&now(&shop, &made).await), ("REFUNDED", "REFUNDED"));
    assert_eq!(shop.number("SELECT on_hand * 10 + reserved FROM inventory").await, 40);
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}
