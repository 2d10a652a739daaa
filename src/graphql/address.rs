//! Saved addresses of customers.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};

use super::{
    context::{RequestContext, request_context},
    customer::resolve_customer_id,
    guard::{RequireLogin, RequirePermission},
    loader::AddressKey,
    payload::payload,
    profile::{build_account_target, to_patch},
};
use crate::{
    base::{Country, Error, GlobalId, Patch, Result, global_id::NodeType},
    customer::{
        OwnerScope,
        address::{self, AddressDefaults, AddressPatch, AddressTarget},
        address_row,
    },
    identity::Permission,
};

/// Saved address of a customer. Visible to its owner and to staff.
#[derive(Debug, Clone)]
pub struct Address(address_row::Model);

impl From<address_row::Model> for Address {
    fn from(row: address_row::Model) -> Self {
        Self(row)
    }
}

impl Address {
    /// Returns an address if the caller may see it.
    pub async fn find(context: &RequestContext, address_id: i64) -> Result<Option<Self>> {
        let Some(owner_scope) = OwnerScope::for_caller(context.caller, Permission::CustomerRead) else {
            return Ok(None);
        };
        Ok(context.load(AddressKey { key: address_id, owner_scope }).await?.map(Self))
    }
}

/// Saved address of a customer. Visible to its owner and to staff.
#[Object]
impl Address {
    /// Global ID.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Address, self.0.id).encode().into()
    }

    /// First name of the recipient; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Last name of the recipient; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// Company name; null for a private address.
    async fn company(&self) -> Option<&str> {
        self.0.company.as_deref()
    }

    /// Street and house number, or a PO box.
    async fn line1(&self) -> &str {
        &self.0.line1
    }

    /// Building, floor or apartment; null if there is none.
    async fn line2(&self) -> Option<&str> {
        self.0.line2.as_deref()
    }

    /// City or town.
    async fn city(&self) -> &str {
        &self.0.city
    }

    /// County, state or province; null if there is none.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// Postal code; null if there is none.
    async fn postal_code(&self) -> Option<&str> {
        self.0.postal_code.as_deref()
    }

    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// Country name in English.
    async fn country(&self) -> &'static str {
        Country::from_code(&self.0.country_code).map_or("", Country::name)
    }

    /// Phone number (E.164) for the carrier; null if there is none.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// Whether this is the default shipping address.
    async fn is_default_shipping(&self) -> bool {
        self.0.is_default_shipping
    }

    /// Whether this is the default billing address.
    async fn is_default_billing(&self) -> bool {
        self.0.is_default_billing
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// Purpose of a default address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AddressPurpose {
    /// Shipping address.
    Shipping,
    /// Billing address.
    Billing,
}

/// Input for a new address. Requires a first name, a last name or a company.
#[derive(Debug, InputObject)]
pub struct AddressCreateInput {
    /// First name, at most 100 characters.
    first_name: Option<String>,
    /// Last name, at most 100 characters.
    last_name: Option<String>,
    /// Company name, at most 100 characters.
    company: Option<String>,
    /// Street and house number, or a PO box; at most 200 characters.
    line1: String,
    /// Building, floor or apartment; at most 200 characters.
    line2: Option<String>,
    /// City or town; at most 100 characters.
    city: String,
    /// County, state or province; at most 100 characters.
    region: Option<String>,
    /// Postal code; at most 20 characters.
    postal_code: Option<String>,
    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    country_code: String,
    /// Phone number, in international format or the national format of the address's country.
    phone: Option<String>,
    /// Purposes for which the address becomes the default; a customer's first address is the default for all.
    #[graphql(default)]
    default_for: Vec<AddressPurpose>,
}

/// Fields of an address to update. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct AddressUpdateInput {
    /// First name, at most 100 characters.
    first_name: MaybeUndefined<String>,
    /// Last name, at most 100 characters.
    last_name: MaybeUndefined<String>,
    /// Company name, at most 100 characters.
    company: MaybeUndefined<String>,
    /// Street and house number, or a PO box; at most 200 characters.
    line1: MaybeUndefined<String>,
    /// Building, floor or apartment; at most 200 characters.
    line2: MaybeUndefined<String>,
    /// City or town; at most 100 characters.
    city: MaybeUndefined<String>,
    /// County, state or province; at most 100 characters.
    region: MaybeUndefined<String>,
    /// Postal code; at most 20 characters.
    postal_code: MaybeUndefined<String>,
    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    country_code: MaybeUndefined<String>,
    /// Phone number, in international format or the national format of the address's country.
    phone: MaybeUndefined<String>,
}

