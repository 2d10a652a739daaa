//! Positions of the last writes of callers: so that a caller who has written does not read older data from a replica.

use std::{sync::LazyLock, time::Duration};

use moka::sync::Cache;

use super::{Actor, RedisClient, WalPosition, redis_client::RedisScript};

/// Maximum number of callers. The position of another one may be lost: then it reads data of at most the maximum lag.
const MAX_CALLERS: u64 = 100_000;
/// Time for which a position is kept in addition to the maximum lag of the replica, after which each replica that is
/// used has replayed it.
const LIFETIME_MARGIN: Duration = Duration::from_secs(10);

/// Stores a position, unless a later one is stored. The texts are in the order of the positions.
static STORE_LATER_POSITION: LazyLock<RedisScript> = LazyLock::new(|| {
    RedisScript::new(
        "local stored = redis.call('GET', KEYS[1])
        if not stored or stored < ARGV[1] then
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        end
        return 0",
    )
});

/// Positions of the last writes, of this instance and, with Redis, of all.
#[derive(Debug)]
pub struct WritePositions {
    positions: Cache<Actor, WalPosition>,
    redis: RedisClient,
    lifetime: Duration,
}

impl WritePositions {
    /// Creates positions that are kept until a replica with the maximum lag has replayed them.
    #[must_use]
    pub fn new(redis: RedisClient, replica_max_lag: Duration) -> Self {
        let lifetime = replica_max_lag + LIFETIME_MARGIN;
        let positions = Cache::builder().max_capacity(MAX_CALLERS).time_to_live(lifetime).build();
        Self { positions, redis, lifetime }
    }

    /// Records that a caller has written. Positions of anonymous callers are not known to belong together.
    pub async fn record(&self, actor: Actor, position: WalPosition) {
        if !is_identified(actor) {
            return;
        }
        self.positions.entry(actor).and_upsert_with(|stored| {
            let stored = stored.map(moka::Entry::into_value);
            stored.map_or(position, |stored| stored.max(position))
        });
        if self.redis.is_configured() {
            let (text, millis) = (position.to_string(), self.lifetime.as_millis().to_string());
            let arguments = [text.as_bytes(), millis.as_bytes()];
            // Without Redis, other instances let the caller read from the primary.
            let _: Result<u64, _> =
                self.redis.run_script(&STORE_LATER_POSITION, &[redis_key(actor).as_str()], &arguments).await;
        }
    }

    /// Returns a position that includes the writes of a caller.
    pub async fn find(&self, actor: Actor) -> WalPosition {
        if !is_identified(actor) {
            return WalPosition::START;
        }
        let own = self.positions.get(&actor).unwrap_or(WalPosition::START);
        if !self.redis.is_configured() {
            return own;
        }
        match self.redis.get(&redis_key(actor)).await {
            Ok(None) => own,
            Ok(Some(text)) => {
                let text = std::str::from_utf8(&text).unwrap_or_default();
                text.parse().map_or(WalPosition::UNKNOWN, |stored: WalPosition| stored.max(own))
            }
            // The caller may have written on another instance.
            Err(_) => WalPosition::UNKNOWN,
        }
    }
}

fn is_identified(actor: Actor) -> bool {
    !matches!(actor, Actor::Anonymous | Actor::System)
}

fn redis_key(actor: Actor) -> String {
    format!("write-position:{actor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn latest_position_of_a_caller_is_found() {
        let positions = WritePositions::new(RedisClient::default(), Duration::from_secs(5));
        let [earlier, later]: [WalPosition; 2] =
            ["0000000000000001", "0000000000000002"].map(|text| text.parse().expect("a position"));
        for position in [later, earlier] {
            positions.record(Actor::Account(1), position).await;
            positions.record(Actor::Anonymous, position).await;
        }
        assert_eq!(positions.find(Actor::Account(1)).await, later);
        assert_eq!(positions.find(Actor::ApiKey(1)).await, WalPosition::START);
        assert_eq!(positions.find(Actor::Anonymous).await, WalPosition::START);
    }
}
