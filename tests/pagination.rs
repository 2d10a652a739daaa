//! Lists: orders and pages, compared with a model.

use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, catalog_model::ModelFilter, parse_datetime, simple_product},
};

integration_tests![
    every_sort_order_pages_like_the_model_in_both_directions,
    category_pages_of_one_match_the_model,
    search_pages_by_relevance_match_the_model,
    changes_between_pages_do_not_move_other_products,
    empty_page_reports_page_info_and_total,
    invalid_page_arguments_are_rejected_with_their_name,
    cursors_of_another_list_are_rejected,
    category_created_after_tree_load_is_loaded_once,
];

const PRODUCTS_PAGE: &str =
    "query($first: Int, $after: String, $last: Int, $before: String, $filter: ProductFilter, $sort: ProductSort) {
    products(first: $first, after: $after, last: $last, before: $before, filter: $filter, sort: $sort) {
        edges { cursor node { slug } }
        nodes { slug }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}";

/// How a list is walked.
#[derive(Clone, Copy)]
struct PageWalk {
    field: &'static str,
    reverse: bool,
    backwards: bool,
    size: usize,
}

impl PageWalk {
    fn page_variables(self, filter: &ModelFilter, cursor: &Value) -> Value {
        let mut variables =
            json!({ "filter": filter.to_json(), "sort": { "field": self.field, "reverse": self.reverse } });
        let (size, from) = if self.backwards { ("last", "before") } else { ("first", "after") };
        variables[size] = json!(self.size);
        variables[from] = cursor.clone();
        variables
    }

    /// One page: its slugs and the cursor to go on from, null at the end.
    async fn fetch_page(self, app: &TestApp, filter: &ModelFilter, cursor: &Value) -> (Vec<String>, Value) {
        let response = app.query_with_variables(PRODUCTS_PAGE, self.page_variables(filter, cursor)).await;
        let slugs = response.strings_at("/products/nodes", "slug");
        let edges = response.data_at("/products/edges").as_array().expect("edges");
        let of_edges: Vec<_> = edges.iter().map(|edge| edge["node"]["slug"].as_str().expect("a slug")).collect();
        assert_eq!(of_edges, slugs);
        let info = response.data_at("/products/pageInfo");
        assert_eq!(info["startCursor"], edges.first().map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!(info["endCursor"], edges.last().map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert!(slugs.len() <= self.size);
        let (has_opposite, more, end_cursor) = if self.backwards {
            (&info["hasNextPage"], &info["hasPreviousPage"], &info["startCursor"])
        } else {
            (&info["hasPreviousPage"], &info["hasNextPage"], &info["endCursor"])
        };
        assert_eq!(*has_opposite, json!(!cursor.is_null()));
        let more = more.as_bool().expect("a flag");
        assert!(!more || slugs.len() == self.size, "a page that is not full says there are more");
        (slugs, if more { end_cursor.clone() } else { Value::Null })
    }

    /// All pages joined, in the list's order.
    async fn fetch_all_pages(self, app: &TestApp, filter: &ModelFilter) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let (mut page, next) = self.fetch_page(app, filter, &cursor).await;
            if self.backwards {
                page.append(&mut all);
                all = page;
            } else {
                all.append(&mut page);
            }
            if next.is_null() {
                return all;
            }
            cursor = next;
        }
    }
}

async fn every_sort_order_pages_like_the_model_in_both_directions(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let filter = ModelFilter::default();
    for field in ["BEST_MATCH", "PRICE", "NAME", "NEWEST", "UPDATED_AT", "BEST_SELLING", "DISCOUNT"] {
        for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = filter.sorted_slugs(&products, field, reverse);
            for size in [7, 100] {
                let walk = PageWalk { field, reverse, backwards, size };
                assert_eq!(walk.fetch_all_pages(&app, &filter).await, expected, "{field} {reverse} {backwards} {size}");
            }
        }
    }
    app.run_pending_jobs().await;
}

