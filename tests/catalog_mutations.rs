//! Staff mutations of products, variants and categories, and their audit records.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    product_is_created_published_updated_deleted_and_restored,
    product_create_with_invalid_input_reports_all_errors,
    product_options_are_renamed_reordered_and_added,
    update_with_stale_version_is_rejected,
    concurrent_creates_with_the_same_name_create_one,
    bulk_upsert_statement_count_is_independent_of_row_count,
    drafts_and_catalog_mutations_are_forbidden_for_customers,
    category_is_created_moved_deleted_and_restored,
];

const CREATE_PRODUCT: &str = "mutation($input: ProductCreateInput!) { productCreate(input: $input) {
    product { id slug name status version sku price salePrice inStock stockQuantity tags options { name values }
        category { name } variants { id sku name version options { name value } } }
    userErrors { code field } } }";
const UPDATE_PRODUCT: &str = "mutation($id: ID!, $input: ProductUpdateInput!, $expected: Int) {
    productUpdate(id: $id, input: $input, expectedVersion: $expected) {
    product { id slug name vendor description version price salePrice images { url } image options { name values }
        variants { sku name version options { name value } } } userErrors { code field message } } }";
const CREATE_VARIANT: &str =
    "mutation($id: ID!, $input: ProductVariantInput!) { productVariantCreate(productId: $id, input: $input) {
    variant { id name product { version } } userErrors { code field } } }";

/// Returns code and path of every user error.
fn format_user_errors(response: &GraphqlResponse, field: &str) -> Vec<String> {
    let list = response.data_at(&format!("/{field}/userErrors")).as_array().expect("a list");
    let path = |user_error: &Value| {
        user_error["field"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(".")
    };
    list.iter()
        .map(|user_error| format!("{} {}", user_error["code"].as_str().expect("a code"), path(user_error)))
        .collect()
}

async fn product_is_created_published_updated_deleted_and_restored(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "name": "Sun hat", "sku": "HAT", "price": "20", "stockQuantity": 3, "tags": ["Summer"] });
    let created = app.query_as(&admin, CREATE_PRODUCT, json!({ "input": input })).await;
    assert_eq!(format_user_errors(&created, "productCreate"), [""; 0], "{created:?}");
    let hat = created.data_at("/productCreate/product");
    assert_eq!((&hat["slug"], &hat["status"], &hat["version"]), (&json!("sun-hat"), &json!("DRAFT"), &json!(1)));
    assert_eq!((&hat["inStock"], &hat["stockQuantity"]), (&json!(true), &json!(3)));
    assert_eq!(hat["category"]["name"], "Uncategorised");
    let id = json!({ "id": hat["id"] });
    let product_query = "{ product(slug: \"sun-hat\") { name } }";
    assert!(app.query(product_query).await.data_at("/product").is_null(), "a shopper sees a draft");
    assert_eq!(app.query_as(&admin, product_query, json!({})).await.data_at("/product/name"), "Sun hat");

    let publish = "mutation($id: ID!) { productPublish(id: $id) { product { status version } userErrors { code } } }";
    assert_eq!(app.query_as(&admin, publish, id.clone()).await.data_at("/productPublish/product/version"), 2);
    assert_eq!(app.query(product_query).await.data_at("/product/name"), "Sun hat");
    let input = json!({ "vendor": "Brim", "salePrice": "15", "images": [{ "url": "https://example.com/1.jpg" }] });
    let changed = app.query_as(&admin, UPDATE_PRODUCT, json!({ "id": hat["id"], "input": input, "expected": 2 })).await;
    let product = changed.data_at("/productUpdate/product");
    assert_eq!(
        (&product["vendor"], &product["salePrice"], &product["version"]),
        (&json!("Brim"), &json!("15.00"), &json!(3))
    );
    assert_eq!(product["image"], "https://example.com/1.jpg");
    let input = json!({ "vendor": null, "salePrice": null, "images": null });
    let changed = app.query_as(&admin, UPDATE_PRODUCT, json!({ "id": hat["id"], "input": input })).await;
    let product = changed.data_at("/productUpdate/product");
    assert_eq!(
        (&product["vendor"], &product["salePrice"], &product["image"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(product["images"], json!([]));
    let unchanged =
        app.query_as(&admin, UPDATE_PRODUCT, json!({ "id": hat["id"], "input": { "name": "Sun hat" } })).await;
    assert_eq!(unchanged.data_at("/productUpdate/product/version"), &json!(4), "nothing has changed");

    let delete = "mutation($id: ID!) { productDelete(id: $id) { deletedId userErrors { code field } } }";
    assert_eq!(app.query_as(&admin, delete, id.clone()).await.data_at("/productDelete/deletedId"), &hat["id"]);
    assert!(
        app.query_as(&admin, product_query, json!({})).await.data_at("/product").is_null(),
        "a deleted product is seen"
    );
    let repeated = app.query_as(&admin, delete, id.clone()).await;
    assert_eq!(format_user_errors(&repeated, "productDelete"), ["NOT_FOUND id"]);
    let restore = "mutation($id: ID!) { productRestore(id: $id) { product { name } userErrors { code } } }";
    assert_eq!(app.query_as(&admin, restore, id).await.data_at("/productRestore/product/name"), "Sun hat");

    let log = "query($filter: AuditFilter, $after: String) { auditLog(first: 3, after: $after, filter: $filter) {
        nodes { action actorKind before after } pageInfo { hasNextPage endCursor } } }";
    let filter = json!({ "entityId": hat["id"] });
    let first = app.query_as(&admin, log, json!({ "filter": filter })).await;
    let last = first.data_at("/auditLog/pageInfo/endCursor");
    let second = app.query_as(&admin, log, json!({ "filter": filter, "after": last })).await;
    let mut actions = first.strings_at("/auditLog/nodes", "action");
    actions.extend(second.strings_at("/auditLog/nodes", "action"));
    let expected = ["restore", "delete", "update", "update", "publish", "create"];
    assert_eq!(actions, expected.map(|action| format!("product.{action}")));
    let change = first.data_at("/auditLog/nodes/2");
    assert_eq!(change["before"], json!({ "vendor": "Brim", "images": ["https://example.com/1.jpg"] }));
    assert_eq!(change["after"], json!({ "vendor": null, "images": [] }));
    assert_eq!(change["actorKind"], "ACCOUNT");
    app.run_pending_jobs().await;
}

