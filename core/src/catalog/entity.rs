//! Entities of the catalog's tables. Relations are not declared: `loader` loads related rows in bulk, one statement
//! each. The search index has no entity: its columns have types of each database.

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
        pub description_html: Option<String>,
        pub seo_title: Option<String>,
        pub seo_description: Option<String>,
        pub image: Option<String>,
        pub image_alt: Option<String>,
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
        pub discount_percent: i64,
        pub in_stock: bool,
        pub units_sold: i64,
        pub next_price_change_at: Option<DateTimeUtc>,
        pub sale_ends_at: Option<DateTimeUtc>,
        pub ranked_at: DateTimeUtc,
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
        pub content_quantity: Option<i64>,
        pub content_unit: Option<crate::catalog::measure::MeasureUnit>,
        pub image: Option<String>,
        pub barcode: Option<String>,
        pub track_stock: bool,
        pub allow_backorder: bool,
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

/// Table `product_description`.
pub mod product_description {
    use sea_orm::entity::prelude::*;

    /// A row of `product_description`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "product_description")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        pub html: String,
        pub text: String,
        pub seo_title: Option<String>,
        pub seo_description: Option<String>,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `product_option`.
pub mod product_option {
    use sea_orm::entity::prelude::*;

    /// A row of `product_option`: an option of a product, by position.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "product_option")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub name: String,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `product_tag`.
pub mod product_tag {
    use sea_orm::entity::prelude::*;

    /// A row of `product_tag`.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "product_tag")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tag_normalized: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        pub tag: String,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `product_image`.
pub mod product_image {
    use sea_orm::entity::prelude::*;

    /// A row of `product_image`: an image of a product, by position.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "product_image")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub product_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub url: String,
        pub alt: Option<String>,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `variant_option`.
pub mod variant_option {
    use sea_orm::entity::prelude::*;

    /// A row of `variant_option`: the value of a variant for an option, by position.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "variant_option")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub variant_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub product_id: i64,
        pub name: String,
        pub name_normalized: String,
        pub value: String,
        pub value_normalized: String,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `category_product_count`.
pub mod category_product_count {
    use sea_orm::entity::prelude::*;

    /// A row of `category_product_count`: the number of published products directly in a category. Triggers maintain it.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "category_product_count")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub category_id: i64,
        pub product_count: i64,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `category_tree_version`.
pub mod category_tree_version {
    use sea_orm::entity::prelude::*;

    /// The row of `category_tree_version`, which every change of a category increments.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "category_tree_version")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub version: i64,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `search_term`.
pub mod search_term {
    use sea_orm::entity::prelude::*;

    /// A row of `search_term`: a word of the vocabulary for typo correction.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_term")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub term: String,
        pub reversed: String,
        pub end_letters: String,
    }

    /// No relations; see the module documentation.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
