//! Staff who count, move and edit while buyers buy.

use futures_util::future::{join, join_all, join3};
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    checkout_concurrency::{assert_invariants_and_run_jobs, count_outcomes, start_app_with_many_connections},
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    stock_corrections_concurrent_with_orders_are_consistent,
    concurrent_stock_counts_accept_one,
    repeated_stock_transfer_with_same_key_is_applied_once,
    variant_edits_concurrent_with_the_last_order_succeed,
];

/// One of the mutations of stock.
pub async fn mutate_stock(app: &TestApp, staff: &str, mutation: &str, key: &str, mut input: Value) -> GraphqlResponse {
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
    app.query_as(staff, &query, json!({ "input": input })).await
}

/// Makes a second location.
pub async fn create_second_location(app: &TestApp, staff: &str) -> String {
    let query = "mutation { locationCreate(input: { name: \"Mombasa\" }) { location { id } userErrors { code } } }";
    app.query_as(staff, query, json!({}))
        .await
        .data_at("/locationCreate/location/id")
        .as_str()
        .expect("an id")
        .to_owned()
}

async fn sum_inventory(app: &TestApp, column: &str) -> i64 {
    app.query_scalar(&format!("SELECT COALESCE(SUM({column}), 0) FROM inventory_level")).await
}

async fn stock_corrections_concurrent_with_orders_are_consistent(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(20)).await;
    let staff = app.login(Role::Staff).await;
    let keys: Vec<String> = (0..30).map(|index| format!("k{index}")).collect();
    let items = [(mug.as_str(), 1)];
    let orders = keys.iter().map(|key| app.create_order(None, key, &items, json!({})));
    let adjusts = keys[..12].iter().enumerate().map(async |(index, key)| {
        let delta = if index % 3 == 0 { 2 } else { -3 };
        let input = json!({ "variantId": mug, "delta": delta, "reason": "CORRECTION" });
        let response = mutate_stock(&app, &staff, "stockAdjust", key, input).await;
        if response.user_errors("stockAdjust").is_empty() { delta } else { 0 }
    });
    let sets = keys[..6].iter().map(async |key| {
        let on_hand = sum_inventory(&app, "on_hand").await;
        let input = json!({ "variantId": mug, "quantity": on_hand + 1, "expectedQuantity": on_hand });
        let response = mutate_stock(&app, &staff, "stockSet", key, input).await;
        let rejections = response.user_errors("stockSet");
        assert!(rejections.is_empty() || rejections[0].0 == "VERSION_CONFLICT", "{rejections:?}");
        i64::from(rejections.is_empty())
    });
    let (order_responses, adjusted, set) = join3(join_all(orders), join_all(adjusts), join_all(sets)).await;
    let (order_responses, rejections) = count_outcomes(&order_responses, "orderCreate");
    assert!(rejections.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{rejections:?}");
    let moved = adjusted.iter().sum::<i64>() + set.iter().sum::<i64>();
    assert_eq!(sum_inventory(&app, "on_hand").await, 20 + moved);
    assert_eq!(sum_inventory(&app, "reserved").await, i64::try_from(order_responses).expect("few"));
    assert_invariants_and_run_jobs(&app).await;
}

async fn concurrent_stock_counts_accept_one(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(20)).await;
    let staff = app.login(Role::Staff).await;
    let mut expected = 20;
    for round in 0..5 {
        let counts = (0..10).map(async |index| {
            let quantity = 100 + round * 10 + index;
            let input = json!({ "variantId": mug, "quantity": quantity, "expectedQuantity": expected });
            let response = mutate_stock(&app, &staff, "stockSet", &format!("{round}-{index}"), input).await;
            let rejections = response.user_errors("stockSet");
            assert!(rejections.is_empty() || rejections[0].0 == "VERSION_CONFLICT", "{rejections:?}");
            rejections.is_empty().then_some(quantity)
        });
        let accepted: Vec<i64> = join_all(counts).await.into_iter().flatten().collect();
        assert_eq!(accepted.len(), 1, "{accepted:?}");
        assert_eq!(sum_inventory(&app, "on_hand").await, accepted[0]);
        expected = accepted[0];
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM stock_movement").await, 6);
    assert_invariants_and_run_jobs(&app).await;
}

