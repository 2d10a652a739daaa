//! Buyers who keep on buying, whoever dies meanwhile: what was not answered is sent again, word for word.

use std::{sync::Arc, time::Duration};

use savannah::{
    base::{GlobalId, id::Kind},
    infra::Db,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{Running, address, number, wishes};

/// Longer than any answer takes, and any shop to open again.
const PATIENCE: Duration = Duration::from_mins(1);
/// After an answer that asks to come again.
const LATER: Duration = Duration::from_millis(20);

const ORDER: &str = "order { id number status } userErrors { code message }";

/// What there is to be bought: enough of all but the last, of which there is too little for all who want it.
#[derive(Debug, Clone)]
pub struct Goods(Vec<String>);

impl Goods {
    /// As a file that can be imported.
    pub fn file() -> String {
        let line = |n: usize| {
            let stock = if n == Self::SCARCE { 12 } else { 100_000 };
            format!("good-{n},Good {n},Hall,G-{n},{n}0.50,{stock},active\n")
        };
        let head = "Handle,Title,Category,Variant SKU,Variant Price,Variant Inventory Qty,Status\n".to_owned();
        (0..=Self::SCARCE).fold(head, |text, n| text + &line(n))
    }

    const SCARCE: usize = 6;

    /// As they are in a shop into which the file was brought.
    pub async fn of(db: &Db) -> Self {
        let mut all = Vec::new();
        for n in 0..=Self::SCARCE {
            let key = number(db, &format!("SELECT id FROM variant WHERE sku = 'G-{n}'")).await;
            all.push(GlobalId::new(Kind::Variant, key).encode());
        }
        Self(all)
    }

    /// What is bought for the so-manieth time.
    pub fn some(&self, n: usize) -> Vec<(&str, i64)> {
        let good = |n: usize| self.0[n % Self::SCARCE].as_str();
        if n.is_multiple_of(5) {
            vec![(&self.0[Self::SCARCE], 1), (good(n), 1)]
        } else {
            vec![(good(n), 2), (good(n + 2), 1)]
        }
    }
}

/// An order that its buyer was told of, and where it stands as far as they were told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bought {
    /// What the request was known by.
    pub key: String,
    pub number: String,
    pub status: String,
}

/// Which shop opened there, counted over all, and where.
type Door = Option<(u32, String)>;

/// Buyers, and staff who see to some of their orders.
pub struct Crowd {
    doors: watch::Sender<Vec<Door>>,
    over: watch::Sender<bool>,
    told: watch::Receiver<u32>,
    buyers: JoinSet<Vec<Bought>>,
    opened: u32,
}

struct Buyer {
    number: usize,
    goods: Goods,
    staff: String,
    http: reqwest::Client,
    doors: watch::Receiver<Vec<Door>>,
    over: watch::Receiver<bool>,
    told: Arc<watch::Sender<u32>>,
}

impl Crowd {
    /// So many buyers, who begin as soon as a shop opens; staff have this token.
    pub fn gather(buyers: usize, goods: &Goods, staff: &str) -> Self {
        let (doors, over) = (watch::Sender::new(Vec::new()), watch::Sender::new(false));
        let told = Arc::new(watch::Sender::new(0));
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let mut tasks = JoinSet::new();
        for number in 0..buyers {
            let (goods, staff, http) = (goods.clone(), staff.to_owned(), http.clone());
            let (doors, over, told) = (doors.subscribe(), over.subscribe(), Arc::clone(&told));
            tasks.spawn(Buyer { number, goods, staff, http, doors, over, told }.buys());
        }
        let told = told.subscribe();
        Self { doors, over, told, buyers: tasks, opened: 0 }
    }

    /// From now on they may go here.
    pub fn opens(&mut self, place: usize, shop: &Running) {
        self.opened += 1;
        let door = (self.opened, shop.address.clone());
        self.doors.send_modify(|doors| {
            doors.resize(doors.len().max(place + 1), None);
            doors[place] = Some(door);
        });
    }

    /// From now on they may not.
    pub fn closes(&self, place: usize) {
        self.doors.send_modify(|doors| doors[place] = None);
    }

    /// Waits until so many more orders were answered.
    pub async fn buys(&mut self, more: u32) {
        let wanted = *self.told.borrow() + more;
        let enough = tokio::time::timeout(PATIENCE, self.told.wait_for(|told| *told >= wanted)).await;
        enough.expect("it goes on").expect("buyers");
    }

    /// Lets them end what they began: what all of them were told.
    pub async fn leaves(self) -> Vec<Bought> {
        self.over.send_replace(true);
        let mut all: Vec<_> = self.buyers.join_all().await.into_iter().flatten().collect();
        all.sort_unstable();
        all
    }
}

impl Buyer {
    async fn buys(self) -> Vec<Bought> {
        let mut bought = Vec::new();
        let mut n = 0;
        while !*self.over.borrow() {
            n += 1;
            let key = format!("b{}-{n}", self.number);
            let Some(order) = self.orders(n, &key).await else { continue };
            let text = |name: &str| order[name].as_str().expect("text").to_owned();
            let status = self.sees_to(n, &text("id"), &key).await;
            bought.push(Bought { key, number: text("number"), status: status.to_lowercase() });
            self.told.send_modify(|told| *told += 1);
        }
        bought
    }

