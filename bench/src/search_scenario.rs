//! The search scenario: searches of a shopper for words and beginnings of words, with filters and facets. There is no
//! hand-written server to compare with; the numbers of two versions of Savannah are compared.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    Result,
    args::Options,
    benchmark::PostgresCpu,
    http,
    process::Server,
    storefront_scenario::{Page, measure_pages},
};

/// The number of different search texts.
const TEXT_COUNT: usize = 20;
/// Every which product is read to choose words.
const SAMPLE_INTERVAL: i64 = 97;
/// The share of products that a common word finds: by their names, descriptions or tags.
const COMMON_SHARE: f64 = 0.01;

const PAGE: &str = "query Search($filter: ProductFilter!) { products(first: 24, filter: $filter) {
    nodes { id name slug price } pageInfo { hasNextPage endCursor } } }";
const COUNT: &str = "query Count($filter: ProductFilter!) { products(first: 0, filter: $filter) { totalCount } }";
const FACETS: &str = "query Facets($filter: ProductFilter) { products(first: 0, filter: $filter) { facets {
    categories { count category { name } } priceRanges { count } vendors { value count } tags { value count }
    options { name values { value count } } } } }";

/// Measures each kind of search and prints tables: without caches, and facets of everything with them.
pub fn run_search_scenario(options: &Options, program: &Path, postgres: &mut PostgresCpu<'_>) -> Result<()> {
    let samples = postgres.load_column(
        "SELECT p.name_normalized || chr(31) || r.slug || chr(31) || array_to_string(tsvector_to_array(s.document), ' ')
         FROM product AS p JOIN product_search AS s ON s.product_id = p.id JOIN category AS c ON c.id = p.category_id
         JOIN category AS r ON r.parent_id IS NULL AND left(c.path, length(r.path)) = r.path
         WHERE p.status = 'active' AND p.deleted_at IS NULL AND p.id % $1 = 0",
        SAMPLE_INTERVAL,
    )?;
    let samples: Vec<Sample<'_>> = samples.iter().filter_map(|sample| Sample::parse(sample)).collect();
    let common = select_words(&samples, COMMON_SHARE)?;
    let rare = select_words(&samples, 0.0)?;
    let mut prefixes: Vec<String> = common.iter().map(|word| word.chars().take(2).collect()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let typos: Vec<String> = common.iter().filter(|word| word.len() > 4).map(|word| swap_letters(word)).collect();
    let search = |texts: &[String]| texts.iter().map(|text| json!({ "filter": { "search": text } })).collect();
    // The category in which the word is most or least frequent.
    let filtered = |text: &String, is_in_category: bool| {
        let category = select_category(&samples, text, is_in_category);
        json!({ "filter": { "search": text, "category": { "slug": category },
            "price": { "min": "10", "max": "100000" }, "inStock": true } })
    };
    let filtered_all = |is_in_category| common.iter().map(|text| filtered(text, is_in_category)).collect();
    let page = |name, document: &str, variables: Vec<Value>| Page {
        name,
        document: document.to_owned(),
        variables,
        token: None,
    };
    println!("common words: {}; prefixes: {}\n", common.join(", "), prefixes.join(", "));
    let server = Server::start_savannah(program, postgres.url())?;
    let pages = vec![
        page("common word", PAGE, search(&common)),
        page("two letters", PAGE, search(&prefixes)),
        page("rare word", PAGE, search(&rare)),
        page("common word, mistyped", PAGE, search(&typos)),
        page("common word, filtered, in its category", PAGE, filtered_all(true)),
        page("common word, filtered, in another category", PAGE, filtered_all(false)),
        page("count of a common word", COUNT, search(&common)),
        page("five facets of a common word", FACETS, search(&common)),
    ];
    measure_pages(options, &server, postgres, pages)?;
    drop(server);
    println!();
    let server = Server::start_with_caches(program, postgres.url())?;
    let started = Instant::now();
    let (_, counted) = http::post_graphql(server.address, &json!({ "query": FACETS }).to_string())?;
    if counted.contains("\"errors\"") {
        return Err(format!("the facets of all products cannot be counted: {counted}"));
    }
    println!("counting the facets of all products for the first time took {:.1} s\n", started.elapsed().as_secs_f64());
    measure_pages(options, &server, postgres, vec![page("five facets of all, cached", FACETS, vec![json!({})])])
}

/// A product of the sample.
struct Sample<'a> {
    name: &'a str,
    /// Slug of the root of its category.
    category: &'a str,
    /// Words that it is found by, separated by spaces.
    words: &'a str,
}

impl<'a> Sample<'a> {
    fn parse(row: &'a str) -> Option<Self> {
        let mut parts = row.split('\u{1f}');
        Some(Self { name: parts.next()?, category: parts.next()?, words: parts.next()? })
    }
}

/// Returns words of names, those first that find a share of the products that is nearest to the requested one.
fn select_words(samples: &[Sample<'_>], share: f64) -> Result<Vec<String>> {
    let is_plain = |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut counts: HashMap<&str, u32> =
        samples.iter().flat_map(|sample| sample.name.split(' ').filter(is_plain)).map(|word| (word, 0)).collect();
    for word in samples.iter().flat_map(|sample| sample.words.split(' ')) {
        if let Some(count) = counts.get_mut(word) {
            *count += 1;
        }
    }
    let sample_count = u32::try_from(samples.len()).map_err(|error| error.to_string())?;
    let distance = |count: u32| (f64::from(count) / f64::from(sample_count.max(1)) - share).abs();
    let mut words: Vec<(&str, u32)> = counts.into_iter().collect();
    words.sort_by(|(a, a_count), (b, b_count)| distance(*a_count).total_cmp(&distance(*b_count)).then(a.cmp(b)));
    if words.is_empty() {
        return Err("the database holds no products whose words could be searched for".to_owned());
    }
    Ok(words.into_iter().take(TEXT_COUNT).map(|(word, _)| word.to_owned()).collect())
}

/// Returns the root category of which most or fewest products have a word in their names.
fn select_category<'a>(samples: &[Sample<'a>], word: &str, has_most: bool) -> &'a str {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.category).or_default() += u32::from(sample.name.split(' ').any(|part| part == word));
    }
    let selected = if has_most {
        counts.iter().max_by_key(|(_, count)| **count)
    } else {
        counts.iter().min_by_key(|(_, count)| **count)
    };
    selected.map_or("", |(category, _)| *category)
}

/// Swaps two letters in the middle of a word.
fn swap_letters(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let middle = letters.len() / 2;
    letters.swap(middle, middle - 1);
    letters.into_iter().collect()
}
