//! Metrics of a running process, as Prometheus reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::Value;

use super::RunningProcess;

/// Opens a management address on any free port.
pub const MANAGEMENT_ON: (&str, &str) = ("SAVANNAH_MANAGEMENT__BIND", "127.0.0.1:0");

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// All metrics of a process at a time.
#[derive(Debug)]
pub struct Scrape {
    pub text: String,
    series: Vec<(String, Labels, String)>,
}

impl Scrape {
    fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(parse_series).collect();
        Self { text, series }
    }

    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<&str> {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = self.series.iter().find(|(known, known_labels, _)| known == name && *known_labels == labels);
        found.map(|(_, _, value)| value.as_str())
    }

    /// Returns the whole number of the series with exactly these labels, if it exists.
    pub fn find_count(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        self.find(name, labels).map(|value| value.parse().unwrap_or_else(|error| panic!("{name} {value}: {error}")))
    }

    /// Returns the whole number of the series with exactly these labels, which must exist.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.find_count(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {}", self.text))
    }

    /// Returns the seconds of the series with exactly these labels, which must exist.
    pub fn seconds(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let value = self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {}", self.text));
        value.parse().expect("a number")
    }

    /// Returns all values of a label of a metric.
    pub fn label_values(&self, name: &str, label: &str) -> BTreeSet<String> {
        let of_metric = self.series.iter().filter(|(known, ..)| known == name);
        of_metric.filter_map(|(_, labels, _)| labels.get(label).cloned()).collect()
    }

    /// Returns the names of the metrics that are declared with their types.
    pub fn declared_names(&self) -> BTreeSet<String> {
        let declarations = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        declarations.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }
}

fn parse_series(line: &str) -> (String, Labels, String) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.to_owned();
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), Labels::new(), value) };
    let labels = labels.trim_end_matches('}').split(',').map(|label| {
        let (name, value) = label.split_once('=').expect("a label");
        (name.to_owned(), value.trim_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect(), value)
}

impl RunningProcess {
    /// Returns the management address, once it is open.
    pub async fn management_address(&self) -> String {
        self.wait_for_log("management address listening").await;
        let log = self.stderr();
        let line = log.lines().find(|line| line.contains("management address listening")).expect("a line");
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["address"].as_str().expect("an address").to_owned()
    }

    /// Reads the metrics.
    pub async fn scrape(&self) -> Scrape {
        let url = format!("http://{}/metrics", self.management_address().await);
        let response = reqwest::get(url).await.expect("a response");
        assert_eq!(response.status(), 200);
        let content_type = response.headers()["content-type"].to_str().expect("text").to_owned();
        assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
        Scrape::parse(response.text().await.expect("text"))
    }

    /// Reads the metrics until they satisfy a condition.
    pub async fn scrape_until(&self, description: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        let started_at = Instant::now();
        loop {
            let scrape = self.scrape().await;
            if condition(&scrape) {
                return scrape;
            }
            assert!(started_at.elapsed() < super::binary::WAIT_TIMEOUT, "{description}: {}", scrape.text);
            tokio::time::sleep(super::binary::POLL_INTERVAL).await;
        }
    }

    /// Sends a GraphQL request with a body and headers.
    pub async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", self.address)).json(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.expect("a response")
    }

    /// Places an order of two mugs of the demo catalog. Returns the order.
    pub async fn place_order(&self, payment_method: &str, headers: &[(&str, &str)]) -> Value {
        let product = self.query("{ product(slug: \"mug\") { variants { id } } }").await;
        let cart =
            self.query("mutation { cartCreate { cart { availableShippingOptions { shippingMethodId } } } }").await;
        let method = &cart["data"]["cartCreate"]["cart"]["availableShippingOptions"][0]["shippingMethodId"];
        let input = serde_json::json!({
            "shippingMethodId": method,
            "lines": [{ "variantId": product["data"]["product"]["variants"][0]["id"], "quantity": 2 }],
            "paymentMethodId": payment_method,
            "payerPhone": "+254700000000",
            "idempotencyKey": format!("{}", uuid::Uuid::now_v7()),
            "email": "wanjiku@example.com",
            "shippingAddress": super::shipping_address(),
        });
        let query = "mutation PlaceOrder($input: OrderCreateInput!) { orderCreate(input: $input) {
            order { id cost { total { amount } } } userErrors { code field message } } }";
        let body = serde_json::json!({ "query": query, "variables": { "input": input } });
        let response: Value = self.post(&body, headers).await.json().await.expect("JSON");
        let order = response["data"]["orderCreate"]["order"].clone();
        assert!(order.is_object(), "{response}");
        order
    }
}