    /// One order, from a cart or without; none when there is too little left.
    async fn orders(&self, n: usize, key: &str) -> Option<Value> {
        let lines = self.goods.some(n * 7 + self.number);
        let mut input =
            json!({ "idempotencyKey": key, "email": format!("{key}@example.com"), "shippingAddress": address() });
        if n.is_multiple_of(3) {
            input["phone"] = json!("0712 345678");
        }
        let mutation = if n.is_multiple_of(2) { "orderCreate" } else { "checkoutComplete" };
        if n.is_multiple_of(2) {
            input["items"] = wishes(&lines);
        } else {
            let query = "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id total }
                userErrors { code message } } }";
            let (made, _) = self.asks(query, &json!({ "input": { "lines": wishes(&lines) } }), "cartCreate").await;
            if code(&made) == Some("INSUFFICIENT_STOCK") {
                return None;
            }
            (input["cartId"], input["expectedTotal"]) = (made["cart"]["id"].clone(), made["cart"]["total"].clone());
        }
        let query = format!(
            "mutation($input: {}{}Input!) {{ {mutation}(input: $input) {{ {ORDER} }} }}",
            mutation[..1].to_uppercase(),
            &mutation[1..]
        );
        let (made, _) = self.asks(&query, &json!({ "input": input }), mutation).await;
        match code(&made) {
            None => Some(made["order"].clone()),
            Some("INSUFFICIENT_STOCK") => None,
            Some(_) => panic!("{key}: {made}"),
        }
    }

    /// What becomes of it: nothing yet, a step, or all of them.
    async fn sees_to(&self, n: usize, id: &str, key: &str) -> &'static str {
        let steps: &[(&str, &'static str)] = match n % 5 {
            0 => &[("orderConfirm", "CONFIRMED")],
            1 => &[("orderCancel", "CANCELLED")],
            2 => &[("orderConfirm", "CONFIRMED"), ("orderFulfil", "SHIPPED")],
            3 => &[("orderConfirm", "CONFIRMED"), ("orderFulfil", "SHIPPED"), ("orderDeliver", "DELIVERED")],
            _ => &[],
        };
        let mut status = "PENDING";
        for (mutation, to) in steps {
            let (declared, passed) = match *mutation {
                "orderFulfil" => (", $input: OrderFulfilInput!", ", input: $input"),
                _ => ("", ""),
            };
            let query = format!("mutation($id: ID!{declared}) {{ {mutation}(id: $id{passed}) {{ {ORDER} }} }}");
            let variables = json!({ "id": id, "input": { "idempotencyKey": format!("parcel-{key}") } });
            let (made, lost) = self.asks(&query, &variables, mutation).await;
            // A step has no key: when the answer was lost, it may have been taken already.
            let taken = lost && code(&made) == Some("ILLEGAL_TRANSITION");
            assert!(taken || made["order"]["status"] == **to, "{key} {mutation}: {made}");
            status = to;
        }
        status
    }

    /// Asks, and asks again until there is an answer; whether one was lost.
    async fn asks(&self, query: &str, variables: &Value, mutation: &str) -> (Value, bool) {
        let body = json!({ "query": query, "variables": variables });
        let mut lost = false;
        let mut seen = 0;
        loop {
            let (door, address) = self.door(seen).await;
            let request = self.http.post(format!("http://{address}/graphql")).json(&body);
            // Guests buy; what comes after is for staff.
            let guest = ["cartCreate", "orderCreate", "checkoutComplete"].contains(&mutation);
            let request = if guest { request } else { request.bearer_auth(&self.staff) };
            let answer = async { request.send().await?.json::<Value>().await };
            match answer.await {
                Ok(answer) if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" => {
                    lost = true;
                    tokio::time::sleep(LATER).await;
                }
                Ok(answer) => {
                    assert!(answer.get("errors").is_none(), "{mutation}: {answer}");
                    return (answer["data"][mutation].clone(), lost);
                }
                Err(why) => {
                    assert!(!why.is_timeout(), "{mutation}: {why}");
                    lost = true;
                    seen = door;
                }
            }
        }
    }

    /// A shop that is open, and another than the one that gave no answer.
    async fn door(&self, not: u32) -> (u32, String) {
        let mut doors = self.doors.clone();
        let open = |doors: &Vec<Door>| {
            let open: Vec<_> = doors.iter().flatten().filter(|(door, _)| *door != not).cloned().collect();
            (!open.is_empty()).then(|| open[self.number % open.len()].clone())
        };
        let waits = tokio::time::timeout(PATIENCE, doors.wait_for(|doors| open(doors).is_some())).await;
        let found = waits.expect("a shop opens").expect("doors");
        open(&found).expect("an open door")
    }
}

fn code(made: &Value) -> Option<&str> {
    made["userErrors"][0]["code"].as_str()
}
