//! Money: what was promised, taken and given back, through whom. A ledger that is only added to.

pub mod provider;
pub mod manual;
pub mod entity;
pub mod ledger;
pub mod settle;
pub mod refund;
pub mod end;
pub mod capture;

pub use entity::{Payment, PaymentState};
pub use provider::{Answer, Ask, Provider, Providers};
