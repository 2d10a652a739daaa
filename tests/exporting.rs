//! What goes out comes back the same.

use savannah::exchange::{Progress, seed::seed};
use serde_json::json;

use crate::{
    shop::{Backend, Shop, moment},
    stories,
};

stories![the_demo_catalog_comes_back, the_made_up_shop_comes_back, nothing_odd_is_lost];

/// Exports, imports into an empty shop and exports again.
async fn round(shop: &Shop, backend: Backend) -> (String, Shop) {
    let out = shop.export().await;
    let other = Shop::open(backend).await;
    let (outcome, remarks) = other.import(&out).await;
    assert_eq!(remarks, []);
    let products = usize::try_from(shop.number("SELECT count(*) FROM product").await).expect("a count");
    assert_eq!(outcome.made, products);
    let again = other.export().await;
    for (one, other) in out.lines().zip(again.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(out.len(), again.len());
    other.settle().await;
    (out, other)
}

async fn the_demo_catalog_comes_back(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let (out, _) = round(&shop, backend).await;
    let before = shop.dump().await;
    let (again, remarks) = shop.import(&out).await;
    assert_eq!((again.made, remarks), (0, vec![]));
    assert_eq!(shop.dump().await, before, "what a shop wrote itself changes nothing");
}

async fn the_made_up_shop_comes_back(backend: Backend) {
    let shop = Shop::open(backend).await;
    let currency = shop.app.shared.config.shop.currency;
    seed(&shop.db, currency, (600, 30), &Progress::default()).await.expect("a made-up shop");
    let (out, other) = round(&shop, backend).await;
    for status in ["active", "draft", "archived"] {
        let count = format!("SELECT count(*) FROM product WHERE status = '{status}'");
        assert!(shop.number(&count).await > 0, "no {status} product to export");
        assert_eq!(shop.number(&count).await, other.number(&count).await, "{status}");
    }
    assert!(out.contains("2026-"), "no sale with dates");
}

/// A shop with everything that a format could trip over.
async fn odd(backend: Backend) -> Shop {
    let shop = Shop::open(backend).await;
    let shopify = r#"Handle,Title,Body (HTML),Vendor,Type,Tags,Status,Featured,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Sale Starts At,Sale Ends At,Variant Barcode,Variant Image,Image Src,Image Alt Text
formula,'=1+1,"<pre>

two lines</pre><p>a ""b"" &lt;c&gt; &amp;amp; d&#13;&#1;</p>","O'Neill, ""Sons""","Food \> Drink > Tea, green","a\, b, =c, C:\\d, ""q"", é",draft,TRUE,Size,"1/2"", wide",'-5,0,0,0,10,2026-12-01,9999-12-31,'0012,v.png,1.png,"a, ""picture"""
formula,,,,,,,,,-L,''x,,,5.50,,,,,,2.png,
formula,,,,,,,,,,,,,,,,,,,3.png,third
apostrophe,'tis,,'=x,,,archived,,,,S1,12,7,1.00,2.00,2026-12-01T10:00:00.123456789Z,2026-12-24,,,,
plain,@home,-dash,,,,,,Title,Default Title,,,,3,,,,,,,
"#;
    let (outcome, remarks) = shop.import(shopify).await;
    assert_eq!((outcome.made, outcome.refused), (3, 0), "{remarks:?}");
    let woo = r#"ID,Type,SKU,Name,Published,Regular price,Sale price,Parent,Tags,Categories,Images,Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s),Attribute 3 name,Attribute 3 value(s),Attribute 4 name,Attribute 4 value(s),Attribute 5 name,Attribute 5 value(s)
1,variable,lamp,'=Lamp,1,,,,"a\, b, c","Home > Lamps\, big","1.png, 2.png, 3.png",Size,"S, M",Shade,"Red\, dark, Blue",Plug,UK,Cord,1 m,Bulb,E27
2,variation,lamp-1,,1,50,40,lamp,,,,Size,S,Shade,"Red\, dark",Plug,UK,Cord,1 m,Bulb,E27
3,variation,lamp-2,,1,55,,lamp,,,,Size,M,Shade,Blue,Plug,UK,Cord,,Bulb,E27
"#;
    let (outcome, remarks) = shop.import(woo).await;
    assert_eq!((outcome.made, outcome.variants, remarks), (1, 2, vec![]));
    shop
}

async fn nothing_odd_is_lost(backend: Backend) {
    let shop = odd(backend).await;
    let (out, other) = round(&shop, backend).await;
    assert!(out.starts_with("Handle,Title,") && out.contains("Option5 Value"), "five options have columns");
    for cell in ["=", "+", "-", "@"] {
        let open = out.lines().flat_map(|line| line.split(',')).find(|one| one.trim_matches('"').starts_with(cell));
        assert_eq!(open, None, "a spreadsheet would take it for a formula");
    }
    let number = async |sql: &str| [shop.number(sql).await, other.number(sql).await];
    assert_eq!(number("SELECT count(*) FROM product WHERE name IN ('=1+1', '''tis', '@home', '=Lamp')").await, [4, 4]);
    assert_eq!(number("SELECT count(*) FROM product WHERE vendor IN ('=x', 'O''Neill, \"Sons\"')").await, [2, 2]);
    let tags = "SELECT count(*) FROM product_tag WHERE tag IN ('a, b', '=c', 'C:\\d', '\"q\"', 'é', 'c')";
    assert_eq!(number(tags).await, [7, 7]);
    let categories = "SELECT count(*) FROM category WHERE name IN ('Food > Drink', 'Tea, green', 'Lamps, big')";
    assert_eq!(number(categories).await, [3, 3]);
    let skus = "SELECT count(*) FROM variant WHERE sku IN ('-5', '''x', 'S1', 'plain', 'lamp-1', 'lamp-2')";
    assert_eq!(number(skus).await, [6, 6]);
    assert_eq!(number("SELECT count(*) FROM variant WHERE NOT track_stock").await, [4, 4]);
    assert_eq!(number("SELECT count(*) FROM variant WHERE sale_price = 0 AND price = 1000").await, [1, 1]);
    assert_eq!(number("SELECT count(*) FROM variant_option").await, [12, 12]);
    assert_eq!(number("SELECT count(*) FROM product_image").await, [6, 6]);

    // The sale that begins and ends by the clock does so in both.
    for shop in [&shop, &other] {
        shop.clock.set(moment("2026-12-02T00:00:00Z"));
        shop.sql("UPDATE product SET status = 'active'").await.expect("a change");
        shop.tick().await;
        let answer = shop.ask(r#"{ product(slug: "apostrophe") { price salePrice } }"#).await;
        assert_eq!(*answer.at("/product"), json!({ "price": "2.00", "salePrice": "1.00" }));
    }
}
