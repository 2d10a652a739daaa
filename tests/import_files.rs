//! Imports of files as spreadsheets and other shops write them.

use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    file_with_semicolons_or_tabs_is_imported,
    file_saved_by_a_spreadsheet_keeps_its_image_rows,
    c1_character_causes_a_warning_only,
    rows_after_a_rejected_row_cause_no_second_error,
    variations_of_a_rejected_parent_cause_no_second_error,
    woocommerce_dates_are_in_the_shop_time_zone,
    backslashes_and_line_breaks_survive_export_and_import,
    exported_handle_is_escaped_as_formula,
];

async fn file_with_semicolons_or_tabs_is_imported(backend: Backend) {
    let app = TestApp::start(backend).await;
    for (slug, delimiter) in [("semicolon", ";"), ("tab", "\t")] {
        let text = format!("Handle,Title,Variant SKU,Variant Price\n{slug},A B,{slug},5\n").replace(',', delimiter);
        let (outcome, import_messages) = app.import_products(text).await;
        assert_eq!((outcome.created, import_messages), (1, vec![]), "{slug}");
    }
    let woo = "\u{feff}ID;Type;SKU;Name;Regular price\n7;simple;W;\"A; B\";12.50\n";
    let (outcome, import_messages) = app.import_products(woo).await;
    assert_eq!((outcome.created, import_messages), (1, vec![]));
    let product = app.query(r#"{ product(sku: "W") { name price } }"#).await;
    assert_eq!(*product.data_at("/product"), json!({ "name": "A; B", "price": "12.50" }));
}

async fn file_saved_by_a_spreadsheet_keeps_its_image_rows(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
        Variant Price,Variant Inventory Qty,Image Src,Status\n\
        bowl,Bowl,Deep,Kiln,Dishes,new,true,Title,Default Title,BOWL-1,15.00,4,https://img.example/1.jpg,active,,\n\
        bowl,,,,,,,,,,,,https://img.example/2.jpg\n\
        plate,Plate,Flat,Kiln,Dishes,,true,Title,Default Title,PLATE-1,8.00,2\n\0\0\0";
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!((outcome.created, import_messages), (2, vec![]));
    let bowl = app.query(r#"{ product(slug: "bowl") { images { url } } }"#).await;
    assert_eq!(bowl.strings_at("/product/images", "url"), ["https://img.example/1.jpg", "https://img.example/2.jpg"]);
}

async fn c1_character_causes_a_warning_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src\n\
        lamp,Lamp,\"Bright\u{99} and \u{93}warm\u{94}\",L,5,\nlamp,,,,,2.png\n";
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!((outcome.created, outcome.rejected, outcome.warned), (1, 0, 1), "{import_messages:?}");
    assert!(import_messages[0].reason.contains("column \"Body (HTML)\" contains Windows-1252"), "{import_messages:?}");
    let lamp = app.query(r#"{ product(slug: "lamp") { description } }"#).await;
    assert_eq!(*lamp.data_at("/product/description"), json!("Bright™ and “warm”"));
}

async fn rows_after_a_rejected_row_cause_no_second_error(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n\
        bad,Bad\u{1},Size,S,B1,5,\nbad,,,M,B2,5,\nbad,,,,,,2.png\ngood,Good,,,G,5,\nlost,,,,L,5,\n";
    let (outcome, import_messages) = app.import_products(text).await;
    let reported: Vec<_> =
        import_messages.iter().map(|import_message| (import_message.line, import_message.reason.as_str())).collect();
    let expected =
        [(2, "column \"Title\" contains the control character \\u{1}"), (6, "the new product `lost` has no name")];
    assert_eq!(reported, expected);
    assert_eq!(outcome.created, 1);
    // Of a product that is there, the other rows are taken.
    app.import_products("Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\nbad,Bad,Size,S,B1,5\n")
        .await;
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!((outcome.updated, import_messages.len()), (2, 2), "{import_messages:?}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM variant WHERE sku IN ('B1', 'B2')").await, 2);
}

async fn variations_of_a_rejected_parent_cause_no_second_error(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "ID,Type,SKU,Name,Regular price,Parent,Attribute 1 name,Attribute 1 value(s)\n\
        1,variable,TEE,Tee\u{1},,,Size,\"S, M\"\n2,variation,TEE-S,,5,TEE,Size,S\n3,variation,TEE-M,,5,id:1,Size,M\n\
        4,simple,CUP,Cup,3,,,\n";
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!((outcome.created, outcome.rejected), (1, 1), "{import_messages:?}");
    assert_eq!(import_messages[0].line, 2);
}

async fn woocommerce_dates_are_in_the_shop_time_zone(backend: Backend) {
    let text = "Type,SKU,Name,Regular price,Sale price,Date sale price starts,Date sale price ends\n\
        simple,A,A,10,8,2026-01-01,2026-01-31\n";
    let zones = [
        ("Africa/Nairobi", ["2025-12-31T21:00:00+00:00", "2026-01-31T21:00:00+00:00"]),
        ("America/New_York", ["2026-01-01T05:00:00+00:00", "2026-02-01T05:00:00+00:00"]),
    ];
    for (zone, expected) in zones {
        let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SHOP__TIME_ZONE", zone)]).await;
        let (_, import_messages) = app.import_products(text).await;
        assert_eq!(import_messages, []);
        let out = app.export_products().await;
        assert!(expected.iter().all(|moment| out.contains(moment)), "{zone}: {out}");
    }
}

async fn backslashes_and_line_breaks_survive_export_and_import(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Type,SKU,Name,Regular price,Description\n\
        simple,A,A,1,one\\ntwo\nsimple,B,B,1,C:\\\\new\nsimple,C,C,1,\\\\\\nx\nsimple,D,D,1,a \\d b\n";
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!((outcome.created, import_messages), (4, vec![]));
    let expected = ["one\ntwo", "C:\\new", "\\\nx", "a \\d b"];
    let read = async |app: &TestApp| {
        let response = app.query("{ products(first: 9, sort: { field: NAME }) { nodes { descriptionHtml } } }").await;
        response.strings_at("/products/nodes", "descriptionHtml")
    };
    // Imported products are drafts until they are published.
    app.execute_sql("UPDATE product SET status = 'active'").await.expect("a change");
    assert_eq!(read(&app).await, expected);
    let other_app = TestApp::start(backend).await;
    other_app.import_products(app.export_products().await).await;
    assert_eq!(read(&other_app).await, expected);
}

async fn exported_handle_is_escaped_as_formula(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (outcome, _) = app.import_products("Handle,Title,Variant SKU,Variant Price\n=cmd|'calc'!a0,A,A,1\n").await;
    assert_eq!(outcome.created, 1);
    let out = app.export_products().await;
    assert!(out.contains("\n'=cmd|'calc'!a0,"), "{out}");
    let (repeated, _) = app.import_products(out).await;
    assert_eq!((repeated.created, repeated.updated), (0, 1));
}
