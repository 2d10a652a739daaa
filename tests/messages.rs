//! What is told to whom: preferences, languages, letters that bring a token, and what staff see of all that.

use savannah::{
    identity::{
        Role,
        entity::account,
        session::{self, Device},
    },
    notification::{Occasion, Recipient},
};
use sea_orm::{EntityTrait, FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    customers::id_of,
    letters::{guest, messages, tell},
    shop::{Backend, Shop},
    stories,
};

stories![
    a_letter_brings_the_token_that_verifies_an_address,
    a_letter_brings_the_token_that_sets_a_password,
    customers_choose_what_they_hear_of,
    letters_are_in_their_readers_language,
    staff_find_messages_page_by_page,
    of_who_goes_no_message_tells,
    a_shop_that_sends_nothing_says_so,
    no_token_outlives_what_it_was_asked_for,
    a_session_begins_with_the_account_as_it_is,
    the_database_refuses_what_cannot_be,
];

const REGISTER: &str = "mutation($language: Language) { customerRegister(input: { email: \"amani@example.com\",
    password: \"correct horse\", firstName: \"Amani\", language: $language }) { tokens { accessToken } userErrors { code } } }";

async fn register(shop: &Shop, language: Option<&str>) -> String {
    let made = shop.ask_with(REGISTER, json!({ "language": language })).await;
    made.at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned()
}

/// The letters in the outbox that the last work has left, the newest last, each as text.
pub fn letters(shop: &Shop) -> Vec<String> {
    let files = std::fs::read_dir(shop.outbox.path()).into_iter().flatten().map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "eml")).collect();
    files.sort();
    // Long lines are folded, and `=` is spelt out.
    let plain = |text: String| text.replace("=\r\n", "").replace("=3D", "=").replace("\r\n", "\n");
    files.iter().map(|file| plain(std::fs::read_to_string(file).expect("a letter"))).collect()
}

/// The token that a letter brings.
fn token(letter: &str) -> String {
    let line = letter.lines().skip_while(|line| !line.starts_with("Your code:") && !line.starts_with("Msimbo wako:"));
    line.take(2).last().unwrap_or_else(|| panic!("no token in {letter}")).trim().to_owned()
}

async fn a_letter_brings_the_token_that_verifies_an_address(backend: Backend) {
    const VERIFY: &str = "mutation($token: String!) { emailVerify(token: $token) { email userErrors { code } } }";
    let shop = Shop::open(backend).await;
    register(&shop, None).await;
    shop.work().await;
    let sent = letters(&shop);
    assert_eq!(sent.len(), 1, "whoever registers is asked to verify the address");
    assert!(sent[0].contains("To: amani@example.com") && !sent[0].contains("Amani,"), "{}", sent[0]);
    let token = token(&sent[0]);
    assert_eq!(token.len(), 43, "{token}");
    // It opens what it is for, and lies nowhere in plain text.
    for table in ["message", "job", "outbox", "one_time_token", "audit"] {
        let statement = Statement::from_string(shop.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(shop.db.owner()).await.expect("rows");
        assert!(!rows.iter().any(|row| row.to_string().contains(&token)), "in {table}");
    }
    let verified = shop.ask_with(VERIFY, json!({ "token": token })).await;
    assert_eq!(verified.at("/emailVerify/email"), "amani@example.com");
    let seen = messages(&shop, "").await;
    assert_eq!((&seen[0]["event"], &seen[0]["state"]), (&json!("VERIFY_EMAIL"), &json!("SENT")));
    assert_eq!(seen[0]["subject"], "Is this your e-mail address?");
}

async fn a_letter_brings_the_token_that_sets_a_password(backend: Backend) {
    const ASK: &str =
        "mutation { passwordResetRequest(email: \"Amani@example.com\") { accepted userErrors { code } } }";
    const RESET: &str = "mutation($token: String!) { passwordReset(token: $token, newPassword: \"battery staple\") {
        tokens { accessToken } userErrors { code field } } }";
    let pattern = "https://shop.example/reset?token={token}";
    let shop = Shop::open_with(backend, &[("SAVANNAH_NOTIFICATION__RESET_URL", pattern)]).await;
    register(&shop, Some("SW")).await;
    assert_eq!(shop.ask(ASK).await.at("/passwordResetRequest/accepted"), true);
    shop.work().await;
    let sent = letters(&shop);
    let letter =
        sent.iter().find(|letter| letter.contains("Weka nenosiri jipya: https://")).expect("a letter in Swahili");
    let (_, after) = letter.split_once("https://shop.example/reset?token=").expect("a link");
    let token: String = after.chars().take(43).collect();
    let reset = shop.ask_with(RESET, json!({ "token": token })).await;
    assert_eq!(reset.problems("passwordReset"), []);
    let again = shop.ask_with(RESET, json!({ "token": token })).await;
    assert_eq!(again.problems("passwordReset").len(), 1, "it sets one password");
}

