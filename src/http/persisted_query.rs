//! Documents of requests: as text, by a registered digest (automatic persisted queries), or published (trusted
//! documents).

mod registered_texts;

use std::sync::Arc;

use async_graphql::{ServerError, parser::types::OperationType};
use axum::http::{Method, StatusCode};
use serde::Deserialize;

use super::{
    App, document_uses::DocumentUseCounter, graphql_execution::validate_method, graphql_request::RequestError,
    trusted_documents::TrustedDocument,
};
use crate::{
    base::error::PublicErrorCode,
    graphql::{error::ErrorStage, execution::document::ValidDocument},
    identity::Caller,
    infra::config::FreeFormDocuments,
    operations::{
        DocumentLookup,
        document_id::{is_sha256_hex, sha256_hex},
    },
};

pub use registered_texts::RegisteredTexts;

/// How a request names its document.
#[derive(Debug, Clone)]
pub enum DocumentReference {
    /// Text of the document. With a digest it is registered for requests without the text.
    Text {
        /// Text.
        text: String,
        /// SHA-256 digest that the client computed.
        digest: Option<String>,
    },
    /// SHA-256 digest of a registered text or of a published document.
    Digest(String),
    /// Id of a published document.
    Id(String),
    /// Address of an operation of an app.
    Address(OperationAddress),
    /// Document of the program itself, for the REST endpoints: always allowed.
    Stored(ProgramDocument),
}

/// Document of the program, parsed once.
#[derive(Debug, Clone)]
pub struct ProgramDocument {
    /// Name of its operation.
    pub operation: &'static str,
    /// Parsed and validated document.
    pub document: Arc<ValidDocument>,
}

/// Address of a published operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationAddress {
    /// Name of the app.
    pub app: String,
    /// Name of the operation, or id of its document.
    pub operation: String,
    /// Version of the app; `None` for the newest one that has the operation and is not retired.
    pub version: Option<String>,
}

/// Apollo's extension of requests.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQueryExtension {
    version: i64,
    sha256_hash: String,
}

/// Parts of a request that name its document.
#[derive(Debug, Default)]
pub struct DocumentParameters {
    /// `query`
    pub query: Option<String>,
    /// `documentId`, or `doc_id` of Relay.
    pub document_id: Option<String>,
    /// `extensions.persistedQuery`
    pub persisted_query: Option<serde_json::Value>,
}

impl DocumentReference {
    /// Reads how a request names its document; `None` if it does not.
    ///
    /// # Errors
    /// Returns an error if it names two documents, or if Apollo's extension is invalid.
    pub fn from_parameters(parameters: DocumentParameters) -> Result<Option<Self>, RequestError> {
        let DocumentParameters { query, document_id, persisted_query } = parameters;
        // Apollo Client sends an empty text with some settings.
        let query = query.filter(|text| !text.is_empty() || persisted_query.is_none());
        if let Some(document_id) = document_id {
            if query.is_some() || persisted_query.is_some() {
                return Err(bad_request("Send either `documentId` or a document, not both.".into()));
            }
            return Ok(Some(Self::Id(document_id)));
        }
        let Some(persisted_query) = persisted_query else {
            return Ok(query.map(|text| Self::Text { text, digest: None }));
        };
        let PersistedQueryExtension { version, sha256_hash } = serde_json::from_value(persisted_query)
            .map_err(|error| bad_request(format!("`extensions.persistedQuery` is invalid: {error}.")))?;
        if version != 1 {
            return Err(bad_request(format!("Version {version} of `persistedQuery` is not supported, only 1.")));
        }
        if !is_sha256_hex(&sha256_hash) {
            return Err(bad_request("`sha256Hash` must be a SHA-256 digest in 64 hexadecimal digits.".into()));
        }
        let digest = sha256_hash.to_ascii_lowercase();
        Ok(Some(match query {
            Some(text) => Self::Text { text, digest: Some(digest) },
            None => Self::Digest(digest),
        }))
    }

