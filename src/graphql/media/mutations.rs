//! Mutations of pictures.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::object::Media;
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    graphql::{
        context::{RequestContext, request_context},
        guard::RequirePermission,
        payload::payload,
    },
    identity::Permission,
    media::{
        UPLOADS_PATH, sweep,
        upload::{self, ExpectedUpload, NewUpload},
    },
    order::media_use::MediaUse,
};

/// Picture to upload.
#[derive(Debug, InputObject)]
pub struct MediaUploadCreateInput {
    /// Name of the file, for staff; a path before it is ignored.
    filename: String,
    /// Media type of the file, such as `image/jpeg`; checked here to fail early. What counts is the content.
    mime_type: Option<String>,
    /// Size of the file in bytes; checked here to fail early.
    size: Option<i32>,
}

/// Upload that is expected.
#[derive(Debug, SimpleObject)]
pub struct MediaUpload {
    /// URL to send the file to, as the body of a PUT request. It contains a secret, needs no token, and is valid for one
    /// file.
    upload_url: String,
    /// Time at which the URL expires.
    expires_at: DateTime<Utc>,
    /// Picture that gets the file.
    media: Media,
}

payload!(
    /// Payload of `mediaUploadCreate`.
    MediaUploadCreatePayload {
        /// Upload; null if nothing was created.
        media_upload: MediaUpload
    }
);

payload!(
    /// Payload of `mediaDelete`.
    MediaDeletePayload {
        /// ID of the deleted picture; null if nothing was deleted.
        deleted_id: ID
    }
);

impl MediaUpload {
    fn new(upload: ExpectedUpload, context: &RequestContext) -> Self {
        let public_url = &context.app_state.config.server.public_url;
        let upload_url = format!("{public_url}{UPLOADS_PATH}/{}", upload.secret.expose_secret());
        Self { upload_url, expires_at: upload.expires_at, media: upload.row.into() }
    }
}

/// Mutations of pictures.
#[derive(Debug, Default)]
pub struct MediaMutation;

#[Object]
impl MediaMutation {
    /// Creates a picture whose file is then sent to the returned URL: JPEG, PNG, WebP or GIF, of which the first frame is
    /// shown. With a token, `POST /media/uploads` does both in one request.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn media_upload_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Picture to upload.")] input: MediaUploadCreateInput,
    ) -> Result<Option<MediaUploadCreatePayload>> {
        let context = request_context(ctx);
        let MediaUploadCreateInput { filename, mime_type, size } = input;
        let new = NewUpload { filename, mime_type, size: size.map(i64::from) };
        let created = upload::create_upload(&context.db, &context.app_state.media, new).await;
        MediaUploadCreatePayload::from_result(created.map(|upload| MediaUpload::new(upload, context)))
    }

    /// Deletes a picture that nothing uses. Pictures that nothing has used for a while are deleted automatically.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn media_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the picture.")] id: ID,
    ) -> Result<Option<MediaDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let media_id = GlobalId::decode_as(&id, NodeType::Media, "id")?;
            context.db.write_with_retry(async |tx| sweep::delete_media(tx, media_id, &MediaUse).await).await?;
            Ok(id)
        };
        MediaDeletePayload::from_result(deleted.await)
    }
}
