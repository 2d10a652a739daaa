//! What pages of products and categories show beside names and prices: texts for search engines, contents and prices per
//! unit, discounts, the end of a sale, images and descriptions of categories.

use chrono::TimeDelta;
use savannah::{base::Patch, catalog::SaleInput, identity::Role};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    texts_for_search_engines_default_to_name_and_description,
    invalid_texts_and_contents_are_rejected_by_field,
    unit_price_follows_the_current_price,
    discount_and_end_of_sale_follow_the_cheapest_variant,
    category_page_has_image_texts_and_times,
    details_cost_no_statement_for_each_product,
    details_survive_export_and_import,
    sort_by_discount_lists_the_highest_first,
];

const SEO: &str = "{ product(slug: \"mug\") { description seo { title description } } }";

async fn update_product(app: &TestApp, staff: &str, input: Value) -> Vec<(String, String)> {
    let id = app.query("{ product(slug: \"mug\") { id } }").await.data_at("/product/id").clone();
    let query = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
        product { id } userErrors { code field message } } }";
    let response = app.query_as(staff, query, json!({ "id": id, "input": input })).await;
    response.user_errors("productUpdate")
}

async fn texts_for_search_engines_default_to_name_and_description(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("mug", "Mug", 10)]).await;
    let staff = app.login(Role::Staff).await;
    let seo = async || app.query(SEO).await.data_at("/product/seo").clone();
    assert_eq!(seo().await, json!({ "title": "Mug", "description": null }));
    assert_eq!(update_product(&app, &staff, json!({ "description": "<p>A <b>large</b> mug.</p>" })).await, []);
    assert_eq!(seo().await, json!({ "title": "Mug", "description": "A large mug." }));
    let texts = json!({ "seo": { "title": " Mugs by hand ", "description": "Glazed in Nairobi" } });
    assert_eq!(update_product(&app, &staff, texts).await, []);
    assert_eq!(seo().await, json!({ "title": "Mugs by hand", "description": "Glazed in Nairobi" }));
    // Other fields keep the texts, and the texts keep the description.
    assert_eq!(update_product(&app, &staff, json!({ "seo": { "title": null }, "name": "Cup" })).await, []);
    assert_eq!(seo().await, json!({ "title": "Cup", "description": "Glazed in Nairobi" }));
    assert_eq!(app.query(SEO).await.data_at("/product/description"), "A large mug.");
    assert_eq!(update_product(&app, &staff, json!({ "seo": null })).await, []);
    assert_eq!(seo().await, json!({ "title": "Cup", "description": "A large mug." }));
    let audited = "SELECT count(*) FROM audit_log WHERE CAST(after AS TEXT) LIKE '%seoTitle%'";
    assert_eq!(app.query_scalar(audited).await, 2);
    app.run_pending_jobs().await;
}

async fn invalid_texts_and_contents_are_rejected_by_field(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("mug", "Mug", 10)]).await;
    let staff = app.login(Role::Staff).await;
    let content = |quantity: &str| json!({ "content": { "quantity": quantity, "unit": "GRAM" } });
    let cases = [
        (json!({ "seo": { "title": "x".repeat(201) } }), "input.seo.title"),
        (json!({ "seo": { "description": "x".repeat(501) } }), "input.seo.description"),
        (json!({ "seo": { "title": "two\nlines" } }), "input.seo.title"),
        (content("0"), "input.content.quantity"),
        (content("-1"), "input.content.quantity"),
        (content("0.0005"), "input.content.quantity"),
        (content("1000000001"), "input.content.quantity"),
    ];
    for (input, field) in cases {
        let errors = update_product(&app, &staff, input.clone()).await;
        assert_eq!(errors, [("VALIDATION_ERROR".to_owned(), field.to_owned())], "{input}");
    }
}

