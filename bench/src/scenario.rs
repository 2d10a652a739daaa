//! The query scenarios, with variables chosen from the database.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::ValueEnum;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use crate::Result;

/// The number of different products requested.
const SLUG_COUNT: i64 = 500;
/// The number of different search terms.
const SEARCH_TERM_COUNT: usize = 100;
/// The number of product names from which search terms are chosen.
const NAME_SAMPLE_SIZE: i64 = 20_000;
/// The target number of descendants of the category to list.
const TARGET_DESCENDANT_COUNT: i64 = 100;

/// A query scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum ScenarioKind {
    /// First page of all products.
    Listing,
    /// First page of all products, requested by a logged-in customer.
    SignedIn,
    /// First page with the first variants of each product.
    Variants,
    /// First page of a category with its descendants.
    Category,
    /// One product with its category ancestors.
    Product,
    /// Three levels of the category tree with product counts.
    Tree,
    /// Search for a word that few products contain.
    SearchRare,
    /// Search for two words that many products contain.
    SearchCommon,
}

impl ScenarioKind {
    /// Returns the title in the report.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Listing => "Listing",
            Self::SignedIn => "Listing, signed in",
            Self::Variants => "Listing with variants",
            Self::Category => "Category",
            Self::Product => "Product",
            Self::Tree => "Tree",
            Self::SearchRare => "Search rare",
            Self::SearchCommon => "Search common",
        }
    }

    /// Returns the name and the text of the operation.
    pub const fn operation(self) -> (&'static str, &'static str) {
        match self {
            Self::Listing | Self::SignedIn => (
                "Listing",
                "query Listing { products(first: 24) { nodes { id name sku price category { id name slug } } } }",
            ),
            Self::Variants => (
                "ListingVariants",
                "query ListingVariants { products(first: 24) { nodes { id name sku price category { id name slug } \
                 variants(first: 3) { id sku price } } } }",
            ),
            Self::Category => (
                "Category",
                "query Category($id: ID!) { products(first: 24, filter: { category: { id: $id } }) { \
                 nodes { id name sku price category { id name slug } } } }",
            ),
            Self::Product => (
                "Product",
                "query Product($slug: String!) { product(slug: $slug) { id name sku price \
                 category { id name slug ancestors { id name slug } } } }",
            ),
            Self::Tree => (
                "Tree",
                "query Tree { categories { id name slug productCount children { id name slug productCount \
                 children { id name slug productCount } } } }",
            ),
            Self::SearchRare | Self::SearchCommon => (
                "Search",
                "query Search($search: String!) { products(first: 24, filter: { search: $search }) { \
                 nodes { id name sku price category { id name slug } } } }",
            ),
        }
    }

    fn request_body(self, variables: &Value) -> String {
        let (name, text) = self.operation();
        let mut body = json!({ "query": text, "operationName": name });
        if !variables.is_null() {
            body["variables"] = variables.clone();
        }
        body.to_string()
    }
}

/// A scenario with its request bodies.
#[derive(Debug)]
pub struct Scenario {
    /// The kind.
    pub kind: ScenarioKind,
    /// The request bodies, one per set of variables.
    pub bodies: Vec<String>,
}

impl Scenario {
    /// Returns the listing.
    pub fn listing() -> Self {
        Self { kind: ScenarioKind::Listing, bodies: vec![ScenarioKind::Listing.request_body(&Value::Null)] }
    }
}

/// The scenarios for a database.
#[derive(Debug)]
pub struct ScenarioSet {
    /// The scenarios, in report order.
    pub scenarios: Vec<Scenario>,
    /// The number of descendants of the listed category.
    pub descendant_count: i64,
    /// The average number of search hits: rare words, common words.
    pub average_hits: (f64, f64),
}

