//! From a cart to the door, as people live it: bought over HTTP or in GraphiQL, sent by the staff, and told of by letters
//! and short messages on the way.

use savannah::{
    base::{GlobalId, id::Kind},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    browser::{browser, script},
    letters::{mailbox, messages, work_to_the_end},
    orders::{id, order},
    shop::{Backend, Mailbox, Mood, Shop, SmsService},
    stories,
};

stories![;
    needs(mailbox): a_guest_and_a_customer_buy_to_the_door, orders_go_on_when_nothing_can_be_told;
    needs(page): a_guest_and_a_customer_buy_in_graphiql
];

fn page() -> bool {
    browser() && mailbox()
}

/// A shop that is ready to sell, and where its letters and short messages go.
async fn open(backend: Backend) -> (Shop, Mailbox, SmsService, [String; 2]) {
    let (mailbox, service) = (Mailbox::start().await, SmsService::start().await);
    let link = ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://s.example/o/{number}?t={token}");
    let shop = Shop::open_with(backend, &[&mailbox.settings()[..], &service.settings()[..], &[link]].concat()).await;
    shop.fit_out().await;
    let goods = [shop.good("mug", 1160, Some(5)).await, shop.good("bowl", 580, Some(5)).await];
    (shop, mailbox, service, goods)
}

/// A customer who reads Swahili.
async fn customer(shop: &Shop) -> String {
    let token = shop.sign_in(Role::Customer).await;
    let update = "mutation { customerUpdate(input: { language: SW, phone: \"0733 000001\" }) { userErrors { code } } }";
    assert_eq!(shop.ask_as(&token, update, json!({})).await.problems("customerUpdate"), []);
    token
}

/// Buys two of each, over HTTP.
async fn buy(shop: &Shop, token: Option<&str>, goods: &[String; 2], said: Value) -> Value {
    let cart = shop.cart(token, &[(&goods[0], 2), (&goods[1], 2)]).await;
    let ways = "query($id: ID!) { cart(id: $id) { availableShippingMethods { method { id name } } } }";
    let ways = shop.ask_maybe(token, ways, json!({ "id": cart })).await;
    let way = ways.at("/cart/availableShippingMethods/0/method");
    assert_eq!(way["name"], "Standard");
    let choose = "mutation($id: ID!, $way: ID) { cartShippingMethodSet(id: $id, shippingMethodId: $way) { userErrors { code } } }";
    let chosen = shop.ask_maybe(token, choose, json!({ "id": cart, "way": way["id"] })).await;
    assert_eq!(chosen.problems("cartShippingMethodSet"), []);
    order(&shop.check_out(token, "a word", &cart, said).await, "checkoutComplete")
}

/// Buys the same in GraphiQL.
async fn buy_in_graphiql(shop: &Shop, token: Option<&str>, goods: &[String; 2], said: &str) -> Value {
    let wish = json!({ "variants": goods, "said": said, "token": token });
    let made = script("buy.mjs", vec![shop.url(""), wish.to_string()]).await;
    serde_json::from_str(&made).unwrap_or_else(|why| panic!("{why}: {made}"))
}

/// The staff's part: it is taken on, sent, and arrives.
async fn bring(shop: &Shop, staff: &str, made: &Value) {
    // A guest's payment by hand is authorized when staff confirm the order.
    let payment = if made["email"] == "wanjiku@example.com" { "PENDING" } else { "AUTHORISED" };
    assert_eq!((&made["status"], &made["paymentStatus"]), (&json!("PENDING"), &json!(payment)), "{made}");
    order(&shop.step(staff, "orderConfirm", id(made), None).await, "orderConfirm");
    let parcel = json!({ "idempotencyKey": "p", "carrier": "G4S", "trackingNumber": format!("KE-{}", number(made)) });
    order(&shop.step(staff, "orderFulfil", id(made), Some(("OrderFulfilInput!", parcel))).await, "orderFulfil");
    order(&shop.step(staff, "orderCapture", id(made), None).await, "orderCapture");
    let done = order(&shop.step(staff, "orderDeliver", id(made), None).await, "orderDeliver");
    assert_eq!((&done["status"], &done["paymentStatus"]), (&json!("DELIVERED"), &json!("PAID")));
}

fn number(made: &Value) -> &str {
    made["number"].as_str().expect("a number")
}

