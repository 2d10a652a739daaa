//! Carts and their lines, as rows.

/// `cart`
pub mod cart {
    use sea_orm::entity::prelude::*;

    /// One row: what somebody is about to buy, without its lines.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub word: String,
        pub account_id: Option<i64>,
        pub state: State,
        pub order_id: Option<i64>,
        pub email: Option<String>,
        pub phone: Option<String>,
        pub shipping_address: Option<Json>,
        pub billing_address: Option<Json>,
        pub shipping_method_id: Option<i64>,
        pub note: Option<String>,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// None: lines are read together with what the shop offers.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    /// Where a cart stands in its life.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub enum State {
        /// It can be changed.
        #[sea_orm(string_value = "open")]
        Open,
        /// An order was made of it.
        #[sea_orm(string_value = "ordered")]
        Ordered,
        /// What was in it is in its owner's other cart.
        #[sea_orm(string_value = "merged")]
        Merged,
    }
}

/// So many of one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::FromQueryResult)]
pub struct Line {
    /// The variant.
    pub variant_id: i64,
    /// Its place in the cart: lines stay where they were put.
    pub position: i32,
    /// How many.
    pub quantity: i64,
    /// What one cost when it was put there.
    pub unit_price: i64,
}
