//! Public catalog queries: products, variants and categories.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use savannah::base::{GlobalId, global_id::NodeType};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    product_by_slug_returns_name_price_and_category,
    product_by_id_slug_or_sku_is_found,
    unpublished_and_deleted_products_are_null,
    invalid_arguments_are_rejected_with_their_name,
    nodes_are_returned_in_requested_order,
    product_returns_every_field,
    category_returns_every_field,
    original_product_and_category_fields_are_unchanged,
];

async fn product_by_slug_returns_name_price_and_category(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let response = app.query("{ product(slug: \"mug\") { name price category { name ancestors { name } } } }").await;
    assert_eq!(response.data_at("/product/name"), "Savannah Mug");
    assert_eq!(response.data_at("/product/price"), "1250.00");
    assert_eq!(response.strings_at("/product/category/ancestors", "name"), ["Home", "Kitchen"]);
    assert_eq!(response.statements, 1);
    app.run_pending_jobs().await;
}

async fn product_by_id_slug_or_sku_is_found(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query($id: ID, $slug: String, $sku: String) { product(id: $id, slug: $slug, sku: $sku) { id slug } }";
    let mug = app.query_with_variables(query, json!({ "slug": "mug" })).await;
    for selector in
        [json!({ "id": mug.data_at("/product/id") }), json!({ "sku": "MUG-SAND" }), json!({ "sku": "MUG-INDIGO" })]
    {
        let response = app.query_with_variables(query, selector).await;
        assert_eq!(response.body, mug.body);
        assert_eq!(response.statements, 1);
    }
    let missing_id = GlobalId::new(NodeType::Product, i64::MAX).encode();
    for missing_selector in
        [json!({ "slug": "nothing" }), json!({ "sku": "mug-sand" }), json!({ "sku": "" }), json!({ "id": missing_id })]
    {
        assert_eq!(app.query_with_variables(query, missing_selector).await.data_at("/product"), &Value::Null);
    }
}

