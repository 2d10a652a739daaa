//! Sending what was written down: each message until it is out, or will never be.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Set,
    sea_query::{Expr, LockType},
};
use serde::{Deserialize, Serialize};

use super::{
    Channel, Facts, Occasion, OrderWords, letter,
    limit::{self, Admission},
    message::{self, Column, Entity},
    note, render,
};
use crate::{
    base::{Error, Language, Result, link::contains_link},
    customer::Reach,
    identity::{
        account,
        one_time::{self, Purpose},
    },
    infra::{
        Config, Env, Tx, Unsent,
        jobs::{Job, Outcome},
        mail::Letter,
        sms::Note,
    },
    order::find,
};

/// How often a message is tried before it has failed.
pub const ATTEMPTS: u32 = 8;

/// A message is to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMessage {
    /// Its key.
    pub message: i64,
}

impl Job for SendMessage {
    const KIND: &'static str = "send_message";
    // A service that hangs keeps nothing else waiting.
    const QUEUE: &'static str = "messages";
    const ATTEMPTS: Option<u32> = Some(ATTEMPTS);
}

/// Sends a message, unless that was done.
///
/// Whoever dies between the sending and writing that down leaves it to be sent once more: its id is the same each time, so
/// that a mailbox shows it once.
pub async fn send(env: &Env, job: SendMessage) -> Outcome {
    match attempt(env, job.message).await {
        Ok(outcome) => outcome,
        Err(why) => Err(why).into(),
    }
}

async fn attempt(env: &Env, key: i64) -> Result<Outcome> {
    let Some((row, ready)) = env.db.write(async |tx| prepare(tx, &env.config, key).await).await? else {
        return Ok(Outcome::Done);
    };
    let outcome = match ready {
        Ready::Letter(letter) => env.mail.send(&letter).await,
        Ready::Note(note) => env.sms.send(&note).await,
        Ready::Not(why) => return keep(env, &row, ("skipped", Some(why), None), Outcome::Done).await,
    };
    match outcome {
        Ok(id) => keep(env, &row, ("sent", None, Some(id)), Outcome::Done).await,
        Err(Unsent::Nowhere) => {
            let why = format!("this shop sends nothing by {}", row.channel);
            keep(env, &row, ("skipped", Some(why), None), Outcome::Done).await
        }
        Err(Unsent::Never(why)) => keep(env, &row, ("failed", Some(why.clone()), None), Outcome::Fail(why)).await,
        Err(Unsent::Later(why)) if row.attempts >= i32::try_from(ATTEMPTS).unwrap_or(i32::MAX) => {
            let why = format!("tried {} times; the last time: {why}", row.attempts);
            keep(env, &row, ("failed", Some(why.clone()), None), Outcome::Fail(why)).await
        }
        Err(Unsent::Later(why)) => keep(env, &row, ("queued", Some(why.clone()), None), Outcome::Retry(why)).await,
    }
}

/// A message as it is about to go out.
enum Ready {
    Letter(Letter),
    Note(Note),
    Not(String),
}

/// Counts the attempt, and puts the message into words. `None` when nothing is left to do now.
async fn prepare(tx: &Tx, config: &Config, key: i64) -> Result<Option<(message::Model, Ready)>> {
    if !admitted(tx, config, key).await? {
        return Ok(None);
    }
    let tried = Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::Id.eq(key))
        // A letter that failed is tried again by whoever revives its job.
        .filter(Column::State.is_in(["queued", "failed"]))
        .exec_with_returning(tx)
        .await?;
    let Some(row) = tried.into_iter().next() else { return Ok(None) };
    let ready = write(tx, config, &row).await?;
    Ok(Some((row, ready)))
}

/// Whether a message may go out now. One that has to wait is enqueued again for then; one that may not go out is skipped.
async fn admitted(tx: &Tx, config: &Config, key: i64) -> Result<bool> {
    let found = Entity::find_by_id(key).lock(LockType::NoKeyUpdate).one(tx).await?;
    let Some(row) = found.filter(|row| row.state == "queued" && row.due_at.is_none()) else { return Ok(true) };
    let (_, channel) = read(&row)?;
    let admission = limit::admit(tx, config, &row, channel).await?;
    let is_now = admission == Admission::Now;
    let mut change = row.into_active_model();
    change.updated_at = Set(tx.now());
    match admission {
        Admission::Now => change.due_at = Set(Some(tx.now())),
        Admission::Later(at) => {
            change.due_at = Set(Some(at));
            change.why =
                Set(Some(format!("postponed to {}: another of its kind went to the address", at.to_rfc3339())));
            tx.enqueue_at(SendMessage { message: key }, at).await?;
        }
        Admission::Refused(why) => {
            change.state = Set("skipped".to_owned());
            change.why = Set(Some(why));
        }
    }
    change.update(tx).await?;
    Ok(is_now)
}