async fn customers_choose_what_they_hear_of(backend: Backend) {
    const ALL: &str = "{ me { notificationPreferences { event email sms } } }";
    const SET: &str = "mutation($event: NotificationEvent!, $email: Boolean, $sms: Boolean) {
        notificationPreferenceSet(input: { event: $event, email: $email, sms: $sms }) {
        notificationPreferences { event email sms } userErrors { code field } } }";
    let shop = Shop::open(backend).await;
    let customer = shop.sign_in(Role::Customer).await;
    let before = shop.ask_as(&customer, ALL, json!({})).await;
    let list = before.at("/me/notificationPreferences").as_array().expect("a list").clone();
    assert_eq!(list.len(), 6, "{list:?}");
    let by_sms: Vec<_> = list.iter().filter(|one| one["sms"] == true).map(|one| one["event"].clone()).collect();
    assert_eq!(json!(by_sms), json!(["ORDER_PLACED", "ORDER_SHIPPED", "ORDER_DELIVERED"]));
    assert!(list.iter().all(|one| one["email"] == true));

    let set = shop.ask_as(&customer, SET, json!({ "event": "ORDER_PLACED", "email": false })).await;
    assert_eq!(set.problems("notificationPreferenceSet"), []);
    let set = shop.ask_as(&customer, SET, json!({ "event": "ORDER_CONFIRMED", "sms": true })).await;
    let now = set.at("/notificationPreferenceSet/notificationPreferences");
    assert_eq!(now[0], json!({ "event": "ORDER_PLACED", "email": false, "sms": true }));
    assert_eq!(now[1], json!({ "event": "ORDER_CONFIRMED", "email": true, "sms": true }));
    let never = shop.ask_as(&customer, SET, json!({ "event": "RESET_PASSWORD", "email": false })).await;
    assert_eq!(never.problems("notificationPreferenceSet"), [("VALIDATION_ERROR".into(), "input.event".into())]);

    let account = shop.number("SELECT max(id) FROM account").await;
    let to = || Recipient { account: Some(account), ..guest() };
    tell(&shop, 1, Occasion::OrderPlaced, to()).await;
    tell(&shop, 2, Occasion::OrderConfirmed, to()).await;
    tell(&shop, 3, Occasion::OrderCancelled, to()).await;
    // Whom nobody can reach is told nothing.
    tell(&shop, 4, Occasion::OrderPlaced, Recipient::default()).await;
    shop.work().await;
    let seen = messages(&shop, "").await;
    let told: Vec<_> = seen.iter().map(|one| json!([one["event"], one["channel"], one["state"]])).collect();
    let mut told: Vec<_> = told.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            r#"["ORDER_CANCELLED","EMAIL","SENT"]"#,
            r#"["ORDER_CONFIRMED","EMAIL","SENT"]"#,
            r#"["ORDER_CONFIRMED","SMS","SENT"]"#,
            r#"["ORDER_PLACED","EMAIL","SKIPPED"]"#,
            r#"["ORDER_PLACED","SMS","SENT"]"#,
        ]
    );
    let skipped = seen.iter().find(|one| one["state"] == "SKIPPED").expect("one");
    assert_eq!(skipped["why"], "the customer does not want it");
    assert_eq!(letters(&shop).len(), 2);
    // For staff, one statement for any number of customers.
    let admin = shop.sign_in(Role::Admin).await;
    let query = "{ customers(first: 50) { nodes { notificationPreferences { event } language } } }";
    let few = shop.ask_as(&admin, query, json!({})).await.statements;
    for _ in 0..5 {
        shop.sign_in(Role::Customer).await;
    }
    assert_eq!(shop.ask_as(&admin, query, json!({})).await.statements, few);
}

async fn letters_are_in_their_readers_language(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SHOP__LANGUAGE", "sw")]).await;
    let customer = register(&shop, None).await;
    let ask = "mutation { emailVerificationRequest { accepted } }";
    let speak = "mutation($language: Language) { customerUpdate(input: { language: $language }) {
        customer { language } userErrors { code } } }";
    let mut spoken = Vec::new();
    for language in [json!(null), json!("EN"), json!("SW"), json!(null)] {
        let set = shop.ask_as(&customer, speak, json!({ "language": language })).await;
        spoken.push(set.at("/customerUpdate/customer/language").as_str().expect("a language").to_owned());
        shop.ask_as(&customer, ask, json!({})).await.at("/emailVerificationRequest/accepted");
        shop.work().await;
    }
    assert_eq!(spoken, ["SW", "EN", "SW", "SW"]);
    let mut seen = messages(&shop, "").await;
    seen.reverse();
    let languages: Vec<_> = seen.iter().map(|one| one["language"].as_str().expect("text")).collect();
    assert_eq!(languages, ["SW", "SW", "EN", "SW", "SW"], "the first is that of the registration");
    let english = letters(&shop).iter().filter(|letter| letter.contains("Confirm your e-mail address")).count();
    let swahili = letters(&shop).iter().filter(|letter| letter.contains("Thibitisha anwani yako")).count();
    assert_eq!((english, swahili), (1, 4));
}

