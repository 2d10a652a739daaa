//! Staff run the catalog: products, variants and categories made and changed, and what is written of it.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    a_product_is_made_published_changed_and_deleted,
    everything_that_is_wrong_is_told_at_once,
    options_are_named_ordered_and_added,
    a_stale_version_changes_nothing,
    two_who_want_one_name_get_it_once,
    many_rows_at_once_cost_the_same,
    shoppers_may_not_and_do_not_see,
    categories_are_made_changed_moved_and_deleted,
];

const CREATE: &str = "mutation($input: ProductCreateInput!) { productCreate(input: $input) {
    product { id slug name status version sku price salePrice inStock stockQuantity tags options { name values }
        category { name } variants { id sku name version options { name value } } }
    userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $input: ProductUpdateInput!, $expected: Int) {
    productUpdate(id: $id, input: $input, expectedVersion: $expected) {
    product { id slug name vendor description version price salePrice images { url } image options { name values }
        variants { sku name version options { name value } } } userErrors { code field message } } }";
const VARIANT: &str =
    "mutation($id: ID!, $input: ProductVariantInput!) { variantCreate(productId: $id, input: $input) {
    variant { id name product { version } } userErrors { code field } } }";

/// Code and path of every problem.
fn wrong(answer: &Answer, field: &str) -> Vec<String> {
    let list = answer.at(&format!("/{field}/userErrors")).as_array().expect("a list");
    let path = |one: &Value| {
        one["field"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(".")
    };
    list.iter().map(|one| format!("{} {}", one["code"].as_str().expect("a code"), path(one))).collect()
}

async fn a_product_is_made_published_changed_and_deleted(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "name": "Sun hat", "sku": "HAT", "price": "20", "stockQuantity": 3, "tags": ["Summer"] });
    let made = shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    assert_eq!(wrong(&made, "productCreate"), [""; 0], "{made:?}");
    let hat = made.at("/productCreate/product");
    assert_eq!((&hat["slug"], &hat["status"], &hat["version"]), (&json!("sun-hat"), &json!("DRAFT"), &json!(1)));
    assert_eq!((&hat["inStock"], &hat["stockQuantity"]), (&json!(true), &json!(3)));
    assert_eq!(hat["category"]["name"], "Uncategorised");
    let id = json!({ "id": hat["id"] });
    let seen = "{ product(slug: \"sun-hat\") { name } }";
    assert!(shop.ask(seen).await.at("/product").is_null(), "a shopper sees a draft");
    assert_eq!(shop.ask_as(&admin, seen, json!({})).await.at("/product/name"), "Sun hat");

    let publish = "mutation($id: ID!) { productPublish(id: $id) { product { status version } userErrors { code } } }";
    assert_eq!(shop.ask_as(&admin, publish, id.clone()).await.at("/productPublish/product/version"), 2);
    assert_eq!(shop.ask(seen).await.at("/product/name"), "Sun hat");
    let input = json!({ "vendor": "Brim", "salePrice": "15", "images": [{ "url": "https://example.com/1.jpg" }] });
    let changed = shop.ask_as(&admin, UPDATE, json!({ "id": hat["id"], "input": input, "expected": 2 })).await;
    let one = changed.at("/productUpdate/product");
    assert_eq!((&one["vendor"], &one["salePrice"], &one["version"]), (&json!("Brim"), &json!("15.00"), &json!(3)));
    assert_eq!(one["image"], "https://example.com/1.jpg");
    let input = json!({ "vendor": null, "salePrice": null, "images": null });
    let changed = shop.ask_as(&admin, UPDATE, json!({ "id": hat["id"], "input": input })).await;
    let one = changed.at("/productUpdate/product");
    assert_eq!((&one["vendor"], &one["salePrice"], &one["image"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(one["images"], json!([]));
    let same = shop.ask_as(&admin, UPDATE, json!({ "id": hat["id"], "input": { "name": "Sun hat" } })).await;
    assert_eq!(same.at("/productUpdate/product/version"), &json!(4), "nothing has changed");

    let delete = "mutation($id: ID!) { productDelete(id: $id) { deletedId userErrors { code field } } }";
    assert_eq!(shop.ask_as(&admin, delete, id.clone()).await.at("/productDelete/deletedId"), &hat["id"]);
    assert!(shop.ask_as(&admin, seen, json!({})).await.at("/product").is_null(), "a deleted product is seen");
    let again = shop.ask_as(&admin, delete, id.clone()).await;
    assert_eq!(wrong(&again, "productDelete"), ["NOT_FOUND id"]);
    let restore = "mutation($id: ID!) { productRestore(id: $id) { product { name } userErrors { code } } }";
    assert_eq!(shop.ask_as(&admin, restore, id).await.at("/productRestore/product/name"), "Sun hat");

    let log = "query($filter: AuditFilter, $after: String) { auditLog(first: 3, after: $after, filter: $filter) {
        nodes { action actorKind before after } pageInfo { hasNextPage endCursor } } }";
    let filter = json!({ "thingId": hat["id"] });
    let first = shop.ask_as(&admin, log, json!({ "filter": filter })).await;
    let last = first.at("/auditLog/pageInfo/endCursor");
    let second = shop.ask_as(&admin, log, json!({ "filter": filter, "after": last })).await;
    let mut actions = first.texts("/auditLog/nodes", "action");
    actions.extend(second.texts("/auditLog/nodes", "action"));
    let expected = ["restore", "delete", "update", "update", "publish", "create"];
    assert_eq!(actions, expected.map(|action| format!("product.{action}")));
    let change = first.at("/auditLog/nodes/2");
    assert_eq!(change["before"], json!({ "vendor": "Brim", "images": ["https://example.com/1.jpg"] }));
    assert_eq!(change["after"], json!({ "vendor": null, "images": [] }));
    assert_eq!(change["actorKind"], "ACCOUNT");
    shop.settle().await;
}

