//! The proofs: races for the last units, duplicate requests, and kills under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    load_clients::{
        AcknowledgedOrder, LoadCatalog, LoadClients, create_http_client, find_variant_id, guest_order_input,
        to_line_inputs, user_error_code,
    },
    report::{ProofFigure, ProofResult},
    shop_process::{ShopLauncher, ShopProcess},
};
use crate::{
    infra::{
        Db,
        entity::{JobStatus, job, outbox_event},
    },
    order::entity::orders,
};

/// Products of the races, the units of each, and the buyers of each.
const RACE_COUNT: usize = 4;
const RACE_UNITS: u64 = 10;
const RACE_BUYERS: usize = 40;
/// Requests that are sent several times at once, and how often.
const DUPLICATED_REQUESTS: usize = 5;
const DUPLICATES: usize = 12;
/// Buyers while servers are killed.
const LOAD_BUYERS: usize = 6;
/// A server is killed after a random number of milliseconds of load.
const KILL_DELAY_MILLIS: std::ops::Range<u64> = 100..700;
/// Servers killed at least, however short the time.
const MIN_KILLS: u64 = 3;
/// Maximum time until the jobs of the load are done, leases of killed workers included.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Violations listed of one kind.
const MAX_LISTED: usize = 10;

const ORDER_MUTATION: &str = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) {
    order { number } userErrors { code message } } }";

/// Returns the catalog of all proofs as an import file.
pub(super) fn create_catalog_csv() -> String {
    let line = |n: usize| format!("race-{n},Race {n},Hall,R-{n},9.00,{RACE_UNITS},active\n");
    (0..RACE_COUNT).fold(LoadCatalog::to_csv(), |text, n| text + &line(n))
}

/// Requests an order until it is answered. Returns the payload of the mutation.
async fn request_order(http: reqwest::Client, address: String, input: Value) -> Result<Value, String> {
    let body = json!({ "query": ORDER_MUTATION, "variables": { "input": input } });
    loop {
        let response = async { http.post(format!("http://{address}/graphql")).json(&body).send().await?.json().await };
        let answer: Value = response.await.map_err(|error| format!("a request failed: {error}"))?;
        if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" {
            // The outcome is unknown: the same request again, with its key.
            tokio::time::sleep(POLL_INTERVAL).await;
        } else if answer.get("errors").is_some() {
            return Err(format!("an order was not answered: {answer}"));
        } else {
            return Ok(answer["data"]["orderCreate"].clone());
        }
    }
}

/// Proves that of many concurrent buyers as many get a unit as there are units.
pub(super) async fn prove_races(db: &Db, server: &ShopProcess) -> Result<ProofResult, String> {
    let started_at = Instant::now();
    let http = create_http_client()?;
    let mut violations = Vec::new();
    let (mut sold_total, mut refused_total) = (0, 0);
    for race in 0..RACE_COUNT {
        let variant = find_variant_id(db, &format!("R-{race}")).await?;
        let mut requests = JoinSet::new();
        for buyer in 0..RACE_BUYERS {
            let mut input = guest_order_input(&format!("race-{race}-{buyer}"), "cash_on_delivery");
            input["lines"] = to_line_inputs(&[(&variant, 1)]);
            requests.spawn(request_order(http.clone(), server.address.clone(), input));
        }
        let (mut sold, mut refused) = (0, 0);
        while let Some(outcome) = requests.join_next().await {
            let payload = outcome.map_err(|error| error.to_string())??;
            match user_error_code(&payload) {
                None => sold += 1,
                Some("INSUFFICIENT_STOCK") => refused += 1,
                Some(_) => violations.push(format!("race {race}: unexpected answer {payload}")),
            }
        }
        if sold != RACE_UNITS {
            violations.push(format!("race {race}: {sold} units of {RACE_UNITS} were sold"));
        }
        sold_total += sold;
        refused_total += refused;
    }
    let figures = vec![
        ProofFigure { name: "products with few units", value: RACE_COUNT as u64 },
        ProofFigure { name: "concurrent buyers of each", value: RACE_BUYERS as u64 },
        ProofFigure { name: "units in stock", value: RACE_COUNT as u64 * RACE_UNITS },
        ProofFigure { name: "units sold", value: sold_total },
        ProofFigure { name: "buyers refused for lack of stock", value: refused_total },
    ];
    let claim = "Concurrent buyers of the last units: every unit is sold once, and none is sold twice.";
    Ok(create_result("Races", claim, figures, violations, started_at))
}

