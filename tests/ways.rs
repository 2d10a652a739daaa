//! Lists are answered by a way of their own. Whatever is asked, the answer is the one that the executor gives, and it
//! costs the same.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    every_field_alone_is_what_it_is_among_all,
    a_page_tells_what_its_products_tell_one_by_one,
    fragments_and_names_change_nothing_but_the_shape,
    a_list_that_fails_says_where,
];

/// The fields of a type that everybody may ask for, or those that staff may, each with what can be asked below it:
/// everything that holds nothing more, and of what does, the same again for so many levels.
async fn fields(shop: &Shop, (name, staff): (&str, bool), levels: usize) -> Vec<String> {
    let query = "query($name: String!) { __type(name: $name) { fields { name description type { ...t } } } }
        fragment t on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let answer = shop.ask_with(query, json!({ "name": name })).await;
    let mut found = Vec::new();
    for field in answer.at("/__type/fields").as_array().expect("fields") {
        if field["description"].as_str().is_some_and(|text| text.contains("Staff only")) != staff {
            continue;
        }
        let mut ty = &field["type"];
        while !ty["ofType"].is_null() {
            ty = &ty["ofType"];
        }
        let (name, of) = (field["name"].as_str().expect("a name"), ty["name"].as_str().expect("a type"));
        if ty["kind"] == "OBJECT" {
            if levels > 0 {
                let below = Box::pin(fields(shop, (of, false), levels - 1)).await;
                found.push(format!("{name} {{ __typename {} }}", below.join(" ")));
            }
        } else {
            found.push(name.to_owned());
        }
    }
    found
}

/// What a list of products answers, and what the executor answers for the same ones.
async fn both(shop: &Shop, token: Option<&str>, (first, asked): (usize, &str)) -> (Vec<Value>, Vec<Value>) {
    let query = format!("{{ products(first: {first}) {{ nodes {{ key: id {asked} }} }} }}");
    let list = shop.ask_maybe(token, &query, json!({})).await;
    let list = list.at("/products/nodes").as_array().expect("a list").clone();
    let ids: Vec<&Value> = list.iter().map(|one| &one["key"]).collect();
    let query = format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Product {{ key: id {asked} }} }} }}");
    let nodes = shop.ask_maybe(token, &query, json!({ "ids": ids })).await;
    let nodes = nodes.at("/nodes").as_array().expect("a list").clone();
    assert_eq!(list.len(), first);
    (list, nodes)
}

async fn every_field_alone_is_what_it_is_among_all(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let fields = fields(&shop, ("Product", false), 2).await;
    assert!(fields.len() > 20, "{fields:?}");
    for field in &fields {
        let (list, nodes) = both(&shop, None, (40, field)).await;
        assert_eq!(list, nodes, "{field}");
    }
    // What a variant tells needs other columns again.
    for field in self::fields(&shop, ("ProductVariant", false), 1).await {
        let (list, nodes) = both(&shop, None, (40, &format!("variants(first: 2) {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    for field in self::fields(&shop, ("Category", false), 1).await {
        let (list, nodes) = both(&shop, None, (40, &format!("category {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    let (list, nodes) = both(&shop, None, (5, &fields.join(" "))).await;
    assert_eq!(list, nodes);
    let staff = shop.sign_in(Role::Staff).await;
    let guarded = self::fields(&shop, ("ProductVariant", true), 2).await;
    assert!(!guarded.is_empty(), "nothing of a variant is for staff");
    for field in guarded {
        let (list, nodes) = both(&shop, Some(&staff), (20, &format!("variants(first: 2) {{ {field} }}"))).await;
        assert_eq!(list, nodes, "{field}");
    }
    shop.settle().await;
}

async fn a_page_tells_what_its_products_tell_one_by_one(backend: Backend) {
    let shop = Shop::demo(backend).await;
    for order in ["BEST_MATCH", "PRICE", "NAME", "NEWEST"] {
        let query = |asked: &str| format!("{{ products(first: 7, orderBy: {{ field: {order} }}) {{ {asked} }} }}");
        let whole = shop
            .ask(&query("edges { cursor node { id sku tags } } nodes { id sku tags } pageInfo { endCursor }"))
            .await;
        let (edges, nodes) = (whole.at("/products/edges"), whole.at("/products/nodes"));
        let of_edges: Vec<&Value> = edges.as_array().expect("edges").iter().map(|edge| &edge["node"]).collect();
        assert_eq!(json!(of_edges), *nodes);
        assert_eq!(whole.at("/products/pageInfo/endCursor"), &edges[6]["cursor"]);
        // A cursor alone, and the end of the page alone, read as few columns as there can be.
        let cursors = shop.ask(&query("edges { cursor }")).await;
        assert_eq!(cursors.texts("/products/edges", "cursor"), whole.texts("/products/edges", "cursor"));
        let end = shop.ask(&query("pageInfo { endCursor } nodes { id }")).await;
        assert_eq!(end.at("/products/pageInfo"), whole.at("/products/pageInfo"));
        let twice = shop.ask(&query("edges { a: node { id } b: node { tags sku } }")).await;
        assert_eq!(twice.at("/products/edges/3/b/sku"), &edges[3]["node"]["sku"]);
        assert_eq!(twice.at("/products/edges/3/b/tags"), &edges[3]["node"]["tags"]);
        assert_eq!(twice.at("/products/edges/3/a/id"), &edges[3]["node"]["id"]);
    }
    shop.settle().await;
}

async fn fragments_and_names_change_nothing_but_the_shape(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query = "query($few: Int = 1, $yes: Boolean = true) { products(first: 30) { nodes {
        __typename id @include(if: $yes) name @skip(if: $yes) ...card again: sku
        ... on Product { category { slug } } ... on Node { id } ... { category { parent { name } } }
        one: variants(first: $few) { sku } two: variants(first: 2) { sku inStock options { value __typename } }
    } } } fragment card on Product { sku category { name productCount } priceRange { max } }";
    let answer = shop.ask(query).await;
    let nodes = answer.at("/products/nodes").as_array().expect("a list");
    assert_eq!(nodes.len(), 30);
    // The page, the counts, the variants, their stock and their options.
    assert_eq!(answer.statements, 5);
    for node in nodes {
        let keys: Vec<&String> = node.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["__typename", "again", "category", "id", "one", "priceRange", "sku", "two"]);
        let category: Vec<&String> = node["category"].as_object().expect("an object").keys().collect();
        assert_eq!(category, ["name", "parent", "productCount", "slug"]);
        assert_eq!((&node["sku"], &node["__typename"]), (&node["again"], &json!("Product")));
        assert_eq!(node["one"][0]["sku"], node["two"][0]["sku"]);
        assert_eq!(node["one"].as_array().expect("a list").len(), 1);
        assert!(node["category"]["productCount"].as_i64().is_some_and(|count| count > 0));
    }
    shop.settle().await;
}

async fn a_list_that_fails_says_where(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let wrong = shop.ask("{ products(first: 2) { nodes { id variants(first: 101) { id } } } }").await;
    wrong.blames("first");
    assert_eq!(wrong.error()["path"], json!(["products", "nodes", 0, "variants"]));
    shop.sql("ALTER TABLE product_tag RENAME TO gone").await.expect("renamed");
    let broken = shop.ask("{ products(first: 2) { nodes { id tags } } }").await;
    assert_eq!(broken.error()["path"], json!(["products", "nodes", 0, "tags"]));
    assert_eq!(broken.error()["extensions"]["code"], "INTERNAL");
}
