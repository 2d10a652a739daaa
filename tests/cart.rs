//! What shoppers choose: lines of a cart, by guests and by customers, one after the other and at once.

use futures_util::future::join_all;
use savannah::{
    catalog::{ProductDraft, Status},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, held, simple, wishes},
    stories,
};

stories![
    a_guest_fills_and_empties_a_cart,
    the_same_variant_twice_is_one_line,
    what_cannot_be_added_is_told_and_nothing_is,
    no_more_than_are_left,
    two_hundred_lines_are_enough,
    a_line_costs_the_same_in_a_full_cart,
    twenty_adds_at_once_are_twenty_more,
    a_customer_has_one_open_cart_on_every_device,
    nobody_reaches_anothers_cart,
    a_cart_that_has_ended_is_changed_no_more,
    a_cart_says_what_stands_in_the_way,
    who_was_faster_is_told,
];

const REMOVE: &str = "mutation($id: ID!, $variants: [ID!]!) { cartLinesRemove(id: $id, variantIds: $variants) {
    cart { version itemCount lines { sku quantity } } userErrors { code field } } }";
const CLEAR: &str =
    "mutation($id: ID!) { cartClear(id: $id) { cart { version itemCount } userErrors { code field } } }";

fn told(answer: &Answer, mutation: &str) -> Vec<(String, String)> {
    answer.problems(mutation)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

fn skus(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

async fn a_guest_fills_and_empties_a_cart(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 10, Some(5)).await, shop.good("bowl", 20, Some(5)).await);
    let id = shop.cart(None, &[]).await;
    assert_eq!((id.len(), shop.see_cart(None, &id).await["version"].clone()), (43, json!(1)));
    let added = shop.cart_lines(None, "cartLinesAdd", &id, &[(&bowl, 2), (&mug, 1)]).await;
    let cart = added.at("/cartLinesAdd/cart");
    assert_eq!(
        (held(cart), &cart["version"], &cart["itemCount"]),
        (skus(&[("BOWL", 2), ("MUG", 1)]), &json!(2), &json!(3))
    );
    let set = shop.cart_lines(None, "cartLinesUpdate", &id, &[(&mug, 4)]).await;
    assert_eq!(held(set.at("/cartLinesUpdate/cart")), skus(&[("BOWL", 2), ("MUG", 4)]));
    // What says nothing new changes nothing.
    let again = shop.cart_lines(None, "cartLinesUpdate", &id, &[(&mug, 4)]).await;
    assert_eq!(again.at("/cartLinesUpdate/cart/version"), &json!(3));
    let remove = async |variants: Value| shop.ask_with(REMOVE, json!({ "id": id, "variants": variants })).await;
    let removed = remove(json!([bowl])).await;
    assert_eq!(held(removed.at("/cartLinesRemove/cart")), skus(&[("MUG", 4)]));
    assert_eq!(remove(json!([bowl])).await.at("/cartLinesRemove/cart/version"), &json!(4));
    let cleared = shop.ask_with(CLEAR, json!({ "id": id })).await;
    assert_eq!(cleared.at("/cartClear/cart"), &json!({ "version": 5, "itemCount": 0 }));
    assert_eq!(shop.see_cart(None, &id).await["lines"], json!([]));
}

async fn the_same_variant_twice_is_one_line(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(5)).await;
    let id = shop.cart(None, &[(&mug, 1), (&mug, 1)]).await;
    let added = shop.cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1), (&mug, 1)]).await;
    assert_eq!(held(added.at("/cartLinesAdd/cart")), skus(&[("MUG", 4)]));
    // Together they are too many, though each alone is not.
    let added = shop.cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1), (&mug, 1)]).await;
    assert_eq!(told(&added, "cartLinesAdd"), pairs(&[("INSUFFICIENT_STOCK", "lines.1.quantity")]));
    assert_eq!(shop.number("SELECT count(*) FROM cart_line").await, 1);
    assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, 4);
}

