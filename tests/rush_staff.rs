//! Staff who count, move and edit while buyers buy.

use futures_util::future::{join, join_all, join3};
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order},
    rush::{all_is_well, open, told},
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    stock_is_corrected_while_buyers_buy,
    of_ten_who_count_one_counts,
    what_is_moved_is_moved_once,
    prices_and_stock_are_edited_while_the_last_is_bought,
];

/// One of the mutations of stock.
pub async fn stock(shop: &Shop, staff: &str, mutation: &str, key: &str, mut input: Value) -> Answer {
    let kind = match mutation {
        "stockAdjust" => "StockAdjustInput!",
        "stockSet" => "StockSetInput!",
        "stockTransfer" => "StockTransferInput!",
        _ => "StockSettingsInput!",
    };
    let query = format!(
        "mutation($input: {kind}) {{ {mutation}(input: $input) {{ level {{ onHand reserved }}
        userErrors {{ code field message }} }} }}"
    );
    if mutation != "stockSettingsUpdate" {
        input["idempotencyKey"] = json!(key);
    }
    shop.ask_as(staff, &query, json!({ "input": input })).await
}

/// Makes a second location.
pub async fn second(shop: &Shop, staff: &str) -> String {
    let query = "mutation { locationCreate(input: { name: \"Mombasa\" }) { location { id } userErrors { code } } }";
    shop.ask_as(staff, query, json!({})).await.at("/locationCreate/location/id").as_str().expect("an id").to_owned()
}

async fn total(shop: &Shop, column: &str) -> i64 {
    shop.number(&format!("SELECT COALESCE(SUM({column}), 0) FROM inventory")).await
}

