//! Rate limits of requests in cost points: one token bucket per principal.
//!
//! With Redis all instances share the bucket, which one script per request reads and changes by the clock of Redis.
//! Without it, or while it is unavailable, each instance has a bucket of its own in memory: the limit is then at most
//! multiplied by the number of instances.

mod token_bucket;

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Instant,
};

use moka::sync::Cache;

use self::token_bucket::{TokenBucket, restore_rate};
use super::{RedisClient, config::RateLimit, redis_client::RedisScript};

/// The maximum number of buckets in memory. One that was evicted begins full; those in use are evicted last.
const MAX_BUCKETS: u64 = 100_000;

/// Takes points from a bucket by the clock of Redis. Returns whether there were enough, and the available points.
static TAKE_POINTS: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local size, millis, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local bucket = redis.call('HMGET', KEYS[1], 'available', 'updated_at')
        local updated_at = math.min(tonumber(bucket[2]) or now, now)
        local available = tonumber(bucket[1]) or size
        available = math.min(size, available + (now - updated_at) * size / millis)
        local is_allowed = 0
        if available >= cost then
            available = available - cost
            is_allowed = 1
        end
        redis.call('HSET', KEYS[1], 'available', string.format('%.6f', available), 'updated_at', now)
        redis.call('PEXPIRE', KEYS[1], millis)
        return {is_allowed, math.floor(available)}",
    )
});

/// A principal whose requests share a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitSubject {
    /// The name of the policy: `network`, `customer`, `api_key`, `staff`.
    pub policy: &'static str,
    /// The principal within the policy.
    pub principal: String,
    /// The size of the bucket and the time in which it is restored.
    pub limit: RateLimit,
}

/// The outcome of charging a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The name of the policy.
    pub policy: &'static str,
    /// The size of the bucket and the time in which it is restored.
    pub limit: RateLimit,
    /// The points that are available after the request.
    pub available: u32,
    /// The charged points.
    pub cost: u32,
    /// Whether the request may be executed; otherwise nothing was charged.
    pub is_allowed: bool,
}

impl RateLimitStatus {
    /// Returns the restored points per second.
    #[must_use]
    pub fn restore_rate(&self) -> f64 {
        restore_rate(self.limit)
    }

    /// Returns the seconds after which the rejected request can be repeated; at least 1.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        self.seconds_to_restore(self.cost).max(1)
    }

    /// Returns the seconds until the bucket is full.
    #[must_use]
    pub fn seconds_until_full(&self) -> u64 {
        self.seconds_to_restore(self.limit.count)
    }

    fn seconds_to_restore(&self, points: u32) -> u64 {
        let missing_points = u64::from(points.saturating_sub(self.available));
        (missing_points * self.limit.window.as_secs()).div_ceil(u64::from(self.limit.count))
    }
}

/// The rate limiter of an instance.
#[derive(Debug)]
pub struct RateLimiter {
    buckets: Cache<String, Arc<Mutex<TokenBucket>>>,
    started_at: Instant,
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self { buckets: Cache::new(MAX_BUCKETS), started_at: Instant::now() }
    }
}

impl RateLimiter {
    /// Charges a request to the bucket of its principal. A cost above the size of the bucket is charged as its size.
    pub async fn charge(&self, redis: &RedisClient, subject: RateLimitSubject, cost: u32) -> RateLimitStatus {
        let RateLimitSubject { policy, principal, limit } = subject;
        let cost = cost.clamp(1, limit.count);
        let key = format!("rate:{policy}:{principal}");
        let (is_allowed, available) = match self.charge_in_redis(redis, &key, limit, cost).await {
            Some(outcome) => outcome,
            None => self.charge_in_memory(key, limit, cost),
        };
        RateLimitStatus { policy, limit, available, cost, is_allowed }
    }

    /// Returns whether there were enough points and how many are available; `None` if Redis is unavailable.
    async fn charge_in_redis(
        &self,
        redis: &RedisClient,
        key: &str,
        limit: RateLimit,
        cost: u32,
    ) -> Option<(bool, u32)> {
        if !redis.is_available() {
            return None;
        }
        let arguments = [limit.count.to_string(), limit.window.as_millis().to_string(), cost.to_string()];
        let arguments = arguments.each_ref().map(String::as_bytes);
        let [is_allowed, available] = redis.run_script::<[i64; 2]>(&TAKE_POINTS, &[key], &arguments).await.ok()?;
        Some((is_allowed == 1, u32::try_from(available).unwrap_or(0)))
    }

    fn charge_in_memory(&self, key: String, limit: RateLimit, cost: u32) -> (bool, u32) {
        let now = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let bucket = self.buckets.get_with(key, || Arc::new(Mutex::new(TokenBucket::full(limit, now))));
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let is_allowed = bucket.take(limit, cost, now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a u32")]
        let available = bucket.available as u32;
        (is_allowed, available)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn status(available: u32, cost: u32) -> RateLimitStatus {
        let limit = RateLimit { count: 100, window: Duration::from_secs(10) };
        RateLimitStatus { policy: "network", limit, available, cost, is_allowed: false }
    }

    #[test]
    fn retry_time_is_rounded_up_to_seconds() {
        assert_eq!(status(0, 1).retry_after(), 1);
        assert_eq!(status(0, 10).retry_after(), 1);
        assert_eq!(status(0, 11).retry_after(), 2);
        assert_eq!(status(50, 100).retry_after(), 5);
        assert_eq!((status(0, 1).seconds_until_full(), status(100, 1).seconds_until_full()), (10, 0));
    }

    #[tokio::test]
    async fn buckets_of_principals_and_policies_are_separate() {
        let (limiter, redis) = (RateLimiter::default(), RedisClient::default());
        // Long enough that nothing is restored during the test.
        let limit = RateLimit { count: 5, window: Duration::from_hours(24) };
        let charge = async |policy: &'static str, principal: &str, cost| {
            let subject = RateLimitSubject { policy, principal: principal.to_owned(), limit };
            limiter.charge(&redis, subject, cost).await
        };
        assert!(charge("network", "192.0.2.1", 4).await.is_allowed);
        assert!(!charge("network", "192.0.2.1", 2).await.is_allowed);
        assert_eq!(charge("network", "192.0.2.1", 1).await.available, 0);
        assert!(charge("network", "192.0.2.2", 5).await.is_allowed);
        let oversized = charge("customer", "192.0.2.1", 1000).await;
        assert_eq!((oversized.is_allowed, oversized.cost), (true, 5));
    }
}
