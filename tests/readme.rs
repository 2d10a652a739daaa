//! What the README says can be pasted, pasted: in its order, by whoever it says.

use savannah::identity::Role;
use serde_json::json;

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![everything_in_the_readme_can_be_pasted];

const README: &str = include_str!("../README.md");

/// The operations of a block, each with its name.
fn operations(block: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut starts: Vec<usize> = ["query ", "mutation "]
        .iter()
        .flat_map(|word| block.match_indices(word).filter(|(at, _)| *at == 0 || block[..*at].ends_with('\n')))
        .map(|(at, _)| at)
        .collect();
    starts.sort_unstable();
    let ends = starts.clone().into_iter().skip(1).chain([block.len()]);
    starts.into_iter().zip(ends).map(|(start, end)| {
        let text = &block[start..end];
        let name = text.split_whitespace().nth(1).expect("a name");
        (name.split('(').next().expect("a name"), text)
    })
}

async fn everything_in_the_readme_can_be_pasted(backend: Backend) {
    let shop = Shop::demo(backend).await;
    shop.fit_out().await;
    let admin = shop.sign_in(Role::Admin).await;
    let mut customer = admin.clone();
    // What a reader fills in from the answers.
    let mut known = json!({});
    let keep = [
        ("variantId", "/product/variants/0/id"),
        ("cartId", "/cartCreate/cart/id"),
        ("shippingMethodId", "/cartCreate/cart/availableShippingMethods/0/method/id"),
        ("total", "/cartShippingMethodSet/cart/total"),
        ("orderId", "/checkoutComplete/order/id"),
        ("categoryId", "/categoryCreate/category/id"),
        ("refreshToken", "/login/tokens/refreshToken"),
        ("refreshToken", "/tokenRefresh/tokens/refreshToken"),
    ];
    let blocks: Vec<&str> = README.split("```graphql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 5, "the catalog, the guest, the staff, the customer, the admin");
    let mut told = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        for (name, text) in operations(block) {
            let token = [None, None, Some(&admin), Some(&customer), Some(&admin)][place];
            let answer = shop.ask_maybe(token.map(String::as_str), text, known.clone()).await;
            assert!(answer.body.get("errors").is_none(), "{name}: {}", answer.body);
            assert!(!answer.body.to_string().contains("\"userErrors\":[{"), "{name}: {}", answer.body);
            for mutation in ["login", "tokenRefresh"] {
                if let Some(tokens) = answer.body["data"][mutation].get("tokens") {
                    customer = String::from(tokens["accessToken"].as_str().expect("a token"));
                }
            }
            for (name, place) in keep {
                if let Some(said) = answer.body["data"].pointer(place) {
                    known[name] = said.clone();
                }
            }
            told.push(name);
        }
    }
    let all = [
        "Window", "Page", "Tree", "Search", "Fill", "Choose", "Buy", "Confirm", "Send", "Paid", "Arrived", "Register",
        "Login", "Refresh", "Me", "Logout", "Category", "Product", "Changes",
    ];
    assert_eq!(told, all);
    let lamp = shop.ask("{ product(sku: \"LAMP-1\") { name salePrice stockQuantity category { name } } }").await;
    assert_eq!(lamp.at("/product/category/name"), "Lamps");
    assert_eq!((lamp.at("/product/salePrice"), lamp.at("/product/stockQuantity")), (&json!("3900.00"), &json!(12)));
    let order = shop.ask_as(
        &admin,
        "query($id: ID) { order(id: $id) { status paymentStatus } }",
        json!({ "id": known["orderId"] }),
    );
    assert_eq!(order.await.at("/order"), &json!({ "status": "DELIVERED", "paymentStatus": "PAID" }));
    shop.add_up().await;
    shop.settle().await;
}
