//! Daily figures: equal to what is computed from the orders, whatever happened to them and in whatever order it was
//! reported.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use savannah::{
    analytics::{cart_figures, figures::OrderFigures, order_figures, state},
    cart,
    identity::Role,
    infra::outbox::DeliveredEvent,
    order::{OrderPlaced, OrderUpdated},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    figures_of_random_orders_equal_brute_force,
    repeated_and_reordered_events_count_once,
    customers_are_new_once,
    filled_carts_are_counted_until_after_their_deletion,
    erased_customers_stay_in_the_figures_without_personal_data,
    direct_updates_of_contributions_are_rejected,
];

/// The key of a row of sums.
type FigureKey = (NaiveDate, String, String);

#[derive(Debug, FromQueryResult)]
struct StoredOrder {
    id: i64,
    placed_at: DateTime<Utc>,
    status: String,
    account_id: Option<i64>,
    email: Option<String>,
    country: String,
    list_subtotal: i64,
    discount: i64,
    shipping: i64,
    tax: i64,
    total: i64,
    actor_kind: String,
    actor_id: Option<i64>,
    owed: i64,
    refunded_free_units: i64,
}

#[derive(Debug, FromQueryResult)]
struct StoredLine {
    order_id: i64,
    quantity: i64,
    canceled: i64,
}