async fn product_create_with_invalid_input_reports_all_errors(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let before = app.dump_tables().await;
    let variant = |sku: &str, size: &str| json!({ "sku": sku, "price": "1.005", "options": [size] });
    let input = json!({ "name": " ", "slug": "No good", "categoryId": "Q2F0ZWdvcnk6OTk5", "options": [{ "name": "Size" }],
        "variants": [variant("MUG-SAND", "S"), { "price": "-1", "options": ["s", "x"] }, variant("NEW", "S")] });
    let created = app.query_as(&admin, CREATE_PRODUCT, json!({ "input": input })).await;
    let mut user_errors = format_user_errors(&created, "productCreate");
    user_errors.sort();
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
    assert_eq!(user_errors, expected);
    let input = json!({ "name": "A", "slug": "mug", "sku": "A\u{1e}", "price": "1", "salePrice": "2" });
    let created = app.query_as(&admin, CREATE_PRODUCT, json!({ "input": input })).await;
    let mut user_errors = format_user_errors(&created, "productCreate");
    user_errors.sort();
    let expected = ["ALREADY_EXISTS input.slug", "VALIDATION_ERROR input.salePrice", "VALIDATION_ERROR input.sku"];
    assert_eq!(user_errors, expected);
    let empty_product = app.query_as(&admin, CREATE_PRODUCT, json!({ "input": { "name": "A" } })).await;
    assert_eq!(format_user_errors(&empty_product, "productCreate"), ["VALIDATION_ERROR input.variants"]);
    assert_eq!(app.dump_tables().await, before, "what was refused left something behind");
}

