//! Lists: orders and pages, compared with a model.

use serde_json::{Value, json};

use crate::{
    shop::{Backend, Shop, model::Wish, moment, simple},
    stories,
};

stories![
    every_order_pages_both_ways_as_the_model_has_it,
    a_category_pages_one_by_one,
    a_search_pages_by_relevance,
    what_comes_and_goes_between_pages_moves_nothing_else,
    a_page_of_none_still_knows_whether_there_is_more,
    arguments_that_cannot_be_are_named,
    cursors_that_are_not_of_this_list_are_refused,
    a_category_that_came_after_the_tree_was_read_is_looked_up_once,
];

const PAGE: &str =
    "query($first: Int, $after: String, $last: Int, $before: String, $filter: ProductFilter, $orderBy: ProductOrder) {
    products(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy) {
        edges { cursor node { slug } }
        nodes { slug }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}";

/// How a list is walked.
#[derive(Clone, Copy)]
struct Walk {
    field: &'static str,
    reverse: bool,
    backwards: bool,
    size: usize,
}

impl Walk {
    fn variables(self, wish: &Wish, cursor: &Value) -> Value {
        let mut variables =
            json!({ "filter": wish.json(), "orderBy": { "field": self.field, "reverse": self.reverse } });
        let (size, from) = if self.backwards { ("last", "before") } else { ("first", "after") };
        variables[size] = json!(self.size);
        variables[from] = cursor.clone();
        variables
    }