async fn category_pages_of_one_match_the_model(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let filters = app
        .query_category_paths()
        .await
        .into_iter()
        .map(|category| ModelFilter { category: Some(category), ..ModelFilter::default() });
    let count_categorized = |filter: &ModelFilter| {
        filter.matching_products(&products).iter().filter(|product| product.category.len() > 1).count()
    };
    let filter = filters
        .filter(|filter| filter.matching_products(&products).len() < 60)
        .max_by_key(count_categorized)
        .expect("a category");
    let count = filter.matching_products(&products).len();
    assert!(count > 20, "{count} products are too few for this test");
    for field in ["BEST_MATCH", "PRICE", "NAME", "NEWEST", "UPDATED_AT", "BEST_SELLING", "DISCOUNT"] {
        for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
            let walk = PageWalk { field, reverse, backwards, size: 1 };
            let expected = filter.sorted_slugs(&products, field, reverse);
            assert_eq!(walk.fetch_all_pages(&app, &filter).await, expected, "{field} {reverse} {backwards}");
        }
    }
}

async fn search_pages_by_relevance_match_the_model(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    for search in ["cafe creme", "retouched", "un", "the"] {
        let filter = ModelFilter { search: Some(search.into()), ..ModelFilter::default() };
        assert!(!filter.matching_products(&products).is_empty(), "nothing to find by {search}");
        for field in ["RELEVANCE", "BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
            for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
                let walk = PageWalk { field, reverse, backwards, size: 40 };
                let expected = filter.sorted_slugs(&products, field, reverse);
                assert_eq!(
                    walk.fetch_all_pages(&app, &filter).await,
                    expected,
                    "{search} {field} {reverse} {backwards}"
                );
            }
        }
    }
}

async fn changes_between_pages_do_not_move_other_products(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let filter = ModelFilter::default();
    for (round, field) in
        ["BEST_MATCH", "PRICE", "NAME", "NEWEST", "UPDATED_AT", "BEST_SELLING", "DISCOUNT"].into_iter().enumerate()
    {
        let before =
            PageWalk { field, reverse: false, backwards: false, size: 100 }.fetch_all_pages(&app, &filter).await;
        assert!(before.len() > products.len() / 2);
        let walk = PageWalk { field, reverse: false, backwards: false, size: 50 };
        let (mut seen_slugs, mut cursor, mut removed_slugs) = (Vec::new(), Value::Null, Vec::new());
        for page_number in 0.. {
            let (page, next) = walk.fetch_page(&app, &filter, &cursor).await;
            seen_slugs.extend(page);
            if next.is_null() {
                break;
            }
            cursor = next;
            // The very product that the cursor stands on goes, and one further down; new ones come on both sides.
            let last = seen_slugs.last().cloned().expect("a product");
            let next_slug = before.iter().position(|slug| *slug == last).and_then(|position| before.get(position + 5));
            for slug in [Some(&last), next_slug].into_iter().flatten() {
                let sql = format!("UPDATE product SET status = 'archived' WHERE slug = '{slug}'");
                assert_eq!(app.execute_sql(&sql).await.expect("an update"), 1);
                removed_slugs.push(slug.clone());
            }
            let name =
                |prefix: &str| simple_product(&format!("{prefix}-{round}-{page_number}"), &format!("{prefix} new"), 1);
            let expensive_product = simple_product(&format!("dear-{round}-{page_number}"), "zz new", 9_000_000);
            app.save_products(&[name("aa"), expensive_product]).await;
        }
        let mut unique = seen_slugs.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), seen_slugs.len(), "{field}: a product came twice");
        let remaining: Vec<_> = before.iter().filter(|slug| !removed_slugs.contains(slug)).collect();
        let visible: Vec<_> = seen_slugs.iter().filter(|slug| remaining.contains(slug)).collect();
        assert_eq!(visible, remaining, "{field}: what stayed is not all there, in its order");
    }
    app.run_pending_jobs().await;
}

async fn empty_page_reports_page_info_and_total(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query_page = async |arguments: &str| {
        let query = format!(
            "{{ products({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage }} totalCount }} }}"
        );
        let response = app.query(&query).await;
        assert_eq!(response.data_at("/products/nodes"), &json!([]));
        (response.data_at("/products/pageInfo").clone(), response.data_at("/products/totalCount").clone())
    };
    let info = |next, previous| json!({ "hasNextPage": next, "hasPreviousPage": previous });
    assert_eq!(query_page("first: 0").await, (info(true, false), json!(49)));
    assert_eq!(query_page("last: 0").await, (info(false, true), json!(49)));
    assert_eq!(query_page("first: 0, filter: { vendors: [\"nobody\"] }").await, (info(false, false), json!(0)));
}