async fn unpublished_and_deleted_products_are_null(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    for (slug, sku) in [("canvas-duffel", "SAF-DUF-40"), ("paper-safari-map", "SAF-MAP-2019")] {
        let product = app.query_scalar(&format!("SELECT id FROM product WHERE slug = '{slug}'")).await;
        let variant = app.query_scalar(&format!("SELECT id FROM variant WHERE sku = '{sku}'")).await;
        let (id, variant) =
            (GlobalId::new(NodeType::Product, product).encode(), GlobalId::new(NodeType::Variant, variant).encode());
        let query = format!(
            "{{ a: product(slug: \"{slug}\") {{ id }} b: product(sku: \"{sku}\") {{ id }} c: product(id: \"{id}\") {{ id }}
                d: node(id: \"{id}\") {{ id }} e: node(id: \"{variant}\") {{ id }} nodes(ids: [\"{id}\", \"{variant}\"]) {{ id }} }}"
        );
        let missing = json!({ "a": null, "b": null, "c": null, "d": null, "e": null, "nodes": [null, null] });
        assert_eq!(app.query(&query).await.data_at(""), &missing);
    }
    // A deleted product is hidden with its variants; a deleted variant does not hide its product.
    app.execute_sql("UPDATE product SET deleted_at = updated_at WHERE slug = 'kikoy'").await.expect("an update");
    app.execute_sql("UPDATE variant SET deleted_at = updated_at WHERE sku = 'MUG-SAND'").await.expect("an update");
    let response = app.query("{ a: product(slug: \"kikoy\") { id } b: product(sku: \"KIK-CLA-SUN\") { id } c: product(sku: \"MUG-SAND\") { id } d: product(sku: \"MUG-TERRA\") { slug variants { sku } } }").await;
    let rest = json!({ "slug": "mug", "variants": [{ "sku": "MUG-TERRA" }, { "sku": "MUG-INDIGO" }] });
    assert_eq!(response.data_at(""), &json!({ "a": null, "b": null, "c": null, "d": rest }));
    let totals = app.query("{ products { totalCount } categories { productCount } }").await;
    let counts = totals
        .data_at("/categories")
        .as_array()
        .expect("a list")
        .iter()
        .map(|category| category["productCount"].as_u64());
    assert_eq!(totals.data_at("/products/totalCount"), &json!(48));
    assert_eq!(counts.map(Option::unwrap_or_default).sum::<u64>(), 48);
    app.run_pending_jobs().await;
}

async fn invalid_arguments_are_rejected_with_their_name(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let ids = app.query("{ product(slug: \"mug\") { id category { id } variants { id } } }").await;
    let id = |pointer: &str| ids.data_at(pointer).as_str().expect("an id").to_owned();
    let (product, category, variant) = (id("/product/id"), id("/product/category/id"), id("/product/variants/0/id"));
    let encode_id = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let cases = [
        (format!("product(id: \"{category}\")"), "id"),
        (format!("product(id: \"{variant}\")"), "id"),
        ("product(id: \"garbage\")".to_owned(), "id"),
        ("product(id: \"\")".to_owned(), "id"),
        ("product(id: 7)".to_owned(), "id"),
        (format!("product(id: \"{}\")", encode_id("Product:+1")), "id"),
        (format!("product(id: \"{}\")", encode_id("Product:0")), "id"),
        (format!("product(id: \"{}\")", encode_id("Product:99999999999999999999")), "id"),
        (format!("product(id: \"{product}\", slug: \"mug\")"), "slug"),
        ("product(slug: \"mug\", sku: \"MUG-SAND\")".to_owned(), "sku"),
        ("product".to_owned(), "id"),
        (format!("category(id: \"{product}\")"), "id"),
        (format!("category(id: \"{category}\", slug: \"mugs\")"), "slug"),
        ("category".to_owned(), "id"),
        ("node(id: \"garbage\")".to_owned(), "id"),
        (format!("node(id: \"{}\")", encode_id("User:1")), "id"),
    ];
    for (call, field) in cases {
        app.query(&format!("{{ {call} {{ id }} }}")).await.assert_error_field(field);
    }
    app.query(&format!("{{ nodes(ids: [\"{product}\", \"garbage\"]) {{ id }} }}")).await.assert_error_field("ids.1");
    let too_many_ids = json!({ "ids": vec![&product; 101] });
    app.query_with_variables("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", too_many_ids)
        .await
        .assert_error_field("ids");
    for first in ["101", "-1"] {
        let query = format!("{{ product(slug: \"mug\") {{ variants(first: {first}) {{ id }} }} }}");
        app.query(&query).await.assert_error_field("first");
    }
}

async fn nodes_are_returned_in_requested_order(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let response = app
        .query(
            "{ product(slug: \"kikoy\") { id variants { id } category { id } } products(first: 3) { nodes { id } } }",
        )
        .await;
    let (kikoy, category) = (response.data_at("/product/id"), response.data_at("/product/category/id"));
    let missing_selector = json!(GlobalId::new(NodeType::Variant, 999_999).encode());
    let mut ids =
        vec![response.data_at("/product/variants/2/id").clone(), category.clone(), missing_selector, kikoy.clone()];
    ids.extend(response.strings_at("/products/nodes", "id").into_iter().map(Value::String));
    ids.extend([
        json!(GlobalId::new(NodeType::Category, 999_999).encode()),
        response.data_at("/product/variants/0/id").clone(),
        kikoy.clone(),
    ]);
    let nodes = app
        .query_with_variables(
            "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on ProductVariant { sku } } }",
            json!({ "ids": ids }),
        )
        .await;
    let node_ids: Vec<_> =
        nodes.data_at("/nodes").as_array().expect("a list").iter().map(|node| node["id"].clone()).collect();
    let expected: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| if [2, 7].contains(&index) { Value::Null } else { id.clone() })
        .collect();
    assert_eq!(node_ids, expected);
    assert_eq!(
        nodes.data_at("/nodes/0"),
        &json!({ "id": ids[0], "__typename": "ProductVariant", "sku": "KIK-CLA-LIM" })
    );
    assert_eq!(
        (nodes.data_at("/nodes/1/__typename"), nodes.data_at("/nodes/3/__typename")),
        (&json!("Category"), &json!("Product"))
    );
    assert_eq!(nodes.statements, 2);
    assert_eq!(app.query("{ nodes(ids: []) { id } }").await.data_at("/nodes"), &json!([]));
    let single = app
        .query_with_variables(
            "query($id: ID!) { node(id: $id) { id ... on Category { name } } }",
            json!({ "id": category }),
        )
        .await;
    assert_eq!((single.data_at("/node/name"), single.statements), (&json!("Wraps & Scarves"), 0));
}

