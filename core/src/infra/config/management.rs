//! Settings of the management address: `[management]`.

use std::{net::SocketAddr, str::FromStr};

use serde::Deserialize;

use super::parsed::deserialize_parsed;

/// `[management]`
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ManagementConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub bind: OptionalAddress,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl FromStr for OptionalAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| "write an address and a port: 127.0.0.1:9000")
    }
}
