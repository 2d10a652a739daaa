//! What a cart comes to: sales, taxes by country and category, shipping; always the shop's own prices.

use savannah::{
    base::{GlobalId, id::Kind},
    catalog::Sale,
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    customers::{add_address, home},
    shop::{Backend, Shop, TOTALS, moment, simple},
    stories,
};

stories![
    a_cart_is_priced_by_the_shop,
    prices_follow_sales_by_the_clock,
    the_nearest_categorys_tax_counts,
    tax_is_that_of_the_country_it_goes_to,
    what_is_said_of_a_cart_is_checked,
    shipping_is_chosen_and_told_when_it_no_longer_fits,
];

const ADDRESS: &str = "mutation($id: ID!, $input: CartAddressInput!) { cartAddressSet(id: $id, input: $input) {
    cart { version shippingAddress { city phone country } billingAddress { city } tax } userErrors { code field } } }";
const METHOD: &str = "mutation($id: ID!, $method: ID) { cartShippingMethodSet(id: $id, shippingMethodId: $method) {
    cart { shipping shippingMethod { method { name } price } total } userErrors { code field message } } }";

/// Rates, straight into the table: country, category, basis points, included.
async fn tax(shop: &Shop, country: &str, category: Option<&str>, points: i32, included: bool) {
    let category =
        category.map_or("NULL".to_owned(), |slug| format!("(SELECT id FROM category WHERE slug = '{slug}')"));
    let sql = format!(
        "INSERT INTO tax_rate (country_code, category_id, name, basis_points, included, version, created_at, updated_at)
         VALUES ('{country}', {category}, 'VAT', {points}, {included}, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    );
    shop.sql(&sql).await.expect("a rate");
}

async fn totals(shop: &Shop, id: &str) -> Value {
    let cart = shop.see_cart(None, id).await;
    let names: Vec<&str> = TOTALS.split(' ').filter(|name| *name != "currency").collect();
    names.iter().map(|name| cart[*name].clone()).collect()
}

async fn a_cart_is_priced_by_the_shop(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let mut mug = simple("mug", "Mug", 100);
    mug.variants[0].sale = Some(Some(Sale { price: 75.into(), starts_at: None, ends_at: None }));
    mug.variants[0].weight_grams = Some(400);
    shop.shelve(&[mug]).await;
    let (mug, bowl) = (shop.variant_id("MUG").await, shop.good("bowl", 33, Some(9)).await);
    let id = shop.cart(None, &[(&mug, 2), (&bowl, 1)]).await;
    // 16 % in 150 and in 33: 20.69 and 4.55.
    assert_eq!(totals(&shop, &id).await, json!(["233.00", "50.00", "0.00", "25.24", "25.24", "183.00"]));
    let ways = "query($id: ID!) { cart(id: $id) { weightGrams availableShippingMethods { method { id name } price
        taxRate { name percent included } } lines { listTotal discount tax total taxRate { percent } listPrice unitPrice } } }";
    let answer = shop.ask_with(ways, json!({ "id": id })).await;
    let cart = answer.at("/cart");
    let line = json!({ "listTotal": "200.00", "discount": "50.00", "tax": "20.69", "total": "150.00",
        "taxRate": { "percent": "16.00" }, "listPrice": "100.00", "unitPrice": "75.00" });
    assert_eq!((&cart["lines"][0], &cart["weightGrams"]), (&line, &json!(800)));
    let ways = &cart["availableShippingMethods"];
    let price = |at: usize| (ways[at]["method"]["name"].clone(), ways[at]["price"].clone());
    assert_eq!([price(0), price(1)], [(json!("Standard"), json!("350.00")), (json!("Courier"), json!("400.00"))]);
    assert_eq!(ways[0]["taxRate"], json!({ "name": "VAT", "percent": "16.00", "included": true }));
    let chosen = shop.ask_with(METHOD, json!({ "id": id, "method": ways[1]["method"]["id"] })).await;
    let cart = chosen.at("/cartShippingMethodSet/cart");
    assert_eq!((&cart["shipping"], &cart["total"]), (&json!("400.00"), &json!("583.00")));
    assert_eq!(totals(&shop, &id).await, json!(["233.00", "50.00", "400.00", "80.41", "80.41", "583.00"]));
    // A parcel of enough worth travels free by the standard way.
    let standard = shop.ask_with(METHOD, json!({ "id": id, "method": ways[0]["method"]["id"] })).await;
    assert_eq!(standard.at("/cartShippingMethodSet/cart/shipping"), "350.00");
    shop.sql("UPDATE variant SET price = 1000000 WHERE sku = 'BOWL'").await.expect("a price");
    assert_eq!(totals(&shop, &id).await[2], "0.00");
}

