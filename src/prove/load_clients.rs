//! Load clients that place orders while servers are killed: unanswered requests are repeated unchanged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    base::{GlobalId, global_id::NodeType},
    catalog::entity::variant,
    infra::Db,
};

/// Longer than any response or server start takes.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Delay after an `UNAVAILABLE` response.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Of five orders, this one is paid with the test provider.
const PAID_REMAINDER: usize = 4;

const ORDER_SELECTION: &str = "order { id number status } userErrors { code message }";

/// Ids of the variants to buy: ample stock of all but the last, which is scarce.
#[derive(Debug, Clone)]
pub struct LoadCatalog(Vec<String>);

impl LoadCatalog {
    const SCARCE_PRODUCT: usize = 6;

    /// Returns the catalog as an import file.
    #[must_use]
    pub fn to_csv() -> String {
        let line = |n: usize| {
            let stock = if n == Self::SCARCE_PRODUCT { 12 } else { 100_000 };
            format!("good-{n},Good {n},Hall,G-{n},{n}0.50,{stock},active\n")
        };
        let head = "Handle,Title,Category,Variant SKU,Variant Price,Variant Inventory Qty,Status\n".to_owned();
        (0..=Self::SCARCE_PRODUCT).fold(head, |text, n| text + &line(n))
    }

    /// Reads the variant ids from a database with the imported catalog.
    ///
    /// # Errors
    /// Returns a message if a variant is missing or the database cannot be read.
    pub async fn from_database(db: &Db) -> Result<Self, String> {
        let mut all = Vec::new();
        for n in 0..=Self::SCARCE_PRODUCT {
            all.push(find_variant_id(db, &format!("G-{n}")).await?);
        }
        Ok(Self(all))
    }

    /// Returns the items of the nth order.
    #[must_use]
    pub fn choose_items(&self, n: usize) -> Vec<(&str, i64)> {
        let variant_at = |n: usize| self.0[n % Self::SCARCE_PRODUCT].as_str();
        if n.is_multiple_of(5) {
            vec![(&self.0[Self::SCARCE_PRODUCT], 1), (variant_at(n), 1)]
        } else {
            vec![(variant_at(n), 2), (variant_at(n + 2), 1)]
        }
    }
}

/// Returns the global id of the variant with a SKU.
pub(super) async fn find_variant_id(db: &Db, sku: &str) -> Result<String, String> {
    let query = variant::Entity::find().filter(variant::Column::Sku.eq(sku)).select_only().column(variant::Column::Id);
    let found = query.into_tuple::<i64>().one(db).await.map_err(|error| error.to_string())?;
    let key = found.ok_or_else(|| format!("there is no variant {sku}"))?;
    Ok(GlobalId::new(NodeType::Variant, key).encode())
}

/// Returns items as an input.
pub(super) fn to_line_inputs(items: &[(&str, i64)]) -> Value {
    items.iter().map(|(id, quantity)| json!({ "variantId": id, "quantity": quantity })).collect()
}

/// Returns the input of an order of a guest, without its items.
pub(super) fn guest_order_input(key: &str, method: &str) -> Value {
    let address = json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1",
        "city": "Nairobi", "countryCode": "KE" } });
    json!({ "paymentMethodId": method, "idempotencyKey": key, "email": format!("{key}@example.com"),
        "shippingAddress": address })
}

/// An order acknowledged by a server, with its last acknowledged status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcknowledgedOrder {
    /// Idempotency key of the request.
    pub idempotency_key: String,
    /// Number of the order.
    pub number: String,
    /// Status as the schema spells it.
    pub status: String,
}

/// Number and address of a running server.
type ServerEndpoint = Option<(u32, String)>;

/// Concurrent load clients: buyers, and staff who process some of the orders.
#[derive(Debug)]
pub struct LoadClients {
    endpoints: watch::Sender<Vec<ServerEndpoint>>,
    stop: Arc<watch::Sender<bool>>,
    order_count: watch::Receiver<u32>,
    repeated_requests: Arc<AtomicU64>,
    tasks: JoinSet<Result<Vec<AcknowledgedOrder>, String>>,
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
    repeated_requests: Arc<AtomicU64>,
}

