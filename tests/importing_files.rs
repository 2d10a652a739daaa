//! Imports of files as spreadsheets and other shops write them.

use serde_json::json;

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    file_with_semicolons_or_tabs_is_imported,
    file_that_went_through_a_spreadsheet_keeps_its_picture_rows,
    c1_character_costs_a_warning_and_no_product,
    rows_after_a_refused_row_cause_no_second_error,
    variations_of_a_refused_parent_cause_no_second_error,
    days_of_a_woocommerce_file_are_days_of_the_shop,
    backslashes_and_line_breaks_come_back_as_they_were,
    exported_handle_is_no_formula,
];

async fn file_with_semicolons_or_tabs_is_imported(backend: Backend) {
    let shop = Shop::open(backend).await;
    for (slug, delimiter) in [("semicolon", ";"), ("tab", "\t")] {
        let text = format!("Handle,Title,Variant SKU,Variant Price\n{slug},A B,{slug},5\n").replace(',', delimiter);
        let (outcome, remarks) = shop.import(text).await;
        assert_eq!((outcome.made, remarks), (1, vec![]), "{slug}");
    }
    let woo = "\u{feff}ID;Type;SKU;Name;Regular price\n7;simple;W;\"A; B\";12.50\n";
    let (outcome, remarks) = shop.import(woo).await;
    assert_eq!((outcome.made, remarks), (1, vec![]));
    let product = shop.ask(r#"{ product(sku: "W") { name price } }"#).await;
    assert_eq!(*product.at("/product"), json!({ "name": "A; B", "price": "12.50" }));
}

async fn file_that_went_through_a_spreadsheet_keeps_its_picture_rows(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
        Variant Price,Variant Inventory Qty,Image Src,Status\n\
        bowl,Bowl,Deep,Kiln,Dishes,new,true,Title,Default Title,BOWL-1,15.00,4,https://img.example/1.jpg,active,,\n\
        bowl,,,,,,,,,,,,https://img.example/2.jpg\n\
        plate,Plate,Flat,Kiln,Dishes,,true,Title,Default Title,PLATE-1,8.00,2\n\0\0\0";
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!((outcome.made, remarks), (2, vec![]));
    let bowl = shop.ask(r#"{ product(slug: "bowl") { images { url } } }"#).await;
    assert_eq!(bowl.texts("/product/images", "url"), ["https://img.example/1.jpg", "https://img.example/2.jpg"]);
}

async fn c1_character_costs_a_warning_and_no_product(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src\n\
        lamp,Lamp,\"Bright\u{99} and \u{93}warm\u{94}\",L,5,\nlamp,,,,,2.png\n";
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!((outcome.made, outcome.refused, outcome.warned), (1, 0, 1), "{remarks:?}");
    assert!(remarks[0].reason.contains("column \"Body (HTML)\" holds Windows-1252"), "{remarks:?}");
    let lamp = shop.ask(r#"{ product(slug: "lamp") { description } }"#).await;
    assert_eq!(*lamp.at("/product/description"), json!("Bright™ and “warm”"));
}

async fn rows_after_a_refused_row_cause_no_second_error(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n\
        bad,Bad\u{1},Size,S,B1,5,\nbad,,,M,B2,5,\nbad,,,,,,2.png\ngood,Good,,,G,5,\nlost,,,,L,5,\n";
    let (outcome, remarks) = shop.import(text).await;
    let told: Vec<_> = remarks.iter().map(|remark| (remark.line, remark.reason.as_str())).collect();
    let expected =
        [(2, "column \"Title\" holds the control character \\u{1}"), (6, "the new product `lost` has no name")];
    assert_eq!(told, expected);
    assert_eq!(outcome.made, 1);
    // Of a product that is there, the other rows are taken.
    shop.import("Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\nbad,Bad,Size,S,B1,5\n").await;
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!((outcome.kept, remarks.len()), (2, 2), "{remarks:?}");
    assert_eq!(shop.number("SELECT count(*) FROM variant WHERE sku IN ('B1', 'B2')").await, 2);
}

async fn variations_of_a_refused_parent_cause_no_second_error(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "ID,Type,SKU,Name,Regular price,Parent,Attribute 1 name,Attribute 1 value(s)\n\
        1,variable,TEE,Tee\u{1},,,Size,\"S, M\"\n2,variation,TEE-S,,5,TEE,Size,S\n3,variation,TEE-M,,5,id:1,Size,M\n\
        4,simple,CUP,Cup,3,,,\n";
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!((outcome.made, outcome.refused), (1, 1), "{remarks:?}");
    assert_eq!(remarks[0].line, 2);
}

async fn days_of_a_woocommerce_file_are_days_of_the_shop(backend: Backend) {
    let text = "Type,SKU,Name,Regular price,Sale price,Date sale price starts,Date sale price ends\n\
        simple,A,A,10,8,2026-01-01,2026-01-31\n";
    let zones = [
        ("Africa/Nairobi", ["2025-12-31T21:00:00+00:00", "2026-01-31T21:00:00+00:00"]),
        ("America/New_York", ["2026-01-01T05:00:00+00:00", "2026-02-01T05:00:00+00:00"]),
    ];
    for (zone, expected) in zones {
        let shop = Shop::open_with(backend, &[("SAVANNAH_SHOP__TIME_ZONE", zone)]).await;
        let (_, remarks) = shop.import(text).await;
        assert_eq!(remarks, []);
        let out = shop.export().await;
        assert!(expected.iter().all(|moment| out.contains(moment)), "{zone}: {out}");
    }
}

async fn backslashes_and_line_breaks_come_back_as_they_were(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Type,SKU,Name,Regular price,Description\n\
        simple,A,A,1,one\\ntwo\nsimple,B,B,1,C:\\\\new\nsimple,C,C,1,\\\\\\nx\nsimple,D,D,1,a \\d b\n";
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!((outcome.made, remarks), (4, vec![]));
    let meant = ["one\ntwo", "C:\\new", "\\\nx", "a \\d b"];
    let read = async |shop: &Shop| {
        let answer = shop.ask("{ products(first: 9, orderBy: { field: NAME }) { nodes { descriptionHtml } } }").await;
        answer.texts("/products/nodes", "descriptionHtml")
    };
    // Imported products are drafts until they are published.
    shop.sql("UPDATE product SET status = 'active'").await.expect("a change");
    assert_eq!(read(&shop).await, meant);
    let other = Shop::open(backend).await;
    other.import(shop.export().await).await;
    assert_eq!(read(&other).await, meant);
}

async fn exported_handle_is_no_formula(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (outcome, _) = shop.import("Handle,Title,Variant SKU,Variant Price\n=cmd|'calc'!a0,A,A,1\n").await;
    assert_eq!(outcome.made, 1);
    let out = shop.export().await;
    assert!(out.contains("\n'=cmd|'calc'!a0,"), "{out}");
    let (again, _) = shop.import(out).await;
    assert_eq!((again.made, again.kept), (0, 1));
}
