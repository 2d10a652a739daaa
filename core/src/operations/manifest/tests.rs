use super::*;
use crate::operations::document_id::sha256_hex;

fn messages(error: Error) -> Vec<String> {
    let errors = error.into_public_errors().unwrap_or_default();
    errors.into_iter().map(|error| error.message).collect()
}

fn rejection(text: &str) -> Vec<String> {
    messages(parse_manifest(text).expect_err("a rejection"))
}

fn document_file(path: &str, text: &str) -> DocumentFile {
    DocumentFile { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn map_with_two_texts_for_one_id_is_rejected() {
    let errors = rejection(r#"{ "a": "{ shop { name } }", "b": "{ x }", "a": "{ shop { currency } }" }"#);
    assert_eq!(errors, ["the id a stands for two texts"]);
    let repeated = parse_manifest(r#"{ "a": "{ x }", "a": "{ x }" }"#).expect("a manifest");
    assert_eq!(repeated.operations.len(), 1);
}

#[test]
fn one_digest_with_and_without_prefix_is_one_id() {
    let digest = sha256_hex("{ x }");
    let text = format!(r#"{{ "{digest}": "{{ x }}", "sha256:{digest}": "{{ x }}" }}"#);
    let manifest = parse_manifest(&text).expect("a manifest");
    assert_eq!(manifest.operations, [ManifestOperation { document_id: digest, text: "{ x }".into() }]);
}

#[test]
fn all_errors_of_a_manifest_are_reported() {
    let digest = sha256_hex("{ x }");
    let errors = rejection(&format!(
        r#"{{ "{digest}": "{{ y }}", "": "{{ x }}", "a b": "{{ x }}", "{}": "{{ x }}" }}"#,
        "0".repeat(40)
    ));
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].contains("the SHA-256 digest of its text is"), "{errors:?}");
    assert!(errors[3].contains("the SHA-1 digest of its text is"), "{errors:?}");
}

#[test]
fn text_that_is_no_manifest_is_rejected() {
    let texts = [
        "",
        "[]",
        "{}",
        "null",
        "{ \"a\": 1 }",
        "{ \"operations\": [] }",
        r#"{ "format": "apollo-persisted-query-manifest", "version": 2, "operations": [] }"#,
        r#"{ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [] }"#,
        r#"{ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id": "a" }] }"#,
        r#"{ "format": "apollo-persisted-query-manifest", "version": 1 }"#,
    ];
    for text in texts {
        let errors = rejection(text);
        assert!(errors.len() == 1 && errors[0].starts_with("this is not a manifest: "), "{text}: {errors:?}");
    }
}

#[test]
fn folder_combines_operations_with_fragments_of_other_files() {
    let alone = "# The home page.\nquery Home { shop { ...Name } }\nfragment Name on Shop { name }\n";
    let files = [
        document_file("home.graphql", alone),
        document_file("pages.graphql", "query A { shop { ...Name } } query B { shop { currency } }"),
    ];
    let manifest = build_folder_manifest(&files).expect("a manifest");
    let texts: Vec<_> = manifest.operations.iter().map(|operation| operation.text.as_str()).collect();
    assert_eq!(texts[0], alone);
    assert!(texts[1].contains("query A") && texts[1].contains("fragment Name on Shop"), "{}", texts[1]);
    assert!(texts[2].contains("query B") && !texts[2].contains("fragment"), "{}", texts[2]);
    for operation in &manifest.operations {
        assert_eq!(operation.document_id, sha256_hex(&operation.text));
    }
}

#[test]
fn folder_errors_name_the_files() {
    let files = [
        document_file("a.graphql", "query A { shop { ...Missing } }"),
        document_file("b.graphql", "query {"),
        document_file("c.graphql", "fragment F on Shop { name }"),
        document_file("d.graphql", "fragment F on Shop { currency } type X { a: Int }"),
    ];
    let errors = messages(build_folder_manifest(&files).expect_err("a rejection"));
    let starts =
        ["b.graphql: ", "d.graphql: fragment F is defined differently in c.graphql", "d.graphql: only", "a.gr"];
    assert_eq!(errors.len(), starts.len(), "{errors:?}");
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(start), "{errors:?}");
    }
}