#[derive(Debug, FromQueryResult)]
struct StoredRefund {
    order_id: i64,
    amount: i64,
    created_at: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
struct StoredFigures {
    day: NaiveDate,
    channel: String,
    country: String,
    #[sea_orm(nested)]
    figures: OrderFigures,
}

pub(crate) async fn load<R: FromQueryResult>(app: &TestApp, sql: &str) -> Vec<R> {
    let statement = Statement::from_string(app.db.backend(), sql);
    let rows = app.db.writer_connection().query_all_raw(statement).await.expect("rows");
    rows.iter().map(|row| R::from_query_result(row, "").expect("a row")).collect()
}

/// Computes the figures from the rows of the orders, one order after the other.
pub(crate) async fn compute_figures(app: &TestApp, zone: Tz) -> BTreeMap<FigureKey, OrderFigures> {
    let orders: Vec<StoredOrder> = load(
        app,
        "SELECT o.id, o.placed_at, o.status, o.account_id, o.email, COALESCE(o.shipping_address ->> 'countryCode', '') \
         AS country, o.list_subtotal, o.discount, o.shipping, o.tax, o.total, h.actor_kind, h.actor_id, \
         (SELECT MIN(amount) FROM payment WHERE order_id = o.id) AS owed, (SELECT count(*) FROM refund AS r \
         JOIN refund_line AS l ON l.refund_id = r.id WHERE r.order_id = o.id AND r.amount = 0) AS refunded_free_units \
         FROM orders AS o JOIN order_history AS h ON h.order_id = o.id AND h.event_type = 'placed' ORDER BY o.placed_at, o.id",
    )
    .await;
    let lines: Vec<StoredLine> = load(
        app,
        "SELECT l.order_id, l.quantity, CAST(COALESCE((SELECT SUM(r.quantity_canceled) FROM refund_line AS r \
         WHERE r.order_line_id = l.id), 0) AS BIGINT) AS canceled FROM order_line AS l",
    )
    .await;
    let refunds: Vec<StoredRefund> = load(
        app,
        "SELECT p.order_id, t.amount, t.created_at FROM payment_transaction AS t JOIN payment AS p ON p.id = t.payment_id \
         WHERE t.transaction_type = 'refund'",
    )
    .await;
    let day_of = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let mut sums: BTreeMap<FigureKey, OrderFigures> = BTreeMap::new();
    for (index, order) in orders.iter().enumerate() {
        let channel = match order.actor_kind.as_str() {
            "api_key" => format!("api_key:{}", order.actor_id.expect("an id")),
            "account" if order.actor_id != order.account_id => "staff".to_owned(),
            _ => "storefront".to_owned(),
        };
        let is_same = |other: &StoredOrder| {
            (order.account_id.is_some() && other.account_id == order.account_id)
                || (order.email.is_some() && other.email == order.email)
        };
        let has_ordered_before = orders[..index].iter().any(is_same);
        let is_canceled = order.status == "canceled";
        let key = |day| (day, channel.clone(), order.country.clone());
        let figures = sums.entry(key(day_of(order.placed_at))).or_default();
        figures.new_customers += i64::from(!has_ordered_before);
        figures.returning_orders += i64::from(has_ordered_before);
        figures.canceled_orders += i64::from(is_canceled);
        if is_canceled {
            continue;
        }
        let unpaid = if order.refunded_free_units > 0 { order.total - order.owed } else { 0 };
        figures.orders += 1;
        figures.gross_sales += order.list_subtotal;
        figures.discounts += order.discount;
        figures.shipping += order.shipping;
        figures.tax += order.tax;
        figures.canceled_sales += unpaid;
        figures.total_sales += order.total - unpaid;
        let of_order = lines.iter().filter(|line| line.order_id == order.id);
        figures.units += of_order.map(|line| line.quantity - line.canceled).sum::<i64>();
        for refund in refunds.iter().filter(|refund| refund.order_id == order.id) {
            sums.entry(key(day_of(refund.created_at))).or_default().refunds += refund.amount;
        }
    }
    sums
}

/// Returns the stored sums that are not zero.
pub(crate) async fn stored_figures(app: &TestApp) -> BTreeMap<FigureKey, OrderFigures> {
    let sql = format!("SELECT day, channel, country, {} FROM daily_figure", OrderFigures::COLUMNS.join(", "));
    let rows: Vec<StoredFigures> = load(app, &sql).await;
    let to_entry = |row: StoredFigures| ((row.day, row.channel, row.country), row.figures);
    rows.into_iter().map(to_entry).filter(|(_, figures)| *figures != OrderFigures::default()).collect()
}

pub(crate) async fn assert_figures_match(app: &TestApp, zone: Tz) {
    assert_eq!(stored_figures(app).await, compute_figures(app, zone).await);
    app.assert_invariants().await;
}

/// Stores the time zone, as the first start of a server does.
pub(crate) async fn set_time_zone(app: &TestApp, zone: Tz) {
    let stored = state::ensure_time_zone(&app.db, zone).await;
    assert_eq!(stored.unwrap_or_else(|error| panic!("{}", error.log_message())), zone);
}

/// Places an order of a guest at the clock's time.
pub(crate) async fn place_guest_order(app: &TestApp, key: &str, email: &str, items: &[(&str, i64)]) -> Value {
    let placed = app.create_order(None, key, items, json!({ "email": email })).await;
    expect_order(&placed, "orderCreate")
}

/// Pseudo-random numbers: the same in each run.
struct OperationRng(u64);

impl OperationRng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Changes an order in a random way; what its state does not allow is rejected.
async fn change_order(app: &TestApp, staff: &str, order: &Value, (rng, step): (&mut OperationRng, u64)) {
    let line = json!(order["lines"][0]["id"]);
    let key = format!("change-{step}");
    let amount = format!("{}.00", 1 + rng.below(60));
    let (mutation, input) = match rng.below(12) {
        0 | 1 => ("orderConfirm", None),
        2 => ("orderFulfill", Some(("OrderFulfillInput!", json!({ "idempotencyKey": key })))),
        3 | 4 => ("orderCapture", None),
        5 => ("orderCancel", None),
        6..=8 => ("orderCancel", Some(("OrderCancelInput", json!({ "lines": [{ "lineId": line, "quantity": 1 }] })))),
        9 | 10 => ("orderRefund", Some(("OrderRefundInput!", json!({ "idempotencyKey": key, "amount": amount })))),
        _ => {
            let lines = json!([{ "lineId": line, "quantityUnfulfilled": 1 }]);
            ("orderRefund", Some(("OrderRefundInput!", json!({ "idempotencyKey": key, "lines": lines }))))
        }
    };
    let response = app.run_order_mutation(staff, mutation, order_id(order), input).await;
    assert!(response.body.get("errors").is_none(), "{mutation}: {}", response.body);
}

async fn figures_of_random_orders_equal_brute_force(backend: Backend) {
    let app = TestApp::start(backend).await;
    let zone = Tz::Pacific__Auckland;
    set_time_zone(&app, zone).await;
    let mug = app.create_product("mug", 100, Some(1_000)).await;
    let bowl = app.create_product("bowl", 25, None).await;
    let admin = app.login(Role::Admin).await;
    let create_key = "mutation { apiKeyCreate(input: { name: \"till\", permissions: [ORDER_READ] }) { apiKey { key } userErrors { code } } }";
    let created = app.query_as(&admin, create_key, json!({})).await;
    let api_key = created.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    let mut rng = OperationRng(20_261_127);
    let mut orders = Vec::new();
    for step in 0..120 {
        app.clock.set(app.clock.now() + TimeDelta::minutes(7 * i64::try_from(rng.below(40)).expect("a number")));
        let staff = app.login(Role::Staff).await;
        if orders.is_empty() || rng.below(3) == 0 {
            let country = ["KE", "UG"][usize::try_from(rng.below(2)).expect("an index")];
            let mut address = crate::support::shipping_address();
            address["address"]["countryCode"] = json!(country);
            let input = json!({ "email": format!("guest{}@example.com", rng.below(6)), "shippingAddress": address });
            let token =
                [None, Some(staff.as_str()), Some(api_key.as_str())][usize::try_from(rng.below(3)).expect("an index")];
            let items = [(mug.as_str(), 1 + i64::try_from(rng.below(3)).expect("a number")), (bowl.as_str(), 2)];
            let placed = app.create_order(token, &format!("order-{step}"), &items, input).await;
            orders.push(expect_order(&placed, "orderCreate"));
        } else {
            let index = usize::try_from(rng.below(orders.len() as u64)).expect("an index");
            change_order(&app, &staff, &orders[index], (&mut rng, step)).await;
        }
        if rng.below(5) == 0 {
            app.drain_jobs().await;
        }
    }
    app.drain_jobs().await;
    let totals = compute_figures(&app, zone).await.into_values().fold(OrderFigures::default(), |mut sum, figures| {
        sum.add(&figures);
        sum
    });
    assert!(
        totals.values().iter().enumerate().all(|(column, value)| *value > 0 || [6, 7, 8].contains(&column)),
        "{totals:?}"
    );
    assert_figures_match(&app, zone).await;
}

/// Handles the events of an order as a worker would, once more.
async fn handle_events(app: &TestApp, order: i64, is_placement: bool) {
    let occurred_at = app.clock.now();
    let handled = app.db.write(async |tx| {
        if is_placement {
            let delivered = DeliveredEvent { id: 1, occurred_at, event: OrderPlaced { order, account: None } };
            order_figures::count_placed_order(tx, &delivered).await
        } else {
            let delivered = DeliveredEvent { id: 2, occurred_at, event: OrderUpdated { order, account: None } };
            order_figures::count_updated_order(tx, &delivered).await
        }
    });
    handled.await.unwrap_or_else(|error| panic!("not handled: {}", error.log_message()));
}

async fn repeated_and_reordered_events_count_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    for number in 0..3 {
        place_guest_order(&app, &format!("key{number}"), "wanjiku@example.com", &[(&mug, 2)]).await;
        app.clock.set(app.clock.now() + TimeDelta::hours(20));
    }
    let ids: Vec<i64> = {
        #[derive(FromQueryResult)]
        struct IdRow {
            id: i64,
        }
        load::<IdRow>(&app, "SELECT id FROM orders ORDER BY placed_at DESC")
            .await
            .into_iter()
            .map(|row| row.id)
            .collect()
    };
    // The last order first, and changes before placements.
    for id in &ids {
        handle_events(&app, *id, false).await;
        handle_events(&app, *id, true).await;
    }
    let expected = compute_figures(&app, Tz::UTC).await;
    assert_eq!(stored_figures(&app).await, expected);
    app.drain_jobs().await;
    for id in &ids {
        handle_events(&app, *id, true).await;
        handle_events(&app, *id, false).await;
    }
    // An order that does not exist contributes nothing.
    handle_events(&app, 1_000_000, true).await;
    assert_eq!(stored_figures(&app).await, expected);
    app.assert_invariants().await;
}

