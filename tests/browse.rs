//! Browsing: products, variants and categories as shoppers see them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use savannah::base::{GlobalId, id::Kind};
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    a_shopper_finds_the_mug,
    a_product_is_found_by_id_slug_or_any_sku,
    what_is_not_for_everybody_is_null,
    arguments_that_cannot_be_are_named,
    nodes_come_in_the_order_asked_for,
    every_field_of_a_product_is_answered,
    every_field_of_a_category_is_answered,
    the_first_clients_find_their_types_unchanged,
];

async fn a_shopper_finds_the_mug(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let answer = shop.ask("{ product(slug: \"mug\") { name price category { name ancestors { name } } } }").await;
    assert_eq!(answer.at("/product/name"), "Savannah Mug");
    assert_eq!(answer.at("/product/price"), "1250.00");
    assert_eq!(answer.texts("/product/category/ancestors", "name"), ["Home", "Kitchen"]);
    assert_eq!(answer.statements, 1);
    shop.settle().await;
}

async fn a_product_is_found_by_id_slug_or_any_sku(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query = "query($id: ID, $slug: String, $sku: String) { product(id: $id, slug: $slug, sku: $sku) { id slug } }";
    let mug = shop.ask_with(query, json!({ "slug": "mug" })).await;
    for by in [json!({ "id": mug.at("/product/id") }), json!({ "sku": "MUG-SAND" }), json!({ "sku": "MUG-INDIGO" })] {
        let answer = shop.ask_with(query, by).await;
        assert_eq!(answer.body, mug.body);
        assert_eq!(answer.statements, 1);
    }
    let nobody = GlobalId::new(Kind::Product, i64::MAX).encode();
    for absent in
        [json!({ "slug": "nothing" }), json!({ "sku": "mug-sand" }), json!({ "sku": "" }), json!({ "id": nobody })]
    {
        assert_eq!(shop.ask_with(query, absent).await.at("/product"), &Value::Null);
    }
}

