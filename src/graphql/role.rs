//! Roles and permissions, as the schema names them.

use async_graphql::Enum;

/// What an account may do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Role")]
pub enum Role {
    /// Everything.
    Admin,
    /// Runs the catalog, stock and orders, and sees customers.
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
    /// Count, move and correct stock, and see its movements.
    StockWrite,
    /// See orders, carts and payments.
    OrderRead,
    /// Change, fulfil, cancel and refund orders.
    OrderWrite,
    /// See messages to customers, and send them again.
    MessageWrite,
    /// Set ways of shipping and taxes.
    ShopWrite,
    /// See work that runs behind the requests, and try it again.
    JobWrite,
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
