//! Entities of what staff decide about searches, and of the counts of searches.

/// Table `search_rules_version`.
pub mod search_rules_version {
    use sea_orm::entity::prelude::*;

    /// The row of `search_rules_version`, which every change of synonyms and pinned products increments.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_rules_version")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub version: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `search_index_version`.
pub mod search_index_version {
    use sea_orm::entity::prelude::*;

    /// The row of `search_index_version`: the version of the words of products.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_index_version")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub version: i32,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `search_synonym_group`.
pub mod search_synonym_group {
    use sea_orm::entity::prelude::*;

    /// A group of synonyms.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_synonym_group")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub term: Option<String>,
        pub term_normalized: Option<String>,
        pub synonyms: Json,
        pub language: Option<crate::base::LanguageCode>,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `search_pin`.
pub mod search_pin {
    use sea_orm::entity::prelude::*;

    /// The pinned products of a search text.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_pin")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub query: String,
        pub query_normalized: String,
        pub product_ids: Json,
        pub version: i32,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Attribute of products that are boosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum BoostedAttribute {
    /// Featured products.
    #[sea_orm(string_value = "featured")]
    Featured,
    /// Products of a vendor.
    #[sea_orm(string_value = "vendor")]
    Vendor,
    /// Products with a tag.
    #[sea_orm(string_value = "tag")]
    Tag,
}

/// Table `search_ranking`.
pub mod search_ranking {
    use sea_orm::entity::prelude::*;

    /// The row of `search_ranking`: what is preferred among equally good matches.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_ranking")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub sold_out_last: bool,
        pub version: i32,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `search_boost`.
pub mod search_boost {
    use sea_orm::entity::prelude::*;

    /// A boost of the products with an attribute.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "search_boost")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub attribute: super::BoostedAttribute,
        pub value: Option<String>,
        pub value_normalized: Option<String>,
        pub days: i32,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `daily_search_count`.
pub mod daily_search_count {
    use sea_orm::entity::prelude::*;

    /// How often a text was searched for on a day.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "daily_search_count")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: Date,
        #[sea_orm(primary_key, auto_increment = false)]
        pub query: String,
        pub search_count: i64,
        pub empty_count: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl search_synonym_group::Model {
    /// Returns the synonyms as staff wrote them.
    #[must_use]
    pub fn synonym_texts(&self) -> Vec<String> {
        let texts = self.synonyms.as_array().into_iter().flatten();
        texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }
}

impl search_pin::Model {
    /// Returns the ids of the products, the first one on top.
    #[must_use]
    pub fn pinned_ids(&self) -> Vec<i64> {
        self.product_ids.as_array().into_iter().flatten().filter_map(sea_orm::JsonValue::as_i64).collect()
    }
}