async fn product_returns_every_field(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let response = app.query("{ product(slug: \"linen-shirt\") {
        sku name slug description descriptionHtml vendor tags status featured category { slug } price salePrice
        priceRange { min { amount currency } max { amount } } currency image images { url alt }
        featuredImage { url } inStock stockQuantity availability { available quantity backorderable low }
        options { name values optionValues { name available firstAvailableVariant { sku } } }
        createdAt updatedAt variants {
            sku name product { slug } price salePrice currency saleStartsAt saleEndsAt options { name value } inStock stockQuantity
            weightGrams barcode image { url } availability { available quantity backorderable low } createdAt updatedAt
        } } }").await;
    let text = "A loose collarless shirt for hot afternoons. It creases; that is the point.";
    let timestamp = "2026-11-01T09:00:00+00:00";
    let variant = |sku: &str, size: &str, color: &str, (stock, grams): (u32, u32)| {
        json!({
            "sku": sku, "name": format!("{size} / {color}"), "product": { "slug": "linen-shirt" }, "price": "4500.00",
            "salePrice": "3800.00", "currency": "KES", "saleStartsAt": null, "saleEndsAt": null,
            "options": [{ "name": "Size", "value": size }, { "name": "Colour", "value": color }],
            "inStock": stock > 0, "stockQuantity": stock,
            "availability": { "available": stock > 0, "quantity": stock, "backorderable": false, "low": false }, "weightGrams": grams, "barcode": null, "image": null,
            "createdAt": timestamp, "updatedAt": timestamp,
        })
    };
    let option_value =
        |name: &str, sku: &str| json!({ "name": name, "available": true, "firstAvailableVariant": { "sku": sku } });
    let expected = json!({
        "sku": "SHI-LIN-M-WHT", "name": "Lamu Linen Shirt", "slug": "linen-shirt", "description": text,
        "descriptionHtml": format!("<p>{text}</p>"), "vendor": "Kariokor Tailors", "tags": ["coast", "linen"],
        "status": "ACTIVE", "featured": false, "category": { "slug": "shirts" }, "price": "4500.00",
        "salePrice": "3800.00",
        "priceRange": { "min": { "amount": "3800.00", "currency": "KES" }, "max": { "amount": "3800.00" } },
        "currency": "KES", "image": null, "images": [], "featuredImage": null, "inStock": true, "stockQuantity": 28,
        "availability": { "available": true, "quantity": 28, "backorderable": false, "low": false },
        "options": [
            { "name": "Size", "values": ["M", "L"], "optionValues": [
                option_value("M", "SHI-LIN-M-WHT"), option_value("L", "SHI-LIN-L-WHT"),
            ] },
            { "name": "Colour", "values": ["White", "Sand"], "optionValues": [
                option_value("White", "SHI-LIN-M-WHT"), option_value("Sand", "SHI-LIN-M-SND"),
            ] },
        ],
        "createdAt": timestamp, "updatedAt": timestamp,
        "variants": [
            variant("SHI-LIN-M-WHT", "M", "White", (9, 210)), variant("SHI-LIN-M-SND", "M", "Sand", (12, 210)),
            variant("SHI-LIN-L-WHT", "L", "White", (7, 220)), variant("SHI-LIN-L-SND", "L", "Sand", (0, 220)),
        ],
    });
    assert_eq!(response.data_at("/product"), &expected);
    let simple =
        app.query("{ product(slug: \"purple-tea\") { options { name } variants { name options { name } } } }").await;
    assert_eq!(
        simple.data_at("/product"),
        &json!({ "options": [], "variants": [{ "name": "Default", "options": [] }] })
    );
    let first = app
        .query("{ product(slug: \"linen-shirt\") { a: variants(first: 1) { sku } b: variants(first: 0) { sku } } }")
        .await;
    assert_eq!(first.data_at("/product"), &json!({ "a": [{ "sku": "SHI-LIN-M-WHT" }], "b": [] }));
}

