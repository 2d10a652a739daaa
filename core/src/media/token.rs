//! The public names of pictures.

use std::fmt;

use aws_lc_rs::rand;

use crate::base::{Error, Result};

/// Path of the shop's own pictures.
pub const MEDIA_PATH: &str = "/media/";
/// Path of uploads; a secret may follow.
pub const UPLOADS_PATH: &str = "/media/uploads";
/// Number of hexadecimal digits of a token.
const TOKEN_DIGITS: usize = 32;

/// The public name of a picture: 128 random bits, so that pictures of unpublished products cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaToken(u128);

impl MediaToken {
    /// Generates a token.
    ///
    /// # Errors
    /// Returns an internal error if the system provides no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes)
            .map_err(|_| Error::internal("naming a picture", "the system provides no random bytes"))?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    /// Parses a token: 32 lowercase hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != TOKEN_DIGITS || !text.bytes().all(is_digit) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }

    /// Returns the token in the path of a picture of this shop, as products store it.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        let (token, _) = path.strip_prefix(MEDIA_PATH)?.split_once('/')?;
        Self::parse(token)
    }

    /// Returns the token in a URL that a user entered: a path, or with any host before it. Whether the picture is one of
    /// this shop is for the database to say: tokens are unique.
    #[must_use]
    pub fn find_in_url(url: &str) -> Option<Self> {
        let (host, _) = url.split_once(MEDIA_PATH)?;
        let is_host = host.is_empty() || host.starts_with("https://") || host.starts_with("http://");
        Self::from_path(url.get(host.len()..)?).filter(|_| is_host)
    }
}

/// Returns whether a path is one of uploads.
#[must_use]
pub fn is_upload_path(path: &str) -> bool {
    path.strip_prefix(UPLOADS_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for MediaToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_paths_end_at_a_segment() {
        let paths = ["/media/uploads", "/media/uploads/secret", "/media/uploads2/secret", "/media/0/full.jpg"];
        assert_eq!(paths.map(is_upload_path), [true, true, false, false]);
    }

    #[test]
    fn token_is_found_in_own_urls_only() {
        let token = MediaToken::parse("0123456789abcdef0123456789abcdef").expect("a token");
        assert_eq!(token.to_string(), "0123456789abcdef0123456789abcdef");
        let (path, url) =
            (format!("/media/{token}/full.jpg"), format!("https://api.shop.example/media/{token}/640.webp"));
        assert_eq!((MediaToken::from_path(&path), MediaToken::find_in_url(&path)), (Some(token), Some(token)));
        assert_eq!((MediaToken::from_path(&url), MediaToken::find_in_url(&url)), (None, Some(token)));
        let others = [
            format!("//media/{token}/full.jpg"),
            format!("/media/{token}"),
            "/media/../secret/full.jpg".to_owned(),
            "/media/0123456789ABCDEF0123456789ABCDEF/full.jpg".to_owned(),
            "/media/mug.jpg".to_owned(),
        ];
        for url in others {
            assert_eq!(MediaToken::find_in_url(&url), None, "{url}");
        }
    }
}
