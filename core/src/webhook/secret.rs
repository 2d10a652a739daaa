//! Secrets of endpoints: random, returned once, and encrypted in the database.

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    base::{
        Error, Result,
        encryption::{DataCipher, KeyDerivation},
        error::PublicErrorCode,
    },
    infra::config::{Config, ShopMode},
};

/// Prefix of every secret, as the specification requires.
pub const SECRET_PREFIX: &str = "whsec_";
/// Length of a secret without prefix and encoding. Bytes.
const SECRET_BYTES: usize = 32;
/// Data that is authenticated with each encrypted secret, so that nothing else is accepted as one.
const PURPOSE: &[u8] = b"webhook secret";
/// Key of development, where nothing needs to be set. Publicly known.
const DEVELOPMENT_KEY: &str = "the encryption key of webhooks in development";
/// Operation in internal errors.
const OPERATION: &str = "protecting the secret of an endpoint";

/// Key of an endpoint, without encoding. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningSecret(Vec<u8>);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningSecret(…)")
    }
}

impl SigningSecret {
    /// Generates a secret.
    pub fn generate() -> Result<Self> {
        let mut bytes = vec![0; SECRET_BYTES];
        rand::fill(&mut bytes).map_err(|_| Error::internal(OPERATION, "no random numbers"))?;
        Ok(Self(bytes))
    }

    /// Reads a secret from its text: `whsec_` and Base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok().map(Self)
    }

    /// Returns the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text that is shown once.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(&self.0)).into()
    }
}

/// Encrypts the secrets of endpoints.
#[derive(Debug)]
pub struct SecretCipher(DataCipher);

impl SecretCipher {
    /// Creates the cipher of the configured key.
    ///
    /// # Errors
    /// Returns `IllegalTransition` in production without a configured key.
    pub fn new(config: &Config) -> Result<Self> {
        let key = match config.webhooks.encryption_key.expose_secret() {
            "" if config.shop.mode == ShopMode::Development => DEVELOPMENT_KEY,
            "" => {
                let message = "the operator must set webhooks.encryption_key before endpoints can be used";
                return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
            }
            key => key,
        };
        let derived = KeyDerivation::new(PURPOSE, key.as_bytes()).derive(PURPOSE);
        let derived = derived.map_err(|_| Error::internal(OPERATION, "no key was derived"))?;
        DataCipher::new(&derived).map(Self).map_err(|_| Error::internal(OPERATION, "the cipher was not created"))
    }

    /// Generates a secret. Returns it with its ciphertext.
    pub fn generate_secret(&self) -> Result<(SigningSecret, Vec<u8>)> {
        let secret = SigningSecret::generate()?;
        let encrypted = self.encrypt(&secret)?;
        Ok((secret, encrypted))
    }

    /// Encrypts a secret: nonce, ciphertext and tag.
    pub fn encrypt(&self, secret: &SigningSecret) -> Result<Vec<u8>> {
        let encrypted = self.0.encrypt(secret.0.clone(), PURPOSE);
        encrypted.map_err(|_| Error::internal(OPERATION, "the secret was not encrypted"))
    }

    /// Decrypts a stored secret.
    ///
    /// # Errors
    /// Returns an internal error if it was encrypted with another key.
    pub fn decrypt(&self, stored: &[u8]) -> Result<SigningSecret> {
        let decryption_error =
            || Error::internal(OPERATION, "the secret was encrypted with another webhooks.encryption_key");
        self.0.decrypt(stored.to_vec(), PURPOSE).map(SigningSecret).map_err(|_| decryption_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(variables: &[(&str, &str)]) -> Config {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>();
        Config::load_from(std::path::Path::new("/nowhere"), variables.into_iter()).expect("settings")
    }

    #[test]
    fn secret_is_readable_only_with_the_key_that_encrypted_it() {
        let secret = SigningSecret::generate().expect("a secret");
        let cipher = SecretCipher::new(&config_with(&[])).expect("a cipher");
        let stored = cipher.encrypt(&secret).expect("an encrypted secret");
        assert!(!stored.windows(SECRET_BYTES).any(|window| window == secret.as_bytes()));
        assert_ne!(stored, cipher.encrypt(&secret).expect("an encrypted secret"));
        assert_eq!(cipher.decrypt(&stored).expect("the secret").as_bytes(), secret.as_bytes());
        let other = config_with(&[("SAVANNAH_WEBHOOKS__ENCRYPTION_KEY", "0123456789abcdef0123456789abcdef")]);
        assert!(SecretCipher::new(&other).expect("a cipher").decrypt(&stored).is_err());
        assert!(cipher.decrypt(&stored[..10]).is_err());
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }

    #[test]
    fn production_needs_a_key() {
        let mut config = config_with(&[]);
        config.shop.mode = ShopMode::Production;
        assert!(SecretCipher::new(&config).is_err());
    }
}