/// Proves that a request that is sent several times at once places one order.
pub(super) async fn prove_duplicates(db: &Db, server: &ShopProcess) -> Result<ProofResult, String> {
    let started_at = Instant::now();
    let http = create_http_client()?;
    let variant = find_variant_id(db, "G-0").await?;
    let mut requests = JoinSet::new();
    for n in 0..DUPLICATED_REQUESTS * DUPLICATES {
        let key = format!("duplicate-{}", n % DUPLICATED_REQUESTS);
        let mut input = guest_order_input(&key, "cash_on_delivery");
        input["lines"] = to_line_inputs(&[(&variant, 1)]);
        let request = request_order(http.clone(), server.address.clone(), input);
        requests.spawn(async move { (key, request.await) });
    }
    let mut numbers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut violations = Vec::new();
    while let Some(outcome) = requests.join_next().await {
        let (key, payload) = outcome.map_err(|error| error.to_string())?;
        let payload = payload?;
        match payload["order"]["number"].as_str() {
            Some(number) => {
                numbers.entry(key).or_default().insert(number.to_owned());
            }
            None => violations.push(format!("{key}: unexpected answer {payload}")),
        }
    }
    for (key, answered) in numbers.iter().filter(|(_, answered)| answered.len() > 1) {
        violations.push(format!("{key}: {} different orders were answered", answered.len()));
    }
    let stored = orders::Entity::find().filter(orders::Column::Email.like("duplicate-%")).count(db).await;
    let stored = stored.map_err(|error| error.to_string())?;
    if stored != DUPLICATED_REQUESTS as u64 {
        violations.push(format!("{DUPLICATED_REQUESTS} requests became {stored} orders"));
    }
    let figures = vec![
        ProofFigure { name: "different requests", value: DUPLICATED_REQUESTS as u64 },
        ProofFigure { name: "times each was sent at once", value: DUPLICATES as u64 },
        ProofFigure { name: "orders", value: stored },
    ];
    let claim = "The same request with the same idempotency key, sent several times at once: it places one order, and \
        every sender gets that order's number.";
    Ok(create_result("Duplicates", claim, figures, violations, started_at))
}

/// What the proof of kills needs.
pub(super) struct KillScenario<'a> {
    pub(super) db: &'a Db,
    pub(super) launcher: &'a mut ShopLauncher,
    /// Access token of staff.
    pub(super) staff_token: &'a str,
    /// When no further server is killed.
    pub(super) deadline: Instant,
}

/// Proves that orders survive the kill of the server: what was acknowledged exists once, with its last status.
/// Returns the server that is still running.
pub(super) async fn prove_kills(
    scenario: KillScenario<'_>,
    mut server: ShopProcess,
) -> Result<(ProofResult, ShopProcess), String> {
    let KillScenario { db, launcher, staff_token, deadline } = scenario;
    let started_at = Instant::now();
    let earlier_orders = orders::Entity::find().count(db).await.map_err(|error| error.to_string())?;
    let catalog = LoadCatalog::from_database(db).await?;
    let mut clients = LoadClients::spawn(LOAD_BUYERS, &catalog, staff_token)?;
    let mut violations = Vec::new();
    let mut kills = 0;
    while kills < MIN_KILLS || Instant::now() < deadline {
        clients.add_endpoint(0, &server.address);
        tokio::time::sleep(random_delay()?).await;
        violations.extend(server.read_logged_errors());
        server.kill().await?;
        clients.remove_endpoint(0);
        kills += 1;
        server = launcher.start_server().await?;
    }
    clients.add_endpoint(0, &server.address);
    // The last server sells, too.
    clients.wait_for_orders(1).await?;
    let repeated_requests = clients.repeated_request_count();
    let acknowledged = clients.stop_and_collect().await?;
    let jobs_done = wait_for_jobs(db).await?;
    violations.extend(server.read_logged_errors());
    violations.truncate(MAX_LISTED);
    let stored = load_orders(db).await?;
    violations.extend(compare_orders(&acknowledged, &stored));
    let figures = vec![
        ProofFigure { name: "servers killed (SIGKILL)", value: kills },
        ProofFigure { name: "concurrent buyers", value: LOAD_BUYERS as u64 },
        ProofFigure { name: "orders acknowledged", value: acknowledged.len() as u64 },
        ProofFigure { name: "orders stored", value: stored.len() as u64 },
        ProofFigure { name: "orders of the other proofs", value: earlier_orders },
        ProofFigure { name: "requests repeated, because they were not answered", value: repeated_requests },
        ProofFigure { name: "jobs done", value: jobs_done },
    ];
    let claim = "The server is killed again and again while buyers order and staff process orders; clients repeat what \
        was not answered: every acknowledged order exists once, with the status acknowledged last, and nothing else \
        exists.";
    Ok((create_result("Kills", claim, figures, violations, started_at), server))
}

