//! Entities of analytics.

/// Table `counted_sale`.
pub mod counted_sale {
    use sea_orm::entity::prelude::*;

    /// A row of `counted_sale`: the units of an order line that count as sold. Triggers maintain their sum in `product`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "counted_sale")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_line_id: i64,
        pub product_id: i64,
        pub units: i64,
        pub sold_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
