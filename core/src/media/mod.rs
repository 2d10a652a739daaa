//! Pictures: uploads by staff, their check, renditions, storage in a folder or bucket, and the deletion of unused ones.

pub mod entity;
pub mod token;
pub mod events;
pub mod storage;
pub mod picture;
pub mod processor;
pub mod receive;
pub mod library;
pub mod queries;
pub mod reference;
pub mod jobs;
pub mod upload;
pub mod sweep;
pub mod remote;
pub mod file_check;

pub use library::MediaLibrary;
pub use token::{MEDIA_PATH, MediaToken, UPLOADS_PATH, is_upload_path};