async fn everything_that_is_wrong_is_told_at_once(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let before = shop.dump().await;
    let variant = |sku: &str, size: &str| json!({ "sku": sku, "price": "1.005", "options": [size] });
    let input = json!({ "name": " ", "slug": "No good", "categoryId": "Q2F0ZWdvcnk6OTk5", "options": [{ "name": "Size" }],
        "variants": [variant("MUG-SAND", "S"), { "price": "-1", "options": ["s", "x"] }, variant("NEW", "S")] });
    let made = shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    let mut told = wrong(&made, "productCreate");
    told.sort();
    let expected = [
        "ALREADY_EXISTS input.variants.0.sku",
        "ALREADY_EXISTS input.variants.2.options",
        "NOT_FOUND input.categoryId",
        "VALIDATION_ERROR input.name",
        "VALIDATION_ERROR input.slug",
        "VALIDATION_ERROR input.variants.0.price",
        "VALIDATION_ERROR input.variants.1.options",
        "VALIDATION_ERROR input.variants.1.price",
        "VALIDATION_ERROR input.variants.1.sku",
        "VALIDATION_ERROR input.variants.2.price",
    ];
    assert_eq!(told, expected);
    let input = json!({ "name": "A", "slug": "mug", "sku": "A\u{1e}", "price": "1", "salePrice": "2" });
    let made = shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    let mut told = wrong(&made, "productCreate");
    told.sort();
    let expected = ["ALREADY_EXISTS input.slug", "VALIDATION_ERROR input.salePrice", "VALIDATION_ERROR input.sku"];
    assert_eq!(told, expected);
    let bare = shop.ask_as(&admin, CREATE, json!({ "input": { "name": "A" } })).await;
    assert_eq!(wrong(&bare, "productCreate"), ["VALIDATION_ERROR input.variants"]);
    assert_eq!(shop.dump().await, before, "what was refused left something behind");
}

