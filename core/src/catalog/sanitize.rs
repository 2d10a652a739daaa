//! Product descriptions: HTML sanitization, and conversion to plain text.

use std::sync::LazyLock;

use ammonia::Builder;

/// Sanitization rules, built once.
static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = Builder::default();
    rules.link_rel(Some("noopener noreferrer nofollow"));
    rules
});
static TAG_STRIPPER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = Builder::empty();
    rules.clean_content_tags(["script", "style", "title"].into());
    rules
});

/// Maximum number of repeated passes: each drops one line break at the start of a preformatted text.
const MAX_SANITIZE_PASSES: usize = 8;

/// Tags that separate words.
const WORD_BREAK_TAGS: [&str; 9] = ["<br", "</p", "</div", "</li", "</h", "</td", "</tr", "</ul", "</ol"];

/// Returns HTML that is safe to embed. Sanitizing the result again does not change it.
#[must_use]
pub fn sanitize_html(html: &str) -> String {
    let mut sanitized = sanitize_once(html);
    // The parser drops the first line break of preformatted text in each pass.
    if sanitized.contains("<pre") {
        for _ in 0..MAX_SANITIZE_PASSES {
            let resanitized = sanitize_once(&sanitized);
            if resanitized == sanitized {
                break;
            }
            sanitized = resanitized;
        }
    }
    sanitized
}

fn sanitize_once(html: &str) -> String {
    let clean = SANITIZER.clean(html).to_string();
    // Entities such as `&#13;` have been decoded to control characters, which are not allowed.
    let clean = clean.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "");
    clean.trim().to_owned()
}

/// Returns the plain text of sanitized HTML.
#[must_use]
pub fn convert_html_to_text(html: &str) -> String {
    let mut spaced = String::with_capacity(html.len());
    for (index, part) in html.split('<').enumerate() {
        if index > 0 {
            let tag = format!("<{}", part.chars().take(5).collect::<String>().to_lowercase());
            if WORD_BREAK_TAGS.iter().any(|prefix| tag.starts_with(prefix)) {
                spaced.push(' ');
            }
            spaced.push('<');
        }
        spaced.push_str(part);
    }
    let text = TAG_STRIPPER.clean(&spaced).to_string();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // No tags remain; these are the only escaped entities.
    words.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitize_html_removes_scripts_and_handlers() {
        let html =
            sanitize_html("<p onclick=x>Hot <b>mug</b><script>alert(1)</script></p><a href='javascript:x'>y</a>");
        assert_eq!(html, "<p>Hot <b>mug</b></p><a rel=\"noopener noreferrer nofollow\">y</a>");
    }

    #[test]
    fn sanitize_html_is_idempotent() {
        for html in [
            "<pre>\n\n\na</pre>",
            "<p>a&#13;&#1;\u{85}b</p>",
            "<p>open <b>tags",
            "<a><a href=x>y</a></a>",
            "<td>x<p><div>y",
        ] {
            let sanitized = sanitize_html(html);
            assert_eq!(sanitize_html(&sanitized), sanitized, "{html}");
            assert!(!sanitized.contains(['\r', '\u{1}']), "{sanitized:?}");
        }
    }

    #[test]
    fn html_to_text_keeps_word_breaks() {
        assert_eq!(
            convert_html_to_text("<p>Salt &amp; pepper</p><p>5 &lt; 6</p><ul><li>a</li><li>b</li></ul>"),
            "Salt & pepper 5 < 6 a b"
        );
    }
}
