//! Searching in every script: what is the same text, what is a word of it, and what a mistyped word is compared with.
//! Products are indexed again after an upgrade that changes their words, while searches find the previous ones.

use std::collections::{BTreeMap, BTreeSet};

use savannah::catalog::{
    queries::search_index::store_search_documents,
    search::{
        SearchDocument,
        spelling::{MAX_CANDIDATES_PER_WORD, load_candidates},
    },
    write::reindex::{INDEX_VERSION, enqueue_reindex, reindex_if_outdated},
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, TestApp, TestDatabase, parse_datetime, query_scalar,
        search_shop::{ShopProduct, insert_products},
        simple_product,
    },
};

integration_tests![
    search_in_every_script_finds_the_same_on_both_databases,
    apostrophe_word_is_found_along_with_a_longer_word_with_the_same_prefix,
    name_that_differs_by_a_letter_is_another_category,
    value_that_differs_by_a_letter_is_another_variant,
    typo_candidates_are_bounded,
    customer_search_folds_diacritics,
    products_with_words_of_an_earlier_version_are_indexed_again,
    command_enqueues_the_job,
];

const SEARCH_PRODUCTS: &str =
    "query($search: String) { products(first: 100, filter: { search: $search }) { nodes { name } } }";

/// The names that a search finds, sorted.
async fn search_names(app: &TestApp, search: &str) -> Vec<String> {
    let mut names = app
        .query_with_variables(SEARCH_PRODUCTS, json!({ "search": search }))
        .await
        .strings_at("/products/nodes", "name");
    names.sort();
    names
}

/// A shop with products of these names.
async fn start_app_with_products(backend: Backend, names: &[&str]) -> TestApp {
    let app = TestApp::start(backend).await;
    let product_inputs: Vec<_> =
        names.iter().enumerate().map(|(n, name)| simple_product(&format!("p{n}"), name, 10)).collect();
    app.save_products(&product_inputs).await;
    app
}

async fn search_in_every_script_finds_the_same_on_both_databases(backend: Backend) {
    let names = [
        "Łuk",
        "Øl glass",
        "Spaß",
        "Straßenkarte",
        "Œuvre print",
        "Ærø honey",
        "Đak pen",
        "Þór hammer",
        "Işık lamba",
        "无线蓝牙耳机",
        "ステンレス水筒",
        "무선이어폰",
        "iPhone手机壳",
        "カラス",
        "ガラス",
        "टोकरी",
        "टोकरा",
        "ก้า",
        "กา",
        "O'Neill Wetsuit",
        "L’arbre à chat",
        "Men’s Shirt",
        "Ng'ombe leather",
        "Rock'n'Roll poster",
        "май",
        "Маис",
        "Ёлка",
        "שָׁלוֹם",
        "أحمر",
        "Kettle",
        "Headphones",
    ];
    let app = start_app_with_products(backend, &names).await;
    let table: [(&str, &[&str]); 58] = [
        // Letters that Unicode does not take apart.
        ("luk", &["Łuk"]),
        ("ŁUK", &["Łuk"]),
        ("ol", &["Øl glass"]),
        ("spass", &["Spaß"]),
        ("SPAẞ", &["Spaß"]),
        ("strasse", &["Straßenkarte"]),
        ("oeuvre", &["Œuvre print"]),
        ("aero", &["Ærø honey"]),
        ("dak", &["Đak pen"]),
        ("thor", &["Þór hammer"]),
        ("isik", &["Işık lamba"]),
        // Pieces of what is written without blanks.
        ("耳机", &["无线蓝牙耳机"]),
        ("蓝牙", &["无线蓝牙耳机"]),
        ("蓝牙耳机", &["无线蓝牙耳机"]),
        ("机", &["iPhone手机壳", "无线蓝牙耳机"]),
        ("无", &["无线蓝牙耳机"]),
        ("耳牙", &[]),
        ("手机", &["iPhone手机壳"]),
        ("iphone", &["iPhone手机壳"]),
        ("手机iphone", &["iPhone手机壳"]),
        ("水筒", &["ステンレス水筒"]),
        ("筒", &["ステンレス水筒"]),
        ("ステンレス", &["ステンレス水筒"]),
        ("ｽﾃﾝﾚｽ", &["ステンレス水筒"]),
        ("이어폰", &["무선이어폰"]),
        ("무선 이어폰", &["무선이어폰"]),
        // Marks that make other letters.
        ("ガラス", &["ガラス"]),
        ("カラス", &["カラス"]),
        ("टोकरी", &["टोकरी"]),
        ("टोकर", &["टोकरा", "टोकरी"]),
        ("ก้า", &["ก้า"]),
        ("กา", &["กา"]),
        ("май", &["май"]),
        ("маи", &["Маис"]),
        ("елка", &["Ёлка"]),
        ("שלום", &["שָׁלוֹם"]),
        ("احمر", &["أحمر"]),
        // Apostrophes.
        ("oneill", &["O'Neill Wetsuit"]),
        ("o’neill", &["O'Neill Wetsuit"]),
        ("o neill", &["O'Neill Wetsuit"]),
        ("neill", &["O'Neill Wetsuit"]),
        ("larbre", &["L’arbre à chat"]),
        ("l'arbre", &["L’arbre à chat"]),
        ("arbre", &["L’arbre à chat"]),
        ("mens shirt", &["Men’s Shirt"]),
        ("menʼs shirt", &["Men’s Shirt"]),
        ("men shirt", &["Men’s Shirt"]),
        ("ngombe", &["Ng'ombe leather"]),
        ("rocknroll", &["Rock'n'Roll poster"]),
        ("rock 'n' roll", &["Rock'n'Roll poster"]),
        ("rock'n'roll", &["Rock'n'Roll poster"]),
        // Mistakes, in the first letter too.
        ("onneill", &["O'Neill Wetsuit"]),
        ("oneil", &["O'Neill Wetsuit"]),
        ("ettle", &["Kettle"]),
        ("xkettle", &["Kettle"]),
        ("ekttle", &["Kettle"]),
        ("jeadphones", &["Headphones"]),
        ("kettel kettel", &["Kettle"]),
    ];
    for (search, expected) in table {
        assert_eq!(search_names(&app, search).await, expected, "{search}");
    }
}

