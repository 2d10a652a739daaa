//! Many who buy at once. Nothing is sold twice, nobody waits for ever, and nobody is told of the crowd.

use futures_util::future::{join, join_all};
use savannah::{identity::Role, payment::Providers};
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    paying::{now, stands},
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    sixty_four_buyers_want_the_last_ten,
    crossed_carts_do_not_wait_for_each_other,
    the_last_of_two_is_sold_to_both_or_to_one,
    the_same_request_from_twenty_is_one_order,
    a_variant_named_twice_is_bought_once_by_each,
    a_cart_is_ordered_once,
    a_cart_that_changes_while_it_is_ordered,
    cancelled_or_sent_but_not_both,
    the_same_units_are_sent_once,
];

/// A shop with as many connections as a crowd needs.
pub async fn open(backend: Backend) -> Shop {
    Shop::open_paid(backend, &[("SAVANNAH_DATABASE__CONNECTIONS", "12")], Providers::default()).await
}

/// Everything adds up, and everybody was told.
pub async fn all_is_well(shop: &Shop) {
    shop.add_up().await;
    shop.settle().await;
}

/// How many were done, and what the others were told; nobody is told that something broke.
pub fn told(answers: &[Answer], mutation: &str) -> (usize, Vec<String>) {
    let mut no = Vec::new();
    for answer in answers {
        let problems = answer.problems(mutation);
        no.extend(problems.into_iter().map(|(code, _)| code).take(1));
    }
    (answers.len() - no.len(), no)
}

async fn count(shop: &Shop, what: &str) -> i64 {
    shop.number(&format!("SELECT count(*) FROM {what}")).await
}

/// Bytes on the shelf: on hand and reserved of one sku.
async fn shelf(shop: &Shop, sku: &str) -> (i64, i64) {
    let of = |column: &str| {
        format!("SELECT i.{column} FROM inventory AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = '{sku}'")
    };
    (shop.number(&of("on_hand")).await, shop.number(&of("reserved")).await)
}

async fn sixty_four_buyers_want_the_last_ten(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(10)).await;
    let keys: Vec<String> = (0..64).map(|at| format!("k{at}")).collect();
    let wants = [(mug.as_str(), 1)];
    let all = join_all(keys.iter().map(|key| shop.order(None, key, &wants, json!({})))).await;
    let (done, no) = told(&all, "orderCreate");
    assert_eq!((done, no.len()), (10, 54));
    assert!(no.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{no:?}");
    assert_eq!((count(&shop, "customer_order").await, shelf(&shop, "MUG").await), (10, (10, 10)));
    assert_eq!(shop.ask("{ product(slug: \"mug\") { inStock } }").await.at("/product/inStock"), false);
    all_is_well(&shop).await;
}

async fn crossed_carts_do_not_wait_for_each_other(backend: Backend) {
    let shop = open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(30)).await, shop.good("bowl", 100, Some(20)).await);
    let (there, back) = ([(mug.as_str(), 1), (bowl.as_str(), 1)], [(bowl.as_str(), 1), (mug.as_str(), 1)]);
    let keys: Vec<String> = (0..40).map(|at| format!("k{at}")).collect();
    let mut carts = Vec::new();
    for at in 0..20 {
        carts.push(shop.cart(None, if at % 2 == 0 { &there } else { &back }).await);
    }
    let from_carts = carts.iter().zip(&keys[20..]).map(|(cart, key)| shop.check_out(None, key, cart, json!({})));
    let lists = keys[..20].iter().enumerate();
    let lists = lists.map(|(at, key)| shop.order(None, key, if at % 2 == 0 { &there } else { &back }, json!({})));
    let (one, two) = join(join_all(lists), join_all(from_carts)).await;
    let ((one, mut no), (two, more)) = (told(&one, "orderCreate"), told(&two, "checkoutComplete"));
    no.extend(more);
    assert_eq!((one + two, no.len()), (20, 20), "{no:?}");
    assert!(no.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{no:?}");
    assert_eq!((shelf(&shop, "MUG").await, shelf(&shop, "BOWL").await), ((30, 20), (20, 20)));
    all_is_well(&shop).await;
}

