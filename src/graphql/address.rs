//! Addresses of customers.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};

use super::{
    context::{Scope, scope},
    customer::whose,
    guard::{Can, SignedIn},
    loader::AddressKey,
    payload::payload,
    profile::{patch, wish},
};
use crate::{
    base::{Country, Error, GlobalId, Patch, Result, id::Kind},
    customer::{
        Reach,
        address::{self, AddressChange, Purposes, Target},
        address_row,
    },
    identity::Permission,
};

/// Where somebody can be reached. Seen by its owner and by staff.
#[derive(Debug, Clone)]
pub struct Address(address_row::Model);

impl From<address_row::Model> for Address {
    fn from(row: address_row::Model) -> Self {
        Self(row)
    }
}

impl Address {
    /// An address that the caller may see.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn find(scope: &Scope, key: i64) -> Result<Option<Self>> {
        let Some(reach) = Reach::of(scope.caller, Permission::CustomerRead) else { return Ok(None) };
        Ok(scope.load(AddressKey { key, reach }).await?.map(Self))
    }
}

/// Where somebody can be reached. Seen by its owner and by staff.
#[Object]
impl Address {
    /// The lasting id.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Address, self.0.id).encode().into()
    }

    /// The first name of whoever lives there; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Their last name; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// The company; null for a private address.
    async fn company(&self) -> Option<&str> {
        self.0.company.as_deref()
    }

    /// Street and number, or a post box.
    async fn line1(&self) -> &str {
        &self.0.line1
    }

    /// Building, floor, or what else helps to find it.
    async fn line2(&self) -> Option<&str> {
        self.0.line2.as_deref()
    }

    /// The town.
    async fn city(&self) -> &str {
        &self.0.city
    }

    /// The county, state or province, where it belongs in an address.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The postal code, where there are any.
    async fn postal_code(&self) -> Option<&str> {
        self.0.postal_code.as_deref()
    }

    /// The country by ISO 3166-1: `KE`.
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// The country's name in English.
    async fn country(&self) -> &'static str {
        Country::named(&self.0.country_code).map_or("", Country::name)
    }

    /// A telephone number in E.164 for whoever delivers there.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// Whether parcels go there when nothing else is said.
    async fn is_default_shipping(&self) -> bool {
        self.0.is_default_shipping
    }

    /// Whether bills go there when nothing else is said.
    async fn is_default_billing(&self) -> bool {
        self.0.is_default_billing
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// Counts changes: hand it to the next change as `expectedVersion` to be told when others were faster.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// What an address is taken for when nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AddressPurpose {
    /// Parcels.
    Shipping,
    /// Bills.
    Billing,
}

/// An address that is to be made. A first name, a last name or a company must be there.
#[derive(Debug, InputObject)]
pub struct AddressCreateInput {
    /// At most 100 characters.
    first_name: Option<String>,
    /// At most 100 characters.
    last_name: Option<String>,
    /// At most 100 characters.
    company: Option<String>,
    /// Street and number, or a post box. At most 200 characters.
    line1: String,
    /// Building, floor, or what else helps to find it. At most 200 characters.
    line2: Option<String>,
    /// The town. At most 100 characters.
    city: String,
    /// The county, state or province. At most 100 characters.
    region: Option<String>,
    /// At most 20 characters.
    postal_code: Option<String>,
    /// The two letters of ISO 3166-1: `KE`.
    country_code: String,
    /// A telephone number with its country's code, or as it is dialled in the address's country.
    phone: Option<String>,
    /// What it is taken for from now on; a customer's first address is taken for everything.
    #[graphql(default)]
    default_for: Vec<AddressPurpose>,
}

/// What is to be said of an address. What is left out stays as it is; null clears it.
#[derive(Debug, InputObject)]
pub struct AddressUpdateInput {
    /// At most 100 characters.
    first_name: MaybeUndefined<String>,
    /// At most 100 characters.
    last_name: MaybeUndefined<String>,
    /// At most 100 characters.
    company: MaybeUndefined<String>,
    /// Street and number, or a post box. At most 200 characters.
    line1: MaybeUndefined<String>,
    /// Building, floor, or what else helps to find it. At most 200 characters.
    line2: MaybeUndefined<String>,
    /// The town. At most 100 characters.
    city: MaybeUndefined<String>,
    /// The county, state or province. At most 100 characters.
    region: MaybeUndefined<String>,
    /// At most 20 characters.
    postal_code: MaybeUndefined<String>,
    /// The two letters of ISO 3166-1: `KE`.
    country_code: MaybeUndefined<String>,
    /// A telephone number with its country's code, or as it is dialled in the address's country.
    phone: MaybeUndefined<String>,
}

