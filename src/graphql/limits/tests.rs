use apollo_compiler::ast::Document;

use super::*;

fn limits() -> GraphqlConfig {
    let none = std::iter::empty();
    crate::infra::Config::read(std::path::Path::new("/nowhere.toml"), none).expect("the defaults").graphql
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().concat()
}

fn check_text(text: &str) -> Result<DocumentSize, ServerError> {
    let document = Document::parse(text, "").expect("a document");
    check(&document, &LineIndex::new(text), (&limits(), true))
}

#[test]
fn a_fragment_bomb_is_refused_at_once() {
    let links = many(60, |n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1));
    let text = format!("{{ ...f0 }} {links} fragment f60 on Query {{ __typename }}");
    assert!(check_text(&text).is_err_and(|error| error.message.contains("fields")));
}

#[test]
fn a_circle_of_fragments_is_named() {
    let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    assert!(check_text(text).is_err_and(|error| error.message.contains("within itself")));
}

#[test]
fn a_chain_of_fragments_ends_somewhere() {
    let chain = |length: usize| {
        let links = many(length, |n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1));
        let last = format!("fragment f{length} on Query {{ __typename }}");
        format!("{{ ...f0 }} {links}{last}")
    };
    assert!(check_text(&chain(20)).is_ok());
    assert!(check_text(&chain(1_500)).is_err_and(|error| error.message.contains("nest")));
    // Nor does it help to reach the chain by its middle first.
    let backwards = format!("{{ ...f90 ...f0 }} {}", &chain(190)[9..]);
    assert!(check_text(&backwards).is_err_and(|error| error.message.contains("nest")));
}

#[test]
fn what_no_operation_uses_is_measured_too() {
    let names = many(60, |n| format!("b{n}: name "));
    let shops = many(60, |n| format!("a{n}: shop {{ ...F }} "));
    let text = format!("{{ __typename }} fragment U on Query {{ {shops} }} fragment F on Shop {{ {names} }}");
    assert!(check_text(&text).is_err_and(|error| error.message.contains("fields")));
}

#[test]
fn arguments_and_variables_count() {
    let arguments = "a: 1 ".repeat(10_001);
    assert!(check_text(&format!("{{ product({arguments}) {{ id }} }}")).is_err());
    let variables = many(10_001, |n| format!("$v{n}: Int "));
    assert!(check_text(&format!("query ({variables}) {{ __typename }}")).is_err());
}

#[test]
fn values_of_lists_and_objects_count() {
    let list = "1 ".repeat(10_001);
    assert!(check_text(&format!("{{ nodes(ids: [{list}]) {{ id }} }}")).is_err());
    assert!(check_text(&format!("query ($v: [Int] = [{list}]) {{ __typename }}")).is_err());
    assert!(check_text(&format!("{{ __typename @include(if: {{ a: [{list}] }}) }}")).is_err());
}

#[test]
fn expanded_spreads_without_fields_count() {
    // Twenty fragments of twenty spreads each, and at the end nothing that is a field.
    let links = many(5, |n| format!("fragment f{n} on Query {{ {} }} ", format!("...f{} ", n + 1).repeat(20)));
    let text = format!("{{ __typename ...f0 }} {links}");
    assert!(check_text(&text).is_err_and(|error| error.message.contains("selections")));
}

#[test]
fn aliases_of_typename_count() {
    let fields = many(2_001, |n| format!("a{n}: __typename "));
    assert!(check_text(&format!("{{ shop {{ {fields} }} }}")).is_err());
    assert!(check_text("{ a: __typename b: __typename }").is_ok());
}

#[test]
fn root_fields_are_limited() {
    let fields = |count| format!("{{ {} }}", many(count, |n| format!("a{n}: __typename ")));
    assert!(check_text(&fields(100)).is_ok());
    assert!(check_text(&fields(101)).is_err_and(|error| error.message.contains("root fields")));
}