async fn staff_find_messages_page_by_page(backend: Backend) {
    let shop = Shop::open(backend).await;
    for event in 1..=5 {
        tell(&shop, event, Occasion::OrderPlaced, guest()).await;
    }
    let staff = shop.sign_in(Role::Staff).await;
    let page = async |arguments: String| {
        let query = format!(
            "{{ messages({arguments}) {{ totalCount edges {{ cursor node {{ id channel orderId customer {{ id }} }} }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        shop.ask_as(&staff, &query, json!({})).await
    };
    let first = page("first: 3, filter: { channel: EMAIL }".into()).await;
    assert_eq!(
        (first.at("/messages/totalCount"), first.at("/messages/pageInfo/hasNextPage")),
        (&json!(5), &json!(true))
    );
    let cursor = first.at("/messages/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(format!("first: 3, after: \"{cursor}\", filter: {{ channel: EMAIL }}")).await;
    assert_eq!(second.at("/messages/pageInfo/hasNextPage"), false);
    let ids = |answer: &crate::shop::Answer| {
        let edges = answer.at("/messages/edges").as_array().expect("edges").clone();
        edges.iter().map(|edge| edge["node"]["id"].to_string()).collect::<Vec<_>>()
    };
    let mut all = [ids(&first), ids(&second)].concat();
    all.dedup();
    assert_eq!(all.len(), 5);
    let order = first.at("/messages/edges/0/node/orderId").as_str().expect("an id").to_owned();
    let found = async |filter: String| {
        page(format!("first: 0, filter: {{ {filter} }}")).await.at("/messages/totalCount").clone()
    };
    assert_eq!(found(format!("orderId: \"{order}\"")).await, json!(10));
    assert_eq!(found("recipient: \" WANJIKU@example.com\"".into()).await, json!(5));
    assert_eq!(found("recipient: \"+254712345678\", state: QUEUED".into()).await, json!(5));
    assert_eq!(found("recipient: \"nobody@example.com\"".into()).await, json!(0));
    assert_eq!(found("state: SENT".into()).await, json!(0));
    assert_eq!(found("event: ORDER_PLACED".into()).await, json!(10));
    page("filter: { orderId: \"Q3VzdG9tZXI6MQ\" }".into()).await.blames("filter.orderId");
    page("first: 3, after: \"nonsense\"".into()).await.blames("after");
    let one = page("first: 1".into()).await.statements;
    assert_eq!(page("first: 10".into()).await.statements, one);
}

