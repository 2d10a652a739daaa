//! A bank for stories: it answers what the story wants, and moves money once for each key.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use savannah::payment::{Answer, Ask, Provider, Providers};

use super::{Backend, Shop};

/// What the bank answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// The money is promised.
    Authorised,
    /// It is done.
    Done,
    /// The buyer has to do something first.
    Later,
    /// No.
    Refused,
    /// Nothing that could be understood, though it did what it was asked.
    Unknown,
    /// Nothing, because it never heard of it.
    Nothing,
}

/// A bank.
#[derive(Debug)]
pub struct Bank {
    to_pay: Mutex<Says>,
    to_refund: Mutex<Says>,
    to_capture: Mutex<Says>,
    to_void: Mutex<Says>,
    known: Mutex<BTreeMap<String, Says>>,
    moved: Mutex<BTreeMap<String, i64>>,
    asked: Mutex<Vec<(&'static str, Ask)>>,
}

impl Bank {
    /// A shop whose buyers can pay through a bank that answers so.
    pub async fn shop(backend: Backend, says: Says) -> (Shop, Arc<Self>) {
        let bank = Arc::new(Self {
            to_pay: Mutex::new(says),
            to_refund: Mutex::new(Says::Done),
            to_capture: Mutex::new(Says::Done),
            to_void: Mutex::new(Says::Done),
            known: Mutex::default(),
            moved: Mutex::default(),
            asked: Mutex::default(),
        });
        let one: Arc<dyn Provider> = Arc::<Self>::clone(&bank);
        let providers = Providers::default().with(one);
        (Shop::open_paid(backend, &[("SAVANNAH_DATABASE__CONNECTIONS", "8")], providers).await, bank)
    }

    /// What it says from now on to those who pay. Who has had an answer keeps it.
    pub fn says(&self, says: Says) {
        *self.to_pay.lock().expect("what it says") = says;
    }

    /// What it says from now on when money is to go back.
    pub fn gives_back(&self, says: Says) {
        *self.to_refund.lock().expect("what it says") = says;
    }

    /// What it says from now on when money is to be captured.
    pub fn captures(&self, says: Says) {
        *self.to_capture.lock().expect("what it says") = says;
    }

    /// What it says from now on when it is to let go of money.
    pub fn voids(&self, says: Says) {
        *self.to_void.lock().expect("what it says") = says;
    }

    /// A buyer does what the bank waited for: what it tells the shop then.
    pub fn paid(&self, key: &str, amount: i64) -> Answer {
        self.known.lock().expect("what is known").insert(key.to_owned(), Says::Done);
        self.move_once(key, amount);
        Answer::Done { reference: format!("bank {key}") }
    }

    /// What the shop has of all that was moved.
    pub fn balance(&self) -> i64 {
        self.moved.lock().expect("the money").values().sum()
    }

    /// The keys that it was asked one thing with, in order.
    pub fn keys(&self, what: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("what was asked");
        asked.iter().filter(|(one, _)| *one == what).map(|(_, ask)| ask.key.clone()).collect()
    }

    fn move_once(&self, key: &str, amount: i64) {
        self.moved.lock().expect("the money").entry(key.to_owned()).or_insert(amount);
    }

    /// The same key is told the same, unless nobody understood it.
    fn answer(&self, (what, says): (&'static str, Says), ask: Ask, sign: i64) -> BoxFuture<'_, Answer> {
        let key = ask.key.clone();
        let amount = ask.amount * sign;
        self.asked.lock().expect("what was asked").push((what, ask));
        let known = self.known.lock().expect("what is known").get(&key).copied();
        let says = known.unwrap_or(says);
        if says != Says::Nothing && says != Says::Unknown {
            self.known.lock().expect("what is known").insert(key.clone(), says);
        }
        if matches!(says, Says::Done | Says::Unknown) {
            self.move_once(&key, amount);
        }
        let reference = format!("bank {key}");
        let answer = match says {
            Says::Authorised => Answer::Authorised { reference },
            Says::Done => Answer::Done { reference },
            Says::Later => {
                Answer::Later { reference: None, action_url: Some(format!("https://bank.example/pay/{key}")) }
            }
            Says::Refused => Answer::Refused { why: "there is not enough on the account".into() },
            Says::Unknown | Says::Nothing => Answer::Unknown { why: "the line is dead".into() },
        };
        ready(answer).boxed()
    }
}

impl Provider for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn authorise(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        let says = *self.to_pay.lock().expect("what it says");
        self.answer(("authorise", says), ask, 1)
    }

    fn capture(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        let says = *self.to_capture.lock().expect("what it says");
        self.answer(("capture", says), ask, 1)
    }

    fn refund(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        let says = *self.to_refund.lock().expect("what it says");
        self.answer(("refund", says), ask, -1)
    }

    fn void(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        let says = *self.to_void.lock().expect("what it says");
        self.answer(("void", says), ask, 0)
    }
}
