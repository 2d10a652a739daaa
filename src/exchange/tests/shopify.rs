//! What Shopify's rows come to, and what of a product stays when some of them are refused.

use std::fmt::Write;

use super::*;
use crate::exchange::source;

fn entries(text: &str) -> Vec<Entry> {
    match source::read(text.as_bytes(), chrono_tz::Tz::UTC) {
        Ok(catalog) => catalog.entries.collect(),
        Err(reason) => panic!("{reason}"),
    }
}

/// Products as `slug[options] sku values price/sale ...`, complaints as `line: reason`.
fn told(text: &str) -> Vec<String> {
    let one = |entry| match entry {
        Entry::Refused { line, reason } => format!("{line}: {reason}"),
        Entry::Warning { line, reason } => format!("{line}? {reason}"),
        Entry::Product { draft, .. } => {
            let mut text = format!("{}[{}]", draft.slug, draft.options.join(","));
            for variant in draft.variants {
                let price = variant.price.unwrap_or_default();
                let _ = write!(text, " {}={price}", variant.options.join("/"));
                if let Some(Some(sale)) = variant.sale {
                    let _ = write!(text, "->{}", sale.price);
                }
            }
            text
        }
    };
    entries(text).into_iter().map(one).collect()
}

#[test]
fn a_refused_row_leaves_the_rest_of_its_product() {
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Compare At Price,Image Src\n\
        Tee,Tee,Size,S,\"1,299.00\",,\ntee,,,M,-3,,m.png\ntee,,,L,\"12,50\",,\ntee,,,XL,8,10,\n\
        tee,,,XXL,,,\ntee,,,,9,,\n,,,S,1,,\ncup,Cup,Title,Default Title,0,,\nlost,Lost,,,x,,\ntee,,,XS,5,,\n";
    assert_eq!(
        told(text),
        [
            "3: price \"-3\" is below zero",
            "4: price \"12,50\" is not a number",
            "6: the variant has no price",
            "8: the row has no handle, so it belongs to no product",
            "7: the variant has no value for \"Size\"",
            "tee[Size] S=1299.00 XL=10->8",
            "cup[] =0",
            "10: price \"x\" is not a number",
            "10: product \"lost\" is left out: none of its variants can be taken",
            "tee[] XS=5",
        ]
    );
    let images = entries(text).into_iter().find_map(|entry| match entry {
        Entry::Product { draft, .. } => draft.images.into_iter().next(),
        _ => None,
    });
    assert_eq!(images.map(|image| image.url).as_deref(), Some("m.png"));
}

#[test]
fn what_the_product_is_comes_from_its_titled_row() {
    let text = "Handle,Title,Vendor,Tags,Type,Product Category,Published,Status,Image Src,Image Position,\
        Variant Price,Variant Inventory Qty,Variant Barcode\n\
        a,A,,\"x, y,\",Old,New > Leaf,TRUE,draft,2.png,2,1,-4,'900\na,,,,,,,,1.png,1,,,\na,,,,,,,,1.png,1,,,\n";
    let found = entries(text);
    let [Entry::Warning { line: 2, .. }, Entry::Product { line: 2, draft }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(draft.vendor.as_deref(), Some(""));
    assert_eq!(draft.description_html, None);
    assert_eq!(draft.tags, Some(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(draft.category, Some(vec!["New".to_owned(), "Leaf".to_owned()]));
    assert_eq!(draft.status, Some(Status::Draft));
    let images: Vec<&str> = draft.images.iter().map(|image| image.url.as_str()).collect();
    assert_eq!(images, ["1.png", "2.png"]);
    let [variant] = &draft.variants[..] else {
        panic!("{draft:?}");
    };
    assert_eq!((variant.stock, variant.sale), (Some(0), None));
    assert_eq!(variant.barcode.as_deref(), Some("900"));
}

#[test]
fn columns_under_their_new_names_and_a_dated_sale_are_understood() {
    let text = "Title,URL handle,SKU,Price,Compare-at price,Sale Starts At,Sale Ends At\n\
        A,a,A1,8,10,2026-01-01,2026-01-31\nB,b,B1,8,10,soon,\nC,c,C1,8,10,2026-02-02,2026-02-01\n";
    let found = entries(text);
    let Some(Entry::Product { draft, .. }) = found.first() else {
        panic!("{found:?}");
    };
    let sale = draft.variants[0].sale.flatten();
    let until = sale.and_then(|sale| sale.ends_at).map(|end| end.to_rfc3339());
    assert_eq!(until.as_deref(), Some("2026-02-01T00:00:00+00:00"));
    let refused = found.iter().filter(|entry| matches!(entry, Entry::Refused { .. }));
    assert_eq!(refused.count(), 4);
}
