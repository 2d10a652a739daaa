//! What an account says of its owner.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{check::Check, reach};
use crate::{
    base::{Country, Language, Patch, Result, id::Kind},
    identity::{
        Caller,
        account::{NAME_LIMIT, name_keys},
        entity::account,
    },
    infra::{Change, Tx, outbox::Event},
};

/// What somebody wants said of a customer.
#[derive(Debug, Default)]
pub struct ProfileChange {
    /// The first name; may be empty.
    pub first_name: Patch,
    /// The last name; may be empty.
    pub last_name: Patch,
    /// The telephone number.
    pub phone: Patch,
    /// The language they are written to in.
    pub language: Patch<Language>,
}

/// A customer has been changed, or something of theirs.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerChanged {
    /// Their key.
    pub customer: i64,
}

impl Event for CustomerChanged {
    const KIND: &'static str = "CustomerChanged";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Who changes which account, and which version of it they know.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The account.
    pub account: i64,
    /// Who asks; `None` for the shop itself, at its own command line.
    pub caller: Option<Caller>,
    /// The version they have seen.
    pub expected: Option<i32>,
    /// Where the shop stands.
    pub country: Country,
}

/// Changes what an account says of its owner. What says nothing new changes nothing.
///
/// # Errors
/// When it is not there, has changed since, or the wish cannot be.
pub async fn update(tx: &Tx, wish: Wish, change: ProfileChange) -> Result<account::Model> {
    let before = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(before.version, wish.expected)?;
    let mut after = before.clone();
    lay(&mut after, change, wish.country)?;
    let (was, is) = difference(&shown(&before), &shown(&after));
    if is.is_empty() {
        return Ok(before);
    }
    let key = after.id;
    let mut row = before.into_active_model();
    let (name_key, last_name_key) = name_keys(&after.first_name, &after.last_name);
    row.first_name = Set(after.first_name);
    row.last_name = Set(after.last_name);
    row.phone = Set(after.phone);
    row.language = Set(after.language);
    row.name_key = Set(name_key);
    row.last_name_key = Set(last_name_key);
    row.version = Set(after.version + 1);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let thing = (Kind::Customer, key);
    let change = Change { action: "customer.update", thing, before: Some(was.into()), after: Some(is.into()) };
    tx.record(&[change]).await?;
    tx.emit(CustomerChanged { customer: key }).await?;
    Ok(row)
}

fn lay(row: &mut account::Model, change: ProfileChange, country: Country) -> Result<()> {
    let ProfileChange { first_name, last_name, phone, language } = change;
    match language {
        Patch::Keep => {}
        Patch::Clear => row.language = None,
        Patch::Set(language) => row.language = Some(language),
    }
    let mut check = Check::new("input");
    check.text(&mut row.first_name, first_name, "firstName", NAME_LIMIT);
    check.text(&mut row.last_name, last_name, "lastName", NAME_LIMIT);
    check.phone(&mut row.phone, phone, "phone", country);
    check.done()
}

fn shown(row: &account::Model) -> Value {
    json!({ "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "language": row.language })
}

/// Of two states of one thing, what differs.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut was, mut is) = (Map::new(), Map::new());
    for (name, value) in after.as_object().into_iter().flatten().filter(|(name, value)| before[*name] != **value) {
        was.insert(name.clone(), before[name].clone());
        is.insert(name.clone(), value.clone());
    }
    (was, is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let (was, is) = difference(&json!({ "a": 1, "b": null }), &json!({ "a": 1, "b": "x" }));
        assert_eq!((Value::from(was), Value::from(is)), (json!({ "b": null }), json!({ "b": "x" })));
    }
}