impl LoadClients {
    /// Spawns buyers that start with the first endpoint; staff mutations use this token.
    ///
    /// # Errors
    /// Returns a message if the HTTP client cannot be created.
    pub fn spawn(buyers: usize, catalog: &LoadCatalog, staff: &str) -> Result<Self, String> {
        let (endpoints, stop) = (watch::Sender::new(Vec::new()), Arc::new(watch::Sender::new(false)));
        let (order_count, repeated_requests) = (Arc::new(watch::Sender::new(0)), Arc::default());
        let http = create_http_client()?;
        let mut tasks = JoinSet::new();
        for client_number in 0..buyers {
            let client = LoadClient {
                client_number,
                catalog: catalog.clone(),
                staff_token: staff.to_owned(),
                http: http.clone(),
                endpoints: endpoints.subscribe(),
                stop: stop.subscribe(),
                order_count: Arc::clone(&order_count),
                repeated_requests: Arc::clone(&repeated_requests),
            };
            let stop = Arc::clone(&stop);
            tasks.spawn(async move {
                let outcome = client.run().await;
                if outcome.is_err() {
                    stop.send_replace(true);
                }
                outcome
            });
        }
        let order_count = order_count.subscribe();
        Ok(Self { endpoints, stop, order_count, repeated_requests, tasks, endpoint_count: 0 })
    }

    /// Adds a server by its address.
    pub fn add_endpoint(&mut self, slot: usize, address: &str) {
        self.endpoint_count += 1;
        let endpoint = (self.endpoint_count, address.to_owned());
        self.endpoints.send_modify(|endpoints| {
            endpoints.resize(endpoints.len().max(slot + 1), None);
            endpoints[slot] = Some(endpoint);
        });
    }

    /// Removes a server.
    pub fn remove_endpoint(&self, slot: usize) {
        self.endpoints.send_modify(|endpoints| endpoints[slot] = None);
    }

    /// Waits until this many more orders are acknowledged.
    ///
    /// # Errors
    /// Returns a message if they are not in time.
    pub async fn wait_for_orders(&mut self, more: u32) -> Result<(), String> {
        let target_count = *self.order_count.borrow() + more;
        let reached = self.order_count.wait_for(|order_count| *order_count >= target_count);
        match tokio::time::timeout(REQUEST_TIMEOUT, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the clients have stopped".to_owned()),
            Err(_) => Err(format!("there are no {more} more orders within {} s", REQUEST_TIMEOUT.as_secs())),
        }
    }

    /// Returns how many requests were sent again, because they were not answered.
    #[must_use]
    pub fn repeated_request_count(&self) -> u64 {
        self.repeated_requests.load(Ordering::Relaxed)
    }

    /// Stops the clients after their current request. Returns all acknowledged orders, sorted.
    ///
    /// # Errors
    /// Returns a message if a client got a wrong answer.
    pub async fn stop_and_collect(mut self) -> Result<Vec<AcknowledgedOrder>, String> {
        self.stop.send_replace(true);
        let mut all = Vec::new();
        while let Some(outcome) = self.tasks.join_next().await {
            all.extend(outcome.map_err(|error| error.to_string())??);
        }
        all.sort_unstable();
        Ok(all)
    }
}

/// Creates the HTTP client of load clients.
pub(super) fn create_http_client() -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build();
    client.map_err(|error| format!("the HTTP client cannot be created: {error}"))
}

impl LoadClient {
    async fn run(self) -> Result<Vec<AcknowledgedOrder>, String> {
        let mut acknowledged_orders = Vec::new();
        let mut n = 0;
        while !*self.stop.borrow() {
            n += 1;
            let key = format!("b{}-{n}", self.client_number);
            let Some(order) = self.place_order(n, &key).await? else { continue };
            let text = |name: &str| order[name].as_str().map(str::to_owned).ok_or_else(|| format!("{key}: {order}"));
            let status = self.advance_order(n, &text("id")?, &key).await?;
            let number = text("number")?;
            acknowledged_orders.push(AcknowledgedOrder { idempotency_key: key, number, status: status.to_owned() });
            self.order_count.send_modify(|order_count| *order_count += 1);
        }
        Ok(acknowledged_orders)
    }

