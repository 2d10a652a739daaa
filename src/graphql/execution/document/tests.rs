use super::{errors::MAX_REPORTED_ERRORS, *};
use crate::infra::config::GraphqlConfig;

fn load_default_limits() -> GraphqlConfig {
    let no_variables = std::iter::empty();
    crate::infra::Config::load_from(std::path::Path::new("/nowhere.toml"), no_variables).expect("the defaults").graphql
}

fn parse_with_defaults(text: &str) -> Result<ValidDocument, DocumentError> {
    parse_document(text, DocumentLimits { config: &load_default_limits(), allows_introspection: true })
}

fn parse_error(text: &str) -> (ErrorStage, String, String) {
    let error = parse_with_defaults(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
    let first = error.errors.first().expect("at least one error");
    let position = first.locations.first().map(ToString::to_string).unwrap_or_default();
    (error.stage, first.message.clone(), position)
}

#[test]
fn errors_have_positions_in_original_text() {
    assert_eq!(parse_error("{\n  shop {\n    nothing\n  }\n}").2, "3:5");
    assert_eq!(parse_error("\u{feff}{ shop {\n nothing } }").2, "2:2");
    let (stage, message, position) = parse_error("{ shop { name }\n");
    assert_eq!((stage, position.as_str()), (ErrorStage::Parse, "2:1"), "{message}");
    assert!(message.starts_with("Syntax error: "), "{message}");
}

#[test]
fn converted_document_keeps_positions_and_values() {
    let text = "query Q($n: [Int!] = [1, 2]) {\n  nodes(ids: [\"\\uD83D\\uDE00\", \"\\u{1F600}\"]) { id }\n  x: shop @include(if: true) { name }\n}";
    let rejected = parse_with_defaults(&text.replace("{ id }", "{ id ...F }")).expect_err("errors");
    let messages: Vec<_> = rejected.errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(messages, ["Variable \"$n\" is never used.", "Unknown fragment \"F\"."]);
    let text = text.replace("($n: [Int!] = [1, 2])", "");
    let ValidDocument { executable, .. } = parse_with_defaults(&text).expect("valid document");
    let (name, operation) = executable.operations.iter().next().expect("operation");
    assert_eq!(name.map(async_graphql::Name::as_str), Some("Q"));
    let items = &operation.node.selection_set.node.items;
    assert_eq!(items[0].pos.to_string(), "2:3");
    assert_eq!(items[1].pos.to_string(), "3:3");
    let async_graphql::parser::types::Selection::Field(nodes) = &items[0].node else { panic!("not a field") };
    assert_eq!(nodes.node.arguments[0].1.node.to_string(), "[\"\u{1F600}\", \"\u{1F600}\"]");
}

#[test]
fn errors_are_limited_truncated_and_deduplicated() {
    let unknown_fields = (0..50).map(|index| format!("nothing{index} ")).collect::<Vec<_>>().concat();
    assert_eq!(
        parse_with_defaults(&format!("{{ {unknown_fields} }}")).expect_err("errors").errors.len(),
        MAX_REPORTED_ERRORS
    );
    let error = parse_with_defaults(&format!("{{ __typename {} }}", "@aa".repeat(50))).expect_err("errors");
    assert_eq!(error.errors.len(), 1);
    let (_, message, _) = parse_error(&format!("{{ products(first: \"{}\") {{ totalCount }} }}", "é".repeat(5_000)));
    assert!(message.len() < 310, "{message}");
}

#[test]
fn long_document_is_rejected_before_parsing() {
    let text = format!("{{ __typename }} #{}", "[".repeat(70_000));
    let (_, message, _) = parse_error(&text);
    assert!(message.contains("longer than 65536 bytes"), "{message}");
    assert!(parse_with_defaults(&format!("{{ __typename }} #{}", "[".repeat(60_000))).is_ok());
}

#[test]
fn nesting_is_limited_in_every_value_and_type_position() {
    let nest = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let nested_values = |depth| [nest("[", "]", depth), nest("{a:", "}", depth), nest("[{a:[", "]}]", depth)];
    let documents_with_value = |value: &str| {
        [
            format!("{{ shop(a: {value}) {{ name }} }}"),
            format!("query ($v: Int = {value}) {{ shop {{ name }} }}"),
            format!("query ($v: Int @include(if: {value})) {{ shop {{ name }} }}"),
            format!("query @include(if: {value}) {{ shop {{ name }} }}"),
            format!("{{ shop @include(if: {value}) {{ name }} }}"),
            format!("{{ ... @include(if: {value}) {{ shop {{ name }} }} }}"),
            format!("{{ ...F @include(if: {value}) }} fragment F on Query {{ shop {{ name }} }}"),
            format!("{{ ...F }} fragment F on Query @include(if: {value}) {{ shop {{ name }} }}"),
        ]
    };
    for depth in [101, 1_000, 6_000] {
        for text in
            nested_values(depth).iter().flat_map(|value| documents_with_value(value)).filter(|text| text.len() < 60_000)
        {
            let (_, message, _) = parse_error(&text);
            assert!(message.contains("nests more than"), "{depth}: {message}");
        }
        let document = format!("query ($v: {}Int{}) {{ shop {{ name }} }}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_error(&document).1.contains("nests more than"));
        for (open, close) in [("{a", "}"), ("{...", "}"), ("{... @skip(if: true)", "}")] {
            assert!(
                parse_with_defaults(&format!("{}{}", open.repeat(depth.min(3_000)), close.repeat(depth.min(3_000))))
                    .is_err()
            );
        }
    }
    // Below the limit the value is rejected by type validation.
    for text in nested_values(30).iter().flat_map(|value| documents_with_value(value)) {
        assert!(!parse_error(&text).1.contains("nests"));
    }
}

#[test]
fn brackets_in_strings_and_comments_are_not_counted() {
    let brackets = "[{(".repeat(10_000);
    let document_with_search =
        |text: &str| format!("{{ products(first: 1, filter: {{ search: {text} }}) {{ nodes {{ id }} }} }}");
    assert!(parse_with_defaults(&document_with_search(&format!("\"{brackets}\""))).is_ok());
    assert!(parse_with_defaults(&document_with_search(&format!("\"\"\"{brackets}\"\"\""))).is_ok());
    assert!(parse_with_defaults(&format!("{} #{brackets}", document_with_search("\"a\""))).is_ok());
    assert!(parse_with_defaults(&document_with_search(&format!("\"{brackets}"))).is_err());
    assert!(parse_with_defaults(&document_with_search(&format!("\"\"\"{brackets}"))).is_err());
}

#[test]
fn input_objects_are_validated_by_specification() {
    let accepted = [
        "{ products(filter: { search: \"a\", vendors: [\"a\"] }) { nodes { id } } }",
        "query ($v: Boolean = true) { shop @include(if: $v) { name } }",
        "query ($v: [String!]) { products(filter: { vendors: $v }) { nodes { id } } }",
        "query ($v: String!) { products(filter: { vendors: [$v] }) { nodes { id } } }",
        "query ($v: ID!) { nodes(ids: [$v]) { id } }",
        "query ($v: ProductSortField!) { products(sort: { field: $v }) { nodes { id } } }",
        "{ a: nodes(ids: [\"a\"]) { id } b: nodes(ids: [\"a\", \"b\"]) { id } }",
        "{ nodes(ids: [\"a\"]) { id } nodes(ids: [\"a\"]) { __typename } }",
    ];
    for text in accepted {
        assert!(parse_with_defaults(text).is_ok(), "{text}: {:?}", parse_with_defaults(text));
    }
    let rejected = [
        "{ products(filter: { inStock: true, inStock: false }) { nodes { id } } }",
        "{ products(filter: { inStock: true, inStock: true }) { nodes { id } } }",
        "query ($v: String) { products(filter: $v) { nodes { id } } }",
        "query ($v: String!) { products(sort: { field: $v }) { nodes { id } } }",
        "query ($v: [ID!]) { products(filter: { search: $v }) { nodes { id } } }",
        "query ($v: String!) { products(filter: { vendors: $v }) { nodes { id } } }",
        "query ($v: ID) { nodes(ids: [$v]) { id } }",
        "query ($v: ID!) { nodes(ids: $v) { id } }",
        "query ($v: [ID]!) { nodes(ids: $v) { id } }",
        "query ($v: Boolean) { shop @include(if: $v) { name } }",
        "query ($v: Boolean = null) { shop @include(if: $v) { name } }",
        "{ products(sort: { field: \"NEWEST\" }) { nodes { id } } }",
        "query ($v: ProductSortField = \"NEWEST\") { products(sort: { field: $v }) { nodes { id } } }",
        "{ products(filter: { search: $v }) { nodes { id } } }",
        "{ nodes(ids: [\"a\"]) { id } nodes(ids: [\"a\", \"b\"]) { __typename } }",
        "{ nodes(ids: [\"a\"]) { id } ... { nodes(ids: []) { __typename } } }",
    ];
    for text in rejected {
        let error = parse_with_defaults(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert_eq!(error.stage, ErrorStage::Validate, "{text}");
    }
}

#[test]
fn one_of_object_without_exactly_one_field_is_rejected() {
    let parse_one_of = |value: &str| {
        let variable = if value.contains("$a") {
            "($a: ID)"
        } else if value.contains("$b") {
            "($b: ID!)"
        } else {
            ""
        };
        parse_with_defaults(&format!(
            "mutation {variable} {{ cartAddressUpdate(id: \"c\", input: {{ shipping: {value} }}) {{ cart {{ id }} }} }}"
        ))
    };
    for value in ["{}", "{ addressId: null }", "{ addressId: $a }", "{ addressId: $b, address: null }"] {
        assert_eq!(parse_one_of(value).err().map(|error| error.errors[0].message.contains("Exactly one")), Some(true));
    }
    for value in ["{ addressId: $b }", "{ addressId: \"a\" }"] {
        assert!(parse_one_of(value).is_ok(), "{value}");
    }
}

#[test]
fn latest_introspection_query_is_accepted() {
    assert!(parse_with_defaults("{ __type(name: \"AddressChoiceInput\") { isOneOf specifiedByURL } }").is_ok());
    assert!(
        parse_with_defaults("{ __schema { directives { isRepeatable args(includeDeprecated: true) { name } } } }")
            .is_ok()
    );
    assert!(parse_with_defaults("{ __schema { nothing } }").is_err());
}
