//! Entities of the daily figures.

/// Table `order_figure`.
pub mod order_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `order_figure`: the figures of an order on one day: that of its placement, or one on which a part was refunded.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: Date,
        pub channel: String,
        pub country: String,
        pub orders: i64,
        pub canceled_orders: i64,
        pub units: i64,
        pub new_customers: i64,
        pub returning_orders: i64,
        pub gross_sales: i64,
        pub discounts: i64,
        pub shipping: i64,
        pub tax: i64,
        pub canceled_sales: i64,
        pub total_sales: i64,
        pub refunds: i64,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `daily_figure`.
pub mod daily_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `daily_figure`: the sums of `order_figure` by day, channel and country. Triggers maintain it.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "daily_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: Date,
        #[sea_orm(primary_key, auto_increment = false)]
        pub channel: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub country: String,
        pub orders: i64,
        pub canceled_orders: i64,
        pub units: i64,
        pub new_customers: i64,
        pub returning_orders: i64,
        pub gross_sales: i64,
        pub discounts: i64,
        pub shipping: i64,
        pub tax: i64,
        pub canceled_sales: i64,
        pub total_sales: i64,
        pub refunds: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `order_line_figure`.
pub mod order_line_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `order_line_figure`: the sold units of an order line and their value, on the day of the order.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_line_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_line_id: i64,
        pub order_id: i64,
        pub product_id: i64,
        pub day: Date,
        pub units: i64,
        pub sales: i64,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `daily_product_figure`.
pub mod daily_product_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `daily_product_figure`: the sums of `order_line_figure` by day and product. Triggers maintain it.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "daily_product_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: Date,
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        pub units: i64,
        pub sales: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `cart_figure`.
pub mod cart_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `cart_figure`: whether a filled cart counts, and was ordered, on the day on which it was created.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub cart_id: i64,
        pub day: Date,
        pub carts: i64,
        pub ordered_carts: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `daily_cart_figure`.
pub mod daily_cart_figure {
    use sea_orm::entity::prelude::*;

    /// A row of `daily_cart_figure`: the sums of `cart_figure` by day. Triggers maintain it.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "daily_cart_figure")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: Date,
        pub carts: i64,
        pub ordered_carts: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `analytics_state`.
pub mod analytics_state {
    use sea_orm::entity::prelude::*;

    /// A row of `analytics_state`: what the figures depend on. One row, which everything that changes figures locks.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "analytics_state")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub time_zone: Option<String>,
        pub cart_position: i64,
        pub rebuild_started_at: Option<DateTimeUtc>,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
