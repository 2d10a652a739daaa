//! Random documents: any text is accepted or rejected, and the process keeps running.
//!
//! Every test run has a few hundred cases; `SAVANNAH_FUZZ_SECONDS` generates cases for that time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use proptest::{
    prelude::*,
    test_runner::{Config as Cases, RngSeed, TestCaseError, TestRunner},
};
use savannah::{
    graphql::execution::{document::parse_document, limits::DocumentLimits},
    infra::{Config, config::GraphqlConfig},
};

/// Threads that serve requests have twice as much.
const STACK_SIZE: usize = 1024 * 1024;

pub fn create_trials() -> Vec<Trial> {
    vec![
        Trial::test("fuzz_documents::nested_documents_are_accepted_or_refused", || run_fuzz_cases(nested_documents())),
        Trial::test("fuzz_documents::random_tokens_are_accepted_or_refused", || run_fuzz_cases(random_tokens())),
        Trial::test(
            "fuzz_documents::changed_documents_are_accepted_or_refused",
            || run_fuzz_cases(mutated_documents()),
        ),
    ]
}

/// Parses generated texts on a thread with a small stack.
fn run_fuzz_cases(texts: impl Strategy<Value = String> + Send + 'static) -> Result<(), libtest_mimic::Failed> {
    let seconds = std::env::var("SAVANNAH_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let limits = Config::load_from(Path::new("/nowhere.toml"), std::iter::empty())?.graphql;
    let run = move || -> Result<(), String> {
        let mut round = 0_u64;
        loop {
            let cases =
                Cases { cases: 150, failure_persistence: None, rng_seed: RngSeed::Fixed(round), ..Cases::default() };
            let outcome = TestRunner::new(cases).run(&texts, |text| check_document(&text, &limits));
            outcome.map_err(|error| error.to_string())?;
            round += 1;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_SIZE).spawn(run)?;
    thread.join().map_err(|_| "the parser panicked")?.map_err(Into::into)
}

fn check_document(text: &str, limits: &GraphqlConfig) -> Result<(), TestCaseError> {
    match parse_document(text, DocumentLimits { config: limits, allows_introspection: true }) {
        Ok(document) => prop_assert!(document.nodes <= 10_000),
        Err(error) => {
            prop_assert!(!error.errors.is_empty() && error.errors.len() <= 10);
            prop_assert!(error.errors.iter().all(|one| !one.message.is_empty() && one.message.len() < 400));
        }
    }
    Ok(())
}

/// Opening and closing text of nestable constructs.
const NESTING_DELIMITERS: [(&str, &str); 9] = [
    ("[", "]"),
    ("{x:", "}"),
    ("[{x:[", "]}]"),
    ("[1 ", " 2]"),
    ("{x:1 y:", " z:2}"),
    ("[$v ", "]"),
    ("(", ")"),
    ("\"\"\"[", "\"\"\""),
    ("#[\n[", "]"),
];

/// Positions of a value; `%` is the placeholder.
const VALUE_POSITIONS: [&str; 14] = [
    "{shop(a:%){name}}",
    "{products(filter:%){nodes{id}}}",
    "{nodes(ids:%){id}}",
    "query($v:Int=%){shop{name}}",
    "query($v:ProductFilter=%){products(filter:$v){nodes{id}}}",
    "query($v:Int@include(if:%)){shop{name}}",
    "query@include(if:%){shop{name}}",
    "{shop@include(if:%){name}}",
    "{...@include(if:%){shop{name}}}",
    "{...F@skip(if:%)}fragment F on Query{shop{name}}",
    "{...F}fragment F on Query@skip(if:%){shop{name}}",
    "query($v:%){shop{name}}",
    "mutation{cartCreate(input:%){cart{id}}}",
    "{% shop{name}}",
];

fn nested_documents() -> impl Strategy<Value = String> {
    let value = (0..NESTING_DELIMITERS.len(), 0_usize..12_000, any::<bool>(), 0_usize..40);
    (0..VALUE_POSITIONS.len(), value, "[ -~]{0,6}").prop_map(
        |(position, (nesting, deep, is_shallow, shallow), inner)| {
            let (open, close) = NESTING_DELIMITERS[nesting];
            let depth = if is_shallow { shallow } else { deep.min(65_000 / (open.len() + close.len())) };
            let value = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            VALUE_POSITIONS[position].replacen('%', &value, 1)
        },
    )
}

/// Tokens of random documents.
const TOKENS: [&str; 56] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "=",
    "!",
    "$",
    "@",
    "...",
    "|",
    "&",
    ",",
    "\u{feff}",
    "\n",
    "\r\n",
    "#c\n",
    "\"a\"",
    "\"\\u{1F600}\"",
    "\"\\uD83D\"",
    "\"\"\"b\"\"\"",
    "\"",
    "\"\"\"",
    "\\",
    "1",
    "-1",
    "0.5",
    "1e999",
    "9999999999999",
    "true",
    "null",
    "on",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "F",
    "$v",
    "Query",
    "Product",
    "shop",
    "name",
    "products",
    "nodes",
    "id",
    "filter",
    "first",
    "search",
    "__typename",
    "__schema",
    "@include(if: $v)",
    "é",
    "\u{0}",
    "\u{1F600}",
];

fn random_tokens() -> impl Strategy<Value = String> {
    let token = (0..TOKENS.len()).prop_map(|index| TOKENS[index]);
    let joined = |tokens: Vec<&str>| tokens.join(" ");
    prop_oneof![
        prop::collection::vec(token.clone(), 0..60).prop_map(joined),
        prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat()),
        (0..TOKENS.len(), 1_usize..30_000).prop_map(|(index, count)| {
            let token = TOKENS[index];
            format!("{{ shop {{ name }} }} {}", token.repeat(count.min(65_000 / token.len())))
        }),
        ".{0,200}",
    ]
}

/// Returns valid documents with pieces removed, duplicated and moved.
fn mutated_documents() -> impl Strategy<Value = String> {
    const VALID_DOCUMENTS: [&str; 5] = [
        "query Q($f: Int = 3, $s: String, $on: Boolean = true) { products(first: $f, filter: { search: $s, tags: { any: [\"a\"] } }) \
         { totalCount nodes { id ...P @include(if: $on) } } } fragment P on Product { name category { name } }",
        "{ nodes(ids: [\"a\", \"b\"]) { __typename ... on Product { sku } ... on Category { slug } } }",
        "mutation { cartCreate(input: { lines: [{ variantId: \"a\", quantity: 1 }] }) { cart { id } userErrors { code } } }",
        "{ a: shop { name } b: shop { ...S ...S } } fragment S on Shop { currency ...T } fragment T on Shop { name }",
        "{ __schema { types { name fields(includeDeprecated: true) { name args { name defaultValue } } } } }",
    ];
    let position = || 0_usize..400;
    let edit = (position(), position(), position(), 0_u8..4);
    (0..VALID_DOCUMENTS.len(), prop::collection::vec(edit, 1..6)).prop_map(|(index, edits)| {
        let mut text: Vec<char> = VALID_DOCUMENTS[index].chars().collect();
        for (from, length, to, kind) in edits {
            let from = from.min(text.len());
            let end = (from + length % 30).min(text.len());
            let piece: Vec<char> = match kind {
                0 => text.drain(from..end).collect(),
                1 => text[from..end].to_vec(),
                2 => text[from..end].iter().rev().copied().collect(),
                _ => text[from..end].repeat(20),
            };
            if kind != 0 {
                let to = to.min(text.len());
                text.splice(to..to, piece);
            }
        }
        text.into_iter().collect()
    })
}
