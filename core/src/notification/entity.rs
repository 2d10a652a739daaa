//! Entities of notifications, preferences and sending limits.

/// Status of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum NotificationStatus {
    /// Waiting to be sent or retried.
    Queued,
    /// Accepted by the mail server or the SMS gateway.
    Sent,
    /// Failed permanently; not retried.
    Failed,
    /// Not sent: the recipient opted out or was erased, or the channel is disabled.
    Skipped,
}

/// Table `notification`.
pub mod notification {
    use sea_orm::entity::prelude::*;

    /// A notification on one channel.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "notification")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub event_id: i64,
        pub event_type: crate::notification::NotificationEventType,
        pub channel: crate::notification::NotificationChannel,
        pub recipient: Option<String>,
        pub account_id: Option<i64>,
        pub order_id: Option<i64>,
        pub language: Option<crate::base::LanguageCode>,
        pub template_data: Option<Json>,
        pub status: super::NotificationStatus,
        pub failure_reason: Option<String>,
        pub attempts: i32,
        pub resend_count: i32,
        pub provider_id: Option<String>,
        pub send_at: Option<DateTimeUtc>,
        pub sent_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `notification_preference`.
pub mod notification_preference {
    use sea_orm::entity::prelude::*;

    /// The choice of a customer for an event type on a channel.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notification_preference")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_type: crate::notification::NotificationEventType,
        #[sea_orm(primary_key, auto_increment = false)]
        pub channel: crate::notification::NotificationChannel,
        pub enabled: bool,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `notification_throttle`.
pub mod notification_throttle {
    use sea_orm::entity::prelude::*;

    /// The next free time slot of a recipient and event type, in milliseconds since 1970.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notification_throttle")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject_hash: String,
        pub next_slot_ms: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `guest_sms_daily_count`.
pub mod guest_sms_daily_count {
    use sea_orm::entity::prelude::*;

    /// The number of SMS to guests on a day (UTC).
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "guest_sms_daily_count")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: String,
        pub sent_count: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
