//! Load clients that place orders while servers are killed: unanswered requests are repeated unchanged.

use std::{sync::Arc, time::Duration};

use savannah::{
    base::{GlobalId, global_id::NodeType},
    infra::Db,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{RunningProcess, line_inputs, query_scalar, shipping_address};

/// Longer than any response or server start takes.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Delay after an `UNAVAILABLE` response.
const RETRY_DELAY: Duration = Duration::from_millis(20);

const ORDER_SELECTION: &str = "order { id number status } userErrors { code message }";

/// Ids of the variants to buy: ample stock of all but the last, which is scarce.
#[derive(Debug, Clone)]
pub struct LoadCatalog(Vec<String>);

impl LoadCatalog {
    /// Returns the catalog as an import file.
    pub fn to_csv() -> String {
        let line = |n: usize| {
            let stock = if n == Self::SCARCE_PRODUCT { 12 } else { 100_000 };
            format!("good-{n},Good {n},Hall,G-{n},{n}0.50,{stock},active\n")
        };
        let head = "Handle,Title,Category,Variant SKU,Variant Price,Variant Inventory Qty,Status\n".to_owned();
        (0..=Self::SCARCE_PRODUCT).fold(head, |text, n| text + &line(n))
    }

    const SCARCE_PRODUCT: usize = 6;

    /// Reads the variant ids from a database with the imported catalog.
    pub async fn from_database(db: &Db) -> Self {
        let mut all = Vec::new();
        for n in 0..=Self::SCARCE_PRODUCT {
            let key = query_scalar(db, &format!("SELECT id FROM variant WHERE sku = 'G-{n}'")).await;
            all.push(GlobalId::new(NodeType::Variant, key).encode());
        }
        Self(all)
    }

    /// Returns the items of the nth order.
    pub fn choose_items(&self, n: usize) -> Vec<(&str, i64)> {
        let variant_at = |n: usize| self.0[n % Self::SCARCE_PRODUCT].as_str();
        if n.is_multiple_of(5) {
            vec![(&self.0[Self::SCARCE_PRODUCT], 1), (variant_at(n), 1)]
        } else {
            vec![(variant_at(n), 2), (variant_at(n + 2), 1)]
        }
    }
}

/// An order acknowledged by a server, with its last acknowledged status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcknowledgedOrder {
    /// Idempotency key of the request.
    pub idempotency_key: String,
    pub number: String,
    pub status: String,
}

/// Number and address of a running server.
type ServerEndpoint = Option<(u32, String)>;

/// Concurrent load clients: buyers, and staff who process some of the orders.
pub struct LoadClients {
    endpoints: watch::Sender<Vec<ServerEndpoint>>,
    stop: watch::Sender<bool>,
    order_count: watch::Receiver<u32>,
    tasks: JoinSet<Vec<AcknowledgedOrder>>,
    endpoint_count: u32,
}

struct LoadClient {
    client_number: usize,
    catalog: LoadCatalog,
    staff_token: String,
    http: reqwest::Client,
    endpoints: watch::Receiver<Vec<ServerEndpoint>>,
    stop: watch::Receiver<bool>,
    order_count: Arc<watch::Sender<u32>>,
}

impl LoadClients {
    /// Spawns buyers that start with the first endpoint; staff mutations use this token.
    pub fn spawn(buyers: usize, catalog: &LoadCatalog, staff: &str) -> Self {
        let (endpoints, stop) = (watch::Sender::new(Vec::new()), watch::Sender::new(false));
        let order_count = Arc::new(watch::Sender::new(0));
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build().expect("a client");
        let mut tasks = JoinSet::new();
        for number in 0..buyers {
            let (catalog, staff, http) = (catalog.clone(), staff.to_owned(), http.clone());
            let (endpoints, stop, order_count) = (endpoints.subscribe(), stop.subscribe(), Arc::clone(&order_count));
            tasks.spawn(
                LoadClient { client_number: number, catalog, staff_token: staff, http, endpoints, stop, order_count }
                    .run(),
            );
        }
        let order_count = order_count.subscribe();
        Self { endpoints, stop, order_count, tasks, endpoint_count: 0 }
    }

    /// Adds an endpoint.
    pub fn add_endpoint(&mut self, slot: usize, server: &RunningProcess) {
        self.endpoint_count += 1;
        let endpoint = (self.endpoint_count, server.address.clone());
        self.endpoints.send_modify(|endpoints| {
            endpoints.resize(endpoints.len().max(slot + 1), None);
            endpoints[slot] = Some(endpoint);
        });
    }

    /// Removes an endpoint.
    pub fn remove_endpoint(&self, slot: usize) {
        self.endpoints.send_modify(|endpoints| endpoints[slot] = None);
    }

    /// Waits until this many more orders are acknowledged.
    pub async fn wait_for_orders(&mut self, more: u32) {
        let target_count = *self.order_count.borrow() + more;
        let reached = tokio::time::timeout(
            REQUEST_TIMEOUT,
            self.order_count.wait_for(|order_count| *order_count >= target_count),
        )
        .await;
        reached.expect("orders in time").expect("running clients");
    }

    /// Stops the clients after their current request. Returns all acknowledged orders, sorted.
    pub async fn stop_and_collect(self) -> Vec<AcknowledgedOrder> {
        self.stop.send_replace(true);
        let mut all: Vec<_> = self.tasks.join_all().await.into_iter().flatten().collect();
        all.sort_unstable();
        all
    }
}