    /// Returns the content that identifies the document, for comparisons of requests.
    #[must_use]
    pub fn content(&self) -> &str {
        match self {
            Self::Text { text, .. } => text,
            Self::Digest(document_id) | Self::Id(document_id) => document_id,
            Self::Address(address) => &address.operation,
            Self::Stored(stored) => stored.operation,
        }
    }
}

/// Document of a request.
pub struct ResolvedDocument {
    /// Parsed and validated document.
    pub document: Arc<ValidDocument>,
    /// Counter of the uses of the document, if it is published.
    pub use_counter: Option<Arc<DocumentUseCounter>>,
}

impl From<Arc<ValidDocument>> for ResolvedDocument {
    fn from(document: Arc<ValidDocument>) -> Self {
        Self { document, use_counter: None }
    }
}

/// Returns the document of a request, parsed and validated.
///
/// # Errors
/// Returns an error if the document is unknown, retired or invalid, or the caller may not send it.
pub async fn resolve_document(
    app: &App,
    request: DocumentRequest<'_>,
    reference: DocumentReference,
) -> Result<ResolvedDocument, RequestError> {
    match reference {
        DocumentReference::Stored(ProgramDocument { document, .. }) => Ok(document.into()),
        DocumentReference::Text { text, digest: None } => {
            check_free_form(app, request.caller)?;
            parse_text(app, request, text).await
        }
        DocumentReference::Text { text, digest: Some(digest) } => register_text(app, request, text, digest).await,
        DocumentReference::Digest(digest) => {
            let lookup = app.trusted_documents.find(app, |index| index.find_by_id(&digest)).await?;
            if lookup != DocumentLookup::Unknown {
                return load_trusted(app, lookup).await;
            }
            if !app.persisted_queries.is_enabled {
                let message = "Automatic persisted queries are disabled: send the document.";
                return Err(rejection(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_SUPPORTED", message));
            }
            let is_allowed = may_send_free_form(app, request.caller);
            let text = if is_allowed { app.persisted_queries.find(&digest).await } else { None };
            // The message that Apollo's clients expect.
            let not_found =
                || rejection(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound");
            parse_text(app, request, text.ok_or_else(not_found)?.to_string()).await
        }
        DocumentReference::Id(document_id) => {
            let lookup = app.trusted_documents.find(app, |index| index.find_by_id(&document_id)).await?;
            load_trusted(app, lookup).await
        }
        DocumentReference::Address(OperationAddress { app: app_name, operation, version }) => {
            let find = |index: &crate::operations::OperationIndex| {
                index.find_by_address(&app_name, &operation, version.as_deref())
            };
            let lookup = app.trusted_documents.find(app, find).await?;
            load_trusted(app, lookup).await.map_err(|error| match lookup {
                DocumentLookup::Unknown => RequestError { status: StatusCode::NOT_FOUND, ..error },
                DocumentLookup::Retired => RequestError { status: StatusCode::GONE, ..error },
                DocumentLookup::Found(_) => error,
            })
        }
    }
}

/// Parts of a request that decide whether its document is executed.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRequest<'a> {
    /// HTTP method.
    pub method: &'a Method,
    /// Name of the operation to execute.
    pub operation_name: Option<&'a str>,
    /// Caller.
    pub caller: &'a Caller,
}

/// Returns the document of a text with its digest, and registers the text if it is a valid document.
async fn register_text(
    app: &App,
    request: DocumentRequest<'_>,
    text: String,
    digest: String,
) -> Result<ResolvedDocument, RequestError> {
    if sha256_hex(&text) != digest {
        let message = "`sha256Hash` is not the SHA-256 digest of `query`.";
        return Err(rejection(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_HASH_MISMATCH", message));
    }
    if !may_send_free_form(app, request.caller) {
        let lookup = app.trusted_documents.find(app, |index| index.find_by_id(&digest)).await?;
        check_free_form(app, request.caller).or_else(|error| match lookup {
            DocumentLookup::Unknown => Err(error),
            _ => Ok(()),
        })?;
        return load_trusted(app, lookup).await;
    }
    let registered_text = app.persisted_queries.is_enabled.then(|| Arc::from(text.as_str()));
    let document = parse_text(app, request, text).await?;
    if let Some(registered_text) = registered_text {
        app.persisted_queries.register(digest, registered_text).await;
    }
    Ok(document)
}

async fn parse_text(app: &App, request: DocumentRequest<'_>, text: String) -> Result<ResolvedDocument, RequestError> {
    let parsed = app.document_cache.get_or_parse(text, &app.state.config.graphql).await;
    parsed.map(ResolvedDocument::from).map_err(|error| {
        let name = request.operation_name;
        let is_selected =
            |candidate: &&(Option<String>, OperationType)| name.is_none() || candidate.0.as_deref() == name;
        let is_read_only = error
            .operations
            .iter()
            .filter(is_selected)
            .all(|(_, operation_type)| *operation_type != OperationType::Mutation);
        validate_method(request.method, is_read_only).err().unwrap_or_else(|| error.into())
    })
}

async fn load_trusted(app: &App, lookup: DocumentLookup) -> Result<ResolvedDocument, RequestError> {
    match lookup {
        DocumentLookup::Unknown => {
            let message = "No document with this id is published.";
            Err(rejection(StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_FOUND", message))
        }
        DocumentLookup::Retired => {
            let message = "The versions of the app that have this operation are retired: update the app.";
            Err(rejection(StatusCode::BAD_REQUEST, "OPERATION_RETIRED", message))
        }
        DocumentLookup::Found(key) => match app.trusted_documents.load(app, key).await? {
            TrustedDocument::Valid(document, use_counter) => {
                use_counter.count_use(app.state.db.now());
                Ok(ResolvedDocument { document, use_counter: Some(use_counter) })
            }
            TrustedDocument::Outdated(errors) => {
                let mut errors = errors.to_vec();
                for error in &mut errors {
                    error.extensions.get_or_insert_default().set("code", "OPERATION_OUTDATED");
                }
                Err(RequestError { status: StatusCode::BAD_REQUEST, stage: ErrorStage::Validate, errors })
            }
        },
    }
}

/// Returns whether a caller may send documents that are not published.
fn may_send_free_form(app: &App, caller: &Caller) -> bool {
    match app.state.config.graphql.free_form_documents {
        FreeFormDocuments::Everyone => true,
        FreeFormDocuments::Staff => caller.has_permissions(),
        FreeFormDocuments::Forbidden => false,
    }
}

fn check_free_form(app: &App, caller: &Caller) -> Result<(), RequestError> {
    if may_send_free_form(app, caller) {
        return Ok(());
    }
    let allowed = match app.state.config.graphql.free_form_documents {
        FreeFormDocuments::Staff => "by callers without a permission only published operations",
        _ => "only published operations",
    };
    let message = format!("This server executes {allowed}: send `documentId` instead of `query`.");
    Err(rejection(StatusCode::FORBIDDEN, "FREE_FORM_DOCUMENT_FORBIDDEN", &message))
}

fn rejection(status: StatusCode, code: &str, message: &str) -> RequestError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    RequestError { status, stage: ErrorStage::Validate, errors: vec![error] }
}

fn bad_request(message: String) -> RequestError {
    RequestError::from_http(StatusCode::BAD_REQUEST, message)
}

/// Logs why the database cannot be read, and returns the error for the client.
pub(super) fn log_unavailable(error: &crate::base::Error) -> RequestError {
    tracing::error!(error = error.log_message(), "the trusted documents could not be read");
    unavailable()
}

/// Returns the error for a database that cannot be read.
pub(super) fn unavailable() -> RequestError {
    let message = "The document cannot be read at the moment. Try again.";
    rejection(StatusCode::SERVICE_UNAVAILABLE, PublicErrorCode::Unavailable.as_str(), message)
}
