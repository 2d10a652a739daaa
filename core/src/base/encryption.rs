//! Keys derived from a secret (HKDF with SHA-256), and encryption that detects changes (AES-256-GCM).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
};

/// Derived key.
pub type DerivedKey = [u8; 32];

/// Derives keys for different purposes from one secret.
#[derive(Debug)]
pub struct KeyDerivation(Prk);

impl KeyDerivation {
    /// Creates a derivation from a secret. The salt need not be secret.
    #[must_use]
    pub fn new(salt: &[u8], secret: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, salt).extract(secret))
    }

    /// Returns the key of a purpose.
    ///
    /// # Errors
    /// Returns an error without details if the library fails.
    pub fn derive(&self, purpose: &[u8]) -> Result<DerivedKey, Unspecified> {
        let mut derived = [0; 32];
        self.0.expand(&[purpose], HKDF_SHA256)?.fill(&mut derived)?;
        Ok(derived)
    }
}

/// Encrypts with a key; each ciphertext has its own random nonce.
#[derive(Debug)]
pub struct DataCipher(RandomizedNonceKey);

impl DataCipher {
    /// Creates the cipher of a key.
    ///
    /// # Errors
    /// Returns an error without details if the library fails.
    pub fn new(key: &DerivedKey) -> Result<Self, Unspecified> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self)
    }

    /// Encrypts data: nonce, ciphertext and tag. `context` is authenticated with it, and needed to decrypt it.
    ///
    /// # Errors
    /// Returns an error without details if the library fails.
    pub fn encrypt(&self, mut data: Vec<u8>, context: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let nonce = self.0.seal_in_place_append_tag(Aad::from(context), &mut data)?;
        Ok([nonce.as_ref().as_slice(), &data].concat())
    }

    /// Decrypts what [`Self::encrypt`] returned.
    ///
    /// # Errors
    /// Returns an error without details if the data was changed, or encrypted with another key or context.
    pub fn decrypt(&self, mut encrypted: Vec<u8>, context: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let (nonce, ciphertext) = encrypted.split_at_mut_checked(NONCE_LEN).ok_or(Unspecified)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        self.0.open_in_place(nonce, Aad::from(context), ciphertext).map(|data| data.to_vec())
    }
}
