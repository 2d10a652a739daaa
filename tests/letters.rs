//! Letters and short messages that go out into the world: to a real SMTP server, and to an SMS service.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use savannah::{
    base::Language,
    identity::Role,
    notification::{self, LineWords, Notice, Occasion, OrderWords, Recipient, send::ATTEMPTS},
};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Mailbox, Mood, Shop, SmsService},
    stories,
};

stories![
    a_short_message_goes_out_as_the_service_wants_it,
    an_sms_service_that_fails_keeps_nothing_up;
    needs(mailbox): a_letter_arrives, a_server_that_fails_keeps_nothing_up, a_letter_goes_in_the_open_to_nobody_who_should_hide_it,
];

/// Whether there can be an SMTP server.
pub fn mailbox() -> bool {
    crate::browser::module("smtp-server") && crate::browser::module("postal-mime")
}

pub fn order() -> OrderWords {
    let line = |name: &str, variant: &str, quantity: i64, total: &str| LineWords {
        name: name.into(),
        variant: variant.into(),
        quantity,
        total: total.into(),
    };
    OrderWords {
        number: "K7M2-9QXA".into(),
        name: "Wanjiku".into(),
        lines: vec![line("<b>x</b>", "Red", 2, "KES 2,500.00"), line("Chai ya tangawizi", "", 1, "KES 350.50")],
        subtotal: "KES 2,850.50".into(),
        shipping: "KES 300.00".into(),
        total: "KES 3,150.50".into(),
        address: vec!["Wanjiku Kamau".into(), "Moi Avenue 1".into(), "Nairobi".into()],
        ..OrderWords::default()
    }
}

pub fn guest() -> Recipient {
    Recipient {
        account: None,
        email: Some("wanjiku@example.com".into()),
        phone: Some("+254712345678".into()),
        language: Some(Language::Swahili),
    }
}

/// Tells somebody of an order, as a reaction would.
pub async fn tell(shop: &Shop, event: i64, occasion: Occasion, to: Recipient) {
    let order_7 = "INSERT INTO customer_order (id, number, token, email, name_key, language, status, payment_status, \
        fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, version, placed_at, created_at, \
        updated_at) SELECT 7, 'K7M2-9QXA', 'an-unguessable-token-of-an-order', 'wanjiku@example.com', '', 'sw', 'pending', \
        'pending', 'unfulfilled', 'KES', 285050, 0, 30000, 0, 0, 315050, 1, created_at, created_at, created_at FROM shop \
        WHERE NOT EXISTS (SELECT 1 FROM customer_order WHERE id = 7)";
    shop.sql(order_7).await.expect("an order");
    let notice = Notice { event, occasion, to, order: Some((7, order())) };
    let told = shop.db.write(async |tx| notification::tell(tx, notice).await).await;
    told.unwrap_or_else(|why| panic!("nothing is told: {}", why.log()));
}

/// What staff see of all messages.
pub async fn messages(shop: &Shop, filter: &str) -> Vec<Value> {
    let staff = shop.sign_in(Role::Admin).await;
    let query = format!(
        "{{ messages(first: 100{filter}) {{ nodes {{ id event channel recipient state why attempts subject providerId
            language sentAt }} }} }}"
    );
    let answer: Answer = shop.ask_as(&staff, &query, json!({})).await;
    answer.at("/messages/nodes").as_array().expect("messages").clone()
}

/// Works, and lets time pass, until nothing is left to try.
pub async fn work_to_the_end(shop: &Shop) {
    for _ in 0..=ATTEMPTS {
        shop.work().await;
        shop.clock.set(shop.clock.now() + TimeDelta::hours(2));
    }
}