async fn what_cannot_be_added_is_told_and_nothing_is(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, None).await;
    let draft = ProductDraft { status: Some(Status::Draft), ..simple("draft", "Draft", 10) };
    let archived = ProductDraft { status: Some(Status::Archived), ..simple("old", "Old", 10) };
    shop.shelve(&[draft, archived, simple("gone", "Gone", 10)]).await;
    shop.sql("UPDATE variant SET deleted_at = created_at WHERE sku = 'GONE'").await.expect("a deletion");
    let ids = [shop.variant_id("DRAFT").await, shop.variant_id("OLD").await, shop.variant_id("GONE").await];
    let id = shop.cart(None, &[(&mug, 1)]).await;
    let before = shop.see_cart(None, &id).await;
    let unknown = "UHJvZHVjdFZhcmlhbnQ6OTk5OTk5";
    let wrong: [(&str, i64, &str, &str); 11] = [
        (&mug, 0, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, -1, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, 10_001, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, 10_000, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, 1 << 31, "VALIDATION_ERROR", "lines.0.quantity"),
        (&mug, i64::MAX, "VALIDATION_ERROR", "lines.0.quantity"),
        (&ids[0], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (&ids[1], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (&ids[2], 1, "PRODUCT_NOT_AVAILABLE", "lines.0.variantId"),
        (unknown, 1, "NOT_FOUND", "lines.0.variantId"),
        ("Q2F0ZWdvcnk6MQ", 1, "VALIDATION_ERROR", "lines.0.variantId"),
    ];
    for (variant, quantity, code, field) in wrong {
        let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[(variant, quantity)]).await;
        assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[(code, field)]), "{variant} {quantity}");
        assert_eq!(answer.at("/cartLinesAdd/cart"), &Value::Null);
    }
    // Everything that is wrong is told at once, and what is right is not added either.
    let lines = [(mug.as_str(), 1), (unknown, 1), (&ids[0], 1), (&mug, 0)];
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &lines).await;
    let expected = [
        ("NOT_FOUND", "lines.1.variantId"),
        ("PRODUCT_NOT_AVAILABLE", "lines.2.variantId"),
        ("VALIDATION_ERROR", "lines.3.quantity"),
    ];
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&expected));
    let create =
        "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } userErrors { code field } } }";
    let answer = shop.ask_with(create, json!({ "input": { "lines": wishes(&[(&mug, 0)]) } })).await;
    assert_eq!(told(&answer, "cartCreate"), pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")]));
    let bowl = shop.good("bowl", 20, Some(5)).await;
    let answer = shop.cart_lines(None, "cartLinesUpdate", &id, &[(&bowl, 1)]).await;
    assert_eq!(told(&answer, "cartLinesUpdate"), pairs(&[("NOT_FOUND", "lines.0.variantId")]));
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("VALIDATION_ERROR", "lines")]));
    assert_eq!(shop.see_cart(None, &id).await, before);
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 1);
    for word in ["", "x", &id[1..], &format!("{id}x"), &"ü".repeat(43), "' OR 1 = 1 --"] {
        assert_eq!(shop.see_cart(None, word).await, Value::Null);
        let answer = shop.cart_lines(None, "cartLinesAdd", word, &[(&mug, 1)]).await;
        assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("NOT_FOUND", "id")]), "{word}");
    }
}

async fn no_more_than_are_left(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, free) = (shop.good("mug", 10, Some(3)).await, shop.good("free", 10, None).await);
    let late = shop.good("late", 10, Some(0)).await;
    let id = shop.cart(None, &[(&mug, 2)]).await;
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[(&mug, 2)]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("INSUFFICIENT_STOCK", "lines.0.quantity")]));
    let message = answer.at("/cartLinesAdd/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("only 3 are left"), "{message}");
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[(&late, 1)]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("INSUFFICIENT_STOCK", "lines.0.quantity")]));
    // What is not counted, or may be ordered before it is there, is never short.
    shop.sql("UPDATE variant SET backorder = true WHERE sku = 'LATE'").await.expect("a change");
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[(&late, 7), (&free, 10_000)]).await;
    assert_eq!(held(answer.at("/cartLinesAdd/cart")), skus(&[("MUG", 2), ("LATE", 7), ("FREE", 10_000)]));
}

/// So many products, and the ids of their variants.
async fn many(shop: &Shop, count: usize) -> Vec<String> {
    let slugs: Vec<String> = (0..count).map(|number| format!("thing-{number:03}")).collect();
    let drafts: Vec<_> = slugs.iter().map(|slug| simple(slug, slug, 10)).collect();
    shop.shelve(&drafts).await;
    join_all(slugs.iter().map(|slug| async { shop.variant_id(&slug.to_uppercase()).await })).await
}

async fn two_hundred_lines_are_enough(backend: Backend) {
    let shop = Shop::open(backend).await;
    let ids = many(&shop, 201).await;
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let id = shop.cart(None, &lines[..200]).await;
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &lines[200..]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("VALIDATION_ERROR", "lines")]));
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &lines).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("VALIDATION_ERROR", "lines")]));
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &lines[..200]).await;
    let cart = answer.at("/cartLinesAdd/cart");
    assert_eq!(cart["itemCount"], 400);
    let expected: Vec<_> = (0..200).map(|number| (format!("THING-{number:03}"), 2)).collect();
    assert_eq!(held(cart), expected, "lines stay where they were put");
}

