//! Subjects of rate limits.

use std::net::IpAddr;

use chrono::TimeDelta;

use crate::{base::digest, infra::config::RateLimit};

/// A portion is this fraction of a limit ...
const PORTIONS_PER_LIMIT: u32 = 50;
/// ... and at most this many actions.
const MAX_PORTION_SIZE: u32 = 50;

/// A subject of an action, with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ThrottleSubject {
    pub(super) action: &'static str,
    pub(super) subject_hash: String,
    pub(super) max_count: u32,
    pub(super) window: TimeDelta,
}

impl ThrottleSubject {
    /// Creates a subject, of which only the hash is kept.
    #[must_use]
    pub fn new(action: &'static str, subject: &str, limit: RateLimit) -> Self {
        let subject_hash = digest::sha256_base64url(subject);
        Self {
            action,
            subject_hash,
            max_count: limit.count,
            window: TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX),
        }
    }

    /// Creates a subject for the network of a client address; `None` if the address is invalid.
    #[must_use]
    pub fn for_network(action: &'static str, address: &str, limit: RateLimit) -> Option<Self> {
        client_network(address).map(|network| Self::new(action, &network, limit))
    }

    /// Returns how many actions are counted at once.
    pub(super) fn portion_size(&self) -> u32 {
        (self.max_count / PORTIONS_PER_LIMIT).clamp(1, MAX_PORTION_SIZE)
    }
}

/// Returns the network as which a client address is counted: an IPv4 address itself, the /64 of an IPv6 address, which
/// one subscriber has.
#[must_use]
pub fn client_network(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_network_groups_ipv6_addresses_by_prefix() {
        let same_network = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "2001:0db8:0001:0002:0:0:0:9"];
        assert!(same_network.iter().all(|address| client_network(address).as_deref() == Some("2001:db8:1:2::/64")));
        assert_ne!(client_network("2001:db8:1:3::1"), client_network(same_network[0]));
        assert_eq!(client_network("::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_ne!(client_network("192.0.2.7"), client_network("192.0.2.8"));
        assert_eq!(client_network(""), None);
    }
}
