//! Trusted documents: manifests of apps, their publication and retirement, and the index of published documents.

pub mod document_id;
pub mod entity;
mod folder;
pub mod index;
pub mod manifest;
pub mod publish;
pub mod queries;

pub use document_id::canonical_document_id;
pub use index::{DocumentLookup, OperationIndex};
pub use manifest::{Manifest, ManifestOperation};
pub use publish::{CheckedOperation, Publication, PublishOutcome, publish_version, retire_version};
pub use queries::{DocumentUse, load_document_text, record_uses};