async fn a_line_costs_the_same_in_a_full_cart(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let ids = many(&shop, 102).await;
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let (small, full) = (shop.cart(None, &lines[..1]).await, shop.cart(None, &lines[..100]).await);
    let query = "mutation($id: ID!, $lines: [CartLineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { cart {
        lines { quantity unitPrice } itemCount } userErrors { code } } }";
    let whole = "mutation($id: ID!, $lines: [CartLineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { cart {
        lines { quantity total tax variant { name } } subtotal total problems { code } availableShippingMethods { price } }
        userErrors { code } } }";
    let see = "query($id: ID!) { cart(id: $id) { lines { total variant { sku } } total problems { code } } }";
    // SQLite cannot write the lines and the cart in one statement.
    let more = u64::from(backend == Backend::Sqlite);
    for (query, expected) in [(query, 3 + more), (whole, 6 + more), (see, 5)] {
        let ask = async |id: &str, lines: &[(&str, i64)]| {
            let answer = shop.ask_with(query, json!({ "id": id, "lines": wishes(lines) })).await;
            assert!(answer.body.get("errors").is_none(), "{}", answer.body);
            answer.statements
        };
        let costs = [ask(&small, &lines[101..]).await, ask(&full, &lines[101..]).await, ask(&full, &lines[..50]).await];
        assert_eq!(costs, [expected; 3], "{query}");
    }
}

async fn twenty_adds_at_once_are_twenty_more(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 10, Some(30)).await, shop.good("bowl", 10, Some(30)).await);
    let id = shop.cart(None, &[(&mug, 1)]).await;
    let add = |number: usize| {
        let (shop, id, mug, bowl) = (&shop, &id, &mug, &bowl);
        async move {
            // Every other one names them in the other order.
            let lines = [(mug.as_str(), 1), (bowl.as_str(), 1)];
            let lines = if number.is_multiple_of(2) { lines } else { [lines[1], lines[0]] };
            let answer = shop.cart_lines(None, "cartLinesAdd", id, &lines).await;
            assert_eq!(told(&answer, "cartLinesAdd"), [], "{}", answer.body);
        }
    };
    join_all((0..20).map(add)).await;
    let cart = shop.see_cart(None, &id).await;
    assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, 41);
    assert_eq!((cart["version"].clone(), cart["itemCount"].clone()), (json!(22), json!(41)));
    // The last ones race for what is left: 9 more mugs.
    let race =
        join_all((0..20).map(|_| async { shop.cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1)]).await })).await;
    let taken = race.iter().filter(|answer| told(answer, "cartLinesAdd").is_empty()).count();
    assert_eq!(taken, 9);
}

async fn a_customer_has_one_open_cart_on_every_device(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let token = shop.sign_in(Role::Customer).await;
    let mine = "{ me { cart { id itemCount } } }";
    assert_eq!(shop.ask_as(&token, mine, json!({})).await.at("/me/cart"), &Value::Null);
    let (token, mug) = (Some(token.as_str()), mug.as_str());
    let made = join_all((0..10).map(|_| async { shop.cart(token, &[(mug, 1)]).await })).await;
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, 1);
    let seen = shop.ask_maybe(token, mine, json!({})).await;
    assert_eq!(seen.at("/me/cart"), &json!({ "id": made[0], "itemCount": 10 }));
    // Staff see who the customer is, and not what is in the cart of somebody else's account by this way.
    let staff = shop.sign_in(Role::Staff).await;
    let all = shop.ask_as(&staff, "{ customers { nodes { cart { id } } } }", json!({})).await;
    assert!(all.at("/customers/nodes").as_array().expect("a list").iter().all(|one| one["cart"].is_null()));
    assert_eq!(shop.see_cart(Some(&staff), &made[0]).await["id"], json!(made[0]));
}

async fn nobody_reaches_anothers_cart(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let (mine, theirs) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let id = shop.cart(Some(&theirs), &[(&mug, 1)]).await;
    let before = shop.see_cart(Some(&theirs), &id).await;
    let staff = shop.sign_in(Role::Staff).await;
    let rest = [
        "cartClear(id: $id)",
        "cartLinesRemove(id: $id, variantIds: [])",
        "cartNoteSet(id: $id, note: \"mine\")",
        "cartContactSet(id: $id, input: { email: \"mine@example.com\" })",
        "cartShippingMethodSet(id: $id)",
        "cartAddressSet(id: $id, input: { shipping: null })",
    ];
    for token in [None, Some(mine.as_str()), Some(staff.as_str())] {
        let answer = shop.cart_lines(token, "cartLinesAdd", &id, &[(&mug, 1)]).await;
        assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("NOT_FOUND", "id")]));
        for call in rest {
            let query = format!("mutation($id: ID!) {{ it: {call} {{ cart {{ id }} userErrors {{ code field }} }} }}");
            let answer = shop.ask_maybe(token, &query, json!({ "id": id })).await;
            assert_eq!(told(&answer, "it"), pairs(&[("NOT_FOUND", "id")]), "{call}");
        }
    }
    let merge = "mutation($id: ID!) { cartMerge(id: $id) { userErrors { code field } } }";
    let answer = shop.ask_as(&mine, merge, json!({ "id": id })).await;
    assert_eq!(told(&answer, "cartMerge"), pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(shop.see_cart(Some(&mine), &id).await, Value::Null);
    assert_eq!(shop.see_cart(None, &id).await, Value::Null);
    assert_eq!(shop.see_cart(Some(&theirs), &id).await, before);
    // A guest's opens to whoever has its id.
    let guest = shop.cart(None, &[]).await;
    let answer = shop.cart_lines(Some(&mine), "cartLinesAdd", &guest, &[(&mug, 1)]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), []);
}

