//! Signing in with a password, staying signed in, signing out.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    a_customer_registers_signs_in_refreshes_and_signs_out,
    everything_wrong_with_a_registration_is_said_at_once,
    one_address_has_one_account_however_it_is_written,
    a_wrong_password_and_an_unknown_address_look_alike,
    guessing_is_limited_by_account_and_by_address,
    a_refresh_token_used_twice_ends_the_session,
    refreshes_at_once_all_succeed_and_later_reuse_ends_the_session,
    token_reuse_within_the_grace_is_bounded,
    refreshing_for_long_keeps_few_tokens,
    expired_session_is_not_listed,
    signing_out_everywhere_ends_what_others_hold,
    a_session_is_ended_by_its_owner_alone,
    everybody_sees_their_own_sessions,
];

const REGISTER: &str = "mutation($input: CustomerRegisterInput!) { customerRegister(input: $input) {
    tokens { accessToken refreshToken } userErrors { code field message } } }";
const LOGIN: &str = "mutation($email: String!, $password: String!) { login(input: { email: $email, password: $password }) {
    tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt } userErrors { code field message } } }";
const REFRESH: &str = "mutation($token: String!) { tokenRefresh(refreshToken: $token) {
    tokens { accessToken refreshToken } userErrors { code } } }";
const LOGOUT: &str = "mutation { logout { sessionsEnded userErrors { code } } }";
const EVERYWHERE: &str = "mutation { logoutEverywhere { sessionsEnded userErrors { code } } }";

async fn register(shop: &Shop, email: &str) -> Answer {
    let input = json!({ "email": email, "password": "correct horse", "firstName": "Amani", "lastName": "Otieno" });
    shop.ask_with(REGISTER, json!({ "input": input })).await
}

async fn login(shop: &Shop, email: &str, password: &str) -> Answer {
    shop.ask_with(LOGIN, json!({ "email": email, "password": password })).await
}

async fn refresh(shop: &Shop, token: &Value) -> Answer {
    shop.ask_with(REFRESH, json!({ "token": token })).await
}

fn text(answer: &Answer, pointer: &str) -> String {
    answer.at(pointer).as_str().unwrap_or_else(|| panic!("no text in {}", answer.body)).to_owned()
}

/// Whether a token opens the door.
async fn opens(shop: &Shop, token: &str) -> bool {
    let answer = shop.ask_as(token, "{ shop { name } }", json!({})).await;
    let refused = answer.body.get("errors").is_some();
    if refused {
        assert_eq!(answer.code(), "UNAUTHENTICATED");
    }
    !refused
}

async fn a_customer_registers_signs_in_refreshes_and_signs_out(backend: Backend) {
    let shop = Shop::open(backend).await;
    let made = register(&shop, "amani@example.com").await;
    assert_eq!(made.problems("customerRegister"), []);
    assert!(opens(&shop, &text(&made, "/customerRegister/tokens/accessToken")).await);
    let there = login(&shop, " Amani@Example.com ", "correct horse").await;
    let first = text(&there, "/login/tokens/accessToken");
    assert_eq!(there.at("/login/tokens/accessTokenExpiresAt"), "2026-11-01T09:10:00+00:00");
    shop.clock.set(crate::shop::moment("2026-11-01T09:10:00Z"));
    assert!(!opens(&shop, &first).await, "it has ended");
    let next = refresh(&shop, there.at("/login/tokens/refreshToken")).await;
    let token = text(&next, "/tokenRefresh/tokens/accessToken");
    assert!(opens(&shop, &token).await);
    assert_eq!(shop.ask_as(&token, LOGOUT, json!({})).await.at("/logout/sessionsEnded"), 1);
    assert!(!opens(&shop, &token).await, "signed out");
    assert_eq!(refresh(&shop, next.at("/tokenRefresh/tokens/refreshToken")).await.code(), "UNAUTHENTICATED");
    // The other session, of the registration, lives on; what is kept of all this opens nothing.
    assert!(opens(&shop, &refreshed(&shop, &made, "/customerRegister").await).await);
    let kept = "SELECT count(*) FROM account WHERE password NOT LIKE '$argon2id$%'";
    assert_eq!(shop.number(kept).await, 0);
}

async fn refreshed(shop: &Shop, answer: &Answer, mutation: &str) -> String {
    let next = refresh(shop, answer.at(&format!("{mutation}/tokens/refreshToken"))).await;
    text(&next, "/tokenRefresh/tokens/accessToken")
}

