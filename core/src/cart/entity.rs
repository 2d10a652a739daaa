//! Entities of carts and cart lines.

pub use cart_line::Model as CartLineRow;

/// `cart`
pub mod cart {
    use sea_orm::entity::prelude::*;

    /// A cart, without its lines.
    #[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub token: String,
        pub account_id: Option<i64>,
        pub status: CartStatus,
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

    /// No relations: lines are loaded together with their sellable variants.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    /// The status of a cart.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub enum CartStatus {
        /// The cart can be changed.
        #[sea_orm(string_value = "open")]
        Open,
        /// The cart was converted to an order.
        #[sea_orm(string_value = "ordered")]
        Ordered,
        /// The cart was merged into another cart of its customer.
        #[sea_orm(string_value = "merged")]
        Merged,
    }
}

/// Table `cart_line`.
pub mod cart_line {
    use sea_orm::entity::prelude::*;

    /// A line of a cart.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart_line")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub cart_id: i64,
        pub variant_id: i64,
        pub position: i32,
        pub quantity: i64,
        pub unit_price: i64,
        pub attributes: Json,
        pub attribute_digest: String,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Model {
        /// Returns whether two lines have the same variant and attributes, and so are one line.
        #[must_use]
        pub fn is_equal(&self, other: &Self) -> bool {
            self.variant_id == other.variant_id && self.attribute_digest == other.attribute_digest
        }
    }
}
