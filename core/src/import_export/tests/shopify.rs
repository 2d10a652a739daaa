//! Tests of Shopify rows, and of products with rejected rows.

use std::fmt::Write;

use super::*;
use crate::{
    catalog::{CategoryInput, PublicationStatus},
    import_export::catalog_reader,
};

fn parse_entries(text: &str) -> Vec<CatalogEntry> {
    match catalog_reader::open_catalog(text.as_bytes(), chrono_tz::Tz::UTC) {
        Ok(catalog) => catalog.entries.collect(),
        Err(reason) => panic!("{reason}"),
    }
}

/// Formats products as `slug[options] values=price->sale ...`, rejections as `line: reason` and warnings as
/// `line? reason`.
fn format_entries(text: &str) -> Vec<String> {
    let format_entry = |entry| match entry {
        CatalogEntry::Rejected { line, reason } => format!("{line}: {reason}"),
        CatalogEntry::Warning { line, reason } => format!("{line}? {reason}"),
        CatalogEntry::Product(patch) => {
            let option_names: Vec<&str> = patch.options().iter().map(|option| option.name.as_str()).collect();
            let mut text = format!("{}[{}]", patch.slug().unwrap_or_default(), option_names.join(","));
            for variant in &patch.variants {
                let price = variant.price.into_value().unwrap_or_default();
                let _ = write!(text, " {}={price}", variant.option_values().join("/"));
                if let Patch::Set(sale_price) = variant.sale_price {
                    let _ = write!(text, "->{sale_price}");
                }
            }
            text
        }
    };
    parse_entries(text).into_iter().map(format_entry).collect()
}

#[test]
fn rejected_row_keeps_the_rest_of_its_product() {
    let text = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Compare At Price,Image Src\n\
        Tee,Tee,Size,S,\"1,299.00\",,\ntee,,,M,-3,,m.png\ntee,,,L,\"12,50\",,\ntee,,,XL,8,10,\n\
        tee,,,XXL,,,\ntee,,,,9,,\n,,,S,1,,\ncup,Cup,Title,Default Title,0,,\nlost,Lost,,,x,,\ntee,,,XS,5,,\n";
    assert_eq!(
        format_entries(text),
        [
            "3: price \"-3\" is negative",
            "4: price \"12,50\" is not a number",
            "6: the variant has no price",
            "8: the row has no handle, so it belongs to no product",
            "7: the variant has no value for \"Size\"",
            "tee[Size] S=1299.00 XL=10->8",
            "cup[] =0",
            "10: price \"x\" is not a number",
            "10: product \"lost\" is skipped: none of its variants can be imported",
            "tee[] XS=5",
        ]
    );
    let images = parse_entries(text).into_iter().find_map(|entry| match entry {
        CatalogEntry::Product(patch) => patch.images.into_value().into_iter().flatten().next(),
        _ => None,
    });
    assert_eq!(images.map(|image| image.url).as_deref(), Some("m.png"));
}

#[test]
fn product_fields_come_from_the_titled_row() {
    let text = "Handle,Title,Vendor,Tags,Type,Product Category,Published,Status,Image Src,Image Position,\
        Variant Price,Variant Inventory Qty,Variant Barcode\n\
        a,A,,\"x, y,\",Old,New > Leaf,TRUE,draft,2.png,2,1,-4,'900\na,,,,,,,,1.png,1,,,\na,,,,,,,,1.png,1,,,\n";
    let parsed = parse_entries(text);
    let [CatalogEntry::Warning { line: 2, .. }, CatalogEntry::Product(patch)] = &parsed[..] else {
        panic!("{parsed:?}");
    };
    assert_eq!(patch.line, 2);
    assert_eq!(patch.vendor, Patch::Set(String::new()));
    assert_eq!(patch.description, Patch::Unchanged);
    assert_eq!(patch.tags, Patch::Set(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(patch.category, Patch::Set(CategoryInput::Path(vec!["New".to_owned(), "Leaf".to_owned()])));
    assert_eq!(patch.status, Patch::Set(PublicationStatus::Draft));
    let images: Vec<&str> = patch.images.value().into_iter().flatten().map(|image| image.url.as_str()).collect();
    assert_eq!(images, ["1.png", "2.png"]);
    let [variant] = &patch.variants[..] else {
        panic!("{patch:?}");
    };
    assert_eq!((variant.on_hand, variant.sale_price), (Patch::Set(0), Patch::Unchanged));
    assert_eq!(variant.barcode, Patch::Set("900".to_owned()));
}

#[test]
fn renamed_columns_and_dated_sale_are_parsed() {
    let text = "Title,URL handle,SKU,Price,Compare-at price,Sale Starts At,Sale Ends At\n\
        A,a,A1,8,10,2026-01-01,2026-01-31\nB,b,B1,8,10,soon,\nC,c,C1,8,10,2026-02-02,2026-02-01\n";
    let parsed = parse_entries(text);
    let Some(CatalogEntry::Product(patch)) = parsed.first() else {
        panic!("{parsed:?}");
    };
    let sale_end = patch.variants[0].sale_ends_at.value().map(chrono::DateTime::to_rfc3339);
    assert_eq!(sale_end.as_deref(), Some("2026-02-01T00:00:00+00:00"));
    let rejected = parsed.iter().filter(|entry| matches!(entry, CatalogEntry::Rejected { .. }));
    assert_eq!(rejected.count(), 4);
}
