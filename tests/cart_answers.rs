//! Responses of concurrent changes of one cart: each has the lines that belong to its version.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, cart_line_quantities, line_inputs},
};

integration_tests![concurrent_changes_answer_the_lines_of_their_version];

const CLIENTS: usize = 8;
const CHANGES: usize = 24;
const SKUS: [&str; 3] = ["MUG", "CUP", "POT"];

/// Quantities of a cart by SKU.
type Lines = BTreeMap<String, i64>;

/// Change of a cart: sent as a mutation and applied to the expected lines.
#[derive(Debug, Clone, Copy)]
enum Change {
    Add(usize),
    Set(usize, i64),
    Remove(usize),
    Clear,
    Note,
    Contact,
    Address,
}

impl Change {
    fn of(number: usize) -> Self {
        match number % 9 {
            0 | 3 | 6 => Self::Add(number / 9 % SKUS.len()),
            1 => Self::Note,
            2 => Self::Remove(number / 3 % SKUS.len()),
            4 => Self::Set(number % SKUS.len(), 5),
            5 => Self::Contact,
            7 => Self::Address,
            _ => Self::Clear,
        }
    }

    fn apply(self, lines: &Lines) -> Lines {
        let mut lines = lines.clone();
        match self {
            Self::Add(sku) => *lines.entry(SKUS[sku].to_owned()).or_default() += 1,
            Self::Set(sku, quantity) => {
                lines.entry(SKUS[sku].to_owned()).and_modify(|current| *current = quantity);
            }
            Self::Remove(sku) => drop(lines.remove(SKUS[sku])),
            Self::Clear => lines.clear(),
            Self::Note | Self::Contact | Self::Address => {}
        }
        lines
    }

    /// Executes the change; returns the version and lines of the response, or `None` if it was rejected.
    async fn ask(self, shop: &TestApp, (cart, goods): (&str, &[String]), number: usize) -> Option<(i64, Lines)> {
        let (mutation, declared, passed, value) = match self {
            Self::Add(sku) => ("cartLinesAdd", "[LineInput!]!", "lines", line_inputs(&[(&goods[sku], 1)])),
            Self::Set(sku, many) => {
                let line = shop.query_line_id(cart, &goods[sku]).await;
                let updates = json!([{ "id": line, "quantity": many }]);
                ("cartLinesUpdate", "[CartLineUpdateInput!]!", "lines", updates)
            }
            Self::Remove(sku) => {
                ("cartLinesRemove", "[ID!]!", "lineIds", json!([shop.query_line_id(cart, &goods[sku]).await]))
            }
            Self::Clear => ("cartClear", "Int", "expectedVersion", Value::Null),
            Self::Note => ("cartNoteUpdate", "String", "note", json!(format!("note {number}"))),
            Self::Contact => {
                ("cartContactUpdate", "CartContactInput!", "input", json!({ "email": format!("{number}@example.com") }))
            }
            Self::Address => {
                let current = json!({ "lastName": "Kamau", "line1": format!("Street {number}"), "city": "Nairobi", "countryCode": "KE" });
                ("cartAddressUpdate", "CartAddressInput!", "input", json!({ "shipping": { "address": current } }))
            }
        };
        let query = format!(
            "mutation($id: ID!, $value: {declared}) {{ {mutation}(id: $id, {passed}: $value) {{
            cart {{ version lines {{ sku quantity }} }} userErrors {{ code field message }} }} }}"
        );
        let answer: GraphqlResponse = shop.query_with_variables(&query, json!({ "id": cart, "value": value })).await;
        let cart = answer.data_at(&format!("/{mutation}/cart"));
        // Lines that no longer exist can only be updated.
        if cart.is_null() {
            assert!(matches!(self, Self::Set(..)), "{}", answer.body);
            return None;
        }
        Some((cart["version"].as_i64().expect("a version"), cart_line_quantities(cart).into_iter().collect()))
    }
}

async fn concurrent_changes_answer_the_lines_of_their_version(backend: Backend) {
    let shop = TestApp::start(backend).await;
    let mut goods = Vec::new();
    for slug in ["mug", "cup", "pot"] {
        goods.push(shop.create_product(slug, 10, Some(10_000)).await);
    }
    let cart = shop.create_cart(None, &[]).await;
    let clients = (0..CLIENTS).map(async |client| {
        let mut answered = Vec::new();
        for number in (client..CLIENTS * CHANGES).step_by(CLIENTS) {
            let change = Change::of(number);
            if let Some((version, lines)) = change.ask(&shop, (&cart, &goods), number).await {
                answered.push((version, change, lines));
            }
        }
        answered
    });
    let mut by_version: BTreeMap<i64, Vec<(Change, Lines)>> = BTreeMap::new();
    for (version, change, lines) in futures_util::future::join_all(clients).await.into_iter().flatten() {
        by_version.entry(version).or_default().push((change, lines));
    }
    let (last, _) = by_version.last_key_value().expect("answers");
    assert!(*last > i64::try_from(CLIENTS * CHANGES / 2).expect("a number"), "few changes: {last}");
    // Each version was created by one of its responses; the others with that version changed nothing.
    let mut before = Lines::new();
    for version in 2..=*last {
        let answers = &by_version[&version];
        let lines = &answers[0].1;
        assert!(answers.iter().all(|(_, one)| one == lines), "version {version}: {answers:?}");
        let made = answers.iter().any(|(change, _)| change.apply(&before) == *lines);
        assert!(made, "version {version} after {before:?}: {answers:?}");
        before.clone_from(lines);
    }
    let now = shop.query_cart(None, &cart).await;
    assert_eq!((now["version"].as_i64(), cart_line_quantities(&now).into_iter().collect()), (Some(*last), before));
}
