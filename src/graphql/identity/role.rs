//! Roles and permissions of the schema.

use async_graphql::Enum;

/// Role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Role", name = "Role")]
pub enum AccountRole {
    /// Administrator with all permissions.
    Admin,
    /// Manages the catalog, stock and orders, and can read customers and analytics.
    Staff,
    /// Customer without staff permissions.
    Customer,
}

/// Permission of a staff account or API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Permission", name = "Permission")]
pub enum AccountPermission {
    /// Read unpublished products; write products, variants, options and categories.
    CatalogWrite,
    /// Read and adjust stock, and read its movements.
    StockWrite,
    /// Read orders, carts and payments.
    OrderRead,
    /// Update, fulfill, cancel and refund orders.
    OrderWrite,
    /// Read and resend notifications.
    NotificationWrite,
    /// Manage shipping methods and tax rates.
    ShopWrite,
    /// Read, retry and discard background jobs.
    JobWrite,
    /// Read customers.
    CustomerRead,
    /// Update and erase customers.
    CustomerWrite,
    /// Manage staff accounts and roles.
    StaffWrite,
    /// Manage API keys.
    ApiKeyWrite,
    /// Read the audit log.
    AuditRead,
    /// Publish, read and retire the operations of apps.
    OperationWrite,
    /// Manage webhook endpoints, read their deliveries and send them again.
    WebhookWrite,
    /// Read the figures of analytics.
    AnalyticsRead,
}
