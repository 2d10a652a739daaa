//! Limits on what goes out: one e-mail of a kind to one address in an interval, and a daily number of short messages to
//! people whom the shop does not know.

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::{Channel, message};
use crate::{
    base::{Country, Result},
    customer::check,
    identity::entity::account,
    infra::{Config, Db, Tx, config::NotificationConfig},
    pricing::shipping,
};

/// Whether a message may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Now,
    /// Not before this moment.
    Later(DateTime<Utc>),
    /// Not at all, and why.
    Refused(String),
}

/// Decides when a message goes out, once for each message: it takes the place that it is given.
///
/// # Errors
/// When the database refuses.
pub async fn admit(tx: &Tx, config: &Config, row: &message::Model, channel: Channel) -> Result<Admission> {
    let Some(to) = row.recipient.as_deref() else { return Ok(Admission::Now) };
    match channel {
        Channel::Email => pace(tx, &config.notification, (to, &row.occasion)).await,
        Channel::Sms => guest_sms(tx, config, (row.account_id, to)).await,
    }
}

/// Gives a message the next free moment for its recipient and kind. One statement.
async fn pace(tx: &Tx, config: &NotificationConfig, (to, occasion): (&str, &str)) -> Result<Admission> {
    let interval = millis(config.email_interval);
    if interval == 0 {
        return Ok(Admission::Now);
    }
    let text = format!("{} {occasion}", to.to_lowercase());
    let key = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let now = tx.now().timestamp_millis();
    let mut sql = tx.sql();
    sql.push("INSERT INTO message_pace (key, next_at, created_at, updated_at) VALUES (").bind(key);
    sql.push(", ").bind(now + interval).push(", ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at, next_at = ");
    sql.push("CASE WHEN message_pace.next_at > ").bind(now).push(" THEN message_pace.next_at + ").bind(interval);
    sql.push(" ELSE excluded.next_at END WHERE message_pace.next_at <= ").bind(now + millis(config.email_delay_limit));
    sql.push(" RETURNING next_at");
    let Some(row) = tx.query_one_raw(sql.statement()).await? else {
        return Ok(Admission::Refused("too many e-mails of this kind to this address".into()));
    };
    let due = row.try_get_by::<i64, _>(0)? - interval;
    if due <= now {
        return Ok(Admission::Now);
    }
    Ok(DateTime::from_timestamp_millis(due).map_or(Admission::Now, Admission::Later))
}

/// Customers with a verified e-mail address are sent short messages; anybody else where the shop ships to, up to the
/// daily limit.
async fn guest_sms(tx: &Tx, config: &Config, (account, to): (Option<i64>, &str)) -> Result<Admission> {
    if let Some(key) = account
        && let Some(owner) = account::Entity::find_by_id(key).one(tx).await?
        && owner.email_verified_at.is_some()
    {
        return Ok(Admission::Now);
    }
    let country = check::phone_country(to);
    let is_served = match country {
        Some(country) => ships_to(tx, country, config.shop.country).await?,
        None => false,
    };
    if !is_served {
        let place = country.map_or("the number's country", Country::name);
        return Ok(Admission::Refused(format!(
            "guests are sent short messages where the shop ships to, not to {place}"
        )));
    }
    if count_guest_sms(tx, config.sms.guest_daily_limit).await? {
        return Ok(Admission::Now);
    }
    Ok(Admission::Refused("the daily limit of short messages to guests is reached (sms.guest_daily_limit)".into()))
}

/// Whether some way of shipping goes to a country; without any, the shop's own country is served.
async fn ships_to(tx: &Tx, country: Country, shop: Country) -> Result<bool> {
    let methods = shipping::all(tx, true).await?;
    let code = country.to_string();
    let goes_there = |method: &crate::pricing::entity::shipping_method::Model| {
        method.countries.is_empty() || method.destinations().any(|one| one == code)
    };
    Ok(if methods.is_empty() { country == shop } else { methods.iter().any(goes_there) })
}

/// Counts one more short message of today, unless the limit is reached. One statement.
async fn count_guest_sms(tx: &Tx, limit: u32) -> Result<bool> {
    if limit == 0 {
        return Ok(false);
    }
    let mut sql = tx.sql();
    sql.push("INSERT INTO guest_sms_day (day, sent, created_at, updated_at) VALUES (").bind(day(tx.now()));
    sql.push(", 1, ").bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (day) DO UPDATE SET ");
    sql.push("sent = guest_sms_day.sent + 1, updated_at = excluded.updated_at WHERE guest_sms_day.sent < ");
    sql.bind(i64::from(limit)).push(" RETURNING sent");
    Ok(tx.query_one_raw(sql.statement()).await?.is_some())
}

/// Returns how many short messages went to guests today (UTC). One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn guest_sms_today(db: &Db) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT sent FROM guest_sms_day WHERE day = ").bind(day(db.now()));
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by(0))?)
}

/// Deletes messages and counts that are older than they are kept, with places in line that are over. One transaction for
/// each thousand messages.
///
/// # Errors
/// When the database refuses.
pub async fn delete_expired(db: &Db, config: &NotificationConfig) -> Result<()> {
    const BATCH: u64 = 1000;
    let until = db.now() - TimeDelta::days(config.keep_days.into());
    loop {
        let gone = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push(
                "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE state <> 'queued' AND updated_at < ",
            );
            sql.bind(until).push(&format!(" ORDER BY updated_at LIMIT {BATCH})"));
            Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
        });
        if gone.await? < BATCH {
            break;
        }
    }
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM message_pace WHERE next_at < ").bind(tx.now().timestamp_millis());
        tx.execute_raw(sql.statement()).await?;
        let mut sql = tx.sql();
        sql.push("DELETE FROM guest_sms_day WHERE day < ").bind(day(until));
        tx.execute_raw(sql.statement()).await?;
        Ok(())
    })
    .await
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