async fn customers_are_new_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let first = place_guest_order(&app, "a", "Amani@Example.com", &[(&mug, 1)]).await;
    app.clock.set(app.clock.now() + TimeDelta::days(1));
    place_guest_order(&app, "b", "amani@example.com", &[(&mug, 1)]).await;
    let customer = app.login(Role::Customer).await;
    for key in ["c", "d"] {
        let placed =
            app.create_order(Some(&customer), key, &[(&mug, 1)], json!({ "email": "other@example.com" })).await;
        expect_order(&placed, "orderCreate");
    }
    app.drain_jobs().await;
    let counts = async || {
        let sums = "SELECT SUM(new_customers) * 100 + SUM(returning_orders) * 10 + SUM(orders) FROM daily_figure";
        app.query_scalar(sums).await
    };
    assert_eq!(counts().await, 224);
    // The first order stays the first one.
    let staff = app.login(Role::Staff).await;
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&first), None).await, "orderCancel");
    app.drain_jobs().await;
    assert_eq!(counts().await, 223);
    app.assert_invariants().await;
}

async fn filled_carts_are_counted_until_after_their_deletion(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    // Not filled.
    app.create_cart(None, &[]).await;
    let ordered = app.create_cart(None, &[(&mug, 2)]).await;
    app.create_cart(None, &[(&mug, 1)]).await;
    expect_order(&app.complete_checkout(None, "one", &ordered, json!({})).await, "checkoutComplete");
    let count = async || {
        let counted = cart_figures::count_changed_carts(&app.db).await;
        counted.unwrap_or_else(|error| panic!("{}", error.log_message()));
        app.query_scalar("SELECT SUM(carts) * 10 + SUM(ordered_carts) FROM daily_cart_figure").await
    };
    app.drain_jobs().await;
    assert_eq!([count().await, count().await], [21, 21]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart_figure").await, 2);
    // A guest's cart that is merged into the customer's counts there.
    let customer = app.login(Role::Customer).await;
    let guest_cart = app.create_cart(None, &[(&mug, 1)]).await;
    app.drain_jobs().await;
    assert_eq!(count().await, 31);
    let merge = "mutation($id: ID!) { cartMerge(id: $id) { cart { id } userErrors { code } } }";
    let merged = app.query_as(&customer, merge, json!({ "id": guest_cart })).await;
    assert!(merged.body.get("errors").is_none(), "{}", merged.body);
    app.drain_jobs().await;
    assert_eq!(count().await, 31);
    app.clock.set(app.clock.now() + TimeDelta::days(400));
    let deleted = cart::delete_expired_carts(&app.db, &app.http_app.state.config.cart).await;
    assert!(deleted.unwrap_or_else(|error| panic!("{}", error.log_message())) > 0);
    let deleted = cart_figures::delete_figures_of_deleted_carts(&app.db).await;
    deleted.unwrap_or_else(|error| panic!("{}", error.log_message()));
    assert_eq!((app.query_scalar("SELECT count(*) FROM cart_figure").await, count().await), (0, 31));
    app.assert_invariants().await;
}

async fn erased_customers_stay_in_the_figures_without_personal_data(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let staff = app.login(Role::Staff).await;
    for key in ["a", "b"] {
        let order = place_guest_order(&app, key, "wanjiku@example.com", &[(&mug, 1)]).await;
        expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&order), None).await, "orderCancel");
    }
    place_guest_order(&app, "c", "wanjiku@example.com", &[(&mug, 3)]).await;
    app.drain_jobs().await;
    let before = stored_figures(&app).await;
    let erased = app.db.write(async |tx| savannah::order::privacy::erase_guest(tx, "wanjiku@example.com").await).await;
    assert_eq!(erased.unwrap_or_else(|error| panic!("{}", error.log_message())).anonymized_ids.len(), 2);
    for id in 1..=3 {
        handle_events(&app, app.query_scalar(&format!("SELECT MIN(id) + {id} - 1 FROM orders")).await, false).await;
    }
    assert_eq!(stored_figures(&app).await, before);
    let texts = "SELECT count(*) FROM order_figure WHERE channel <> 'storefront' OR country <> 'KE'";
    assert_eq!(app.query_scalar(texts).await, 0);
    app.assert_invariants().await;
}

async fn direct_updates_of_contributions_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    place_guest_order(&app, "a", "wanjiku@example.com", &[(&mug, 1)]).await;
    app.drain_jobs().await;
    let second = "INSERT INTO order_figure (order_id, day, channel, country, orders, canceled_orders, units, new_customers, \
        returning_orders, gross_sales, discounts, shipping, tax, canceled_sales, total_sales, refunds, created_at) \
        SELECT order_id, day, channel, country, orders, canceled_orders, units, new_customers, returning_orders, gross_sales, \
        discounts, shipping, tax, canceled_sales, total_sales, refunds, created_at FROM order_figure";
    for sql in [
        "UPDATE order_figure SET units = 2",
        "UPDATE order_line_figure SET units = 2",
        "UPDATE daily_figure SET orders = orders - 2",
        "UPDATE daily_figure SET new_customers = 0",
        second,
    ] {
        assert!(app.execute_sql(sql).await.is_err(), "{sql}");
    }
    app.assert_invariants().await;
}
