use super::*;

fn limits() -> GraphqlConfig {
    let none = std::iter::empty();
    crate::infra::Config::read(std::path::Path::new("/nowhere.toml"), none).expect("the defaults").graphql
}

fn parse(text: &str) -> Result<ValidDocument, DocumentError> {
    parse_document(text, (&limits(), true))
}

fn error_of(text: &str) -> (Stage, String, String) {
    let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
    let first = error.errors.first().expect("an error");
    let at = first.locations.first().map(ToString::to_string).unwrap_or_default();
    (error.stage, first.message.clone(), at)
}

#[test]
fn errors_have_positions_in_the_original_text() {
    assert_eq!(error_of("{\n  shop {\n    nothing\n  }\n}").2, "3:5");
    assert_eq!(error_of("\u{feff}{ shop {\n nothing } }").2, "2:2");
    let (stage, message, at) = error_of("{ shop { name }\n");
    assert_eq!((stage, at.as_str()), (Stage::Parse, "2:1"), "{message}");
    assert!(message.starts_with("Syntax error: "), "{message}");
}

#[test]
fn converted_documents_keep_positions_and_values() {
    let text = "query Q($n: [Int!] = [1, 2]) {\n  nodes(ids: [\"\\uD83D\\uDE00\", \"\\u{1F600}\"]) { id }\n  x: shop @include(if: true) { name }\n}";
    let document = parse(&text.replace("$n: [Int!] = [1, 2]", "$n: Int = 1").replace("{ id }", "{ id ...F }")).err();
    assert!(document.is_some_and(|error| error.errors[0].message.contains("\"F\"")));
    let text = text.replace("($n: [Int!] = [1, 2])", "");
    let ValidDocument { executable, .. } = parse(&text).expect("a document");
    let (name, operation) = executable.operations.iter().next().expect("an operation");
    assert_eq!(name.map(async_graphql::Name::as_str), Some("Q"));
    let items = &operation.node.selection_set.node.items;
    assert_eq!(items[0].pos.to_string(), "2:3");
    assert_eq!(items[1].pos.to_string(), "3:3");
    let async_graphql::parser::types::Selection::Field(nodes) = &items[0].node else { panic!("no field") };
    assert_eq!(nodes.node.arguments[0].1.node.to_string(), "[\"\u{1F600}\", \"\u{1F600}\"]");
}

#[test]
fn errors_are_few_short_and_different() {
    let many = (0..50).map(|n| format!("nothing{n} ")).collect::<Vec<_>>().concat();
    assert_eq!(parse(&format!("{{ {many} }}")).expect_err("errors").errors.len(), ERRORS);
    let error = parse(&format!("{{ __typename {} }}", "@aa".repeat(50))).expect_err("errors");
    assert_eq!(error.errors.len(), 1);
    let (_, message, _) = error_of(&format!("{{ products(first: \"{}\") {{ totalCount }} }}", "é".repeat(5_000)));
    assert!(message.len() < 310, "{message}");
}

#[test]
fn long_documents_are_refused_without_being_read() {
    let text = format!("{{ __typename }} #{}", "[".repeat(70_000));
    let (_, message, _) = error_of(&text);
    assert!(message.contains("longer than 65536 bytes"), "{message}");
    assert!(parse(&format!("{{ __typename }} #{}", "[".repeat(60_000))).is_ok());
}

