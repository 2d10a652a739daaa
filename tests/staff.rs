//! What staff do about accounts, and what they may not.

use savannah::{
    base::{Country, error::Code},
    customer::{profile::Wish, staff},
    identity::{Caller, Permission, Permissions, Role},
};
use serde_json::{Value, json};

use crate::{
    customers::id_of,
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    the_last_admin_stays,
    two_admins_who_demote_each_other_leave_one,
    a_new_role_counts_at_once,
    who_is_disabled_is_out_until_enabled,
    staff_are_made_with_what_they_sign_in_with,
    customers_are_changed_by_those_who_may_and_staff_by_fewer,
];

const ROLE: &str = "mutation($id: ID!, $role: Role!) { staffRoleUpdate(id: $id, role: $role) {
    customer { role version } userErrors { code field } } }";
const CREATE: &str = "mutation($input: StaffCreateInput!) { staffCreate(input: $input) {
    customer { email role emailVerified } userErrors { code field } } }";
const LOGIN: &str = "mutation($email: String!) { login(input: { email: $email, password: \"correct horse\" }) {
    tokens { accessToken } userErrors { code } } }";

/// `customerDisable`, `customerEnable` or `customerDelete` of somebody.
async fn act(shop: &Shop, token: &str, mutation: &str, id: &str) -> Answer {
    let query = format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ userErrors {{ code field }} }} }}");
    shop.ask_as(token, &query, json!({ "id": id })).await
}

async fn admins(shop: &Shop) -> i64 {
    shop.number("SELECT count(*) FROM account WHERE role = 'admin' AND disabled_at IS NULL AND deleted_at IS NULL")
        .await
}

async fn the_last_admin_stays(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let me = id_of(&shop, &admin).await;
    let no = [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())];
    let role = async |id: &str, role: &str| shop.ask_as(&admin, ROLE, json!({ "id": id, "role": role })).await;
    assert_eq!(role(&me, "STAFF").await.problems("staffRoleUpdate"), no);
    for mutation in ["customerDisable", "customerDelete"] {
        assert_eq!(act(&shop, &admin, mutation, &me).await.problems(mutation), no);
    }
    // One who cannot sign in is none that helps.
    let other = shop.sign_in(Role::Admin).await;
    let other = id_of(&shop, &other).await;
    assert_eq!(act(&shop, &admin, "customerDisable", &other).await.problems("customerDisable"), []);
    assert_eq!(role(&me, "CUSTOMER").await.problems("staffRoleUpdate"), no);
    assert_eq!(act(&shop, &admin, "customerEnable", &other).await.problems("customerEnable"), []);
    assert_eq!(role(&me, "CUSTOMER").await.problems("staffRoleUpdate"), []);
    assert_eq!(admins(&shop).await, 1);
}

async fn two_admins_who_demote_each_other_leave_one(backend: Backend) {
    let shop = Shop::open(backend).await;
    for _ in 0..5 {
        shop.sql("UPDATE account SET role = 'customer'").await.expect("nobody");
        let (one, other) = (shop.sign_in(Role::Admin).await, shop.sign_in(Role::Admin).await);
        let (first, second) = (id_of(&shop, &one).await, id_of(&shop, &other).await);
        let demote = async |token: &str, id: &str| {
            shop.ask_as(token, ROLE, json!({ "id": id, "role": "CUSTOMER" })).await;
        };
        tokio::join!(demote(&one, &second), demote(&other, &first));
        assert_eq!(admins(&shop).await, 1);
    }
}

async fn a_new_role_counts_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (admin, staff) = (shop.sign_in(Role::Admin).await, shop.sign_in(Role::Staff).await);
    let id = id_of(&shop, &staff).await;
    let changed = shop.ask_as(&admin, ROLE, json!({ "id": id, "role": "CUSTOMER" })).await;
    assert_eq!(changed.at("/staffRoleUpdate/customer"), &json!({ "role": "CUSTOMER", "version": 2 }));
    let late = shop.ask_as(&staff, "{ customers { totalCount } }", json!({})).await;
    assert_eq!(late.code(), "UNAUTHENTICATED");
    let told = "SELECT count(*) FROM audit WHERE action = 'staff.role' AND thing_kind = 'Customer'";
    assert_eq!(shop.number(told).await, 1);
}