async fn prices_follow_sales_by_the_clock(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (starts, ends) = (moment("2026-11-27T00:00:00Z"), moment("2026-11-30T00:00:00Z"));
    let mut mug = simple("mug", "Mug", 100);
    mug.variants[0].sale = Some(Some(Sale { price: 60.into(), starts_at: Some(starts), ends_at: Some(ends) }));
    shop.shelve(&[mug]).await;
    let id = shop.cart(None, &[(&shop.variant_id("MUG").await, 1)]).await;
    let seen = async || {
        let cart = shop.see_cart(None, &id).await;
        (cart["total"].clone(), cart["problems"][0]["code"].clone())
    };
    assert_eq!(seen().await, (json!("100.00"), Value::Null));
    shop.clock.set(starts);
    assert_eq!(seen().await, (json!("60.00"), json!("PRICE_CHANGED")));
    shop.clock.set(ends);
    assert_eq!(seen().await, (json!("100.00"), Value::Null));
}

async fn the_nearest_categorys_tax_counts(backend: Backend) {
    let shop = Shop::open(backend).await;
    let paths = [vec!["Food", "Bread"], vec!["Food", "Sweets"], vec!["Tools"]];
    let drafts: Vec<_> = ["bread", "sweets", "hammer"]
        .iter()
        .zip(paths)
        .map(|(slug, path)| {
            let mut draft = simple(slug, slug, 100);
            draft.category = Some(path.into_iter().map(str::to_owned).collect());
            draft
        })
        .collect();
    shop.shelve(&drafts).await;
    let ids = [shop.variant_id("BREAD").await, shop.variant_id("SWEETS").await, shop.variant_id("HAMMER").await];
    let id = shop.cart(None, &[(&ids[0], 1), (&ids[1], 1), (&ids[2], 1)]).await;
    let percents = async || {
        let query = "query($id: ID!) { cart(id: $id) { lines { taxRate { percent } } } }";
        let answer = shop.ask_with(query, json!({ "id": id })).await;
        let lines = answer.at("/cart/lines").as_array().expect("lines").clone();
        lines.iter().map(|line| line["taxRate"]["percent"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(percents().await, ["-", "-", "-"]);
    tax(&shop, "KE", None, 1600, true).await;
    assert_eq!(percents().await, ["16.00", "16.00", "16.00"]);
    tax(&shop, "KE", Some("food"), 800, true).await;
    assert_eq!(percents().await, ["8.00", "8.00", "16.00"]);
    tax(&shop, "KE", Some("bread"), 0, false).await;
    tax(&shop, "UG", Some("sweets"), 1800, false).await;
    assert_eq!(percents().await, ["0.00", "8.00", "16.00"]);
}

async fn tax_is_that_of_the_country_it_goes_to(backend: Backend) {
    let shop = Shop::open(backend).await;
    tax(&shop, "KE", None, 1600, true).await;
    tax(&shop, "DE", None, 1900, false).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let id = shop.cart(None, &[(&mug, 1)]).await;
    assert_eq!(totals(&shop, &id).await, json!(["100.00", "0.00", "0.00", "13.79", "13.79", "100.00"]));
    let mut there = home();
    there["countryCode"] = json!("DE");
    there["phone"] = json!("030 901820");
    let set = shop.ask_with(ADDRESS, json!({ "id": id, "input": { "shipping": { "address": there } } })).await;
    assert_eq!(set.at("/cartAddressSet/cart/shippingAddress/phone"), "+4930901820");
    assert_eq!(totals(&shop, &id).await, json!(["100.00", "0.00", "0.00", "19.00", "0.00", "119.00"]));
    there["countryCode"] = json!("TZ");
    there["phone"] = Value::Null;
    shop.ask_with(ADDRESS, json!({ "id": id, "input": { "shipping": { "address": there } } })).await;
    assert_eq!(totals(&shop, &id).await, json!(["100.00", "0.00", "0.00", "0.00", "0.00", "100.00"]));
}

async fn what_is_said_of_a_cart_is_checked(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (token, other) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let saved = add_address(&shop, &token, home()).await;
    let id = shop.cart(Some(&token), &[]).await;
    let set = async |token: &str, input: Value| shop.ask_as(token, ADDRESS, json!({ "id": id, "input": input })).await;
    let done = set(&token, json!({ "shipping": { "addressId": saved } })).await;
    let there = json!({ "city": "Nairobi", "phone": "+254712345678", "country": "Kenya" });
    assert_eq!(done.at("/cartAddressSet/cart/shippingAddress"), &there);
    // It is a copy: the address may go.
    let delete = format!("mutation {{ addressDelete(id: \"{saved}\") {{ deletedAddressId }} }}");
    shop.ask_as(&token, &delete, json!({})).await.at("/addressDelete/deletedAddressId");
    let mut bill = home();
    bill["city"] = json!("Kisumu");
    let done = set(&token, json!({ "billing": { "address": bill } })).await;
    let cart = done.at("/cartAddressSet/cart");
    assert_eq!((&cart["shippingAddress"], &cart["billingAddress"]["city"]), (&there, &json!("Kisumu")));
    let gone = set(&token, json!({ "billing": null })).await;
    assert_eq!(gone.at("/cartAddressSet/cart/billingAddress"), &Value::Null);
    assert_eq!(gone.at("/cartAddressSet/cart/shippingAddress"), &there);

    let problem = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned())];
    let theirs = add_address(&shop, &other, home()).await;
    for missing in [theirs, saved] {
        let answer = set(&token, json!({ "shipping": { "addressId": missing } })).await;
        assert_eq!(answer.problems("cartAddressSet"), problem("NOT_FOUND", "input.shipping.addressId"));
    }
    let mut nowhere = home();
    nowhere["countryCode"] = json!("");
    nowhere["phone"] = json!("call me");
    let answer = set(&token, json!({ "shipping": { "address": nowhere } })).await;
    let expected = [
        problem("VALIDATION_ERROR", "input.shipping.countryCode"),
        problem("VALIDATION_ERROR", "input.shipping.phone"),
    ];
    assert_eq!(answer.problems("cartAddressSet"), expected.concat());

    let contact = "mutation($id: ID!, $input: CartContactInput!) { cartContactSet(id: $id, input: $input) {
        cart { email phone } userErrors { code field } } }";
    let say = async |input: Value| shop.ask_as(&token, contact, json!({ "id": id, "input": input })).await;
    let said = say(json!({ "email": " wanjiku@example.com ", "phone": "0712 345678" })).await;
    let expected = json!({ "email": "wanjiku@example.com", "phone": "+254712345678" });
    assert_eq!(said.at("/cartContactSet/cart"), &expected);
    let wrong = say(json!({ "email": "nobody", "phone": "12" })).await;
    let both = [problem("VALIDATION_ERROR", "input.email"), problem("VALIDATION_ERROR", "input.phone")];
    assert_eq!(wrong.problems("cartContactSet"), both.concat());
    let note = "mutation($id: ID!, $note: String) { cartNoteSet(id: $id, note: $note) { cart { note email } userErrors { code field } } }";
    let tell = async |text: Value| shop.ask_as(&token, note, json!({ "id": id, "note": text })).await;
    let told = tell(json!(" Ring twice.\nBeware of the dog. ")).await;
    assert_eq!(told.at("/cartNoteSet/cart/note"), "Ring twice.\nBeware of the dog.");
    assert_eq!(told.at("/cartNoteSet/cart/email"), "wanjiku@example.com");
    for text in ["x".repeat(1001), "a\u{7}b".to_owned()] {
        assert_eq!(tell(json!(text)).await.problems("cartNoteSet"), problem("VALIDATION_ERROR", "note"));
    }
    assert_eq!(tell(json!("é".repeat(1000))).await.problems("cartNoteSet"), []);
    assert_eq!(tell(Value::Null).await.at("/cartNoteSet/cart/note"), &Value::Null);
}