/// The guest bought in English, the customer in Swahili; both have everything by now.
async fn all_is_well(shop: &Shop, (mailbox, service): (&Mailbox, &SmsService), made: &[Value; 2]) {
    let staff = shop.sign_in(Role::Staff).await;
    for one in made {
        bring(shop, &staff, one).await;
        assert_eq!(one["total"], "3830.00");
    }
    shop.work().await;
    let letters = mailbox.letters().await;
    assert_eq!((letters.len(), service.heard().len()), (8, 6));
    let told = [
        (
            "wanjiku@example.com",
            "+254712345678",
            "en",
            [
                "We have your order #",
                "Your order # is confirmed",
                "Your order # is on its way",
                "Your order # has been delivered",
            ],
        ),
        (
            "customer1@example.com",
            "+254733000001",
            "sw",
            ["Tumepokea oda yako #", "Oda yako # imethibitishwa", "Oda yako # iko njiani", "Oda yako # imefika"],
        ),
    ];
    for ((email, phone, language, subjects), made) in told.into_iter().zip(made) {
        let track = format!("KE-{}", number(made));
        let own: Vec<&Value> = letters.iter().filter(|letter| letter["recipients"] == json!([email])).collect();
        for subject in subjects {
            let subject = subject.replace('#', number(made));
            let letter = own.iter().find(|letter| letter["subject"] == subject.as_str());
            let letter = letter.unwrap_or_else(|| panic!("no {subject} in {own:?}"));
            let (text, html) = (letter["text"].as_str().expect("a text"), letter["html"].as_str().expect("a page"));
            assert!(html.contains(&format!("lang=\"{language}\"")), "{html}");
            assert!(text.contains(&format!("https://s.example/o/{}?t=", number(made))), "{text}");
            let parcel = text.contains("G4S");
            let goods = ["2 x mug", "2 x bowl"].iter().all(|words| text.contains(words));
            let priced = ["KES 2,320.00", "KES 1,160.00", "KES 3,480.00", "KES 350.00", "KES 3,830.00", "Moi Avenue 1"];
            assert!(goods && (parcel || priced.iter().all(|words| text.contains(words))), "{text}");
            let on_its_way = subject.contains("way") || subject.contains("njiani");
            assert_eq!((parcel, text.contains(&track)), (on_its_way, on_its_way), "{text}");
        }
        let heard = service.heard();
        let short: Vec<&String> = heard.iter().filter(|one| one["to"] == phone).map(|one| &one["message"]).collect();
        let count = |words: &str| short.iter().filter(|message| message.contains(words)).count();
        assert_eq!((short.len(), count(number(made)), count("KES 3,830.00")), (3, 3, 1), "{short:?}");
        assert_eq!(count(&track), 1, "{short:?}");
    }
    assert_eq!(messages(shop, ", filter: { state: SENT }").await.len(), 14);
    // Nothing is told twice, and everything is where it belongs.
    shop.work().await;
    assert_eq!((mailbox.letters().await.len(), service.heard().len()), (8, 6));
    assert_eq!(shop.number("SELECT sum(on_hand * 10 + reserved) FROM inventory").await, 20);
    shop.add_up().await;
    shop.settle().await;
}

async fn a_guest_and_a_customer_buy_to_the_door(backend: Backend) {
    let (shop, mailbox, service, goods) = open(backend).await;
    let token = customer(&shop).await;
    let guest = buy(&shop, None, &goods, json!({ "phone": "0712 345678" })).await;
    let made = [guest, buy(&shop, Some(&token), &goods, json!({ "email": null })).await];
    all_is_well(&shop, (&mailbox, &service), &made).await;
}

async fn a_guest_and_a_customer_buy_in_graphiql(backend: Backend) {
    let (shop, mailbox, service, goods) = open(backend).await;
    let token = customer(&shop).await;
    let said = r#"email: "wanjiku@example.com" phone: "0712 345678""#;
    let guest = buy_in_graphiql(&shop, None, &goods, said).await;
    let made = [guest, buy_in_graphiql(&shop, Some(&token), &goods, "").await];
    all_is_well(&shop, (&mailbox, &service), &made).await;
}

async fn orders_go_on_when_nothing_can_be_told(backend: Backend) {
    let (shop, mailbox, service, goods) = open(backend).await;
    let mut told = 0;
    for (mode, mood) in [("refuse", Mood::Breaks), ("busy", Mood::Babbles), ("hang", Mood::Hangs)] {
        mailbox.is(mode).await;
        service.is(mood);
        let way = shop.number("SELECT id FROM shipping_method WHERE name = 'Standard'").await;
        let said = json!({ "email": format!("{mode}@example.com"), "phone": "0712 345678",
            "shippingMethodId": GlobalId::new(Kind::ShippingMethod, way).encode(), "expectedTotal": "2090.00" });
        let cart = shop.cart(None, &[(&goods[0], 1), (&goods[1], 1)]).await;
        let made = order(&shop.check_out(None, mode, &cart, said).await, "checkoutComplete");
        // While the news of it is stuck, it goes on.
        let staff = shop.sign_in(Role::Staff).await;
        let confirmed = order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
        assert_eq!(confirmed["status"], "CONFIRMED");
        work_to_the_end(&shop).await;
        told += 3;
        let failed = messages(&shop, ", filter: { state: FAILED }").await;
        assert_eq!(failed.len(), told, "{mode} {failed:?}");
        assert!(failed.iter().all(|one| one["why"].as_str().is_some_and(|why| !why.is_empty())), "{failed:?}");
    }
    assert_eq!((mailbox.letters().await.len(), service.heard().len()), (0, 0));
    assert_eq!(shop.number("SELECT count(*) FROM customer_order WHERE status = 'confirmed'").await, 3);
    shop.add_up().await;
}