async fn product_options_are_renamed_reordered_and_added(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let variant_result = |sku: &str, options: [&str; 2]| json!({ "sku": sku, "price": "5", "options": options });
    let input = json!({ "name": "Shirt", "options": [{ "name": "Size" }, { "name": "Colour" }],
        "variants": [variant_result("S-RED", ["S", "Red"]), variant_result("M-RED", ["M", "Red"])] });
    let created = app.query_as(&admin, CREATE_PRODUCT, json!({ "input": input })).await;
    assert_eq!(format_user_errors(&created, "productCreate"), [""; 0], "{created:?}");
    let id = &created.data_at("/productCreate/product/id").clone();
    let options =
        json!([{ "name": "Paint", "previousName": "Colour" }, { "name": "Size" }, { "name": "Cut", "value": "Slim" }]);
    let changed = app.query_as(&admin, UPDATE_PRODUCT, json!({ "id": id, "input": { "options": options } })).await;
    assert_eq!(format_user_errors(&changed, "productUpdate"), [""; 0], "{changed:?}");
    let shirt = changed.data_at("/productUpdate/product");
    assert_eq!(shirt["variants"][1]["name"], "Red / M / Slim");
    assert_eq!(shirt["variants"][1]["options"][0], json!({ "name": "Paint", "value": "Red" }));
    assert_eq!(shirt["options"][1], json!({ "name": "Size", "values": ["S", "M"] }));
    // Without the size option both variants would be equal.
    let options = json!([{ "name": "Paint" }]);
    let rejected = app.query_as(&admin, UPDATE_PRODUCT, json!({ "id": id, "input": { "options": options } })).await;
    assert_eq!(format_user_errors(&rejected, "productUpdate"), ["ALREADY_EXISTS input.options"]);
    let duplicate_variant = json!({ "sku": "TWIN", "price": "5", "options": ["red", "M", "slim"] });
    let rejected = app.query_as(&admin, CREATE_VARIANT, json!({ "id": id, "input": duplicate_variant })).await;
    assert_eq!(format_user_errors(&rejected, "productVariantCreate"), ["ALREADY_EXISTS input.options"]);
    let third = json!({ "sku": "L-RED", "price": "4", "options": ["Red", "L", "Slim"] });
    let created = app.query_as(&admin, CREATE_VARIANT, json!({ "id": id, "input": third })).await;
    assert_eq!(created.data_at("/productVariantCreate/variant/name"), "Red / L / Slim");
    let variant = created.data_at("/productVariantCreate/variant/id").clone();
    let update = "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) {
        variant { stockQuantity inStock price product { price inStock } } userErrors { code field } } }";
    let input = json!({ "price": "3.50", "stockQuantity": 0 });
    let changed = app.query_as(&admin, update, json!({ "id": variant, "input": input })).await;
    let expected = json!({ "stockQuantity": 0, "inStock": false, "price": "3.50", "product": { "price": "3.50", "inStock": true } });
    assert_eq!(changed.data_at("/productVariantUpdate/variant"), &expected);
    let delete = "mutation($id: ID!) { productVariantDelete(id: $id) { deletedId product { variants { id sku } } userErrors { code field } } }";
    let variants_left = app.query_as(&admin, delete, json!({ "id": variant })).await;
    assert_eq!(variants_left.data_at("/productVariantDelete/deletedId"), &json!(variant));
    let variants_left =
        variants_left.data_at("/productVariantDelete/product/variants").as_array().expect("a list").clone();
    assert_eq!(variants_left.len(), 2);
    let variant_result = app.query_as(&admin, delete, json!({ "id": variants_left[0]["id"] })).await;
    assert_eq!(format_user_errors(&variant_result, "productVariantDelete"), [""; 0]);
    let last = app.query_as(&admin, delete, json!({ "id": variants_left[1]["id"] })).await;
    assert_eq!(format_user_errors(&last, "productVariantDelete"), ["ILLEGAL_TRANSITION id"]);
    // A deleted variant is restored by its SKU.
    let deleted_variant_input = json!({ "sku": "L-RED", "price": "4", "options": ["Red", "L", "Slim"] });
    let restored = app.query_as(&admin, CREATE_VARIANT, json!({ "id": id, "input": deleted_variant_input })).await;
    assert_eq!(restored.data_at("/productVariantCreate/variant/id"), &variant);
    app.run_pending_jobs().await;
}