#[test]
fn nesting_is_limited_wherever_a_value_or_a_type_stands() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let both = |depth| [nested("[", "]", depth), nested("{a:", "}", depth), nested("[{a:[", "]}]", depth)];
    let places = |value: &str| {
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
        for text in both(depth).iter().flat_map(|value| places(value)).filter(|text| text.len() < 60_000) {
            let (_, message, _) = error_of(&text);
            assert!(message.contains("nests more than"), "{depth}: {message}");
        }
        let ty = format!("query ($v: {}Int{}) {{ shop {{ name }} }}", "[".repeat(depth), "]".repeat(depth));
        assert!(error_of(&ty).1.contains("nests more than"));
        for (open, close) in [("{a", "}"), ("{...", "}"), ("{... @skip(if: true)", "}")] {
            assert!(parse(&format!("{}{}", open.repeat(depth.min(3_000)), close.repeat(depth.min(3_000)))).is_err());
        }
    }
    // Below the limit the value is refused for what it is.
    for text in both(30).iter().flat_map(|value| places(value)) {
        assert!(!error_of(&text).1.contains("nests"));
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_nest() {
    let brackets = "[{(".repeat(10_000);
    let search = |text: &str| format!("{{ products(first: 1, filter: {{ search: {text} }}) {{ nodes {{ id }} }} }}");
    assert!(parse(&search(&format!("\"{brackets}\""))).is_ok());
    assert!(parse(&search(&format!("\"\"\"{brackets}\"\"\""))).is_ok());
    assert!(parse(&format!("{} #{brackets}", search("\"a\""))).is_ok());
    assert!(parse(&search(&format!("\"{brackets}"))).is_err());
    assert!(parse(&search(&format!("\"\"\"{brackets}"))).is_err());
}

#[test]
fn input_objects_are_held_to_the_specification() {
    let accepted = [
        "{ products(filter: { search: \"a\", tags: [\"a\"] }) { nodes { id } } }",
        "query ($v: Boolean = true) { shop @include(if: $v) { name } }",
        "query ($v: [String!]) { products(filter: { tags: $v }) { nodes { id } } }",
        "query ($v: String!) { products(filter: { tags: [$v] }) { nodes { id } } }",
        "query ($v: ID!) { nodes(ids: [$v]) { id } }",
        "query ($v: ProductOrderField!) { products(orderBy: { field: $v }) { nodes { id } } }",
        "{ a: nodes(ids: [\"a\"]) { id } b: nodes(ids: [\"a\", \"b\"]) { id } }",
        "{ nodes(ids: [\"a\"]) { id } nodes(ids: [\"a\"]) { __typename } }",
    ];
    for text in accepted {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    let refused = [
        "{ products(filter: { inStock: true, inStock: false }) { nodes { id } } }",
        "{ products(filter: { inStock: true, inStock: true }) { nodes { id } } }",
        "query ($v: String) { products(filter: $v) { nodes { id } } }",
        "query ($v: String!) { products(orderBy: { field: $v }) { nodes { id } } }",
        "query ($v: [ID!]) { products(filter: { search: $v }) { nodes { id } } }",
        "query ($v: String!) { products(filter: { tags: $v }) { nodes { id } } }",
        "query ($v: ID) { nodes(ids: [$v]) { id } }",
        "query ($v: ID!) { nodes(ids: $v) { id } }",
        "query ($v: [ID]!) { nodes(ids: $v) { id } }",
        "query ($v: Boolean) { shop @include(if: $v) { name } }",
        "query ($v: Boolean = null) { shop @include(if: $v) { name } }",
        "{ products(orderBy: { field: \"NEWEST\" }) { nodes { id } } }",
        "query ($v: ProductOrderField = \"NEWEST\") { products(orderBy: { field: $v }) { nodes { id } } }",
        "{ products(filter: { search: $v }) { nodes { id } } }",
        "{ nodes(ids: [\"a\"]) { id } nodes(ids: [\"a\", \"b\"]) { __typename } }",
        "{ nodes(ids: [\"a\"]) { id } ... { nodes(ids: []) { __typename } } }",
    ];
    for text in refused {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert_eq!(error.stage, Stage::Validate, "{text}");
    }
}

#[test]
fn exactly_one_field_of_a_one_of_object_is_given() {
    let parse_one_of = |value: &str| {
        let variable = if value.contains("$a") {
            "($a: ID)"
        } else if value.contains("$b") {
            "($b: ID!)"
        } else {
            ""
        };
        parse(&format!(
            "mutation {variable} {{ cartAddressSet(id: \"c\", input: {{ shipping: {value} }}) {{ cart {{ id }} }} }}"
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
fn introspection_by_its_newest_edition_is_accepted() {
    assert!(parse("{ __type(name: \"AddressChoiceInput\") { isOneOf specifiedByURL } }").is_ok());
    assert!(parse("{ __schema { directives { isRepeatable args(includeDeprecated: true) { name } } } }").is_ok());
    assert!(parse("{ __schema { nothing } }").is_err());
}