impl LoadClient {
    async fn run(self) -> Vec<AcknowledgedOrder> {
        let mut acknowledged_orders = Vec::new();
        let mut n = 0;
        while !*self.stop.borrow() {
            n += 1;
            let key = format!("b{}-{n}", self.client_number);
            let Some(order) = self.place_order(n, &key).await else { continue };
            let text = |name: &str| order[name].as_str().expect("text").to_owned();
            let status = self.advance_order(n, &text("id"), &key).await;
            acknowledged_orders.push(AcknowledgedOrder {
                idempotency_key: key,
                number: text("number"),
                status: status.to_owned(),
            });
            self.order_count.send_modify(|order_count| *order_count += 1);
        }
        acknowledged_orders
    }

    /// Places one order, from a cart or from items. Returns `None` if stock is insufficient.
    async fn place_order(&self, n: usize, key: &str) -> Option<Value> {
        let lines = self.catalog.choose_items(n * 7 + self.client_number);
        let mut input = json!({ "idempotencyKey": key, "email": format!("{key}@example.com"), "shippingAddress": shipping_address() });
        if n.is_multiple_of(3) {
            input["phone"] = json!("0712 345678");
        }
        let mutation = if n.is_multiple_of(2) { "orderCreate" } else { "checkoutComplete" };
        if n.is_multiple_of(2) {
            input["lines"] = line_inputs(&lines);
        } else {
            let query =
                "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id cost { total { amount } } }
                userErrors { code message } } }";
            let (payload, _) =
                self.query_with_retry(query, &json!({ "input": { "lines": line_inputs(&lines) } }), "cartCreate").await;
            if user_error_code(&payload) == Some("INSUFFICIENT_STOCK") {
                return None;
            }
            (input["cartId"], input["expectedTotal"]) =
                (payload["cart"]["id"].clone(), payload["cart"]["cost"]["total"]["amount"].clone());
        }
        let query = format!(
            "mutation($input: {}{}Input!) {{ {mutation}(input: $input) {{ {ORDER_SELECTION} }} }}",
            mutation[..1].to_uppercase(),
            &mutation[1..]
        );
        let (payload, _) = self.query_with_retry(&query, &json!({ "input": input }), mutation).await;
        match user_error_code(&payload) {
            None => Some(payload["order"].clone()),
            Some("INSUFFICIENT_STOCK") => None,
            Some(_) => panic!("{key}: {payload}"),
        }
    }

    /// Applies none, some or all mutations to the order. Returns its last acknowledged status.
    async fn advance_order(&self, n: usize, id: &str, key: &str) -> &'static str {
        let steps: &[(&str, &'static str)] = match n % 5 {
            0 => &[("orderConfirm", "CONFIRMED")],
            1 => &[("orderCancel", "CANCELED")],
            2 => &[("orderConfirm", "CONFIRMED"), ("orderFulfill", "SHIPPED")],
            3 => &[("orderConfirm", "CONFIRMED"), ("orderFulfill", "SHIPPED"), ("orderDeliver", "DELIVERED")],
            _ => &[],
        };
        let mut status = "PENDING";
        for (mutation, to) in steps {
            let (declaration, arguments) = match *mutation {
                "orderFulfill" => (", $input: OrderFulfillInput!", ", input: $input"),
                _ => ("", ""),
            };
            let query =
                format!("mutation($id: ID!{declaration}) {{ {mutation}(id: $id{arguments}) {{ {ORDER_SELECTION} }} }}");
            let variables = json!({ "id": id, "input": { "idempotencyKey": format!("parcel-{key}") } });
            let (payload, is_retry) = self.query_with_retry(&query, &variables, mutation).await;
            // Order mutations have no idempotency key: if the response was lost, it may have been applied already.
            let is_repeated = is_retry && user_error_code(&payload) == Some("ILLEGAL_TRANSITION");
            assert!(is_repeated || payload["order"]["status"] == **to, "{key} {mutation}: {payload}");
            status = to;
        }
        status
    }

    /// Sends a query until it is answered. Returns whether it was retried.
    async fn query_with_retry(&self, query: &str, variables: &Value, mutation: &str) -> (Value, bool) {
        let body = json!({ "query": query, "variables": variables });
        let mut is_retry = false;
        let mut failed_endpoint = 0;
        loop {
            let (endpoint, address) = self.wait_for_endpoint(failed_endpoint).await;
            let request = self.http.post(format!("http://{address}/graphql")).json(&body);
            // Guests place orders; the mutations after that require staff.
            let guest = ["cartCreate", "orderCreate", "checkoutComplete"].contains(&mutation);
            let request = if guest { request } else { request.bearer_auth(&self.staff_token) };
            let response = async { request.send().await?.json::<Value>().await };
            match response.await {
                Ok(response) if response["errors"][0]["extensions"]["code"] == "UNAVAILABLE" => {
                    is_retry = true;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                Ok(response) => {
                    assert!(response.get("errors").is_none(), "{mutation}: {response}");
                    return (response["data"][mutation].clone(), is_retry);
                }
                Err(error) => {
                    assert!(!error.is_timeout(), "{mutation}: {error}");
                    is_retry = true;
                    failed_endpoint = endpoint;
                }
            }
        }
    }

    /// Waits for an endpoint other than the failed one.
    async fn wait_for_endpoint(&self, excluded: u32) -> (u32, String) {
        let mut endpoints = self.endpoints.clone();
        let open = |endpoints: &Vec<ServerEndpoint>| {
            let open: Vec<_> =
                endpoints.iter().flatten().filter(|(endpoint, _)| *endpoint != excluded).cloned().collect();
            (!open.is_empty()).then(|| open[self.client_number % open.len()].clone())
        };
        let waited =
            tokio::time::timeout(REQUEST_TIMEOUT, endpoints.wait_for(|endpoints| open(endpoints).is_some())).await;
        let opened = waited.expect("a server in time").expect("endpoints");
        open(&opened).expect("an open endpoint")
    }
}

fn user_error_code(payload: &Value) -> Option<&str> {
    payload["userErrors"][0]["code"].as_str()
}
