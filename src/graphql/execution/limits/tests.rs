use apollo_compiler::ast::Document;

use super::*;

fn load_default_limits() -> GraphqlConfig {
    let no_variables = std::iter::empty();
    crate::infra::Config::load_from(std::path::Path::new("/nowhere.toml"), no_variables).expect("the defaults").graphql
}

fn repeat_with_index(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().concat()
}

fn check_document_text(text: &str) -> Result<DocumentSize, ServerError> {
    let document = Document::parse(text, "").expect("valid document");
    check_document_limits(
        &document,
        &LineIndex::new(text),
        DocumentLimits { config: &load_default_limits(), allows_introspection: true },
    )
}

#[test]
fn fragment_bomb_is_rejected() {
    let links =
        repeat_with_index(60, |index| format!("fragment f{index} on Query {{ ...f{} ...f{} }} ", index + 1, index + 1));
    let text = format!("{{ ...f0 }} {links} fragment f60 on Query {{ __typename }}");
    assert!(check_document_text(&text).is_err_and(|error| error.message.contains("fields")));
}

#[test]
fn fragment_cycle_is_rejected() {
    let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    assert!(check_document_text(text).is_err_and(|error| error.message.contains("within itself")));
}

#[test]
fn fragment_chain_above_limit_is_rejected() {
    let chain = |length: usize| {
        let links = repeat_with_index(length, |index| format!("fragment f{index} on Query {{ ...f{} }} ", index + 1));
        let last_fragment = format!("fragment f{length} on Query {{ __typename }}");
        format!("{{ ...f0 }} {links}{last_fragment}")
    };
    assert!(check_document_text(&chain(20)).is_ok());
    assert!(check_document_text(&chain(1_500)).is_err_and(|error| error.message.contains("nest")));
    // Visiting the chain from its middle first must not change the result.
    let middle_first = format!("{{ ...f90 ...f0 }} {}", &chain(190)[9..]);
    assert!(check_document_text(&middle_first).is_err_and(|error| error.message.contains("nest")));
}

#[test]
fn unused_fragment_is_measured() {
    let names = repeat_with_index(60, |index| format!("b{index}: name "));
    let shops = repeat_with_index(60, |index| format!("a{index}: shop {{ ...F }} "));
    let text = format!("{{ __typename }} fragment U on Query {{ {shops} }} fragment F on Shop {{ {names} }}");
    assert!(check_document_text(&text).is_err_and(|error| error.message.contains("fields")));
}

#[test]
fn arguments_and_variables_count_as_parts() {
    let arguments = "a: 1 ".repeat(10_001);
    assert!(check_document_text(&format!("{{ product({arguments}) {{ id }} }}")).is_err());
    let variables = repeat_with_index(10_001, |index| format!("$v{index}: Int "));
    assert!(check_document_text(&format!("query ({variables}) {{ __typename }}")).is_err());
}

#[test]
fn list_and_object_values_count_as_parts() {
    let list = "1 ".repeat(10_001);
    assert!(check_document_text(&format!("{{ nodes(ids: [{list}]) {{ id }} }}")).is_err());
    assert!(check_document_text(&format!("query ($v: [Int] = [{list}]) {{ __typename }}")).is_err());
    assert!(check_document_text(&format!("{{ __typename @include(if: {{ a: [{list}] }}) }}")).is_err());
}

#[test]
fn expanded_spreads_without_fields_count_as_selections() {
    // Twenty fragments of twenty spreads each, with no field at the end of the chain.
    let links = repeat_with_index(5, |index| {
        format!("fragment f{index} on Query {{ {} }} ", format!("...f{} ", index + 1).repeat(20))
    });
    let text = format!("{{ __typename ...f0 }} {links}");
    assert!(check_document_text(&text).is_err_and(|error| error.message.contains("selections")));
}

#[test]
fn typename_aliases_count_as_fields() {
    let fields = repeat_with_index(2_001, |index| format!("a{index}: __typename "));
    assert!(check_document_text(&format!("{{ shop {{ {fields} }} }}")).is_err());
    assert!(check_document_text("{ a: __typename b: __typename }").is_ok());
}

#[test]
fn root_fields_above_limit_are_rejected() {
    let fields = |count| format!("{{ {} }}", repeat_with_index(count, |index| format!("a{index}: __typename ")));
    assert!(check_document_text(&fields(100)).is_ok());
    assert!(check_document_text(&fields(101)).is_err_and(|error| error.message.contains("root fields")));
}
