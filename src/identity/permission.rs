//! Who may do what: permissions, and the roles that are sets of them.

use std::fmt;

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl Permission {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::CatalogWrite,
        Self::StockWrite,
        Self::OrderRead,
        Self::OrderWrite,
        Self::MessageWrite,
        Self::ShopWrite,
        Self::JobWrite,
        Self::CustomerRead,
        Self::CustomerWrite,
        Self::StaffWrite,
        Self::ApiKeyWrite,
        Self::AuditRead,
    ];

    /// As it is stored and shown: `catalog:write`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CatalogWrite => "catalog:write",
            Self::StockWrite => "stock:write",
            Self::OrderRead => "order:read",
            Self::OrderWrite => "order:write",
            Self::MessageWrite => "message:write",
            Self::ShopWrite => "shop:write",
            Self::JobWrite => "job:write",
            Self::CustomerRead => "customer:read",
            Self::CustomerWrite => "customer:write",
            Self::StaffWrite => "staff:write",
            Self::ApiKeyWrite => "api_key:write",
            Self::AuditRead => "audit:read",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// Those of a list.
    #[must_use]
    pub fn of(list: &[Permission]) -> Self {
        Self(list.iter().fold(0, |bits, one| bits | one.bit()))
    }

    /// Reads a list of names with spaces between; names that are not known (any more) give nothing.
    #[must_use]
    pub fn read(names: &str) -> Self {
        let known = |name: &str| Permission::ALL.into_iter().find(|one| one.name() == name);
        Self(names.split(' ').filter_map(known).fold(0, |bits, one| bits | one.bit()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, one: Permission) -> bool {
        self.0 & one.bit() != 0
    }

    /// Whether all of another set are among them.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that are also among another set.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |one| self.has(*one))
    }
}

/// The names, with spaces between: what [`Permissions::read`] reads.
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

/// What an account may do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Role {
    /// Everything.
    #[sea_orm(string_value = "admin")]
    Admin,
    /// Runs the catalog, stock and orders, and sees customers.
    #[sea_orm(string_value = "staff")]
    Staff,
    /// Shops.
    #[default]
    #[sea_orm(string_value = "customer")]
    Customer,
}

impl Role {
    /// What it may do.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Admin => Permissions::of(&Permission::ALL),
            Self::Staff => Permissions::of(&[
                Permission::CatalogWrite,
                Permission::StockWrite,
                Permission::OrderRead,
                Permission::OrderWrite,
                Permission::MessageWrite,
                Permission::CustomerRead,
            ]),
            Self::Customer => Permissions::default(),
        }
    }

    /// As it is stored, typed and named in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Staff => "staff",
            Self::Customer => "customer",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Admin, Self::Staff, Self::Customer].into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_names_are_unique_and_stable() {
        let names: Vec<_> = Permission::ALL.iter().map(|one| one.name()).collect();
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
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn set_has_exactly_its_own_permissions() {
        for one in Permission::ALL {
            let set = Permissions::of(&[one]);
            for other in Permission::ALL {
                assert_eq!(set.has(other), one == other, "{one:?} {other:?}");
            }
            assert!(!Permissions::default().has(one));
        }
    }

    #[test]
    fn set_covers_itself_and_its_subsets_only() {
        let both = Permissions::of(&[Permission::OrderRead, Permission::OrderWrite]);
        let read = Permissions::of(&[Permission::OrderRead]);
        let stock = Permissions::of(&[Permission::StockWrite, Permission::OrderRead]);
        assert!(both.covers(both) && both.covers(read) && read.covers(Permissions::default()));
        assert!(!read.covers(both) && !both.covers(stock) && !Permissions::default().covers(read));
    }

    #[test]
    fn names_of_a_set_read_back_to_the_set() {
        let set = Permissions::of(&[Permission::AuditRead, Permission::CatalogWrite]);
        assert_eq!(set.to_string(), "catalog:write audit:read");
        assert_eq!(Permissions::read(&set.to_string()), set);
        // A repeated name is one permission, an unknown name is none.
        assert_eq!(Permissions::read("audit:read audit:read no:such"), Permissions::of(&[Permission::AuditRead]));
        assert_eq!(Permissions::read(""), Permissions::default());
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
        ];
        for one in Permission::ALL {
            assert!(Role::Admin.permissions().has(one));
            assert_eq!(Role::Staff.permissions().has(one), !admin_only.contains(&one), "{one:?}");
            assert!(!Role::Customer.permissions().has(one));
        }
    }

    #[test]
    fn roles_are_known_by_their_names() {
        let names = [(Role::Admin, "admin"), (Role::Staff, "staff"), (Role::Customer, "customer")];
        for (role, name) in names {
            assert_eq!((role.name(), Role::named(name)), (name, Some(role)));
        }
        assert_eq!(Role::named("root"), None);
    }
}
