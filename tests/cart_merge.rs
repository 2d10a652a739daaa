//! What somebody chose before they signed in, and what they chose elsewhere.

use futures_util::future::join_all;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop, held},
    stories,
};

stories![
    a_guests_cart_becomes_the_customers,
    quantities_are_summed_and_capped,
    two_devices_merge_at_once,
    what_was_merged_or_ordered_is_not_merged_again,
    what_the_customer_said_counts_more,
    a_cart_comes_along_at_sign_in,
];

const MERGE: &str = "mutation($id: ID!) { cartMerge(id: $id) {
    cart { id version note email lines { sku quantity } problems { code } shippingAddress { city } }
    userErrors { code field } } }";

async fn merge(shop: &Shop, token: &str, id: &str) -> Answer {
    shop.ask_as(token, MERGE, json!({ "id": id })).await
}

fn lines(answer: &Answer) -> Vec<(String, i64)> {
    held(answer.at("/cartMerge/cart"))
}

fn skus(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

async fn a_guests_cart_becomes_the_customers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(5)).await;
    let (token, guest) = (shop.sign_in(Role::Customer).await, shop.cart(None, &[(&mug, 2)]).await);
    let merged = merge(&shop, &token, &guest).await;
    assert_eq!((merged.at("/cartMerge/cart/id"), lines(&merged)), (&json!(guest), skus(&[("MUG", 2)])));
    let mine = shop.ask_as(&token, "{ me { cart { id } } }", json!({})).await;
    assert_eq!(mine.at("/me/cart/id"), &json!(guest));
    // From now on the word alone opens nothing.
    assert_eq!(shop.see_cart(None, &guest).await, Value::Null);
    let again = merge(&shop, &token, &guest).await;
    assert_eq!(lines(&again), skus(&[("MUG", 2)]));
    let nobody = shop.ask_with(MERGE, json!({ "id": guest })).await;
    assert_eq!(nobody.code(), "UNAUTHENTICATED");
    let unknown = merge(&shop, &token, &"x".repeat(43)).await;
    assert_eq!(unknown.problems("cartMerge"), [("NOT_FOUND".into(), "id".into())]);
}

async fn quantities_are_summed_and_capped(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 10, Some(9)).await, shop.good("bowl", 10, Some(5)).await);
    let (free, late) = (shop.good("free", 10, None).await, shop.good("late", 10, Some(3)).await);
    let token = shop.sign_in(Role::Customer).await;
    let own = shop.cart(Some(&token), &[(&mug, 2), (&bowl, 3), (&free, 9_000)]).await;
    let guest = shop.cart(None, &[(&late, 2), (&mug, 3), (&bowl, 4), (&free, 9_000)]).await;
    shop.sql("UPDATE inventory SET on_hand = 0 WHERE variant_id = (SELECT id FROM variant WHERE sku = 'LATE')")
        .await
        .expect("sold");
    let merged = merge(&shop, &token, &guest).await;
    let expected = skus(&[("MUG", 5), ("BOWL", 5), ("FREE", 10_000), ("LATE", 1)]);
    assert_eq!((merged.at("/cartMerge/cart/id"), lines(&merged)), (&json!(own), expected.clone()));
    assert_eq!(merged.texts("/cartMerge/cart/problems", "code"), ["SOLD_OUT"]);
    // What is left is less than what the customer had: that stays theirs, and the cart tells of it.
    shop.sql("UPDATE inventory SET on_hand = 1").await.expect("sold");
    let second = shop.cart(None, &[(&mug, 1)]).await;
    let merged = merge(&shop, &token, &second).await;
    assert_eq!(lines(&merged), expected);
    let state = shop.see_cart(Some(&token), &guest).await;
    assert_eq!((state["state"].clone(), held(&state)), (json!("MERGED"), skus(&[])));
    assert_eq!(shop.see_cart(None, &guest).await, Value::Null);
    let late = shop.cart_lines(Some(&token), "cartLinesAdd", &guest, &[(&mug, 1)]).await;
    assert_eq!(late.problems("cartLinesAdd"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
}

async fn two_devices_merge_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(500)).await;
    let token = shop.sign_in(Role::Customer).await;
    // Without a cart of their own, and then with one; the same guest's cart, and several, and adding meanwhile.
    for round in 0..5 {
        let before = shop.number("SELECT COALESCE(sum(quantity), 0) FROM cart_line").await;
        let (one, other) = (shop.cart(None, &[(&mug, 2)]).await, shop.cart(None, &[(&mug, 3)]).await);
        let tries = [&one, &other, &one, &other, &one, &one];
        let merged = join_all(tries.map(|id| merge(&shop, &token, id))).await;
        for answer in &merged {
            assert_eq!(answer.problems("cartMerge"), [], "{}", answer.body);
        }
        assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, before + 5, "{round}");
        assert_eq!(shop.number("SELECT count(*) FROM cart WHERE state = 'open'").await, 1, "{round}");
    }
    let guest = shop.cart(None, &[(&mug, 1)]).await;
    let own = shop.ask_as(&token, "{ me { cart { id } } }", json!({})).await.at("/me/cart/id").clone();
    let own = own.as_str().expect("an id");
    let lines = [(mug.as_str(), 1)];
    let whose = Some(token.as_str());
    let add = || shop.cart_lines(whose, "cartLinesAdd", own, &lines);
    let (merged, ..) = tokio::join!(merge(&shop, &token, &guest), add(), add(), add(), shop.cart(whose, &lines));
    assert_eq!(merged.problems("cartMerge"), []);
    assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, 30);
}