async fn apostrophe_word_is_found_along_with_a_longer_word_with_the_same_prefix(backend: Backend) {
    let app = start_app_with_products(backend, &["Men’s Shirt", "Menswear Hanger", "Rock 'n' Roll shirt"]).await;
    assert_eq!(search_names(&app, "mens shirt").await, ["Men’s Shirt"]);
    assert_eq!(search_names(&app, "men's shirt").await, ["Men’s Shirt"]);
    assert_eq!(search_names(&app, "mens").await, ["Menswear Hanger", "Men’s Shirt"]);
    assert_eq!(search_names(&app, "rock'n'roll").await, ["Rock 'n' Roll shirt"]);
}

async fn name_that_differs_by_a_letter_is_another_category(backend: Backend) {
    let app = TestApp::start(backend).await;
    let csv = |category: &str, n: usize| {
        format!("Handle,Title,Category,Variant SKU,Variant Price\np{n},P {n},{category},S{n},1\n")
    };
    let names =
        ["ハハ", "パパ", "カラス", "ガラス", "मूल", "माला", "กา", "ก้า", "Łuk", "Luk", "Café", "CAFE", "Ёлки", "елки"];
    for (n, name) in names.iter().enumerate() {
        let (_, import_messages) = app.import_products(csv(name, n)).await;
        assert_eq!(import_messages, [], "{name}");
    }
    let category_names = app.query("{ categories { name } }").await.strings_at("/categories", "name");
    let category_names: BTreeSet<_> = category_names.iter().map(String::as_str).collect();
    let expected = names.into_iter().filter(|name| !["CAFE", "елки"].contains(name)).collect();
    assert_eq!(category_names, expected);
}

