//! The questions, and what is filled in, taken from the database so that it is there to be found.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::ValueEnum;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use crate::Result;

/// So many different products are asked for.
const SLUGS: i64 = 500;
/// So many different words are searched for.
const TERMS: usize = 100;
/// So many names are read to find words.
const NAMES: i64 = 20_000;
/// A category with about so many below it is the one that is listed.
const BELOW: i64 = 100;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// The first page of the shop.
    Listing,
    /// The same, asked by somebody who has signed in.
    SignedIn,
    /// The first page with the first variants of each product.
    Variants,
    /// The first page of a category and everything below it.
    Category,
    /// One product with the way to it.
    Product,
    /// Three levels of the category tree with their counts.
    Tree,
    /// A word that a few products have.
    SearchRare,
    /// Two words that many products have.
    SearchCommon,
}

impl Kind {
    /// What the table calls it.
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

    /// The operation's name and text.
    const fn operation(self) -> (&'static str, &'static str) {
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
                "query Category($id: ID!) { products(first: 24, filter: { category: $id }) { \
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

    fn body(self, variables: &Value) -> String {
        let (name, text) = self.operation();
        let mut body = json!({ "query": text, "operationName": name });
        if !variables.is_null() {
            body["variables"] = variables.clone();
        }
        body.to_string()
    }
}

/// A question with everything that is filled in, as bodies of requests.
#[derive(Debug)]
pub struct Scenario {
    /// Which.
    pub kind: Kind,
    /// One for each set of variables.
    pub bodies: Vec<String>,
}

/// All questions for one database, and what its category holds.
#[derive(Debug)]
pub struct Questions {
    /// In the order of the table.
    pub scenarios: Vec<Scenario>,
    /// How many categories are below the one that is listed.
    pub below: i64,
    /// How many products the searches for rare words, and for common ones, find on average.
    pub found: (f64, f64),
}

impl Questions {
    /// Chooses what to ask a database.
    pub async fn draw(db: &mut PgConnection) -> Result<Self> {
        let (category, below) = category(db).await?;
        let slugs = column(
            db,
            "SELECT slug FROM product WHERE status = 'active' AND deleted_at IS NULL ORDER BY md5(id::text) LIMIT $1",
            SLUGS,
        )
        .await?;
        // Another order than that of the slugs, so that a search does not find what was just read.
        let names = column(
            db,
            "SELECT name FROM product WHERE status = 'active' AND deleted_at IS NULL ORDER BY md5('n' || id) LIMIT $1",
            NAMES,
        )
        .await?;
        let (rare, common) = (rare(&names), common(&names));
        if slugs.is_empty() || rare.is_empty() || common.is_empty() {
            return Err("the database holds no products whose words could be searched for".to_owned());
        }
        let found = (average(db, &rare).await?, average(db, &common).await?);
        let searches = |terms: &[String]| terms.iter().map(|term| json!({ "search": term })).collect();
        let scenarios = [
            (Kind::Listing, vec![Value::Null]),
            (Kind::SignedIn, vec![Value::Null]),
            (Kind::Variants, vec![Value::Null]),
            (Kind::Category, vec![json!({ "id": BASE64_URL_SAFE_NO_PAD.encode(format!("Category:{category}")) })]),
            (Kind::Product, slugs.iter().map(|slug| json!({ "slug": slug })).collect()),
            (Kind::Tree, vec![Value::Null]),
            (Kind::SearchRare, searches(&rare)),
            (Kind::SearchCommon, searches(&common)),
        ];
        let scenario = |(kind, variables): (Kind, Vec<Value>)| Scenario {
            kind,
            bodies: variables.iter().map(|variables| kind.body(variables)).collect(),
        };
        Ok(Self { scenarios: scenarios.into_iter().map(scenario).collect(), below, found })
    }

    /// The sign-in of a new customer.
    pub fn register(number: u128) -> String {
        let query = format!(
            "mutation {{ customerRegister(input: {{ email: \"bench{number}@example.com\", password: \"measured twice\" }}) \
             {{ tokens {{ accessToken }} }} }}"
        );
        json!({ "query": query }).to_string()
    }

    /// The question that tells whether a server is there.
    pub fn first() -> String {
        Kind::Listing.body(&Value::Null)
    }
}

/// The category with about a hundred below it, and how many those are.
async fn category(db: &mut PgConnection) -> Result<(i64, i64)> {
    let row = sqlx::query(
        "SELECT above::bigint AS id, count(*) - 1 AS below FROM category, \
         unnest(string_to_array(trim(both '/' FROM path), '/')) AS above \
         WHERE deleted_at IS NULL GROUP BY 1 ORDER BY abs(count(*) - 1 - $1), 1 LIMIT 1",
    )
    .bind(BELOW)
    .fetch_one(db)
    .await;
    let read = row.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    read.map_err(|why| format!("no category can be chosen: {why}"))
}

async fn column(db: &mut PgConnection, sql: &'static str, limit: i64) -> Result<Vec<String>> {
    let texts = sqlx::query_scalar(sql).bind(limit).fetch_all(db).await;
    texts.map_err(|why| format!("the products cannot be read: {why}"))
}

/// `karimo` of `Acacia Classic Desk Lamp Karimo 27`.
fn rare(names: &[String]) -> Vec<String> {
    let model = |name: &String| name.rsplit(' ').nth(1).map(str::to_lowercase).filter(|word| plain(word));
    names.iter().filter_map(model).collect::<BTreeSet<_>>().into_iter().take(TERMS).collect()
}

/// The most frequent pairs like `classic lamp` of `Acacia Classic Desk Lamp Karimo 27`: any word and the noun's last.
fn common(names: &[String]) -> Vec<String> {
    let mut pairs: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let name = name.to_lowercase();
        let mut words = name.rsplit(' ').skip(2);
        let noun = words.next().filter(|word| plain(word));
        for word in words.filter(|word| plain(word)) {
            if let Some(noun) = noun {
                *pairs.entry(format!("{word} {noun}")).or_default() += 1;
            }
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by(|(a, often), (b, other)| other.cmp(often).then_with(|| a.cmp(b)));
    pairs.into_iter().map(|(pair, _)| pair).take(TERMS).collect()
}

/// Such a word is folded in one way only, and its beginning counts.
fn plain(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|letter| letter.is_ascii_lowercase())
}

/// How many products a search finds on average.
async fn average(db: &mut PgConnection, terms: &[String]) -> Result<f64> {
    let expressions: Vec<String> = terms
        .iter()
        .map(|term| term.split(' ').map(|word| format!("'{word}':*")).collect::<Vec<_>>().join(" & "))
        .collect();
    let average = sqlx::query_scalar(
        "SELECT avg((SELECT count(*) FROM product_search WHERE document @@ term::tsquery))::float8 \
         FROM unnest($1) AS term",
    );
    average.bind(expressions).fetch_one(db).await.map_err(|why| format!("the search cannot be tried: {why}"))
}