async fn write(tx: &Tx, config: &Config, row: &message::Model) -> Result<Ready> {
    let Some(to) = row.recipient.clone() else { return Ok(Ready::Not("its recipient has been forgotten".into())) };
    let (occasion, channel) = read(row)?;
    let id = format!("{}.{}", row.id, row.round);
    let language = row.language.as_deref().and_then(Language::named).unwrap_or(config.shop.language);
    let words = words(row)?;
    let mut facts = facts(config, words.as_ref());
    let pattern = &config.notification.order_url;
    if let Some(key) = row.order_id.filter(|_| !pattern.is_empty())
        && let Some(order) = find::by_key(tx, &[key], Reach::All).await?.remove(&key)
    {
        facts.link = render::fill(pattern, &[("number", &order.number), ("token", &order.token)]);
    }
    let (name, token);
    if let Some(purpose) = purpose(occasion) {
        // Somebody who has gone, or has another address by now, is sent nothing that opens an account.
        let owner = match row.account_id {
            Some(account) => account::alive(tx, account).await?.filter(|owner| owner.email.as_ref() == Some(&to)),
            None => None,
        };
        let Some(owner) = owner else { return Ok(Ready::Not("the account is closed, or has another address".into())) };
        if purpose == Purpose::VerifyEmail && owner.email_verified_at.is_some() {
            return Ok(Ready::Not("the address has been verified meanwhile".into()));
        }
        token = one_time::make(tx, purpose, owner.id, &to).await?;
        // Before its address is verified, an account's name is what anybody may have typed.
        let is_known = owner.email_verified_at.is_some() && !contains_link(&owner.first_name);
        name = if is_known { owner.first_name } else { String::new() };
        let page = if purpose == Purpose::VerifyEmail {
            &config.notification.verify_url
        } else {
            &config.notification.reset_url
        };
        facts.link = render::fill(page, &[("token", &token)]);
        facts.token = Some(&token);
        facts.name = &name;
    }
    if channel == Channel::Sms {
        return Ok(Ready::Note(Note { id, to, text: note(occasion, language, &facts)? }));
    }
    let written = letter(occasion, language, &facts)?;
    let super::Written { subject, text, html } = written;
    Ok(Ready::Letter(Letter { id, to, subject, text, html, at: row.created_at }))
}

fn read(row: &message::Model) -> Result<(Occasion, Channel)> {
    let read = |why: String| Error::fault("reading a message", why);
    Ok((row.occasion.parse().map_err(read)?, row.channel.parse().map_err(read)?))
}

const fn purpose(occasion: Occasion) -> Option<Purpose> {
    match occasion {
        Occasion::VerifyEmail => Some(Purpose::VerifyEmail),
        Occasion::ResetPassword => Some(Purpose::ResetPassword),
        _ => None,
    }
}

fn words(row: &message::Model) -> Result<Option<OrderWords>> {
    let words = row.words.clone().map(serde_json::from_value).transpose();
    words.map_err(|why| Error::fault("reading what a message says", why))
}

fn facts<'a>(config: &'a Config, words: Option<&'a OrderWords>) -> Facts<'a> {
    let name = words.map_or("", |words| words.name.as_str());
    Facts { shop: &config.shop.name, name, order: words, link: None, token: None }
}

/// What a message is about, in one line; `None` for a short message, and for one whose words are gone.
///
/// # Errors
/// When it cannot be put into words.
pub fn subject_of(config: &Config, row: &message::Model) -> Result<Option<String>> {
    let (occasion, channel) = read(row)?;
    let words = words(row)?;
    if channel == Channel::Sms || (occasion.is_chosen() && words.is_none()) {
        return Ok(None);
    }
    let language = row.language.as_deref().and_then(Language::named).unwrap_or(config.shop.language);
    render::subject(occasion, language, &facts(config, words.as_ref())).map(Some)
}

/// Writes down what came of an attempt. Staff see it.
async fn keep(
    env: &Env,
    row: &message::Model,
    (state, why, id): (&str, Option<String>, Option<String>),
    outcome: Outcome,
) -> Result<Outcome> {
    if let Some(why) = why.as_deref().filter(|_| state != "skipped") {
        tracing::warn!(
            message = row.id,
            channel = row.channel,
            attempt = row.attempts,
            state,
            why,
            "a message did not go out"
        );
    }
    let why = why.map(|why| why.chars().take(400).collect::<String>());
    env.db
        .write(async |tx| {
            let mut sql = tx.sql();
            sql.push("UPDATE message SET state = ").bind(state).push(", why = ").bind(why);
            sql.push(", updated_at = ").bind(tx.now());
            if let Some(id) = id {
                sql.push(", provider_id = ").bind(id).push(", sent_at = ").bind(tx.now());
            }
            // Whoever was forgotten meanwhile stays so, and what another worker has sent is sent.
            sql.push(" WHERE id = ").bind(row.id).push(" AND round = ").bind(row.round);
            sql.push(" AND state IN ('queued', 'failed') AND recipient IS NOT NULL");
            tx.execute_raw(sql.statement()).await?;
            Ok(())
        })
        .await?;
    Ok(outcome)
}
