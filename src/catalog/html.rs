//! Descriptions: HTML from outside made harmless, and the same as plain text.

use std::sync::LazyLock;

use ammonia::Builder;

/// Rules compiled once.
static SAFE: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = Builder::default();
    rules.link_rel(Some("noopener noreferrer nofollow"));
    rules
});
static NO_TAGS: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = Builder::empty();
    rules.clean_content_tags(["script", "style", "title"].into());
    rules
});

/// How many line breaks in a row at the start of a preformatted text are dropped.
const PASSES: usize = 8;

/// Tags after which a reader expects a blank.
const BREAKS: [&str; 9] = ["<br", "</p", "</div", "</li", "</h", "</td", "</tr", "</ul", "</ol"];

/// The HTML that a storefront may show as it is. Sanitising that again gives the same.
#[must_use]
pub fn sanitise(html: &str) -> String {
    let mut safe = once(html);
    // A parser drops the first line break of these, one each time.
    if safe.contains("<pre") {
        for _ in 0..PASSES {
            let again = once(&safe);
            if again == safe {
                break;
            }
            safe = again;
        }
    }
    safe
}

fn once(html: &str) -> String {
    let clean = SAFE.clean(html).to_string();
    // `&#13;` and its like have become characters that no file may hold.
    let clean = clean.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "");
    clean.trim().to_owned()
}

/// Its words alone. Takes sanitised HTML.
#[must_use]
pub fn plain(html: &str) -> String {
    let mut spaced = String::with_capacity(html.len());
    for (number, part) in html.split('<').enumerate() {
        if number > 0 {
            let tag = format!("<{}", part.chars().take(5).collect::<String>().to_lowercase());
            if BREAKS.iter().any(|at| tag.starts_with(at)) {
                spaced.push(' ');
            }
            spaced.push('<');
        }
        spaced.push_str(part);
    }
    let text = NO_TAGS.clean(&spaced).to_string();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // What is left has no tags; only these were escaped.
    words.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_handlers_go_words_stay() {
        let html = sanitise("<p onclick=x>Hot <b>mug</b><script>alert(1)</script></p><a href='javascript:x'>y</a>");
        assert_eq!(html, "<p>Hot <b>mug</b></p><a rel=\"noopener noreferrer nofollow\">y</a>");
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for html in [
            "<pre>\n\n\na</pre>",
            "<p>a&#13;&#1;\u{85}b</p>",
            "<p>open <b>tags",
            "<a><a href=x>y</a></a>",
            "<td>x<p><div>y",
        ] {
            let once = sanitise(html);
            assert_eq!(sanitise(&once), once, "{html}");
            assert!(!once.contains(['\r', '\u{1}']), "{once:?}");
        }
    }

    #[test]
    fn plain_text_reads_as_the_page_does() {
        assert_eq!(
            plain("<p>Salt &amp; pepper</p><p>5 &lt; 6</p><ul><li>a</li><li>b</li></ul>"),
            "Salt & pepper 5 < 6 a b"
        );
    }
}
