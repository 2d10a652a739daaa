//! Pages of a storefront: a category by its slug, the choice of a variant, its availability and its image.

use savannah::{
    base::Patch,
    catalog::{ProductImage, ProductPatch, VariantPatch},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, simple_product},
};

integration_tests![
    category_page_is_filtered_sorted_and_paged_by_slug,
    categories_of_list_and_filter_are_combined,
    variant_is_selected_by_its_options,
    option_values_show_which_variants_are_available,
    variants_are_paged_in_both_directions,
    variant_by_id_sku_or_barcode_is_found,
    products_are_found_by_ids_slugs_and_skus,
    displayed_quantity_follows_the_setting,
    availability_shows_untracked_backorderable_and_low_stock,
    urls_of_images_elsewhere_are_unchanged,
];

async fn category_page_is_filtered_sorted_and_paged_by_slug(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($first: Int, $after: String, $last: Int, $before: String) { category(slug: \"kitchen\") {
        productConnection(first: $first, after: $after, last: $last, before: $before,
            filter: { inStock: true }, sort: { field: PRICE }) {
            totalCount nodes { slug } edges { cursor node { slug } } pageInfo { hasNextPage endCursor }
            facets { categories { category { name } count } } } } }";
    let all = app.query_with_variables(query, json!({})).await;
    let slugs = all.strings_at("/category/productConnection/nodes", "slug");
    // The page, the count and the facet.
    assert_eq!(all.statements, 3);
    let connection = all.data_at("/category/productConnection");
    assert_eq!(connection["totalCount"], slugs.len());
    assert_eq!(connection["facets"]["categories"][0]["category"]["name"], "Mugs");
    let same = app
        .query(
            "{ products(filter: { category: { slug: \"kitchen\" }, inStock: true }, sort: { field: PRICE }) {
                nodes { slug } } }",
        )
        .await;
    assert_eq!(same.strings_at("/products/nodes", "slug"), slugs);
    let first = app.query_with_variables(query, json!({ "first": 2 })).await;
    assert_eq!(first.strings_at("/category/productConnection/nodes", "slug"), slugs[..2]);
    let cursor = first.data_at("/category/productConnection/pageInfo/endCursor");
    let rest = app.query_with_variables(query, json!({ "first": 100, "after": cursor })).await;
    assert_eq!(rest.strings_at("/category/productConnection/nodes", "slug"), slugs[2..]);
    let before = app.query_with_variables(query, json!({ "last": 1, "before": cursor })).await;
    assert_eq!(before.strings_at("/category/productConnection/nodes", "slug"), slugs[..1]);
    app.query_with_variables(query, json!({ "first": 101 })).await.assert_error_field("first");
}

