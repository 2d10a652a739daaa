//! Order numbers: short, easy to dictate, and random, so that other numbers cannot be guessed.

use aws_lc_rs::rand;

use crate::base::{Error, Result};

/// Crockford base 32: omits I, L and O, which resemble digits, and U.
const ORDER_NUMBER_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 40 bits: with a million orders, a new number collides with a probability of 1 in a million.
const ORDER_NUMBER_LENGTH: usize = 8;

/// Generates a random order number such as `K7QX-3M9T`; the caller handles collisions.
pub fn generate_order_number() -> Result<String> {
    let mut bytes = [0_u8; ORDER_NUMBER_LENGTH];
    rand::fill(&mut bytes)
        .map_err(|_| Error::internal("making an order number", "the system gives no random bytes"))?;
    Ok(format_order_number(bytes))
}

fn format_order_number(bytes: [u8; ORDER_NUMBER_LENGTH]) -> String {
    let mut text: String = bytes.iter().map(|byte| char::from(ORDER_NUMBER_ALPHABET[usize::from(byte % 32)])).collect();
    text.insert(ORDER_NUMBER_LENGTH / 2, '-');
    text
}

/// Parses an order number as typed: ignores case, hyphens, spaces and `#`, and reads O as 0, I and L as 1. Returns
/// `None` if it is not an order number.
#[must_use]
pub fn parse_order_number(text: &str) -> Option<String> {
    let to_canonical = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let mut text: String = text.trim().chars().filter(|letter| !"- #".contains(*letter)).map(to_canonical).collect();
    let is_valid = text.len() == ORDER_NUMBER_LENGTH && text.bytes().all(|byte| ORDER_NUMBER_ALPHABET.contains(&byte));
    is_valid.then(|| {
        text.insert(ORDER_NUMBER_LENGTH / 2, '-');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_order_number_accepts_case_hyphens_and_lookalikes() {
        let number = format_order_number([19, 7, 22, 29, 3, 20, 9, 0]);
        assert_eq!(number, "K7PX-3M90");
        for text in ["K7PX-3M90", "k7px3m90", " #K7PX 3M9o ", "K7PX-3M9O"] {
            assert_eq!(parse_order_number(text).as_deref(), Some("K7PX-3M90"), "{text}");
        }
        for text in ["", "K7PX-3M9", "K7PX-3M900", "K7PX-3M9U", "ключ"] {
            assert_eq!(parse_order_number(text), None, "{text}");
        }
    }
}