async fn update_with_stale_version_is_rejected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let read = "{ product(slug: \"mug\") { id version } category(slug: \"mugs\") { id version } }";
    let mug = app.query(read).await;
    let id = mug.data_at("/product/id");
    let stale = json!({ "id": id, "input": { "name": "Cup" }, "expected": 7 });
    let rejected = app.query_as(&admin, UPDATE_PRODUCT, stale).await;
    assert_eq!(format_user_errors(&rejected, "productUpdate"), ["VERSION_CONFLICT expectedVersion"]);
    let message = rejected.data_at("/productUpdate/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("its version is 1"), "{message}");
    // An import raises the version too, but not of unchanged products.
    app.import_products(savannah::import_export::import::DEMO_CATALOG_CSV).await;
    assert_eq!(app.query(read).await.data_at("/product/version"), 1);
    app.import_products("Handle,Title,Vendor,Variant Price,Variant SKU\nmug,Cup,Else,9,MUG-SAND\n").await;
    assert_eq!(app.query(read).await.data_at("/product/version"), 2);
    let update = "mutation($id: ID!) { categoryUpdate(id: $id, input: { name: \"Cups\" }, expectedVersion: 3) {
        category { name } userErrors { code field } } }";
    let rejected = app.query_as(&admin, update, json!({ "id": mug.data_at("/category/id") })).await;
    assert_eq!(format_user_errors(&rejected, "categoryUpdate"), ["VERSION_CONFLICT expectedVersion"]);
    app.run_pending_jobs().await;
}

async fn concurrent_creates_with_the_same_name_create_one(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "input": { "name": "Twin", "slug": "twin", "sku": "TWIN", "price": "1" } });
    let all = (0..8).map(|_| app.query_as(&admin, CREATE_PRODUCT, input.clone()));
    let responses = futures_util::future::join_all(all).await;
    let created_count =
        responses.iter().filter(|response| !response.data_at("/productCreate/product").is_null()).count();
    assert_eq!(created_count, 1);
    for rejected in responses.iter().filter(|response| response.data_at("/productCreate/product").is_null()) {
        let expected = ["ALREADY_EXISTS input.slug", "ALREADY_EXISTS input.sku"];
        assert_eq!(format_user_errors(rejected, "productCreate"), expected);
    }
    let create =
        "mutation { categoryCreate(input: { name: \"Twins\" }) { category { id } userErrors { code field } } }";
    let all = (0..8).map(|_| app.query_as(&admin, create, json!({})));
    let responses = futures_util::future::join_all(all).await;
    let rejected = responses
        .iter()
        .filter(|response| format_user_errors(response, "categoryCreate") == ["ALREADY_EXISTS input.name"])
        .count();
    assert_eq!(rejected, 7);
    app.run_pending_jobs().await;
}

