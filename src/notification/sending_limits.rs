//! Sending limits: one email per event type and address in an interval, and a daily number of SMS to guests.

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveEnum, ConnectionTrait, EntityTrait};

use super::{NotificationChannel, NotificationEventType, notification};
use crate::{
    base::{Country, Result},
    customer::validation,
    identity::entity::account,
    infra::{Config, Db, Tx, config::NotificationConfig},
    pricing::shipping,
};

/// Decision of the sending limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Send now.
    Now,
    /// Send at this time.
    Postponed(DateTime<Utc>),
    /// Do not send, with the reason.
    Refused(String),
}

/// Decides when a notification is sent. Call it once per notification: it consumes a time slot or a unit of the daily
/// limit.
pub async fn decide_admission(
    tx: &Tx,
    config: &Config,
    row: &notification::Model,
) -> Result<Admission> {
    let Some(recipient) = row.recipient.as_deref() else { return Ok(Admission::Now) };
    match row.channel {
        NotificationChannel::Email => reserve_email_slot(tx, &config.notification, (recipient, row.event_type)).await,
        NotificationChannel::Sms => admit_guest_sms(tx, config, (row.account_id, recipient)).await,
    }
}

/// Reserves the next free time slot of the recipient and event type. Statements: 1.
async fn reserve_email_slot(
    tx: &Tx,
    config: &NotificationConfig,
    (recipient, event_type): (&str, NotificationEventType),
) -> Result<Admission> {
    let interval = to_millis(config.email_interval);
    if interval == 0 {
        return Ok(Admission::Now);
    }
    let pace_subject = format!("{} {}", recipient.to_lowercase(), event_type.to_value());
    let key = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, pace_subject.as_bytes()));
    let now_millis = tx.now().timestamp_millis();
    let mut sql = tx.sql();
    sql.push("INSERT INTO notification_throttle (subject_hash, next_slot_ms, created_at, updated_at) VALUES (")
        .bind(key);
    sql.push(", ").bind(now_millis + interval).push(", ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") ON CONFLICT (subject_hash) DO UPDATE SET updated_at = excluded.updated_at, next_slot_ms = ");
    sql.push("CASE WHEN notification_throttle.next_slot_ms > ")
        .bind(now_millis)
        .push(" THEN notification_throttle.next_slot_ms + ")
        .bind(interval);
    sql.push(" ELSE excluded.next_slot_ms END WHERE notification_throttle.next_slot_ms <= ")
        .bind(now_millis + to_millis(config.email_delay_limit));
    sql.push(" RETURNING next_slot_ms");
    let Some(row) = tx.query_one_raw(sql.into_statement()).await? else {
        return Ok(Admission::Refused("too many e-mails of this kind to this address".into()));
    };
    let due_at_millis = row.try_get_by::<i64, _>(0)? - interval;
    if due_at_millis <= now_millis {
        return Ok(Admission::Now);
    }
    Ok(DateTime::from_timestamp_millis(due_at_millis).map_or(Admission::Now, Admission::Postponed))
}

/// Admits SMS to customers with a verified e-mail address; to others only in countries the shop ships to, up to the
/// daily limit.
async fn admit_guest_sms(tx: &Tx, config: &Config, (account_id, phone): (Option<i64>, &str)) -> Result<Admission> {
    if let Some(owner_id) = account_id
        && let Some(owner) = account::Entity::find_by_id(owner_id).one(tx).await?
        && owner.email_verified_at.is_some()
    {
        return Ok(Admission::Now);
    }
    let country = validation::find_phone_country(phone);
    let is_served = match country {
        Some(country) => ships_to_country(tx, country, config.shop.country).await?,
        None => false,
    };
    if !is_served {
        let country_name = country.map_or("the number's country", Country::name);
        return Ok(Admission::Refused(format!(
            "guests are sent short messages where the shop ships to, not to {country_name}"
        )));
    }
    if count_guest_sms(tx, config.sms.guest_daily_limit).await? {
        return Ok(Admission::Now);
    }
    Ok(Admission::Refused("the daily limit of short messages to guests is reached (sms.guest_daily_limit)".into()))
}

/// Returns whether a shipping method covers a country; without any method, whether it is the shop's country.
async fn ships_to_country(tx: &Tx, country: Country, shop_country: Country) -> Result<bool> {
    let methods = shipping::list_shipping_methods(tx, true).await?;
    let code = country.to_string();
    let covers_country = |method: &crate::pricing::entity::shipping_method::Model| {
        method.countries.is_empty() || method.destinations().any(|destination| destination == code)
    };
    Ok(if methods.is_empty() { country == shop_country } else { methods.iter().any(covers_country) })
}

/// Increments today's count of guest SMS. Returns `false` if the limit is reached. Statements: 1.
async fn count_guest_sms(tx: &Tx, limit: u32) -> Result<bool> {
    if limit == 0 {
        return Ok(false);
    }
    let mut sql = tx.sql();
    sql.push("INSERT INTO guest_sms_daily_count (day, sent_count, created_at, updated_at) VALUES (")
        .bind(format_day(tx.now()));
    sql.push(", 1, ").bind(tx.now()).push(", ").bind(tx.now()).push(") ON CONFLICT (day) DO UPDATE SET ");
    sql.push("sent_count = guest_sms_daily_count.sent_count + 1, updated_at = excluded.updated_at WHERE guest_sms_daily_count.sent_count < ");
    sql.bind(i64::from(limit)).push(" RETURNING sent_count");
    Ok(tx.query_one_raw(sql.into_statement()).await?.is_some())
}

/// Returns the number of SMS sent to guests today (UTC). Statements: 1.
pub async fn count_guest_sms_today(db: &Db) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT sent_count FROM guest_sms_daily_count WHERE day = ").bind(format_day(db.now()));
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by(0))?)
}

/// Deletes notifications and daily counts past their retention, and elapsed time slots. One transaction per 1,000
/// notifications.
pub async fn delete_expired_messages(db: &Db, config: &NotificationConfig) -> Result<()> {
    const DELETE_BATCH_SIZE: u64 = 1000;
    let cutoff = db.now() - TimeDelta::days(config.keep_days.into());
    loop {
        let deleted = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push(
                "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE status <> 'queued' AND updated_at < ",
            );
            sql.bind(cutoff).push(&format!(" ORDER BY updated_at LIMIT {DELETE_BATCH_SIZE})"));
            Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
        });
        if deleted.await? < DELETE_BATCH_SIZE {
            break;
        }
    }
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM notification_throttle WHERE next_slot_ms < ").bind(tx.now().timestamp_millis());
        tx.execute_raw(sql.into_statement()).await?;
        let mut sql = tx.sql();
        sql.push("DELETE FROM guest_sms_daily_count WHERE day < ").bind(format_day(cutoff));
        tx.execute_raw(sql.into_statement()).await?;
        Ok(())
    })
    .await
}

fn format_day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

fn to_millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
