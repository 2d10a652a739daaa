//! What customers say of themselves, where they live, and how staff find them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    customers_know_and_change_themselves,
    what_cannot_be_said_is_told_at_once,
    the_first_address_is_taken_for_everything,
    a_default_moves_and_goes_with_its_address,
    a_hundred_addresses_are_enough,
    addresses_of_staff_are_changed_with_staff_write_only,
    two_who_choose_a_default_at_once_choose_one,
    nobody_reaches_what_is_anothers,
    a_hundred_customers_cost_what_one_costs,
    staff_find_customers_by_what_they_begin_with,
    the_list_of_customers_has_pages,
];

pub const ADDRESS: &str = "mutation($id: ID, $input: AddressCreateInput!) { addressCreate(customerId: $id, input: $input) {
    address { id version isDefaultShipping isDefaultBilling phone countryCode country } userErrors { code field message } } }";
const UPDATE: &str = "mutation($id: ID, $input: CustomerUpdateInput!, $version: Int) {
    customerUpdate(id: $id, input: $input, expectedVersion: $version) {
    customer { firstName lastName phone version } userErrors { code field message } } }";
const ADDRESS_UPDATE: &str = "mutation($id: ID!, $input: AddressUpdateInput!, $version: Int) {
    addressUpdate(id: $id, input: $input, expectedVersion: $version) {
    address { company city phone version } userErrors { code field } } }";
const SET_DEFAULT: &str = "mutation($id: ID!, $for: [AddressPurpose!]!) { addressSetDefault(id: $id, purposes: $for) {
    address { id version } userErrors { code field } } }";
const DELETE: &str = "mutation($id: ID!) { addressDelete(id: $id) { deletedAddressId userErrors { code field } } }";
const DEFAULTS: &str = "{ me { id defaultShippingAddress { id } defaultBillingAddress { id } addresses { id } } }";

