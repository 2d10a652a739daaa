//! References to pictures in products and categories: their URL. Who stores one locks the picture first, so that it is
//! not deleted at the same time.

use std::collections::HashMap;

use super::{
    MEDIA_PATH, MediaToken,
    entity::{MediaStatus, media},
    queries,
};
use crate::{base::Result, infra::Tx};

/// References in an input.
#[derive(Debug, Clone, Default)]
pub struct MediaReferences {
    ids: Vec<i64>,
    tokens: Vec<String>,
}

impl MediaReferences {
    /// Adds a reference by id or URL.
    pub fn add(&mut self, media_id: Option<i64>, url: &str) {
        self.ids.extend(media_id);
        self.tokens.extend(MediaToken::find_in_url(url).map(|token| token.to_string()));
    }

    /// Locks the referenced pictures until the transaction ends. Statements: 1, none without references.
    pub async fn lock(mut self, tx: &Tx) -> Result<LockedMedia> {
        if self.ids.is_empty() && self.tokens.is_empty() {
            return Ok(LockedMedia::default());
        }
        self.ids.sort_unstable();
        self.ids.dedup();
        self.tokens.sort_unstable();
        self.tokens.dedup();
        let rows = queries::lock_shared(tx, &self.ids, &self.tokens).await?;
        Ok(LockedMedia { rows: rows.into_iter().map(|row| (row.id, row)).collect() })
    }
}

/// Locked pictures.
#[derive(Debug, Clone, Default)]
pub struct LockedMedia {
    rows: HashMap<i64, media::Model>,
}

impl LockedMedia {
    /// Returns the URL of a picture by its id.
    ///
    /// # Errors
    /// Returns the reason why it cannot be used.
    pub fn url_by_id(&self, media_id: i64) -> std::result::Result<String, &'static str> {
        usable_url(self.rows.get(&media_id))
    }

    /// Returns the URL to store for a URL in an input: others than those of own pictures are unchanged.
    ///
    /// # Errors
    /// Returns the reason why the picture cannot be used.
    pub fn checked_url(&self, url: &str) -> std::result::Result<String, &'static str> {
        let Some(token) = MediaToken::find_in_url(url) else { return Ok(url.to_owned()) };
        let token = token.to_string();
        match self.rows.values().find(|row| row.token == token) {
            None if !url.starts_with(MEDIA_PATH) => Ok(url.to_owned()),
            row => usable_url(row),
        }
    }
}

fn usable_url(row: Option<&media::Model>) -> std::result::Result<String, &'static str> {
    let row = row.ok_or("there is no such picture: upload it first")?;
    match row.status {
        MediaStatus::Pending => Err("the picture has not arrived yet: send its file first"),
        MediaStatus::Failed => Err("the picture could not be processed: upload another"),
        MediaStatus::Processing | MediaStatus::Ready => row.url().ok_or("the picture has no file"),
    }
}