impl ScenarioSet {
    /// Chooses the variables from a database.
    pub async fn load(db: &mut PgConnection) -> Result<Self> {
        let (category, descendant_count) = choose_category(db).await?;
        let slugs = load_column(
            db,
            "SELECT slug FROM product WHERE status = 'active' AND deleted_at IS NULL ORDER BY md5(id::text) LIMIT $1",
            SLUG_COUNT,
        )
        .await?;
        // The order differs from that of the slugs, so that searches do not hit cached products.
        let names = load_column(
            db,
            "SELECT name FROM product WHERE status = 'active' AND deleted_at IS NULL ORDER BY md5('n' || id) LIMIT $1",
            NAME_SAMPLE_SIZE,
        )
        .await?;
        let (rare, common) = (select_rare_terms(&names), select_common_terms(&names));
        if slugs.is_empty() || rare.is_empty() || common.is_empty() {
            return Err("the database holds no products whose words could be searched for".to_owned());
        }
        let average_hits = (average_search_hits(db, &rare).await?, average_search_hits(db, &common).await?);
        let searches = |terms: &[String]| terms.iter().map(|term| json!({ "search": term })).collect();
        let scenarios = [
            (ScenarioKind::Listing, vec![Value::Null]),
            (ScenarioKind::SignedIn, vec![Value::Null]),
            (ScenarioKind::Variants, vec![Value::Null]),
            (
                ScenarioKind::Category,
                vec![json!({ "id": BASE64_URL_SAFE_NO_PAD.encode(format!("Category:{category}")) })],
            ),
            (ScenarioKind::Product, slugs.iter().map(|slug| json!({ "slug": slug })).collect()),
            (ScenarioKind::Tree, vec![Value::Null]),
            (ScenarioKind::SearchRare, searches(&rare)),
            (ScenarioKind::SearchCommon, searches(&common)),
        ];
        let scenario = |(kind, variables): (ScenarioKind, Vec<Value>)| Scenario {
            kind,
            bodies: variables.iter().map(|variables| kind.request_body(variables)).collect(),
        };
        Ok(Self { scenarios: scenarios.into_iter().map(scenario).collect(), descendant_count, average_hits })
    }

    /// Returns the request body that registers a customer.
    pub fn registration_body(number: u128) -> String {
        let query = format!(
            "mutation {{ customerRegister(input: {{ email: \"bench{number}@example.com\", password: \"measured twice\" }}) \
             {{ tokens {{ accessToken }} }} }}"
        );
        json!({ "query": query }).to_string()
    }

    /// Returns the request body of the readiness check.
    pub fn readiness_body() -> String {
        ScenarioKind::Listing.request_body(&Value::Null)
    }
}

/// Chooses the category with the number of descendants closest to the target, and returns that number.
async fn choose_category(db: &mut PgConnection) -> Result<(i64, i64)> {
    let row = sqlx::query(
        "SELECT above::bigint AS id, count(*) - 1 AS below FROM category, \
         unnest(string_to_array(trim(both '/' FROM path), '/')) AS above \
         WHERE deleted_at IS NULL GROUP BY 1 ORDER BY abs(count(*) - 1 - $1), 1 LIMIT 1",
    )
    .bind(TARGET_DESCENDANT_COUNT)
    .fetch_one(db)
    .await;
    let category_and_count = row.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    category_and_count.map_err(|error| format!("no category can be chosen: {error}"))
}

/// Returns a column of texts.
pub async fn load_column(db: &mut PgConnection, sql: &'static str, parameter: i64) -> Result<Vec<String>> {
    let values = sqlx::query_scalar(sql).bind(parameter).fetch_all(db).await;
    values.map_err(|error| format!("the products cannot be read: {error}"))
}

/// Selects model words, like `karimo` of `Acacia Classic Desk Lamp Karimo 27`.
fn select_rare_terms(names: &[String]) -> Vec<String> {
    let to_model_word =
        |name: &String| name.rsplit(' ').nth(1).map(str::to_lowercase).filter(|word| is_plain_word(word));
    names.iter().filter_map(to_model_word).collect::<BTreeSet<_>>().into_iter().take(SEARCH_TERM_COUNT).collect()
}

/// Selects the most frequent pairs of any word and the last word of the noun, like `classic lamp` of
/// `Acacia Classic Desk Lamp Karimo 27`.
fn select_common_terms(names: &[String]) -> Vec<String> {
    let mut pairs: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let name = name.to_lowercase();
        let mut words = name.rsplit(' ').skip(2);
        let noun = words.next().filter(|word| is_plain_word(word));
        for word in words.filter(|word| is_plain_word(word)) {
            if let Some(noun) = noun {
                *pairs.entry(format!("{word} {noun}")).or_default() += 1;
            }
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    pairs.into_iter().map(|(pair, _)| pair).take(SEARCH_TERM_COUNT).collect()
}

/// Returns whether a word has only one normalized form and is long enough for a prefix search.
fn is_plain_word(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Returns the average number of search hits.
async fn average_search_hits(db: &mut PgConnection, terms: &[String]) -> Result<f64> {
    let expressions: Vec<String> = terms
        .iter()
        .map(|term| term.split(' ').map(|word| format!("'{word}':*")).collect::<Vec<_>>().join(" & "))
        .collect();
    let average = sqlx::query_scalar(
        "SELECT avg((SELECT count(*) FROM product_search WHERE document @@ term::tsquery))::float8 \
         FROM unnest($1) AS term",
    );
    average.bind(expressions).fetch_one(db).await.map_err(|error| format!("the search cannot be tried: {error}"))
}
