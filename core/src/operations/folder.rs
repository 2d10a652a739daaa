//! Documents of a folder of `.graphql` files.

use std::collections::BTreeMap;

use apollo_compiler::{
    Name, Node,
    ast::{Definition, Document, FragmentDefinition, OperationDefinition, Selection},
    parser::Parser,
};

use super::{
    document_id::sha256_hex,
    manifest::{DocumentFile, MANIFEST_FIELD},
};
use crate::base::{Result, Validator};

/// Maximum nesting depth of a file.
const MAX_NESTING_DEPTH: usize = 100;
/// Maximum number of tokens of a file.
const MAX_FILE_TOKENS: usize = 1_000_000;

/// Parsed file.
struct ParsedFile<'a> {
    file: &'a DocumentFile,
    document: Document,
}

/// Returns the id and the text of each operation. A file with one operation and all of its fragments, and nothing else,
/// is a document as it is; other operations are printed with their fragments.
///
/// # Errors
/// Returns all errors with the paths of the files.
pub(super) fn collect_documents(files: &[DocumentFile]) -> Result<Vec<(String, String)>> {
    let mut validator = Validator::default();
    let mut scope = validator.at(MANIFEST_FIELD);
    let mut parsed_files = Vec::with_capacity(files.len());
    for file in files {
        match Parser::new()
            .recursion_limit(MAX_NESTING_DEPTH)
            .token_limit(MAX_FILE_TOKENS)
            .parse_ast(&*file.text, &*file.path)
        {
            Ok(document) => parsed_files.push(ParsedFile { file, document }),
            Err(failure) => {
                let first = failure.errors.iter().next().map(|diagnostic| diagnostic.error.to_string());
                scope.reject("", format!("{}: {}", file.path, first.unwrap_or_default()));
            }
        }
    }
    let mut fragments = Fragments::new();
    for parsed in &parsed_files {
        for definition in &parsed.document.definitions {
            let path = parsed.file.path.as_str();
            match definition {
                Definition::FragmentDefinition(fragment) => {
                    let existing = fragments.insert(&fragment.name, (fragment, path));
                    // Comparing nodes would compare their positions too.
                    if let Some((existing, other_path)) = existing
                        && existing.to_string() != fragment.to_string()
                    {
                        let name = &fragment.name;
                        scope.reject("", format!("{path}: fragment {name} is defined differently in {other_path}"));
                    }
                }
                Definition::OperationDefinition(_) => {}
                _ => scope.reject("", format!("{path}: only operations and fragments are documents of an app")),
            }
        }
    }
    let mut documents = Vec::new();
    for parsed in &parsed_files {
        for definition in &parsed.document.definitions {
            let Definition::OperationDefinition(operation) = definition else { continue };
            match collect_fragments(operation, &fragments) {
                Ok(used) => documents.push(document_text(parsed, operation, &used)),
                Err(missing) => {
                    let path = &parsed.file.path;
                    scope.reject("", format!("{path}: fragment {missing} is not defined in any file"));
                }
            }
        }
    }
    validator.finish()?;
    Ok(documents.into_iter().map(|text| (sha256_hex(&text), text)).collect())
}

/// Fragments by name, each with its file.
type Fragments<'a> = BTreeMap<&'a Name, (&'a Node<FragmentDefinition>, &'a str)>;

/// Fragments that an operation uses, by name.
type UsedFragments<'a> = BTreeMap<&'a Name, &'a Node<FragmentDefinition>>;

/// Returns the fragments that an operation uses, directly or in other fragments; as an error, the name of one that is
/// not defined.
fn collect_fragments<'a>(
    operation: &'a OperationDefinition,
    fragments: &Fragments<'a>,
) -> Result<UsedFragments<'a>, &'a Name> {
    let mut used = UsedFragments::new();
    let mut pending: Vec<&'a [Selection]> = vec![&operation.selection_set];
    while let Some(selections) = pending.pop() {
        for selection in selections {
            match selection {
                Selection::Field(field) => pending.push(&field.selection_set),
                Selection::InlineFragment(fragment) => pending.push(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    let Some((fragment, _)) = fragments.get(&spread.fragment_name) else {
                        return Err(&spread.fragment_name);
                    };
                    if used.insert(&fragment.name, fragment).is_none() {
                        pending.push(&fragment.selection_set);
                    }
                }
            }
        }
    }
    Ok(used)
}

fn document_text(parsed: &ParsedFile<'_>, operation: &OperationDefinition, used: &UsedFragments<'_>) -> String {
    let definitions = &parsed.document.definitions;
    let operation_count =
        definitions.iter().filter(|definition| matches!(definition, Definition::OperationDefinition(_))).count();
    let is_needed = |definition: &Definition| match definition {
        Definition::FragmentDefinition(fragment) => used.contains_key(&fragment.name),
        _ => true,
    };
    if operation_count == 1 && definitions.len() == used.len() + 1 && definitions.iter().all(is_needed) {
        return parsed.file.text.clone();
    }
    let mut text = operation.to_string();
    for fragment in used.values() {
        text.push('\n');
        text.push_str(&fragment.to_string());
    }
    text
}