async fn value_that_differs_by_a_letter_is_another_variant(backend: Backend) {
    let app = TestApp::start(backend).await;
    let rows = "toy,Toy,Kind,バス,T1,1\ntoy,,,パス,T2,1\ntoy,,,بَص,T3,1\n";
    let header = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n";
    let (outcome, import_messages) = app.import_products(format!("{header}{rows}")).await;
    assert_eq!((outcome.variants, import_messages), (3, vec![]));
    let chosen =
        r#"{ products(first: 9, filter: { options: [{ name: "kind", values: ["パス", "بص"] }] }) { totalCount } }"#;
    assert_eq!(*app.query(chosen).await.data_at("/products/totalCount"), Value::from(1));
    let values = app.query(r#"{ product(slug: "toy") { options { values } } }"#).await;
    assert_eq!(*values.data_at("/product/options/0/values"), json!(["バス", "パス", "بَص"]));
}

/// Words that could be of a language: as many as asked for, each once.
fn generate_vocabulary(size: usize) -> Vec<String> {
    const SYLLABLES: [&str; 34] = [
        "ba", "con", "de", "er", "fi", "gra", "ho", "in", "jo", "ka", "lu", "mer", "no", "or", "pre", "qui", "re",
        "sa", "ti", "un", "ver", "wa", "xe", "ya", "zo", "ing", "tion", "ed", "es", "ly", "al", "ist", "ous", "ment",
    ];
    let make_word = |number: usize| {
        let syllables = [number % 34, number / 34 % 34, number / 1_156 % 34];
        syllables.map(|syllable| SYLLABLES[syllable]).concat()
    };
    let words: BTreeSet<String> = (0..39_304).map(make_word).collect();
    words.into_iter().take(size).collect()
}

async fn typo_candidates_are_bounded(backend: Backend) {
    let app = TestApp::start(backend).await;
    let vocabulary_words = generate_vocabulary(38_000);
    assert_eq!(vocabulary_words.len(), 38_000);
    for words in vocabulary_words.chunks(2_000) {
        let row = |text: &String| {
            let backwards: String = text.chars().rev().collect();
            format!("('{text}', '{backwards}', '{}{}')", &text[..1], &backwards[..1])
        };
        let rows = words.iter().map(row).collect::<Vec<_>>().join(", ");
        app.execute_sql(&format!("INSERT INTO search_term (term, reversed, end_letters) VALUES {rows}"))
            .await
            .expect("words");
    }
    // The first letter is another; or the second and the third have changed places.
    let other: fn(&str) -> String = |text| format!("é{}", &text[1..]);
    let swapped: fn(&str) -> String = |text| format!("{}{}{}{}", &text[..1], &text[2..3], &text[1..2], &text[3..]);
    let mistyped = |text: &&String| {
        text.len() >= 8 && !vocabulary_words.iter().any(|vocabulary_words| vocabulary_words.starts_with(&swapped(text)))
    };
    let right: Vec<&String> = vocabulary_words.iter().step_by(500).filter(mistyped).take(12).collect();
    assert_eq!(right.len(), 12);
    for typo in [other, swapped] {
        let search_term: Vec<String> = right.iter().map(|text| typo(text)).collect();
        let terms: Vec<&str> = search_term.iter().map(String::as_str).collect();
        let matched_candidates = load_candidates(&app.db, &terms).await.expect("candidates");
        for (search_term, right) in search_term.iter().zip(&right) {
            let nearby = matched_candidates.iter().filter(|candidate| candidate.typed == *search_term);
            assert!(nearby.clone().any(|candidate| candidate.suggestion == **right), "{search_term} for {right}");
            assert!(nearby.count() <= MAX_CANDIDATES_PER_WORD, "{search_term}");
        }
        // Even where all words are made of a few syllables, far fewer than the bound.
        assert!(matched_candidates.len() < 12 * MAX_CANDIDATES_PER_WORD / 2, "{}", matched_candidates.len());
    }
    // A prefix of a vocabulary word has only itself as a candidate.
    let (word, beginning) = (vocabulary_words[0].as_str(), &vocabulary_words[0][..4]);
    let own_candidates = load_candidates(&app.db, &["ab", word, beginning, &word[..3]]).await.expect("candidates");
    for typed in [word, beginning] {
        assert!(own_candidates.iter().any(|candidate| candidate.typed == typed), "{typed}");
    }
    assert!(own_candidates.iter().all(|candidate| candidate.suggestion == candidate.typed));
}

async fn customer_search_folds_diacritics(backend: Backend) {
    let app = TestApp::start(backend).await;
    let register = |email: &str, last: &str| {
        format!(
            r#"mutation {{ customerRegister(input: {{ email: "{email}", password: "correct horse 8", firstName: "Józef",
            lastName: "{last}" }}) {{ userErrors {{ message }} }} }}"#
        )
    };
    app.query(&register("jozef@example.com", "Łaski")).await;
    let token = app.login(savannah::identity::Role::Admin).await;
    for search in ["laski", "Łaski", "jozef las", "jozef@example"] {
        let query = "query($s: String) { customers(first: 9, filter: { search: $s }) { nodes { email } } }";
        let response = app.query_as(&token, query, json!({ "s": search })).await;
        assert_eq!(response.strings_at("/customers/nodes", "email"), ["jozef@example.com"], "{search}");
    }
}

