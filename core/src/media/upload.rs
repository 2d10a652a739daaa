//! Uploads by staff: a URL for one upload, and the receipt of a file.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel, NotSet};
use secrecy::SecretString;
use serde_json::json;

use super::{
    MediaLibrary, MediaToken,
    entity::{MediaStatus, media},
    jobs::RenderMedia,
    library::original_key,
    picture::{CheckedPicture, PictureError, check_picture},
    queries,
    receive::ReceivedFile,
};
use crate::{
    base::{
        Error, Result, Validator, digest::sha256_bytes, error::PublicErrorCode, global_id::NodeType,
        text::to_single_line,
    },
    identity::random_token::generate_token,
    infra::{AuditRecord, Db, Tx},
};

/// Maximum length of a file name in characters.
const MAX_FILENAME_LENGTH: usize = 200;
/// Name of a file without one.
const DEFAULT_FILENAME: &str = "picture";
/// Media types that are read.
const ACCEPTED_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// A file that will be uploaded.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Name, for staff only.
    pub filename: String,
    /// Declared media type.
    pub mime_type: Option<String>,
    /// Declared size in bytes.
    pub size: Option<i64>,
}

/// An upload that is expected.
#[derive(Debug)]
pub struct ExpectedUpload {
    /// Row of the picture.
    pub row: media::Model,
    /// Secret of the upload's URL.
    pub secret: SecretString,
    /// When the URL expires.
    pub expires_at: DateTime<Utc>,
}

/// What a received file belongs to.
#[derive(Debug, Clone)]
pub enum UploadTarget {
    /// A picture that has no file yet.
    Pending(i64),
    /// A new one with this file name.
    New(String),
}

/// Returns the last part of a file name or path, without control characters. Names are shown to staff and never used as
/// paths.
#[must_use]
pub fn clean_filename(name: &str) -> String {
    let last_part = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let cleaned = to_single_line(last_part, MAX_FILENAME_LENGTH);
    let cleaned = cleaned.trim().trim_matches('.');
    if cleaned.is_empty() { DEFAULT_FILENAME.to_owned() } else { cleaned.to_owned() }
}

/// Registers an upload; its file is sent to a URL with the secret. Statements: 2, and the transaction.
///
/// # Errors
/// Returns all user errors of the input.
pub async fn create_upload(db: &Db, library: &MediaLibrary, upload: NewUpload) -> Result<ExpectedUpload> {
    let NewUpload { filename, mime_type, size } = upload;
    let mut validator = Validator::default();
    let mut scope = validator.at("input");
    if filename.trim().is_empty() {
        scope.reject("filename", "a picture needs a file name");
    }
    if let Some(mime_type) = mime_type.filter(|mime_type| !ACCEPTED_TYPES.contains(&mime_type.as_str())) {
        let shown = to_single_line(&mime_type, 100);
        scope.reject("mimeType", format!("`{shown}` is not accepted: send one of {}", ACCEPTED_TYPES.join(", ")));
    }
    let max_bytes = library.config.max_upload_bytes;
    match size.map(u64::try_from) {
        None => {}
        Some(Ok(size)) if (1..=max_bytes).contains(&size) => {}
        Some(_) => scope.reject("size", format!("a picture has 1 to {max_bytes} bytes")),
    }
    validator.finish()?;
    let secret = generate_token()?;
    let token = MediaToken::generate()?.to_string();
    let expires_at = db.now() + library.config.upload_ttl;
    let row = db
        .write_with_retry(async |tx| {
            let row = media::ActiveModel {
                filename: Set(clean_filename(&filename)),
                upload_digest: Set(Some(sha256_bytes(&secret).to_vec())),
                upload_expires_at: Set(Some(expires_at)),
                ..new_row(tx, token.clone())
            };
            let row = row.insert(tx).await?;
            record_creation(tx, &row).await?;
            Ok(row)
        })
        .await?;
    Ok(ExpectedUpload { row, secret: SecretString::from(secret), expires_at })
}

/// Returns the row of a new picture without a file.
pub(super) fn new_row(tx: &Tx, token: String) -> media::ActiveModel {
    media::ActiveModel {
        id: NotSet,
        token: Set(token),
        filename: Set(DEFAULT_FILENAME.to_owned()),
        status: Set(MediaStatus::Pending),
        renditions: Set(json!([])),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    }
}

async fn record_creation(tx: &Tx, row: &media::Model) -> Result<()> {
    let fields = json!({ "filename": row.filename, "byteSize": row.byte_size, "sha256": row.sha256 });
    tx.record_audit(&[AuditRecord::created("media.create", (NodeType::Media, row.id), &fields)]).await
}