async fn shipping_is_chosen_and_told_when_it_no_longer_fits(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let mut stone = simple("stone", "Stone", 10);
    stone.variants[0].weight_grams = Some(10_000);
    shop.shelve(&[stone]).await;
    let stone = shop.variant_id("STONE").await;
    let id = shop.cart(None, &[(&stone, 3)]).await;
    let key = shop.number("SELECT id FROM shipping_method WHERE name = 'Courier'").await;
    let courier = GlobalId::new(Kind::ShippingMethod, key).encode();
    let choose = async |method: Value| shop.ask_with(METHOD, json!({ "id": id, "method": method })).await;
    let chosen = choose(json!(courier)).await;
    assert_eq!(
        chosen.at("/cartShippingMethodSet/cart/shippingMethod"),
        &json!({ "method": { "name": "Courier" }, "price": "3300.00" })
    );
    let code = async || shop.see_cart(None, &id).await["problems"][0]["code"].clone();
    assert_eq!(code().await, Value::Null);
    shop.cart_lines(None, "cartLinesAdd", &id, &[(&stone, 1)]).await;
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    let heavy = choose(json!(courier)).await;
    assert_eq!(heavy.problems("cartShippingMethodSet"), [("ILLEGAL_TRANSITION".into(), "shippingMethodId".into())]);
    shop.cart_lines(None, "cartLinesUpdate", &id, &[(&stone, 1)]).await;
    assert_eq!(code().await, Value::Null);
    shop.sql("UPDATE shipping_method SET countries = 'TZ UG'").await.expect("a change");
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    shop.sql("UPDATE shipping_method SET countries = '', active = false").await.expect("a change");
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    for method in [json!(courier), json!(GlobalId::new(Kind::ShippingMethod, 999).encode())] {
        assert_eq!(
            choose(method).await.problems("cartShippingMethodSet"),
            [("NOT_FOUND".into(), "shippingMethodId".into())]
        );
    }
    let none = choose(Value::Null).await;
    assert_eq!(none.at("/cartShippingMethodSet/cart/shippingMethod"), &Value::Null);
    assert_eq!(code().await, Value::Null);
}