async fn of_who_goes_no_message_tells(backend: Backend) {
    let shop = Shop::open(backend).await;
    let customer = register(&shop, Some("SW")).await;
    shop.work().await;
    let account = shop.number("SELECT max(id) FROM account").await;
    tell(&shop, 101, Occasion::OrderPlaced, Recipient { account: Some(account), ..guest() }).await;
    let set =
        "mutation { notificationPreferenceSet(input: { event: ORDER_PLACED, sms: false }) { userErrors { code } } }";
    assert_eq!(shop.ask_as(&customer, set, json!({})).await.problems("notificationPreferenceSet"), []);
    let all = shop.ask_as(&customer, "{ customerExport }", json!({})).await;
    let all = all.at("/customerExport");
    let told: Vec<_> = all["messages"].as_array().expect("messages").iter().map(|one| &one["recipient"]).collect();
    assert_eq!(told, [&json!("amani@example.com"), &json!("wanjiku@example.com"), &json!("+254712345678")]);
    assert_eq!(all["notificationPreferences"][0]["event"], "order_placed");
    assert_eq!(all["customer"]["language"], "sw");

    let id = id_of(&shop, &customer).await;
    let gone = "mutation { customerDelete(password: \"correct horse\") { deletedCustomerId userErrors { code } } }";
    assert_eq!(shop.ask_as(&customer, gone, json!({})).await.at("/customerDelete/deletedCustomerId"), &json!(id));
    shop.work().await;
    let statement = Statement::from_string(shop.db.backend(), "SELECT * FROM message ORDER BY id");
    let rows = JsonValue::find_by_statement(statement).all(shop.db.owner()).await.expect("rows");
    let states: Vec<_> = rows.iter().map(|row| row["state"].as_str().expect("a state")).collect();
    assert_eq!(states, ["sent", "skipped", "skipped"]);
    for row in &rows {
        for trace in ["amani", "wanjiku", "Wanjiku", "Moi Avenue", "712345678"] {
            assert!(!row.to_string().contains(trace), "{trace} is left in {row}");
        }
    }
    assert_eq!(shop.number("SELECT count(*) FROM notification_preference").await, 0);
    let seen = messages(&shop, "").await;
    let staff = shop.sign_in(Role::Admin).await;
    let again = "mutation($id: ID!) { messageResend(id: $id) { userErrors { code field } } }";
    let no = shop.ask_as(&staff, again, json!({ "id": seen[0]["id"] })).await;
    assert_eq!(no.problems("messageResend"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
}

async fn a_shop_that_sends_nothing_says_so(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    tell(&shop, 1, Occasion::OrderPlaced, guest()).await;
    shop.work().await;
    let seen = messages(&shop, "").await;
    let whys: Vec<_> = seen.iter().map(|one| json!([one["state"], one["why"]])).collect();
    assert_eq!(
        whys,
        [json!(["SKIPPED", "this shop sends nothing by sms"]), json!(["SKIPPED", "this shop sends nothing by email"])]
    );
}

async fn no_token_outlives_what_it_was_asked_for(backend: Backend) {
    let shop = Shop::open(backend).await;
    register(&shop, None).await;
    shop.ask("mutation { passwordResetRequest(email: \"amani@example.com\") { accepted } }").await;
    // Between the asking and the writing, the account is shut.
    shop.sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    shop.work().await;
    assert_eq!(shop.number("SELECT count(*) FROM message").await, 0);
    assert_eq!((letters(&shop).len(), shop.number("SELECT count(*) FROM one_time_token").await), (0, 0));

    let shop = Shop::open(backend).await;
    register(&shop, None).await;
    shop.ask("mutation { passwordResetRequest(email: \"amani@example.com\") { accepted } }").await;
    shop.sql("UPDATE account SET email_verified_at = created_at").await.expect("a change");
    shop.work().await;
    let seen = messages(&shop, ", filter: { state: SKIPPED }").await;
    assert_eq!((seen.len(), &seen[0]["event"]), (1, &json!("VERIFY_EMAIL")), "{seen:?}");
    assert_eq!(letters(&shop).len(), 1);
}

async fn a_session_begins_with_the_account_as_it_is(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.sign_in(Role::Staff).await;
    let known = account::Entity::find().one(shop.db.owner()).await.expect("an answer").expect("an account");
    let open = async || {
        let known = known.clone();
        let lasts = ("password", chrono::TimeDelta::days(1));
        shop.db.write(async |tx| session::open(tx, known, &Device::default(), lasts).await).await
    };
    shop.sql("UPDATE account SET role = 'customer'").await.expect("a change");
    let opened = open().await.unwrap_or_else(|why| panic!("no session: {}", why.log()));
    assert_eq!(opened.account.role, Role::Customer, "a role that was lost is lost here too");
    for change in ["password = '$argon2id$other'", "password = NULL, disabled_at = created_at"] {
        shop.sql(&format!("UPDATE account SET {change}")).await.expect("a change");
        assert!(open().await.is_err(), "{change}");
    }
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 2);
}

async fn the_database_refuses_what_cannot_be(backend: Backend) {
    let shop = Shop::open(backend).await;
    tell(&shop, 1, Occasion::OrderPlaced, guest()).await;
    let copy = "INSERT INTO message (event_id, occasion, channel, recipient, order_id, state, attempts, round, created_at, \
        updated_at) SELECT event_id, occasion, channel, 'other@example.com', order_id, state, 0, 0, created_at, updated_at \
        FROM message";
    let wrong = [
        copy,
        "UPDATE message SET state = 'lost'",
        "UPDATE message SET state = 'failed', why = NULL",
        "UPDATE message SET state = 'sent', sent_at = NULL",
        "UPDATE message SET recipient = NULL",
        "UPDATE message SET state = 'skipped', why = 'gone', recipient = NULL",
        "UPDATE message SET occasion = 'verify_email'",
        "UPDATE message SET channel = 'pigeon'",
        "UPDATE message SET language = 'fr'",
        "UPDATE message SET attempts = -1",
        "UPDATE account SET language = 'fr'",
        "INSERT INTO notification_preference SELECT id, 'reset_password', 'email', true, created_at, created_at FROM account",
    ];
    shop.sign_in(Role::Customer).await;
    for sql in wrong {
        assert!(shop.sql(sql).await.is_err(), "{sql}");
    }
    assert_eq!(messages(&shop, ", filter: { state: QUEUED }").await.iter().map(Value::is_object).count(), 2);
}