/// Returns the picture that an upload with this secret belongs to. Statements: 1.
///
/// # Errors
/// Returns `NotFound` if there is none, its file has arrived, or its URL has expired.
pub async fn find_expected_upload(db: &Db, secret: &str) -> Result<media::Model> {
    let row = queries::find_upload(db, &sha256_bytes(secret), db.now()).await?;
    row.ok_or_else(|| {
        let message = "this upload does not exist, has its file, or has expired: create another (mediaUploadCreate)";
        Error::user(PublicErrorCode::NotFound, "", message)
    })
}

/// Checks a received file and stores it; a job makes its renditions. Nothing is visible before the check, and nothing
/// remains of a file that fails it. Statements: 4 at most.
///
/// # Errors
/// Returns a user error of the field `file` if it is not a picture that the shop takes.
pub async fn accept_file(
    db: &Db,
    library: &MediaLibrary,
    target: &UploadTarget,
    received: ReceivedFile,
) -> Result<media::Model> {
    let ReceivedFile { file, size, sha256 } = received;
    let rules = library.rules();
    let checking = library.processor.run(move || {
        let outcome = check_picture(&file, &rules);
        (file, outcome)
    });
    let (file, outcome) = checking.await?;
    let picture = outcome.map_err(|error| match error {
        PictureError::Rejected(reason) => Error::bad_input("file", reason),
        PictureError::Io(error) => Error::internal("reading an upload", error),
    })?;
    // A name of its own, so that the loser of two uploads at the same time deletes only its own file.
    let original = original_key(MediaToken::generate()?);
    library.storage.put_file(&original, file).await?;
    let file = CheckedFile { original: original.clone(), size, sha256, picture };
    let stored = db.write_with_retry(async |tx| store_file(tx, target, &file).await).await;
    if stored.is_err()
        && let Err(error) = library.storage.delete(&original).await
    {
        // The sweep of files deletes it later.
        tracing::warn!(error = error.log_message(), "the file of a failed upload was not deleted");
    }
    stored
}

/// A stored file that passed the check.
struct CheckedFile {
    original: String,
    size: u64,
    sha256: String,
    picture: CheckedPicture,
}

async fn store_file(tx: &Tx, target: &UploadTarget, file: &CheckedFile) -> Result<media::Model> {
    let mut changes = match target {
        UploadTarget::New(filename) => media::ActiveModel {
            filename: Set(clean_filename(filename)),
            ..new_row(tx, MediaToken::generate()?.to_string())
        },
        UploadTarget::Pending(media_id) => {
            let row = queries::lock_media(tx, *media_id).await?.ok_or_else(|| Error::not_found("", "upload"))?;
            if row.status != MediaStatus::Pending {
                let message = "this upload has its file already: create another (mediaUploadCreate)";
                return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
            }
            row.into_active_model()
        }
    };
    let CheckedFile { original, size, sha256, picture } = file;
    let too_large = |_| Error::internal("storing a picture", "a number is out of range");
    changes.status = Set(MediaStatus::Processing);
    changes.upload_digest = Set(None);
    changes.upload_expires_at = Set(None);
    changes.original = Set(Some(original.clone()));
    changes.byte_size = Set(Some(i64::try_from(*size).map_err(too_large)?));
    changes.sha256 = Set(Some(sha256.clone()));
    changes.format = Set(Some(picture.format));
    changes.fallback_format = Set(Some(picture.fallback_format));
    changes.width = Set(Some(i32::try_from(picture.width).map_err(too_large)?));
    changes.height = Set(Some(i32::try_from(picture.height).map_err(too_large)?));
    changes.placeholder = Set(Some(picture.placeholder.clone()));
    changes.updated_at = Set(tx.now());
    let row = match target {
        UploadTarget::New(_) => {
            let row = changes.insert(tx).await?;
            record_creation(tx, &row).await?;
            row
        }
        UploadTarget::Pending(_) => changes.update(tx).await?,
    };
    tx.enqueue_job(RenderMedia { media_id: row.id }).await?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_never_paths() {
        assert_eq!(clean_filename("mug.jpg"), "mug.jpg");
        assert_eq!(clean_filename("../../etc/passwd"), "passwd");
        assert_eq!(clean_filename("C:\\pictures\\mug.jpg"), "mug.jpg");
        assert!(!clean_filename("mug\0\n.jpg").contains(['\0', '\n']));
        for name in ["", "/", "..", "a/..", "  "] {
            assert_eq!(clean_filename(name), DEFAULT_FILENAME, "{name}");
        }
        assert_eq!(clean_filename(&"x".repeat(1000)).chars().count(), MAX_FILENAME_LENGTH);
    }
}