async fn a_letter_arrives(backend: Backend) {
    let mailbox = Mailbox::start().await;
    let own = [
        ("SAVANNAH_SHOP__NAME", "Duka & Co"),
        ("SAVANNAH_MAIL__FROM", "Duka & Co <duka@shop.example>"),
        ("SAVANNAH_MAIL__REPLY_TO", "help@shop.example"),
        ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://shop.example/orders/{number}?token={token}"),
    ];
    let shop = Shop::open_with(backend, &[&mailbox.settings()[..], &own].concat()).await;
    tell(&shop, 1, Occasion::OrderPlaced, Recipient { phone: None, ..guest() }).await;
    // Told twice, it is told once.
    tell(&shop, 1, Occasion::OrderPlaced, Recipient { phone: None, ..guest() }).await;
    shop.work().await;
    shop.work().await;
    let letters = mailbox.letters().await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter["recipients"], json!(["wanjiku@example.com"]));
    assert_eq!((&letter["to"][0]["address"], &letter["user"]), (&json!("wanjiku@example.com"), &json!("shop")));
    assert_eq!(
        (&letter["from"]["name"], &letter["from"]["address"]),
        (&json!("Duka & Co"), &json!("duka@shop.example"))
    );
    assert_eq!(letter["replyTo"][0]["address"], "help@shop.example");
    assert_eq!(letter["subject"], "Tumepokea oda yako K7M2-9QXA");
    assert_eq!(letter["date"], "2026-11-01T09:00:00.000Z");
    let (text, html) = (letter["text"].as_str().expect("a text"), letter["html"].as_str().expect("a page"));
    for words in ["2 x <b>x</b> (Red): KES 2,500.00", "Jumla: KES 3,150.50", "Habari Wanjiku", "Moi Avenue 1"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(text.contains("https://shop.example/orders/K7M2-9QXA?token=an-unguessable-token"), "{text}");
    assert!(html.contains("&lt;b&gt;x&lt;") && !html.contains("<b>x</b>"), "{html}");
    assert!(html.contains("KES 3,150.50") && html.contains("lang=\"sw\"") && html.contains("Duka &amp; Co"), "{html}");
    assert!(!html.contains("<img") && !html.contains("src="), "{html}");

    let seen = messages(&shop, "").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["state"], &seen[0]["event"], &seen[0]["attempts"]),
        (&json!("SENT"), &json!("ORDER_PLACED"), &json!(1))
    );
    assert_eq!(seen[0]["providerId"], letter["messageId"]);
    assert_eq!((&seen[0]["subject"], &seen[0]["language"]), (&letter["subject"], &json!("SW")));

    // Sent again, it is another letter that says the same.
    let staff = shop.sign_in(Role::Staff).await;
    let again =
        "mutation($id: ID!) { messageResend(id: $id) { message { state attempts } userErrors { code field } } }";
    let id = json!({ "id": seen[0]["id"] });
    let sent = shop.ask_as(&staff, again, id.clone()).await;
    assert_eq!(sent.at("/messageResend/message"), &json!({ "state": "QUEUED", "attempts": 0 }));
    let twice = shop.ask_as(&staff, again, id).await;
    assert_eq!(twice.problems("messageResend"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
    shop.work().await;
    let letters = mailbox.letters().await;
    assert_eq!((letters.len(), &letters[1]["text"]), (2, &letter["text"]));
    assert_ne!(letters[1]["messageId"], letter["messageId"]);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'message.resend'").await, 1);
}

async fn a_server_that_fails_keeps_nothing_up(backend: Backend) {
    let mailbox = Mailbox::start().await;
    let shop = Shop::open_with(backend, &mailbox.settings()).await;
    let letter = || Recipient { phone: None, ..guest() };
    // Its last word.
    mailbox.is("refuse").await;
    tell(&shop, 1, Occasion::OrderPlaced, letter()).await;
    shop.work().await;
    let seen = messages(&shop, ", filter: { state: FAILED }").await;
    assert_eq!((seen.len(), &seen[0]["attempts"]), (1, &json!(1)));
    assert!(seen[0]["why"].as_str().is_some_and(|why| why.contains("550") || why.contains("no mailbox")), "{seen:?}");
    // It will be well again; so will one that takes the letter and says nothing.
    for (event, mode) in [(2, "busy"), (3, "hang")] {
        mailbox.is(mode).await;
        tell(&shop, event, Occasion::OrderPlaced, letter()).await;
        shop.work().await;
        let seen = messages(&shop, ", filter: { state: QUEUED }").await;
        assert_eq!(seen.len(), 1, "{mode}");
        assert!(seen[0]["why"].is_string() && seen[0]["attempts"] == 1, "{mode} {seen:?}");
        mailbox.is("take").await;
        shop.clock.set(shop.clock.now() + TimeDelta::hours(1));
        shop.work().await;
        assert_eq!(
            messages(&shop, ", filter: { state: SENT }").await.len(),
            usize::try_from(event - 1).expect("a count")
        );
    }
    let ids: BTreeSet<_> = mailbox.letters().await.iter().map(|letter| letter["messageId"].to_string()).collect();
    assert_eq!(ids.len(), 2);

    // One that is not there, and one that speaks of something else.
    let nonsense = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = nonsense.local_addr().expect("an address").port().to_string();
    let talk = tokio::spawn(async move {
        while let Ok((mut guest, _)) = nonsense.accept().await {
            use tokio::io::AsyncWriteExt;
            // Whether anybody listens to it does not matter.
            let _ = guest.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>\r\n").await;
        }
    });
    for port in [port.as_str(), "1"] {
        let settings = [("SAVANNAH_MAIL__PORT", port)];
        let shop = Shop::open_with(backend, &[&mailbox.settings()[..], &settings].concat()).await;
        tell(&shop, 1, Occasion::OrderPlaced, letter()).await;
        work_to_the_end(&shop).await;
        let seen = messages(&shop, "").await;
        assert_eq!((&seen[0]["state"], &seen[0]["attempts"]), (&json!("FAILED"), &json!(ATTEMPTS)), "{seen:?}");
        assert!(seen[0]["why"].as_str().is_some_and(|why| why.starts_with("tried 8 times")), "{seen:?}");
    }
    talk.abort();
}

async fn a_letter_goes_in_the_open_to_nobody_who_should_hide_it(backend: Backend) {
    let mailbox = Mailbox::start().await;
    for (name, value) in [("SAVANNAH_MAIL__TLS", "starttls"), ("SAVANNAH_MAIL__PASSWORD", "wrong")] {
        let mut settings = mailbox.settings().to_vec();
        settings.push((name, value));
        let shop = Shop::open_with(backend, &settings).await;
        tell(&shop, 1, Occasion::OrderPlaced, Recipient { phone: None, ..guest() }).await;
        shop.work().await;
        let seen = messages(&shop, "").await;
        // Somebody may yet mend the settings.
        assert_eq!(seen[0]["state"], "QUEUED", "{name} {seen:?}");
        let why = seen[0]["why"].as_str().expect("a reason");
        assert!(!why.contains("wrong") && !why.contains("sesame"), "{why}");
    }
    assert_eq!(mailbox.letters().await.len(), 0);
}

async fn a_short_message_goes_out_as_the_service_wants_it(backend: Backend) {
    let service = SmsService::start().await;
    let shop = Shop::open_with(backend, &service.settings()).await;
    tell(&shop, 1, Occasion::OrderShipped, Recipient { email: None, ..guest() }).await;
    // These are not told by short message unless somebody wants it.
    tell(&shop, 2, Occasion::OrderConfirmed, Recipient { email: None, ..guest() }).await;
    shop.work().await;
    let heard = service.heard();
    assert_eq!(heard.len(), 1);
    let field = |name: &str| heard[0].get(name).map(String::as_str);
    assert_eq!(
        (field("username"), field("to"), field("from")),
        (Some("duka"), Some("+254712345678"), Some("SAVANNAH"))
    );
    assert_eq!((field("message"), field("enqueue")), (Some("Savannah: oda yako K7M2-9QXA iko njiani."), Some("1")));
    let seen = messages(&shop, "").await;
    assert_eq!((seen.len(), &seen[0]["state"], &seen[0]["providerId"]), (1, &json!("SENT"), &json!("ATXid_1")));
    assert_eq!(seen[0]["channel"], "SMS");
}

async fn an_sms_service_that_fails_keeps_nothing_up(backend: Backend) {
    let service = SmsService::start().await;
    let shop = Shop::open_with(backend, &service.settings()).await;
    let note = || Recipient { email: None, ..guest() };
    service.is(Mood::KnowsNoSuchNumber);
    tell(&shop, 1, Occasion::OrderPlaced, note()).await;
    shop.work().await;
    let seen = messages(&shop, "").await;
    assert_eq!(
        (&seen[0]["state"], &seen[0]["why"]),
        (&json!("FAILED"), &json!("the service says 403 InvalidPhoneNumber"))
    );
    for (event, mood) in [(2, Mood::Hangs), (3, Mood::Breaks), (4, Mood::Babbles), (5, Mood::WantsMoney)] {
        service.is(mood);
        tell(&shop, event, Occasion::OrderPlaced, note()).await;
        shop.work().await;
        let seen = messages(&shop, ", filter: { state: QUEUED }").await;
        assert!(seen.len() == 1 && seen[0]["why"].is_string(), "{mood:?} {seen:?}");
        assert!(!seen[0]["why"].to_string().contains("atsk_secret"), "{seen:?}");
        service.is(Mood::Takes);
        shop.clock.set(shop.clock.now() + TimeDelta::hours(1));
        shop.work().await;
        assert_eq!(service.heard().len(), usize::try_from(event - 1).expect("a count"), "{mood:?}");
    }
    service.is(Mood::Breaks);
    tell(&shop, 6, Occasion::OrderPlaced, note()).await;
    work_to_the_end(&shop).await;
    let seen = messages(&shop, ", filter: { state: FAILED, recipient: \"+254712345678\" }").await;
    assert_eq!((seen.len(), &seen[0]["attempts"]), (2, &json!(ATTEMPTS)));
    // A key that is refused may be mended; the message waits for that.
    let shop =
        Shop::open_with(backend, &[&service.settings()[..], &[("SAVANNAH_SMS__API_KEY", "atsk_other")]].concat()).await;
    tell(&shop, 1, Occasion::OrderPlaced, note()).await;
    shop.work().await;
    let seen = messages(&shop, "").await;
    assert!(seen[0]["state"] == "QUEUED" && seen[0]["why"].to_string().contains("401"), "{seen:?}");
}