/// An address like many.
pub fn home() -> Value {
    json!({ "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "ke", "phone": "0712 345678" })
}

/// Adds an address of one's own; its id.
pub async fn add_address(shop: &Shop, token: &str, input: Value) -> String {
    let made = shop.ask_as(token, ADDRESS, json!({ "input": input })).await;
    assert_eq!(made.problems("addressCreate"), [], "{}", made.body);
    made.at("/addressCreate/address/id").as_str().expect("an id").to_owned()
}

/// The id of whoever has a token.
pub async fn id_of(shop: &Shop, token: &str) -> String {
    shop.ask_as(token, "{ me { id } }", json!({})).await.at("/me/id").as_str().expect("an id").to_owned()
}

fn codes(answer: &Answer, mutation: &str) -> Vec<String> {
    answer.problems(mutation).into_iter().map(|(code, _)| code).collect()
}

async fn customers_know_and_change_themselves(backend: Backend) {
    let shop = Shop::open(backend).await;
    assert_eq!(shop.ask("{ me { id } }").await.at("/me"), &Value::Null);
    let token = shop.sign_in(Role::Customer).await;
    let me = shop.ask_as(
        &token,
        "{ me { email emailVerified firstName phone role disabled version addresses { id } } }",
        json!({}),
    );
    let expected = json!({ "email": "customer1@example.com", "emailVerified": true, "firstName": "", "phone": null,
        "role": "CUSTOMER", "disabled": false, "version": 1, "addresses": [] });
    assert_eq!(me.await.at("/me"), &expected);

    let update = async |input: Value| shop.ask_as(&token, UPDATE, json!({ "input": input })).await;
    let changed = update(json!({ "firstName": " Wanjiku ", "phone": "(0712) 345-678" })).await;
    let expected = json!({ "firstName": "Wanjiku", "lastName": "", "phone": "+254712345678", "version": 2 });
    assert_eq!(changed.at("/customerUpdate/customer"), &expected);
    // What is left out stays, null clears, and what says nothing new changes nothing.
    let changed = update(json!({ "lastName": "Kamau", "phone": null })).await;
    let expected = json!({ "firstName": "Wanjiku", "lastName": "Kamau", "phone": null, "version": 3 });
    assert_eq!(changed.at("/customerUpdate/customer"), &expected);
    assert_eq!(update(json!({ "lastName": "Kamau" })).await.at("/customerUpdate/customer"), &expected);
    let stale = shop.ask_as(&token, UPDATE, json!({ "input": { "lastName": "Otieno" }, "version": 2 })).await;
    assert_eq!(stale.problems("customerUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let told = "SELECT count(*) FROM audit WHERE action = 'customer.update' AND actor_kind = 'account'";
    assert_eq!(shop.number(told).await, 2);
}

async fn what_cannot_be_said_is_told_at_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    let long = "x".repeat(101);
    let wrong = json!({ "firstName": long, "lastName": "a\u{7}b", "phone": "12" });
    let answer = shop.ask_as(&token, UPDATE, json!({ "input": wrong })).await;
    let fields = |fields: &[&str]| {
        fields.iter().map(|field| ("VALIDATION_ERROR".to_owned(), format!("input.{field}"))).collect::<Vec<_>>()
    };
    assert_eq!(answer.problems("customerUpdate"), fields(&["firstName", "lastName", "phone"]));
    let wrong =
        json!({ "line1": " ", "city": "x\ny", "postalCode": "x".repeat(21), "countryCode": "XX", "phone": "call me" });
    let answer = shop.ask_as(&token, ADDRESS, json!({ "input": wrong })).await;
    let expected = fields(&["line1", "city", "postalCode", "countryCode", "phone", "lastName"]);
    assert_eq!(answer.problems("addressCreate"), expected);
    assert_eq!(shop.number("SELECT count(*) FROM address").await, 0);
    // A number is one of the address's own country.
    let mut berlin = home();
    berlin["countryCode"] = json!("DE");
    berlin["phone"] = json!("030 901820");
    let answer = shop.ask_as(&token, ADDRESS, json!({ "input": berlin })).await;
    assert_eq!(answer.at("/addressCreate/address/phone"), "+4930901820");
    assert_eq!(answer.at("/addressCreate/address/country"), "Germany");
}

async fn the_first_address_is_taken_for_everything(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    let made = shop.ask_as(&token, ADDRESS, json!({ "input": home() })).await;
    let address = made.at("/addressCreate/address");
    assert_eq!((&address["isDefaultShipping"], &address["isDefaultBilling"]), (&json!(true), &json!(true)));
    assert_eq!((&address["version"], &address["countryCode"]), (&json!(1), &json!("KE")));
    let second = shop.ask_as(&token, ADDRESS, json!({ "input": home() })).await;
    assert_eq!(second.at("/addressCreate/address/isDefaultShipping"), false);
    let id = &address["id"];
    let update = async |input: Value, version: i32| {
        shop.ask_as(&token, ADDRESS_UPDATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let version = address["version"].as_i64().and_then(|version| i32::try_from(version).ok()).expect("a version");
    let changed = update(json!({ "company": "Baobab Ltd", "phone": null }), version).await;
    let expected = json!({ "company": "Baobab Ltd", "city": "Nairobi", "phone": null, "version": 2 });
    assert_eq!(changed.at("/addressUpdate/address"), &expected);
    assert_eq!(codes(&update(json!({ "city": "Kisumu" }), version).await, "addressUpdate"), ["VERSION_CONFLICT"]);
    let wrong = update(json!({ "city": null, "countryCode": null }), 2).await;
    assert_eq!(codes(&wrong, "addressUpdate"), ["VALIDATION_ERROR"; 2]);
}

async fn a_default_moves_and_goes_with_its_address(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    let first = add_address(&shop, &token, home()).await;
    let mut office = home();
    office["defaultFor"] = json!(["SHIPPING"]);
    let second = add_address(&shop, &token, office).await;
    let defaults = async || {
        let me = shop.ask_as(&token, DEFAULTS, json!({})).await;
        let id = |name: &str| me.at(&format!("/me/{name}"))["id"].as_str().map(str::to_owned);
        (id("defaultShippingAddress"), id("defaultBillingAddress"))
    };
    assert_eq!(defaults().await, (Some(second.clone()), Some(first.clone())));
    let set = |purposes: Value| json!({ "id": second, "for": purposes });
    shop.ask_as(&token, SET_DEFAULT, set(json!(["BILLING", "SHIPPING"]))).await.at("/addressSetDefault/address/id");
    assert_eq!(defaults().await, (Some(second.clone()), Some(second.clone())));
    let nothing = shop.ask_as(&token, SET_DEFAULT, set(json!([]))).await;
    assert_eq!(nothing.problems("addressSetDefault"), [("VALIDATION_ERROR".into(), "purposes".into())]);
    let gone = shop.ask_as(&token, DELETE, json!({ "id": second })).await;
    assert_eq!(gone.at("/addressDelete/deletedAddressId"), &json!(second));
    assert_eq!(defaults().await, (None, None));
    let again = shop.ask_as(&token, DELETE, json!({ "id": second })).await;
    assert_eq!(again.problems("addressDelete"), [("NOT_FOUND".into(), "id".into())]);
}

async fn a_hundred_addresses_are_enough(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    add_address(&shop, &token, home()).await;
    add_address(&shop, &token, home()).await;
    while shop.number("SELECT count(*) FROM address").await < 99 {
        let more = "INSERT INTO address (account_id, first_name, last_name, line1, city, country_code, is_default_shipping, \
            is_default_billing, version, created_at, updated_at) SELECT account_id, first_name, last_name, line1, city, \
            country_code, false, false, 1, created_at, updated_at FROM address LIMIT (SELECT 99 - count(*) FROM address)";
        shop.sql(more).await.expect("more");
    }
    let add = async || shop.ask_as(&token, ADDRESS, json!({ "input": home() })).await;
    let (one, other) = tokio::join!(add(), add());
    let mut said = [codes(&one, "addressCreate"), codes(&other, "addressCreate")];
    said.sort();
    assert_eq!(said, [vec![], vec!["ILLEGAL_TRANSITION".to_owned()]]);
    let me = shop.ask_as(&token, DEFAULTS, json!({})).await;
    assert_eq!(me.at("/me/addresses").as_array().map(Vec::len), Some(100));
}

async fn addresses_of_staff_are_changed_with_staff_write_only(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (admin, colleague) = (shop.sign_in(Role::Admin).await, shop.sign_in(Role::Staff).await);
    let address = add_address(&shop, &colleague, home()).await;
    let key = "mutation { apiKeyCreate(input: { name: \"Desk\", permissions: [CUSTOMER_READ, CUSTOMER_WRITE] }) {
        apiKey { key } userErrors { code } } }";
    let desk = shop.ask_as(&admin, key, json!({})).await;
    let desk = desk.at("/apiKeyCreate/apiKey/key").as_str().expect("a key").to_owned();
    let changes = [
        (ADDRESS_UPDATE, json!({ "id": address, "input": { "city": "Mombasa" } })),
        (SET_DEFAULT, json!({ "id": address, "for": ["SHIPPING"] })),
        (DELETE, json!({ "id": address })),
    ];
    for (query, variables) in &changes {
        assert_eq!(shop.ask_as(&desk, query, variables.clone()).await.code(), "FORBIDDEN");
    }
    for (query, variables) in &changes {
        let answer = shop.ask_as(&admin, query, variables.clone()).await;
        assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
    }
    assert_eq!(shop.number("SELECT count(*) FROM address").await, 0);
}

async fn two_who_choose_a_default_at_once_choose_one(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    add_address(&shop, &token, home()).await;
    let (one, other) = (add_address(&shop, &token, home()).await, add_address(&shop, &token, home()).await);
    let set = async |id: &str| {
        let chosen = shop.ask_as(&token, SET_DEFAULT, json!({ "id": id, "for": ["SHIPPING", "BILLING"] })).await;
        assert_eq!(chosen.problems("addressSetDefault"), [], "{}", chosen.body);
    };
    for _ in 0..10 {
        tokio::join!(set(&one), set(&other), set(&one), set(&other));
        assert_eq!(shop.number("SELECT count(*) FROM address WHERE is_default_shipping").await, 1);
        assert_eq!(shop.number("SELECT count(*) FROM address WHERE is_default_billing").await, 1);
    }
}

async fn nobody_reaches_what_is_anothers(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mine, theirs) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let address = add_address(&shop, &theirs, home()).await;
    let other = id_of(&shop, &theirs).await;
    let before = shop.number("SELECT sum(version) + count(*) FROM address").await;
    let node = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ids = json!({ "ids": [address, other] });
    assert_eq!(shop.ask_as(&mine, node, ids.clone()).await.at("/nodes"), &json!([null, null]));
    assert_eq!(shop.ask_with(node, ids.clone()).await.at("/nodes"), &json!([null, null]));
    assert_eq!(shop.ask_as(&theirs, node, ids.clone()).await.at("/nodes/0/id"), &json!(address));
    let staff = shop.sign_in(Role::Staff).await;
    assert_eq!(shop.ask_as(&staff, node, ids).await.at("/nodes/1/id"), &json!(other));

    let tries = [
        ("addressUpdate", ADDRESS_UPDATE, json!({ "id": address, "input": { "city": "Mombasa" } })),
        ("addressSetDefault", SET_DEFAULT, json!({ "id": address, "for": ["SHIPPING"] })),
        ("addressDelete", DELETE, json!({ "id": address })),
        ("addressCreate", ADDRESS, json!({ "id": other, "input": home() })),
        ("customerUpdate", UPDATE, json!({ "id": other, "input": { "firstName": "Mine" } })),
        (
            "customerDelete",
            "mutation($id: ID) { customerDelete(id: $id) { userErrors { code field } } }",
            json!({ "id": other }),
        ),
    ];
    // Staff who may see customers may not change them.
    for token in [&mine, &staff] {
        for (name, mutation, variables) in &tries {
            let answer = shop.ask_as(token, mutation, variables.clone()).await;
            assert_eq!(codes(&answer, name), ["NOT_FOUND"], "{name}: {}", answer.body);
        }
    }
    assert_eq!(shop.number("SELECT sum(version) + count(*) FROM address").await, before);
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE version > 1 OR deleted_at IS NOT NULL").await, 0);
    let admin = shop.sign_in(Role::Admin).await;
    let (name, mutation, variables) = &tries[0];
    assert_eq!(codes(&shop.ask_as(&admin, mutation, variables.clone()).await, name), [""; 0]);
}

async fn a_hundred_customers_cost_what_one_costs(backend: Backend) {
    let shop = Shop::open(backend).await;
    let staff = shop.sign_in(Role::Staff).await;
    let query = "{ customers(first: 100) { totalCount nodes { email addresses { city }
        defaultShippingAddress { city } defaultBillingAddress { id } } pageInfo { endCursor } } }";
    let one = shop.ask_as(&staff, query, json!({})).await;
    assert_eq!((one.statements, one.at("/customers/totalCount")), (3, &json!(1)));
    for _ in 0..12 {
        let token = shop.sign_in(Role::Customer).await;
        add_address(&shop, &token, home()).await;
    }
    let many = shop.ask_as(&staff, query, json!({})).await;
    assert_eq!((many.statements, many.at("/customers/totalCount")), (3, &json!(13)));
    assert_eq!(many.at("/customers/nodes/0/defaultShippingAddress/city"), "Nairobi");
    assert_eq!(many.at("/customers/nodes/12/addresses"), &json!([]));
}