async fn categories_of_list_and_filter_are_combined(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let slugs = async |category: &str, filter: &str| {
        let query = format!(
            "{{ category(slug: \"{category}\") {{ productConnection(first: 100,
                filter: {{ category: {{ slug: \"{filter}\" }} }}) {{ nodes {{ slug }} }} }} }}"
        );
        app.query(&query).await.strings_at("/category/productConnection/nodes", "slug")
    };
    let mugs = slugs("mugs", "mugs").await;
    assert!(!mugs.is_empty());
    assert_eq!(slugs("kitchen", "mugs").await, mugs);
    assert_eq!(slugs("mugs", "kitchen").await, mugs);
    assert!(slugs("mugs", "clothing").await.is_empty());
    assert!(slugs("mugs", "none").await.is_empty());
    let both = app.query("{ products(filter: { category: { slug: \"mugs\", id: \"x\" } }) { totalCount } }").await;
    assert!(both.body.get("errors").is_some(), "{}", both.body);
}

const SELECT_VARIANT: &str = "query($options: [SelectedOptionInput!]) {
    product(slug: \"linen-shirt\") { variant(selectedOptions: $options) { sku product { slug name } } } }";

async fn variant_is_selected_by_its_options(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let option = |name: &str, value: &str| json!({ "name": name, "value": value });
    let cases = [
        (json!([option("Size", "M"), option("Colour", "Sand")]), "SHI-LIN-M-SND"),
        (json!([option("colour", "SAND"), option("size", "m")]), "SHI-LIN-M-SND"),
        // Sold out, but what was asked for.
        (json!([option("Size", "L"), option("Colour", "Sand")]), "SHI-LIN-L-SND"),
        (json!([option("Size", "L")]), "SHI-LIN-L-WHT"),
        (json!([option("Size", "XS")]), "SHI-LIN-M-WHT"),
        (json!([option("Fit", "Slim"), option("Size", "L")]), "SHI-LIN-M-WHT"),
        (json!([]), "SHI-LIN-M-WHT"),
        (Value::Null, "SHI-LIN-M-WHT"),
    ];
    for (options, sku) in cases {
        let response = app.query_with_variables(SELECT_VARIANT, json!({ "options": options })).await;
        assert_eq!(response.data_at("/product/variant/sku"), sku, "{options}");
        assert_eq!(response.data_at("/product/variant/product/slug"), "linen-shirt");
        // The product, its variants with their options, and the selected variant.
        assert_eq!(response.statements, 3);
    }
    let many = json!({ "options": vec![option("Size", "M"); 11] });
    app.query_with_variables(SELECT_VARIANT, many).await.assert_error_field("selectedOptions");
    // The first variant is sold out: another one is offered; all are sold out: the first.
    let sell = |condition: &str| {
        format!(
            "UPDATE inventory_level SET on_hand = reserved
             WHERE variant_id IN (SELECT id FROM variant WHERE sku LIKE '{condition}')"
        )
    };
    app.execute_sql(&sell("SHI-LIN-M-WHT")).await.expect("an update");
    let next = app.query_with_variables(SELECT_VARIANT, json!({})).await;
    assert_eq!(next.data_at("/product/variant/sku"), "SHI-LIN-M-SND");
    app.execute_sql(&sell("SHI-LIN-%")).await.expect("an update");
    let none = app.query_with_variables(SELECT_VARIANT, json!({})).await;
    assert_eq!(none.data_at("/product/variant/sku"), "SHI-LIN-M-WHT");
    let simple = app.query("{ product(slug: \"purple-tea\") { variant { name } } }").await;
    assert_eq!(simple.data_at("/product/variant/name"), "Default");
}

async fn option_values_show_which_variants_are_available(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.execute_sql(
        "UPDATE inventory_level SET on_hand = reserved
         WHERE variant_id IN (SELECT id FROM variant WHERE sku LIKE 'SHI-LIN-L-%' OR sku = 'SHI-LIN-M-WHT')",
    )
    .await
    .expect("an update");
    let query = "{ product(slug: \"linen-shirt\") { options { name values optionValues {
        name available firstAvailableVariant { sku product { slug } } } } } }";
    let response = app.query(query).await;
    let sand = json!({ "sku": "SHI-LIN-M-SND", "product": { "slug": "linen-shirt" } });
    let value = |name: &str, variant: &Value| json!({ "name": name, "available": !variant.is_null(), "firstAvailableVariant": variant });
    let expected = json!([
        { "name": "Size", "values": ["M", "L"], "optionValues": [value("M", &sand), value("L", &Value::Null)] },
        { "name": "Colour", "values": ["White", "Sand"],
          "optionValues": [value("White", &Value::Null), value("Sand", &sand)] },
    ]);
    assert_eq!(response.data_at("/product/options"), &expected);
    app.run_pending_jobs().await;
}

async fn variants_are_paged_in_both_directions(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($first: Int, $after: String, $last: Int, $before: String) { product(slug: \"linen-shirt\") {
        variantConnection(first: $first, after: $after, last: $last, before: $before) {
            totalCount nodes { sku product { slug } } edges { cursor node { sku } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let page = async |variables: Value| {
        let response = app.query_with_variables(query, variables).await;
        assert_eq!((response.statements, response.data_at("/product/variantConnection/totalCount")), (2, &json!(4)));
        let skus = response.strings_at("/product/variantConnection/nodes", "sku");
        let suffixes: Vec<String> = skus.iter().map(|sku| sku.replace("SHI-LIN-", "")).collect();
        let info = response.data_at("/product/variantConnection/pageInfo").clone();
        (suffixes, info)
    };
    let (all, info) = page(json!({})).await;
    assert_eq!(all, ["M-WHT", "M-SND", "L-WHT", "L-SND"]);
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(false), &json!(false)));
    let (first, first_info) = page(json!({ "first": 3 })).await;
    assert_eq!((first, &first_info["hasNextPage"]), (all[..3].to_vec(), &json!(true)));
    let (rest, rest_info) = page(json!({ "first": 3, "after": first_info["endCursor"] })).await;
    assert_eq!((rest, &rest_info["hasNextPage"]), (all[3..].to_vec(), &json!(false)));
    let (back, back_info) = page(json!({ "last": 2, "before": rest_info["startCursor"] })).await;
    assert_eq!((back, &back_info["hasPreviousPage"]), (all[1..3].to_vec(), &json!(true)));
    assert_eq!(page(json!({ "last": 1 })).await.0, all[3..]);
    app.query_with_variables(query, json!({ "after": "garbage" })).await.assert_error_field("after");
    app.query_with_variables(query, json!({ "first": -1 })).await.assert_error_field("first");
}

async fn variant_by_id_sku_or_barcode_is_found(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.execute_sql("UPDATE variant SET barcode = '4006381333931' WHERE sku IN ('MUG-TERRA', 'MUG-INDIGO')")
        .await
        .expect("an update");
    app.execute_sql("UPDATE variant SET barcode = '0012345678905' WHERE sku = 'SAF-DUF-40'").await.expect("an update");
    let query = "query($by: VariantBy!) { variant(by: $by) { id sku } }";
    let terra = app.query_with_variables(query, json!({ "by": { "sku": "MUG-TERRA" } })).await;
    assert_eq!((terra.data_at("/variant/sku"), terra.statements), (&json!("MUG-TERRA"), 1));
    for by in [json!({ "id": terra.data_at("/variant/id") }), json!({ "barcode": "4006381333931" })] {
        let response = app.query_with_variables(query, json!({ "by": by })).await;
        assert_eq!((&response.body, response.statements), (&terra.body, 1));
    }
    // Of a draft, for staff only.
    let staff = app.login(Role::Staff).await;
    for by in [json!({ "sku": "SAF-DUF-40" }), json!({ "barcode": "0012345678905" })] {
        let variables = json!({ "by": by });
        assert_eq!(app.query_with_variables(query, variables.clone()).await.data_at("/variant"), &Value::Null);
        assert_eq!(app.query_as(&staff, query, variables).await.data_at("/variant/sku"), "SAF-DUF-40");
    }
    for missing in [json!({ "sku": "mug-terra" }), json!({ "sku": "" }), json!({ "barcode": "" })] {
        let response = app.query_with_variables(query, json!({ "by": missing })).await;
        assert_eq!(response.data_at("/variant"), &Value::Null);
    }
    app.query_with_variables(query, json!({ "by": { "id": "garbage" } })).await.assert_error_field("by.id");
    for invalid in [json!({}), json!({ "sku": "MUG-TERRA", "barcode": "1" })] {
        let response = app.query_with_variables(query, json!({ "by": invalid })).await;
        assert!(response.body.get("errors").is_some(), "{}", response.body);
    }
}

async fn products_are_found_by_ids_slugs_and_skus(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($filter: ProductFilter) { products(filter: $filter, sort: { field: NAME }) {
        totalCount nodes { id slug } } }";
    let slugs = async |filter: Value| {
        let response = app.query_with_variables(query, json!({ "filter": filter })).await;
        let slugs = response.strings_at("/products/nodes", "slug");
        assert_eq!(response.data_at("/products/totalCount"), &json!(slugs.len()));
        slugs
    };
    let by_slug = app.query_with_variables(query, json!({ "filter": { "slugs": ["kikoy", "mug", "canvas-duffel"] } }));
    let by_slug = by_slug.await;
    let ids: Vec<&Value> = (0..2).map(|index| by_slug.data_at(&format!("/products/nodes/{index}/id"))).collect();
    // The draft is not listed.
    assert_eq!(by_slug.strings_at("/products/nodes", "slug").len(), 2);
    assert_eq!(slugs(json!({ "ids": ids })).await, by_slug.strings_at("/products/nodes", "slug"));
    assert_eq!(slugs(json!({ "ids": ids, "slugs": ["mug"] })).await, ["mug"]);
    assert_eq!(slugs(json!({ "skus": ["MUG-INDIGO", "MUG-SAND", "mug-terra"] })).await, ["mug"]);
    for nothing in [json!({ "ids": [] }), json!({ "slugs": [] }), json!({ "skus": [] })] {
        assert!(slugs(nothing).await.is_empty());
    }
}

const AVAILABILITY: &str = "{ product(slug: \"mug\") {
    inStock stockQuantity availability { available quantity }
    variants { stockQuantity availability { available quantity } } } }";

async fn displayed_quantity_follows_the_setting(backend: Backend) {
    let shown = |quantity: &Value| json!({ "available": true, "quantity": quantity });
    for (display, quantities) in [
        ("exact", json!([96, 48, 36, 12])),
        ("capped", json!([20, 20, 20, 12])),
        ("hidden", json!([null, null, null, null])),
    ] {
        let settings = [("SAVANNAH_SHOP__STOCK_DISPLAY", display), ("SAVANNAH_SHOP__STOCK_DISPLAY_CAP", "20")];
        let app = TestApp::start_with_settings(backend, &settings).await;
        app.import_products(include_str!("../core/src/import_export/demo.csv")).await;
        let assert_quantities = |product: &Value, quantities: &Value| {
            assert_eq!(product["availability"], shown(&quantities[0]), "{display}");
            let stock = |quantity: &Value| json!(quantity.as_i64().unwrap_or(0));
            assert_eq!((&product["inStock"], &product["stockQuantity"]), (&json!(true), &stock(&quantities[0])));
            for index in 0..3 {
                let (variant, quantity) = (&product["variants"][index], &quantities[index + 1]);
                assert_eq!(variant["availability"], shown(quantity), "{display}");
                assert_eq!(variant["stockQuantity"], stock(quantity));
            }
        };
        assert_quantities(app.query(AVAILABILITY).await.data_at("/product"), &quantities);
        let staff = app.login(Role::Staff).await;
        let exact = app.query_as(&staff, AVAILABILITY, json!({})).await;
        assert_quantities(exact.data_at("/product"), &json!([96, 48, 36, 12]));
    }
}

async fn availability_shows_untracked_backorderable_and_low_stock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let base = simple_product("bag", "Bag", 100);
    let sized = |(size, on_hand): (&str, Patch<i64>)| VariantPatch {
        sku: Patch::Set(format!("BAG-{size}")),
        options: Patch::Set(vec![size.to_owned()]),
        on_hand,
        ..base.variants[0].clone()
    };
    let bag = ProductPatch {
        options: Patch::Set(vec!["Size".to_owned().into()]),
        variants: [("S", Patch::Unchanged), ("M", Patch::Set(0)), ("L", Patch::Set(3))].map(sized).into(),
        ..base.clone()
    };
    let mut cap = simple_product("cap", "Cap", 100);
    cap.variants[0].on_hand = Patch::Set(0);
    app.save_products(&[bag, cap]).await;
    app.execute_sql(
        "UPDATE inventory_level SET low_stock_threshold = 3
         WHERE variant_id = (SELECT id FROM variant WHERE sku = 'BAG-L')",
    )
    .await
    .expect("an update");
    app.execute_sql("UPDATE variant SET allow_backorder = true WHERE sku = 'BAG-M'").await.expect("an update");
    let fields = "availability { available quantity backorderable low }";
    let query = format!(
        "{{ bag: product(slug: \"bag\") {{ {fields} variants {{ {fields} }} }} cap: product(slug: \"cap\") {{ {fields} }} }}"
    );
    let response = app.query(&query).await;
    let availability = |available: bool, quantity: Option<i32>, backorderable: bool, low: bool| json!({ "available": available, "quantity": quantity, "backorderable": backorderable, "low": low });
    assert_eq!(response.data_at("/bag/availability"), &availability(true, None, true, true));
    let variants = [
        availability(true, None, false, false),
        availability(true, Some(0), true, false),
        availability(true, Some(3), false, true),
    ];
    for (index, expected) in variants.iter().enumerate() {
        assert_eq!(response.data_at(&format!("/bag/variants/{index}/availability")), expected);
    }
    assert_eq!(response.data_at("/cap/availability"), &availability(false, Some(0), false, false));
    app.run_pending_jobs().await;
}

