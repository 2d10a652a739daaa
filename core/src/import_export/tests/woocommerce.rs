//! Tests of variations near and far from their parents, and of products without a price.

use super::*;
use crate::import_export::catalog_reader;

fn parse_entries(text: &str) -> Vec<CatalogEntry> {
    match catalog_reader::open_catalog(text.as_bytes(), chrono_tz::Tz::UTC) {
        Ok(catalog) => catalog.entries.collect(),
        Err(reason) => panic!("{reason}"),
    }
}

/// Formats products as `slug[options] values ...`, rejections as `line: reason`, warnings as `line? reason`.
fn format_entries(text: &str) -> Vec<String> {
    let format_entry = |entry| match entry {
        CatalogEntry::Rejected { line, reason } => format!("{line}: {reason}"),
        CatalogEntry::Warning { line, reason } => format!("{line}? {reason}"),
        CatalogEntry::Product(patch) => {
            let format_values = |variant: &VariantPatch| format!(" {}", variant.option_values().join("/"));
            let variants: String = patch.variants.iter().map(format_values).collect();
            let option_names: Vec<&str> = patch.options().iter().map(|option| option.name.as_str()).collect();
            format!("{}[{}]{variants}", patch.slug().unwrap_or_default(), option_names.join(","))
        }
    };
    parse_entries(text).into_iter().map(format_entry).collect()
}

#[test]
fn variation_is_matched_to_its_parent_anywhere_in_the_file() {
    let text = "ID,Type,SKU,Name,Regular price,Parent,Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s)\n\
        1,variation,m-r,,9,mug,Color,Red,,\n2,variable,tee,Tee,,,Size,\"S, M\",Color,Red\n\
        3,variation,t-s,,5,id:2,Color,Red,Size,S\n4,variable,mug,Mug,,,Color,Red,,\n\
        5,variation,t-m,,5,tee,Color,,Size,M\n6,variation,t-x,,5,tee,Shape,Round,,\n\
        7,variation,,,5,gone,Color,Red,,\n8,variable,hat,Hat,3,,,,,\n9,variable,cap,Cap,,,,,,\n\
        10,variation,,,,tee,Size,L,,\n";
    assert_eq!(
        format_entries(text),
        [
            "tee[Size,Color] S/Red",
            "mug[Color] Red",
            "7: attribute \"Shape\" is not among the product's: Size, Color",
            "tee[Size,Color] M/Any",
            "11: the product has no regular price",
            "9? the variable product has no variations, so it is a simple one",
            "hat[] ",
            "10: the variable product has no variations and no price",
            "8: the file has no variable product \"gone\"",
        ]
    );
}

#[test]
fn products_with_one_name_get_stable_distinct_slugs() {
    let text = "Type,SKU,Name,Regular price\nsimple,A1,Crème d'Été,1\nsimple,A2,Creme Dete,1\n\
        simple,A1,Crème d'Été,2\nsimple,,Creme dete,1\nsimple,,Creme dete,1\nsimple,B-1,\u{8336},1\n";
    let slugs = ["creme-dete[] ", "creme-dete-a2[] ", "creme-dete[] ", "creme-dete-2[] ", "creme-dete-3[] ", "b-1[] "];
    assert_eq!(format_entries(text), slugs);
    assert_eq!(format_entries(text), format_entries(text));
}

#[test]
fn spreadsheet_escapes_are_decoded() {
    let text = "Type,SKU,Name,Published,Is featured?,Regular price,Sale price,Date sale price starts,Date sale price ends,\
        Stock,In stock?,Weight (lbs),Categories,Tags,Images,Description\n\
        \"simple, virtual\",'=A1,Salt &amp; Pepper,-1,1,10,8,2026-01-01 10:00:00,2026-01-31,,0,1,\
        \"Food > Spices\\, dry, Gifts > Small\",\"hot, a\\, b\",\"1.png, 2.png,1.png\",one\\ntwo\n";
    let parsed = parse_entries(text);
    let [CatalogEntry::Product(patch)] = &parsed[..] else {
        panic!("{parsed:?}");
    };
    let variant = &patch.variants[0];
    assert_eq!((patch.slug(), &variant.sku), (Some("salt-pepper"), &Patch::Set("=A1".to_owned())));
    assert_eq!((patch.status, patch.featured), (Patch::Set(PublicationStatus::Draft), Patch::Set(true)));
    assert_eq!((variant.on_hand, variant.weight_grams), (Patch::Set(0), Patch::Set(454)));
    assert_eq!(patch.category, Patch::Set(CategoryInput::Path(vec!["Food".to_owned(), "Spices, dry".to_owned()])));
    assert_eq!(patch.tags, Patch::Set(["hot", "a, b", "Small"].map(str::to_owned).to_vec()));
    assert_eq!(patch.images.value().map(Vec::len), Some(2));
    assert_eq!(patch.description, Patch::Set("one\ntwo".to_owned()));
    let sale = variant.sale_starts_at.into_value().zip(variant.sale_ends_at.into_value());
    let sale = sale.map(|(starts, ends)| (starts.to_rfc3339(), ends.to_rfc3339()));
    let times = ["2026-01-01T10:00:00+00:00", "2026-02-01T00:00:00+00:00"].map(str::to_owned);
    assert_eq!(sale, Some(times.into()));
}

#[test]
fn missing_price_rejects_only_priced_product_types() {
    let text = "Type,SKU,Name,Regular price\ngrouped,G,Set,\nexternal,E,Link,7\nsimple,S,Thing,\nbundle,B,Box,1\n";
    assert_eq!(
        format_entries(text),
        [
            "set[] ",
            "2? the product has no price, so it is a draft at price 0",
            "link[] ",
            "4: the product has no regular price",
            "box[] ",
            "5? type \"bundle\" is imported as a simple product",
        ]
    );
}
