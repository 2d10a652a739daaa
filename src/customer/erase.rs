//! Forgetting somebody: what names them goes, what others need (orders, what was done) stays without a name.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};

use super::{profile::Wish, reach, staff};
use crate::{
    base::{Result, id::Kind},
    identity::{api_key, entity::account, session},
    infra::{Change, Tx, outbox::Event},
};

/// A customer has been forgotten.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerDeleted {
    /// Their key.
    pub customer: i64,
}

impl Event for CustomerDeleted {
    const KIND: &'static str = "CustomerDeleted";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// What goes with an account, each by the account's key. Its sessions stay until they would have been pruned: they are
/// what tells every instance that their tokens hold no more. They keep nothing of their owner.
const GONE: [&str; 7] = [
    "DELETE FROM address WHERE account_id = ",
    "DELETE FROM account_identity WHERE account_id = ",
    "DELETE FROM one_time_token WHERE account_id = ",
    "DELETE FROM refresh_token WHERE session_id IN (SELECT id FROM session WHERE account_id = ",
    "UPDATE session SET user_agent = '', address = '' WHERE account_id = ",
    "DELETE FROM notification_preference WHERE account_id = ",
    "UPDATE message SET recipient = NULL, words = NULL, provider_id = NULL, \
     why = CASE state WHEN 'sent' THEN NULL ELSE 'its recipient has been forgotten' END, \
     state = CASE state WHEN 'sent' THEN 'sent' ELSE 'skipped' END WHERE account_id = ",
];

/// Somebody who can be forgotten, held: what other rooms know of them goes between this and [`erase`].
///
/// # Errors
/// When it is not there, has changed since, is of staff and the caller may not change those, or is the last admin.
pub async fn hold(tx: &Tx, wish: &Wish) -> Result<account::Model> {
    let admins = staff::admins(tx).await?;
    let row = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(row.version, wish.expected)?;
    staff::keep_one(&admins, row.id, "id")?;
    Ok(row)
}

/// Forgets a customer who is held, and says so without saying whom. The row stays, empty, for what points at it.
///
/// # Errors
/// When the database refuses.
pub async fn erase(tx: &Tx, row: account::Model) -> Result<i64> {
    let key = row.id;
    session::revoke(tx, key, None).await?;
    api_key::revoke_all_of(tx, key).await?;
    for gone in GONE {
        let mut sql = tx.sql();
        sql.push(gone).bind(key).push(if gone.contains(" IN (") { ")" } else { "" });
        tx.execute_raw(sql.statement()).await?;
    }
    silence(tx, key).await?;
    let version = row.version + 1;
    let mut row = row.into_active_model();
    row.email = Set(None);
    row.email_key = Set(None);
    row.email_verified_at = Set(None);
    row.password = Set(None);
    row.phone = Set(None);
    for name in [&mut row.first_name, &mut row.last_name, &mut row.name_key, &mut row.last_name_key] {
        *name = Set(String::new());
    }
    row.language = Set(None);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    row.deleted_at = Set(Some(tx.now()));
    row.update(tx).await?;
    let thing = (Kind::Customer, key);
    tx.record(&[Change { action: "customer.delete", thing, before: None, after: None }]).await?;
    tx.emit(CustomerDeleted { customer: key }).await?;
    Ok(key)
}

/// What was done to them stays known; what they were like does not.
async fn silence(tx: &Tx, key: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE audit SET before = NULL, after = NULL WHERE thing_kind = 'Customer' AND thing_id = ").bind(key);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}
