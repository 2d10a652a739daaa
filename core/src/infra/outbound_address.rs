//! Guard of outbound requests to URLs that users have entered: they must not reach the internal network.
//!
//! A URL is checked when it is stored and again at each request: its literal address by [`AddressGuard::check_url`],
//! those of its name by the resolver of the HTTP client, which returns the addresses that are connected to. So a name
//! that resolves to another address later is checked, too.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// The maximum length of a URL in bytes.
pub const MAX_URL_BYTES: usize = 2048;
/// The timeout of the resolution of a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Decides which addresses outbound requests may reach.
#[derive(Debug, Clone, Copy)]
pub struct AddressGuard {
    allows_private: bool,
}

/// The reason why a URL is rejected, for the user who entered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not a URL, or not one that can be requested.
    #[error("{0}")]
    InvalidUrl(String),
    /// It leads to an address that is not public.
    #[error("{0} is not a public address")]
    NotPublic(String),
    /// The name has no address.
    #[error("the name {0} cannot be resolved")]
    Unresolved(String),
}

impl AddressGuard {
    /// Creates the guard.
    #[must_use]
    pub const fn new(allows_private: bool) -> Self {
        Self { allows_private }
    }

    /// Checks a URL without resolving its name: scheme, credentials, length, literal address.
    ///
    /// # Errors
    /// Returns the reason.
    pub fn check_url(self, text: &str) -> Result<Url, AddressError> {
        let invalid = |reason: &str| AddressError::InvalidUrl(reason.to_owned());
        if text.len() > MAX_URL_BYTES {
            return Err(invalid(&format!("a URL has at most {MAX_URL_BYTES} bytes")));
        }
        let url = Url::parse(text).map_err(|_| invalid("this is not a URL; write https://HOST/PATH"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allows_private => {}
            _ => return Err(invalid("the URL must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the URL must not contain a user name or a password"));
        }
        if url.fragment().is_some() {
            return Err(invalid("the URL must not contain a fragment (#)"));
        }
        let Some(host) = url.host_str() else { return Err(invalid("the URL has no host")) };
        if let Some(address) = parse_literal_address(host) {
            self.check_address(address)?;
        }
        Ok(url)
    }

    /// Checks a URL and the addresses that its name has now.
    ///
    /// # Errors
    /// Returns the reason.
    pub async fn check_resolved_url(self, text: &str) -> Result<Url, AddressError> {
        let url = self.check_url(text)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !self.allows_private && parse_literal_address(&host).is_none() {
            self.resolve_name(&host).await?;
        }
        Ok(url)
    }

    fn check_address(self, address: IpAddr) -> Result<(), AddressError> {
        if self.allows_private || is_public_address(address) {
            return Ok(());
        }
        Err(AddressError::NotPublic(address.to_string()))
    }

    /// Resolves a name. If one of its addresses is not public, the name is rejected.
    async fn resolve_name(self, host: &str) -> Result<Vec<SocketAddr>, AddressError> {
        let lookup = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, 0))).await;
        let addresses: Vec<SocketAddr> = match lookup {
            Ok(Ok(addresses)) => addresses.collect(),
            _ => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(AddressError::Unresolved(host.to_owned()));
        }
        let is_rejected = |address: &&SocketAddr| self.check_address(address.ip()).is_err();
        match addresses.iter().find(is_rejected) {
            Some(address) => Err(AddressError::NotPublic(format!("{host} ({})", address.ip()))),
            None => Ok(addresses),
        }
    }
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let addresses = guard.resolve_name(name.as_str()).await.map_err(io::Error::other)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Returns the address of a host that is one. The URL parser has converted numbers and octal forms.
fn parse_literal_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Returns whether an address is one of the public internet.
#[must_use]
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    // This network, private, loopback, link-local (with the metadata servers of clouds), multicast and reserved.
    let is_local = matches!((a, b), (0 | 10 | 127 | 224.., _) | (169, 254) | (172, 16..=31) | (192, 168));
    // Carrier-grade NAT, benchmarks.
    let is_internal = matches!((a, b), (100, 64..=127) | (198, 18 | 19));
    // Protocol assignments, documentation, relays of 6to4.
    let is_assigned = matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113));
    !(is_local || is_internal || is_assigned)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 in IPv6: mapped, translated (NAT64), and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        // Protocol assignments (with Teredo), documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Everything else outside of global unicast: unspecified, loopback, IPv4-compatible, local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_of_the_internal_network_are_not_public() {
        let texts = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in texts {
            assert!(!is_public_address(address(text)), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        let texts = [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "2606:4700::1111",
        ];
        for text in texts {
            assert!(is_public_address(address(text)), "{text}");
        }
    }

    #[test]
    fn url_is_checked_with_its_literal_address_in_every_form() {
        let guard = AddressGuard::new(false);
        let not_public = [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://0/",
        ];
        for url in not_public {
            assert!(matches!(guard.check_url(url), Err(AddressError::NotPublic(_))), "{url}");
        }
        let invalid = [
            "http://shop.example/",
            "ftp://shop.example/",
            "https://user@shop.example/",
            "https://user:secret@shop.example/",
            "https://shop.example/#part",
            "shop.example",
            "https://",
            "",
        ];
        for url in invalid {
            assert!(matches!(guard.check_url(url), Err(AddressError::InvalidUrl(_))), "{url}");
        }
        assert!(guard.check_url("https://shop.example:8443/hooks?key=1").is_ok());
        let long = format!("https://shop.example/{}", "x".repeat(MAX_URL_BYTES));
        assert!(matches!(guard.check_url(&long), Err(AddressError::InvalidUrl(_))));
    }

    #[test]
    fn private_addresses_and_plain_http_can_be_allowed() {
        let guard = AddressGuard::new(true);
        assert!(guard.check_url("http://127.0.0.1:8000/hook").is_ok());
        assert!(guard.check_url("https://[::1]/hook").is_ok());
        assert!(guard.check_url("ftp://127.0.0.1/").is_err());
    }

    #[tokio::test]
    async fn name_of_a_private_address_is_rejected_after_its_resolution() {
        let error =
            AddressGuard::new(false).check_resolved_url("https://localhost/hook").await.expect_err("a rejection");
        assert!(matches!(error, AddressError::NotPublic(_)), "{error}");
        assert!(AddressGuard::new(true).check_resolved_url("https://localhost/hook").await.is_ok());
    }
}
