//! Orders whose money somebody else answers for: at once, later, not at all, or nobody knows.

use futures_util::future::join;
use savannah::{
    base::{GlobalId, id::Kind},
    payment::{Answer, end, settle},
};
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    shop::{Backend, Bank, Says, Shop, moment},
    stories,
};

stories![
    money_that_is_promised_keeps_the_goods,
    money_that_comes_at_once_pays,
    money_that_comes_later_is_waited_for,
    a_refusal_ends_the_order_and_opens_the_cart,
    nobody_knows_and_the_bank_is_asked_again,
    an_order_that_is_not_paid_in_time_ends,
    what_is_overdue_is_free_for_whoever_wants_it,
    money_and_the_end_at_the_same_moment,
    money_that_comes_twice_comes_once,
];

/// What is said to pay through the bank.
pub fn by_bank() -> Value {
    json!({ "paymentMethod": "bank" })
}

/// The key of an order.
pub fn key_of(order: &Value) -> i64 {
    GlobalId::key(id(order), Kind::Order, "id").expect("a key")
}

/// How an order stands, and its money.
pub fn stands(order: &Value) -> (&str, &str) {
    (order["status"].as_str().expect("a status"), order["paymentStatus"].as_str().expect("a status"))
}

/// An order as it is now.
pub async fn now(shop: &Shop, order: &Value) -> Value {
    let query =
        format!("query($n: String, $t: String) {{ order(number: $n, token: $t) {{ {} }} }}", crate::shop::ORDER);
    shop.ask_with(&query, json!({ "n": order["number"], "t": order["token"] })).await.at("/order").clone()
}

/// Tells the shop what the bank says of an order, as if it had called.
pub async fn tell(shop: &Shop, order: &Value, answer: &Answer) {
    let key = key_of(order);
    let told = shop.db.write(async |tx| settle::settle(tx, key, answer).await).await;
    told.unwrap_or_else(|why| panic!("not settled: {}", why.log()));
}

/// The bank has what the shop has written down, to the cent.
pub async fn agree(shop: &Shop, bank: &Bank) {
    let written = "SELECT COALESCE(SUM(captured - refunded), 0) FROM payment WHERE provider = 'bank'";
    assert_eq!(shop.number(written).await, bank.balance(), "money that only one of both knows of");
}

async fn held(shop: &Shop) -> (i64, i64) {
    let all = shop.number("SELECT COALESCE(SUM(reserved), 0) FROM inventory").await;
    (all, shop.number("SELECT count(*) FROM stock_hold WHERE expires_at IS NOT NULL").await)
}

