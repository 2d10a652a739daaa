//! Keys of cached responses.

use std::fmt;

use async_graphql::{Value, Variables};
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::base::digest::{Sha256Digest, to_hex};

/// SHA-256 of what identifies a response. A caller cannot construct a request with the key of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(Sha256Digest);

/// Hash of values, each with its kind and length, so that different sequences of values have different hashes.
struct KeyHasher(Context);

impl KeyHasher {
    fn new(kind: &str) -> Self {
        let mut hasher = Self(Context::new(&SHA256));
        hasher.add(b'k', kind.as_bytes());
        hasher
    }

    fn add(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update(&[kind]);
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(bytes);
    }

    fn add_count(&mut self, kind: u8, count: usize) {
        self.add(kind, &u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
    }

    /// Adds a value; the order of the fields of objects has no effect.
    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null => self.add(b'0', &[]),
            Value::Number(number) => self.add(b'n', number.to_string().as_bytes()),
            Value::String(text) => self.add(b's', text.as_bytes()),
            Value::Boolean(flag) => self.add(b'b', &[u8::from(*flag)]),
            Value::Binary(bytes) => self.add(b'y', bytes),
            Value::Enum(name) => self.add(b'e', name.as_bytes()),
            Value::List(items) => {
                self.add_count(b'l', items.len());
                for item in items {
                    self.add_value(item);
                }
            }
            Value::Object(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| *name);
                self.add_count(b'o', sorted.len());
                for (name, field) in sorted {
                    self.add(b'f', name.as_bytes());
                    self.add_value(field);
                }
            }
        }
    }

    fn finish(self) -> CacheKey {
        let mut key = [0; SHA256_OUTPUT_LEN];
        key.copy_from_slice(self.0.finish().as_ref());
        CacheKey(key)
    }
}

impl CacheKey {
    /// Returns the key of an operation of a document with coerced variables.
    #[must_use]
    pub fn of_operation(document_hash: &[u8], operation_name: Option<&str>, variables: &Variables) -> Self {
        let mut hasher = KeyHasher::new("operation");
        hasher.add(b'd', document_hash);
        hasher.add(b'n', operation_name.unwrap_or_default().as_bytes());
        let mut sorted: Vec<_> = variables.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in sorted {
            hasher.add(b'v', name.as_bytes());
            hasher.add_value(value);
        }
        hasher.finish()
    }

    /// Returns the key of a request as it was received: the path with its query string, and the body. A request by the id
    /// of a document depends on the revision of the published documents.
    #[must_use]
    pub fn of_received(document_revision: i64, target: &str, body: Option<&[u8]>) -> Self {
        let mut hasher = KeyHasher::new(if body.is_some() { "POST" } else { "GET" });
        hasher.add(b'r', &document_revision.to_le_bytes());
        hasher.add(b't', target.as_bytes());
        hasher.add(b'b', body.unwrap_or_default());
        hasher.finish()
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(variables: serde_json::Value) -> CacheKey {
        CacheKey::of_operation(b"document", Some("List"), &Variables::from_json(variables))
    }

    #[test]
    fn order_of_variables_and_fields_has_no_effect() {
        let one = key_of(serde_json::json!({ "a": { "x": 1, "y": [1, 2] }, "b": "c" }));
        assert_eq!(one, key_of(serde_json::json!({ "b": "c", "a": { "y": [1, 2], "x": 1 } })));
    }

    #[test]
    fn different_variables_have_different_keys() {
        let variables = [
            serde_json::json!({}),
            serde_json::json!({ "a": null }),
            serde_json::json!({ "a": 1 }),
            serde_json::json!({ "a": "1" }),
            serde_json::json!({ "a": [1] }),
            serde_json::json!({ "a": [[1]] }),
            serde_json::json!({ "a": [1, 2] }),
            serde_json::json!({ "a": [2, 1] }),
            serde_json::json!({ "a": { "b": 1 } }),
            serde_json::json!({ "a": {}, "b": 1 }),
            serde_json::json!({ "a": "b", "c": "d" }),
            serde_json::json!({ "a": "bc", "d": "" }),
        ];
        let keys: std::collections::HashSet<CacheKey> = variables.iter().cloned().map(key_of).collect();
        assert_eq!(keys.len(), variables.len());
    }

    #[test]
    fn received_requests_differ_by_method_target_and_body() {
        let keys = [
            CacheKey::of_received(1, "/graphql", None),
            CacheKey::of_received(1, "/graphql", Some(b"")),
            CacheKey::of_received(1, "/graphql", Some(b"{}")),
            CacheKey::of_received(1, "/graphql?a", None),
            CacheKey::of_received(2, "/graphql", None),
        ];
        assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), keys.len());
    }
}
