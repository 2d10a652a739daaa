//! Link detection in user text: email clients make links clickable, so messages of the shop must not contain user
//! links.

/// Returns whether a text contains a link: a scheme (`://`), `www.`, or a domain followed by a slash. Unicode
/// look-alikes of dot, colon and slash count too.
#[must_use]
pub fn contains_link(text: &str) -> bool {
    let to_ascii_lookalike = |c: char| match c {
        '．' | '。' | '｡' => '.',
        '：' => ':',
        '／' | '⁄' | '∕' => '/',
        other => other.to_ascii_lowercase(),
    };
    let text: String = text.chars().filter(|c| !c.is_control()).map(to_ascii_lookalike).collect();
    text.contains("://") || text.contains("www.") || text.split('/').rev().skip(1).any(ends_with_domain)
}

/// Returns whether a text ends with a domain name, such as `shop.example`.
fn ends_with_domain(text: &str) -> bool {
    let Some((domain, top_level)) = text.rsplit_once('.') else { return false };
    let is_top = top_level.chars().count() >= 2 && top_level.chars().all(|c| c.is_alphabetic() || c == '-');
    is_top && domain.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_link_with_a_link_is_true() {
        for text in [
            "http://evil.example",
            "verify at HTTPS://evil.example/login now",
            "ftp://x",
            "www.evil.example",
            "WWW.EVIL.EXAMPLE",
            "go to evil.example/login",
            "evil.example/",
            "evil．example／login",
            "https：//evil",
            "пример.рф/вход",
            "a/evil.example/b",
        ] {
            assert!(contains_link(text), "{text}");
        }
    }

    #[test]
    fn contains_link_without_a_link_is_false() {
        for text in [
            "",
            "Wanjiku",
            "J. R. Kamau",
            "Dr.Amina",
            "c/o Mwangi",
            "P.O. Box 12/4",
            "No.7/3 Moi Avenue",
            "Flat 3/B, St. George's",
            "Plot 1.5/2",
            "Baobab Ltd.",
        ] {
            assert!(!contains_link(text), "{text}");
        }
    }
}
