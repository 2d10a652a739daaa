//! Addresses of the pages around a page.

use axum::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::PagePosition;

/// Characters of a query string that are encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Parameters that select the position of a page.
const POSITION_PARAMETERS: [&str; 5] = ["after", "before", "first", "limit", "last"];

/// Addresses of the pages before and after a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PageLinks {
    /// Next page; `None` on the last one.
    pub next: Option<String>,
    /// Previous page; `None` on the first one.
    pub prev: Option<String>,
}

impl PageLinks {
    /// Builds the addresses for a page of a request.
    #[must_use]
    pub fn build(uri: &Uri, query: &[(String, String)], page: &PagePosition) -> Self {
        let find = |name: &str| query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let size = ["first", "limit", "last"].into_iter().find_map(find);
        let build = |cursor_name: &str, size_name: &str, cursor: &str| {
            let others = query.iter().filter(|(name, _)| !POSITION_PARAMETERS.contains(&name.as_str()));
            let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
            let position = size.map(|size| (size_name, size)).into_iter().chain([(cursor_name, cursor)]);
            let encode = |text| utf8_percent_encode(text, ENCODED);
            let pairs = others.chain(position).map(|(name, value)| format!("{}={}", encode(name), encode(value)));
            format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"))
        };
        let PagePosition { has_next_page, has_previous_page, start_cursor, end_cursor } = page;
        // Without a size, the page before a cursor has the default one, as the page after it.
        let last_size = if size.is_some() { "last" } else { "first" };
        Self {
            next: end_cursor.as_deref().filter(|_| *has_next_page).map(|cursor| build("after", "first", cursor)),
            prev: start_cursor
                .as_deref()
                .filter(|_| *has_previous_page)
                .map(|cursor| build("before", last_size, cursor)),
        }
    }

    /// Returns the value of the `Link` header; `None` without links.
    #[must_use]
    pub fn to_header(&self) -> Option<String> {
        let links = [(&self.next, "next"), (&self.prev, "prev")].into_iter();
        let links =
            links.filter_map(|(address, relation)| Some(format!("<{}>; rel=\"{relation}\"", address.as_ref()?)));
        let links = links.collect::<Vec<_>>().join(", ");
        (!links.is_empty()).then_some(links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_filters() {
        let uri = "/api/v1/products/?search=a%20b&limit=2&after=x".parse().expect("an address");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = [pair("search", "a b"), pair("limit", "2"), pair("after", "x")];
        let page = PagePosition {
            has_next_page: true,
            has_previous_page: true,
            start_cursor: Some("s=".into()),
            end_cursor: Some("e".into()),
        };
        let links = PageLinks::build(&uri, &query, &page);
        assert_eq!(links.next.as_deref(), Some("/api/v1/products/?search=a%20b&first=2&after=e"));
        assert_eq!(links.prev.as_deref(), Some("/api/v1/products/?search=a%20b&last=2&before=s%3D"));
        assert!(links.to_header().is_some_and(|header| header.ends_with(">; rel=\"prev\"")));
        let only_page = PagePosition { has_next_page: false, has_previous_page: false, ..page };
        assert_eq!(PageLinks::build(&uri, &query, &only_page).to_header(), None);
    }
}
