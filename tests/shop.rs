//! Information about the shop for storefronts.

use savannah::identity::Role;
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![shop_lists_countries_languages_policies_and_hides_its_version];

async fn shop_lists_countries_languages_policies_and_hides_its_version(backend: Backend) {
    const SHOP: &str =
        "{ shop { currencies languages contactEmail logoUrl policies { name url } loginProviders { name }
        countries { code name phonePrefix requiredFields } shippingCountries { code } } }";
    let app = TestApp::start(backend).await;
    let unset = app.query(SHOP).await;
    let shop = unset.data_at("/shop");
    assert_eq!(shop["currencies"], json!(["KES"]));
    assert_eq!(shop["languages"], json!(["en", "sw"]));
    assert_eq!((&shop["contactEmail"], &shop["logoUrl"], &shop["policies"]), (&json!(null), &json!(null), &json!([])));
    assert_eq!((&shop["loginProviders"], &shop["shippingCountries"]), (&json!([]), &json!([])));
    let countries = shop["countries"].as_array().expect("a list");
    let kenya = json!({ "code": "KE", "name": "Kenya", "phonePrefix": "+254",
        "requiredFields": ["line1", "city", "countryCode"] });
    assert!(countries.len() > 240 && countries.contains(&kenya), "{countries:?}");

    let version = "{ shop { name version } }";
    for (token, code) in [(None, "UNAUTHENTICATED"), (Some(app.login(Role::Customer).await), "FORBIDDEN")] {
        let response = match token {
            Some(token) => app.query_as(&token, version, json!({})).await,
            None => app.query(version).await,
        };
        assert_eq!(response.error_code(), code);
        assert_eq!(response.body["data"]["shop"], json!({ "name": "Savannah", "version": null }));
    }
    let admin = app.login(Role::Admin).await;
    let response = app.query_as(&admin, version, json!({})).await;
    assert_eq!(response.data_at("/shop/version"), env!("CARGO_PKG_VERSION"));

    let create = "mutation($countries: [CountryCode!]!) { shippingMethodCreate(input: {
        name: \"Boda\", price: \"150\", countries: $countries }) { userErrors { code field } } }";
    let destinations = async || app.query(SHOP).await.strings_at("/shop/shippingCountries", "code");
    app.query_as(&admin, create, json!({ "countries": ["UG", "KE"] })).await.data_at("/shippingMethodCreate");
    assert_eq!(destinations().await, ["KE", "UG"]);
    app.query_as(&admin, create, json!({ "countries": [] })).await.data_at("/shippingMethodCreate");
    assert_eq!(destinations().await.len(), countries.len());

    let settings = [
        ("SAVANNAH_SHOP__CONTACT_EMAIL", "help@shop.example"),
        ("SAVANNAH_SHOP__LOGO_URL", "https://shop.example/logo.svg"),
        ("SAVANNAH_SHOP__POLICIES", "privacy=https://shop.example/privacy?a=b"),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let response = app.query("{ shop { contactEmail logoUrl policies { name url } } }").await;
    let expected = json!({ "contactEmail": "help@shop.example", "logoUrl": "https://shop.example/logo.svg",
        "policies": [{ "name": "privacy", "url": "https://shop.example/privacy?a=b" }] });
    assert_eq!(response.data_at("/shop"), &expected);
}