async fn what_is_not_for_everybody_is_null(backend: Backend) {
    let shop = Shop::demo(backend).await;
    for (slug, sku) in [("canvas-duffel", "SAF-DUF-40"), ("paper-safari-map", "SAF-MAP-2019")] {
        let product = shop.number(&format!("SELECT id FROM product WHERE slug = '{slug}'")).await;
        let variant = shop.number(&format!("SELECT id FROM variant WHERE sku = '{sku}'")).await;
        let (id, variant) =
            (GlobalId::new(Kind::Product, product).encode(), GlobalId::new(Kind::Variant, variant).encode());
        let query = format!(
            "{{ a: product(slug: \"{slug}\") {{ id }} b: product(sku: \"{sku}\") {{ id }} c: product(id: \"{id}\") {{ id }}
                d: node(id: \"{id}\") {{ id }} e: node(id: \"{variant}\") {{ id }} nodes(ids: [\"{id}\", \"{variant}\"]) {{ id }} }}"
        );
        let nothing = json!({ "a": null, "b": null, "c": null, "d": null, "e": null, "nodes": [null, null] });
        assert_eq!(shop.ask(&query).await.at(""), &nothing);
    }
    // What is deleted is gone too, its variants with it; a deleted variant alone is gone alone.
    shop.sql("UPDATE product SET deleted_at = updated_at WHERE slug = 'kikoy'").await.expect("an update");
    shop.sql("UPDATE variant SET deleted_at = updated_at WHERE sku = 'MUG-SAND'").await.expect("an update");
    let answer = shop.ask("{ a: product(slug: \"kikoy\") { id } b: product(sku: \"KIK-CLA-SUN\") { id } c: product(sku: \"MUG-SAND\") { id } d: product(sku: \"MUG-TERRA\") { slug variants { sku } } }").await;
    let rest = json!({ "slug": "mug", "variants": [{ "sku": "MUG-TERRA" }, { "sku": "MUG-INDIGO" }] });
    assert_eq!(answer.at(""), &json!({ "a": null, "b": null, "c": null, "d": rest }));
    let totals = shop.ask("{ products { totalCount } categories { productCount } }").await;
    let counts = totals.at("/categories").as_array().expect("a list").iter().map(|one| one["productCount"].as_u64());
    assert_eq!(totals.at("/products/totalCount"), &json!(48));
    assert_eq!(counts.map(Option::unwrap_or_default).sum::<u64>(), 48);
    shop.settle().await;
}

async fn arguments_that_cannot_be_are_named(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let ids = shop.ask("{ product(slug: \"mug\") { id category { id } variants { id } } }").await;
    let id = |pointer: &str| ids.at(pointer).as_str().expect("an id").to_owned();
    let (product, category, variant) = (id("/product/id"), id("/product/category/id"), id("/product/variants/0/id"));
    let spelt = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let cases = [
        (format!("product(id: \"{category}\")"), "id"),
        (format!("product(id: \"{variant}\")"), "id"),
        ("product(id: \"garbage\")".to_owned(), "id"),
        ("product(id: \"\")".to_owned(), "id"),
        ("product(id: 7)".to_owned(), "id"),
        (format!("product(id: \"{}\")", spelt("Product:+1")), "id"),
        (format!("product(id: \"{}\")", spelt("Product:0")), "id"),
        (format!("product(id: \"{}\")", spelt("Product:99999999999999999999")), "id"),
        (format!("product(id: \"{product}\", slug: \"mug\")"), "slug"),
        ("product(slug: \"mug\", sku: \"MUG-SAND\")".to_owned(), "sku"),
        ("product".to_owned(), "id"),
        (format!("category(id: \"{product}\")"), "id"),
        (format!("category(id: \"{category}\", slug: \"mugs\")"), "slug"),
        ("category".to_owned(), "id"),
        ("node(id: \"garbage\")".to_owned(), "id"),
        (format!("node(id: \"{}\")", spelt("User:1")), "id"),
    ];
    for (call, field) in cases {
        shop.ask(&format!("{{ {call} {{ id }} }}")).await.blames(field);
    }
    shop.ask(&format!("{{ nodes(ids: [\"{product}\", \"garbage\"]) {{ id }} }}")).await.blames("ids.1");
    let many = json!({ "ids": vec![&product; 101] });
    shop.ask_with("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", many).await.blames("ids");
    for first in ["101", "-1"] {
        let query = format!("{{ product(slug: \"mug\") {{ variants(first: {first}) {{ id }} }} }}");
        shop.ask(&query).await.blames("first");
    }
}

async fn nodes_come_in_the_order_asked_for(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let answer = shop
        .ask("{ product(slug: \"kikoy\") { id variants { id } category { id } } products(first: 3) { nodes { id } } }")
        .await;
    let (kikoy, category) = (answer.at("/product/id"), answer.at("/product/category/id"));
    let absent = json!(GlobalId::new(Kind::Variant, 999_999).encode());
    let mut ids = vec![answer.at("/product/variants/2/id").clone(), category.clone(), absent, kikoy.clone()];
    ids.extend(answer.texts("/products/nodes", "id").into_iter().map(Value::String));
    ids.extend([
        json!(GlobalId::new(Kind::Category, 999_999).encode()),
        answer.at("/product/variants/0/id").clone(),
        kikoy.clone(),
    ]);
    let nodes = shop
        .ask_with(
            "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on ProductVariant { sku } } }",
            json!({ "ids": ids }),
        )
        .await;
    let found: Vec<_> = nodes.at("/nodes").as_array().expect("a list").iter().map(|node| node["id"].clone()).collect();
    let expected: Vec<_> =
        ids.iter().enumerate().map(|(at, id)| if [2, 7].contains(&at) { Value::Null } else { id.clone() }).collect();
    assert_eq!(found, expected);
    assert_eq!(nodes.at("/nodes/0"), &json!({ "id": ids[0], "__typename": "ProductVariant", "sku": "KIK-CLA-LIM" }));
    assert_eq!(
        (nodes.at("/nodes/1/__typename"), nodes.at("/nodes/3/__typename")),
        (&json!("Category"), &json!("Product"))
    );
    assert_eq!(nodes.statements, 2);
    assert_eq!(shop.ask("{ nodes(ids: []) { id } }").await.at("/nodes"), &json!([]));
    let one = shop
        .ask_with("query($id: ID!) { node(id: $id) { id ... on Category { name } } }", json!({ "id": category }))
        .await;
    assert_eq!((one.at("/node/name"), one.statements), (&json!("Wraps & Scarves"), 0));
}

async fn every_field_of_a_product_is_answered(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let answer = shop.ask("{ product(slug: \"linen-shirt\") {
        sku name slug description descriptionHtml vendor tags status featured category { slug } price salePrice
        priceRange { min max currency } currency image images { url alt } inStock stockQuantity options { name values }
        createdAt updatedAt variants {
            sku name product { slug } price salePrice currency saleStartsAt saleEndsAt options { name value } inStock stockQuantity
            weightGrams barcode image createdAt updatedAt
        } } }").await;
    let text = "A loose collarless shirt for hot afternoons. It creases; that is the point.";
    let at = "2026-11-01T09:00:00+00:00";
    let variant = |sku: &str, size: &str, colour: &str, (stock, grams): (u32, u32)| {
        json!({
            "sku": sku, "name": format!("{size} / {colour}"), "product": { "slug": "linen-shirt" }, "price": "4500.00",
            "salePrice": "3800.00", "currency": "KES", "saleStartsAt": null, "saleEndsAt": null,
            "options": [{ "name": "Size", "value": size }, { "name": "Colour", "value": colour }],
            "inStock": stock > 0, "stockQuantity": stock, "weightGrams": grams, "barcode": null, "image": null,
            "createdAt": at, "updatedAt": at,
        })
    };
    let expected = json!({
        "sku": "SHI-LIN-M-WHT", "name": "Lamu Linen Shirt", "slug": "linen-shirt", "description": text,
        "descriptionHtml": format!("<p>{text}</p>"), "vendor": "Kariokor Tailors", "tags": ["coast", "linen"],
        "status": "ACTIVE", "featured": false, "category": { "slug": "shirts" }, "price": "4500.00",
        "salePrice": "3800.00", "priceRange": { "min": "3800.00", "max": "3800.00", "currency": "KES" },
        "currency": "KES", "image": null, "images": [], "inStock": true, "stockQuantity": 28,
        "options": [{ "name": "Size", "values": ["M", "L"] }, { "name": "Colour", "values": ["White", "Sand"] }],
        "createdAt": at, "updatedAt": at,
        "variants": [
            variant("SHI-LIN-M-WHT", "M", "White", (9, 210)), variant("SHI-LIN-M-SND", "M", "Sand", (12, 210)),
            variant("SHI-LIN-L-WHT", "L", "White", (7, 220)), variant("SHI-LIN-L-SND", "L", "Sand", (0, 220)),
        ],
    });
    assert_eq!(answer.at("/product"), &expected);
    let simple =
        shop.ask("{ product(slug: \"purple-tea\") { options { name } variants { name options { name } } } }").await;
    assert_eq!(simple.at("/product"), &json!({ "options": [], "variants": [{ "name": "Default", "options": [] }] }));
    let first = shop
        .ask("{ product(slug: \"linen-shirt\") { a: variants(first: 1) { sku } b: variants(first: 0) { sku } } }")
        .await;
    assert_eq!(first.at("/product"), &json!({ "a": [{ "sku": "SHI-LIN-M-WHT" }], "b": [] }));
}

