//! `savannah user`, and the first admin of an empty shop.

use serde_json::{Value, json};

use crate::{
    shop::{Backend, Own, Running, Workplace},
    stories,
};

stories![
    without_a_terminal_no_password_is_printed,
    an_empty_development_shop_has_one_admin,
    accounts_are_made_and_changed_at_the_command_line,
    what_cannot_be_is_said_in_one_sentence,
];

async fn new_place(backend: Backend, vars: &[(&str, &str)]) -> (Workplace, Own) {
    let database = Own::empty(backend).await;
    let url = [("DATABASE_URL", database.url())];
    let place = Workplace::new(&[&url, vars].concat());
    (place, database)
}

/// Whether somebody can sign in.
async fn can_sign_in(shop: &Running, email: &str, password: &str) -> bool {
    let input = format!("{{ email: {}, password: {} }}", json!(email), json!(password));
    let answer = shop.ask(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
    answer["data"]["login"]["tokens"]["accessToken"].is_string()
}

async fn without_a_terminal_no_password_is_printed(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let shop = place.open(&[]).await;
    assert!(!shop.out().contains("admin@") && shop.err().contains("savannah user create"), "{}", shop.err());
    assert_eq!(place.run(&["user", "list"], &[]).await.out, "");
    let made = place.run(&["user", "create", "--email", "admin@savannah.example", "--role", "admin"], &[]).await;
    let password = made.out.split_whitespace().last().expect("a password");
    assert_eq!(password.len(), 24);
    assert!(can_sign_in(&shop, "admin@savannah.example", password).await);
    shop.signal("TERM");
    assert_eq!(shop.end().await.code, Some(0));
    let again = place.open(&[]).await;
    assert!(!again.err().contains("savannah user create"), "{}", again.err());
}

/// `script` gives the binary a terminal, and writes down what is shown on it.
async fn an_empty_development_shop_has_one_admin(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let shown = place.serve_on_terminal().await;
    let line = shown.lines().find(|line| line.contains("admin@savannah.example")).expect("a first admin");
    let password = line.split_whitespace().last().expect("a password");
    assert_eq!(password.len(), 24);
    assert_eq!(shown.matches(password).count(), 1, "it is in the log");
    let shop = place.open(&[]).await;
    assert!(can_sign_in(&shop, "admin@savannah.example", password).await);
    let shown = place.serve_on_terminal().await;
    assert!(!shown.contains("admin@"), "{shown}");
    let listed = place.run(&["user", "list"], &[]).await;
    assert_eq!(listed.out, "admin@savannah.example\tadmin\tactive\n");

    let (place, _database) = new_place(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    assert_eq!(place.run(&["migrate"], &[]).await.code, Some(0));
    let shown = place.serve_on_terminal().await;
    assert!(!shown.contains("admin@"), "{shown}");
}

async fn accounts_are_made_and_changed_at_the_command_line(backend: Backend) {
    let (place, _database) = new_place(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    assert_eq!(place.run(&["migrate"], &[]).await.code, Some(0));
    let run = async |args: &[&str]| {
        let ended = place.run(&[&["user"], args].concat(), &[]).await;
        assert_eq!(ended.code, Some(0), "{args:?} {ended:?}");
        ended.out
    };
    let made = run(&["create", "--email", "amani@example.com", "--role", "admin", "--first-name", "Amani"]).await;
    let password = made.split_whitespace().last().expect("a password").to_owned();
    run(&["create", "--email", "juma@example.com"]).await;
    assert_eq!(run(&["list"]).await, "juma@example.com\tcustomer\tactive\namani@example.com\tadmin\tactive\tAmani\n");
    run(&["role", "JUMA@example.com", "staff"]).await;
    run(&["disable", "juma@example.com"]).await;
    assert_eq!(run(&["list", "--role", "staff"]).await, "juma@example.com\tstaff\tdisabled\n");
    run(&["enable", "juma@example.com"]).await;
    let all: Value = serde_json::from_str(&run(&["export", "amani@example.com"]).await).expect("JSON");
    assert_eq!((&all["customer"]["firstName"], &all["customer"]["role"]), (&json!("Amani"), &json!("admin")));
    let shop = place.open(&[]).await;
    assert!(can_sign_in(&shop, "amani@example.com", &password).await);
}

async fn what_cannot_be_is_said_in_one_sentence(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let amani: &[&str] = &["create", "--email", "amani@example.com", "--role", "admin"];
    assert_eq!(place.run(&[&["user"], amani].concat(), &[]).await.code, Some(0));
    let wrong: [(&[&str], &str); 7] = [
        (amani, "there is an account"),
        (&["create", "--email", "amani"], "not an e-mail address"),
        (&["create", "--email", "b@example.com", "--password-stdin"], "a password has 8 to 128 characters"),
        (&["create", "--email", "b@example.com", "--role", "king"], "it is admin, staff or customer"),
        (&["role", "amani@example.com", "customer"], "the last admin"),
        (&["disable", "amani@example.com"], "the last admin"),
        (&["export", "nobody@example.com"], "there is no such account: nobody@example.com"),
    ];
    for (args, why) in wrong {
        let ended = place.run(&[&["user"], args].concat(), &[]).await;
        assert!(ended.code != Some(0) && ended.err.contains(why), "{args:?} {ended:?}");
    }
}