payload!(
    /// What came of a change of an address.
    AddressPayload {
        /// The address as it is now; null when nothing was changed.
        address: Address
    }
);

payload!(
    /// What came of removing an address.
    AddressDeletePayload {
        /// The id of the address that is gone; null when it is not.
        deleted_address_id: ID
    }
);

/// The addresses' part of the mutation root.
#[derive(Debug, Default)]
pub struct AddressMutation;

#[Object]
impl AddressMutation {
    /// Add an address of one's own; or, as staff, one of a customer. A customer has at most 100.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn address_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose; one's own when not said.")] customer_id: Option<ID>,
        #[graphql(desc = "The address.")] input: AddressCreateInput,
    ) -> Result<AddressPayload> {
        let scope = scope(ctx);
        let (purposes, change) = input.read();
        let made = async {
            let wish = wish(scope, whose(scope, customer_id.as_ref(), "customerId")?, None);
            scope.db.write(async |tx| address::create(tx, wish, change, purposes).await).await
        };
        AddressPayload::settle(made.await)
    }

    /// Change an address of one's own; or, as staff, one of a customer.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn address_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address's id.")] id: ID,
        #[graphql(desc = "What is to be said of it.")] input: AddressUpdateInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<AddressPayload> {
        let scope = scope(ctx);
        let changed = async {
            let target = target(scope, &id, expected_version)?;
            scope.db.write(async |tx| address::update(tx, target, input.into()).await).await
        };
        AddressPayload::settle(changed.await)
    }

    /// Remove an address for good. Orders keep the copies they were made with.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn address_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address's id.")] id: ID,
    ) -> Result<AddressDeletePayload> {
        let scope = scope(ctx);
        let gone = async {
            let target = target(scope, &id, None)?;
            scope.db.write(async |tx| address::delete(tx, target).await).await
        };
        AddressDeletePayload::settle(gone.await.map(|key| GlobalId::new(Kind::Address, key).encode()))
    }

    /// Take an address where none is named, in place of the one before.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn address_set_default(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address's id.")] id: ID,
        #[graphql(desc = "What for: at least one.")] purposes: Vec<AddressPurpose>,
    ) -> Result<AddressPayload> {
        let scope = scope(ctx);
        let changed = async {
            if purposes.is_empty() {
                return Err(Error::bad_input("purposes", "say what for: SHIPPING, BILLING or both"));
            }
            let target = target(scope, &id, None)?;
            let purposes = all(&purposes);
            scope.db.write(async |tx| address::set_default(tx, target, purposes).await).await
        };
        AddressPayload::settle(changed.await)
    }
}

/// Which address is meant, among those that the caller may change.
fn target(scope: &Scope, id: &ID, expected: Option<i32>) -> Result<Target> {
    let address = GlobalId::key(id, Kind::Address, "id")?;
    let reach = Reach::of(scope.caller, Permission::CustomerWrite);
    let reach = reach.ok_or_else(|| Error::not_found("id", "address"))?;
    let (caller, country) = (scope.caller, scope.shared.config.shop.country);
    Ok(Target { address, reach, caller, expected, country })
}

fn all(purposes: &[AddressPurpose]) -> Purposes {
    Purposes {
        shipping: purposes.contains(&AddressPurpose::Shipping),
        billing: purposes.contains(&AddressPurpose::Billing),
    }
}

impl AddressCreateInput {
    fn read(self) -> (Purposes, AddressChange) {
        let Self {
            first_name,
            last_name,
            company,
            line1,
            line2,
            city,
            region,
            postal_code,
            country_code,
            phone,
            default_for,
        } = self;
        let change = AddressChange {
            first_name: Patch::to(first_name),
            last_name: Patch::to(last_name),
            company: Patch::to(company),
            line1: Patch::Set(line1),
            line2: Patch::to(line2),
            city: Patch::Set(city),
            region: Patch::to(region),
            postal_code: Patch::to(postal_code),
            country_code: Patch::Set(country_code),
            phone: Patch::to(phone),
        };
        (all(&default_for), change)
    }
}

impl From<AddressUpdateInput> for AddressChange {
    fn from(input: AddressUpdateInput) -> Self {
        let AddressUpdateInput {
            first_name,
            last_name,
            company,
            line1,
            line2,
            city,
            region,
            postal_code,
            country_code,
            phone,
        } = input;
        Self {
            first_name: patch(first_name),
            last_name: patch(last_name),
            company: patch(company),
            line1: patch(line1),
            line2: patch(line2),
            city: patch(city),
            region: patch(region),
            postal_code: patch(postal_code),
            country_code: patch(country_code),
            phone: patch(phone),
        }
    }
}
