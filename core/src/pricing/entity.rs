//! Entities of tax rates and shipping methods.

/// `tax_rate`
pub mod tax_rate {
    use sea_orm::entity::prelude::*;

    /// A tax rate of a country, or of a category and its descendants within a country.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tax_rate")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub country_code: String,
        pub category_id: Option<i64>,
        pub name: String,
        pub rate_bps: i32,
        pub included_in_price: bool,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations: the rows are few and loaded together.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `shipping_method`
pub mod shipping_method {
    use sea_orm::entity::prelude::*;

    /// A shipping method.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shipping_method")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub description: Option<String>,
        pub countries: String,
        pub kind: ShippingKind,
        pub price: i64,
        pub price_per_kg: Option<i64>,
        pub min_weight_grams: Option<i64>,
        pub max_weight_grams: Option<i64>,
        pub free_shipping_threshold: Option<i64>,
        pub taxable: bool,
        pub position: i32,
        pub active: bool,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub deleted_at: Option<DateTimeUtc>,
    }

    /// No relations: the rows are few and loaded together.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    /// The pricing model of a shipping method.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub enum ShippingKind {
        /// A flat price per shipment.
        #[default]
        #[sea_orm(string_value = "flat")]
        Flat,
        /// A base price plus a price per started kilogram.
        #[sea_orm(string_value = "weight")]
        Weight,
    }
}
