//! Catalogs that other systems wrote. Not ours to pass on: where they are not here, these stories are ignored.

use std::path::{Path, PathBuf};

use savannah::exchange::import::{Outcome, Remark};
use serde_json::json;

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![; needs(here): every_shopify_file_comes_in_whole,
    woocommerces_samples_come_in_whole,
    googles_taxonomy_comes_in_whole,
    a_fashion_shop_is_on_show,
    a_fashion_shop_goes_out_and_comes_back,
    files_are_rehearsed_together];

/// Beside the project, unless `SAVANNAH_DATA` says where.
fn folder() -> PathBuf {
    std::env::var_os("SAVANNAH_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

fn here() -> bool {
    folder().join("SOURCES.md").exists()
}

async fn bring(shop: &Shop, name: &str, dry_run: bool) -> (Outcome, Vec<Remark>) {
    let mut heard = Vec::new();
    let mut tell = |remark| heard.push(remark);
    let outcome = shop.importing(&mut tell, dry_run).products(&[folder().join(name)]).await;
    let outcome = outcome.unwrap_or_else(|why| panic!("{name}: {}", why.log()));
    shop.tick().await;
    (outcome, heard)
}

/// What a shop holds: products, variants, pictures.
async fn holds(shop: &Shop) -> [i64; 3] {
    [
        shop.number("SELECT count(*) FROM product").await,
        shop.number("SELECT count(*) FROM variant").await,
        shop.number("SELECT count(*) FROM product_image").await,
    ]
}

async fn every_shopify_file_comes_in_whole(backend: Backend) {
    // Products, variants, pictures; skus made, skus used twice.
    let files = [
        ("shopify-partners-apparel.csv", [20, 22, 20]),
        ("shopify-partners-home-and-garden.csv", [20, 21, 21]),
        ("shopify-legacy-Apparel.csv", [25, 96, 55]),
        ("shopify-legacy-SnowDevil.csv", [278, 622, 412]),
        ("shopify-legacy-Fashion.csv", [997, 3_684, 4_742]),
    ];
    for (name, expected) in files {
        let shop = Shop::open(backend).await;
        let (rehearsed, said) = bring(&shop, name, true).await;
        assert_eq!(holds(&shop).await, [0, 0, 0], "{name} was only rehearsed");
        let (outcome, remarks) = bring(&shop, name, false).await;
        assert_eq!((&rehearsed, &said), (&outcome, &remarks), "{name}");
        let refused: Vec<_> = remarks.iter().filter(|remark| remark.refused).collect();
        assert!(refused.is_empty(), "{name}: {refused:?}");
        assert_eq!(holds(&shop).await, expected, "{name}");
        shop.settle().await;

        let before = shop.dump().await;
        let (again, remarks) = bring(&shop, name, false).await;
        assert_eq!((again.made, again.kept, again.refused), (0, outcome.made, 0), "{name}: {remarks:?}");
        assert_same(&before, &shop.dump().await);
    }
}

#[track_caller]
fn assert_same(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(3).collect();
    let come: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(3).collect();
    assert!(before == after, "gone: {gone:#?}, come: {come:#?}");
}

async fn woocommerces_samples_come_in_whole(backend: Backend) {
    let shop = Shop::open(backend).await;
    let name = "woo-classic-commerce-sample_products.csv";
    let (outcome, remarks) = bring(&shop, name, false).await;
    assert_eq!((outcome.refused, holds(&shop).await[..2].to_vec()), (0, vec![15, 22]), "{remarks:?}");
    let hoodie = shop.ask(r#"{ product(slug: "hoodie") { variants { sku } } }"#).await;
    assert_eq!(hoodie.at("/product/variants").as_array().map(Vec::len), Some(6), "far from their parent");
    shop.settle().await;

    let before = shop.dump().await;
    let (again, _) = bring(&shop, name, false).await;
    assert_eq!(again.made, 0);
    assert_same(&before, &shop.dump().await);
}

async fn googles_taxonomy_comes_in_whole(backend: Backend) {
    let shop = Shop::open(backend).await;
    let file = [folder().join("google-taxonomy-with-ids.en-US.txt")];
    let mut heard = Vec::new();
    let mut tell = |remark| heard.push(remark);
    let rehearsed = shop.importing(&mut tell, true).categories(&file).await.expect("a rehearsal");
    assert_eq!(shop.number("SELECT count(*) FROM category").await, 0);
    let outcome = shop.importing(&mut tell, false).categories(&file).await.expect("an import");
    assert_eq!((outcome.made, outcome.refused), (5_582, 0));
    assert_eq!(rehearsed, outcome);
    assert_eq!(shop.number("SELECT count(*) FROM category").await, 5_582);
    assert_eq!(shop.number("SELECT count(*) FROM category WHERE parent_id IS NULL").await, 21);

    let before = shop.dump().await;
    let again = shop.importing(&mut tell, false).categories(&file).await.expect("an import");
    assert_eq!((again.made, again.kept), (0, 5_582));
    assert_same(&before, &shop.dump().await);
    assert_eq!(heard, []);
}

async fn a_fashion_shop_is_on_show(backend: Backend) {
    let shop = Shop::open(backend).await;
    bring(&shop, "shopify-legacy-Fashion.csv", false).await;
    let query = r#"{
        bracelet: product(slug: "kalotte-bracelet") { name images { url } options { name values }
            variants { sku price options { name value } } }
        camisole: product(slug: "s14-onl-li-4184l-navy") { name description descriptionHtml }
        products(first: 1) { totalCount }
    }"#;
    let answer = shop.ask(query).await;
    assert_eq!(*answer.at("/products/totalCount"), json!(997));
    assert_eq!(answer.at("/bracelet/images").as_array().map(Vec::len), Some(5));
    let options = json!([{ "name": "Size", "values": ["O/S"] }, { "name": "Material", "values": ["Stainless Steel"] },
        { "name": "Color", "values": ["Gold"] }]);
    assert_eq!(*answer.at("/bracelet/options"), options);
    let sku = json!("31023");
    assert_eq!(*answer.at("/bracelet/variants/0/sku"), sku, "the apostrophe is Shopify's");
    let html = answer.at("/camisole/descriptionHtml").as_str().expect("HTML");
    assert!(html.contains("<p>") && !html.contains("style=") && !html.contains("<meta"), "{html}");
    let text = answer.at("/camisole/description").as_str().expect("text");
    assert!(text.starts_with("Lace trim accentuates") && !text.contains('<'), "{text}");
}

async fn a_fashion_shop_goes_out_and_comes_back(backend: Backend) {
    let shop = Shop::open(backend).await;
    bring(&shop, "shopify-legacy-Fashion.csv", false).await;
    bring(&shop, "woo-classic-commerce-sample_products.csv", false).await;
    let out = shop.export().await;
    let other = Shop::open(backend).await;
    let (outcome, remarks) = other.import(&out).await;
    assert_eq!((outcome.made, remarks), (1_012, vec![]));
    assert!(other.export().await == out, "the second export is not the first");
    assert_eq!(holds(&other).await, holds(&shop).await);
}

async fn files_are_rehearsed_together(backend: Backend) {
    let shop = Shop::open(backend).await;
    let file = folder().join("shopify-legacy-Apparel.csv");
    let twice = [file.clone(), file];
    let mut heard = Vec::new();
    let mut tell = |remark| heard.push(remark);
    let rehearsed = shop.importing(&mut tell, true).products(&twice).await.expect("a rehearsal");
    assert_eq!((rehearsed.made, rehearsed.kept), (25, 25));
    let outcome = shop.importing(&mut tell, false).products(&twice).await.expect("an import");
    assert_eq!(rehearsed, outcome);
}