async fn invalid_page_arguments_are_rejected_with_their_name(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let page = app.query("{ products(first: 1) { pageInfo { endCursor } } }").await;
    let cursor = page.data_at("/products/pageInfo/endCursor").as_str().expect("a cursor");
    let cases = [
        ("first: 101", "first"),
        ("first: -1", "first"),
        ("last: 101", "last"),
        ("last: -1", "last"),
        ("first: 1, last: 1", "last"),
        ("first: 1, before: \"CURSOR\"", "before"),
        ("last: 1, after: \"CURSOR\"", "after"),
        ("after: \"CURSOR\", before: \"CURSOR\"", "before"),
        ("sort: { field: RELEVANCE }", "sort.field"),
    ];
    for (arguments, field) in cases {
        let arguments = arguments.replace("CURSOR", cursor);
        app.query(&format!("{{ products({arguments}) {{ nodes {{ id }} }} }}")).await.assert_error_field(field);
    }
}

async fn cursors_of_another_list_are_rejected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($order: ProductSort, $search: String) { products(first: 2, sort: $order, filter: { search: $search }) { pageInfo { endCursor } } }";
    let fields = ["BEST_MATCH", "PRICE", "NAME", "NEWEST", "UPDATED_AT", "BEST_SELLING", "DISCOUNT"];
    let mut cursors = Vec::new();
    for field in fields {
        let response = app.query_with_variables(query, json!({ "order": { "field": field } })).await;
        cursors.push(response.data_at("/products/pageInfo/endCursor").as_str().expect("a cursor").to_owned());
    }
    let response =
        app.query_with_variables(query, json!({ "order": { "field": "RELEVANCE" }, "search": "coffee" })).await;
    cursors.push(response.data_at("/products/pageInfo/endCursor").as_str().expect("a cursor").to_owned());
    for (index, field) in fields.into_iter().enumerate() {
        for (other, cursor) in cursors.iter().enumerate().filter(|(other, _)| *other != index) {
            let variables = json!({ "sort": { "field": field }, "after": cursor });
            let response = app.query_with_variables(PRODUCTS_PAGE, variables).await;
            assert_eq!(
                response.first_error()["extensions"]["field"],
                json!(["after"]),
                "{field} with the cursor of {other}"
            );
        }
        let mut cut = cursors[index].clone();
        cut.pop();
        let long = "QUJD".repeat(2_000);
        for forged in ["", "x", "AAAA", "💥", "bjEfc2EAYg", "cA", cut.as_str(), long.as_str()] {
            for (size, from) in [("first", "after"), ("last", "before")] {
                let mut variables = json!({ "sort": { "field": field }, from: forged });
                variables[size] = json!(3);
                let response = app.query_with_variables(PRODUCTS_PAGE, variables).await;
                // A cursor with its last letter cut off may by chance still be one.
                if forged != cut || response.body.get("errors").is_some() {
                    response.assert_error_field(from);
                }
            }
        }
    }
}

async fn category_created_after_tree_load_is_loaded_once(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let old = app.http_app.state.category_tree_cache.current();
    app.clock.set(parse_datetime("2026-12-01T00:00:00Z"));
    let new: Vec<_> = (0..30).map(|n| simple_product(&format!("new-{n}"), "New", 5)).collect();
    let second_db = app.open_second_database().await;
    let currency = app.http_app.state.config.shop.currency;
    let saved = second_db.write(async |tx| savannah::inventory::import_products(tx, currency, &new).await).await;
    assert_eq!(saved.expect("saved").created(), 30);
    second_db.close().await;
    assert!(old.find_index_by_slug("things").is_none());
    let query = "{ products(first: 30, sort: { field: NEWEST }) { nodes { category { name } } } }";
    let response = app.query(query).await;
    assert!(
        response
            .data_at("/products/nodes")
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["category"]["name"] == "Things")
    );
    // The page, and the tree in three: is it another one, which one, what is in it.
    assert_eq!(response.statements, 4);
    assert_eq!(app.query(query).await.statements, 1);
}