async fn the_last_of_two_is_sold_to_both_or_to_one(backend: Backend) {
    // Two variants of one product, one of each left: whoever takes the second last one does not see what the other took,
    // and yet the product has to know in the end that there is nothing left.
    let shop = open(backend).await;
    let mut drafts = Vec::new();
    for at in 0..12 {
        let mut draft = crate::shop::simple(&format!("cup-{at}"), "cup", 100);
        let one = draft.variants[0].clone();
        draft.options = vec!["Size".into()];
        draft.variants = ["S", "L"]
            .map(|size| {
                let mut one = one.clone();
                (one.sku, one.options, one.stock) = (Some(format!("CUP-{at}-{size}")), vec![size.into()], Some(1));
                one
            })
            .to_vec();
        drafts.push(draft);
    }
    shop.shelve(&drafts).await;
    for at in 0..12 {
        let (small, large) =
            (shop.variant_id(&format!("CUP-{at}-S")).await, shop.variant_id(&format!("CUP-{at}-L")).await);
        let (one, two) = (format!("s{at}"), format!("l{at}"));
        let (small, large) = ([(small.as_str(), 1)], [(large.as_str(), 1)]);
        let buys = [(&one, &small), (&two, &large)].map(|(key, wants)| shop.order(None, key, wants, json!({})));
        let made: Vec<Value> = join_all(buys).await.iter().map(|one| order(one, "orderCreate")).collect();
        let query = format!("{{ product(slug: \"cup-{at}\") {{ inStock }} }}");
        assert_eq!(shop.ask(&query).await.at("/product/inStock"), false, "{at}");
        if at % 2 == 0 {
            let staff = shop.sign_in(Role::Staff).await;
            let gone = join_all(made.iter().map(|one| shop.step(&staff, "orderCancel", id(one), None))).await;
            assert_eq!(told(&gone, "orderCancel").0, 2);
            assert_eq!(shop.ask(&query).await.at("/product/inStock"), true, "{at}");
        }
    }
    all_is_well(&shop).await;
}

async fn the_same_request_from_twenty_is_one_order(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let wants = [(mug.as_str(), 2)];
    let all = join_all((0..20).map(|_| shop.order(None, "the same", &wants, json!({})))).await;
    let first = order(&all[0], "orderCreate");
    for one in &all {
        assert_eq!(order(one, "orderCreate"), first);
    }
    // Keys are each caller's own, though guests share theirs.
    let customers = [shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await];
    let twice = customers.iter().chain(&customers);
    let all = join_all(twice.map(|token| shop.order(Some(token), "the same", &wants, json!({})))).await;
    assert_eq!(told(&all, "orderCreate").0, 4);
    assert_eq!((count(&shop, "customer_order").await, shelf(&shop, "MUG").await), (3, (50, 6)));
    assert_eq!((count(&shop, "payment").await, count(&shop, "outbox WHERE kind = 'OrderPlaced'").await), (3, 3));
    all_is_well(&shop).await;
}

async fn a_variant_named_twice_is_bought_once_by_each(backend: Backend) {
    let shop = open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(12)).await, shop.good("bowl", 100, Some(100)).await);
    let wants = [(mug.as_str(), 1), (bowl.as_str(), 1), (mug.as_str(), 2)];
    let keys: Vec<String> = (0..10).map(|at| format!("k{at}")).collect();
    let all = join_all(keys.iter().map(|key| shop.order(None, key, &wants, json!({})))).await;
    assert_eq!(told(&all, "orderCreate").0, 4);
    let made = all.iter().find(|one| one.problems("orderCreate").is_empty()).expect("an order");
    assert_eq!(made.at("/orderCreate/order/lines").as_array().map(Vec::len), Some(2));
    assert_eq!((shelf(&shop, "MUG").await, shelf(&shop, "BOWL").await), ((12, 12), (100, 4)));
    all_is_well(&shop).await;
}

async fn a_cart_is_ordered_once(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(100)).await;
    let token = shop.sign_in(Role::Customer).await;
    for round in 0..6 {
        let who = (round % 2 == 0).then_some(token.as_str());
        let cart = shop.cart(who, &[(&mug, 2)]).await;
        let keys: Vec<String> = (0..8).map(|at| format!("{round}-{at}")).collect();
        let said = json!({ "expectedTotal": "200.00" });
        let all = join_all(keys.iter().map(|key| shop.check_out(who, key, &cart, said.clone()))).await;
        let (done, no) = told(&all, "checkoutComplete");
        assert_eq!((done, no.len()), (1, 7));
        assert!(no.iter().all(|code| code == "ILLEGAL_TRANSITION"), "{no:?}");
    }
    assert_eq!((count(&shop, "customer_order").await, shelf(&shop, "MUG").await), (6, (100, 12)));
    all_is_well(&shop).await;
}

