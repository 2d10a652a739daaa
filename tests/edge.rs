//! GraphQL over HTTP, by the specification: media types, methods, status codes, and bodies that are none.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    shop::{Backend, Reply, Shop},
    stories,
};

stories![
    the_caller_chooses_the_media_type,
    the_body_must_say_that_it_is_json,
    a_query_may_come_in_the_address,
    only_queries_come_in_the_address,
    other_methods_are_told_which_would_do,
    a_body_has_a_limit,
    lists_of_requests_are_refused,
    a_body_that_is_no_request_is_said_to_be_none,
    the_operation_is_chosen_by_its_name,
    text_that_no_database_holds_goes_no_further,
];

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";
const TYPENAME: &str = r#"{"query":"{ __typename }"}"#;

async fn post(shop: &Shop, accept: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = shop.request(Method::POST, "/graphql").header("content-type", JSON).header("accept", accept);
    Reply::of(request.body(body)).await
}

async fn get(shop: &Shop, parameters: &str) -> Reply {
    Reply::of(shop.request(Method::GET, &format!("/graphql?{parameters}"))).await
}

/// The body of a request, with strings of JSON that a value cannot hold.
async fn raw(shop: &Shop, body: impl Into<reqwest::Body>) -> Reply {
    post(shop, GRAPHQL, body).await
}

async fn the_caller_chooses_the_media_type(backend: Backend) {
    let shop = Shop::open(backend).await;
    let ask = |accept: &'static str, query: &'static str| {
        let body = json!({ "query": query }).to_string();
        post(&shop, accept, body)
    };
    let cases = [
        (JSON, "application/json; charset=utf-8"),
        (GRAPHQL, "application/graphql-response+json; charset=utf-8"),
        ("*/*", "application/graphql-response+json; charset=utf-8"),
        ("application/*;q=0.5, application/json", "application/json; charset=utf-8"),
        ("text/html, application/json;q=0.1", "application/json; charset=utf-8"),
    ];
    for (accept, content_type) in cases {
        let reply = ask(accept, "{ __typename }").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{accept}");
        assert!(reply.headers.get_all("vary").iter().any(|vary| vary == "accept"), "{reply:?}");
        assert_eq!(reply.text, r#"{"data":{"__typename":"Query"}}"#);
    }
    for accept in ["text/html", "application/xml;q=1", "application/json;q=0", "application/json;charset=latin1"] {
        let reply = ask(accept, "{ __typename }").await;
        assert_eq!((reply.status, reply.code().as_str()), (406, "BAD_REQUEST"), "{accept}");
    }
    // What is wrong with the document is 400, but to clients of old, who read the body whatever happens, 200.
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED")] {
        for (accept, status) in [(GRAPHQL, 400), (JSON, 200)] {
            let reply = ask(accept, query).await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{accept} {query}");
            assert!(reply.body().get("data").is_none(), "{reply:?}");
        }
    }
    // What fails while it is answered is no fault of the request's.
    let reply = ask(GRAPHQL, "{ product(slug: \"a\", sku: \"b\") { id } }").await;
    assert_eq!((reply.status, reply.code().as_str()), (200, "BAD_USER_INPUT"));
    assert_eq!(reply.body()["data"], json!({ "product": null }));
}

async fn the_body_must_say_that_it_is_json(backend: Backend) {
    let shop = Shop::open(backend).await;
    let say = |content_type: Option<&'static str>| {
        let request = shop.request(Method::POST, "/graphql").body(TYPENAME);
        Reply::of(match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        })
    };
    let good = [
        "application/json",
        "Application/JSON;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json; charset=utf8",
    ];
    for content_type in good {
        assert_eq!(say(Some(content_type)).await.status, 200, "{content_type}");
    }
    let bad = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=iso-8859-1"),
        Some("text/plain, application/json"),
    ];
    for content_type in bad {
        let reply = say(content_type).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "BAD_REQUEST"), "{content_type:?}");
    }
}

async fn a_query_may_come_in_the_address(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let query = "query=query%20A(%24slug%3AString)%7Bproduct(slug%3A%24slug)%7Bname%7D%7D%20query%20B%7B__typename%7D";
    let reply = get(&shop, &format!("{query}&operationName=A&variables=%7B%22slug%22%3A%22mug%22%7D")).await;
    assert_eq!((reply.status, reply.body()), (200, json!({ "data": { "product": { "name": "Savannah Mug" } } })));
    let reply = get(&shop, &format!("{query}&operationName=B&variables=&extensions=%7B%7D")).await;
    assert_eq!(reply.body(), json!({ "data": { "__typename": "Query" } }));
    let reply = get(&shop, "query=%7B+__typename+%7D&unknown=1").await;
    assert_eq!(reply.status, 200, "a blank may be a plus, and what is not known is not looked at: {reply:?}");
    let head = shop.request(Method::HEAD, "/graphql?query=%7B__typename%7D");
    let reply = Reply::of(head).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    assert_eq!(reply.header("content-type"), Some("application/graphql-response+json; charset=utf-8"));

    let bad = [
        "",
        "variables=%7B%7D",
        "query=%7B__typename%7D&query=%7B__typename%7D",
        "query=%7B__typename%7D&variables=%7B%7D&variables=%7B%7D",
        "query=%7B__typename%7",
        "query=%7B__typename%7D%20%zz",
        "query=%7B__typename%7D%20%23%FF",
        "query=%7B__typename%7D%20%23%C3%28",
        "query=%7B__typename%7D&variables=%5B%5D",
        "query=%7B__typename%7D&variables=nonsense",
        "query=%7B__typename%7D&extensions=1",
    ];
    for parameters in bad {
        let reply = get(&shop, parameters).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"), "{parameters}");
    }
    let reply = get(&shop, "query=").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "GRAPHQL_PARSE_FAILED"));
}