async fn category_returns_every_field(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.execute_sql(
        "UPDATE category SET description = 'To drink from.', description_html = 'To drink from.' WHERE slug = 'mugs'",
    )
    .await
    .expect("an update");
    let response = app.query("{ category(slug: \"kitchen\") {
        name slug description level position parent { name parent { name } } children { name description position parent { name } }
        ancestors { name } descendants { name level } products(limit: 1) { slug } productCount } }").await;
    let kitchen = json!({ "name": "Kitchen" });
    let expected = json!({
        "name": "Kitchen", "slug": "kitchen", "description": null, "level": 1, "position": 0,
        "parent": { "name": "Home", "parent": null },
        "children": [
            { "name": "Mugs", "description": "To drink from.", "position": 0, "parent": kitchen },
            { "name": "Boards & Bowls", "description": null, "position": 1, "parent": kitchen },
        ],
        "ancestors": [{ "name": "Home" }],
        "descendants": [{ "name": "Mugs", "level": 2 }, { "name": "Boards & Bowls", "level": 2 }],
        "products": [{ "slug": "mug" }], "productCount": 6,
    });
    assert_eq!(response.data_at("/category"), &expected);
    assert_eq!(response.statements, 3);
    let roots = app
        .query("{ categories { name level position ancestors { name } } none: category(slug: \"none\") { id } }")
        .await;
    let names = ["Coffee & Tea", "Home", "Crafts", "Clothing", "Electronics", "Outdoors"];
    let root = |(index, name)| json!({ "name": name, "level": 0, "position": index, "ancestors": [] });
    assert_eq!(roots.data_at("/categories"), &Value::Array(names.into_iter().enumerate().map(root).collect()));
    assert_eq!((roots.data_at("/none"), roots.statements), (&Value::Null, 0));
}

async fn original_product_and_category_fields_are_unchanged(backend: Backend) {
    let app = TestApp::start(backend).await;
    let types = [
        (
            "Product",
            "id: ID! sku: String! name: String! description: String category: Category! price: Decimal! \
          salePrice: Decimal image: String inStock: Boolean! stockQuantity: Int! createdAt: DateTime! updatedAt: DateTime!",
        ),
        (
            "Category",
            "id: ID! name: String! slug: String! parent: Category children: [Category!]! products: [Product!]! productCount: Int!",
        ),
    ];
    for (name, expected) in types {
        let query = format!(
            "{{ __type(name: \"{name}\") {{ fields {{ name args {{ name type {{ name kind }} defaultValue }}
            type {{ kind name ofType {{ kind name ofType {{ kind name ofType {{ name }} }} }} }} }} }} }}"
        );
        let response = app.query(&query).await;
        let fields = response.data_at("/__type/fields").as_array().expect("fields");
        let sdl_parts: Vec<_> = expected.split_whitespace().collect();
        for pair in sdl_parts.chunks(2) {
            let field = fields.iter().find(|field| format!("{}:", field["name"].as_str().expect("a name")) == pair[0]);
            let field = field.unwrap_or_else(|| panic!("{name} lacks {}", pair[0]));
            assert_eq!(format_sdl_type(&field["type"]), pair[1], "{name}.{}", pair[0]);
            let args: Vec<_> = field["args"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|arg| format!("{}: {}", arg["name"].as_str().expect("a name"), format_sdl_type(&arg["type"])))
                .collect();
            assert_eq!(args.join(", "), if pair[0] == "products:" { "limit: Int, offset: Int" } else { "" });
        }
    }
}

/// Returns a type in SDL notation.
fn format_sdl_type(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", format_sdl_type(&kind["ofType"])),
        Some("LIST") => format!("[{}]", format_sdl_type(&kind["ofType"])),
        _ => kind["name"].as_str().expect("a name").to_owned(),
    }
}
