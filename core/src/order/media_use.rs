//! Which pictures of the shop are used: in the catalog and on the lines of orders.

use std::collections::HashSet;

use super::queries;
use crate::{
    base::Result,
    catalog::{
        self,
        queries::media_use::{RemoteImageUse, find_remote_image_use},
    },
    infra::{Db, Tx},
    media::sweep::ImageUse,
};

/// Finds the pictures that products, variants, categories and order lines use.
#[derive(Debug, Clone, Copy, Default)]
pub struct MediaUse;

impl ImageUse for MediaUse {
    /// Statements: 2.
    async fn find_used(&self, tx: &Tx, urls: &[String]) -> Result<HashSet<String>> {
        let mut used = catalog::queries::media_use::find_used_urls(tx, urls).await?;
        used.extend(queries::media_use::find_line_images(tx, urls).await?);
        Ok(used)
    }

    /// Statements: 1.
    async fn shows_remote(&self, db: &Db, url: &str) -> Result<bool> {
        Ok(find_remote_image_use(db, url).await? != RemoteImageUse::default())
    }

    /// Order lines keep the address that the product had when it was ordered.
    async fn replace_remote(&self, tx: &Tx, from: &str, to: &str) -> Result<()> {
        catalog::image_copy::replace_image(tx, from, to).await
    }
}