/// More products than a job indexes.
const PRODUCT_COUNT: i64 = 450;
const PENDING: &str = "SELECT count(*) FROM job WHERE kind = 'search.reindex' AND status = 'pending'";

async fn count_matches(app: &TestApp, search: &str) -> i64 {
    let query = "query($search: String) { products(first: 0, filter: { search: $search }) { totalCount } }";
    let response = app.query_with_variables(query, json!({ "search": search })).await;
    response.data_at("/products/totalCount").as_i64().expect("a count")
}

async fn products_with_words_of_an_earlier_version_are_indexed_again(backend: Backend) {
    let app = TestApp::start(backend).await;
    let product = |number: i64| ShopProduct {
        id: number,
        name: format!("Brass lamp {number}"),
        other_words: Vec::new(),
        sku: format!("S{number}"),
        created_at: parse_datetime("2026-10-01T00:00:00Z"),
        is_active: true,
        in_stock: true,
        price: 100,
    };
    insert_products(&app, &(1..=PRODUCT_COUNT).map(product).collect::<Vec<_>>()).await;
    let previous_words = |number: i64| {
        let mut document = SearchDocument::default();
        document.add_name("previousword");
        (number, document)
    };
    let documents: BTreeMap<i64, SearchDocument> = (1..=PRODUCT_COUNT).map(previous_words).collect();
    app.db.write(async |tx| store_search_documents(tx, &documents).await).await.expect("documents");
    app.execute_sql("UPDATE product SET name_normalized = 'previousword ' || id").await.expect("names");
    app.execute_sql("UPDATE search_index_version SET version = 0").await.expect("a version");

    // Twice, as two workers that start do.
    for _ in 0..2 {
        reindex_if_outdated(&app.db).await.expect("a job");
    }
    assert_eq!(app.query_scalar(PENDING).await, 1);
    assert_eq!((count_matches(&app, "previousword").await, count_matches(&app, "brass").await), (PRODUCT_COUNT, 0));
    app.drain_jobs().await;
    assert_eq!((count_matches(&app, "previousword").await, count_matches(&app, "brass").await), (0, PRODUCT_COUNT));
    let renamed = "SELECT count(*) FROM product WHERE name_normalized = 'brass lamp ' || id";
    assert_eq!(app.query_scalar(renamed).await, PRODUCT_COUNT);
    assert_eq!(app.query_scalar("SELECT version FROM search_index_version").await, i64::from(INDEX_VERSION));

    // The words are current, so that no job is enqueued unless someone asks for it.
    reindex_if_outdated(&app.db).await.expect("no job");
    assert_eq!(app.query_scalar(PENDING).await, 0);
    enqueue_reindex(&app.db).await.expect("a job");
    app.drain_jobs().await;
    assert_eq!(count_matches(&app, "brass").await, PRODUCT_COUNT);
}

async fn command_enqueues_the_job(backend: Backend) {
    let (sandbox, database) = CliSandbox::with_empty_database(backend, &[]).await;
    for command in [&["migrate"][..], &["search", "reindex"]] {
        let exited = sandbox.run_command(command, &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    }
    let file = format!("sqlite://{}", sandbox.path().join("data/savannah.db").display());
    let database = if backend == Backend::Sqlite { TestDatabase::at(&file) } else { database };
    assert_eq!(query_scalar(&database.connect().await, PENDING).await, 1);
}
