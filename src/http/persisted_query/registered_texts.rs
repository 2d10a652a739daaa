//! Texts that clients registered under their digest: in process, and in Redis where there is one.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;

use crate::{
    infra::{Config, RedisClient},
    operations::document_id::sha256_hex,
};

/// Estimated memory of a cached text in addition to its length: the digest and the entry, in bytes.
const ENTRY_BYTES: usize = 192;
/// How long Redis has a text after it was registered. Clients register it again afterwards.
const SHARED_LIFETIME: Duration = Duration::from_hours(24);
/// Prefix of the keys in Redis.
const KEY_PREFIX: &str = "persisted-query:";

/// Texts that clients registered under their digest. Only valid documents are registered.
pub struct RegisteredTexts {
    texts: Cache<String, Arc<str>>,
    redis: RedisClient,
    max_text_bytes: usize,
    /// Whether clients may register texts.
    pub is_enabled: bool,
}

impl std::fmt::Debug for RegisteredTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredTexts").field("is_enabled", &self.is_enabled).finish_non_exhaustive()
    }
}

impl RegisteredTexts {
    /// Creates an empty cache of the configured size.
    #[must_use]
    pub fn new(config: &Config, redis: RedisClient) -> Self {
        let config = &config.graphql;
        let weigh = |_: &String, text: &Arc<str>| u32::try_from(text.len() + ENTRY_BYTES).unwrap_or(u32::MAX);
        let texts = Cache::builder().max_capacity(config.persisted_query_cache_size).weigher(weigh).build();
        let max_text_bytes = config.max_document_bytes;
        Self { texts, redis, max_text_bytes, is_enabled: config.automatic_persisted_queries }
    }

    /// Returns the text of a digest. What Redis has under another digest, or too long, is unknown, as is everything
    /// while it is unavailable.
    pub(super) async fn find(&self, digest: &str) -> Option<Arc<str>> {
        if let Some(text) = self.texts.get(digest) {
            return Some(text);
        }
        let bytes = self.redis.get(&format!("{KEY_PREFIX}{digest}")).await.ok()??;
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= self.max_text_bytes)?;
        if sha256_hex(&text) != digest {
            return None;
        }
        let text: Arc<str> = text.into();
        self.texts.insert(digest.to_owned(), Arc::clone(&text));
        Some(text)
    }

    /// Registers the text of a valid document.
    pub(super) async fn register(&self, digest: String, text: Arc<str>) {
        if self.texts.contains_key(&digest) {
            return;
        }
        // Without Redis the text is known to this instance only; the client registers it with the others.
        let _ = self.redis.set(&format!("{KEY_PREFIX}{digest}"), text.as_bytes(), SHARED_LIFETIME).await;
        self.texts.insert(digest, text);
    }
}
