//! Null in a change, for what cannot be empty.

use savannah::identity::Role;
use serde_json::json;

use crate::{
    shop::{Backend, Shop, simple},
    stories,
};

stories![null_for_what_cannot_be_empty_is_refused_with_its_path, sku_of_a_deleted_variant_is_named_as_such];

async fn null_for_what_cannot_be_empty_is_refused_with_its_path(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.shelve(&[simple("mug", "Mug", 10)]).await;
    let token = shop.sign_in(Role::Admin).await;
    let ids = shop.ask(r#"{ product(slug: "mug") { id category { id } variants { id } } }"#).await;
    let changes = [
        (
            "productUpdate",
            "ProductUpdateInput",
            "/product/id",
            vec!["name", "slug", "categoryId", "status", "featured", "sku", "price"],
        ),
        ("variantUpdate", "ProductVariantInput", "/product/variants/0/id", vec!["sku", "price", "options"]),
        ("categoryUpdate", "CategoryUpdateInput", "/product/category/id", vec!["name", "slug"]),
    ];
    let before = shop.dump().await;
    for (mutation, input, id, fields) in changes {
        let query = format!(
            "mutation($id: ID!, $input: {input}!) {{ {mutation}(id: $id, input: $input) {{ userErrors {{ field message }} }} }}"
        );
        for field in fields {
            let answer = shop.ask_as(&token, &query, json!({ "id": ids.at(id), "input": { field: null } })).await;
            let message = "this must not be null: leave it out to keep it";
            let expected = json!({ "field": ["input", field], "message": message });
            let errors = answer.at(&format!("/{mutation}/userErrors"));
            assert_eq!(errors[0], expected, "{mutation}: {}", answer.body);
        }
    }
    assert_eq!(shop.dump().await, before);
}

async fn sku_of_a_deleted_variant_is_named_as_such(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut gone = simple("gone", "Gone", 10);
    gone.variants[0].sku = Some("TAKEN".into());
    shop.shelve(&[gone, simple("mug", "Mug", 10)]).await;
    let token = shop.sign_in(Role::Admin).await;
    let change = async |slug: &str, query: &str| {
        let id = shop.ask_with("query($s: String) { product(slug: $s) { id } }", json!({ "s": slug })).await;
        shop.ask_as(&token, query, json!({ "id": id.at("/product/id") })).await
    };
    let take = r#"mutation($id: ID!) { productUpdate(id: $id, input: { sku: "TAKEN" }) { userErrors { message } } }"#;
    let living = change("mug", take).await;
    assert_eq!(living.texts("/productUpdate/userErrors", "message"), ["another variant has the sku `TAKEN`"]);
    change("gone", "mutation($id: ID!) { productDelete(id: $id) { userErrors { message } } }").await;
    let deleted = change("mug", take).await;
    assert_eq!(deleted.texts("/productUpdate/userErrors", "message"), ["a deleted variant has the sku `TAKEN`"]);
}
