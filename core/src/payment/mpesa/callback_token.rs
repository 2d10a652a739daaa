//! Tokens in callback URLs. M-Pesa does not sign its callbacks: only a receiver of the URL can post to it.

use std::fmt;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::{base::digest::to_hex, identity::random_token::secrets_are_equal};

/// Hexadecimal digits of a token's authentication code: 128 bits.
const CODE_DIGITS: usize = 32;

/// What a callback is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallbackSubject {
    /// A payment, by its id.
    Payment(i64),
    /// A refund, by its id.
    Refund(i64),
}

impl fmt::Display for CallbackSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(id) => write!(f, "payment-{id}"),
            Self::Refund(id) => write!(f, "refund-{id}"),
        }
    }
}

impl CallbackSubject {
    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('-')?;
        let id = id.parse().ok()?;
        match kind {
            "payment" => Some(Self::Payment(id)),
            "refund" => Some(Self::Refund(id)),
            _ => None,
        }
    }
}

/// Creates and verifies the tokens of callback URLs.
#[derive(Debug, Clone)]
pub(super) struct CallbackTokens(hmac::Key);

impl CallbackTokens {
    pub fn new(key: &SecretString) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes()))
    }

    /// Returns the token of a subject: `payment-7-0123456789abcdef0123456789abcdef`.
    pub fn create(&self, subject: CallbackSubject) -> String {
        let subject = subject.to_string();
        let code = to_hex(hmac::sign(&self.0, subject.as_bytes()).as_ref());
        format!("{subject}-{}", &code[..CODE_DIGITS])
    }

    /// Returns the subject of a token; `None` if the token is not valid. The comparison takes the same time for each
    /// wrong code.
    pub fn verify(&self, token: &str) -> Option<CallbackSubject> {
        let subject = CallbackSubject::parse(token.rsplit_once('-')?.0)?;
        secrets_are_equal(&self.create(subject), token).then_some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(key: &str) -> CallbackTokens {
        CallbackTokens::new(&key.to_owned().into())
    }

    #[test]
    fn token_is_valid_for_its_subject_and_key_only() {
        let own = tokens("0123456789abcdef0123456789abcdef");
        let token = own.create(CallbackSubject::Payment(7));
        assert!(token.starts_with("payment-7-") && token.len() == "payment-7-".len() + CODE_DIGITS, "{token}");
        assert_eq!(own.verify(&token), Some(CallbackSubject::Payment(7)));
        let refund = own.create(CallbackSubject::Refund(7));
        assert_eq!(own.verify(&refund), Some(CallbackSubject::Refund(7)));
        let code = token.rsplit_once('-').expect("a code").1;
        assert_ne!(refund.rsplit_once('-').expect("a code").1, code);
        for forged in [
            format!("payment-8-{code}"),
            format!("refund-7-{code}"),
            format!("payment-07-{code}"),
            format!("payment-+7-{code}"),
            format!("payment-7-{}", code.to_uppercase()),
            format!("payment-7-{}", &code[..CODE_DIGITS - 1]),
            format!("payment-7-{code}0"),
            format!("payment-7-{}", "0".repeat(CODE_DIGITS)),
            "payment-7-".to_owned(),
            "payment-7".to_owned(),
            code.to_owned(),
            String::new(),
        ] {
            assert_eq!(own.verify(&forged), None, "{forged}");
        }
        assert_eq!(tokens("0123456789abcdef0123456789abcdeF").verify(&token), None);
    }

    #[test]
    fn token_is_the_hmac_of_its_subject() {
        // printf 'payment-7' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let token = tokens("0123456789abcdef0123456789abcdef").create(CallbackSubject::Payment(7));
        assert_eq!(token, "payment-7-bd5a2eab819ef075e5ca988170fb9de6");
    }
}