async fn everything_wrong_with_a_registration_is_said_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let input = json!({ "email": "nobody", "password": "short", "firstName": "a".repeat(101), "lastName": "b\u{7}" });
    let answer = shop.ask_with(REGISTER, json!({ "input": input })).await;
    let wrong = ["input.email", "input.firstName", "input.lastName", "input.password"];
    let wrong: Vec<_> = wrong.iter().map(|field| ("VALIDATION_ERROR".to_owned(), (*field).to_owned())).collect();
    assert_eq!(answer.problems("customerRegister"), wrong);
    assert_eq!(answer.at("/customerRegister/tokens"), &Value::Null);
    for email in ["a@b", "a b@example.com", "a@example.com\n", "<a@example.com>", "\"a\"@example.com", "@example.com"] {
        let input = json!({ "email": email, "password": "correct horse" });
        let answer = shop.ask_with(REGISTER, json!({ "input": input })).await;
        let expected =
            if email.ends_with('\n') { vec![] } else { vec![("VALIDATION_ERROR".into(), "input.email".into())] };
        assert_eq!(answer.problems("customerRegister"), expected, "{email}");
    }
    let input = json!({ "email": "someone@example.com", "password": "Someone@example.com" });
    let same = shop.ask_with(REGISTER, json!({ "input": input })).await;
    assert_eq!(same.problems("customerRegister"), [("VALIDATION_ERROR".into(), "input.password".into())]);
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 1);
}

async fn one_address_has_one_account_however_it_is_written(backend: Backend) {
    let shop = Shop::open(backend).await;
    let emails = ["zawadi@example.com", "Zawadi@example.com", "ZAWADI@EXAMPLE.COM", "zawadi@Example.com"];
    let answers = futures_util::future::join_all(emails.iter().map(|email| register(&shop, email))).await;
    let problems: Vec<_> = answers.iter().flat_map(|answer| answer.problems("customerRegister")).collect();
    assert_eq!(problems, vec![("ALREADY_EXISTS".to_owned(), "input.email".to_owned()); 3]);
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'account.create'").await, 1);
}

async fn a_wrong_password_and_an_unknown_address_look_alike(backend: Backend) {
    let shop = Shop::open(backend).await;
    register(&shop, "amani@example.com").await;
    shop.sign_in(Role::Customer).await;
    let (wrong, unknown, without) = tokio::join!(
        login(&shop, "amani@example.com", "wrong horse"),
        login(&shop, "nobody@example.com", "correct horse"),
        login(&shop, "customer2@example.com", "correct horse"),
    );
    assert_eq!(wrong.problems("login"), [("INVALID_CREDENTIALS".into(), "input".into())]);
    assert_eq!(wrong.body["data"], unknown.body["data"]);
    assert_eq!(wrong.body["data"], without.body["data"], "an account without a password");
    assert_eq!(wrong.statements, unknown.statements);
    shop.sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(login(&shop, "amani@example.com", "correct horse").await.body["data"], wrong.body["data"]);
}