async fn only_queries_come_in_the_address(backend: Backend) {
    let shop = Shop::open(backend).await;
    for query in
        ["mutation%7Bx%7D", "subscription%7Bx%7D", "query+A%7Bshop%7Bname%7D%7D+mutation+B%7Bx%7D&operationName=B"]
    {
        for method in [Method::GET, Method::HEAD] {
            let request = shop.request(method.clone(), &format!("/graphql?query={query}"));
            let reply = Reply::of(request.header("accept", JSON)).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, POST")), "{method} {query}");
            assert!(method == Method::HEAD || reply.code() == "BAD_REQUEST");
        }
    }
    let reply =
        get(&shop, "query=query+A%7B__typename%7D+mutation+B%7Blogout%7BuserErrors%7Bcode%7D%7D%7D&operationName=A")
            .await;
    assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"data":{"__typename":"Query"}}"#));
}

async fn other_methods_are_told_which_would_do(backend: Backend) {
    let shop = Shop::open(backend).await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let request = shop.request(method.clone(), "/graphql").header("content-type", JSON).body(TYPENAME);
        let reply = Reply::of(request).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, POST")), "{method}");
        assert_eq!(reply.code(), "BAD_REQUEST");
        for path in ["/health", "/health/live", "/graphiql"] {
            let reply = Reply::of(shop.request(method.clone(), path)).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET,HEAD")), "{method} {path}");
            assert_eq!(reply.body()["error"]["code"], "METHOD_NOT_ALLOWED");
        }
    }
}

async fn a_body_has_a_limit(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SERVER__BODY_LIMIT", "2000")]).await;
    let body = |length: usize| {
        let empty = json!({ "query": "{ __typename } #" }).to_string().len();
        json!({ "query": format!("{{ __typename }} #{}", "x".repeat(length - empty)) }).to_string()
    };
    assert_eq!(post(&shop, GRAPHQL, body(2_000)).await.status, 200);
    let reply = post(&shop, GRAPHQL, body(2_001)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "BAD_REQUEST"));
    // Nor does it help not to say how long it is.
    let chunked = |length: usize| {
        let body = body(length);
        let chunk = |chunk: &[u8]| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
        let chunks: String = body.as_bytes().chunks(500).map(chunk).collect();
        let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nconnection: close\r\n";
        wire(&shop, format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"))
    };
    assert!(chunked(2_000).await.starts_with("HTTP/1.1 200 "));
    assert!(chunked(2_001).await.starts_with("HTTP/1.1 413 "));
}

