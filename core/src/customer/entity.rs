//! Entity of saved addresses.

/// Table `address`.
pub mod address {
    use sea_orm::entity::prelude::*;

    /// Row of a saved address.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "address")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub account_id: i64,
        pub first_name: String,
        pub last_name: String,
        pub company: Option<String>,
        pub line1: String,
        pub line2: Option<String>,
        pub city: String,
        pub region: Option<String>,
        pub postal_code: Option<String>,
        pub country_code: String,
        pub phone: Option<String>,
        pub is_default_shipping: bool,
        pub is_default_billing: bool,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations: related rows are batch-loaded in one statement.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
