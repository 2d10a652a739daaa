//! Browsing: products and the category tree, and what each costs.

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![a_shopper_finds_the_mug];

async fn a_shopper_finds_the_mug(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let answer = shop.ask("{ product(slug: \"mug\") { name price category { name ancestors { name } } } }").await;
    assert_eq!(answer.at("/product/name"), "Savannah Mug");
    assert_eq!(answer.at("/product/price"), "1250.00");
    assert_eq!(answer.texts("/product/category/ancestors", "name"), ["Home", "Kitchen"]);
    assert_eq!(answer.statements, 1);
    shop.settle().await;
}