async fn money_that_is_promised_keeps_the_goods(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Authorised).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    assert_eq!(stands(&made), ("CONFIRMED", "AUTHORISED"), "{made}");
    assert_eq!((&made["expiresAt"], held(&shop).await, bank.balance()), (&Value::Null, (2, 0), 0));
    shop.clock.set(moment("2026-11-01T09:30:00Z"));
    shop.settle().await;
    assert_eq!(stands(&now(&shop, &made).await), ("CONFIRMED", "AUTHORISED"));
    let staff = shop.sign_in(savannah::identity::Role::Staff).await;
    let capture = shop.step(&staff, "orderCapture", id(&made), None);
    let again = shop.step(&staff, "orderCapture", id(&made), None);
    let (one, two) = join(capture, again).await;
    for paid in [order(&one, "orderCapture"), order(&two, "orderCapture")] {
        assert_eq!((stands(&paid), &paid["payments"][0]["capturedAmount"]), (("CONFIRMED", "PAID"), &json!("200.00")));
    }
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn money_that_comes_at_once_pays(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Done).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    assert_eq!((stands(&made), held(&shop).await), (("CONFIRMED", "PAID"), (2, 0)));
    assert_eq!(bank.balance(), 20_000);
    assert_eq!(order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate"), made);
    assert_eq!(bank.keys("authorise").len(), 1);
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn money_that_comes_later_is_waited_for(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let answer = shop.order(None, "k", &[(&mug, 2)], by_bank()).await;
    let made = order(&answer, "orderCreate");
    assert_eq!((stands(&made), held(&shop).await), (("PENDING", "PENDING"), (2, 1)));
    assert_eq!(made["expiresAt"], "2026-11-01T09:15:00+00:00");
    let url = answer.at("/orderCreate/payment/actionUrl").as_str().expect("an address").to_owned();
    assert!(url.starts_with("https://bank.example/pay/payment-"), "{url}");
    // Nobody sends what nobody has paid for.
    let staff = shop.sign_in(savannah::identity::Role::Staff).await;
    for step in ["orderConfirm", "orderCapture"] {
        let told = shop.step(&staff, step, id(&made), None).await;
        assert_eq!(told.problems(step), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    }
    shop.clock.set(moment("2026-11-01T09:14:59Z"));
    shop.settle().await;
    let paid = bank.paid(&bank.keys("authorise")[0], 20_000);
    tell(&shop, &made, &paid).await;
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), held(&shop).await), (("CONFIRMED", "PAID"), (2, 0)));
    assert_eq!((&seen["expiresAt"], &seen["payments"][0]["actionUrl"]), (&Value::Null, &Value::Null));
    shop.clock.set(moment("2026-11-01T09:30:00Z"));
    shop.settle().await;
    assert_eq!(now(&shop, &made).await, seen, "an order that is paid does not expire");
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn a_refusal_ends_the_order_and_opens_the_cart(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Refused).await;
    let mug = shop.good("mug", 100, Some(2)).await;
    let cart = shop.cart(None, &[(&mug, 2)]).await;
    let mut refused = Vec::new();
    for _ in 0..2 {
        let said = json!({ "paymentMethod": "bank", "expectedTotal": "200.00" });
        let answer = shop.check_out(None, "k", &cart, said).await;
        let told = pairs(&[("PAYMENT_FAILED", "input.paymentMethod")]);
        assert_eq!(answer.problems("checkoutComplete"), told, "{}", answer.body);
        assert_eq!(answer.at("/checkoutComplete/payment/status"), "FAILED");
        refused.push(answer.at("/checkoutComplete/order").clone());
    }
    assert_eq!(refused[0], refused[1], "the same request is told the same");
    assert_eq!((stands(&refused[0]), held(&shop).await), (("CANCELLED", "VOIDED"), (0, 0)));
    assert_eq!(shop.see_cart(None, &cart).await["state"], "OPEN");
    bank.says(Says::Done);
    let made = order(&shop.check_out(None, "k2", &cart, by_bank()).await, "checkoutComplete");
    assert_eq!((stands(&made), bank.balance()), (("CONFIRMED", "PAID"), 20_000));
    assert_eq!(shop.see_cart(None, &cart).await["state"], "ORDERED");
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn nobody_knows_and_the_bank_is_asked_again(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Unknown).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    assert_eq!(stands(&made), ("PENDING", "PENDING"));
    shop.work().await;
    assert_eq!(bank.keys("authorise").len(), 1, "it is too early to ask again");
    shop.clock.set(moment("2026-11-01T09:00:31Z"));
    shop.work().await;
    assert_eq!((bank.keys("authorise").len(), stands(&now(&shop, &made).await)), (2, ("PENDING", "PENDING")));
    bank.says(Says::Done);
    shop.clock.set(moment("2026-11-01T09:05:00Z"));
    shop.settle().await;
    let keys = bank.keys("authorise");
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!((stands(&now(&shop, &made).await), bank.balance()), (("CONFIRMED", "PAID"), 20_000));
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn an_order_that_is_not_paid_in_time_ends(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    shop.settle().await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    shop.clock.set(moment("2026-11-01T09:16:00Z"));
    shop.settle().await;
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), held(&shop).await), (("CANCELLED", "VOIDED"), (0, 0)), "{seen}");
    assert_eq!(bank.keys("void").len(), 1, "the bank is told to let go");
    // Money that comes for it nevertheless goes back.
    let paid = bank.paid(&bank.keys("authorise")[0], 20_000);
    for _ in 0..2 {
        tell(&shop, &made, &paid).await;
    }
    shop.settle().await;
    let seen = now(&shop, &made).await;
    assert_eq!((stands(&seen), bank.balance()), (("CANCELLED", "REFUNDED"), 0), "{seen}");
    assert_eq!(bank.keys("refund").len(), 1);
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn what_is_overdue_is_free_for_whoever_wants_it(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(2)).await, shop.good("bowl", 100, Some(2)).await);
    let mugs = order(&shop.order(None, "k1", &[(&mug, 2)], by_bank()).await, "orderCreate");
    let cart = shop.cart(None, &[(&bowl, 2)]).await;
    let bowls = order(&shop.order(None, "k2", &[(&bowl, 1)], by_bank()).await, "orderCreate");
    let short = pairs(&[("INSUFFICIENT_STOCK", "input.items.0.quantity")]);
    assert_eq!(shop.order(None, "k3", &[(&mug, 1)], json!({})).await.problems("orderCreate"), short);
    shop.clock.set(moment("2026-11-01T09:15:00Z"));
    let made = order(&shop.order(None, "k3", &[(&mug, 1)], json!({})).await, "orderCreate");
    assert_eq!(stands(&made), ("PENDING", "PENDING"));
    assert_eq!(stands(&now(&shop, &mugs).await), ("CANCELLED", "VOIDED"));
    assert_eq!(stands(&now(&shop, &bowls).await), ("PENDING", "PENDING"), "nobody wanted these");
    // Through a cart too.
    order(&shop.check_out(None, "k4", &cart, json!({})).await, "checkoutComplete");
    assert_eq!(stands(&now(&shop, &bowls).await), ("CANCELLED", "VOIDED"));
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}

