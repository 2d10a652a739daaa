//! Files that are wrong in places: each place is named, and the rest goes in.

use std::path::Path;

use savannah::exchange::import::{Outcome, Remark};

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    a_wrong_line_is_named_and_the_rest_goes_in,
    bytes_that_are_no_text_are_named,
    a_file_cut_in_the_middle_is_told,
    what_is_too_long_is_refused,
    a_file_that_is_no_catalog_is_refused_whole,
    a_wrong_line_of_a_taxonomy_is_named,
    category_names_are_one_whatever_their_case,
    a_path_without_end_is_refused,
    a_category_that_cannot_be_is_left_out,
];

/// What was refused, as `line: reason`.
fn refused(remarks: &[Remark]) -> Vec<String> {
    let refused = remarks.iter().filter(|remark| remark.refused);
    refused.map(|Remark { line, reason, .. }| format!("{line}: {reason}")).collect()
}

async fn a_wrong_line_is_named_and_the_rest_goes_in(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = "Handle,Title,Variant SKU,Variant Price\n\
        a,A,A,-1\nb,B,B,1.2.3\nc,C,C,\"1,5\"\nd,D,D\ne,E,E,1,2\nf,,F,1\ng,G,,\nh,H,H,99999999999999999\n,I,I,1\n\
        j,J\u{0}J,J,1\nok,Fine,OK,1\n";
    let (outcome, remarks) = shop.import(text).await;
    assert!(remarks.iter().all(|remark| remark.file == Path::new("test.csv")));
    assert_eq!(
        refused(&remarks),
        [
            "2: price \"-1\" is below zero",
            "2: product \"a\" is left out: none of its variants can be taken",
            "3: price \"1.2.3\" is not a number",
            "3: product \"b\" is left out: none of its variants can be taken",
            "4: price \"1,5\" is not a number",
            "4: product \"c\" is left out: none of its variants can be taken",
            "5: the variant has no price",
            "6: the row has too many cells: 5, where the header names 4",
            "5: product \"d\" is left out: none of its variants can be taken",
            "10: the row has no handle, so it belongs to no product",
            "11: column \"Title\" holds the control character \\u{0}",
            "7: the new product `f` has no name",
            "8: the product `g` has nothing that can be bought",
            "9: price 99999999999999999 cannot be: a price is from 0 to 10 000 000 000 000",
            "9: the product `h` has nothing that can be bought",
        ]
    );
    assert_eq!((outcome.made, shop.number("SELECT count(*) FROM product").await), (1, 1));
    shop.settle().await;
}

async fn bytes_that_are_no_text_are_named(backend: Backend) {
    let shop = Shop::open(backend).await;
    let text = [&b"Handle,Title,Variant SKU,Variant Price\na,A,A,1\nb,Caf\xE9,B,1\nc,C,C,1\n"[..]].concat();
    let (outcome, remarks) = shop.import(text).await;
    assert_eq!(refused(&remarks), ["3: column \"Title\" on line 3 is not UTF-8"]);
    assert_eq!(outcome.made, 2);
}

async fn a_file_cut_in_the_middle_is_told(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (outcome, remarks) =
        shop.import("Handle,Title,Variant SKU,Variant Price\na,A,A,1\nb,\"half a\nname, B, 1").await;
    assert_eq!(refused(&remarks), ["3: the file ends inside a quoted cell that began on line 3"]);
    assert_eq!(outcome.made, 1);
}

async fn what_is_too_long_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
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
    let (outcome, remarks) = shop.import(text).await;
    let mut told = refused(&remarks);
    told.sort();
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
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected) && told.len() < 1_000, "{told}");
    }
    assert_eq!(outcome.made, 1);
    assert_eq!(shop.number("SELECT max(length(html)) FROM product_description").await, 13 * (1 << 17) - 1);
    shop.settle().await;
}

/// Why nothing of a file was taken.
async fn whole(shop: &Shop, file: &Path) -> String {
    let mut tell = |_| {};
    let outcome = shop.importing(&mut tell, false).products(&[file.to_owned()]).await;
    outcome.expect_err("a file that is refused").log()
}

async fn a_file_that_is_no_catalog_is_refused_whole(backend: Backend) {
    let shop = Shop::open(backend).await;
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display();
    let file = folder.path().join("x.csv");
    let named = format!("{place}/x.csv: ");
    assert!(whole(&shop, &file).await.starts_with(&format!("cannot open {place}/x.csv: ")));
    std::fs::write(&file, "").expect("a file");
    assert_eq!(whole(&shop, &file).await, format!("{named}the file is empty"));
    std::fs::write(&file, "name;price\nx;1\n").expect("a file");
    let why = whole(&shop, &file).await;
    assert!(why.starts_with(&format!("{named}the file's first columns are \"name;price\"")), "{why}");
    let why = whole(&shop, folder.path()).await;
    assert!(why.starts_with(&format!("{place}: the file cannot be read: ")), "{why}");
}

