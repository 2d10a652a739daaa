//! Cache that instances share through Redis.
//!
//! A value carries the position of the event feed that its instance had applied before it computed it, and the slots of
//! its tags. A reader that knows a later event of one of the slots does not use it. So nothing in Redis has to be
//! deleted or counted, and Redis may lose, keep or mix up anything.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::{Cached, FeedPosition, tagged_cache::CachedParts};
use crate::infra::{Db, RedisClient};

/// First bytes of a value; they change with the format.
const MAGIC: &[u8; 8] = b"savcach1";
/// Number of values that are being written; more are not written.
const MAX_WRITES: usize = 64;
/// Maximum number of slots of a value.
const MAX_SLOTS: usize = 4096;

/// Cache in Redis.
#[derive(Debug, Clone)]
pub struct SharedCache {
    redis: RedisClient,
    /// First part of the keys: values of programs or settings that differ have different ones.
    namespace: Arc<str>,
    ttl: Duration,
    max_value_bytes: usize,
    writes: Arc<Semaphore>,
}

/// Value with what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedValue {
    /// The value.
    pub bytes: Vec<u8>,
    /// When it was computed.
    pub computed_at: DateTime<Utc>,
    /// Until when it is valid.
    pub expires_at: DateTime<Utc>,
    position: FeedPosition,
    slots: Vec<usize>,
}

impl SharedCache {
    /// Creates a cache of values of at most `max_value_bytes` that Redis keeps for `ttl`.
    #[must_use]
    pub fn new(redis: RedisClient, namespace: &str, ttl: Duration, max_value_bytes: usize) -> Self {
        Self { redis, namespace: namespace.into(), ttl, max_value_bytes, writes: Arc::new(Semaphore::new(MAX_WRITES)) }
    }

    /// Returns the value of a key, if Redis is available and has a valid one.
    pub async fn get<V>(&self, key: &str, db: &Db, decode: impl FnOnce(&[u8]) -> Option<V>) -> Option<Cached<V>> {
        if !self.redis.is_available() || db.tag_versions().applied_position().is_none() {
            return None;
        }
        // Before the check of the positions: an event that is applied after it invalidates the value here.
        let version = db.tag_versions().current();
        let bytes = self.redis.get(&format!("{}{key}", self.namespace)).await.ok()??;
        let SharedValue { bytes, computed_at, expires_at, position, slots } =
            SharedValue::decode(&bytes, self.max_value_bytes)?;
        if expires_at <= db.now() || !db.tag_versions().is_valid_from_other(position, &slots) {
            return None;
        }
        let value = decode(&bytes)?;
        Some(Cached::from_parts(value, CachedParts { computed_at, expires_at, version, slots: slots.into() }))
    }

    /// Stores a value in the background. `position` is the applied position before the computation.
    pub fn store<V>(&self, key: &str, bytes: Vec<u8>, cached: &Cached<V>, position: Option<FeedPosition>) {
        let Some(position) = position.filter(|_| self.redis.is_available() && bytes.len() <= self.max_value_bytes)
        else {
            return;
        };
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let CachedParts { computed_at, expires_at, slots, .. } = cached.parts();
        let value = SharedValue { bytes, computed_at, expires_at, position, slots: slots.to_vec() };
        let (redis, key, ttl) = (self.redis.clone(), format!("{}{key}", self.namespace), self.ttl);
        tokio::spawn(async move {
            // A value that was not stored is computed again.
            let _ = redis.set(&key, &value.encode(), ttl).await;
            drop(permit);
        });
    }
}

impl SharedValue {
    fn encode(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.bytes.len() + self.slots.len() * 4 + 64);
        for number in [self.position.0, self.computed_at.timestamp_micros(), self.expires_at.timestamp_micros()] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        content.extend_from_slice(&u32::try_from(self.slots.len()).unwrap_or(u32::MAX).to_le_bytes());
        for slot in &self.slots {
            content.extend_from_slice(&u32::try_from(*slot).unwrap_or(u32::MAX).to_le_bytes());
        }
        content.extend_from_slice(&self.bytes);
        [MAGIC.as_slice(), digest(&SHA256, &content).as_ref(), &content].concat()
    }

    /// Decodes a value; `None` if it is not one, is damaged, or is too large.
    fn decode(encoded: &[u8], max_value_bytes: usize) -> Option<Self> {
        let rest = encoded.strip_prefix(MAGIC)?;
        let (hash, mut content) = rest.split_at_checked(SHA256_OUTPUT_LEN)?;
        if digest(&SHA256, content).as_ref() != hash {
            return None;
        }
        let position = FeedPosition(i64::from_le_bytes(take(&mut content)?));
        let computed_at = DateTime::from_timestamp_micros(i64::from_le_bytes(take(&mut content)?))?;
        let expires_at = DateTime::from_timestamp_micros(i64::from_le_bytes(take(&mut content)?))?;
        let slot_count = usize::try_from(u32::from_le_bytes(take(&mut content)?)).ok()?;
        if slot_count > MAX_SLOTS {
            return None;
        }
        let mut slots = Vec::with_capacity(slot_count);
        for _ in 0..slot_count {
            slots.push(usize::try_from(u32::from_le_bytes(take(&mut content)?)).ok()?);
        }
        let bytes = (content.len() <= max_value_bytes).then(|| content.to_vec())?;
        Some(Self { bytes, computed_at, expires_at, position, slots })
    }
}

/// Takes the first bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_value() -> SharedValue {
        let time = |micros| DateTime::from_timestamp_micros(micros).expect("a time");
        SharedValue {
            bytes: b"value".to_vec(),
            computed_at: time(1_000),
            expires_at: time(2_000),
            position: FeedPosition(42),
            slots: vec![1, 16_000],
        }
    }

    #[test]
    fn encoded_value_is_decoded() {
        assert_eq!(SharedValue::decode(&test_value().encode(), 5), Some(test_value()));
        assert_eq!(SharedValue::decode(&test_value().encode(), 4), None);
    }

    #[test]
    fn damaged_value_is_rejected() {
        let encoded = test_value().encode();
        for index in 0..encoded.len() {
            let mut damaged = encoded.clone();
            damaged[index] ^= 1;
            assert_eq!(SharedValue::decode(&damaged, 100), None, "byte {index}");
            assert_eq!(SharedValue::decode(&encoded[..index], 100), None, "{index} bytes");
        }
        assert_eq!(SharedValue::decode(b"", 100), None);
    }
}
