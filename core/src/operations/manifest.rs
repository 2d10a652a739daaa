//! Manifests: the operations of a version of an app, in the formats that client tools write.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::{
    document_id::{MAX_DOCUMENT_ID_BYTES, canonical_document_id, expected_digest},
    entity::ManifestFormat,
    folder,
};
use crate::base::{Error, Result, Validator};

/// Maximum number of operations of a manifest.
pub const MAX_MANIFEST_OPERATIONS: usize = 5_000;
/// Maximum size of the file of a manifest, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// Value of `format` in manifests of Apollo's tools.
const APOLLO_FORMAT: &str = "apollo-persisted-query-manifest";
/// Maximum number of reported errors.
const MAX_REPORTED_ERRORS: usize = 100;

/// Manifest whose ids were checked. Its documents were not yet validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Format of the file.
    pub format: ManifestFormat,
    /// Operations in the order of the file, without repetitions.
    pub operations: Vec<ManifestOperation>,
}

/// Operation of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOperation {
    /// Id in its canonical form.
    pub document_id: String,
    /// Text of the document.
    pub text: String,
}

/// File of a folder of documents.
#[derive(Debug, Clone)]
pub struct DocumentFile {
    /// Path for messages.
    pub path: String,
    /// Content.
    pub text: String,
}

/// Members of a JSON object in their order, repeated names included, which a map would drop.
struct JsonMembers(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for JsonMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = JsonMembers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonMembers, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(JsonMembers(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Manifest of Apollo's tools.
#[derive(Debug, Deserialize)]
struct ApolloManifest {
    version: u32,
    operations: Vec<ApolloOperation>,
}

#[derive(Debug, Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

/// Parses a manifest of Apollo's tools, of Relay's compiler or of GraphQL Code Generator.
///
/// # Errors
/// Returns all errors: a text that is no manifest, an invalid id, two texts with one id, a digest that is not that of
/// its text.
pub fn parse_manifest(text: &str) -> Result<Manifest> {
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > MAX_MANIFEST_BYTES {
        return Err(invalid_manifest(&format!("it is larger than {MAX_MANIFEST_BYTES} bytes")));
    }
    let JsonMembers(members) = serde_json::from_str(text)
        .map_err(|error| invalid_manifest(&format!("it is not a JSON object of ids and documents: {error}")))?;
    if members.iter().any(|(name, value)| name == "format" && value == APOLLO_FORMAT) {
        let manifest: ApolloManifest =
            serde_json::from_str(text).map_err(|error| invalid_manifest(&format!("{APOLLO_FORMAT}: {error}")))?;
        if manifest.version != 1 {
            let message = format!("version {} of {APOLLO_FORMAT} is not supported, only 1", manifest.version);
            return Err(invalid_manifest(&message));
        }
        let operations = manifest.operations.into_iter();
        return check_manifest(
            ManifestFormat::Apollo,
            operations.map(|ApolloOperation { id, body }| (id, body)).collect(),
        );
    }
    let mut operations = Vec::with_capacity(members.len());
    for (document_id, value) in members {
        let Value::String(text) = value else {
            let message = format!(
                "\"{}\" is not a text: a manifest maps ids to documents, or has \"format\": \"{APOLLO_FORMAT}\"",
                shorten(&document_id)
            );
            return Err(invalid_manifest(&message));
        };
        operations.push((document_id, text));
    }
    check_manifest(ManifestFormat::Map, operations)
}

/// Builds the manifest of a folder of `.graphql` files. Each operation becomes a document with the fragments that it
/// uses, from any of the files; its id is the SHA-256 digest of that document.
///
/// # Errors
/// Returns all errors: files that are not GraphQL, missing fragments, and definitions with one name.
pub fn build_folder_manifest(files: &[DocumentFile]) -> Result<Manifest> {
    check_manifest(ManifestFormat::Folder, folder::collect_documents(files)?)
}

fn check_manifest(format: ManifestFormat, operations: Vec<(String, String)>) -> Result<Manifest> {
    if operations.is_empty() {
        return Err(invalid_manifest("it has no operations"));
    }
    if operations.len() > MAX_MANIFEST_OPERATIONS {
        let message = format!("it has {} operations; the limit is {MAX_MANIFEST_OPERATIONS}", operations.len());
        return Err(invalid_manifest(&message));
    }
    let mut validator = Validator::default();
    let mut scope = validator.at(MANIFEST_FIELD);
    let mut checked: Vec<ManifestOperation> = Vec::with_capacity(operations.len());
    let mut positions = std::collections::HashMap::new();
    let mut error_count = 0;
    for (given_id, text) in operations {
        if error_count == MAX_REPORTED_ERRORS {
            break;
        }
        let mut reject = |message: String| {
            error_count += 1;
            scope.reject("", message);
        };
        let shown_id = shorten(&given_id);
        let Some(document_id) = canonical_document_id(&given_id) else {
            let rule = format!("an id has 1 to {MAX_DOCUMENT_ID_BYTES} visible ASCII characters");
            reject(format!("\"{shown_id}\" is not an id: {rule}"));
            continue;
        };
        if let Some(position) = positions.get(&*document_id) {
            let existing: &ManifestOperation = &checked[*position];
            if existing.text != text {
                reject(format!("the id {shown_id} stands for two texts"));
            }
            continue;
        }
        if let Some((algorithm, digest)) = expected_digest(&document_id, &text)
            && digest != document_id.to_ascii_lowercase()
        {
            let reason = format!("the {algorithm} digest of its text is {digest}");
            reject(format!("the id {shown_id} does not match its text: {reason}"));
        }
        positions.insert(document_id.clone().into_owned(), checked.len());
        checked.push(ManifestOperation { document_id: document_id.into_owned(), text });
    }
    validator.finish()?;
    Ok(Manifest { format, operations: checked })
}

/// Path of the manifest in the input of the API.
pub const MANIFEST_FIELD: &str = "input.manifest";

fn invalid_manifest(reason: &str) -> Error {
    Error::bad_input(MANIFEST_FIELD, format!("this is not a manifest: {reason}"))
}

/// Returns the start of a text for a message.
fn shorten(text: &str) -> String {
    text.chars().take(MAX_DOCUMENT_ID_BYTES).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