/// The e-mail addresses of a list.
async fn found(shop: &Shop, token: &str, filter: &str) -> Vec<String> {
    let query = format!("{{ customers(filter: {{ {filter} }}) {{ totalCount nodes {{ email }} }} }}");
    let answer = shop.ask_as(token, &query, json!({})).await;
    let emails = answer.texts("/customers/nodes", "email");
    assert_eq!(answer.at("/customers/totalCount"), &json!(emails.len()));
    emails
}

async fn staff_find_customers_by_what_they_begin_with(backend: Backend) {
    let shop = Shop::open(backend).await;
    let staff = shop.sign_in(Role::Staff).await;
    for (first, last, phone) in [("Zoë", "Nakuru", "0712 345678"), ("Achieng", "Zola", "0733 000111")] {
        let token = shop.sign_in(Role::Customer).await;
        let input = json!({ "firstName": first, "lastName": last, "phone": phone });
        assert_eq!(shop.ask_as(&token, UPDATE, json!({ "input": input })).await.problems("customerUpdate"), []);
    }
    let (zoe, achieng) = ("customer2@example.com", "customer3@example.com");
    let search = async |text: &str| found(&shop, &staff, &format!("search: {}", json!(text))).await;
    assert_eq!(search("zo").await, [achieng, zoe]);
    assert_eq!(search("ZOE na").await, [zoe]);
    assert_eq!(search("Customer3@").await, [achieng]);
    assert_eq!(search("071").await, [zoe]);
    assert_eq!(search("+254 733").await, [achieng]);
    for nothing in ["kuru", "0799", "%", "_", "zola a"] {
        assert_eq!(search(nothing).await, [""; 0], "{nothing}");
    }
    assert_eq!(search("  ").await.len(), 3);
    assert_eq!(found(&shop, &staff, "role: STAFF").await, ["staff1@example.com"]);
    assert_eq!(found(&shop, &staff, "verified: false").await, [""; 0]);
    assert_eq!(found(&shop, &staff, "disabled: false, role: CUSTOMER").await, [achieng, zoe]);
    assert_eq!(found(&shop, &staff, "createdAt: { from: \"2026-11-01T09:00:01Z\" }").await, [""; 0]);
    assert_eq!(found(&shop, &staff, "createdAt: { to: \"2026-11-01T09:00:01Z\" }").await.len(), 3);
    let long = format!("{{ customers(filter: {{ search: \"{}\" }}) {{ nodes {{ id }} }} }}", "x".repeat(201));
    shop.ask_as(&staff, &long, json!({})).await.blames("filter.search");
}