async fn unit_price_follows_the_current_price(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("mug", "Coffee", 250)]).await;
    let staff = app.login(Role::Staff).await;
    let query = "{ product(slug: \"mug\") { variants { discountPercent content { quantity unit }
        unitPrice { amount { amount currency } measure { quantity unit } } } } }";
    let variant = async || app.query(query).await.data_at("/product/variants/0").clone();
    assert_eq!(variant().await, json!({ "discountPercent": null, "content": null, "unitPrice": null }));
    let input = json!({ "content": { "quantity": "500.0", "unit": "GRAM" } });
    assert_eq!(update_product(&app, &staff, input).await, []);
    let kilogram = json!({ "quantity": "1", "unit": "KILOGRAM" });
    let unit_price = |amount: &str| json!({ "amount": { "amount": amount, "currency": "KES" }, "measure": kilogram });
    let found = variant().await;
    assert_eq!(found["content"], json!({ "quantity": "500", "unit": "GRAM" }));
    assert_eq!(found["unitPrice"], unit_price("500.00"));
    assert_eq!(update_product(&app, &staff, json!({ "salePrice": "200" })).await, []);
    let found = variant().await;
    assert_eq!((&found["unitPrice"], &found["discountPercent"]), (&unit_price("400.00"), &json!(20)));
    assert_eq!(update_product(&app, &staff, json!({ "content": null })).await, []);
    assert_eq!(variant().await["unitPrice"], Value::Null);
}

async fn discount_and_end_of_sale_follow_the_cheapest_variant(backend: Backend) {
    let app = TestApp::start(backend).await;
    let ends_at = app.clock.now() + TimeDelta::hours(1);
    let mut product = simple_product("mug", "Mug", 30);
    product.variants[0].set_sale(SaleInput { price: 20.into(), starts_at: None, ends_at: Some(ends_at) });
    app.save_products(&[product]).await;
    let query = "{ product(slug: \"mug\") { saleEndsAt discountPercent variants { saleEndsAt discountPercent } } }";
    let response = app.query(query).await;
    let ends = response.data_at("/product/saleEndsAt");
    assert!(ends.is_string(), "{}", response.body);
    assert_eq!(response.data_at("/product/variants/0/saleEndsAt"), ends);
    assert_eq!(response.data_at("/product/discountPercent"), 33);
    assert_eq!(response.data_at("/product/variants/0/discountPercent"), 33);
    app.clock.set(ends_at);
    app.run_clock_tick().await;
    let response = app.query(query).await;
    let expected = json!({ "saleEndsAt": null, "discountPercent": null,
        "variants": [{ "saleEndsAt": null, "discountPercent": null }] });
    assert_eq!(response.data_at("/product"), &expected);
}

async fn category_page_has_image_texts_and_times(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let fields =
        "description descriptionHtml seo { title description } image { url(maxWidth: 40) alt } createdAt updatedAt";
    let create = format!(
        "mutation($input: CategoryCreateInput!) {{ categoryCreate(input: $input) {{
            category {{ id {fields} }} userErrors {{ code field message }} }} }}"
    );
    let input = json!({ "name": "Cups", "description": "<p>Cups &amp; <script>x</script>mugs</p>",
        "seo": { "title": "Cups by hand" }, "image": { "url": "/media/cups.jpg", "alt": " Three cups " } });
    let created = app.query_as(&staff, &create, json!({ "input": input })).await;
    let category = created.data_at("/categoryCreate/category").clone();
    assert_eq!(
        (&category["description"], &category["descriptionHtml"]),
        (&json!("Cups & mugs"), &json!("<p>Cups &amp; mugs</p>"))
    );
    assert_eq!(category["seo"], json!({ "title": "Cups by hand", "description": "Cups & mugs" }));
    assert_eq!(category["image"], json!({ "url": "/media/cups.jpg", "alt": "Three cups" }));
    assert_eq!(category["createdAt"], category["updatedAt"]);
    app.clock.set(app.clock.now() + TimeDelta::seconds(5));
    let update = format!(
        "mutation($id: ID!, $input: CategoryUpdateInput!) {{ categoryUpdate(id: $id, input: $input) {{
            category {{ {fields} }} userErrors {{ code field message }} }} }}"
    );
    let update =
        async |input: Value| app.query_as(&staff, &update, json!({ "id": category["id"], "input": input })).await;
    let cleared = update(json!({ "description": null, "image": null, "seo": { "description": "Clay" } })).await;
    let cleared = cleared.data_at("/categoryUpdate/category");
    assert_eq!(cleared["seo"], json!({ "title": "Cups by hand", "description": "Clay" }));
    assert_eq!((&cleared["image"], &cleared["descriptionHtml"]), (&Value::Null, &Value::Null));
    assert_eq!(cleared["createdAt"], category["createdAt"]);
    assert_ne!(cleared["updatedAt"], category["updatedAt"]);
    let cases = [
        (json!({ "image": { "url": " " } }), "input.image.url"),
        (json!({ "seo": { "title": "x".repeat(201) } }), "input.seo.title"),
        (json!({ "description": "x".repeat(20_001) }), "input.description"),
    ];
    for (input, field) in cases {
        let rejected = update(input).await.user_errors("categoryUpdate");
        assert_eq!(rejected, [("VALIDATION_ERROR".to_owned(), field.to_owned())]);
    }
    app.run_pending_jobs().await;
}

