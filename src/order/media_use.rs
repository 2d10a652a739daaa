//! Which pictures of the shop are used: in the catalog and on the lines of orders.

use std::collections::HashSet;

use super::queries;
use crate::{base::Result, catalog, infra::Tx, media::sweep::FindUsedUrls};

/// Finds the pictures that products, variants, categories and order lines use.
#[derive(Debug, Clone, Copy, Default)]
pub struct MediaUse;

impl FindUsedUrls for MediaUse {
    /// Statements: 2.
    async fn find_used(&self, tx: &Tx, urls: &[String]) -> Result<HashSet<String>> {
        let mut used = catalog::queries::media_use::find_used_urls(tx, urls).await?;
        used.extend(queries::media_use::find_line_images(tx, urls).await?);
        Ok(used)
    }
}