async fn the_list_of_customers_has_pages(backend: Backend) {
    let shop = Shop::open(backend).await;
    let staff = shop.sign_in(Role::Staff).await;
    for _ in 0..4 {
        shop.sign_in(Role::Customer).await;
    }
    let page = async |arguments: &str| {
        let query = format!(
            "{{ customers({arguments}) {{ edges {{ cursor node {{ email }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor startCursor }} }} }}"
        );
        shop.ask_as(&staff, &query, json!({})).await
    };
    let emails = |answer: &Answer| {
        let edges = answer.at("/customers/edges").as_array().expect("edges").clone();
        edges.iter().map(|edge| edge["node"]["email"].as_str().expect("text")[..9].to_owned()).collect::<Vec<_>>()
    };
    let first = page("first: 2").await;
    assert_eq!(emails(&first), ["customer5", "customer4"]);
    let info = |answer: &Answer, name: &str| answer.at(&format!("/customers/pageInfo/{name}")).clone();
    assert_eq!((info(&first, "hasNextPage"), info(&first, "hasPreviousPage")), (json!(true), json!(false)));
    let second = page(&format!("first: 2, after: {}", info(&first, "endCursor"))).await;
    assert_eq!(emails(&second), ["customer3", "customer2"]);
    let last = page(&format!("first: 2, after: {}", info(&second, "endCursor"))).await;
    assert_eq!((emails(&last), info(&last, "hasNextPage")), (vec!["staff1@ex".to_owned()], json!(false)));
    let back = page(&format!("last: 2, before: {}", info(&last, "startCursor"))).await;
    assert_eq!(back.at("/customers/edges"), second.at("/customers/edges"));
    page("first: 2, after: \"bm90aGluZw\"").await.blames("after");
    page("first: 101").await.blames("first");
}