async fn details_cost_no_statement_for_each_product(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let products = "{ products(first: 50) { nodes { name seo { title description } discountPercent saleEndsAt
        variants { unitPrice { amount { amount } } content { quantity } discountPercent } } } }";
    // The page, the texts and the variants.
    assert_eq!(app.query(products).await.statements, 3);
    let categories = "{ categories { seo { title } image { url } createdAt children { descriptionHtml updatedAt } } }";
    // The rows of the roots and of their children together.
    assert_eq!(app.query(categories).await.statements, 1);
}

async fn details_survive_export_and_import(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut product = simple_product("mug", "Coffee", 250);
    product.seo_title = Patch::Set("=Coffee".into());
    product.seo_description = Patch::Set("Roasted, \"slowly\"".into());
    product.variants[0].content_quantity = Patch::Set("0.75".parse().expect("a number"));
    product.variants[0].content_unit = Patch::Set(savannah::catalog::measure::MeasureUnit::Liter);
    app.save_products(&[product]).await;
    let csv = app.export_products().await;
    let other = TestApp::start(backend).await;
    let (_, messages) = other.import_products(&csv).await;
    assert_eq!(messages, []);
    assert_eq!(other.export_products().await, csv);
    let query = "{ product(slug: \"mug\") { seo { title description } variants { unitPrice { amount { amount } } content { quantity unit } } } }";
    let found = other.query(query).await;
    let expected = json!({ "seo": { "title": "=Coffee", "description": "Roasted, \"slowly\"" }, "variants": [
        { "unitPrice": { "amount": { "amount": "333.33" } }, "content": { "quantity": "0.75", "unit": "LITER" } }] });
    assert_eq!(found.data_at("/product"), &expected);
    // What another shop writes without a measure, and a unit that is not known.
    let shopify = "Handle,Title,SEO Title,Variant SKU,Variant Price,Unit Price Total Measure,Unit Price Total Measure Unit\n\
        tea,Tea,,TEA,10,0.0,\nrope,Rope,,ROPE,10,3,ells\n";
    let (outcome, messages) = other.import_products(shopify).await;
    assert_eq!((outcome.created, messages.len()), (2, 2), "{messages:?}");
    let contents = "SELECT count(*) FROM variant WHERE content_unit IS NOT NULL";
    assert_eq!(other.query_scalar(contents).await, 1);
}

async fn sort_by_discount_lists_the_highest_first(backend: Backend) {
    let app = TestApp::start(backend).await;
    let product = |slug: &str, sale: Option<i64>| {
        let mut product = simple_product(slug, slug, 100);
        if let Some(price) = sale {
            product.variants[0].set_sale(SaleInput { price: price.into(), starts_at: None, ends_at: None });
        }
        product
    };
    app.save_products(&[product("none", None), product("half", Some(50)), product("most", Some(10))]).await;
    let response = app.query("{ products(sort: { field: DISCOUNT }) { nodes { slug discountPercent } } }").await;
    assert_eq!(response.strings_at("/products/nodes", "slug"), ["most", "half", "none"]);
    assert_eq!(response.data_at("/products/nodes/0/discountPercent"), 90);
}