async fn taxonomy(shop: &Shop, text: &[u8]) -> (Outcome, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    let mut heard = Vec::new();
    let mut tell = |remark| heard.push(remark);
    let outcome = shop.importing(&mut tell, false).categories(&[file.path().to_owned()]).await;
    shop.tick().await;
    let outcome = outcome.unwrap_or_else(|why| panic!("the import stopped: {}", why.log()));
    (outcome, refused(&heard))
}

async fn a_wrong_line_of_a_taxonomy_is_named(backend: Backend) {
    let shop = Shop::open(backend).await;
    let long = "x".repeat(201);
    let text = format!(
        "# a comment\n1 - Pets\n2 - Pets > Cats\n3 - PETS > cats\n4 - Pets > Dogs > Toys\n5 - Pets >  > Fish\n\
        Pets > \nPets > {long}\nB\u{0}d\n\u{301}\n\nHome\n"
    );
    let (outcome, refused) = taxonomy(&shop, &[text.as_bytes(), b"Caf\xE9\nGarden\n"].concat()).await;
    assert_eq!(
        refused,
        [
            "4: `PETS > cats` was named in line 3 already".to_owned(),
            "5: `Pets > Dogs > Toys` has no parent: `Pets > Dogs` is neither above it nor in the shop".to_owned(),
            "6: a name is missing in \"Pets >  > Fish\"".to_owned(),
            "7: a name is missing in \"Pets >\"".to_owned(),
            format!("8: the name \"{}...\" is longer than 200 characters", "x".repeat(40)),
            "9: the line holds the control character \\u{0}".to_owned(),
            "10: a category's name needs a letter or a sign that can be seen; `\u{301}` has none".to_owned(),
            "13: line 13 is not UTF-8".to_owned(),
        ]
    );
    assert_eq!((outcome.made, shop.number("SELECT count(*) FROM category").await), (4, 4));
}

async fn category_names_are_one_whatever_their_case(backend: Backend) {
    let shop = Shop::open(backend).await;
    taxonomy(&shop, "Café\nCafé > Crème\n".as_bytes()).await;
    let (outcome, refused) = taxonomy(&shop, b"CAFE\ncafe >  CREME \n").await;
    assert_eq!((outcome.made, outcome.kept, refused), (0, 2, vec![]));
    shop.import("Handle,Title,Category,Variant Price\na,A,cafE > creme,1\n").await;
    assert_eq!(shop.number("SELECT count(*) FROM category").await, 2);
}

async fn a_path_without_end_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let path = |levels: usize| (0..levels).map(|n| format!("L{n}")).collect::<Vec<_>>().join(" > ");
    let rows =
        format!("Handle,Title,Category,Variant Price\na,A,{},1\nb,B,{},1\nc,C,Home,1\n", path(10_000), path(100));
    let (outcome, remarks) = shop.import(rows).await;
    assert_eq!((outcome.made, outcome.refused), (3, 0));
    let told = remarks.iter().find(|remark| remark.line == 2 && remark.reason.contains("levels")).expect("a warning");
    assert_eq!(
        told.reason,
        "a category is at most 100 levels deep; this one is 10000; the category of `a` is left out"
    );
    assert_eq!(shop.number("SELECT count(*) FROM category").await, 102);
    let (_, refused) = taxonomy(&shop, path(10_000).as_bytes()).await;
    assert!(refused.len() == 1 && refused[0].starts_with("1: "), "{refused:?}");
    let deepest = shop.ask(r#"{ product(slug: "b") { category { level ancestors { name } } } }"#).await;
    assert_eq!(deepest.at("/product/category/ancestors").as_array().map(Vec::len), Some(99));
}

async fn a_category_that_cannot_be_is_left_out(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.import("Handle,Title,Category,Variant SKU,Variant Price\na,A,Home > Mugs,A,1\n").await;
    let text =
        format!("Handle,Title,Category,Variant SKU,Variant Price\na,A,Garden > {},A,1\nb,B,,B,1\n", "x".repeat(300));
    let (_, remarks) = shop.import(text).await;
    assert!(remarks.len() == 1 && remarks[0].line == 2 && !remarks[0].refused, "{remarks:?}");
    let answer = shop.ask(r#"{ product(slug: "a") { category { slug } } }"#).await;
    assert_eq!(answer.at("/product/category/slug"), "mugs", "it stays where it was");
    assert_eq!(shop.number("SELECT count(*) FROM category WHERE name = 'Garden'").await, 0, "no half of a path");
}
