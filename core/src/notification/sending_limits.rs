//! Sending limits: one email per event type and address in an interval, and a daily number of SMS to guests.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::{Expr, OnConflict},
};

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus,
    entity::{guest_sms_daily_count, notification_throttle},
    notification,
};
use crate::{
    base::{Country, Result, digest, phone},
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
pub async fn decide_admission(tx: &Tx, config: &Config, row: &notification::Model) -> Result<Admission> {
    let Some(recipient) = row.recipient.as_deref() else { return Ok(Admission::Now) };
    match row.channel {
        NotificationChannel::Email => reserve_email_slot(tx, &config.notification, (recipient, row.event_type)).await,
        NotificationChannel::Sms => admit_sms(tx, config, row, recipient).await,
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
    let key = digest::sha256_base64url(&pace_subject);
    let now_millis = tx.now().timestamp_millis();
    let row = notification_throttle::ActiveModel {
        subject_hash: Set(key),
        next_slot_ms: Set(now_millis + interval),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    let next_slot = || Expr::col((notification_throttle::Entity, notification_throttle::Column::NextSlotMs));
    let slot_after = Expr::case(next_slot().gt(now_millis), next_slot().add(interval))
        .finally(Expr::col(("excluded", notification_throttle::Column::NextSlotMs)));
    let reservation = OnConflict::column(notification_throttle::Column::SubjectHash)
        .update_column(notification_throttle::Column::UpdatedAt)
        .value(notification_throttle::Column::NextSlotMs, slot_after)
        .action_and_where(next_slot().lte(now_millis + to_millis(config.max_email_delay)))
        .to_owned();
    let insert = notification_throttle::Entity::insert(row).on_conflict(reservation);
    let Some(reserved) = insert.exec_with_returning_many(tx).await?.into_iter().next() else {
        return Ok(Admission::Refused("too many e-mails of this kind to this address".into()));
    };
    let due_at_millis = reserved.next_slot_ms - interval;
    if due_at_millis <= now_millis {
        return Ok(Admission::Now);
    }
    Ok(DateTime::from_timestamp_millis(due_at_millis).map_or(Admission::Now, Admission::Postponed))
}

/// Admits SMS to customers with a verified e-mail address; to others only in countries the shop ships to, up to the
/// daily limit. For codes the phone number itself must be verified, because customers request them for any number.
async fn admit_sms(tx: &Tx, config: &Config, row: &notification::Model, phone: &str) -> Result<Admission> {
    if let Some(owner_id) = row.account_id
        && let Some(owner) = account::Entity::find_by_id(owner_id).one(tx).await?
    {
        let is_known = match row.event_type {
            NotificationEventType::LoginCode => {
                owner.phone_verified_at.is_some() && owner.phone.as_deref() == Some(phone)
            }
            _ => owner.email_verified_at.is_some(),
        };
        if is_known {
            return Ok(Admission::Now);
        }
    }
    let country = phone::find_phone_country(phone);
    let is_served = match country {
        Some(country) => ships_to_country(tx, country, config.shop.country).await?,
        None => false,
    };
    if !is_served {
        let country_name = country.map_or("the number's country", Country::name);
        return Ok(Admission::Refused(format!(
            "SMS to guests are sent only to countries that the shop ships to, not to {country_name}"
        )));
    }
    if count_guest_sms(tx, config.sms.guest_daily_limit).await? {
        return Ok(Admission::Now);
    }
    Ok(Admission::Refused("the daily limit of SMS to guests is reached (sms.guest_daily_limit)".into()))
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
    let row = guest_sms_daily_count::ActiveModel {
        day: Set(format_day(tx.now())),
        sent_count: Set(1),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    let sent_count = || Expr::col((guest_sms_daily_count::Entity, guest_sms_daily_count::Column::SentCount));
    let increment = OnConflict::column(guest_sms_daily_count::Column::Day)
        .update_column(guest_sms_daily_count::Column::UpdatedAt)
        .value(guest_sms_daily_count::Column::SentCount, sent_count().add(1))
        .action_and_where(sent_count().lt(i64::from(limit)))
        .to_owned();
    let counted = guest_sms_daily_count::Entity::insert(row).on_conflict(increment).exec_without_returning(tx).await?;
    Ok(counted > 0)
}

/// Returns the number of SMS sent to guests today (UTC). Statements: 1.
pub async fn count_guest_sms_today(db: &Db) -> Result<i64> {
    let count = guest_sms_daily_count::Entity::find_by_id(format_day(db.now())).one(db).await?;
    Ok(count.map_or(0, |count| count.sent_count))
}

/// Deletes notifications and daily counts past their retention, and elapsed time slots.
pub async fn delete_expired_messages(db: &Db, config: &NotificationConfig) -> Result<()> {
    let cutoff = db.now() - config.retention;
    let expired = notification::Entity::find()
        .filter(notification::Column::Status.ne(NotificationStatus::Queued))
        .filter(notification::Column::UpdatedAt.lt(cutoff))
        .order_by_asc(notification::Column::UpdatedAt);
    db.delete_in_batches(notification::Column::Id, expired).await?;
    db.write(async |tx| {
        let elapsed = notification_throttle::Column::NextSlotMs.lt(tx.now().timestamp_millis());
        notification_throttle::Entity::delete_many().filter(elapsed).exec(tx).await?;
        let expired = guest_sms_daily_count::Column::Day.lt(format_day(cutoff));
        guest_sms_daily_count::Entity::delete_many().filter(expired).exec(tx).await?;
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