async fn bulk_upsert_statement_count_is_independent_of_row_count(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__MAX_BODY_BYTES", "4000000")]).await;
    let admin = app.login(Role::Admin).await;
    let upsert = "mutation($input: [ProductUpsertInput!]!, $atomic: Boolean! = false) {
        productsUpsert(products: $input, atomic: $atomic) { created updated userErrors { code field } } }";
    let row = |number: usize, price: &str| {
        json!({ "slug": format!("p-{number}"), "name": format!("Thing {number}"), "sku": format!("P{number}"),
            "price": price, "stockQuantity": number, "tags": ["bulk"], "status": "ACTIVE" })
    };
    let rows = |range: std::ops::Range<usize>, price: &str| range.map(|number| row(number, price)).collect::<Vec<_>>();
    app.query_as(&admin, upsert, json!({ "input": rows(5_000..5_001, "1") })).await;
    let few = app.query_as(&admin, upsert, json!({ "input": rows(0..2, "1") })).await;
    let many_rows = app.query_as(&admin, upsert, json!({ "input": rows(2..402, "1") })).await;
    assert_eq!(many_rows.data_at("/productsUpsert/created"), 400);
    assert_eq!((few.statements, many_rows.data_at("/productsUpsert/userErrors")), (many_rows.statements, &json!([])));
    let repeated = app.query_as(&admin, upsert, json!({ "input": rows(0..402, "2") })).await;
    assert_eq!(
        (repeated.data_at("/productsUpsert/updated"), repeated.data_at("/productsUpsert/created")),
        (&json!(402), &json!(0))
    );
    assert!(
        repeated.statements <= many_rows.statements + 5,
        "{} statements after {}",
        repeated.statements,
        many_rows.statements
    );

    let mut mixed_rows = rows(500..503, "3");
    mixed_rows[1]["price"] = json!("-3");
    mixed_rows[2]["sku"] = json!("P7");
    let expected = ["VALIDATION_ERROR products.1.price", "ALREADY_EXISTS products.2.sku"];
    let none = app.query_as(&admin, upsert, json!({ "input": mixed_rows, "atomic": true })).await;
    assert_eq!(
        (format_user_errors(&none, "productsUpsert"), none.data_at("/productsUpsert/created")),
        (expected.map(Into::into).to_vec(), &json!(0))
    );
    assert!(app.query("{ product(slug: \"p-500\") { id } }").await.data_at("/product").is_null());
    let partial = app.query_as(&admin, upsert, json!({ "input": mixed_rows })).await;
    assert_eq!(
        (format_user_errors(&partial, "productsUpsert"), partial.data_at("/productsUpsert/created")),
        (expected.map(Into::into).to_vec(), &json!(1))
    );
    let priced = app.query_as(&admin, upsert, json!({ "input": [{ "sku": "P9", "price": "77" }] })).await;
    assert_eq!(priced.data_at("/productsUpsert/updated"), 1);
    assert_eq!(app.query("{ product(slug: \"p-9\") { price } }").await.data_at("/product/price"), "77.00");
    app.run_pending_jobs().await;
}

async fn drafts_and_catalog_mutations_are_forbidden_for_customers(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let (staff, customer) = (app.login(Role::Staff).await, app.login(Role::Customer).await);
    app.execute_sql("UPDATE product SET status = 'draft' WHERE slug = 'mug'").await.expect("a draft");
    let product_inputs = "{ products(filter: { status: [DRAFT] }) { totalCount nodes { slug } } }";
    let response = app.query_as(&staff, product_inputs, json!({})).await;
    assert_eq!(
        (response.strings_at("/products/nodes", "slug"), response.data_at("/products/totalCount")),
        (vec!["mug".into(), "canvas-duffel".into()], &json!(2))
    );
    assert_eq!(
        app.query_as(&customer, product_inputs, json!({})).await.first_error()["extensions"]["code"],
        "FORBIDDEN"
    );
    assert_eq!(app.query(product_inputs).await.first_error()["extensions"]["code"], "UNAUTHENTICATED");
    let all = app.query("{ products(filter: { status: [ACTIVE] }) { totalCount } }").await;
    let default_list = app.query("{ products { totalCount } }").await;
    assert_eq!(all.data_at("/products/totalCount"), default_list.data_at("/products/totalCount"));
    let both =
        app.query_as(&staff, "{ products(filter: { status: [ACTIVE, DRAFT] }) { totalCount } }", json!({})).await;
    let count = default_list.data_at("/products/totalCount").as_i64().expect("a number");
    assert_eq!(both.data_at("/products/totalCount"), count + 2);
    let rejected = app.query_as(&customer, "mutation { productDelete(id: \"x\") { deletedId } }", json!({})).await;
    assert_eq!(rejected.first_error()["extensions"]["code"], "FORBIDDEN");
    let log = app.query_as(&staff, "{ auditLog { nodes { id } } }", json!({})).await;
    assert_eq!(log.first_error()["extensions"]["code"], "FORBIDDEN");
}

