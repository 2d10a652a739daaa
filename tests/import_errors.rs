//! Files that are wrong in places: each place is named, and the rest goes in.

use std::path::Path;

use savannah::import_export::import::{ImportMessage, ImportSummary};

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    invalid_rows_are_reported_and_others_imported,
    invalid_utf8_is_reported,
    truncated_file_is_reported,
    values_over_the_length_limit_are_rejected,
    file_in_unknown_format_is_rejected,
    invalid_taxonomy_lines_are_reported,
    category_names_match_case_insensitively,
    category_path_over_the_depth_limit_is_rejected,
    product_with_invalid_category_keeps_its_category,
];

/// What was refused, as `line: reason`.
fn rejected_lines(import_messages: &[ImportMessage]) -> Vec<String> {
    let rejected = import_messages.iter().filter(|import_message| import_message.rejected);
    rejected.map(|ImportMessage { line, reason, .. }| format!("{line}: {reason}")).collect()
}

async fn invalid_rows_are_reported_and_others_imported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = "Handle,Title,Variant SKU,Variant Price\n\
        a,A,A,-1\nb,B,B,1.2.3\nc,C,C,\"1,5\"\nd,D,D\ne,E,E,1,2\nf,,F,1\ng,G,,\nh,H,H,99999999999999999\n,I,I,1\n\
        j,J\u{0}J,J,1\nok,Fine,OK,1\n";
    let (outcome, import_messages) = app.import_products(text).await;
    assert!(import_messages.iter().all(|remark| remark.file == Path::new("test.csv")));
    assert_eq!(
        rejected_lines(&import_messages),
        [
            "2: price \"-1\" is negative",
            "2: product \"a\" is skipped: none of its variants can be imported",
            "3: price \"1.2.3\" is not a number",
            "3: product \"b\" is skipped: none of its variants can be imported",
            "4: price \"1,5\" is not a number",
            "4: product \"c\" is skipped: none of its variants can be imported",
            "5: the variant has no price",
            "6: the row has too many cells: 5; the header has 4",
            "5: product \"d\" is skipped: none of its variants can be imported",
            "10: the row has no handle, so it belongs to no product",
            "11: column \"Title\" contains the control character \\u{0}",
            "7: the new product `f` has no name",
            "8: the product `g` has nothing that can be bought",
            "9: price 99999999999999999 cannot be: a price is from 0 to 10 000 000 000 000",
            "9: the product `h` has nothing that can be bought",
        ]
    );
    assert_eq!((outcome.created, app.query_scalar("SELECT count(*) FROM product").await), (1, 1));
    app.run_pending_jobs().await;
}

async fn invalid_utf8_is_reported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let text = [&b"Handle,Title,Variant SKU,Variant Price\na,A,A,1\nb,Caf\xE9,B,1\nc,C,C,1\n"[..]].concat();
    let (outcome, import_messages) = app.import_products(text).await;
    assert_eq!(rejected_lines(&import_messages), ["3: column \"Title\" on line 3 is not UTF-8"]);
    assert_eq!(outcome.created, 2);
}

async fn truncated_file_is_reported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (outcome, import_messages) =
        app.import_products("Handle,Title,Variant SKU,Variant Price\na,A,A,1\nb,\"half a\nname, B, 1").await;
    assert_eq!(rejected_lines(&import_messages), ["3: the file ends inside a quoted cell that began on line 3"]);
    assert_eq!(outcome.created, 1);
}

async fn values_over_the_length_limit_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long = |length: usize| "長".repeat(length);
    let million = "a long story ".repeat(1 << 17);
    let text = format!(
        "Handle,Title,Body (HTML),Vendor,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price\n\
        a,{},,,,,,A,1\nb,B,,{},,,,B,1\nc,C,,,{},,,C,1\nd,D,,,,Size,{},D,1\ne,E,,,,{},S,E,1\nf,F,,,,,,{},1\n\
        {},G,,,,,,G,1\nh,{million},,,,,,H,1\nok,Fine,{million},{},{},{},{},OK,1\n",
        long(501),
        long(201),
        long(201),
        long(201),
        long(201),
        long(181),
        long(256),
        long(200),
        long(200),
        long(200),
        long(200),
    );
    let (outcome, import_messages) = app.import_products(text).await;
    let mut reported = rejected_lines(&import_messages);
    reported.sort();
    let expected = [
        "2: the name of `a` is longer than 500 characters",
        "3: the vendor of `b` is longer than 200 characters",
        "4: a tag of `c` is longer than 200 characters",
        "5: the options `長",
        "5: the product `d` has nothing that can be bought",
        "6: the name of an option of `e` is longer than 200 characters",
        "7: a sku of `f` is longer than 180 characters",
        "7: the product `f` has nothing that can be bought",
        "8: handle \"長",
        "9: the name of `h` is longer than 500 characters",
    ];
    assert_eq!(reported.len(), expected.len(), "{reported:?}");
    for (reported, expected) in reported.iter().zip(expected) {
        assert!(reported.starts_with(expected) && reported.len() < 1_000, "{reported}");
    }
    assert_eq!(outcome.created, 1);
    assert_eq!(app.query_scalar("SELECT max(length(html)) FROM product_description").await, 13 * (1 << 17) - 1);
    app.run_pending_jobs().await;
}

/// Why nothing of a file was taken.
async fn import_error_of(app: &TestApp, file: &Path) -> String {
    let mut on_message = |_| {};
    let outcome = app.create_import(&mut on_message, false).import_products(&[file.to_owned()]).await;
    outcome.expect_err("a file that is refused").log_message()
}