async fn urls_of_images_elsewhere_are_unchanged(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut mug = simple_product("mug", "Mug", 100);
    let image =
        |url: &str, alt: Option<&str>| ProductImage { url: url.into(), alt: alt.map(Into::into), media_id: None };
    mug.images = Patch::Set(vec![image("/media/mug.jpg", Some("A mug")), image("https://cdn.example/mug.jpg", None)]);
    mug.variants[0].image = Patch::Set("/media/mug.jpg".into());
    app.save_products(&[mug, simple_product("plain", "Plain", 100)]).await;
    let query = "query($width: Int, $height: Int, $format: ImageFormat) { product(slug: \"mug\") {
        image featuredImage { ...i } images { ...i } variants { image { ...i } } }
        plain: product(slug: \"plain\") { image featuredImage { url } images { url } variants { image { url } } } }
        fragment i on Image { url(maxWidth: $width, maxHeight: $height, format: $format) alt width height }";
    let expected = |own_url: &str| {
        let own = json!({ "url": own_url, "alt": "A mug", "width": null, "height": null });
        let other = json!({ "url": "https://cdn.example/mug.jpg", "alt": null, "width": null, "height": null });
        json!({ "image": "/media/mug.jpg", "featuredImage": own, "images": [own, other], "variants": [{ "image": own }] })
    };
    let plain = app.query_with_variables(query, json!({})).await;
    assert_eq!(plain.data_at("/product"), &expected("/media/mug.jpg"));
    let none = json!({ "image": null, "featuredImage": null, "images": [], "variants": [{ "image": null }] });
    assert_eq!(plain.data_at("/plain"), &none);
    let sized = app.query_with_variables(query, json!({ "width": 300, "height": 200, "format": "WEBP" })).await;
    assert_eq!(sized.data_at("/product"), &expected("/media/mug.jpg"));
    for (argument, field) in [("width", "maxWidth"), ("height", "maxHeight")] {
        for size in [0, -1, 10_001] {
            app.query_with_variables(query, json!({ argument: size })).await.assert_error_field(field);
        }
    }
    app.run_pending_jobs().await;
}
