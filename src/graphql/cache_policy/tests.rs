use super::*;
use crate::{
    catalog::cache_tags::{CATALOG, CATEGORIES},
    graphql::execution::document::schema::validation_schema,
};

fn policy_of(text: &str) -> Option<PublicCachePolicy> {
    let document = ExecutableDocument::parse_and_validate(validation_schema(), text, "test.graphql");
    let document = document.unwrap_or_else(|failed| panic!("{text}: {}", failed.errors));
    CachePolicies::of_document(&document).find(None).cloned()
}

fn tags_of(text: &str) -> Vec<CacheTag> {
    policy_of(text).unwrap_or_else(|| panic!("{text} is private")).tags.into_iter().collect()
}

#[test]
fn public_operation_depends_on_the_sets_of_its_fields() {
    assert_eq!(tags_of("{ shop { name } }"), []);
    assert_eq!(tags_of("{ product(slug: \"a\") { name price } }"), []);
    assert_eq!(tags_of("{ product(slug: \"a\") { category { name } } }"), [CATEGORIES]);
    assert_eq!(tags_of("{ products { nodes { name } } }"), [CATALOG, CATEGORIES]);
    assert_eq!(
        tags_of("query ($f: ProductFilter) { products(filter: $f) { totalCount } }"),
        [CATALOG, CATEGORIES, STOCK]
    );
    assert_eq!(tags_of("{ category(slug: \"a\") { name } }"), [CATEGORIES]);
}

#[test]
fn one_private_field_makes_an_operation_private() {
    for text in [
        "{ me { id } }",
        "{ shop { name } me { id } }",
        "{ cart(id: \"x\") { id } }",
        "{ order(number: \"x\", token: \"y\") { id } }",
        "{ shop { version } }",
        "{ variant(by: {sku: \"x\"}) { stockLevels { onHand } } }",
        "{ node(id: \"x\") { __typename } }",
        "{ node(id: \"x\") { ... on Product { name } } }",
        "{ shop { ...f } } fragment f on Shop { name ...g } fragment g on Shop { version }",
        "{ shop { ... @include(if: false) { version } } }",
        "{ __schema { queryType { name } } }",
        "mutation { cartCreate { cart { id } } }",
    ] {
        assert_eq!(policy_of(text), None, "{text}");
    }
}

#[test]
fn operations_of_one_document_have_their_own_policies() {
    let text = "query A { shop { name } } query B { me { id } }";
    let document = ExecutableDocument::parse_and_validate(validation_schema(), text, "test.graphql").expect("valid");
    let policies = CachePolicies::of_document(&document);
    assert!(policies.find(Some("A")).is_some());
    assert!(policies.find(Some("B")).is_none());
}

#[test]
fn public_fields_exist_in_the_schema_and_are_listed_once() {
    let mut listed = BTreeSet::new();
    for PublicFields { type_name, fields, .. } in PUBLIC_FIELDS {
        let object = validation_schema().get_object(type_name).unwrap_or_else(|| panic!("no type {type_name}"));
        for field in *fields {
            assert!(object.fields.contains_key(*field), "no {type_name}.{field}");
            assert!(listed.insert((type_name, field)), "{type_name}.{field} is listed twice");
        }
    }
}
