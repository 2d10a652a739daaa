//! Entities of published versions and their documents.

/// Format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ManifestFormat {
    /// Manifest of Apollo's tools: a list of operations with id, name, type and body.
    Apollo,
    /// Map of ids to texts, as Relay's compiler and GraphQL Code Generator write it.
    Map,
    /// Folder of `.graphql` files; ids are the SHA-256 digests of the texts.
    Folder,
}

/// Type of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum OperationKind {
    /// Read.
    Query,
    /// Write.
    Mutation,
    /// Stream of events.
    Subscription,
}

/// Meaning of a number of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum StatementFigure {
    /// Number of statements of an execution that reached every selected object.
    Measured,
    /// Number of statements of an execution that did not reach some selected objects, which did not exist.
    AtLeast,
    /// The limit of every operation of a caller without a permission; the operation was not executed.
    Limit,
}

/// Table `operation_revision`.
pub mod operation_revision {
    use sea_orm::entity::prelude::*;

    /// The row of `operation_revision`, which every publication and retirement increments.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operation_revision")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        pub revision: i64,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `operation_version`.
pub mod operation_version {
    use sea_orm::entity::prelude::*;

    /// A published version of an app.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operation_version")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub app: String,
        pub version: String,
        pub format: super::ManifestFormat,
        pub content_hash: String,
        pub operation_count: i32,
        pub retired_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `trusted_document`.
pub mod trusted_document {
    use sea_orm::entity::prelude::*;

    /// A document by the id that apps send.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trusted_document")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub document_id: String,
        pub text: String,
        pub operation_name: Option<String>,
        pub operation_type: super::OperationKind,
        pub complexity: i64,
        pub depth: i32,
        pub statements: i32,
        pub statement_figure: super::StatementFigure,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `published_operation`.
pub mod published_operation {
    use sea_orm::entity::prelude::*;

    /// A document of a version.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "published_operation")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub version_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub trusted_document_id: i64,
        pub created_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Table `trusted_document_use`.
pub mod trusted_document_use {
    use sea_orm::entity::prelude::*;

    /// How often a document was requested.
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trusted_document_use")]
    #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub trusted_document_id: i64,
        pub use_count: i64,
        pub last_used_at: DateTimeUtc,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    /// No relations.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
