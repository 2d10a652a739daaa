//! Everything that can be done in a shop, in any order, beside a shop on paper: after each step both answer the same and
//! stand the same.

use std::sync::Arc;

use chrono::TimeDelta;
use savannah::{
    base::{GlobalId, id::Kind},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    paying::{agree, key_of, tell},
    rush_staff::{second, stock},
    shop::{Answer, Back, Backend, Bank, Books, Money, Says, Shelf, Shop, moment},
    stories,
};

stories![the_shop_does_what_the_paper_says];

/// How many shops are told, and how many steps are taken in each.
const SEEDS: u64 = 3;
const STEPS: usize = 120;

/// Somebody who does everything twice: in the shop, and on paper.
struct Clerk {
    shop: Shop,
    bank: Arc<Bank>,
    staff: String,
    variants: Vec<String>,
    places: [String; 2],
    orders: Vec<Value>,
    books: Books,
    state: u64,
    done: usize,
}

async fn the_shop_does_what_the_paper_says(backend: Backend) {
    for seed in 1..=SEEDS {
        let mut clerk = Clerk::open(backend, seed).await;
        for step in 0..STEPS {
            let what = clerk.step().await;
            clerk.compare(&format!("seed {seed}, step {step}: {what}")).await;
        }
        assert!(clerk.done > STEPS / 3, "seed {seed}: only {} steps could be taken", clerk.done);
        agree(&clerk.shop, &clerk.bank).await;
        // What may be ordered before it is there need not be kept for those who have.
        for variant in 0..2 {
            clerk.set_backorder(variant, true).await;
        }
        clerk.shop.add_up().await;
        clerk.shop.settle().await;
    }
}

impl Clerk {
    async fn open(backend: Backend, seed: u64) -> Self {
        let (shop, bank) = Bank::shop(backend, Says::Done).await;
        let staff = shop.sign_in(Role::Staff).await;
        let (mut variants, mut books) = (Vec::new(), Books::default());
        for (at, on_hand) in [8, 5, 12].into_iter().enumerate() {
            let price = 7 + 13 * i64::try_from(at).expect("few");
            variants.push(shop.good(&format!("good-{at}"), price, Some(on_hand)).await);
            books.shelves.push(Shelf { price: price * 100, on_hand: [on_hand, 0], ..Shelf::default() });
        }
        let places = [GlobalId::new(Kind::Location, 1).encode(), second(&shop, &staff).await];
        shop.work().await;
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { shop, bank, staff, variants, places, orders: Vec::new(), books, state, done: 0 }
    }