async fn a_cart_that_has_ended_is_changed_no_more(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let id = shop.cart(None, &[(&mug, 1)]).await;
    shop.sql("UPDATE cart SET state = 'ordered', order_id = 7").await.expect("an order");
    let answer = shop.cart_lines(None, "cartLinesAdd", &id, &[(&mug, 1)]).await;
    assert_eq!(told(&answer, "cartLinesAdd"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let answer = shop.ask_with(CLEAR, json!({ "id": id })).await;
    assert_eq!(told(&answer, "cartClear"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let cart = shop.see_cart(None, &id).await;
    assert_eq!((cart["state"].clone(), held(&cart)), (json!("ORDERED"), skus(&[("MUG", 1)])));
}

async fn a_cart_says_what_stands_in_the_way(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut ids = Vec::new();
    for slug in ["fine", "gone", "none", "few", "dear", "both"] {
        ids.push(shop.good(slug, 10, Some(9)).await);
    }
    let lines: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 3)).collect();
    let id = shop.cart(None, &lines).await;
    assert_eq!(shop.see_cart(None, &id).await["problems"], json!([]));
    for sql in [
        "UPDATE product SET status = 'archived' WHERE slug = 'gone'",
        "UPDATE inventory SET on_hand = 0 WHERE variant_id = (SELECT id FROM variant WHERE sku = 'NONE')",
        "UPDATE inventory SET on_hand = 2 WHERE variant_id IN (SELECT id FROM variant WHERE sku IN ('FEW', 'BOTH'))",
        "UPDATE variant SET price = 1250 WHERE sku IN ('DEAR', 'BOTH')",
    ] {
        shop.sql(sql).await.expect("a change");
    }
    let cart = shop.see_cart(None, &id).await;
    let short = |one: &Value| json!([one["code"], one["variantId"], one["left"], one["priceBefore"], one["priceNow"]]);
    let problems: Vec<Value> = cart["problems"].as_array().expect("a list").iter().map(short).collect();
    let expected = [
        json!(["PRODUCT_NOT_AVAILABLE", ids[1], null, null, null]),
        json!(["SOLD_OUT", ids[2], 0, null, null]),
        json!(["INSUFFICIENT_STOCK", ids[3], 2, null, null]),
        json!(["PRICE_CHANGED", ids[4], null, "10.00", "12.50"]),
        json!(["INSUFFICIENT_STOCK", ids[5], 2, null, null]),
        json!(["PRICE_CHANGED", ids[5], null, "10.00", "12.50"]),
    ];
    assert_eq!(problems, expected);
    // What is in the way of other lines is not in the way of this one.
    let added = shop.cart_lines(None, "cartLinesAdd", &id, &[(&ids[0], 1)]).await;
    assert_eq!(told(&added, "cartLinesAdd"), []);
    // Setting a line again says that its price is known.
    let set = shop.cart_lines(None, "cartLinesUpdate", &id, &[(&ids[4], 3), (&ids[5], 2)]).await;
    let codes = set.texts("/cartLinesUpdate/cart/problems", "code");
    assert_eq!(codes, ["PRODUCT_NOT_AVAILABLE", "SOLD_OUT", "INSUFFICIENT_STOCK"]);
}

async fn who_was_faster_is_told(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let id = shop.cart(None, &[(&mug, 1)]).await;
    let version = shop.see_cart(None, &id).await["version"].clone();
    let query = "mutation($id: ID!, $lines: [CartLineInput!]!, $version: Int) {
        cartLinesAdd(id: $id, lines: $lines, expectedVersion: $version) { cart { version } userErrors { code field } } }";
    let variables = json!({ "id": id, "lines": wishes(&[(&mug, 1)]), "version": version });
    let (one, other) = tokio::join!(shop.ask_with(query, variables.clone()), shop.ask_with(query, variables));
    let mut said = [told(&one, "cartLinesAdd"), told(&other, "cartLinesAdd")];
    said.sort();
    assert_eq!(said, [pairs(&[]), pairs(&[("VERSION_CONFLICT", "expectedVersion")])]);
    assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, 2);
}