async fn stock_is_corrected_while_buyers_buy(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(20)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let keys: Vec<String> = (0..30).map(|at| format!("k{at}")).collect();
    let wants = [(mug.as_str(), 1)];
    let buys = keys.iter().map(|key| shop.order(None, key, &wants, json!({})));
    let adjusts = keys[..12].iter().enumerate().map(async |(at, key)| {
        let delta = if at % 3 == 0 { 2 } else { -3 };
        let input = json!({ "variantId": mug, "delta": delta, "reason": "CORRECTION" });
        let answer = stock(&shop, &staff, "stockAdjust", key, input).await;
        if answer.problems("stockAdjust").is_empty() { delta } else { 0 }
    });
    let sets = keys[..6].iter().map(async |key| {
        let on_hand = total(&shop, "on_hand").await;
        let input = json!({ "variantId": mug, "quantity": on_hand + 1, "expectedQuantity": on_hand });
        let answer = stock(&shop, &staff, "stockSet", key, input).await;
        let no = answer.problems("stockSet");
        assert!(no.is_empty() || no[0].0 == "VERSION_CONFLICT", "{no:?}");
        i64::from(no.is_empty())
    });
    let (bought, adjusted, set) = join3(join_all(buys), join_all(adjusts), join_all(sets)).await;
    let (bought, no) = told(&bought, "orderCreate");
    assert!(no.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{no:?}");
    let moved = adjusted.iter().sum::<i64>() + set.iter().sum::<i64>();
    assert_eq!(total(&shop, "on_hand").await, 20 + moved);
    assert_eq!(total(&shop, "reserved").await, i64::try_from(bought).expect("few"));
    all_is_well(&shop).await;
}

async fn of_ten_who_count_one_counts(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(20)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let mut expected = 20;
    for round in 0..5 {
        let counts = (0..10).map(async |at| {
            let quantity = 100 + round * 10 + at;
            let input = json!({ "variantId": mug, "quantity": quantity, "expectedQuantity": expected });
            let answer = stock(&shop, &staff, "stockSet", &format!("{round}-{at}"), input).await;
            let no = answer.problems("stockSet");
            assert!(no.is_empty() || no[0].0 == "VERSION_CONFLICT", "{no:?}");
            no.is_empty().then_some(quantity)
        });
        let won: Vec<i64> = join_all(counts).await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(total(&shop, "on_hand").await, won[0]);
        expected = won[0];
    }
    assert_eq!(shop.number("SELECT count(*) FROM stock_movement").await, 6);
    all_is_well(&shop).await;
}

async fn what_is_moved_is_moved_once(backend: Backend) {
    let shop = open(backend).await;
    let mug = shop.good("mug", 100, Some(20)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let (here, there) =
        (savannah::base::GlobalId::new(savannah::base::id::Kind::Location, 1).encode(), second(&shop, &staff).await);
    let keys: Vec<String> = (0..24).map(|at| format!("k{at}")).collect();
    let transfers = keys.iter().enumerate().map(async |(at, key)| {
        let (from, to) = if at % 3 == 2 { (&there, &here) } else { (&here, &there) };
        let input = json!({ "variantId": mug, "fromLocationId": from, "toLocationId": to, "quantity": 2 });
        // Everyone sends twice.
        let twice = join(
            stock(&shop, &staff, "stockTransfer", key, input.clone()),
            stock(&shop, &staff, "stockTransfer", key, input),
        );
        let (one, two) = twice.await;
        let (one, two) = (one.problems("stockTransfer"), two.problems("stockTransfer"));
        assert!(one.iter().chain(&two).all(|(code, _)| code == "INSUFFICIENT_STOCK"), "{one:?} {two:?}");
        if !one.is_empty() && !two.is_empty() {
            return 0;
        }
        if at % 3 == 2 { -2 } else { 2 }
    });
    let wants = [(mug.as_str(), 3)];
    let buys = keys[..4].iter().map(|key| shop.order(None, key, &wants, json!({})));
    let (moved, bought) = join(join_all(transfers), join_all(buys)).await;
    let (bought, no) = told(&bought, "orderCreate");
    assert_eq!((bought, no), (4, vec![]), "there is enough, wherever it lies");
    assert_eq!((total(&shop, "on_hand").await, total(&shop, "reserved").await), (20, 12));
    let there = shop.number("SELECT COALESCE(SUM(on_hand), 0) FROM inventory WHERE location_id <> 1").await;
    assert_eq!(there, moved.iter().sum::<i64>());
    all_is_well(&shop).await;
}

async fn prices_and_stock_are_edited_while_the_last_is_bought(backend: Backend) {
    let shop = open(backend).await;
    let staff = shop.sign_in(Role::Staff).await;
    let mug = shop.good("mug", 100, Some(1)).await;
    let edit = "mutation($id: ID!, $input: ProductVariantInput!) { variantUpdate(id: $id, input: $input) {
        variant { sku } userErrors { code field message } } }";
    for round in 0..8 {
        let key = format!("k{round}");
        let wants = [(mug.as_str(), 1)];
        let prices = (0..3).map(|at| {
            let input = json!({ "price": format!("{}.00", 100 + round * 3 + at) });
            shop.ask_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let counts = (0..3).map(|at| {
            let input = json!({ "stockQuantity": 1 + at % 2, "price": "99.00" });
            shop.ask_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let buys = shop.order(None, &key, &wants, json!({}));
        let (bought, prices, counts) = join3(buys, join_all(prices), join_all(counts)).await;
        assert_eq!(told(&prices, "variantUpdate"), (3, vec![]));
        assert_eq!(told(&counts, "variantUpdate"), (3, vec![]));
        let made = order(&bought, "orderCreate");
        // And while it is let go of again.
        let edits = (0..3).map(|at| {
            let input = json!({ "stockQuantity": 1 + at % 2 });
            shop.ask_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let (edits, gone) = join(join_all(edits), shop.step(&staff, "orderCancel", id(&made), None)).await;
        assert_eq!(told(&edits, "variantUpdate"), (3, vec![]));
        order(&gone, "orderCancel");
        let input = json!({ "stockQuantity": 1 });
        shop.ask_as(&staff, edit, json!({ "id": mug, "input": input })).await.at("/variantUpdate/variant/sku");
    }
    all_is_well(&shop).await;
}
