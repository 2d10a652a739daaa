//! Order numbers: short, readable aloud, and no help in guessing the next one.

use aws_lc_rs::rand;

use crate::base::{Error, Result};

/// No letters that are taken for digits, or that make words.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Forty bits: of a million orders, one number in a million is taken.
const LENGTH: usize = 8;

/// A number that has probably not been given: `K7QX-3M9T`.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random() -> Result<String> {
    let mut bytes = [0_u8; LENGTH];
    rand::fill(&mut bytes).map_err(|_| Error::fault("making an order number", "the system gives no random bytes"))?;
    Ok(spell(bytes))
}

fn spell(bytes: [u8; LENGTH]) -> String {
    let mut text: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    text.insert(LENGTH / 2, '-');
    text
}

/// A number as people write it, as it was given out: letters in any case, with or without the hyphen, and with the
/// letters that look like digits.
#[must_use]
pub fn read(text: &str) -> Option<String> {
    let plain = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let mut text: String = text.trim().chars().filter(|letter| !"- #".contains(*letter)).map(plain).collect();
    let known = text.len() == LENGTH && text.bytes().all(|byte| LETTERS.contains(&byte));
    known.then(|| {
        text.insert(LENGTH / 2, '-');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        let number = spell([19, 7, 22, 29, 3, 20, 9, 0]);
        assert_eq!(number, "K7PX-3M90");
        for text in ["K7PX-3M90", "k7px3m90", " #K7PX 3M9o ", "K7PX-3M9O"] {
            assert_eq!(read(text).as_deref(), Some("K7PX-3M90"), "{text}");
        }
        for text in ["", "K7PX-3M9", "K7PX-3M900", "K7PX-3M9U", "ключ"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
