//! The history of an order: who did what, when and why.

use sea_orm::ConnectionTrait;

use super::Status;
use crate::{
    base::Result,
    infra::{Sql, Tx},
};

/// What kind of thing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was placed.
    Placed,
    /// It went from one status to another.
    Went(Status, Status),
    /// Something about its money.
    Payment,
    /// A parcel went off.
    Fulfilment,
    /// Money went back.
    Refund,
    /// Somebody wrote something down.
    Note,
}

/// Writes down what has happened; `public` when the buyer may read it.
///
/// # Errors
/// When the database refuses.
pub async fn tell(tx: &Tx, order: i64, told: Told, note: (Option<&str>, bool)) -> Result<()> {
    tx.execute_raw(statement(tx, order, told, note).statement()).await?;
    Ok(())
}

/// The statement that writes it down.
pub(super) fn statement(tx: &Tx, order: i64, told: Told, (note, public): (Option<&str>, bool)) -> Sql {
    let (kind, from, to) = match told {
        Told::Placed => ("placed", None, None),
        Told::Went(from, to) => ("status", Some(from), Some(to)),
        Told::Payment => ("payment", None, None),
        Told::Fulfilment => ("fulfilment", None, None),
        Told::Refund => ("refund", None, None),
        Told::Note => ("note", None, None),
    };
    let (actor, actor_id) = tx.origin().actor.stored();
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO order_entry (order_id, kind, from_status, to_status, actor_kind, actor_id, note, is_public, ",
    );
    sql.push("created_at) VALUES (").bind(order).push(", ").bind(kind).push(", ").bind(from.map(Status::stored));
    sql.push(", ").bind(to.map(Status::stored)).push(", ").bind(actor).push(", ").bind(actor_id).push(", ");
    sql.bind(note).push(", ").bind(public).push(", ").bind(tx.now()).push(")");
    sql
}