async fn category_is_created_moved_deleted_and_restored(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let admin = app.login(Role::Admin).await;
    let ids = app.query("{ a: category(slug: \"mugs\") { id parent { id } } }").await;
    let (mugs, crafts) = (ids.data_at("/a/id"), ids.data_at("/a/parent/id"));
    let create = "mutation($input: CategoryCreateInput!) { categoryCreate(input: $input) {
        category { id slug position level productCount parent { id } } userErrors { code field } } }";
    let input = json!({ "name": "Cups", "parentId": crafts, "position": 0 });
    let created = app.query_as(&admin, create, json!({ "input": input })).await;
    let cups = created.data_at("/categoryCreate/category");
    assert_eq!((&cups["slug"], &cups["position"], &cups["parent"]["id"]), (&json!("cups"), &json!(0), crafts));
    let move_mutation = "mutation($id: ID!, $to: ID, $at: Int) { categoryMove(id: $id, parentId: $to, position: $at) {
        category { level position productCount ancestors { name } } userErrors { code field } } }";
    let cycle = app.query_as(&admin, move_mutation, json!({ "id": crafts, "to": cups["id"] })).await;
    assert_eq!(format_user_errors(&cycle, "categoryMove"), ["VALIDATION_ERROR parentId"]);
    let moved = app.query_as(&admin, move_mutation, json!({ "id": mugs, "to": cups["id"] })).await;
    assert_eq!(moved.data_at("/categoryMove/category/level"), &json!(cups["level"].as_i64().expect("a level") + 1));
    assert!(moved.data_at("/categoryMove/category/productCount").as_i64() > Some(0), "{moved:?}");
    // The change is visible to all callers immediately.
    let response = app.query("{ category(slug: \"cups\") { productCount children { slug } } }").await;
    assert_eq!(response.strings_at("/category/children", "slug"), ["mugs"]);
    let delete = "mutation($id: ID!, $to: ID) { categoryDelete(id: $id, moveProductsTo: $to) { deletedId userErrors { code field } } }";
    let rejected = app.query_as(&admin, delete, json!({ "id": cups["id"] })).await;
    assert_eq!(format_user_errors(&rejected, "categoryDelete"), ["ILLEGAL_TRANSITION id"]);
    let rejected = app.query_as(&admin, delete, json!({ "id": mugs })).await;
    assert_eq!(format_user_errors(&rejected, "categoryDelete"), ["ILLEGAL_TRANSITION id"]);
    let deleted = app.query_as(&admin, delete, json!({ "id": mugs, "to": cups["id"] })).await;
    assert_eq!(deleted.data_at("/categoryDelete/deletedId"), mugs);
    let response = app.query("{ category(slug: \"mugs\") { id } product(slug: \"mug\") { category { slug } } }").await;
    assert_eq!(
        (response.data_at("/category"), response.data_at("/product/category/slug")),
        (&Value::Null, &json!("cups"))
    );
    let restore =
        "mutation($id: ID!) { categoryRestore(id: $id) { category { slug parent { slug } } userErrors { code } } }";
    let restored = app.query_as(&admin, restore, json!({ "id": mugs })).await;
    assert_eq!(restored.data_at("/categoryRestore/category"), &json!({ "slug": "mugs", "parent": { "slug": "cups" } }));
    app.run_pending_jobs().await;
}