async fn options_are_named_ordered_and_added(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let one = |sku: &str, options: [&str; 2]| json!({ "sku": sku, "price": "5", "options": options });
    let input = json!({ "name": "Shirt", "options": [{ "name": "Size" }, { "name": "Colour" }],
        "variants": [one("S-RED", ["S", "Red"]), one("M-RED", ["M", "Red"])] });
    let made = shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    assert_eq!(wrong(&made, "productCreate"), [""; 0], "{made:?}");
    let id = &made.at("/productCreate/product/id").clone();
    let options = json!([{ "name": "Paint", "was": "Colour" }, { "name": "Size" }, { "name": "Cut", "value": "Slim" }]);
    let changed = shop.ask_as(&admin, UPDATE, json!({ "id": id, "input": { "options": options } })).await;
    assert_eq!(wrong(&changed, "productUpdate"), [""; 0], "{changed:?}");
    let shirt = changed.at("/productUpdate/product");
    assert_eq!(shirt["variants"][1]["name"], "Red / M / Slim");
    assert_eq!(shirt["variants"][1]["options"][0], json!({ "name": "Paint", "value": "Red" }));
    assert_eq!(shirt["options"][1], json!({ "name": "Size", "values": ["S", "M"] }));
    // Without the size the two would be one.
    let options = json!([{ "name": "Paint" }]);
    let refused = shop.ask_as(&admin, UPDATE, json!({ "id": id, "input": { "options": options } })).await;
    assert_eq!(wrong(&refused, "productUpdate"), ["ALREADY_EXISTS input.options"]);
    let twin = json!({ "sku": "TWIN", "price": "5", "options": ["red", "M", "slim"] });
    let refused = shop.ask_as(&admin, VARIANT, json!({ "id": id, "input": twin })).await;
    assert_eq!(wrong(&refused, "variantCreate"), ["ALREADY_EXISTS input.options"]);
    let third = json!({ "sku": "L-RED", "price": "4", "options": ["Red", "L", "Slim"] });
    let made = shop.ask_as(&admin, VARIANT, json!({ "id": id, "input": third })).await;
    assert_eq!(made.at("/variantCreate/variant/name"), "Red / L / Slim");
    let variant = made.at("/variantCreate/variant/id").clone();
    let update = "mutation($id: ID!, $input: ProductVariantInput!) { variantUpdate(id: $id, input: $input) {
        variant { stockQuantity inStock price product { price inStock } } userErrors { code field } } }";
    let input = json!({ "price": "3.50", "stockQuantity": 0 });
    let changed = shop.ask_as(&admin, update, json!({ "id": variant, "input": input })).await;
    let expected = json!({ "stockQuantity": 0, "inStock": false, "price": "3.50", "product": { "price": "3.50", "inStock": true } });
    assert_eq!(changed.at("/variantUpdate/variant"), &expected);
    let delete =
        "mutation($id: ID!) { variantDelete(id: $id) { product { variants { id sku } } userErrors { code field } } }";
    let left = shop.ask_as(&admin, delete, json!({ "id": variant })).await;
    let left = left.at("/variantDelete/product/variants").as_array().expect("a list").clone();
    assert_eq!(left.len(), 2);
    let one = shop.ask_as(&admin, delete, json!({ "id": left[0]["id"] })).await;
    assert_eq!(wrong(&one, "variantDelete"), [""; 0]);
    let last = shop.ask_as(&admin, delete, json!({ "id": left[1]["id"] })).await;
    assert_eq!(wrong(&last, "variantDelete"), ["ILLEGAL_TRANSITION id"]);
    // What was deleted comes back by its sku.
    let again = json!({ "sku": "L-RED", "price": "4", "options": ["Red", "L", "Slim"] });
    let back = shop.ask_as(&admin, VARIANT, json!({ "id": id, "input": again })).await;
    assert_eq!(back.at("/variantCreate/variant/id"), &variant);
    shop.settle().await;
}

async fn a_stale_version_changes_nothing(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let read = "{ product(slug: \"mug\") { id version } category(slug: \"mugs\") { id version } }";
    let mug = shop.ask(read).await;
    let id = mug.at("/product/id");
    let stale = json!({ "id": id, "input": { "name": "Cup" }, "expected": 7 });
    let refused = shop.ask_as(&admin, UPDATE, stale).await;
    assert_eq!(wrong(&refused, "productUpdate"), ["VERSION_CONFLICT expectedVersion"]);
    let message = refused.at("/productUpdate/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("its version is 1"), "{message}");
    // An import raises it too, but one of what is there already does not.
    shop.import(savannah::exchange::import::DEMO).await;
    assert_eq!(shop.ask(read).await.at("/product/version"), 1);
    shop.import("Handle,Title,Vendor,Variant Price,Variant SKU\nmug,Cup,Else,9,MUG-SAND\n").await;
    assert_eq!(shop.ask(read).await.at("/product/version"), 2);
    let update = "mutation($id: ID!) { categoryUpdate(id: $id, input: { name: \"Cups\" }, expectedVersion: 3) {
        category { name } userErrors { code field } } }";
    let refused = shop.ask_as(&admin, update, json!({ "id": mug.at("/category/id") })).await;
    assert_eq!(wrong(&refused, "categoryUpdate"), ["VERSION_CONFLICT expectedVersion"]);
    shop.settle().await;
}