async fn money_and_the_end_at_the_same_moment(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    let mug = shop.good("mug", 100, Some(40)).await;
    let mut made = Vec::new();
    for round in 0..20 {
        made.push(order(&shop.order(None, &format!("k{round}"), &[(&mug, 2)], by_bank()).await, "orderCreate"));
    }
    shop.clock.set(moment("2026-11-01T09:15:00Z"));
    let keys = bank.keys("authorise");
    for (round, (one, key)) in made.iter().zip(&keys).enumerate() {
        let (order, when) = (key_of(one), shop.clock.now());
        let answer = bank.paid(key, 20_000);
        let ends = async {
            let ended = shop.db.write(async |tx| end::expire(tx, order, when).await).await;
            ended.unwrap_or_else(|why| panic!("not ended: {}", why.log()))
        };
        // Each goes first as often as the other; who is first by a hair is for the machine to say.
        if round % 2 == 0 {
            Box::pin(join(ends, tell(&shop, one, &answer))).await;
        } else {
            Box::pin(join(tell(&shop, one, &answer), ends)).await;
        }
    }
    shop.settle().await;
    let mut paid = 0;
    for one in &made {
        let seen = now(&shop, one).await;
        match stands(&seen) {
            ("CONFIRMED", "PAID") => paid += 1,
            ("CANCELLED", "REFUNDED") => {}
            other => panic!("{other:?}: {seen}"),
        }
    }
    assert_eq!(held(&shop).await, (paid * 2, 0));
    assert_eq!(bank.balance(), paid * 20_000);
    agree(&shop, &bank).await;
    shop.add_up().await;
}

async fn money_that_comes_twice_comes_once(backend: Backend) {
    let (shop, bank) = Bank::shop(backend, Says::Later).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], by_bank()).await, "orderCreate");
    let paid = bank.paid(&bank.keys("authorise")[0], 20_000);
    futures_util::future::join_all((0..8).map(|_| tell(&shop, &made, &paid))).await;
    let seen = now(&shop, &made).await;
    let kinds: Vec<_> = seen["history"].as_array().expect("a history").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["PLACED", "PAYMENT", "STATUS"], "{seen}");
    assert_eq!(seen["payments"][0]["capturedAmount"], "200.00");
    // What it said before that comes late, and changes nothing.
    for late in [
        Answer::Later { reference: None, action_url: Some("https://bank.example".into()) },
        Answer::Refused { why: "too slow".into() },
        Answer::Unknown { why: "?".into() },
    ] {
        tell(&shop, &made, &late).await;
    }
    let after = now(&shop, &made).await;
    assert_eq!((stands(&after), &after["payments"]), (("CONFIRMED", "PAID"), &seen["payments"]));
    agree(&shop, &bank).await;
    shop.add_up().await;
    shop.settle().await;
}