async fn a_cart_that_changes_while_it_is_ordered(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(100)).await;
    let (mut sold, mut changed) = (0, 0);
    for round in 0..10 {
        let cart = shop.cart(None, &[(&mug, 2)]).await;
        let (key, said) = (format!("k{round}"), json!({ "expectedTotal": "200.00" }));
        let more = [(mug.as_str(), 1)];
        let adds = shop.cart_lines(None, "cartLinesAdd", &cart, &more);
        let buys = shop.check_out(None, &key, &cart, said);
        let (bought, added) = if round % 2 == 0 {
            join(buys, adds).await
        } else {
            let (added, bought) = join(adds, buys).await;
            (bought, added)
        };
        let (bought, added) = (bought.problems("checkoutComplete"), added.problems("cartLinesAdd"));
        // Either the change comes first and the total is another, or the cart is gone.
        if bought.is_empty() {
            assert_eq!(added, pairs(&[("ILLEGAL_TRANSITION", "id")]));
            sold += 2;
        } else {
            assert_eq!((bought, added), (pairs(&[("PRICE_CHANGED", "input.expectedTotal")]), vec![]));
            assert_eq!(shop.see_cart(None, &cart).await["itemCount"], 3);
            changed += 1;
        }
    }
    assert_eq!(shelf(&shop, "MUG").await, (100, sold), "{changed} changed first");
    all_is_well(&shop).await;
}

async fn cancelled_or_sent_but_not_both(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(100)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let mut made = Vec::new();
    for round in 0..20 {
        let one = order(&shop.order(None, &format!("k{round}"), &[(&mug, 2)], json!({})).await, "orderCreate");
        order(&shop.step(&staff, "orderConfirm", id(&one), None).await, "orderConfirm");
        made.push(one);
    }
    let parcel = Some(("OrderFulfilInput!", json!({ "idempotencyKey": "p" })));
    let both = made.iter().enumerate().map(async |(round, one)| {
        let cancel = shop.step(&staff, "orderCancel", id(one), None);
        let fulfil = shop.step(&staff, "orderFulfil", id(one), parcel.clone());
        if round % 2 == 0 {
            join(cancel, fulfil).await
        } else {
            let (fulfilled, cancelled) = join(fulfil, cancel).await;
            (cancelled, fulfilled)
        }
    });
    let mut sent = 0;
    for ((cancelled, fulfilled), one) in join_all(both).await.iter().zip(&made) {
        let no = pairs(&[("ILLEGAL_TRANSITION", "id")]);
        let stands = now(&shop, one).await;
        if fulfilled.problems("orderFulfil").is_empty() {
            assert_eq!((cancelled.problems("orderCancel"), &stands["status"]), (no, &json!("SHIPPED")));
            sent += 2;
        } else {
            assert_eq!((fulfilled.problems("orderFulfil"), cancelled.problems("orderCancel")), (no, vec![]));
            assert_eq!(stands["status"], "CANCELLED");
        }
    }
    assert_eq!(shelf(&shop, "MUG").await, (100 - sent, 0));
    all_is_well(&shop).await;
}

async fn the_same_units_are_sent_once(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(100)).await;
    let staff = shop.sign_in(Role::Staff).await;
    for round in 0..6 {
        let one = order(&shop.order(None, &format!("k{round}"), &[(&mug, 4)], json!({})).await, "orderCreate");
        order(&shop.step(&staff, "orderConfirm", id(&one), None).await, "orderConfirm");
        // Five parcels of three: there is enough for one. Two of one each would fit beside it, or four without it.
        let parcels = (0..6).map(async |at| {
            let lines = json!([{ "lineId": one["lines"][0]["id"], "quantity": if at < 3 { 3 } else { 1 } }]);
            let input = json!({ "idempotencyKey": format!("p{at}"), "lines": lines });
            shop.step(&staff, "orderFulfil", id(&one), Some(("OrderFulfilInput!", input))).await
        });
        let all = join_all(parcels).await;
        let done: i64 = all
            .iter()
            .zip([3, 3, 3, 1, 1, 1])
            .filter(|(one, _)| one.problems("orderFulfil").is_empty())
            .map(|(_, sent)| sent)
            .sum();
        let (_, no) = told(&all, "orderFulfil");
        assert!(no.iter().all(|code| code == "VALIDATION_ERROR" || code == "ILLEGAL_TRANSITION"), "{no:?}");
        assert!((3..=4).contains(&done), "{done} were sent");
        let seen = now(&shop, &one).await;
        assert_eq!(seen["lines"][0]["quantityFulfilled"], done);
        let status = if done == 4 { "SHIPPED" } else { "PROCESSING" };
        assert_eq!(stands(&seen).0, status);
    }
    all_is_well(&shop).await;
}