payload!(
    /// Payload of the address mutations.
    AddressPayload {
        /// Address after the mutation; null if nothing was changed.
        address: Address
    }
);

payload!(
    /// Payload of `addressDelete`.
    AddressDeletePayload {
        /// ID of the deleted address; null if nothing was deleted.
        deleted_address_id: ID
    }
);

/// Address mutations.
#[derive(Debug, Default)]
pub struct AddressMutation;

#[Object]
impl AddressMutation {
    /// Creates a saved address of the caller or, for staff, of a customer; at most 100 per customer.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer; defaults to the caller.")] customer_id: Option<ID>,
        #[graphql(desc = "Address to create.")] input: AddressCreateInput,
    ) -> Result<AddressPayload> {
        let context = request_context(ctx);
        let (default_for, patch) = input.into_patch();
        let created = async {
            let target =
                build_account_target(context, resolve_customer_id(context, customer_id.as_ref(), "customerId")?, None);
            address::create_address(&context.db, target, patch, default_for).await
        };
        AddressPayload::from_result(created.await)
    }

    /// Updates a saved address of the caller or, for staff, of a customer.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the address.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: AddressUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<AddressPayload> {
        let context = request_context(ctx);
        let updated = async {
            let target = resolve_address_target(context, &id, expected_version)?;
            address::update_address(&context.db, target, input.into()).await
        };
        AddressPayload::from_result(updated.await)
    }

    /// Deletes a saved address. Orders keep their own copies.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the address.")] id: ID,
    ) -> Result<AddressDeletePayload> {
        let context = request_context(ctx);
        let deleted = async {
            let target = resolve_address_target(context, &id, None)?;
            address::delete_address(&context.db, target).await
        };
        AddressDeletePayload::from_result(
            deleted.await.map(|address_id| GlobalId::new(NodeType::Address, address_id).encode()),
        )
    }

    /// Sets the default shipping or billing address, replacing the previous default.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_set_default(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the address.")] id: ID,
        #[graphql(desc = "Purposes to set, at least one.")] purposes: Vec<AddressPurpose>,
    ) -> Result<AddressPayload> {
        let context = request_context(ctx);
        let updated = async {
            if purposes.is_empty() {
                return Err(Error::bad_input("purposes", "say what for: SHIPPING, BILLING or both"));
            }
            let target = resolve_address_target(context, &id, None)?;
            let purposes = to_default_for(&purposes);
            address::set_default_address(&context.db, target, purposes).await
        };
        AddressPayload::from_result(updated.await)
    }
}

/// Resolves the target address within the caller's access scope.
fn resolve_address_target(context: &RequestContext, id: &ID, expected_version: Option<i32>) -> Result<AddressTarget> {
    let address_id = GlobalId::decode_as(id, NodeType::Address, "id")?;
    let owner_scope = OwnerScope::for_caller(context.caller, Permission::CustomerWrite);
    let owner_scope = owner_scope.ok_or_else(|| Error::not_found("id", "address"))?;
    let (caller, country) = (context.caller, context.app_state.config.shop.country);
    Ok(AddressTarget { address_id, scope: owner_scope, caller, expected_version, shop_country: country })
}

fn to_default_for(purposes: &[AddressPurpose]) -> AddressDefaults {
    AddressDefaults {
        shipping: purposes.contains(&AddressPurpose::Shipping),
        billing: purposes.contains(&AddressPurpose::Billing),
    }
}

impl AddressCreateInput {
    fn into_patch(self) -> (AddressDefaults, AddressPatch) {
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
        let patch = AddressPatch {
            first_name: Patch::from_option(first_name),
            last_name: Patch::from_option(last_name),
            company: Patch::from_option(company),
            line1: Patch::Set(line1),
            line2: Patch::from_option(line2),
            city: Patch::Set(city),
            region: Patch::from_option(region),
            postal_code: Patch::from_option(postal_code),
            country_code: Patch::Set(country_code),
            phone: Patch::from_option(phone),
        };
        (to_default_for(&default_for), patch)
    }
}

impl From<AddressUpdateInput> for AddressPatch {
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
            first_name: to_patch(first_name),
            last_name: to_patch(last_name),
            company: to_patch(company),
            line1: to_patch(line1),
            line2: to_patch(line2),
            city: to_patch(city),
            region: to_patch(region),
            postal_code: to_patch(postal_code),
            country_code: to_patch(country_code),
            phone: to_patch(phone),
        }
    }
}
