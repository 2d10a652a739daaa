//! Entity of notifications.

/// `notification`
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
        pub event_type: String,
        pub channel: String,
        pub recipient: Option<String>,
        pub account_id: Option<i64>,
        pub order_id: Option<i64>,
        pub language: Option<String>,
        pub template_data: Option<Json>,
        pub status: String,
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