async fn two_who_want_one_name_get_it_once(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "input": { "name": "Twin", "slug": "twin", "sku": "TWIN", "price": "1" } });
    let all = (0..8).map(|_| shop.ask_as(&admin, CREATE, input.clone()));
    let answers = futures_util::future::join_all(all).await;
    let made = answers.iter().filter(|one| !one.at("/productCreate/product").is_null()).count();
    assert_eq!(made, 1);
    for lost in answers.iter().filter(|one| one.at("/productCreate/product").is_null()) {
        let expected = ["ALREADY_EXISTS input.slug", "ALREADY_EXISTS input.sku"];
        assert_eq!(wrong(lost, "productCreate"), expected);
    }
    let create =
        "mutation { categoryCreate(input: { name: \"Twins\" }) { category { id } userErrors { code field } } }";
    let all = (0..8).map(|_| shop.ask_as(&admin, create, json!({})));
    let answers = futures_util::future::join_all(all).await;
    let lost = answers.iter().filter(|one| wrong(one, "categoryCreate") == ["ALREADY_EXISTS input.name"]).count();
    assert_eq!(lost, 7);
    shop.settle().await;
}

async fn many_rows_at_once_cost_the_same(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__BODY_LIMIT", "4000000")]).await;
    let admin = shop.sign_in(Role::Admin).await;
    let upsert = "mutation($input: [ProductUpsertInput!]!, $atomic: Boolean! = false) {
        productsUpsert(input: $input, atomic: $atomic) { created updated userErrors { code field } } }";
    let row = |number: usize, price: &str| {
        json!({ "slug": format!("p-{number}"), "name": format!("Thing {number}"), "sku": format!("P{number}"),
            "price": price, "stockQuantity": number, "tags": ["bulk"], "status": "ACTIVE" })
    };
    let rows = |range: std::ops::Range<usize>, price: &str| range.map(|number| row(number, price)).collect::<Vec<_>>();
    shop.ask_as(&admin, upsert, json!({ "input": rows(5_000..5_001, "1") })).await;
    let few = shop.ask_as(&admin, upsert, json!({ "input": rows(0..2, "1") })).await;
    let many = shop.ask_as(&admin, upsert, json!({ "input": rows(2..402, "1") })).await;
    assert_eq!(many.at("/productsUpsert/created"), 400);
    assert_eq!((few.statements, many.at("/productsUpsert/userErrors")), (many.statements, &json!([])));
    let again = shop.ask_as(&admin, upsert, json!({ "input": rows(0..402, "2") })).await;
    assert_eq!((again.at("/productsUpsert/updated"), again.at("/productsUpsert/created")), (&json!(402), &json!(0)));
    assert!(again.statements <= many.statements + 5, "{} statements after {}", again.statements, many.statements);

    let mut mixed = rows(500..503, "3");
    mixed[1]["price"] = json!("-3");
    mixed[2]["sku"] = json!("P7");
    let expected = ["VALIDATION_ERROR input.1.price", "ALREADY_EXISTS input.2.sku"];
    let none = shop.ask_as(&admin, upsert, json!({ "input": mixed, "atomic": true })).await;
    assert_eq!(
        (wrong(&none, "productsUpsert"), none.at("/productsUpsert/created")),
        (expected.map(Into::into).to_vec(), &json!(0))
    );
    assert!(shop.ask("{ product(slug: \"p-500\") { id } }").await.at("/product").is_null());
    let some = shop.ask_as(&admin, upsert, json!({ "input": mixed })).await;
    assert_eq!(
        (wrong(&some, "productsUpsert"), some.at("/productsUpsert/created")),
        (expected.map(Into::into).to_vec(), &json!(1))
    );
    let priced = shop.ask_as(&admin, upsert, json!({ "input": [{ "sku": "P9", "price": "77" }] })).await;
    assert_eq!(priced.at("/productsUpsert/updated"), 1);
    assert_eq!(shop.ask("{ product(slug: \"p-9\") { price } }").await.at("/product/price"), "77.00");
    shop.settle().await;
}