async fn file_in_unknown_format_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let directory = tempfile::tempdir().expect("a folder");
    let directory_path = directory.path().display();
    let file = directory.path().join("x.csv");
    let named = format!("{directory_path}/x.csv: ");
    assert!(import_error_of(&app, &file).await.starts_with(&format!("cannot open {directory_path}/x.csv: ")));
    std::fs::write(&file, "").expect("a file");
    assert_eq!(import_error_of(&app, &file).await, format!("{named}the file is empty"));
    std::fs::write(&file, "name;price\nx;1\n").expect("a file");
    let error = import_error_of(&app, &file).await;
    assert!(error.starts_with(&format!("{named}the file's first columns are \"name;price\"")), "{error}");
    let error = import_error_of(&app, directory.path()).await;
    assert!(error.starts_with(&format!("{directory_path}: the file cannot be read: ")), "{error}");
}

async fn import_taxonomy(app: &TestApp, text: &[u8]) -> (ImportSummary, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    let mut messages = Vec::new();
    let mut on_message = |import_message| messages.push(import_message);
    let outcome = app.create_import(&mut on_message, false).import_categories(&[file.path().to_owned()]).await;
    app.run_clock_tick().await;
    let outcome = outcome.unwrap_or_else(|error| panic!("the import stopped: {}", error.log_message()));
    (outcome, rejected_lines(&messages))
}

async fn invalid_taxonomy_lines_are_reported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let long = "x".repeat(201);
    let text = format!(
        "# a comment\n1 - Pets\n2 - Pets > Cats\n3 - PETS > cats\n4 - Pets > Dogs > Toys\n5 - Pets >  > Fish\n\
        Pets > \nPets > {long}\nB\u{0}d\n\u{301}\n\nHome\n"
    );
    let (outcome, rejected) = import_taxonomy(&app, &[text.as_bytes(), b"Caf\xE9\nGarden\n"].concat()).await;
    assert_eq!(
        rejected,
        [
            "4: `PETS > cats` is already in line 3".to_owned(),
            "5: `Pets > Dogs > Toys` has no parent: `Pets > Dogs` is neither above it nor in the shop".to_owned(),
            "6: a name is missing in \"Pets >  > Fish\"".to_owned(),
            "7: a name is missing in \"Pets >\"".to_owned(),
            format!("8: the name \"{}...\" is longer than 200 characters", "x".repeat(40)),
            "9: the line contains the control character \\u{0}".to_owned(),
            "10: a category's name needs a letter or a sign that can be seen; `\u{301}` has none".to_owned(),
            "13: line 13 is not UTF-8".to_owned(),
        ]
    );
    assert_eq!((outcome.created, app.query_scalar("SELECT count(*) FROM category").await), (4, 4));
}

async fn category_names_match_case_insensitively(backend: Backend) {
    let app = TestApp::start(backend).await;
    import_taxonomy(&app, "Café\nCafé > Crème\n".as_bytes()).await;
    let (outcome, rejected) = import_taxonomy(&app, b"CAFE\ncafe >  CREME \n").await;
    assert_eq!((outcome.created, outcome.updated, rejected), (0, 2, vec![]));
    app.import_products("Handle,Title,Category,Variant Price\na,A,cafE > creme,1\n").await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM category").await, 2);
}

async fn category_path_over_the_depth_limit_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let path = |levels: usize| (0..levels).map(|n| format!("L{n}")).collect::<Vec<_>>().join(" > ");
    let rows =
        format!("Handle,Title,Category,Variant Price\na,A,{},1\nb,B,{},1\nc,C,Home,1\n", path(10_000), path(100));
    let (outcome, import_messages) = app.import_products(rows).await;
    assert_eq!((outcome.created, outcome.rejected), (3, 0));
    let warning = import_messages
        .iter()
        .find(|import_message| import_message.line == 2 && import_message.reason.contains("levels"))
        .expect("a warning");
    assert_eq!(
        warning.reason,
        "a category is at most 100 levels deep; this one is 10000; the category of `a` is left out"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM category").await, 102);
    let (_, rejected) = import_taxonomy(&app, path(10_000).as_bytes()).await;
    assert!(rejected.len() == 1 && rejected[0].starts_with("1: "), "{rejected:?}");
    let deepest = app.query(r#"{ product(slug: "b") { category { level ancestors { name } } } }"#).await;
    assert_eq!(deepest.data_at("/product/category/ancestors").as_array().map(Vec::len), Some(99));
}

async fn product_with_invalid_category_keeps_its_category(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.import_products("Handle,Title,Category,Variant SKU,Variant Price\na,A,Home > Mugs,A,1\n").await;
    let text =
        format!("Handle,Title,Category,Variant SKU,Variant Price\na,A,Garden > {},A,1\nb,B,,B,1\n", "x".repeat(300));
    let (_, import_messages) = app.import_products(text).await;
    assert!(
        import_messages.len() == 1 && import_messages[0].line == 2 && !import_messages[0].rejected,
        "{import_messages:?}"
    );
    let response = app.query(r#"{ product(slug: "a") { category { slug } } }"#).await;
    assert_eq!(response.data_at("/product/category/slug"), "mugs", "it stays where it was");
    assert_eq!(app.query_scalar("SELECT count(*) FROM category WHERE name = 'Garden'").await, 0, "no half of a path");
}
