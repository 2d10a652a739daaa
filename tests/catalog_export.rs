//! Exported catalogs are imported without differences.

use savannah::import_export::{
    Progress,
    seed::{DemoCatalogSize, seed_demo_catalog},
};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp, parse_datetime},
};

integration_tests![
    demo_catalog_export_reimports_unchanged,
    generated_catalog_export_reimports_unchanged,
    edge_case_values_survive_export_and_import
];

/// Exports, imports into an empty shop and exports again.
async fn export_and_reimport(app: &TestApp, backend: Backend) -> (String, TestApp) {
    let out = app.export_products().await;
    let other_app = TestApp::start(backend).await;
    let (outcome, import_messages) = other_app.import_products(&out).await;
    assert_eq!(import_messages, []);
    let products = usize::try_from(app.query_scalar("SELECT count(*) FROM product").await).expect("a count");
    assert_eq!(outcome.created, products);
    let repeated = other_app.export_products().await;
    for (original, other_app) in out.lines().zip(repeated.lines()) {
        assert_eq!(original, other_app);
    }
    assert_eq!(out.len(), repeated.len());
    other_app.run_pending_jobs().await;
    (out, other_app)
}

async fn demo_catalog_export_reimports_unchanged(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let (out, _) = export_and_reimport(&app, backend).await;
    let before = app.dump_tables().await;
    let (repeated, import_messages) = app.import_products(&out).await;
    assert_eq!((repeated.created, import_messages), (0, vec![]));
    assert_eq!(app.dump_tables().await, before, "what a shop wrote itself changes nothing");
}

async fn generated_catalog_export_reimports_unchanged(backend: Backend) {
    let app = TestApp::start(backend).await;
    let currency = app.http_app.state.config.shop.currency;
    seed_demo_catalog(&app.db, currency, DemoCatalogSize { products: 600, categories: 30 }, &Progress::default())
        .await
        .expect("a made-up shop");
    let (out, other_app) = export_and_reimport(&app, backend).await;
    for status in ["active", "draft", "archived"] {
        let count = format!("SELECT count(*) FROM product WHERE status = '{status}'");
        assert!(app.query_scalar(&count).await > 0, "no {status} product to export");
        assert_eq!(app.query_scalar(&count).await, other_app.query_scalar(&count).await, "{status}");
    }
    assert!(out.contains("2026-"), "no sale with dates");
}

/// Starts a server with edge cases of every format.
async fn start_app_with_edge_cases(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    let shopify = r#"Handle,Title,Body (HTML),Vendor,Type,Tags,Status,Featured,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Sale Starts At,Sale Ends At,Variant Barcode,Variant Image,Image Src,Image Alt Text
formula,'=1+1,"<pre>

two lines</pre><p>a ""b"" &lt;c&gt; &amp;amp; d&#13;&#1;</p>","O'Neill, ""Sons""","Food \> Drink > Tea, green","a\, b, =c, C:\\d, ""q"", é",draft,TRUE,Size,"1/2"", wide",'-5,0,0,0,10,2026-12-01,9999-12-31,'0012,v.png,1.png,"a, ""picture"""
formula,,,,,,,,,-L,''x,,,5.50,,,,,,2.png,
formula,,,,,,,,,,,,,,,,,,,3.png,third
apostrophe,'tis,,'=x,,,archived,,,,S1,12,7,1.00,2.00,2026-12-01T10:00:00.123456789Z,2026-12-24,,,,
plain,@home,-dash,,,,,,Title,Default Title,,,,3,,,,,,,
"#;
    let (outcome, import_messages) = app.import_products(shopify).await;
    assert_eq!((outcome.created, outcome.rejected), (3, 0), "{import_messages:?}");
    let woo = r#"ID,Type,SKU,Name,Published,Regular price,Sale price,Parent,Tags,Categories,Images,Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s),Attribute 3 name,Attribute 3 value(s),Attribute 4 name,Attribute 4 value(s),Attribute 5 name,Attribute 5 value(s)
1,variable,lamp,'=Lamp,1,,,,"a\, b, c","Home > Lamps\, big","1.png, 2.png, 3.png",Size,"S, M",Shade,"Red\, dark, Blue",Plug,UK,Cord,1 m,Bulb,E27
2,variation,lamp-1,,1,50,40,lamp,,,,Size,S,Shade,"Red\, dark",Plug,UK,Cord,1 m,Bulb,E27
3,variation,lamp-2,,1,55,,lamp,,,,Size,M,Shade,Blue,Plug,UK,Cord,,Bulb,E27
"#;
    let (outcome, import_messages) = app.import_products(woo).await;
    assert_eq!((outcome.created, outcome.variants, import_messages), (1, 2, vec![]));
    app
}

async fn edge_case_values_survive_export_and_import(backend: Backend) {
    let app = start_app_with_edge_cases(backend).await;
    let (out, other_app) = export_and_reimport(&app, backend).await;
    assert!(out.starts_with("Handle,Title,") && out.contains("Option5 Value"), "five options have columns");
    for cell in ["=", "+", "-", "@"] {
        let open = out
            .lines()
            .flat_map(|line| line.split(','))
            .find(|cell_text| cell_text.trim_matches('"').starts_with(cell));
        assert_eq!(open, None, "a spreadsheet would take it for a formula");
    }
    let number = async |sql: &str| [app.query_scalar(sql).await, other_app.query_scalar(sql).await];
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

    // Scheduled sale start and end apply in both.
    for app in [&app, &other_app] {
        app.clock.set(parse_datetime("2026-12-02T00:00:00Z"));
        app.execute_sql("UPDATE product SET status = 'active'").await.expect("a change");
        app.run_clock_tick().await;
        let response = app.query(r#"{ product(slug: "apostrophe") { price salePrice } }"#).await;
        assert_eq!(*response.data_at("/product"), json!({ "price": "2.00", "salePrice": "1.00" }));
    }
}
