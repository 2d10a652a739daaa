//! Searching: the same words find the same products on both databases.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use savannah::catalog::ProductDraft;
use serde_json::{Value, json};

use crate::{
    shop::{
        Backend, Shop,
        model::{Dice, Wish, search_words},
        simple,
    },
    stories,
};

stories![
    words_and_their_beginnings_find_what_the_model_finds,
    all_words_must_be_there,
    case_and_accents_do_not_matter,
    a_slip_of_the_fingers_is_forgiven,
    a_slip_is_not_forgiven_where_the_word_is_known,
    the_name_counts_for_more_than_the_rest,
    an_exact_sku_comes_first,
    everything_about_a_product_finds_it,
    operators_are_only_text,
    letters_of_every_script_are_found,
    what_has_just_changed_is_found_at_once,
    long_searches_are_answered,
];

const FIND: &str =
    "query($search: String) { products(first: 100, filter: { search: $search }) { totalCount nodes { slug } } }";

/// The slugs that a search finds, in order.
async fn find(shop: &Shop, search: &str) -> Vec<String> {
    shop.ask_with(FIND, json!({ "search": search })).await.texts("/products/nodes", "slug")
}

async fn words_and_their_beginnings_find_what_the_model_finds(backend: Backend) {
    let (shop, things) = Shop::stocked(backend).await;
    let words: Vec<String> =
        things.iter().flat_map(|thing| thing.words.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut dice = Dice(7);
    for turn in 0..150 {
        let mut search = dice.pick(&words).clone();
        if turn % 3 == 0 && search.chars().count() > 3 {
            search = search.chars().take(2 + dice.below(2)).collect();
        } else if turn % 3 == 1 {
            let other: Vec<_> = dice.pick(&things).words.iter().collect();
            search = format!("{search} {}", dice.pick(&other));
        }
        let wish = Wish { search: Some(search.clone()), ..Wish::default() };
        let mut expected = wish.slugs(&things, "RELEVANCE", false);
        let answer = shop.ask_with(FIND, json!({ "search": search })).await;
        assert_eq!(answer.at("/products/totalCount"), &json!(expected.len()), "{search}");
        expected.truncate(100);
        assert_eq!(answer.texts("/products/nodes", "slug"), expected, "{search}");
    }
}

async fn all_words_must_be_there(backend: Backend) {
    let shop = Shop::demo(backend).await;
    assert_eq!(find(&shop, "mug glazed nairobi").await, ["mug"]);
    assert_eq!(find(&shop, "nairobi mug").await, ["mug"]);
    assert_eq!(find(&shop, "mug stoneware terracotta").await, ["mug"]);
    assert_eq!(find(&shop, "mug binoculars").await, Vec::<String>::new());
}

async fn case_and_accents_do_not_matter(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut other = simple("other", "NANDU GIROS", 10);
    other.vendor = Some("Ælf & ﬁne".into());
    shop.shelve(&[simple("cafe", "Café CRÈME brûlée", 10), other, simple("istanbul", "İSTANBUL Straße", 10)]).await;
    for typed in ["cafe creme", "CAFÉ", "crème", "BRULEE", "cafe\u{301}"] {
        assert_eq!(find(&shop, typed).await, ["cafe"], "{typed}");
    }
    assert_eq!(find(&shop, "ñandú").await, ["other"]);
    assert_eq!(find(&shop, "FINE æLF").await, ["other"]);
    assert_eq!(find(&shop, "istanbul").await, ["istanbul"]);
    assert_eq!(find(&shop, "straße").await, ["istanbul"]);
}

async fn a_slip_of_the_fingers_is_forgiven(backend: Backend) {
    let shop = Shop::open(backend).await;
    let names = ["Chair", "Shirt", "Lamp", "Headphones", "Kettle", "Blanket", "Kitchenware", "Table"];
    let drafts: Vec<_> = names.iter().map(|name| simple(&name.to_lowercase(), name, 10)).collect();
    shop.shelve(&drafts).await;
    let slips = [
        ("chiar", "chair"),
        ("shrit", "shirt"),
        ("lapm", "lamp"),
        ("lump", "lamp"),
        ("headfones", "headphones"),
        ("haedphoens", "headphones"),
        ("kettel", "kettle"),
        ("blamket", "blanket"),
        ("blanketts", "blanket"),
        ("kithcenwar", "kitchenware"),
        ("tabel", "table"),
        ("tabke", "table"),
    ];
    for (typed, meant) in slips {
        assert_eq!(find(&shop, typed).await, [meant], "{typed}");
    }
    assert_eq!(find(&shop, "zebra").await, Vec::<String>::new());
    assert_eq!(find(&shop, "lap tabel").await, Vec::<String>::new());
}

async fn a_slip_is_not_forgiven_where_the_word_is_known(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.shelve(&[simple("chair", "Chair", 10), simple("choir", "Choirbook", 10)]).await;
    assert_eq!(find(&shop, "choir").await, ["choir"]);
    assert_eq!(find(&shop, "chair").await, ["chair"]);
    // Two words are as near, one of them a name: both are meant, the name first.
    assert_eq!(find(&shop, "chzir").await, ["chair", "choir"]);
}

async fn the_name_counts_for_more_than_the_rest(backend: Backend) {
    let shop = Shop::open(backend).await;
    let described =
        ProductDraft { description_html: Some("<p>Goes with a copper pot.</p>".into()), ..simple("lid", "Lid", 10) };
    let tagged = ProductDraft { tags: Some(vec!["copper".into()]), ..simple("spoon", "Spoon", 10) };
    let in_name = simple("pot", "Large Copper Pot", 10);
    let begins = simple("wire", "Copper Wire", 10);
    let exact = simple("copper", "Copper", 10);
    // Made in this order, the newest would come last.
    shop.shelve(&[exact, begins, in_name, tagged, described]).await;
    assert_eq!(find(&shop, "copper").await, ["copper", "wire", "pot", "lid", "spoon"]);
    assert_eq!(find(&shop, "copp").await, ["wire", "copper", "pot", "lid", "spoon"]);
}

async fn an_exact_sku_comes_first(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mut wanted = simple("wanted", "Something", 10);
    wanted.variants[0].sku = Some("AB-12".into());
    let mut longer = simple("longer", "Something else", 10);
    longer.variants[0].sku = Some("AB-123".into());
    shop.shelve(&[wanted, longer, simple("named", "The AB 12 holder", 10)]).await;
    assert_eq!(find(&shop, "AB-12").await, ["wanted", "named", "longer"]);
    assert_eq!(find(&shop, " ab-12 ").await, ["wanted", "named", "longer"]);
    assert_eq!(find(&shop, "ab-123").await, ["longer"]);
}

async fn everything_about_a_product_finds_it(backend: Backend) {
    let shop = Shop::demo(backend).await;
    for (typed, slug) in [
        ("kiondo", "kiondo-basket"),
        ("sisal", "kiondo-basket"),
        ("jewellery statement", "beaded-collar"),
        ("BAS-KIO-L-IND", "kiondo-basket"),
        ("kitui indigo", "kiondo-basket"),
        ("cherry honey", "kirinyaga-peaberry"),
        ("2–3 years", "kids-lion-t-shirt"),
    ] {
        assert!(find(&shop, typed).await.contains(&slug.to_owned()), "{typed}");
    }
    // What is not for everybody to see is not found, and its tags do not leak.
    for hidden in ["duffel", "printed park map", "script", "strong"] {
        let found = find(&shop, hidden).await;
        assert!(!found.iter().any(|slug| slug == "canvas-duffel" || slug == "paper-safari-map"), "{hidden}: {found:?}");
    }
}

async fn operators_are_only_text(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let mug = find(&shop, "mug").await;
    assert_eq!(mug.len(), 3, "{mug:?}");
    for typed in [
        "-mug",
        "mug*",
        "\"mug\"",
        "mug:*",
        "'mug'",
        "(mug",
        "mug)",
        "^mug",
        "+mug",
        "!mug",
        "mug\\",
        "~mug",
        "{name} : mug",
    ] {
        let expected = if typed.contains("name") { &[][..] } else { &mug };
        assert_eq!(find(&shop, typed).await, expected, "{typed}");
    }
    for typed in [
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        "NEAR(mug coffee, 2)",
        "'",
        "''",
        "\"",
        "&|!",
        "*",
        "a:*",
        "<->",
        "mug <-> cup",
        "\\",
        "%",
        "_",
        "mug AND NOT coffee",
        "rowid:1",
        "name:mug",
        ":",
        "()",
        "👩‍🚀",
        "🅰",
        "a🅰b",
        "mug 🅰",
        "\u{200d}",
        "\u{301}",
        "𐵐𐵑",
    ] {
        let answer = shop.ask_with(FIND, json!({ "search": typed })).await;
        assert!(answer.body.get("errors").is_none(), "{typed}: {}", answer.body);
    }
    for nothing in ["", " ", "\t\n", "&|!", "''", "\u{301}"] {
        assert_eq!(find(&shop, nothing).await, Vec::<String>::new(), "{nothing:?}");
    }
}

async fn letters_of_every_script_are_found(backend: Backend) {
    let shop = Shop::open(backend).await;
    let names = ["чайник", "ถ้วย", "カップ麺", "हिन्दी", "كوب", "a🅰b", "𐵐𐵑", "Ⅷ", "½ pint", "x²y", "ꭓꭓꭓ", "𞤀𞤣𞤤"];
    let drafts: Vec<_> = names.iter().enumerate().map(|(n, name)| simple(&format!("p{n}"), name, 10)).collect();
    shop.shelve(&drafts).await;
    for (n, name) in names.iter().enumerate() {
        let found = find(&shop, name).await;
        assert_eq!(found, [format!("p{n}")], "{name}");
        let start: String = search_words(name).next().expect("a word").chars().take(2).collect();
        assert!(find(&shop, &start).await.contains(&format!("p{n}")), "{start} of {name}");
    }
}

async fn what_has_just_changed_is_found_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let change = async |draft: ProductDraft| {
        shop.clock.set(shop.clock.now() + TimeDelta::seconds(1));
        shop.shelve(&[draft]).await;
    };
    let thing = |name: &str| ProductDraft { name: Some(name.into()), ..simple("thing", "", 10) };
    change(thing("Teapot")).await;
    assert_eq!(find(&shop, "teapot").await, ["thing"]);
    change(thing("Kettle")).await;
    assert_eq!(find(&shop, "teapot").await, Vec::<String>::new());
    assert_eq!(find(&shop, "kettle").await, ["thing"]);
    change(ProductDraft { tags: Some(vec!["whistling".into()]), ..thing("Kettle") }).await;
    assert_eq!(find(&shop, "whistling kettle").await, ["thing"]);
    change(ProductDraft { description_html: Some("<b>Enamel</b>led".into()), ..thing("Kettle") }).await;
    assert_eq!(find(&shop, "enamelled whistling").await, ["thing"]);
    let mut coloured = ProductDraft { options: vec!["Colour".into()], ..thing("Kettle") };
    coloured.variants[0].options = vec!["Crimson".into()];
    change(coloured).await;
    assert_eq!(find(&shop, "crimson").await, ["thing"]);
    shop.sql("DELETE FROM product").await.expect("a deletion");
    assert_eq!(find(&shop, "kettle").await, Vec::<String>::new());
    assert_eq!(shop.ask("{ products { totalCount } }").await.at("/products/totalCount"), &Value::from(0));
}

async fn long_searches_are_answered(backend: Backend) {
    let shop = Shop::open(backend).await;
    let word = "donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft";
    shop.shelve(&[simple("long", word, 10)]).await;
    assert_eq!(find(&shop, word).await, ["long"]);
    assert_eq!(find(&shop, &word[..45]).await, ["long"]);
    assert_eq!(find(&shop, &format!("{} x", &word[..30])).await, Vec::<String>::new());
    assert_eq!(find(&shop, &"do ".repeat(66)).await, ["long"]);
    assert_eq!(find(&shop, &"y".repeat(200)).await, Vec::<String>::new());
}