async fn who_is_disabled_is_out_until_enabled(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "email": "amani@example.com", "role": "CUSTOMER", "password": "correct horse" });
    shop.ask_as(&admin, CREATE, json!({ "input": input })).await.at("/staffCreate/customer/email");
    let login = async || shop.ask_with(LOGIN, json!({ "email": "amani@example.com" })).await;
    let token = login().await.at("/login/tokens/accessToken").as_str().expect("a token").to_owned();
    let id = id_of(&shop, &token).await;
    act(&shop, &admin, "customerDisable", &id).await.at("/customerDisable");
    assert_eq!(shop.ask_as(&token, "{ me { id } }", json!({})).await.code(), "UNAUTHENTICATED");
    assert_eq!(login().await.at("/login/tokens"), &Value::Null);
    act(&shop, &admin, "customerEnable", &id).await.at("/customerEnable");
    assert!(login().await.at("/login/tokens/accessToken").is_string());
    let missing = act(&shop, &admin, "customerDisable", "Q3VzdG9tZXI6OTk5").await;
    assert_eq!(missing.problems("customerDisable"), [("NOT_FOUND".into(), "id".into())]);
}

async fn staff_are_made_with_what_they_sign_in_with(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let create = async |input: Value| shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    let wrong = json!({ "email": "amani", "role": "STAFF", "firstName": "x".repeat(101), "password": "short" });
    let fields = ["input.email", "input.firstName", "input.password"];
    let expected = fields.map(|field| ("VALIDATION_ERROR".to_owned(), field.to_owned()));
    assert_eq!(create(wrong).await.problems("staffCreate"), expected);
    let made = create(json!({ "email": "amani@example.com", "role": "STAFF" })).await;
    let expected = json!({ "email": "amani@example.com", "role": "STAFF", "emailVerified": true });
    assert_eq!(made.at("/staffCreate/customer"), &expected);
    let twice = create(json!({ "email": "AMANI@example.com", "role": "STAFF" })).await;
    assert_eq!(twice.problems("staffCreate"), [("ALREADY_EXISTS".into(), "input.email".into())]);
}

async fn customers_are_changed_by_those_who_may_and_staff_by_fewer(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.sign_in(Role::Admin).await;
    shop.sign_in(Role::Staff).await;
    shop.sign_in(Role::Customer).await;
    let key = async |role: &str| shop.number(&format!("SELECT id FROM account WHERE role = '{role}'")).await;
    let machine = |list: &[Permission]| Some(Caller::Machine { key: 1, permissions: Permissions::of(list) });
    let country = Country::named("KE").expect("a country");
    let wish = |account, caller| Wish { account, caller, expected: None, country };
    let (staff_key, customer_key) = (key("staff").await, key("customer").await);
    let writer = machine(&[Permission::CustomerWrite]);
    let disable = async |wish: Wish| shop.db.write(async |tx| staff::disable(tx, wish, true).await).await;
    assert!(disable(wish(customer_key, writer)).await.is_ok());
    let refused = disable(wish(staff_key, writer)).await.expect_err("staff are not customers");
    assert_eq!(refused.public().code, Code::Forbidden);
    // Nobody gives a role that may do more than they do.
    let maker = machine(&[Permission::StaffWrite]);
    let promote = async |wish: Wish| shop.db.write(async |tx| staff::set_role(tx, wish, Role::Admin).await).await;
    let refused = promote(wish(staff_key, maker)).await.expect_err("a machine is no admin");
    assert_eq!(refused.public().code, Code::Forbidden);
    assert!(promote(wish(staff_key, None)).await.is_ok(), "the shop itself may");
    assert_eq!(admins(&shop).await, 2);
}
