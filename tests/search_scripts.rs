//! Searching in every script: what is the same text, what is a word of it, and what a mistyped word is compared with.

use std::collections::BTreeSet;

use savannah::catalog::search::near::{CANDIDATES_PER_WORD, candidates};
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Shop, simple},
    stories,
};

stories![
    search_in_every_script_finds_the_same_on_both_databases,
    apostrophe_word_is_found_beside_another_that_begins_so,
    name_that_differs_by_a_letter_is_another_category,
    value_that_differs_by_a_letter_is_another_variant,
    mistyped_words_are_compared_with_a_bounded_number,
    customer_is_found_by_plain_letters,
];

const FIND: &str = "query($search: String) { products(first: 100, filter: { search: $search }) { nodes { name } } }";

/// The names that a search finds, sorted.
async fn find(shop: &Shop, search: &str) -> Vec<String> {
    let mut names = shop.ask_with(FIND, json!({ "search": search })).await.texts("/products/nodes", "name");
    names.sort();
    names
}

/// A shop with products of these names.
async fn named(backend: Backend, names: &[&str]) -> Shop {
    let shop = Shop::open(backend).await;
    let drafts: Vec<_> = names.iter().enumerate().map(|(n, name)| simple(&format!("p{n}"), name, 10)).collect();
    shop.shelve(&drafts).await;
    shop
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
    let shop = named(backend, &names).await;
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
        assert_eq!(find(&shop, search).await, expected, "{search}");
    }
}

async fn apostrophe_word_is_found_beside_another_that_begins_so(backend: Backend) {
    let shop = named(backend, &["Men’s Shirt", "Menswear Hanger", "Rock 'n' Roll shirt"]).await;
    assert_eq!(find(&shop, "mens shirt").await, ["Men’s Shirt"]);
    assert_eq!(find(&shop, "men's shirt").await, ["Men’s Shirt"]);
    assert_eq!(find(&shop, "mens").await, ["Menswear Hanger", "Men’s Shirt"]);
    assert_eq!(find(&shop, "rock'n'roll").await, ["Rock 'n' Roll shirt"]);
}

async fn name_that_differs_by_a_letter_is_another_category(backend: Backend) {
    let shop = Shop::open(backend).await;
    let csv = |category: &str, n: usize| {
        format!("Handle,Title,Category,Variant SKU,Variant Price\np{n},P {n},{category},S{n},1\n")
    };
    let names =
        ["ハハ", "パパ", "カラス", "ガラス", "मूल", "माला", "กา", "ก้า", "Łuk", "Luk", "Café", "CAFE", "Ёлки", "елки"];
    for (n, name) in names.iter().enumerate() {
        let (_, remarks) = shop.import(csv(name, n)).await;
        assert_eq!(remarks, [], "{name}");
    }
    let found = shop.ask("{ categories { name } }").await.texts("/categories", "name");
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let expected = names.into_iter().filter(|name| !["CAFE", "елки"].contains(name)).collect();
    assert_eq!(found, expected);
}

async fn value_that_differs_by_a_letter_is_another_variant(backend: Backend) {
    let shop = Shop::open(backend).await;
    let rows = "toy,Toy,Kind,バス,T1,1\ntoy,,,パス,T2,1\ntoy,,,بَص,T3,1\n";
    let header = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n";
    let (outcome, remarks) = shop.import(format!("{header}{rows}")).await;
    assert_eq!((outcome.variants, remarks), (3, vec![]));
    let chosen =
        r#"{ products(first: 9, filter: { options: [{ name: "kind", values: ["パス", "بص"] }] }) { totalCount } }"#;
    assert_eq!(*shop.ask(chosen).await.at("/products/totalCount"), Value::from(1));
    let values = shop.ask(r#"{ product(slug: "toy") { options { values } } }"#).await;
    assert_eq!(*values.at("/product/options/0/values"), json!(["バス", "パス", "بَص"]));
}

/// Words that could be of a language: as many as asked for, each once.
fn vocabulary(size: usize) -> Vec<String> {
    const SYLLABLES: [&str; 34] = [
        "ba", "con", "de", "er", "fi", "gra", "ho", "in", "jo", "ka", "lu", "mer", "no", "or", "pre", "qui", "re",
        "sa", "ti", "un", "ver", "wa", "xe", "ya", "zo", "ing", "tion", "ed", "es", "ly", "al", "ist", "ous", "ment",
    ];
    let word = |number: usize| {
        let places = [number % 34, number / 34 % 34, number / 1_156 % 34];
        places.map(|place| SYLLABLES[place]).concat()
    };
    let words: BTreeSet<String> = (0..39_304).map(word).collect();
    words.into_iter().take(size).collect()
}

async fn mistyped_words_are_compared_with_a_bounded_number(backend: Backend) {
    let shop = Shop::open(backend).await;
    let known = vocabulary(38_000);
    assert_eq!(known.len(), 38_000);
    for words in known.chunks(2_000) {
        let row = |word: &String| {
            let backwards: String = word.chars().rev().collect();
            format!("('{word}', '{backwards}', '{}{}')", &word[..1], &backwards[..1])
        };
        let rows = words.iter().map(row).collect::<Vec<_>>().join(", ");
        shop.sql(&format!("INSERT INTO search_word (word, backwards, ends) VALUES {rows}")).await.expect("words");
    }
    // The first letter is another; or the second and the third have changed places.
    let other: fn(&str) -> String = |word| format!("é{}", &word[1..]);
    let swapped: fn(&str) -> String = |word| format!("{}{}{}{}", &word[..1], &word[2..3], &word[1..2], &word[3..]);
    let mistyped = |word: &&String| word.len() >= 8 && !known.iter().any(|known| known.starts_with(&swapped(word)));
    let right: Vec<&String> = known.iter().step_by(500).filter(mistyped).take(12).collect();
    assert_eq!(right.len(), 12);
    for slip in [other, swapped] {
        let typed: Vec<String> = right.iter().map(|word| slip(word)).collect();
        let asked: Vec<&str> = typed.iter().map(String::as_str).collect();
        let found = candidates(&shop.db, &asked).await.expect("candidates");
        for (typed, right) in typed.iter().zip(&right) {
            let near = found.iter().filter(|one| one.typed == *typed);
            assert!(near.clone().any(|one| one.known == **right), "{typed} for {right}");
            assert!(near.count() <= CANDIDATES_PER_WORD, "{typed}");
        }
        // Even where all words are made of a few syllables, far fewer than the bound.
        assert!(found.len() < 12 * CANDIDATES_PER_WORD / 2, "{}", found.len());
    }
    assert_eq!(candidates(&shop.db, &["ab", known[0].as_str(), &known[0][..3]]).await.expect("candidates"), []);
}

async fn customer_is_found_by_plain_letters(backend: Backend) {
    let shop = Shop::open(backend).await;
    let register = |email: &str, last: &str| {
        format!(
            r#"mutation {{ customerRegister(input: {{ email: "{email}", password: "correct horse 8", firstName: "Józef",
            lastName: "{last}" }}) {{ userErrors {{ message }} }} }}"#
        )
    };
    shop.ask(&register("jozef@example.com", "Łaski")).await;
    let token = shop.sign_in(savannah::identity::Role::Admin).await;
    for search in ["laski", "Łaski", "jozef las", "jozef@example"] {
        let query = "query($s: String) { customers(first: 9, filter: { search: $s }) { nodes { email } } }";
        let found = shop.ask_as(&token, query, json!({ "s": search })).await;
        assert_eq!(found.texts("/customers/nodes", "email"), ["jozef@example.com"], "{search}");
    }
}