async fn every_field_of_a_category_is_answered(backend: Backend) {
    let shop = Shop::demo(backend).await;
    shop.sql("UPDATE category SET description = 'To drink from.' WHERE slug = 'mugs'").await.expect("an update");
    let answer = shop.ask("{ category(slug: \"kitchen\") {
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
    assert_eq!(answer.at("/category"), &expected);
    assert_eq!(answer.statements, 3);
    let roots = shop
        .ask("{ categories { name level position ancestors { name } } none: category(slug: \"none\") { id } }")
        .await;
    let names = ["Coffee & Tea", "Home", "Crafts", "Clothing", "Electronics", "Outdoors"];
    let root = |(at, name)| json!({ "name": name, "level": 0, "position": at, "ancestors": [] });
    assert_eq!(roots.at("/categories"), &Value::Array(names.into_iter().enumerate().map(root).collect()));
    assert_eq!((roots.at("/none"), roots.statements), (&Value::Null, 0));
}

async fn the_first_clients_find_their_types_unchanged(backend: Backend) {
    let shop = Shop::open(backend).await;
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
        let answer = shop.ask(&query).await;
        let fields = answer.at("/__type/fields").as_array().expect("fields");
        let words: Vec<_> = expected.split_whitespace().collect();
        for pair in words.chunks(2) {
            let field = fields.iter().find(|field| format!("{}:", field["name"].as_str().expect("a name")) == pair[0]);
            let field = field.unwrap_or_else(|| panic!("{name} lacks {}", pair[0]));
            assert_eq!(spelt(&field["type"]), pair[1], "{name}.{}", pair[0]);
            let args: Vec<_> = field["args"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|arg| format!("{}: {}", arg["name"].as_str().expect("a name"), spelt(&arg["type"])))
                .collect();
            assert_eq!(args.join(", "), if pair[0] == "products:" { "limit: Int, offset: Int" } else { "" });
        }
    }
}

/// A type as SDL writes it.
fn spelt(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", spelt(&kind["ofType"])),
        Some("LIST") => format!("[{}]", spelt(&kind["ofType"])),
        _ => kind["name"].as_str().expect("a name").to_owned(),
    }
}