async fn guessing_is_limited_by_account_and_by_address(backend: Backend) {
    let settings =
        [("SAVANNAH_THROTTLE__FAILED_LOGINS", "3/15m"), ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ADDRESS", "4/15m")];
    let shop = Shop::open_with(backend, &settings).await;
    register(&shop, "amani@example.com").await;
    // All at once is no way around: each is counted before it is tried.
    let tries = (0..5).map(|n| async move { n });
    let tries = tries.map(|n| async { login(&shop, "amani@example.com", &format!("guess {}", n.await)).await });
    let answers = futures_util::future::join_all(tries).await;
    let limited = answers.iter().filter(|answer| answer.body.get("errors").is_some());
    assert_eq!(limited.inspect(|answer| assert_eq!(answer.code(), "RATE_LIMITED")).count(), 2);
    assert_eq!(
        login(&shop, "AMANI@example.com", "correct horse").await.code(),
        "RATE_LIMITED",
        "not even the right one"
    );
    // Another account from the same address, until the address has tried too often.
    assert_eq!(login(&shop, "other@example.com", "guess").await.problems("login").len(), 1);
    assert_eq!(login(&shop, "third@example.com", "guess").await.code(), "RATE_LIMITED");
    shop.clock.set(crate::shop::moment("2026-11-01T09:16:00Z"));
    let right = login(&shop, "amani@example.com", "correct horse").await;
    assert_eq!(right.problems("login"), [], "the window has passed");
    for _ in 0..10 {
        assert_eq!(
            login(&shop, "amani@example.com", "correct horse").await.problems("login"),
            [],
            "right ones do not count"
        );
    }
}

async fn a_refresh_token_used_twice_ends_the_session(backend: Backend) {
    let shop = Shop::open(backend).await;
    let first = register(&shop, "amani@example.com").await;
    let stolen = first.at("/customerRegister/tokens/refreshToken");
    let second = refresh(&shop, stolen).await;
    let third = refresh(&shop, second.at("/tokenRefresh/tokens/refreshToken")).await;
    let token = text(&third, "/tokenRefresh/tokens/accessToken");
    assert!(opens(&shop, &token).await);
    shop.clock.set(crate::shop::moment("2026-11-01T09:00:10Z"));
    assert_eq!(refresh(&shop, stolen).await.code(), "UNAUTHENTICATED");
    assert!(!opens(&shop, &token).await, "the whole family has ended");
    assert_eq!(refresh(&shop, third.at("/tokenRefresh/tokens/refreshToken")).await.code(), "UNAUTHENTICATED");
    assert_eq!(refresh(&shop, &json!("nonsense")).await.code(), "UNAUTHENTICATED");
    assert_eq!(shop.number("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);
}

async fn refreshes_at_once_all_succeed_and_later_reuse_ends_the_session(backend: Backend) {
    let shop = Shop::open(backend).await;
    let made = register(&shop, "amani@example.com").await;
    let token = made.at("/customerRegister/tokens/refreshToken");
    let answers = futures_util::future::join_all((0..6).map(|_| refresh(&shop, token))).await;
    for answer in &answers {
        assert!(opens(&shop, &text(answer, "/tokenRefresh/tokens/accessToken")).await);
    }
    let newest = answers.iter().map(|answer| text(answer, "/tokenRefresh/tokens/refreshToken")).collect::<Vec<_>>();
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 1, "all of one session");
    // Whoever goes on makes every other token of the session a used one; shown past the grace, it ends the session.
    let (owner, thief) = (json!(newest[0]), json!(newest[1]));
    let next = refresh(&shop, &owner).await;
    shop.clock.set(crate::shop::moment("2026-11-01T09:00:10Z"));
    assert!(opens(&shop, &text(&next, "/tokenRefresh/tokens/accessToken")).await);
    assert_eq!(refresh(&shop, &thief).await.code(), "UNAUTHENTICATED");
    assert!(!opens(&shop, &text(&next, "/tokenRefresh/tokens/accessToken")).await, "the session has ended");
    assert_eq!(refresh(&shop, next.at("/tokenRefresh/tokens/refreshToken")).await.code(), "UNAUTHENTICATED");
}

async fn token_reuse_within_the_grace_is_bounded(backend: Backend) {
    let shop = Shop::open(backend).await;
    let made = register(&shop, "amani@example.com").await;
    let token = made.at("/customerRegister/tokens/refreshToken");
    for _ in 0..9 {
        assert!(refresh(&shop, token).await.body.get("errors").is_none());
    }
    assert_eq!(refresh(&shop, token).await.code(), "UNAUTHENTICATED", "no browser has so many pages");
    assert_eq!(shop.number("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);

    let shop = Shop::open_with(backend, &[("SAVANNAH_IDENTITY__REFRESH_REUSE_GRACE", "0")]).await;
    let made = register(&shop, "amani@example.com").await;
    let token = made.at("/customerRegister/tokens/refreshToken");
    let answers = futures_util::future::join_all((0..6).map(|_| refresh(&shop, token))).await;
    let good: Vec<_> = answers.iter().filter(|answer| answer.body.get("errors").is_none()).collect();
    assert_eq!(good.len(), 1);
    assert!(!opens(&shop, &text(good[0], "/tokenRefresh/tokens/accessToken")).await, "the others ended it");
}

async fn refreshing_for_long_keeps_few_tokens(backend: Backend) {
    let shop = Shop::open(backend).await;
    let made = register(&shop, "amani@example.com").await;
    let first = made.at("/customerRegister/tokens/refreshToken").clone();
    let mut token = first.clone();
    for round in 1..=30 {
        shop.clock.set(crate::shop::moment("2026-11-01T09:00:00Z") + chrono::TimeDelta::minutes(10 * round));
        let next = refresh(&shop, &token).await;
        token = next.at("/tokenRefresh/tokens/refreshToken").clone();
    }
    assert_eq!(shop.number("SELECT count(*) FROM refresh_token").await, 2);
    // One that is not kept any more still ends the session that it was copied from.
    assert_eq!(refresh(&shop, &first).await.code(), "UNAUTHENTICATED");
    assert_eq!(shop.number("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);
    assert_eq!(refresh(&shop, &token).await.code(), "UNAUTHENTICATED");
}

async fn expired_session_is_not_listed(backend: Backend) {
    const ME: &str = "{ me { sessions { current } } }";
    let shop = Shop::open(backend).await;
    let first = register(&shop, "amani@example.com").await;
    login(&shop, "amani@example.com", "correct horse").await;
    // The first goes on; the other one ends by itself after thirty days.
    shop.clock.set(crate::shop::moment("2026-11-20T09:00:00Z"));
    let next = refresh(&shop, first.at("/customerRegister/tokens/refreshToken")).await;
    shop.clock.set(crate::shop::moment("2026-12-01T08:59:59Z"));
    let next = refresh(&shop, next.at("/tokenRefresh/tokens/refreshToken")).await;
    let token = text(&next, "/tokenRefresh/tokens/accessToken");
    let current = json!([{ "current": true }, { "current": false }]);
    assert_eq!(shop.ask_as(&token, ME, json!({})).await.at("/me/sessions"), &current);
    shop.clock.set(crate::shop::moment("2026-12-01T09:00:00Z"));
    assert_eq!(shop.ask_as(&token, ME, json!({})).await.at("/me/sessions"), &json!([{ "current": true }]));
}

async fn signing_out_everywhere_ends_what_others_hold(backend: Backend) {
    let shop = Shop::open(backend).await;
    let one = text(&register(&shop, "amani@example.com").await, "/customerRegister/tokens/accessToken");
    let two = text(&login(&shop, "amani@example.com", "correct horse").await, "/login/tokens/accessToken");
    let other = shop.sign_in(Role::Customer).await;
    assert_eq!(shop.ask_as(&two, EVERYWHERE, json!({})).await.at("/logoutEverywhere/sessionsEnded"), 2);
    assert!(!opens(&shop, &one).await && !opens(&shop, &two).await);
    assert!(opens(&shop, &other).await);
    // What another instance revokes is heard of by the clock.
    shop.sql("UPDATE session SET revoked_at = created_at").await.expect("revoked");
    shop.tick().await;
    assert!(!opens(&shop, &other).await);
    // Without a token there is nothing to sign out of.
    assert_eq!(shop.ask(EVERYWHERE).await.code(), "UNAUTHENTICATED");
}

async fn a_session_is_ended_by_its_owner_alone(backend: Backend) {
    const REVOKE: &str = "mutation($id: ID!) { sessionRevoke(id: $id) { sessionsEnded userErrors { code field } } }";
    let shop = Shop::open(backend).await;
    let (mine, theirs) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Admin).await);
    let session = shop.number("SELECT max(id) FROM session").await;
    let id = savannah::base::GlobalId::new(savannah::base::id::Kind::Session, session).encode();
    let not_mine = shop.ask_as(&mine, REVOKE, json!({ "id": id })).await;
    assert_eq!(not_mine.problems("sessionRevoke"), [("NOT_FOUND".into(), "id".into())]);
    assert!(opens(&shop, &theirs).await);
    assert_eq!(shop.ask_as(&theirs, REVOKE, json!({ "id": id })).await.at("/sessionRevoke/sessionsEnded"), 1);
    assert!(!opens(&shop, &theirs).await);
    let nonsense = shop.ask_as(&mine, REVOKE, json!({ "id": "nonsense" })).await;
    assert_eq!(nonsense.problems("sessionRevoke"), [("VALIDATION_ERROR".into(), "id".into())]);
}

async fn everybody_sees_their_own_sessions(backend: Backend) {
    const ME: &str = "{ me { email sessions { id method address userAgent current expiresAt } } }";
    let shop = Shop::open(backend).await;
    let first = text(&register(&shop, "amani@example.com").await, "/customerRegister/tokens/accessToken");
    login(&shop, "amani@example.com", "correct horse").await;
    let answer = shop.ask_as(&first, ME, json!({})).await;
    let sessions = answer.at("/me/sessions").as_array().expect("a list");
    let current: Vec<_> = sessions.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)], "the last used first");
    assert!(sessions.iter().all(|one| one["method"] == "password" && one["address"] == "127.0.0.1"), "{sessions:?}");
    assert_eq!(shop.ask(ME).await.at("/me"), &Value::Null);
    // Staff see the customer, and not where they are.
    let staff = shop.sign_in(Role::Admin).await;
    let query = "{ customers(first: 10) { nodes { email sessions { id } } } }";
    let seen = shop.ask_as(&staff, query, json!({})).await;
    let theirs: Vec<_> =
        seen.at("/customers/nodes").as_array().expect("a list").iter().map(|one| one["sessions"].is_null()).collect();
    assert_eq!(theirs.iter().filter(|null| **null).count(), 1);
}
