//! Counters in Redis.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::{ThrottleCounter, ThrottleOutcome, ThrottleSubject};
use crate::infra::redis_client::{RedisClient, RedisResult, RedisScript, RedisUnavailable};

/// Counts subjects, each by its increment, unless one of them would exceed its limit: the statement of the database as a
/// script. Times are those of the caller, as in the database. Returns for each subject the count, the end of the window
/// in milliseconds, and whether the limit is reached.
static COUNT_UNLESS_EXHAUSTED: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "local now = tonumber(ARGV[1])
        local results, is_rejected = {}, false
        for i, key in ipairs(KEYS) do
            local increment, max_count, window =
                tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
            local counter = redis.call('HMGET', key, 'count', 'ends_at')
            local count, ends_at = tonumber(counter[1]) or 0, tonumber(counter[2]) or 0
            if ends_at <= now then
                count, ends_at = 0, now + window
            end
            local is_exhausted = count + increment > max_count
            is_rejected = is_rejected or is_exhausted
            results[i] = {count + increment, ends_at, is_exhausted and 1 or 0}
        end
        if not is_rejected then
            for i, key in ipairs(KEYS) do
                redis.call('HSET', key, 'count', results[i][1], 'ends_at', string.format('%.0f', results[i][2]))
                redis.call('PEXPIRE', key, string.format('%.0f', math.max(1, results[i][2] - now)))
            end
        end
        return results",
    )
});

/// Counts distinct subjects, each by its increment: all of them, or none if one would exceed its limit.
pub(super) async fn count_subjects(
    redis: &RedisClient,
    subjects: &[(ThrottleSubject, u32)],
    now: DateTime<Utc>,
) -> RedisResult<ThrottleOutcome> {
    let keys: Vec<String> =
        subjects.iter().map(|(subject, _)| format!("throttle:{}:{}", subject.action, subject.subject_hash)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let limits = subjects.iter().flat_map(|(subject, increment)| {
        [increment.to_string(), subject.max_count.to_string(), subject.window.num_milliseconds().to_string()]
    });
    let arguments: Vec<String> = std::iter::once(now.timestamp_millis().to_string()).chain(limits).collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
    let results: Vec<[i64; 3]> = redis.run_script(&COUNT_UNLESS_EXHAUSTED, &keys, &arguments).await?;
    if results.len() != subjects.len() {
        return Err(RedisUnavailable);
    }
    let (mut counted, mut exhausted) = (Vec::new(), Vec::new());
    for ((subject, _), [count, ends_at, is_exhausted]) in subjects.iter().zip(results) {
        let window_ends_at = DateTime::from_timestamp_millis(ends_at).ok_or(RedisUnavailable)?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let counter = ThrottleCounter { count, window_ends_at, updated_at: now };
        if is_exhausted == 1 { &mut exhausted } else { &mut counted }.push((subject.clone(), counter));
    }
    Ok(if exhausted.is_empty() { ThrottleOutcome::Allowed(counted) } else { ThrottleOutcome::Rejected(exhausted) })
}