/// Sends bytes as they are, and reads the answer to its end.
async fn wire(shop: &Shop, request: String) -> String {
    let mut stream = tokio::net::TcpStream::connect(shop.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

async fn lists_of_requests_are_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    for body in ["[]", " \n[{\"query\":\"{ __typename }\"}]", "[1]"] {
        let reply = raw(&shop, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"));
        assert!(reply.message().contains("list"), "{reply:?}");
    }
}

async fn a_body_that_is_no_request_is_said_to_be_none(backend: Backend) {
    let shop = Shop::open(backend).await;
    let deep = |open: &str, close: &str| {
        format!(r#"{{"query":"{{ __typename }}","variables":{{"a":{}1{}}}}}"#, open.repeat(5_000), close.repeat(5_000))
    };
    let bad = [
        String::new(),
        "null".into(),
        "1".into(),
        "\"{ __typename }\"".into(),
        "{".into(),
        "{}".into(),
        TYPENAME.repeat(2),
        r#"{"query":1}"#.into(),
        r#"{"query":null}"#.into(),
        r#"{"query":["{ __typename }"]}"#.into(),
        r#"{"query":"{ __typename }","query":"{ shop { name } }"}"#.into(),
        r#"{"query":"{ __typename }","operationName":1}"#.into(),
        r#"{"query":"{ __typename }","operationName":["A"]}"#.into(),
        r#"{"query":"{ __typename }","variables":[]}"#.into(),
        r#"{"query":"{ __typename }","variables":"{}"}"#.into(),
        r#"{"query":"{ __typename }","variables":7}"#.into(),
        r#"{"query":"{ __typename }","extensions":"x"}"#.into(),
        r#"{"query":"{ product(slug: \"\ud800\") { id } }"}"#.into(),
        r#"{"query":"{ __typename }","variables":{"a":"\ud800"}}"#.into(),
        r#"{"query":"{ __typename }","variables":{"a":"\udc00\ud800"}}"#.into(),
        "{\"query\":\"{ __typename\n }\"}".into(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ];
    for body in bad {
        let reply = raw(&shop, body.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"), "{}", &body[..body.len().min(200)]);
        assert!(reply.message().len() < 300, "{reply:?}");
    }
    for bytes in [&b"{\"query\":\"{ __typename } # \xff\"}"[..], b"\xff\xfe{\0\"\0", b"\xc3\x28", b"\0"] {
        assert_eq!(raw(&shop, bytes).await.status, 400);
    }
    let good = [
        r#"{"query":"{ __typename }","variables":null,"operationName":null,"extensions":null}"#,
        r#"{"query":"{ __typename }","variables":{},"extensions":{"a":[1]},"something":"else"}"#,
        "  {\"query\":\"\\ufeff{ __typename }\"}\n",
    ];
    for body in good {
        assert_eq!(raw(&shop, body).await.status, 200, "{body}");
    }
    assert_eq!(raw(&shop, format!("\u{feff}{TYPENAME}")).await.status, 200, "a byte-order mark");
    assert_eq!(get(&shop, "query=%EF%BB%BF%7B__typename%7D&variables=%EF%BB%BF%7B%7D").await.status, 200);
}

async fn the_operation_is_chosen_by_its_name(backend: Backend) {
    let shop = Shop::open(backend).await;
    let two = "query A { a: __typename } query B { b: __typename }";
    let ask =
        |query: &'static str, name: Value| raw(&shop, json!({ "query": query, "operationName": name }).to_string());
    assert_eq!(ask(two, json!("B")).await.body()["data"], json!({ "b": "Query" }));
    assert_eq!(ask("query A { a: __typename }", json!(null)).await.body()["data"], json!({ "a": "Query" }));
    let bad = [(two, json!(null)), (two, json!("C")), (two, json!("a")), ("{ __typename }", json!("A"))];
    for (query, name) in bad {
        let reply = ask(query, name.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "GRAPHQL_VALIDATION_FAILED"), "{query} {name}");
    }
    // An empty name is none in an address, where there is no other way to write it.
    assert_eq!(get(&shop, "query=%7B__typename%7D&operationName=").await.status, 200);
}

async fn text_that_no_database_holds_goes_no_further(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let with =
        |query: &str, variables: Value| raw(&shop, json!({ "query": query, "variables": variables }).to_string());
    let product = "query($slug: String) { product(slug: $slug) { id } }";
    let filter = "query($filter: ProductFilter) { products(filter: $filter) { totalCount } }";
    let null_bytes = [
        (product, json!({ "slug": "a\0b" })),
        (filter, json!({ "filter": { "search": "\0" } })),
        (filter, json!({ "filter": { "vendors": ["a", "\0"] } })),
        ("{ product(slug: \"a\\u0000b\") { id } }", json!({})),
        ("{ product(slug: \"a\\u{0}b\") { id } }", json!({})),
        ("{ product(slug: \"\"\"a\0b\"\"\") { id } }", json!({})),
        ("query($slug: String = \"\\u0000\") { product(slug: $slug) { id } }", json!({})),
        ("query($slug: String = \"\"\"\0\"\"\") { product(slug: $slug) { id } }", json!({ "slug": null })),
        ("{ products(filter: { tags: [\"x\", \"\\u0000\"] }) { totalCount } }", json!({})),
        ("{ ...F } fragment F on Query { ... { product(sku: \"\\u0000\") { id } } }", json!({})),
        ("{ nodes(ids: [\"\\u0000\"]) { id } }", json!({})),
    ];
    for (query, variables) in null_bytes {
        let reply = with(query, variables).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_USER_INPUT"), "{query}");
        assert!(reply.message().contains("null byte"), "{reply:?}");
    }
    for literal in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\u{d800}", "\\u00", "\\x00"] {
        let reply = with(&format!("{{ product(slug: \"{literal}\") {{ id }} }}"), json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "GRAPHQL_PARSE_FAILED"), "{literal}");
    }
    for text in ["\u{1}", "\u{fffd}", "\u{1f600}", "'; --", "%_\\", "\u{7f}\u{85}\u{2028}", "ａ"] {
        for (query, variables) in
            [(product, json!({ "slug": text })), (filter, json!({ "filter": { "search": text, "vendors": [text] } }))]
        {
            let reply = with(query, variables).await;
            assert!(reply.status == 200 && reply.body().get("errors").is_none(), "{text:?} {reply:?}");
        }
    }
}
