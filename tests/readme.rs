//! What the README says can be pasted, pasted: in its order, by whoever it says.

use savannah::identity::Role;
use serde_json::{Value, json};

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
    let admin = shop.sign_in(Role::Admin).await;
    let (mut customer, mut refresh, mut category) = (admin.clone(), Value::Null, Value::Null);
    let blocks: Vec<&str> = README.split("```graphql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3, "the catalog, the customer, the admin");
    let mut told = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        for (name, text) in operations(block) {
            let token = if place == 1 { &customer } else { &admin };
            let variables = json!({ "refreshToken": refresh, "categoryId": category });
            let answer = shop.ask_as(token, text, variables).await;
            assert!(answer.body.get("errors").is_none(), "{name}: {}", answer.body);
            assert!(!answer.body.to_string().contains("\"userErrors\":[{"), "{name}: {}", answer.body);
            for mutation in ["login", "tokenRefresh"] {
                if let Some(tokens) = answer.body["data"][mutation].get("tokens") {
                    customer = String::from(tokens["accessToken"].as_str().expect("a token"));
                    refresh = tokens["refreshToken"].clone();
                }
            }
            if let Some(made) = answer.body["data"]["categoryCreate"].get("category") {
                category = made["id"].clone();
            }
            told.push(name);
        }
    }
    let all = [
        "Window", "Page", "Tree", "Search", "Register", "Login", "Refresh", "Me", "Logout", "Category", "Product",
        "Changes",
    ];
    assert_eq!(told, all);
    let lamp = shop.ask("{ product(sku: \"LAMP-1\") { name salePrice stockQuantity category { name } } }").await;
    assert_eq!(lamp.at("/product/category/name"), "Lamps");
    assert_eq!((lamp.at("/product/salePrice"), lamp.at("/product/stockQuantity")), (&json!("3900.00"), &json!(12)));
}
