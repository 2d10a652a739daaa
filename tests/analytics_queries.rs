//! Answers about daily figures: without gaps, in a constant number of statements, for staff only, also as CSV.

use chrono::TimeDelta;
use chrono_tz::Tz;
use reqwest::Method;
use savannah::{analytics::cart_figures, identity::Role};
use serde_json::{Value, json};

use crate::{
    analytics::{place_guest_order, set_time_zone},
    checkout::{expect_order, order_id},
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    series_has_no_gaps_and_adds_up_to_the_totals,
    statement_count_is_independent_of_the_period,
    figures_require_the_permission,
    invalid_periods_are_user_errors,
    csv_contains_the_figures_of_each_day,
    csv_with_invalid_requests_is_rejected,
    csv_cells_are_no_formulas,
];

const FIGURES: &str =
    "orders canceledOrders units newCustomers returningCustomerOrders grossSales discounts shipping tax
    canceledSales totalSales refunds netSales averageOrderValue";

fn build_query() -> String {
    format!(
        "query($from: Date!, $to: Date!, $interval: AnalyticsInterval) {{ analytics(from: $from, to: $to, interval: $interval) {{
            from to timeZone currency rebuildStartedAt totals {{ orders {{ {FIGURES} }} carts {{ carts orderedCarts conversion }} }}
            series {{ from to orders {{ {FIGURES} }} carts {{ carts orderedCarts conversion }} }}
            channels {{ channel apiKey {{ name }} orders {{ {FIGURES} }} }} countries {{ country orders {{ {FIGURES} }} }}
            bestSellers(first: 5) {{ product {{ slug }} units sales }} }} }}"
    )
}

async fn query_figures(app: &TestApp, staff: &str, period: (&str, &str), interval: &str) -> Value {
    let variables = json!({ "from": period.0, "to": period.1, "interval": interval });
    app.query_as(staff, &build_query(), variables).await.data_at("/analytics").clone()
}

/// A shop with orders on three days: one canceled, one refunded, one ordered from a cart.
async fn open_shop(backend: Backend) -> (TestApp, String) {
    let app = TestApp::start(backend).await;
    set_time_zone(&app, Tz::Africa__Nairobi).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let bowl = app.create_product("bowl", 25, Some(100)).await;
    let staff = app.login(Role::Staff).await;
    let canceled = place_guest_order(&app, "canceled", "amani@example.com", &[(&mug, 5)]).await;
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&canceled), None).await, "orderCancel");
    place_guest_order(&app, "plain", "wanjiku@example.com", &[(&mug, 1), (&bowl, 2)]).await;
    // 23:30 in UTC is the next day in Nairobi.
    app.clock.set(app.clock.now() + TimeDelta::minutes(14 * 60 + 30));
    let staff = app.login(Role::Staff).await;
    let cart = app.create_cart(None, &[(&bowl, 4)]).await;
    app.create_cart(None, &[(&bowl, 1)]).await;
    let placed = app.complete_checkout(None, "cart", &cart, json!({})).await;
    let order = expect_order(&placed, "checkoutComplete");
    for (mutation, input) in [
        ("orderConfirm", None),
        ("orderFulfill", Some(("OrderFulfillInput!", json!({ "idempotencyKey": "parcel" })))),
        ("orderCapture", None),
    ] {
        expect_order(&app.run_order_mutation(&staff, mutation, order_id(&order), input).await, mutation);
    }
    app.clock.set(app.clock.now() + TimeDelta::days(2));
    let staff = app.login(Role::Staff).await;
    let input = Some(("OrderRefundInput!", json!({ "idempotencyKey": "refund", "amount": "40.00" })));
    expect_order(&app.run_order_mutation(&staff, "orderRefund", order_id(&order), input).await, "orderRefund");
    app.drain_jobs().await;
    let counted = cart_figures::count_changed_carts(&app.db).await;
    counted.unwrap_or_else(|error| panic!("{}", error.log_message()));
    app.assert_invariants().await;
    (app, staff)
}