async fn what_was_merged_or_ordered_is_not_merged_again(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let (token, thief) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    shop.cart(Some(&token), &[(&mug, 1)]).await;
    let guest = shop.cart(None, &[(&mug, 2)]).await;
    assert_eq!(lines(&merge(&shop, &token, &guest).await), skus(&[("MUG", 3)]));
    assert_eq!(lines(&merge(&shop, &token, &guest).await), skus(&[("MUG", 3)]));
    let stolen = merge(&shop, &thief, &guest).await;
    assert_eq!(stolen.problems("cartMerge"), [("NOT_FOUND".into(), "id".into())]);
    let ordered = shop.cart(None, &[(&mug, 2)]).await;
    shop.sql(&format!("UPDATE cart SET state = 'ordered', order_id = 7 WHERE word = '{ordered}'"))
        .await
        .expect("an order");
    let late = merge(&shop, &token, &ordered).await;
    assert_eq!(late.problems("cartMerge"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
    // After their own was ordered too, what was merged before is still not merged again: they begin an empty one.
    shop.sql("UPDATE cart SET state = 'ordered', order_id = 8 WHERE state = 'open'").await.expect("an order");
    assert_eq!(lines(&merge(&shop, &token, &guest).await), skus(&[]));
}

async fn what_the_customer_said_counts_more(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let token = shop.sign_in(Role::Customer).await;
    let own = shop.cart(Some(&token), &[(&mug, 1)]).await;
    let guest = shop.cart(None, &[(&mug, 2)]).await;
    let say = "mutation($id: ID!, $note: String!, $email: String) {
        cartNoteSet(id: $id, note: $note) { userErrors { code } }
        cartContactSet(id: $id, input: { email: $email }) { userErrors { code } } }";
    shop.ask_as(&token, say, json!({ "id": own, "note": "mine", "email": null })).await.at("/cartNoteSet");
    shop.ask_with(say, json!({ "id": guest, "note": "theirs", "email": "guest@example.com" })).await.at("/cartNoteSet");
    let merged = merge(&shop, &token, &guest).await;
    let cart = merged.at("/cartMerge/cart");
    assert_eq!((&cart["note"], &cart["email"]), (&json!("mine"), &json!("guest@example.com")));
    assert_eq!(shop.number("SELECT count(*) FROM cart WHERE note = 'theirs' OR email = 'x'").await, 0);
}

async fn a_cart_comes_along_at_sign_in(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, Some(50)).await;
    let guest = shop.cart(None, &[(&mug, 2)]).await;
    let register = "mutation($id: ID) { customerRegister(input: { email: \"wanjiku@example.com\", password: \"correct horse\", cartId: $id }) {
        tokens { accessToken } userErrors { code } } }";
    let made = shop.ask_with(register, json!({ "id": guest })).await;
    let token = made.at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned();
    let mine = shop.ask_as(&token, "{ me { cart { id itemCount } } }", json!({})).await;
    assert_eq!(mine.at("/me/cart"), &json!({ "id": guest, "itemCount": 2 }));
    let login = "mutation($id: ID) { login(input: { email: \"wanjiku@example.com\", password: \"correct horse\", cartId: $id }) {
        tokens { accessToken } userErrors { code } } }";
    let second = shop.cart(None, &[(&mug, 3)]).await;
    // One that is not there keeps nobody from signing in.
    for id in [json!(second), json!(second), json!(null), json!("nothing"), json!("x".repeat(43))] {
        let answer = shop.ask_with(login, json!({ "id": id })).await;
        assert!(answer.at("/login/tokens/accessToken").is_string(), "{}", answer.body);
    }
    let mine = shop.ask_as(&token, "{ me { cart { id itemCount } } }", json!({})).await;
    assert_eq!(mine.at("/me/cart"), &json!({ "id": guest, "itemCount": 5 }));
}
