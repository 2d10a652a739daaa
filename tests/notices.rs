//! What an order tells of itself, from its placing to its end: exactly once, whatever happens in between.

use savannah::order::{OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, Status};
use serde_json::json;

use crate::{
    letters::messages,
    messages::letters,
    shop::{Backend, Shop, SmsService},
    stories,
};

stories![an_order_is_told_from_beginning_to_end, a_customers_order_is_told_where_the_account_is_reached,];

/// An order of two lines, one parcel with a part of it, and some money back.
async fn order(shop: &Shop, owner: &str) {
    let all = [
        format!(
            "INSERT INTO customer_order (id, number, token, account_id, email, phone, name_key, language, status, \
             payment_status, fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, \
             shipping_address, version, placed_at, created_at, updated_at) SELECT 7, 'K7M2-9QXA', \
             'an-unguessable-token-of-an-order', {owner}, '', 'sw', 'pending', 'pending', 'unfulfilled', 'KES', 285050, \
             10000, 30000, 50000, 20000, 325050, '{{\"firstName\": \"Wanjiku\", \"lastName\": \"Kamau\", \
             \"line1\": \"Moi Avenue 1\", \"city\": \"Nairobi\", \"countryCode\": \"KE\"}}', 1, created_at, created_at, \
             created_at FROM shop"
        ),
        "INSERT INTO order_line (id, order_id, position, sku, name, variant_name, quantity, unit_list, unit_price, discount, \
         tax_rate, tax, tax_added, total, tracked, fulfilled, refunded, cancelled, created_at, updated_at) \
         SELECT 70, 7, 0, 'mug-1', '<b>Kikombe</b>', 'Nyekundu', 2, 125000, 120000, 10000, 800, 20000, 20000, 260000, true, \
         0, 0, 0, created_at, created_at FROM shop UNION ALL \
         SELECT 71, 7, 1, 'chai', 'Chai', '', 1, 35050, 35050, 0, 0, 0, 0, 35050, true, 0, 0, 0, created_at, created_at \
         FROM shop"
            .to_owned(),
        "INSERT INTO fulfilment (id, order_id, carrier, tracking_number, tracking_url, created_at, updated_at) \
         SELECT 5, 7, 'Posta', 'RR1KE', 'javascript:alert(1)', created_at, created_at FROM shop"
            .to_owned(),
        "INSERT INTO fulfilment_line (fulfilment_id, order_line_id, quantity) VALUES (5, 70, 1)".to_owned(),
        "INSERT INTO payment (id, order_id, provider, status, amount, captured, refunded, created_at, updated_at) \
         SELECT 3, 7, 'manual', 'captured', 325050, 325050, 0, created_at, created_at FROM shop"
            .to_owned(),
        "INSERT INTO refund (id, order_id, payment_id, amount, status, created_at, updated_at) \
         SELECT 4, 7, 3, 120000, 'done', created_at, created_at FROM shop"
            .to_owned(),
    ];
    for sql in all {
        shop.sql(&sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    }
}

/// Everything that can be told of it.
async fn happen(shop: &Shop) {
    let step = |from, to| OrderStatusChanged { order: 7, from, to };
    let emitted = shop.db.write(async |tx| {
        tx.emit(OrderPlaced { order: 7 }).await?;
        tx.emit(step(Status::Pending, Status::Confirmed)).await?;
        tx.emit(step(Status::Confirmed, Status::Processing)).await?;
        tx.emit(OrderShipped { order: 7, fulfilment: 5 }).await?;
        tx.emit(step(Status::Processing, Status::Shipped)).await?;
        tx.emit(step(Status::Shipped, Status::Delivered)).await?;
        tx.emit(step(Status::Pending, Status::Cancelled)).await?;
        tx.emit(OrderRefunded { order: 7, refund: 4 }).await?;
        tx.emit(step(Status::Delivered, Status::Refunded)).await
    });
    emitted.await.unwrap_or_else(|why| panic!("nothing happens: {}", why.log()));
    shop.work().await;
}

async fn an_order_is_told_from_beginning_to_end(backend: Backend) {
    let service = SmsService::start().await;
    let link = ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://s.example/o/{number}?t={token}");
    let shop = Shop::open_with(backend, &[&service.settings()[..], &[link]].concat()).await;
    order(&shop, "NULL, 'wanjiku@example.com', '+254712345678'").await;
    happen(&shop).await;
    // Two workers at once, and one that comes too late, tell nothing anew.
    tokio::join!(shop.work(), shop.work());
    let seen = messages(&shop, "").await;
    let mut told: Vec<_> =
        seen.iter().map(|one| format!("{} {}", one["event"], one["channel"]).replace('"', "")).collect();
    told.sort();
    let expected = [
        "ORDER_CANCELLED EMAIL",
        "ORDER_CONFIRMED EMAIL",
        "ORDER_DELIVERED EMAIL",
        "ORDER_DELIVERED SMS",
        "ORDER_PLACED EMAIL",
        "ORDER_PLACED SMS",
        "ORDER_REFUNDED EMAIL",
        "ORDER_SHIPPED EMAIL",
        "ORDER_SHIPPED SMS",
    ];
    assert_eq!(told, expected);
    assert!(seen.iter().all(|one| one["state"] == "SENT" && one["attempts"] == 1), "{seen:?}");

    let mut short: Vec<_> = service.heard().into_iter().map(|fields| fields["message"].clone()).collect();
    short.sort();
    let end = "https://s.example/o/K7M2-9QXA?t=an-unguessable-token-of-an-order";
    let placed = format!("Savannah: tumepokea oda yako K7M2-9QXA, KES 3,250.50. Asante! {end}");
    assert_eq!(short.iter().filter(|message| **message == placed).count(), 1, "{short:?}");
    assert!(short.iter().all(|message| savannah::infra::sms::segments(message) == 1), "{short:?}");
    assert!(
        short.iter().any(|message| message.contains("sehemu ya oda yako") && message.contains("RR1KE")),
        "{short:?}"
    );

    let all = letters(&shop);
    assert_eq!(all.len(), 6);
    let letter =
        |words: &str| all.iter().find(|one| one.contains(words)).unwrap_or_else(|| panic!("none says {words}"));
    let first = letter("Asante kwa oda yako");
    for words in [
        "2 x <b>Kikombe</b> (Nyekundu): KES 2,500.00",
        "1 x Chai: KES 350.50",
        "Jumla ya bidhaa: KES 2,850.50",
        "Punguzo: -KES 100.00",
        "Usafirishaji: KES 300.00",
        "Kodi: KES 200.00",
        "Jumla: KES 3,250.50",
        "Kodi iliyojumuishwa: KES 300.00",
        "Wanjiku Kamau\nMoi Avenue 1\nNairobi\nKenya",
        "&lt;b&gt;Kikombe",
    ] {
        assert!(first.contains(words), "{words} in {first}");
    }
    let parcel = letter("Sehemu ya oda yako K7M2-9QXA imesafirishwa");
    assert!(parcel.contains("Posta") && parcel.contains("RR1KE") && parcel.contains("1 x <b>Kikombe</b>"), "{parcel}");
    assert!(!parcel.contains("javascript:"), "{parcel}");
    assert!(letter("Pesa zako zinarudishwa").contains("Tunakurudishia KES 1,200.00"));
}

async fn a_customers_order_is_told_where_the_account_is_reached(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.sign_in(savannah::identity::Role::Customer).await;
    let account = shop.number("SELECT max(id) FROM account").await;
    order(&shop, &format!("{account}, NULL, '+254712345678'")).await;
    shop.db
        .write(async |tx| tx.emit(OrderPlaced { order: 7 }).await)
        .await
        .unwrap_or_else(|why| panic!("{}", why.log()));
    shop.work().await;
    let seen = messages(&shop, ", filter: { channel: EMAIL }").await;
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0]["recipient"], &seen[0]["state"]), (&json!("customer1@example.com"), &json!("SENT")));
    // Whoever is forgotten is told no more, though the order stays.
    let forgotten = "UPDATE account SET email = NULL, email_key = NULL, phone = NULL, password = NULL, first_name = '', \
        last_name = '', name_key = '', last_name_key = '', deleted_at = created_at WHERE role = 'customer'";
    shop.sql(forgotten).await.expect("forgotten");
    happen(&shop).await;
    assert_eq!(shop.number("SELECT count(*) FROM message").await, 2);
}