    /// One page: its slugs and the cursor to go on from, null at the end.
    async fn page(self, shop: &Shop, wish: &Wish, cursor: &Value) -> (Vec<String>, Value) {
        let answer = shop.ask_with(PAGE, self.variables(wish, cursor)).await;
        let slugs = answer.texts("/products/nodes", "slug");
        let edges = answer.at("/products/edges").as_array().expect("edges");
        let of_edges: Vec<_> = edges.iter().map(|edge| edge["node"]["slug"].as_str().expect("a slug")).collect();
        assert_eq!(of_edges, slugs);
        let info = answer.at("/products/pageInfo");
        assert_eq!(info["startCursor"], edges.first().map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!(info["endCursor"], edges.last().map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert!(slugs.len() <= self.size);
        let (came, more, end) = if self.backwards {
            (&info["hasNextPage"], &info["hasPreviousPage"], &info["startCursor"])
        } else {
            (&info["hasPreviousPage"], &info["hasNextPage"], &info["endCursor"])
        };
        assert_eq!(*came, json!(!cursor.is_null()));
        let more = more.as_bool().expect("a flag");
        assert!(!more || slugs.len() == self.size, "a page that is not full says there are more");
        (slugs, if more { end.clone() } else { Value::Null })
    }

    /// All pages joined, in the list's order.
    async fn all(self, shop: &Shop, wish: &Wish) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let (mut page, next) = self.page(shop, wish, &cursor).await;
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

async fn every_order_pages_both_ways_as_the_model_has_it(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    let wish = Wish::default();
    for field in ["BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
        for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = wish.slugs(&things, field, reverse);
            for size in [7, 100] {
                let walk = Walk { field, reverse, backwards, size };
                assert_eq!(walk.all(&shop, &wish).await, expected, "{field} {reverse} {backwards} {size}");
            }
        }
    }
    shop.settle().await;
}

async fn a_category_pages_one_by_one(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    let wishes = shop.categories().await.into_iter().map(|it| Wish { category: Some(it), ..Wish::default() });
    let most = |wish: &Wish| wish.of(&things).iter().filter(|thing| thing.category.len() > 1).count();
    let wish = wishes.filter(|wish| wish.of(&things).len() < 60).max_by_key(most).expect("a category");
    let count = wish.of(&things).len();
    assert!(count > 20, "{count} products will not do for this story");
    for field in ["BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
        for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
            let walk = Walk { field, reverse, backwards, size: 1 };
            let expected = wish.slugs(&things, field, reverse);
            assert_eq!(walk.all(&shop, &wish).await, expected, "{field} {reverse} {backwards}");
        }
    }
}

async fn a_search_pages_by_relevance(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    for search in ["cafe creme", "retouched", "un", "the"] {
        let wish = Wish { search: Some(search.into()), ..Wish::default() };
        assert!(!wish.of(&things).is_empty(), "nothing to find by {search}");
        for field in ["RELEVANCE", "BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
            for (reverse, backwards) in [(false, false), (false, true), (true, false), (true, true)] {
                let walk = Walk { field, reverse, backwards, size: 40 };
                let expected = wish.slugs(&things, field, reverse);
                assert_eq!(walk.all(&shop, &wish).await, expected, "{search} {field} {reverse} {backwards}");
            }
        }
    }
}

async fn what_comes_and_goes_between_pages_moves_nothing_else(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    let wish = Wish::default();
    for (round, field) in ["BEST_MATCH", "PRICE", "NAME", "NEWEST"].into_iter().enumerate() {
        let before = Walk { field, reverse: false, backwards: false, size: 100 }.all(&shop, &wish).await;
        assert!(before.len() > things.len() / 2);
        let walk = Walk { field, reverse: false, backwards: false, size: 50 };
        let (mut seen, mut cursor, mut gone) = (Vec::new(), Value::Null, Vec::new());
        for turn in 0.. {
            let (page, next) = walk.page(&shop, &wish, &cursor).await;
            seen.extend(page);
            if next.is_null() {
                break;
            }
            cursor = next;
            // The very product that the cursor stands on goes, and one further down; new ones come on both sides.
            let last = seen.last().cloned().expect("a product");
            let further = before.iter().position(|slug| *slug == last).and_then(|at| before.get(at + 5));
            for slug in [Some(&last), further].into_iter().flatten() {
                let sql = format!("UPDATE product SET status = 'archived' WHERE slug = '{slug}'");
                assert_eq!(shop.sql(&sql).await.expect("an update"), 1);
                gone.push(slug.clone());
            }
            let name = |letter: &str| simple(&format!("{letter}-{round}-{turn}"), &format!("{letter} new"), 1);
            let dear = simple(&format!("dear-{round}-{turn}"), "zz new", 9_000_000);
            shop.shelve(&[name("aa"), dear]).await;
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{field}: a product came twice");
        let stayed: Vec<_> = before.iter().filter(|slug| !gone.contains(slug)).collect();
        let shown: Vec<_> = seen.iter().filter(|slug| stayed.contains(slug)).collect();
        assert_eq!(shown, stayed, "{field}: what stayed is not all there, in its order");
    }
    shop.settle().await;
}

async fn a_page_of_none_still_knows_whether_there_is_more(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let ask = async |arguments: &str| {
        let query = format!(
            "{{ products({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage }} totalCount }} }}"
        );
        let answer = shop.ask(&query).await;
        assert_eq!(answer.at("/products/nodes"), &json!([]));
        (answer.at("/products/pageInfo").clone(), answer.at("/products/totalCount").clone())
    };
    let info = |next, previous| json!({ "hasNextPage": next, "hasPreviousPage": previous });
    assert_eq!(ask("first: 0").await, (info(true, false), json!(49)));
    assert_eq!(ask("last: 0").await, (info(false, true), json!(49)));
    assert_eq!(ask("first: 0, filter: { vendors: [\"nobody\"] }").await, (info(false, false), json!(0)));
}

async fn arguments_that_cannot_be_are_named(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let page = shop.ask("{ products(first: 1) { pageInfo { endCursor } } }").await;
    let cursor = page.at("/products/pageInfo/endCursor").as_str().expect("a cursor");
    let cases = [
        ("first: 101", "first"),
        ("first: -1", "first"),
        ("last: 101", "last"),
        ("last: -1", "last"),
        ("first: 1, last: 1", "last"),
        ("first: 1, before: \"CURSOR\"", "before"),
        ("last: 1, after: \"CURSOR\"", "after"),
        ("after: \"CURSOR\", before: \"CURSOR\"", "before"),
        ("orderBy: { field: RELEVANCE }", "orderBy.field"),
    ];
    for (arguments, field) in cases {
        let arguments = arguments.replace("CURSOR", cursor);
        shop.ask(&format!("{{ products({arguments}) {{ nodes {{ id }} }} }}")).await.blames(field);
    }
}

async fn cursors_that_are_not_of_this_list_are_refused(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query = "query($order: ProductOrder, $search: String) { products(first: 2, orderBy: $order, filter: { search: $search }) { pageInfo { endCursor } } }";
    let fields = ["BEST_MATCH", "PRICE", "NAME", "NEWEST"];
    let mut cursors = Vec::new();
    for field in fields {
        let answer = shop.ask_with(query, json!({ "order": { "field": field } })).await;
        cursors.push(answer.at("/products/pageInfo/endCursor").as_str().expect("a cursor").to_owned());
    }
    let answer = shop.ask_with(query, json!({ "order": { "field": "RELEVANCE" }, "search": "coffee" })).await;
    cursors.push(answer.at("/products/pageInfo/endCursor").as_str().expect("a cursor").to_owned());
    for (place, field) in fields.into_iter().enumerate() {
        for (other, cursor) in cursors.iter().enumerate().filter(|(other, _)| *other != place) {
            let ask = json!({ "orderBy": { "field": field }, "after": cursor });
            let answer = shop.ask_with(PAGE, ask).await;
            assert_eq!(answer.error()["extensions"]["field"], json!(["after"]), "{field} with the cursor of {other}");
        }
        let mut cut = cursors[place].clone();
        cut.pop();
        let long = "QUJD".repeat(2_000);
        for forged in ["", "x", "AAAA", "💥", "bjEfc2EAYg", "cA", cut.as_str(), long.as_str()] {
            for (size, from) in [("first", "after"), ("last", "before")] {
                let mut ask = json!({ "orderBy": { "field": field }, from: forged });
                ask[size] = json!(3);
                let answer = shop.ask_with(PAGE, ask).await;
                // A cursor with its last letter cut off may by chance still be one.
                if forged != cut || answer.body.get("errors").is_some() {
                    answer.blames(from);
                }
            }
        }
    }
}

async fn a_category_that_came_after_the_tree_was_read_is_looked_up_once(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let old = shop.app.shared.forest.current();
    shop.clock.set(moment("2026-12-01T00:00:00Z"));
    let new: Vec<_> = (0..30).map(|n| simple(&format!("new-{n}"), "New", 5)).collect();
    let elsewhere = shop.elsewhere().await;
    let currency = shop.app.shared.config.shop.currency;
    let saved = elsewhere.write(async |tx| savannah::catalog::save(tx, currency, &new).await).await;
    assert_eq!(saved.expect("saved").made, 30);
    elsewhere.close().await;
    assert!(old.find_slug("things").is_none());
    let query = "{ products(first: 30, orderBy: { field: NEWEST }) { nodes { category { name } } } }";
    let answer = shop.ask(query).await;
    assert!(
        answer.at("/products/nodes").as_array().expect("a list").iter().all(|one| one["category"]["name"] == "Things")
    );
    // The page, and the tree in three: is it another one, which one, what is in it.
    assert_eq!(answer.statements, 4);
    assert_eq!(shop.ask(query).await.statements, 1);
}
