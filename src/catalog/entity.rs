//! Entities of the catalog's tables. Relations are not declared: `loader` loads related rows in bulk, one statement
//! each.

/// Publication status of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum PublicationStatus {
    /// In preparation; visible to staff only.
    #[default]
    #[sea_orm(string_value = "draft")]
    Draft,
    /// On sale and visible to everyone.
    #[sea_orm(string_value = "active")]
    Active,
    /// Withdrawn; kept for the orders that refer to it.
    #[sea_orm(string_value = "archived")]
    Archived,
}

/// Table `category`.
pub mod category {
    use sea_orm::entity::prelude::*;

    /// A row of `category`.
    #[derive(Debug, Clone, Default, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "category")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub parent_id: Option<i64>,
        pub name: String,
        pub name_normalized: String,
        pub slug: String,
        pub description: Option<String>,
        pub position: i32,
        pub path: String,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub deleted_at: Option<DateTimeUtc>,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `product`.
pub mod product {
    use sea_orm::entity::prelude::*;

    /// A row of `product`: what a listing shows. Descriptions have a separate table, so that listings do not read them.
    #[derive(Debug, Clone, Default, PartialEq, Eq, DeriveEntityModel, macros::ReadColumn)]
    #[sea_orm(table_name = "product")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub slug: String,
        pub name: String,
        pub name_normalized: String,
        pub vendor: Option<String>,
        pub vendor_normalized: Option<String>,
        pub category_id: i64,
        pub status: super::PublicationStatus,
        pub featured: bool,
        pub image: Option<String>,
        pub sku: String,
        pub price: i64,
        pub sale_price: Option<i64>,
        pub current_price: i64,
        pub max_current_price: i64,
        pub in_stock: bool,
        pub next_price_change_at: Option<DateTimeUtc>,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub deleted_at: Option<DateTimeUtc>,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `variant`.
pub mod variant {
    use sea_orm::entity::prelude::*;

    /// A row of `variant`.
    #[derive(Debug, Clone, Default, PartialEq, Eq, DeriveEntityModel, macros::ReadColumn)]
    #[sea_orm(table_name = "variant")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub product_id: i64,
        pub sku: String,
        pub name: String,
        pub options_normalized: String,
        pub price: i64,
        pub sale_price: Option<i64>,
        pub sale_starts_at: Option<DateTimeUtc>,
        pub sale_ends_at: Option<DateTimeUtc>,
        pub weight_grams: Option<i64>,
        pub image: Option<String>,
        pub barcode: Option<String>,
        pub track_stock: bool,
        pub position: i32,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub deleted_at: Option<DateTimeUtc>,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