async fn series_has_no_gaps_and_adds_up_to_the_totals(backend: Backend) {
    let (app, staff) = open_shop(backend).await;
    let answer = query_figures(&app, &staff, ("2026-10-31", "2026-11-04"), "DAY").await;
    let list = |field: &str| -> Vec<Value> {
        answer["series"].as_array().expect("a list").iter().map(|part| part["orders"][field].clone()).collect()
    };
    assert_eq!(list("orders"), [json!(0), json!(1), json!(1), json!(0), json!(0)], "{answer:#}");
    assert_eq!(list("canceledOrders"), [json!(0), json!(1), json!(0), json!(0), json!(0)]);
    assert_eq!(list("units"), [json!(0), json!(3), json!(4), json!(0), json!(0)]);
    assert_eq!(list("newCustomers"), [json!(0), json!(2), json!(0), json!(0), json!(0)]);
    assert_eq!(list("returningCustomerOrders"), [json!(0), json!(0), json!(1), json!(0), json!(0)]);
    assert_eq!(list("totalSales"), ["0.00", "150.00", "100.00", "0.00", "0.00"].map(|amount| json!(amount)));
    assert_eq!(list("refunds"), ["0.00", "0.00", "0.00", "0.00", "40.00"].map(|amount| json!(amount)));
    assert_eq!(list("averageOrderValue"), [json!(null), json!("150.00"), json!("100.00"), json!(null), json!(null)]);
    let totals = &answer["totals"];
    assert_eq!(
        (&totals["orders"]["netSales"], &totals["orders"]["averageOrderValue"]),
        (&json!("210.00"), &json!("125.00"))
    );
    assert_eq!(totals["carts"], json!({ "carts": 2, "orderedCarts": 1, "conversion": "50.00" }));
    assert_eq!(answer["series"][2]["carts"], totals["carts"]);
    assert_eq!((&answer["timeZone"], &answer["currency"]), (&json!("Africa/Nairobi"), &json!("KES")));
    assert_eq!(
        (&answer["channels"][0]["channel"], &answer["countries"][0]["country"]),
        (&json!("storefront"), &json!("KE"))
    );
    assert_eq!(answer["channels"][0]["orders"], totals["orders"]);
    assert_eq!(answer["countries"][0]["orders"], totals["orders"]);
    let best_sellers = json!([{ "product": { "slug": "bowl" }, "units": 6, "sales": "150.00" },
        { "product": { "slug": "mug" }, "units": 1, "sales": "100.00" }]);
    assert_eq!(answer["bestSellers"], best_sellers);
    let months = query_figures(&app, &staff, ("2026-10-31", "2026-11-04"), "MONTH").await;
    let part = |index: usize| (months["series"][index]["from"].clone(), months["series"][index]["to"].clone());
    assert_eq!(
        [part(0), part(1)],
        [("2026-10-31", "2026-10-31"), ("2026-11-01", "2026-11-04")].map(|(from, to)| (json!(from), json!(to)))
    );
    assert_eq!(months["series"][1]["orders"], totals["orders"]);
    let weeks = query_figures(&app, &staff, ("2026-10-31", "2026-11-04"), "WEEK").await;
    assert_eq!(weeks["series"][0]["to"], json!("2026-11-01"));
    assert_eq!((weeks["series"].as_array().map(Vec::len), &weeks["totals"]), (Some(2), totals));
}

async fn statement_count_is_independent_of_the_period(backend: Backend) {
    let (app, staff) = open_shop(backend).await;
    let count = async |from: &str, to: &str, interval: &str| {
        let response =
            app.query_as(&staff, &build_query(), json!({ "from": from, "to": to, "interval": interval })).await;
        assert!(response.body.get("errors").is_none(), "{}", response.body);
        response.statements
    };
    let day = count("2026-11-01", "2026-11-01", "DAY").await;
    for (from, interval) in [("2026-10-01", "DAY"), ("2024-01-01", "DAY"), ("2024-01-01", "MONTH")] {
        assert_eq!(count(from, "2026-11-30", interval).await, day);
    }
    assert!(day <= 9, "{day}");
}

async fn figures_require_the_permission(backend: Backend) {
    let app = TestApp::start(backend).await;
    let variables = json!({ "from": "2026-11-01", "to": "2026-11-02" });
    let customer = app.login(Role::Customer).await;
    assert_eq!(app.query_as(&customer, &build_query(), variables.clone()).await.error_code(), "FORBIDDEN");
    assert_eq!(app.query_with_variables(&build_query(), variables.clone()).await.error_code(), "UNAUTHENTICATED");
    let admin = app.login(Role::Admin).await;
    let create_key = "mutation($permissions: [Permission!]!) { apiKeyCreate(input: { name: \"n\", permissions: $permissions }) { apiKey { key } } }";
    for (permission, is_allowed) in [("ANALYTICS_READ", true), ("ORDER_READ", false)] {
        let created = app.query_as(&admin, create_key, json!({ "permissions": [permission] })).await;
        let key = created.data_at("/apiKeyCreate/apiKey/key").as_str().expect("a key");
        let response = app.query_as(key, &build_query(), variables.clone()).await;
        assert_eq!(response.body.get("errors").is_none(), is_allowed, "{permission}: {}", response.body);
    }
}

