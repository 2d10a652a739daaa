//! Uploads of pictures: `PUT /media/uploads/{secret}` with the file as the body, for the URL of `mediaUploadCreate`, and
//! `POST /media/uploads` with a form (`multipart/form-data`) and a token.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, FromRequest, Multipart, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::json;

use super::{App, authentication, rate_limit, request_id::RequestId, rest_response, url_parameters::PathParameters};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType},
    identity::Permission,
    infra::{Actor, Db},
    media::{
        entity::media,
        receive::{ReceiveError, ReceivedFile, receive_file},
        upload::{self, UploadTarget},
    },
};

/// Name of the field of the form that contains the file.
const FILE_FIELD: &str = "file";
/// Maximum number of other fields before the file.
const MAX_OTHER_FIELDS: usize = 8;
/// Size of the form beside its file in bytes.
const MAX_FORM_OVERHEAD: u64 = 16 * 1024;

/// The reason why an upload is rejected.
#[derive(Debug)]
enum UploadError {
    TooLarge(u64),
    Other(Error),
}

impl From<Error> for UploadError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<ReceiveError> for UploadError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::TooLarge(max_bytes) => Self::TooLarge(max_bytes),
            ReceiveError::Interrupted(_) => {
                Self::Other(Error::bad_input(FILE_FIELD, "the upload broke off: send the file again"))
            }
            ReceiveError::Internal(error) => Self::Other(error),
        }
    }
}

/// Receives the file of an upload that was created before. The secret in the URL is the permission.
pub async fn handle_upload(
    State(app): State<Arc<App>>,
    PathParameters(secret): PathParameters<String>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let address = authentication::client_address(&app, &headers, peer);
    let received = async {
        rate_limit::charge_rest_request(&app, &address).await?;
        let db = app.state.request_db(Actor::System, &request_id);
        let pending = upload::find_expected_upload(&db, &secret).await?;
        let permit = app.state.media.begin_upload()?;
        let max_bytes = app.state.media.config.max_upload_bytes;
        check_declared_length(&headers, max_bytes, 0)?;
        let file = receive_file(body.into_data_stream(), max_bytes).await?;
        let row = accept(&app, db, UploadTarget::Pending(pending.id), file).await;
        drop(permit);
        row
    };
    respond(&request_id, received.await)
}

/// Receives a file in a form. The token must have the permission to change the catalog.
pub async fn handle_multipart_upload(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Response {
    let info = match authentication::authenticate_request(&app, request.headers(), peer, &request_id).await {
        Ok(info) => info,
        Err(failure) => return rest_response::authentication_error_response(&request_id, &failure),
    };
    let received = async {
        info.caller.require_permission(Permission::CatalogWrite)?;
        rate_limit::charge_caller(&app, info.caller, &info.client_info.ip_address).await?;
        let permit = app.state.media.begin_upload()?;
        let max_bytes = app.state.media.config.max_upload_bytes;
        check_declared_length(request.headers(), max_bytes, MAX_FORM_OVERHEAD)?;
        let db = app.state.request_db(info.caller.actor(), &request_id);
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|_| Error::bad_input("", "the body is not a form: send multipart/form-data"))?;
        let (filename, file) = receive_form(form, max_bytes).await?;
        let row = accept(&app, db, UploadTarget::New(filename), file).await;
        drop(permit);
        row
    };
    respond(&request_id, received.await)
}

/// Rejects a body that says to be too large before it is sent.
fn check_declared_length(headers: &HeaderMap, max_bytes: u64, overhead: u64) -> Result<(), UploadError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared: Option<u64> = declared.and_then(|value| value.parse().ok());
    match declared {
        Some(declared) if declared > max_bytes.saturating_add(overhead) => Err(UploadError::TooLarge(max_bytes)),
        _ => Ok(()),
    }
}

/// Receives the file of a form, and its name.
async fn receive_form(mut form: Multipart, max_bytes: u64) -> Result<(String, ReceivedFile), UploadError> {
    let broken = |_| Error::bad_input(FILE_FIELD, "the form is malformed or broke off: send it again");
    for _ in 0..=MAX_OTHER_FIELDS {
        let Some(field) = form.next_field().await.map_err(broken)? else { break };
        if field.name() != Some(FILE_FIELD) {
            // Its content is skipped when the next field is read, and counts as a part of the file.
            receive_file(field, MAX_FORM_OVERHEAD).await?;
            continue;
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let file = receive_file(field, max_bytes).await?;
        // The form must be complete, too.
        while form.next_field().await.map_err(broken)?.is_some() {}
        return Ok((filename, file));
    }
    Err(Error::bad_input(FILE_FIELD, "the form has no field `file` with the picture").into())
}

/// Checks and stores a file, in a task of its own, which ends if the client does not wait.
async fn accept(app: &App, db: Db, target: UploadTarget, file: ReceivedFile) -> Result<media::Model, UploadError> {
    if file.size == 0 {
        return Err(Error::bad_input(FILE_FIELD, "the file is empty").into());
    }
    let library = app.state.media.clone();
    let task = tokio::spawn(async move { upload::accept_file(&db, &library, &target, file).await });
    let outcome = task.await.map_err(|error| Error::internal("storing an upload", error))?;
    Ok(outcome?)
}

fn respond(request_id: &str, outcome: Result<media::Model, UploadError>) -> Response {
    match outcome {
        Ok(row) => {
            let id = GlobalId::new(NodeType::Media, row.id).encode();
            let picture = json!({
                "id": id, "url": row.url(), "width": row.width, "height": row.height, "placeholder": row.placeholder,
                "status": "PROCESSING",
            });
            rest_response::data_response(StatusCode::CREATED, request_id, &picture)
        }
        Err(UploadError::TooLarge(max_bytes)) => {
            let message = format!("A picture has at most {max_bytes} bytes.");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            rest_response::error_response(status, request_id, "PAYLOAD_TOO_LARGE", &message)
        }
        Err(UploadError::Other(error)) => {
            let public = error.to_public_error();
            let is_about_file = public.code == PublicErrorCode::BadUserInput && public.field == [FILE_FIELD];
            if is_about_file {
                let (status, code) = (StatusCode::UNPROCESSABLE_ENTITY, public.code.as_str());
                return rest_response::error_response(status, request_id, code, &public.message);
            }
            rest_response::error_to_response(request_id, &error)
        }
    }
}
