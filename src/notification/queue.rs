//! Deciding who is told, and writing it down: in the transaction of the reaction that heard of the event.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect, Set, sea_query::LockType};
use serde_json::{Value, json};

use super::{
    Channel, Occasion, OrderWords, message,
    preference::{self, Wanted},
    send::SendMessage,
};
use crate::{
    base::{Error, Language, Result, error::Code, id::Kind},
    infra::{Change, Tx},
};

/// What was said of a message that nobody wants.
const UNWANTED: &str = "the customer does not want it";

/// Something to tell somebody.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The event, by its number in the outbox: one is told once by each way.
    pub event: i64,
    /// What is told.
    pub occasion: Occasion,
    /// Whom it is for.
    pub to: Recipient,
    /// The order it is about, and what is said of it.
    pub order: Option<(i64, OrderWords)>,
}

/// Whom something is told.
#[derive(Debug, Clone, Default)]
pub struct Recipient {
    /// Whose choice counts; `None` for a guest.
    pub account: Option<i64>,
    /// Where letters go; `None`: they get none.
    pub email: Option<String>,
    /// Where short messages go; `None`: they get none.
    pub phone: Option<String>,
    /// What they speak; `None`: what the shop does.
    pub language: Option<Language>,
}

/// Writes down what is to be told, and has it sent. What was told of the same event before stays as it is. A constant
/// number of statements.
///
/// # Errors
/// When the database refuses.
pub async fn tell(tx: &Tx, notice: Notice) -> Result<()> {
    let Notice { event, occasion, to, order } = notice;
    let Recipient { account, email, phone, language } = to;
    let wanted = match account {
        Some(account) if occasion.is_chosen() => preference::of(tx, account).await?,
        _ => Wanted::default(),
    };
    let (order, words) = match order {
        Some((key, words)) => (Some(key), Some(json!(words))),
        None => (None, None),
    };
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let row = |channel: Channel, recipient: Option<String>| -> Option<Value> {
        let recipient = recipient.filter(|recipient| !recipient.is_empty())?;
        let told = wanted.of(occasion, channel);
        // What nobody has chosen either way leaves no trace where it is not told.
        let (state, why) = match (told, wanted.chosen(occasion, channel)) {
            (true, _) => ("queued", None),
            (false, Some(_)) => ("skipped", Some(UNWANTED)),
            (false, None) => return None,
        };
        Some(json!([
            event,
            occasion.name(),
            channel.name(),
            recipient,
            account,
            order,
            language.map(Language::code),
            words,
            state,
            why,
            0,
            0,
            now,
            now
        ]))
    };
    let ways = [(Channel::Email, email), (Channel::Sms, phone.filter(|_| occasion.is_chosen()))];
    let rows: Vec<Value> = ways.into_iter().filter_map(|(channel, recipient)| row(channel, recipient)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let columns = [
        ("event_id", "bigint"),
        ("occasion", "text"),
        ("channel", "text"),
        ("recipient", "text"),
        ("account_id", "bigint"),
        ("order_id", "bigint"),
        ("language", "text"),
        ("words", "jsonb"),
        ("state", "text"),
        ("why", "text"),
        ("attempts", "int"),
        ("round", "int"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert("message", &columns, rows).push(" ON CONFLICT (event_id, channel) DO NOTHING RETURNING id, state");
    let made = tx.query_all_raw(sql.statement()).await?;
    for row in &made {
        // At most one for each way.
        let (message, state): (i64, String) = (row.try_get("", "id")?, row.try_get("", "state")?);
        if state == "queued" {
            tx.enqueue(SendMessage { message }).await?;
        }
    }
    Ok(())
}

/// Sends a message again: one that has failed, was skipped, or was sent and did not arrive.
///
/// # Errors
/// When there is none like it, it is about to be sent anyway, or there is nobody to send it to any more.
pub async fn resend(tx: &Tx, key: i64) -> Result<message::Model> {
    let found = message::Entity::find_by_id(key).lock(LockType::NoKeyUpdate).one(tx).await?;
    let found = found.ok_or_else(|| Error::not_found("id", "message"))?;
    if found.state == "queued" {
        return Err(Error::user(
            Code::IllegalTransition,
            "id",
            "it waits to be sent; it can be sent again once it was sent, has failed or was skipped",
        ));
    }
    if found.recipient.is_none() {
        return Err(Error::user(Code::IllegalTransition, "id", "its recipient has been forgotten"));
    }
    let (before, round) = (found.state.clone(), found.round + 1);
    let mut row = found.into_active_model();
    row.state = Set("queued".to_owned());
    // Staff have decided: no limit holds it up.
    row.due_at = Set(Some(tx.now()));
    row.why = Set(None);
    row.attempts = Set(0);
    row.round = Set(round);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    tx.enqueue(SendMessage { message: key }).await?;
    tx.record(&[Change {
        action: "message.resend",
        thing: (Kind::Message, key),
        before: Some(json!({ "state": before })),
        after: Some(json!({ "state": "queued" })),
    }])
    .await?;
    Ok(row)
}