    /// Places one order, from a cart or from items. Returns `None` if stock is insufficient.
    async fn place_order(&self, n: usize, key: &str) -> Result<Option<Value>, String> {
        let lines = to_line_inputs(&self.catalog.choose_items(n * 7 + self.client_number));
        let method = if n % 5 == PAID_REMAINDER { "test" } else { "cash_on_delivery" };
        let mut input = guest_order_input(key, method);
        if n.is_multiple_of(3) {
            input["phone"] = json!("0712 345678");
        }
        let (mutation, input_type) = if n.is_multiple_of(2) {
            input["lines"] = lines;
            ("orderCreate", "OrderCreateInput")
        } else {
            let query =
                "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id cost { total { amount } } }
                userErrors { code message } } }";
            let (payload, _) =
                self.query_with_retry(query, &json!({ "input": { "lines": lines } }), "cartCreate").await?;
            if user_error_code(&payload) == Some("INSUFFICIENT_STOCK") {
                return Ok(None);
            }
            (input["cartId"], input["expectedTotal"]) =
                (payload["cart"]["id"].clone(), payload["cart"]["cost"]["total"]["amount"].clone());
            ("checkoutComplete", "CheckoutCompleteInput")
        };
        let query = format!("mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ {ORDER_SELECTION} }} }}");
        let (payload, _) = self.query_with_retry(&query, &json!({ "input": input }), mutation).await?;
        match user_error_code(&payload) {
            None => Ok(Some(payload["order"].clone())),
            Some("INSUFFICIENT_STOCK") => Ok(None),
            Some(_) => Err(format!("{key}: {payload}")),
        }
    }

    /// Applies none, some or all mutations to the order. Returns its last acknowledged status.
    async fn advance_order(&self, n: usize, id: &str, key: &str) -> Result<&'static str, String> {
        let steps: &[(&str, &'static str)] = match n % 5 {
            0 => &[("orderConfirm", "CONFIRMED")],
            1 => &[("orderCancel", "CANCELED")],
            2 => &[("orderConfirm", "CONFIRMED"), ("orderFulfill", "SHIPPED")],
            3 => &[("orderConfirm", "CONFIRMED"), ("orderFulfill", "SHIPPED"), ("orderDeliver", "DELIVERED")],
            _ => &[],
        };
        // The payment is captured when the order is placed, or by a job after a crash.
        let mut status = if n % 5 == PAID_REMAINDER { "CONFIRMED" } else { "PENDING" };
        for (mutation, to) in steps {
            let (declaration, arguments) = match *mutation {
                "orderFulfill" => (", $input: OrderFulfillInput!", ", input: $input"),
                _ => ("", ""),
            };
            let query =
                format!("mutation($id: ID!{declaration}) {{ {mutation}(id: $id{arguments}) {{ {ORDER_SELECTION} }} }}");
            let variables = json!({ "id": id, "input": { "idempotencyKey": format!("parcel-{key}") } });
            let (payload, is_retry) = self.query_with_retry(&query, &variables, mutation).await?;
            // Order mutations have no idempotency key: if the response was lost, it may have been applied already.
            let is_repeated = is_retry && user_error_code(&payload) == Some("ILLEGAL_TRANSITION");
            if !is_repeated && payload["order"]["status"] != **to {
                return Err(format!("{key} {mutation}: {payload}"));
            }
            status = to;
        }
        Ok(status)
    }

    /// Sends a query until it is answered. Returns whether it was retried.
    async fn query_with_retry(&self, query: &str, variables: &Value, mutation: &str) -> Result<(Value, bool), String> {
        let body = json!({ "query": query, "variables": variables });
        let mut is_retry = false;
        let mut failed_endpoint = 0;
        loop {
            if is_retry {
                self.repeated_requests.fetch_add(1, Ordering::Relaxed);
            }
            let (endpoint, address) = self.wait_for_endpoint(failed_endpoint).await?;
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
                Ok(response) if response.get("errors").is_none() => {
                    return Ok((response["data"][mutation].clone(), is_retry));
                }
                Ok(response) => return Err(format!("{mutation}: {response}")),
                Err(error) if error.is_timeout() => return Err(format!("{mutation}: {error}")),
                Err(_) => {
                    is_retry = true;
                    failed_endpoint = endpoint;
                }
            }
        }
    }

    /// Waits for an endpoint other than the failed one.
    async fn wait_for_endpoint(&self, excluded: u32) -> Result<(u32, String), String> {
        let mut endpoints = self.endpoints.clone();
        let choose_open = |endpoints: &Vec<ServerEndpoint>| {
            let open: Vec<_> =
                endpoints.iter().flatten().filter(|(endpoint, _)| *endpoint != excluded).cloned().collect();
            (!open.is_empty()).then(|| open[self.client_number % open.len()].clone())
        };
        let waiting = endpoints.wait_for(|endpoints| choose_open(endpoints).is_some());
        let opened = tokio::time::timeout(REQUEST_TIMEOUT, waiting).await;
        let opened = opened.map_err(|_| "no server is started in time".to_owned())?;
        let opened = opened.map_err(|error| error.to_string())?;
        choose_open(&opened).ok_or_else(|| "no server is running".to_owned())
    }
}

/// Returns the code of the first user error of a payload.
pub(super) fn user_error_code(payload: &Value) -> Option<&str> {
    payload["userErrors"][0]["code"].as_str()
}
