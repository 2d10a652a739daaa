//! Index of the published documents, by the ids and addresses of requests. Every instance has it in memory, so that a
//! request for an unknown document needs no statement.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sea_orm::ConnectionTrait;

use super::{
    document_id::canonical_document_id,
    entity::{operation_version, published_operation},
    queries::{self, IndexedDocument},
};
use crate::base::Result;

/// Result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentLookup {
    /// Primary key of a document of a version that is not retired.
    Found(i64),
    /// Only retired versions have the document.
    Retired,
    /// No version has it.
    Unknown,
}

/// Index of a revision.
#[derive(Debug, Default)]
pub struct OperationIndex {
    revision: i64,
    documents: HashMap<String, DocumentStatus>,
    apps: HashMap<String, AppOperations>,
}

/// Document of any version.
#[derive(Debug, Clone, Copy)]
struct DocumentStatus {
    key: i64,
    is_live: bool,
}

/// Versions of an app.
#[derive(Debug, Default)]
struct AppOperations {
    versions: HashMap<String, VersionOperations>,
    /// Documents of the newest version that has an operation with the name and is not retired.
    newest: HashMap<Arc<str>, i64>,
    live_documents: HashSet<i64>,
}

/// Operations of a version.
#[derive(Debug, Default)]
struct VersionOperations {
    is_retired: bool,
    by_name: HashMap<Arc<str>, i64>,
    documents: HashSet<i64>,
}

impl OperationIndex {
    /// Reads the index if it has changed since a revision. Statements: 1, or 4 if it has changed.
    pub async fn load_if_changed(db: &impl ConnectionTrait, known_revision: i64) -> Result<Option<Self>> {
        // The revision is read first: if it changes in between, the next call reads the index again.
        let revision = queries::load_revision(db).await?;
        if revision == known_revision {
            return Ok(None);
        }
        let versions = queries::load_versions(db).await?;
        let published = queries::load_published_operations(db).await?;
        let documents = queries::load_documents(db).await?;
        Ok(Some(Self::from_rows(revision, versions, &published, documents)))
    }

    fn from_rows(
        revision: i64,
        versions: Vec<operation_version::Model>,
        published: &[published_operation::Model],
        documents: Vec<IndexedDocument>,
    ) -> Self {
        let names: HashMap<i64, Arc<str>> =
            documents.iter().filter_map(|row| Some((row.id, row.operation_name.as_deref()?.into()))).collect();
        let mut document_keys: HashMap<i64, Vec<i64>> = HashMap::new();
        for row in published {
            document_keys.entry(row.version_id).or_default().push(row.trusted_document_id);
        }
        let mut apps: HashMap<String, AppOperations> = HashMap::new();
        let mut live_documents: HashSet<i64> = HashSet::new();
        // Oldest first: a newer version replaces the names of an older one.
        for version in versions {
            let app = apps.entry(version.app).or_default();
            let mut operations =
                VersionOperations { is_retired: version.retired_at.is_some(), ..VersionOperations::default() };
            for key in document_keys.remove(&version.id).unwrap_or_default() {
                operations.documents.insert(key);
                if let Some(name) = names.get(&key) {
                    operations.by_name.insert(Arc::clone(name), key);
                }
            }
            if !operations.is_retired {
                app.newest.extend(operations.by_name.iter().map(|(name, key)| (Arc::clone(name), *key)));
                app.live_documents.extend(&operations.documents);
                live_documents.extend(&operations.documents);
            }
            app.versions.insert(version.version, operations);
        }
        let to_entry = |row: IndexedDocument| {
            let is_live = live_documents.contains(&row.id);
            (row.document_id, DocumentStatus { key: row.id, is_live })
        };
        Self { revision, documents: documents.into_iter().map(to_entry).collect(), apps }
    }

    /// Returns the revision.
    #[must_use]
    pub const fn revision(&self) -> i64 {
        self.revision
    }

    /// Finds a document by the id that apps send.
    #[must_use]
    pub fn find_by_id(&self, document_id: &str) -> DocumentLookup {
        let document = canonical_document_id(document_id).and_then(|document_id| self.documents.get(&*document_id));
        document.map_or(DocumentLookup::Unknown, |DocumentStatus { key, is_live }| {
            if *is_live { DocumentLookup::Found(*key) } else { DocumentLookup::Retired }
        })
    }

    /// Finds a document of an app by the id that it sends or by the name of the operation: of one version, or without
    /// it, of the newest version that has the operation and is not retired.
    #[must_use]
    pub fn find_by_address(&self, app: &str, operation: &str, version: Option<&str>) -> DocumentLookup {
        let Some(app) = self.apps.get(app) else { return DocumentLookup::Unknown };
        let document = canonical_document_id(operation).and_then(|document_id| self.documents.get(&*document_id));
        let key_of_id = document.map(|document| document.key);
        if let Some(version) = version {
            let Some(operations) = app.versions.get(version) else { return DocumentLookup::Unknown };
            return match operations.find(operation, key_of_id) {
                Some(_) if operations.is_retired => DocumentLookup::Retired,
                Some(key) => DocumentLookup::Found(key),
                None => DocumentLookup::Unknown,
            };
        }
        let live_key = key_of_id.filter(|key| app.live_documents.contains(key));
        if let Some(key) = live_key.or_else(|| app.newest.get(operation).copied()) {
            return DocumentLookup::Found(key);
        }
        let is_retired = app.versions.values().any(|operations| operations.find(operation, key_of_id).is_some());
        if is_retired { DocumentLookup::Retired } else { DocumentLookup::Unknown }
    }
}

impl VersionOperations {
    fn find(&self, name: &str, key_of_id: Option<i64>) -> Option<i64> {
        key_of_id.filter(|key| self.documents.contains(key)).or_else(|| self.by_name.get(name).copied())
    }
}
