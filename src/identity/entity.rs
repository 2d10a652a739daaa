//! Entities of accounts, sessions and API keys.

/// Table `account`.
pub mod account {
    use sea_orm::entity::prelude::*;

    /// Row of a customer or staff account.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "account")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub email: Option<String>,
        pub email_normalized: Option<String>,
        pub email_verified_at: Option<DateTimeUtc>,
        pub password_hash: Option<String>,
        pub role: super::super::Role,
        pub first_name: String,
        pub last_name: String,
        pub name_normalized: String,
        pub last_name_normalized: String,
        pub phone: Option<String>,
        pub language: Option<crate::base::LanguageCode>,
        pub version: i32,
        pub disabled_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub deleted_at: Option<DateTimeUtc>,
    }

    /// No relations: related rows are batch-loaded in one statement.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `session`.
pub mod session {
    use sea_orm::entity::prelude::*;

    /// Row of a login session that lasts until it expires or is revoked.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "session")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub account_id: i64,
        pub auth_method: String,
        pub user_agent: String,
        pub ip_address: String,
        pub token_family: Option<String>,
        pub expires_at: DateTimeUtc,
        pub last_used_at: DateTimeUtc,
        pub revoked_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations, as above.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `api_key`.
pub mod api_key {
    use sea_orm::entity::prelude::*;

    /// Row of an API key.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_key")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub last_four: String,
        pub key_hash: String,
        pub permissions: String,
        pub created_by: Option<i64>,
        pub expires_at: Option<DateTimeUtc>,
        pub last_used_at: Option<DateTimeUtc>,
        pub revoked_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations, as above.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
