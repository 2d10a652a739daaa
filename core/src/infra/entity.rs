//! Entities of the infrastructure's tables.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum JobStatus {
    /// Pending: due now or later.
    Pending,
    /// Claimed by a worker.
    Running,
    /// Completed.
    Done,
    /// Failed, with no attempts left.
    Dead,
    /// Discarded by staff.
    Discarded,
}

/// Table `shop`.
pub mod shop {
    use sea_orm::entity::prelude::*;

    /// Row of the settings that never change after the first start. There is one.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shop")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub currency: String,
        pub database_id: String,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `audit_log`.
pub mod audit_log {
    use sea_orm::entity::prelude::*;

    /// Row of an audited change of one entity.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub actor_kind: crate::infra::ActorKind,
        pub actor_id: Option<i64>,
        pub action: String,
        pub entity_type: String,
        pub entity_id: i64,
        pub before: Option<Json>,
        pub after: Option<Json>,
        pub request_id: String,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `idempotency_key`.
pub mod idempotency_key {
    use sea_orm::entity::prelude::*;

    /// Row of the key of a request that was carried out.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_key")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scope: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub request_hash: String,
        pub resource_id: i64,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `idempotent_request`.
pub mod idempotent_request {
    use sea_orm::entity::prelude::*;

    /// Row of a request with an idempotency key. Without a response it is being executed.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotent_request")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub key_hash: String,
        pub caller: String,
        pub request_hash: String,
        pub claim_token: String,
        pub response: Option<Vec<u8>>,
        pub expires_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `throttle`.
pub mod throttle {
    use sea_orm::entity::prelude::*;

    /// Row of the counter of an action by one subject.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "throttle")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub action: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject_hash: String,
        pub count: i32,
        pub window_ends_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `outbox_event`.
pub mod outbox_event {
    use sea_orm::entity::prelude::*;

    /// Row of an event. A trigger assigns `sequence`, the relay `position`.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_event")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub event_type: String,
        pub aggregate: String,
        pub sequence: i64,
        pub payload: Json,
        pub trace_context: Option<String>,
        pub dispatched_at: Option<DateTimeUtc>,
        pub position: Option<i64>,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `outbox_sequence`.
pub mod outbox_sequence {
    use sea_orm::entity::prelude::*;

    /// Row of the last sequence number of an aggregate. Written by the trigger of `outbox_event`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_sequence")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub aggregate: String,
        pub last_sequence: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `outbox_position`.
pub mod outbox_position {
    use sea_orm::entity::prelude::*;

    /// The one row of the positions of events.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_position")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub last_position: i64,
        pub deleted_position: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `event_subscription`.
pub mod event_subscription {
    use sea_orm::entity::prelude::*;

    /// Row of an event type that a consumer handles.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "event_subscription")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_type: String,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `job`.
pub mod job {
    use sea_orm::entity::prelude::*;

    /// Row of a job, or of the delivery of an event to a consumer.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "job")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub queue: String,
        pub kind: String,
        pub event_id: Option<i64>,
        pub payload: Option<Json>,
        pub trace_context: Option<String>,
        pub dedup_key: Option<String>,
        pub ordering_key: Option<String>,
        pub status: super::JobStatus,
        pub run_at: Option<DateTimeUtc>,
        pub attempts: i32,
        pub locked_by: Option<String>,
        pub last_error: Option<String>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// Relations within the infrastructure.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        /// The event that the job delivers.
        #[sea_orm(
            belongs_to = "super::outbox_event::Entity",
            from = "Column::EventId",
            to = "super::outbox_event::Column::Id"
        )]
        OutboxEvent,
    }

    impl Related<super::outbox_event::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::OutboxEvent.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `schedule`.
pub mod schedule {
    use sea_orm::entity::prelude::*;

    /// Row of a schedule.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "schedule")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub cron: String,
        pub next_run_at: DateTimeUtc,
        pub last_run_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
