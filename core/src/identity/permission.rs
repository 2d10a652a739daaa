//! Permissions, and roles as sets of permissions.

use std::fmt;

/// Permission for a group of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Read unpublished products; change products, variants, options and categories.
    CatalogWrite,
    /// Count, transfer and adjust stock; read stock movements.
    StockWrite,
    /// Read orders, carts and payments.
    OrderRead,
    /// Change, fulfill, cancel and refund orders.
    OrderWrite,
    /// Read and resend notifications to customers.
    NotificationWrite,
    /// Change shipping methods and tax rates.
    ShopWrite,
    /// Read, retry and discard background jobs.
    JobWrite,
    /// Read customers.
    CustomerRead,
    /// Change and delete customers.
    CustomerWrite,
    /// Create and change staff accounts; assign roles.
    StaffWrite,
    /// Create and revoke API keys.
    ApiKeyWrite,
    /// Read the audit log.
    AuditRead,
    /// Publish, read and retire the operations of apps.
    OperationWrite,
    /// Register, change and test webhook endpoints; read their deliveries and send them again.
    WebhookWrite,
    /// Read the figures of analytics.
    AnalyticsRead,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 15] = [
        Self::CatalogWrite,
        Self::StockWrite,
        Self::OrderRead,
        Self::OrderWrite,
        Self::NotificationWrite,
        Self::ShopWrite,
        Self::JobWrite,
        Self::CustomerRead,
        Self::CustomerWrite,
        Self::StaffWrite,
        Self::ApiKeyWrite,
        Self::AuditRead,
        Self::OperationWrite,
        Self::WebhookWrite,
        Self::AnalyticsRead,
    ];

    /// Returns the name as stored and shown, for example `catalog:write`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CatalogWrite => "catalog:write",
            Self::StockWrite => "stock:write",
            Self::OrderRead => "order:read",
            Self::OrderWrite => "order:write",
            Self::NotificationWrite => "message:write",
            Self::ShopWrite => "shop:write",
            Self::JobWrite => "job:write",
            Self::CustomerRead => "customer:read",
            Self::CustomerWrite => "customer:write",
            Self::StaffWrite => "staff:write",
            Self::ApiKeyWrite => "api_key:write",
            Self::AuditRead => "audit:read",
            Self::OperationWrite => "operation:write",
            Self::WebhookWrite => "webhook:write",
            Self::AnalyticsRead => "analytics:read",
        }
    }

    /// Returns the permission with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// Creates a set from a list.
    #[must_use]
    pub fn from_list(list: &[Permission]) -> Self {
        Self(list.iter().fold(0, |bits, permission| bits | permission.bit()))
    }

    /// Parses space-separated names; unknown names are ignored.
    #[must_use]
    pub fn parse(names: &str) -> Self {
        Self(names.split(' ').filter_map(Permission::from_name).fold(0, |bits, permission| bits | permission.bit()))
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set contains a permission.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Returns whether the set contains all permissions of another set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the permissions that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Iterates over the permissions in the set.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }
}

/// Formats the names separated by spaces, as [`Permissions::parse`] reads them.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Permission::name).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

/// Role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Role {
    /// All permissions.
    #[sea_orm(string_value = "admin")]
    Admin,
    /// Manages catalog, stock and orders; reads customers and analytics.
    #[sea_orm(string_value = "staff")]
    Staff,
    /// Customer without permissions.
    #[default]
    #[sea_orm(string_value = "customer")]
    Customer,
}

impl Role {
    /// Returns the permissions of the role.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Admin => Permissions::from_list(&Permission::ALL),
            Self::Staff => Permissions::from_list(&[
                Permission::CatalogWrite,
                Permission::StockWrite,
                Permission::OrderRead,
                Permission::OrderWrite,
                Permission::NotificationWrite,
                Permission::CustomerRead,
                Permission::AnalyticsRead,
            ]),
            Self::Customer => Permissions::default(),
        }
    }

    /// Returns the name as stored, as CLI argument and in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Staff => "staff",
            Self::Customer => "customer",
        }
    }

    /// Returns the role with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Admin, Self::Staff, Self::Customer].into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_names_are_unique_and_stable() {
        let names: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
        let expected = [
            "catalog:write",
            "stock:write",
            "order:read",
            "order:write",
            "message:write",
            "shop:write",
            "job:write",
            "customer:read",
            "customer:write",
            "staff:write",
            "api_key:write",
            "audit:read",
            "operation:write",
            "webhook:write",
            "analytics:read",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn set_has_exactly_its_own_permissions() {
        for permission in Permission::ALL {
            let set = Permissions::from_list(&[permission]);
            for other in Permission::ALL {
                assert_eq!(set.has(other), permission == other, "{permission:?} {other:?}");
            }
            assert!(!Permissions::default().has(permission));
        }
    }

    #[test]
    fn set_covers_itself_and_its_subsets_only() {
        let both = Permissions::from_list(&[Permission::OrderRead, Permission::OrderWrite]);
        let read = Permissions::from_list(&[Permission::OrderRead]);
        let stock = Permissions::from_list(&[Permission::StockWrite, Permission::OrderRead]);
        assert!(both.covers(both) && both.covers(read) && read.covers(Permissions::default()));
        assert!(!read.covers(both) && !both.covers(stock) && !Permissions::default().covers(read));
    }

    #[test]
    fn permission_names_round_trip() {
        let set = Permissions::from_list(&[Permission::AuditRead, Permission::CatalogWrite]);
        assert_eq!(set.to_string(), "catalog:write audit:read");
        assert_eq!(Permissions::parse(&set.to_string()), set);
        // Repeated names count once; unknown names are ignored.
        assert_eq!(
            Permissions::parse("audit:read audit:read no:such"),
            Permissions::from_list(&[Permission::AuditRead])
        );
        assert_eq!(Permissions::parse(""), Permissions::default());
        assert_eq!(set.iter().collect::<Vec<_>>(), [Permission::CatalogWrite, Permission::AuditRead]);
    }

    #[test]
    fn only_admins_manage_staff_and_keys() {
        let admin_only = [
            Permission::ShopWrite,
            Permission::JobWrite,
            Permission::CustomerWrite,
            Permission::StaffWrite,
            Permission::ApiKeyWrite,
            Permission::AuditRead,
            Permission::OperationWrite,
            Permission::WebhookWrite,
        ];
        for permission in Permission::ALL {
            assert!(Role::Admin.permissions().has(permission));
            assert_eq!(Role::Staff.permissions().has(permission), !admin_only.contains(&permission), "{permission:?}");
            assert!(!Role::Customer.permissions().has(permission));
        }
    }

    #[test]
    fn roles_are_parsed_from_their_names() {
        let names = [(Role::Admin, "admin"), (Role::Staff, "staff"), (Role::Customer, "customer")];
        for (role, name) in names {
            assert_eq!((role.name(), Role::from_name(name)), (name, Some(role)));
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