async fn invalid_periods_are_user_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    for (from, to, message) in [
        ("2026-11-02", "2026-11-01", "before it begins"),
        ("2026-02-30", "2026-03-01", "day of the calendar"),
        ("2026-11-01", "27.11.2026", "day of the calendar"),
        ("2020-01-01", "2026-01-01", "at most 1100"),
        ("0001-01-01", "0001-01-02", "the year must be"),
        ("", "2026-11-01", "day of the calendar"),
    ] {
        let response = app.query_as(&staff, &build_query(), json!({ "from": from, "to": to })).await;
        assert_eq!(response.error_code(), "BAD_USER_INPUT", "{from} {to}");
        assert!(
            response.first_error()["message"].as_str().is_some_and(|text| text.contains(message)),
            "{}",
            response.body
        );
    }
    let query = "{ analytics(from: \"2026-11-01\", to: \"2026-11-02\") { bestSellers(first: 101) { units } } }";
    assert_eq!(app.query_as(&staff, query, json!({})).await.error_code(), "BAD_USER_INPUT");
}

async fn get_csv(app: &TestApp, token: Option<&str>, query: &str) -> HttpResponse {
    let request = app.build_request(Method::GET, &format!("/analytics.csv{query}"));
    HttpResponse::send(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

async fn csv_contains_the_figures_of_each_day(backend: Backend) {
    let (app, staff) = open_shop(backend).await;
    let response = get_csv(&app, Some(&staff), "?from=2024-06-01&to=2026-11-30").await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let expected = "day,time_zone,channel,country,currency,orders,canceled_orders,units,new_customers,returning_orders,gross_sales,discounts,shipping,tax,canceled_sales,total_sales,refunds,net_sales
2026-11-01,Africa/Nairobi,storefront,KE,KES,1,1,3,2,0,150.00,0.00,0.00,0.00,0.00,150.00,0.00,150.00
2026-11-02,Africa/Nairobi,storefront,KE,KES,1,0,4,0,1,100.00,0.00,0.00,0.00,0.00,100.00,0.00,100.00
2026-11-04,Africa/Nairobi,storefront,KE,KES,0,0,0,0,0,0.00,0.00,0.00,0.00,0.00,0.00,40.00,-40.00
";
    assert_eq!(response.text, expected);
}

async fn csv_with_invalid_requests_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (staff, customer) = (app.login(Role::Staff).await, app.login(Role::Customer).await);
    let period = "?from=2026-11-01&to=2026-11-02";
    for (token, query, status) in [
        (None, period, 401),
        (Some("nonsense"), period, 401),
        (Some(customer.as_str()), period, 403),
        (Some(staff.as_str()), "", 400),
        (Some(staff.as_str()), "?from=2026-11-01", 400),
        (Some(staff.as_str()), "?from=2026-11-03&to=2026-11-02", 400),
        (Some(staff.as_str()), "?from=2016-11-03&to=2026-11-02", 400),
        (Some(staff.as_str()), "?from=x&to=%00", 400),
        (Some(staff.as_str()), period, 200),
    ] {
        let response = get_csv(&app, token, query).await;
        assert_eq!(response.status, status, "{query}: {response:?}");
        if status != 200 {
            assert!(response.json()["error"]["code"].is_string(), "{response:?}");
        }
    }
}

async fn csv_cells_are_no_formulas(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let columns = "orders, canceled_orders, units, new_customers, returning_orders, gross_sales, discounts, shipping, tax, \
        canceled_sales, total_sales, refunds";
    // The application stores no such channel.
    let sql = format!(
        "INSERT INTO daily_figure (day, channel, country, {columns}) \
        VALUES ('2026-11-01', '=HYPERLINK(1)', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)"
    );
    app.execute_sql(&sql).await.expect("inserted");
    let response = get_csv(&app, Some(&staff), "?from=2026-11-01&to=2026-11-01").await;
    assert!(response.text.contains(",'=HYPERLINK(1),"), "{response:?}");
}
