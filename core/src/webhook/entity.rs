//! Entities of endpoints, events, deliveries and attempts.

/// Status of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WebhookEndpointStatus {
    /// Gets events.
    Active,
    /// Deactivated by staff: gets no new events.
    Inactive,
    /// Paused because it kept failing: events wait.
    Paused,
    /// Has answered 410: gets no new events.
    Ended,
}

/// Status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum WebhookDeliveryStatus {
    /// Waiting for its first or next attempt.
    Pending,
    /// Accepted by the endpoint.
    Delivered,
    /// Given up.
    Failed,
}

/// Table `webhook_endpoint`.
pub mod webhook_endpoint {
    use sea_orm::entity::prelude::*;

    /// An endpoint. Its secrets are encrypted.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_endpoint")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub url: String,
        pub description: String,
        pub status: super::WebhookEndpointStatus,
        pub status_reason: Option<String>,
        pub payload_query: Option<String>,
        pub permissions: String,
        pub secret: Vec<u8>,
        pub previous_secret: Option<Vec<u8>>,
        pub previous_secret_expires_at: Option<DateTimeUtc>,
        pub account_id: Option<i64>,
        pub failure_count: i32,
        pub failing_since: Option<DateTimeUtc>,
        pub resume_at: Option<DateTimeUtc>,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `webhook_subscription`.
pub mod webhook_subscription {
    use sea_orm::entity::prelude::*;

    /// An event type of an endpoint.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_subscription")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub endpoint_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_type: crate::webhook::WebhookEventType,
        pub created_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `webhook_event`.
pub mod webhook_event {
    use sea_orm::entity::prelude::*;

    /// An event as it is sent.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_event")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub outbox_event_id: Option<i64>,
        pub event_type: crate::webhook::WebhookEventType,
        pub aggregate: String,
        pub sequence: Option<i64>,
        pub subject_ids: Json,
        pub body: String,
        pub occurred_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `webhook_delivery`.
pub mod webhook_delivery {
    use sea_orm::entity::prelude::*;

    /// The delivery of an event to an endpoint.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_delivery")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub endpoint_id: i64,
        pub event_id: i64,
        pub event_type: crate::webhook::WebhookEventType,
        pub aggregate: String,
        pub status: super::WebhookDeliveryStatus,
        pub attempts: i32,
        pub failures: i32,
        pub next_attempt_at: Option<DateTimeUtc>,
        pub is_blocked: bool,
        pub requested_at: DateTimeUtc,
        pub body: Option<String>,
        pub response_status: Option<i32>,
        pub last_error: Option<String>,
        pub delivered_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `webhook_attempt`.
pub mod webhook_attempt {
    use sea_orm::entity::prelude::*;

    /// An attempt of a delivery.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_attempt")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub delivery_id: i64,
        pub attempt: i32,
        pub requested_at: DateTimeUtc,
        pub duration_ms: i32,
        pub response_status: Option<i32>,
        pub response_body: Option<String>,
        pub error: Option<String>,
    }

    /// None: related rows are loaded in batches.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