async fn repeated_stock_transfer_with_same_key_is_applied_once(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(20)).await;
    let staff = app.login(Role::Staff).await;
    let (first_location, second_location) = (
        savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Location, 1).encode(),
        create_second_location(&app, &staff).await,
    );
    let keys: Vec<String> = (0..24).map(|index| format!("k{index}")).collect();
    let transfers = keys.iter().enumerate().map(async |(index, key)| {
        let (from, to) =
            if index % 3 == 2 { (&second_location, &first_location) } else { (&first_location, &second_location) };
        let input = json!({ "variantId": mug, "fromLocationId": from, "toLocationId": to, "quantity": 2 });
        // Everyone sends twice.
        let both_transfers = join(
            mutate_stock(&app, &staff, "stockTransfer", key, input.clone()),
            mutate_stock(&app, &staff, "stockTransfer", key, input),
        );
        let (first_attempt, second_attempt) = both_transfers.await;
        let (first_attempt, second_attempt) =
            (first_attempt.user_errors("stockTransfer"), second_attempt.user_errors("stockTransfer"));
        assert!(
            first_attempt.iter().chain(&second_attempt).all(|(code, _)| code == "INSUFFICIENT_STOCK"),
            "{first_attempt:?} {second_attempt:?}"
        );
        if !first_attempt.is_empty() && !second_attempt.is_empty() {
            return 0;
        }
        if index % 3 == 2 { -2 } else { 2 }
    });
    let items = [(mug.as_str(), 3)];
    let orders = keys[..4].iter().map(|key| app.create_order(None, key, &items, json!({})));
    let (moved, order_responses) = join(join_all(transfers), join_all(orders)).await;
    let (order_responses, rejections) = count_outcomes(&order_responses, "orderCreate");
    assert_eq!((order_responses, rejections), (4, vec![]), "there is enough, wherever it lies");
    assert_eq!((sum_inventory(&app, "on_hand").await, sum_inventory(&app, "reserved").await), (20, 12));
    let second_location =
        app.query_scalar("SELECT COALESCE(SUM(on_hand), 0) FROM inventory_level WHERE location_id <> 1").await;
    assert_eq!(second_location, moved.iter().sum::<i64>());
    assert_invariants_and_run_jobs(&app).await;
}

async fn variant_edits_concurrent_with_the_last_order_succeed(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let staff = app.login(Role::Staff).await;
    let mug = app.create_product("mug", 100, Some(1)).await;
    let edit = "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) {
        variant { sku } userErrors { code field message } } }";
    for round in 0..8 {
        let key = format!("k{round}");
        let items = [(mug.as_str(), 1)];
        let prices = (0..3).map(|index| {
            let input = json!({ "price": format!("{}.00", 100 + round * 3 + index) });
            app.query_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let counts = (0..3).map(|index| {
            let input = json!({ "stockQuantity": 1 + index % 2, "price": "99.00" });
            app.query_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let orders = app.create_order(None, &key, &items, json!({}));
        let (order_response, prices, counts) = join3(orders, join_all(prices), join_all(counts)).await;
        assert_eq!(count_outcomes(&prices, "productVariantUpdate"), (3, vec![]));
        assert_eq!(count_outcomes(&counts, "productVariantUpdate"), (3, vec![]));
        let placed_order = expect_order(&order_response, "orderCreate");
        // And while it is let go of again.
        let edits = (0..3).map(|index| {
            let input = json!({ "stockQuantity": 1 + index % 2 });
            app.query_as(&staff, edit, json!({ "id": mug, "input": input }))
        });
        let (edits, cancel_response) =
            join(join_all(edits), app.run_order_mutation(&staff, "orderCancel", order_id(&placed_order), None)).await;
        assert_eq!(count_outcomes(&edits, "productVariantUpdate"), (3, vec![]));
        expect_order(&cancel_response, "orderCancel");
        let input = json!({ "stockQuantity": 1 });
        app.query_as(&staff, edit, json!({ "id": mug, "input": input }))
            .await
            .data_at("/productVariantUpdate/variant/sku");
    }
    assert_invariants_and_run_jobs(&app).await;
}