    /// A number below this one.
    fn roll(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).expect("a small number") % below
    }

    fn many(&mut self, below: usize) -> i64 {
        i64::try_from(self.roll(below)).expect("a small number")
    }

    /// Takes a step in the shop and on paper; what it was.
    async fn step(&mut self) -> String {
        let made = self.orders.len();
        let (what, shop, paper) = match self.roll(if made == 0 { 3 } else { 16 }) {
            0 | 1 => self.order().await,
            2 => self.order_cart().await,
            3 | 4 => self.stock().await,
            5 => self.watch().await,
            6 => self.wait().await,
            7 => self.pay_late().await,
            other => {
                let order = self.roll(made);
                let (what, shop, paper) = self.bring_on(other - 8, order).await;
                (format!("{what} of order {order}"), shop, paper)
            }
        };
        assert_eq!(shop.as_deref(), paper, "{what}: {:#?}", self.books);
        self.done += usize::from(shop.is_none());
        format!("{what}, told {shop:?}")
    }

    fn wishes(&mut self) -> Vec<(usize, i64)> {
        (0..=self.roll(3)).map(|_| (self.roll(3), 1 + self.many(3))).collect()
    }

    /// At the door, or through the bank, which says one thing or another.
    fn pays(&mut self) -> (Option<Says>, Value) {
        let says =
            [None, Some(Says::Authorised), Some(Says::Done), Some(Says::Later), Some(Says::Later), Some(Says::Refused)];
        let says = says[self.roll(6)];
        if let Some(says) = says {
            self.bank.says(says);
        }
        (says, json!({ "paymentMethod": if says.is_some() { "bank" } else { "manual" } }))
    }

    async fn order(&mut self) -> Told {
        let (wishes, (says, said)) = (self.wishes(), self.pays());
        let items: Vec<_> = wishes.iter().map(|(at, many)| (self.variants[*at].as_str(), *many)).collect();
        let key = format!("order {}", self.state);
        let answer = self.shop.order(None, &key, &items, said).await;
        self.ordered("orderCreate", &answer, (&wishes, says))
    }

    async fn order_cart(&mut self) -> Told {
        let (mut wishes, (says, said)) = (self.wishes(), self.pays());
        wishes.sort_unstable();
        wishes.dedup_by_key(|(at, _)| *at);
        // What a cart takes is another story.
        wishes.retain(|(at, many)| self.books.shelves[*at].free() >= *many);
        if wishes.is_empty() {
            return ("an empty cart".into(), None, None);
        }
        let items: Vec<_> = wishes.iter().map(|(at, many)| (self.variants[*at].as_str(), *many)).collect();
        let cart = self.shop.cart(None, &items).await;
        let answer = self.shop.check_out(None, &format!("cart {}", self.state), &cart, said).await;
        self.ordered("checkoutComplete", &answer, (&wishes, says))
    }

    fn ordered(&mut self, mutation: &str, answer: &Answer, (wishes, says): (&[(usize, i64)], Option<Says>)) -> Told {
        let mut paper = self.books.order(wishes, says).map(|_| ()).err();
        if paper.is_none() {
            self.orders.push(answer.at(&format!("/{mutation}/order")).clone());
            paper = (says == Some(Says::Refused)).then_some("PAYMENT_FAILED");
        }
        (format!("{mutation} of {wishes:?} paid by {says:?}"), first(answer, mutation), paper)
    }

    async fn bring_on(&mut self, how: usize, at: usize) -> Told {
        let id = self.orders[at]["id"].as_str().expect("an id").to_owned();
        let (mutation, input, paper) = match how {
            0 => ("orderConfirm", None, self.books.confirm(at)),
            1 => ("orderDeliver", None, self.books.deliver(at)),
            2 => ("orderCapture", None, self.books.capture(at)),
            3 => {
                let (how, lines) = (self.roll(3), self.some_of(at));
                let input = match how {
                    0 => json!({}),
                    1 => json!({ "restock": self.lines(at, &lines) }),
                    _ => json!({ "lines": self.lines(at, &lines) }),
                };
                let paper = match how {
                    0 => self.books.cancel(at, None),
                    1 => self.books.cancel(at, Some(&lines)),
                    _ => self.books.cancel_units(at, &lines),
                };
                ("orderCancel", Some(("OrderCancelInput", input)), paper)
            }
            4 | 5 => {
                let lines = (self.roll(2) == 0).then(|| self.some_of(at));
                let input = json!({ "lines": lines.as_deref().map(|lines| self.lines(at, lines)) });
                ("orderFulfil", Some(("OrderFulfilInput!", input)), self.books.fulfil(at, lines.as_deref()))
            }
            _ => {
                let how = self.roll(5);
                let lines = (how < 3).then(|| self.some_back(at));
                let amount = (how == 3).then(|| 1 + self.many(3000));
                let mut input = json!({ "amount": amount.map(decimal) });
                let line = |one: &Back| {
                    json!({ "lineId": self.orders[at]["lines"][one.part]["id"], "quantityFulfilled": one.sent,
                        "quantityUnfulfilled": one.unsent, "restock": one.restock })
                };
                input["lines"] = json!(lines.as_ref().map(|lines| lines.iter().map(line).collect::<Vec<_>>()));
                let paper = self.books.refund(at, lines.as_deref(), amount);
                ("orderRefund", Some(("OrderRefundInput!", input)), paper)
            }
        };
        let what = format!("{mutation} with {input:?}");
        let input = input.map(|(kind, mut input)| {
            if mutation != "orderCancel" {
                input["idempotencyKey"] = json!(format!("step {}", self.state));
            }
            (kind, input)
        });
        let answer = self.shop.step(&self.staff, mutation, &id, input).await;
        self.work().await;
        (what, first(&answer, mutation), paper.err())
    }

    /// Some lines of an order, and so many of each: often fewer than there are, at times more.
    fn some_of(&mut self, at: usize) -> Vec<(usize, i64)> {
        let parts = self.books.sales[at].parts.len();
        let from = self.roll(parts);
        (from..parts).map(|part| (part, 1 + self.many(3))).collect()
    }

    /// Shipped and unshipped units of some lines, some of them back in stock.
    fn some_back(&mut self, at: usize) -> Vec<Back> {
        let parts = self.books.sales[at].parts.len();
        let from = self.roll(parts);
        let one = |part| Back { part, sent: self.many(3), unsent: self.many(3), restock: self.roll(3) == 0 };
        (from..parts).map(one).collect()
    }

    fn lines(&self, at: usize, lines: &[(usize, i64)]) -> Value {
        let line =
            |(part, many): &(usize, i64)| json!({ "lineId": self.orders[at]["lines"][*part]["id"], "quantity": many });
        lines.iter().map(line).collect()
    }

    async fn stock(&mut self) -> Told {
        let (variant, at) = (self.roll(3), self.roll(2));
        let there = self.books.shelves[variant].on_hand[at];
        let (mutation, mut input, paper) = match self.roll(3) {
            0 => {
                let delta = 1 + self.many(4) - if self.roll(2) == 0 { 0 } else { 5 };
                let input = json!({ "locationId": self.places[at], "delta": delta, "reason": "CORRECTION" });
                ("stockAdjust", input, self.books.adjust(variant, at, delta))
            }
            1 => {
                let (quantity, expected) = (self.many(9), there + i64::from(self.roll(4) == 0));
                let input =
                    json!({ "locationId": self.places[at], "quantity": quantity, "expectedQuantity": expected });
                ("stockSet", input, self.books.count(variant, at, (quantity, expected)))
            }
            _ => {
                let quantity = 1 + self.many(4);
                let input = json!({ "fromLocationId": self.places[at], "toLocationId": self.places[1 - at],
                    "quantity": quantity });
                ("stockTransfer", input, self.books.transfer(variant, (at, 1 - at), quantity))
            }
        };
        let what = format!("{mutation} of {variant} with {input}");
        input["variantId"] = json!(self.variants[variant]);
        let answer = stock(&self.shop, &self.staff, mutation, &format!("stock {}", self.state), input).await;
        (what, first(&answer, mutation), paper.err())
    }

    async fn watch(&mut self) -> Told {
        // The last one is never ordered before it is there.
        let (variant, backorder) = (self.roll(2), self.roll(3) == 0);
        self.set_backorder(variant, backorder).await
    }

    async fn set_backorder(&mut self, variant: usize, backorder: bool) -> Told {
        self.books.shelves[variant].backorder = backorder;
        let input = json!({ "variantId": self.variants[variant], "backorder": backorder });
        let answer = stock(&self.shop, &self.staff, "stockSettingsUpdate", "", input).await;
        (format!("backorder of {variant}: {backorder}"), first(&answer, "stockSettingsUpdate"), None)
    }

    /// Time goes by; what is overdue then may be ended by the schedule, or not yet.
    async fn wait(&mut self) -> Told {
        let (minutes, work) = (5 + self.many(8), self.roll(2) == 0);
        self.books.now += minutes;
        self.shop.clock.set(moment("2026-11-01T09:00:00Z") + TimeDelta::minutes(self.books.now));
        self.staff = self.shop.sign_in(Role::Staff).await;
        if work {
            self.work().await;
        }
        (format!("{minutes} minutes, then work: {work}"), None, None)
    }

    /// Does what waits; the schedule ends what is overdue.
    async fn work(&mut self) {
        self.shop.work().await;
        self.books.end_overdue(|_| true);
    }

    async fn pay_late(&mut self) -> Told {
        let order = self.roll(self.orders.len());
        let sale = &self.books.sales[order];
        let waits = sale.money == Money::Awaited;
        let key = key_of(&self.orders[order]);
        let bank = format!("SELECT COALESCE(MAX(id), 0) FROM payment WHERE provider = 'bank' AND order_id = {key}");
        let payment = self.shop.number(&bank).await;
        if payment == 0 || !(waits || sale.money == Money::Gone) {
            return (format!("no money for order {order}"), None, None);
        }
        let answer = self.bank.paid(&format!("payment-{payment}"), sale.total);
        tell(&self.shop, &self.orders[order], &answer).await;
        self.books.paid_late(order);
        self.work().await;
        (format!("money for order {order}"), None, None)
    }

    /// Fails unless the shop stands as the paper says.
    async fn compare(&self, when: &str) {
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on ProductVariant { stockLevels { onHand reserved location { id } } } }
            orders(first: 100) { nodes { id status paymentStatus fulfilmentStatus
            lines { quantityFulfilled quantityRefunded quantityUnfulfilled quantityCanceled quantityReturned } payments { capturedAmount refundedAmount } } } }";
        let seen = self.shop.ask_as(&self.staff, query, json!({ "ids": self.variants })).await;
        for (at, shelf) in self.books.shelves.iter().enumerate() {
            let levels = seen.at(&format!("/nodes/{at}/stockLevels")).as_array().expect("levels");
            let level = |place: usize| {
                let found = levels.iter().find(|level| level["location"]["id"] == self.places[place]);
                found.map_or((json!(0), json!(0)), |level| (level["onHand"].clone(), level["reserved"].clone()))
            };
            let paper = |place: usize| (json!(shelf.on_hand[place]), json!(shelf.reserved[place]));
            assert_eq!([level(0), level(1)], [paper(0), paper(1)], "{when}: stock of {at}");
        }
        let all = seen.at("/orders/nodes").as_array().expect("orders");
        assert_eq!(all.len(), self.books.sales.len(), "{when}");
        for (at, sale) in self.books.sales.iter().enumerate() {
            let mut found = all.iter().find(|one| one["id"] == self.orders[at]["id"]).expect("the order").clone();
            found.as_object_mut().expect("an order").remove("id");
            let parts = sale.parts.iter().map(|part| {
                json!({ "quantityFulfilled": part.fulfilled, "quantityRefunded": part.refunded,
                    "quantityUnfulfilled": part.unsent(), "quantityCanceled": part.cancelled,
                    "quantityReturned": part.returned })
            });
            let paper = json!({ "status": sale.status, "paymentStatus": sale.payment(),
                "fulfilmentStatus": sale.fulfilment(), "lines": parts.collect::<Vec<_>>(),
                "payments": [{ "capturedAmount": decimal(sale.captured()), "refundedAmount": decimal(sale.refunded) }] });
            assert_eq!(found, paper, "{when}: order {at}: {sale:#?}");
        }
    }
}

/// What was done, what the shop said of it, and what the paper says.
type Told = (String, Option<String>, Option<&'static str>);

fn first(answer: &Answer, mutation: &str) -> Option<String> {
    answer.problems(mutation).into_iter().next().map(|(code, _)| code)
}

fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}