async fn shoppers_may_not_and_do_not_see(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let (staff, customer) = (shop.sign_in(Role::Staff).await, shop.sign_in(Role::Customer).await);
    shop.sql("UPDATE product SET status = 'draft' WHERE slug = 'mug'").await.expect("a draft");
    let drafts = "{ products(filter: { status: [DRAFT] }) { totalCount nodes { slug } } }";
    let seen = shop.ask_as(&staff, drafts, json!({})).await;
    assert_eq!(
        (seen.texts("/products/nodes", "slug"), seen.at("/products/totalCount")),
        (vec!["mug".into(), "canvas-duffel".into()], &json!(2))
    );
    assert_eq!(shop.ask_as(&customer, drafts, json!({})).await.error()["extensions"]["code"], "FORBIDDEN");
    assert_eq!(shop.ask(drafts).await.error()["extensions"]["code"], "UNAUTHENTICATED");
    let all = shop.ask("{ products(filter: { status: [ACTIVE] }) { totalCount } }").await;
    let known = shop.ask("{ products { totalCount } }").await;
    assert_eq!(all.at("/products/totalCount"), known.at("/products/totalCount"));
    let both = shop.ask_as(&staff, "{ products(filter: { status: [ACTIVE, DRAFT] }) { totalCount } }", json!({})).await;
    let count = known.at("/products/totalCount").as_i64().expect("a number");
    assert_eq!(both.at("/products/totalCount"), count + 2);
    let refused = shop.ask_as(&customer, "mutation { productDelete(id: \"x\") { deletedId } }", json!({})).await;
    assert_eq!(refused.error()["extensions"]["code"], "FORBIDDEN");
    let log = shop.ask_as(&staff, "{ auditLog { nodes { id } } }", json!({})).await;
    assert_eq!(log.error()["extensions"]["code"], "FORBIDDEN");
}

async fn categories_are_made_changed_moved_and_deleted(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let ids = shop.ask("{ a: category(slug: \"mugs\") { id parent { id } } }").await;
    let (mugs, crafts) = (ids.at("/a/id"), ids.at("/a/parent/id"));
    let create = "mutation($input: CategoryCreateInput!) { categoryCreate(input: $input) {
        category { id slug position level productCount parent { id } } userErrors { code field } } }";
    let input = json!({ "name": "Cups", "parentId": crafts, "position": 0 });
    let made = shop.ask_as(&admin, create, json!({ "input": input })).await;
    let cups = made.at("/categoryCreate/category");
    assert_eq!((&cups["slug"], &cups["position"], &cups["parent"]["id"]), (&json!("cups"), &json!(0), crafts));
    let mv = "mutation($id: ID!, $to: ID, $at: Int) { categoryMove(id: $id, parentId: $to, position: $at) {
        category { level position productCount ancestors { name } } userErrors { code field } } }";
    let cycle = shop.ask_as(&admin, mv, json!({ "id": crafts, "to": cups["id"] })).await;
    assert_eq!(wrong(&cycle, "categoryMove"), ["VALIDATION_ERROR parentId"]);
    let moved = shop.ask_as(&admin, mv, json!({ "id": mugs, "to": cups["id"] })).await;
    assert_eq!(moved.at("/categoryMove/category/level"), &json!(cups["level"].as_i64().expect("a level") + 1));
    assert!(moved.at("/categoryMove/category/productCount").as_i64() > Some(0), "{moved:?}");
    // Everybody sees it at once.
    let seen = shop.ask("{ category(slug: \"cups\") { productCount children { slug } } }").await;
    assert_eq!(seen.texts("/category/children", "slug"), ["mugs"]);
    let delete = "mutation($id: ID!, $to: ID) { categoryDelete(id: $id, moveProductsTo: $to) { deletedId userErrors { code field } } }";
    let refused = shop.ask_as(&admin, delete, json!({ "id": cups["id"] })).await;
    assert_eq!(wrong(&refused, "categoryDelete"), ["ILLEGAL_TRANSITION id"]);
    let refused = shop.ask_as(&admin, delete, json!({ "id": mugs })).await;
    assert_eq!(wrong(&refused, "categoryDelete"), ["ILLEGAL_TRANSITION id"]);
    let gone = shop.ask_as(&admin, delete, json!({ "id": mugs, "to": cups["id"] })).await;
    assert_eq!(gone.at("/categoryDelete/deletedId"), mugs);
    let seen = shop.ask("{ category(slug: \"mugs\") { id } product(slug: \"mug\") { category { slug } } }").await;
    assert_eq!((seen.at("/category"), seen.at("/product/category/slug")), (&Value::Null, &json!("cups")));
    let restore =
        "mutation($id: ID!) { categoryRestore(id: $id) { category { slug parent { slug } } userErrors { code } } }";
    let back = shop.ask_as(&admin, restore, json!({ "id": mugs })).await;
    assert_eq!(back.at("/categoryRestore/category"), &json!({ "slug": "mugs", "parent": { "slug": "cups" } }));
    shop.settle().await;
}
