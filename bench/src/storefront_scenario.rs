//! The storefront scenario: the documents of `docs/storefront`, each as a page requests it. There is no hand-written
//! server to compare with; the numbers of two versions of Savannah are compared.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    Result,
    args::Options,
    benchmark::{LoadRound, PostgresCpu, register_customer},
    checkout_database::sample_shipping_address,
    http,
    process::Server,
    wrk::WrkScript,
};

/// The folder of the documents.
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/storefront");

/// A page: its document, the variables of its requests, and the access token.
pub struct Page {
    /// The name in the report.
    pub name: &'static str,
    /// The text of the operation.
    pub document: String,
    /// The variables, one set per request.
    pub variables: Vec<Value>,
    /// The access token, if it needs one.
    pub token: Option<String>,
}

/// Measures each page and prints a table.
pub fn run_storefront_scenario(options: &Options, program: &Path, postgres: &mut PostgresCpu<'_>) -> Result<()> {
    let server = Server::start_savannah(program, postgres.url())?;
    measure_pages(options, &server, postgres, list_pages(&server)?)
}

/// Measures each page and prints a table.
pub fn measure_pages(
    options: &Options,
    server: &Server,
    postgres: &mut PostgresCpu<'_>,
    pages: Vec<Page>,
) -> Result<()> {
    println!("| page | req/s | p50 ms | p99 ms | CPU µs/req | PostgreSQL µs/req |");
    println!("|---|--:|--:|--:|--:|--:|");
    for Page { name, document, variables, token } in pages {
        let to_body = |variables: &Value| json!({ "query": document, "variables": variables }).to_string();
        let bodies: Vec<String> = variables.iter().map(to_body).collect();
        let script = WrkScript::new(name, &bodies, token.as_deref())?;
        script.run(options, server.address, true).map_err(|error| format!("{name}: {error}"))?;
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(postgres.run_round(options, &script, server)?);
        }
        let LoadRound { result, cpu_micros, postgres_cpu_micros } = LoadRound::median(&rounds);
        let micros = |micros: Option<f64>| micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.0}"));
        let (cpu, postgres_cpu) = (micros(cpu_micros), micros(postgres_cpu_micros));
        println!("| {name} | {:.0} | {:.1} | {:.1} | {cpu} | {postgres_cpu} |", result.rate, result.p50, result.p99);
    }
    Ok(())
}

/// Returns the pages, with a cart, a customer and an order made for them.
fn list_pages(server: &Server) -> Result<Vec<Page>> {
    let catalog = query(
        server,
        "{ categories { slug } products(first: 100, filter: { inStock: true }) { nodes { slug variants(first: 1) { id } } } }",
        &Value::Null,
    )?;
    let slugs = |path: &str| -> Vec<Value> {
        let nodes = catalog.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        nodes.iter().map(|node| json!({ "slug": node["slug"] })).collect()
    };
    let variant = catalog.pointer("/products/nodes/0/variants/0/id").cloned().ok_or("no product is in stock")?;
    let cart = query(
        server,
        "mutation($id: ID!) { cartCreate(input: { lines: [{ variantId: $id, quantity: 2 }] }) { cart { id } } }",
        &json!({ "id": variant }),
    )?;
    let since_epoch =
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_err(|error| format!("the clock is wrong: {error}"))?;
    let options = query(server, "{ shippingOptions { shippingMethodId } }", &Value::Null)?;
    let input = json!({ "lines": [{ "variantId": variant, "quantity": 2 }], "email": "wanjiku@example.com",
        "shippingAddress": sample_shipping_address(), "paymentMethodId": "cash_on_delivery", "idempotencyKey": format!("bench {}", since_epoch.as_nanos()),
        "shippingMethodId": options.pointer("/shippingOptions/0/shippingMethodId") });
    let order = query(
        server,
        "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { number token } userErrors { message } } }",
        &json!({ "input": input }),
    )?;
    let order =
        order.pointer("/orderCreate/order").filter(|order| order.is_object()).ok_or(format!("no order: {order}"))?;
    let page = |name, variables| -> Result<Page> {
        let document = fs::read_to_string(format!("{DOCUMENTS}/{name}.graphql"));
        Ok(Page { name, document: document.map_err(|error| format!("{name}: {error}"))?, variables, token: None })
    };
    let account = Page { token: Some(register_customer(server)?), ..page("account", vec![json!({})])? };
    Ok(vec![
        page("home", vec![json!({})])?,
        page("category-page", slugs("/categories"))?,
        page("product-page", slugs("/products/nodes"))?,
        page("cart", vec![json!({ "id": cart.pointer("/cartCreate/cart/id") })])?,
        account,
        page("order-status", vec![order.clone()])?,
    ])
}

fn query(server: &Server, text: &str, variables: &Value) -> Result<Value> {
    let body = json!({ "query": text, "variables": variables }).to_string();
    let (_, response) = http::post_graphql(server.address, &body)?;
    let mut response: Value = serde_json::from_str(&response).map_err(|error| format!("{error} in {response}"))?;
    match response.get("errors") {
        Some(errors) => Err(format!("{text}: {errors}")),
        None => Ok(response["data"].take()),
    }
}