fn create_result(
    name: &'static str,
    claim: &'static str,
    figures: Vec<ProofFigure>,
    violations: Vec<String>,
    started_at: Instant,
) -> ProofResult {
    ProofResult { name, claim, figures, violations, duration_millis: to_millis(started_at.elapsed()) }
}

/// Returns a duration in milliseconds.
pub(super) fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn random_delay() -> Result<Duration, String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    let range = KILL_DELAY_MILLIS.end - KILL_DELAY_MILLIS.start;
    Ok(Duration::from_millis(KILL_DELAY_MILLIS.start + u64::from_le_bytes(bytes) % range))
}

/// Waits until all events are delivered and all jobs have ended. Returns the number of jobs done.
async fn wait_for_jobs(db: &Db) -> Result<u64, String> {
    let started_at = Instant::now();
    loop {
        let unfinished = job::Column::Status.is_in([JobStatus::Pending, JobStatus::Running]);
        let jobs = job::Entity::find().filter(unfinished).count(db).await.map_err(|error| error.to_string())?;
        let waiting = outbox_event::Entity::find().filter(outbox_event::Column::DispatchedAt.is_null());
        let events = waiting.count(db).await.map_err(|error| error.to_string())?;
        if jobs + events == 0 {
            let done = job::Entity::find().filter(job::Column::Status.eq(JobStatus::Done)).count(db).await;
            return done.map_err(|error| error.to_string());
        }
        if started_at.elapsed() > DRAIN_TIMEOUT {
            return Err(format!("{jobs} jobs and {events} events are not processed in time"));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Returns the orders of the load clients, as they were acknowledged, sorted.
async fn load_orders(db: &Db) -> Result<Vec<AcknowledgedOrder>, String> {
    let query = orders::Entity::find().filter(orders::Column::Email.like("b%-%@example.com")).select_only().columns([
        orders::Column::Number,
        orders::Column::Email,
        orders::Column::Status,
    ]);
    let rows: Vec<(String, Option<String>, crate::order::Status)> =
        query.into_tuple().all(db).await.map_err(|error| error.to_string())?;
    let to_order = |(number, email, status): (String, Option<String>, crate::order::Status)| AcknowledgedOrder {
        idempotency_key: email.unwrap_or_default().trim_end_matches("@example.com").to_owned(),
        number,
        status: status.to_value().to_uppercase(),
    };
    let mut all: Vec<_> = rows.into_iter().map(to_order).collect();
    all.sort_unstable();
    Ok(all)
}

/// Returns how the stored orders differ from the acknowledged ones. Both are sorted.
fn compare_orders(acknowledged: &[AcknowledgedOrder], stored: &[AcknowledgedOrder]) -> Vec<String> {
    let keys: BTreeSet<&str> = stored.iter().map(|order| order.idempotency_key.as_str()).collect();
    let mut violations = Vec::new();
    if keys.len() < stored.len() {
        violations.push(format!("{} requests became {} orders", keys.len(), stored.len()));
    }
    let describe = |order: &AcknowledgedOrder| format!("{} {} {}", order.idempotency_key, order.number, order.status);
    let lost = acknowledged.iter().filter(|order| stored.binary_search(order).is_err());
    let lost = lost.map(|order| format!("acknowledged, but not stored so: {}", describe(order)));
    let unknown = stored.iter().filter(|order| acknowledged.binary_search(order).is_err());
    let unknown = unknown.map(|order| format!("stored, but not acknowledged so: {}", describe(order)));
    violations.extend(lost.take(MAX_LISTED));
    violations.extend(unknown.take(MAX_LISTED));
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(key: &str, number: &str, status: &str) -> AcknowledgedOrder {
        AcknowledgedOrder { idempotency_key: key.to_owned(), number: number.to_owned(), status: status.to_owned() }
    }

    #[test]
    fn lost_repeated_and_unknown_orders_are_violations() {
        let acknowledged = [order("b0-1", "A", "PENDING"), order("b0-2", "B", "CONFIRMED")];
        assert_eq!(compare_orders(&acknowledged, &acknowledged), Vec::<String>::new());
        let lost = compare_orders(&acknowledged, &acknowledged[..1]);
        assert_eq!(lost, ["acknowledged, but not stored so: b0-2 B CONFIRMED"]);
        let repeated = [acknowledged[0].clone(), order("b0-1", "C", "PENDING"), acknowledged[1].clone()];
        let found = compare_orders(&acknowledged, &repeated);
        assert_eq!(found, ["2 requests became 3 orders", "stored, but not acknowledged so: b0-1 C PENDING"]);
    }
}
