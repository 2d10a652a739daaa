//! Row locks: what is being bought can be edited, and whoever edits does not make buyers wait in a circle.

use futures_util::future::{join, join_all};
use savannah::{catalog::reprice, identity::Role};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    rush::{all_is_well, open, told},
    shop::{Backend, Shop, number, simple},
    stories,
};

stories![row_referenced_by_an_open_transaction_can_be_edited, product_edited_while_it_is_bought_gives_no_deadlock,];

const EDITS: [(&str, &str, &str); 6] = [
    ("productUpdate", "ProductUpdateInput!", r#"{ "name": "Mug, large", "vendor": "Kiln", "tags": ["new"] }"#),
    ("productUpdate", "ProductUpdateInput!", r#"{ "description": "<p>Deep.</p>" }"#),
    ("variantUpdate", "ProductVariantInput!", r#"{ "price": "120.00" }"#),
    ("variantUpdate", "ProductVariantInput!", r#"{ "price": "120.00", "salePrice": "90.00", "stockQuantity": 500 }"#),
    ("productArchive", "", "null"),
    ("productUpdate", "ProductUpdateInput!", r#"{ "status": "ACTIVE" }"#),
];

/// One of the mutations of the catalog, by the id of what it changes.
async fn edit(shop: &Shop, staff: &str, (mutation, kind, input): (&str, &str, &str), ids: (&str, &str)) {
    let id = if mutation.starts_with("variant") { ids.1 } else { ids.0 };
    let (declared, passed) = match kind {
        "" => (String::new(), ""),
        kind => (format!(", $input: {kind}"), ", input: $input"),
    };
    let query = format!(
        "mutation($id: ID!{declared}) {{ {mutation}(id: $id{passed}) {{ userErrors {{ code field message }} }} }}"
    );
    let input: Value = serde_json::from_str(input).expect("JSON");
    let answer = shop.ask_as(staff, &query, json!({ "id": id, "input": input })).await;
    assert_eq!(answer.problems(mutation), [], "{mutation} {input}: {}", answer.body);
}

async fn row_referenced_by_an_open_transaction_can_be_edited(backend: Backend) {
    // Who waits for a lock longer than this has failed: it is held until all edits are done.
    let settings = [("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "2"), ("SAVANNAH_DATABASE__CONNECTIONS", "6")];
    let shop = Shop::open_with(backend, &settings).await;
    let variant = shop.good("mug", 100, Some(20)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let product = shop.ask("{ product(slug: \"mug\") { id } }").await;
    let product = product.at("/product/id").as_str().expect("an id").to_owned();
    let cart = shop.cart(None, &[(&variant, 1)]).await;
    // Each row that these refer to is locked as foreign keys lock: the product, its variant, the cart.
    let references = [
        "INSERT INTO product_tag (tag_key, product_id, tag) SELECT 'open', id, 'open' FROM product",
        "INSERT INTO cart (word, state, version, created_at, updated_at) \
         VALUES ('a word of another shopper, as long as words are', 'open', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
         SELECT c.id, v.id, 0, 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM cart AS c, variant AS v \
         WHERE NOT EXISTS (SELECT 1 FROM cart_line AS l WHERE l.cart_id = c.id)",
    ];
    let work = async || {
        for one in EDITS {
            edit(&shop, &staff, one, (&product, &variant)).await;
        }
        let added = shop.cart_lines(None, "cartLinesAdd", &cart, &[(&variant, 2)]).await;
        assert_eq!(added.problems("cartLinesAdd"), []);
        // An import of the same product, and the clock that turns a price.
        shop.shelve(&[simple("mug", "Mug", 130)]).await;
        reprice(&shop.db).await.unwrap_or_else(|why| panic!("not repriced: {}", why.log()));
    };
    let elsewhere = shop.elsewhere().await;
    let held = elsewhere.rehearse(async |tx| {
        for sql in references {
            tx.execute_unprepared(sql).await?;
        }
        // The one writer of SQLite has to end before there can be another.
        if backend == Backend::Postgres {
            work().await;
        }
        Ok(())
    });
    held.await.unwrap_or_else(|why| panic!("nothing refers: {}", why.log()));
    if backend == Backend::Sqlite {
        work().await;
    }
    elsewhere.close().await;
    all_is_well(&shop).await;
}

async fn product_edited_while_it_is_bought_gives_no_deadlock(backend: Backend) {
    let shop = open(backend).await;
    let variant = shop.good("mug", 100, Some(1000)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let product = shop.ask("{ product(slug: \"mug\") { id } }").await;
    let product = product.at("/product/id").as_str().expect("an id").to_owned();
    let wants = [(variant.as_str(), 1)];
    let buyers = (0..8).map(async |buyer| {
        let mut all = Vec::new();
        for at in 0..8 {
            all.push(shop.order(None, &format!("{buyer}-{at}"), &wants, json!({})).await);
        }
        told(&all, "orderCreate")
    });
    let editors = async {
        for round in 0..8 {
            let name = format!(r#"{{ "name": "Mug {round}" }}"#);
            edit(&shop, &staff, ("productUpdate", "ProductUpdateInput!", &name), (&product, &variant)).await;
            let price = format!(r#"{{ "price": "{}.00" }}"#, 100 + round);
            edit(&shop, &staff, ("variantUpdate", "ProductVariantInput!", &price), (&product, &variant)).await;
        }
    };
    let (bought, ()) = join(join_all(buyers), editors).await;
    assert_eq!(bought, vec![(8, Vec::<String>::new()); 8]);
    all_is_well(&shop).await;
    if backend == Backend::Postgres {
        let watch = shop.elsewhere().await;
        shop.db.clone().close().await;
        ended(&watch).await;
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(number(&watch, deadlocks).await, 0);
        watch.close().await;
    }
}

/// Waits until no other connection than those of the one who watches is left: what a connection has counted is known
/// once it has ended.
pub async fn ended(watch: &savannah::infra::Db) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..100_000 {
        if number(watch, others).await <= 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("connections of the shop are left");
}
