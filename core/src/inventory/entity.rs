//! Entities of stock locations, stock levels, stock movements and reservations.

/// The reason of a stock movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum StockMovementReason {
    /// Opening balance.
    Opening,
    /// Stock count.
    Count,
    /// Receipt from a supplier.
    Received,
    /// Damage.
    Damaged,
    /// Loss.
    Lost,
    /// Correction of an earlier movement.
    Correction,
    /// Shipment of an order.
    Sold,
    /// Customer return.
    Returned,
    /// Transfer from or to another location.
    Transfer,
}

/// Table `location`.
pub mod location {
    use sea_orm::entity::prelude::*;

    /// A stock location.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "location")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub is_default: bool,
        pub active: bool,
        pub address: Option<Json>,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `inventory_level`.
pub mod inventory_level {
    use sea_orm::entity::prelude::*;

    /// The stock of a variant at a location. Triggers maintain `reserved`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory_level")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub variant_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub location_id: i64,
        pub on_hand: i64,
        pub reserved: i64,
        pub low_stock_threshold: Option<i64>,
        pub last_reason: super::StockMovementReason,
        pub last_reference: Option<String>,
        pub last_actor: String,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `stock_movement`.
pub mod stock_movement {
    use sea_orm::entity::prelude::*;

    /// A change of on-hand stock. Written by triggers only.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_movement")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub variant_id: i64,
        pub location_id: i64,
        pub delta: i64,
        pub on_hand: i64,
        pub reason: super::StockMovementReason,
        pub reference: Option<String>,
        pub actor: String,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `stock_reservation`.
pub mod stock_reservation {
    use sea_orm::entity::prelude::*;

    /// The units of an order line that are reserved at a location.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_reservation")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_line_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub location_id: i64,
        pub variant_id: i64,
        pub quantity: i64,
        pub expires_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
