//! Roles and permissions, as the schema names them.

use async_graphql::Enum;

/// What an account may do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Role")]
pub enum Role {
    /// Everything.
    Admin,
    /// Runs the catalog and sees customers.
    Staff,
    /// Shops.
    Customer,
}

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Permission")]
pub enum Permission {
    /// See products that are not on sale, and change products, variants, options and categories.
    CatalogWrite,
    /// See customers.
    CustomerRead,
    /// Change and remove customers.
    CustomerWrite,
    /// Make and change accounts of staff, and give roles.
    StaffWrite,
    /// Make and revoke API keys.
    ApiKeyWrite,
    /// Read the audit log.
    AuditRead,
}
