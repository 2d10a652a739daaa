//! Saved addresses of customers.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::postal_address::{PostalAddressInput, PostalAddressObject};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    customer::{
        AddressPatch, OwnerScope, PostalAddress,
        address::{self, AddressDefaults, NewAddress},
        address_row,
    },
    graphql::scalars::CountryCode,
    graphql::{
        context::{RequestContext, request_context},
        guard::{RequireLogin, RequirePermission},
        input::{build_account_target, parse_target, resolve_customer_id, to_patch},
        loader::AddressKey,
        payload::payload,
    },
    identity::Permission,
};

/// Saved address of a customer. Visible to its owner and to staff.
#[derive(Debug, Clone, SimpleObject)]
pub struct Address {
    /// Global ID.
    #[graphql(owned)]
    pub id: ID,
    /// Postal address.
    postal: PostalAddressObject,
    /// Whether this is the default shipping address.
    default_shipping: bool,
    /// Whether this is the default billing address.
    default_billing: bool,
    /// Creation time.
    created_at: DateTime<Utc>,
    /// Time of the last update.
    updated_at: DateTime<Utc>,
    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    version: i32,
}

impl From<address_row::Model> for Address {
    fn from(row: address_row::Model) -> Self {
        Self {
            id: GlobalId::new(NodeType::Address, row.id).encode().into(),
            default_shipping: row.is_default_shipping,
            default_billing: row.is_default_billing,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            postal: PostalAddress::from(row).into(),
        }
    }
}

impl Address {
    /// Returns an address if the caller may see it.
    pub async fn find(context: &RequestContext, address_id: i64) -> Result<Option<Self>> {
        let Some(owner_scope) = OwnerScope::for_caller(context.caller, Permission::CustomerRead) else {
            return Ok(None);
        };
        Ok(context.load(AddressKey { key: address_id, owner_scope }).await?.map(Self::from))
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
    #[graphql(flatten)]
    address: PostalAddressInput,
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
    country_code: MaybeUndefined<CountryCode>,
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
        deleted_id: ID
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
    ) -> Result<Option<AddressPayload>> {
        let context = request_context(ctx);
        let AddressCreateInput { address, default_for } = input;
        let created = async {
            let account_id = resolve_customer_id(context, customer_id.as_ref(), "customerId")?;
            let target = build_account_target(context, account_id, None);
            let new = NewAddress { patch: address.into(), defaults: to_address_defaults(&default_for) };
            address::create_address(&context.db, target, new, context.app_state.config.shop.country).await
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
    ) -> Result<Option<AddressPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target = parse_target(&id, NodeType::Address, context.caller, expected_version)?;
            let shop_country = context.app_state.config.shop.country;
            address::update_address(&context.db, target, input.into(), shop_country).await
        };
        AddressPayload::from_result(updated.await)
    }

    /// Deletes a saved address. Orders keep their own copies.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the address.")] id: ID,
    ) -> Result<Option<AddressDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let target = parse_target(&id, NodeType::Address, context.caller, None)?;
            address::delete_address(&context.db, target).await
        };
        AddressDeletePayload::from_result(
            deleted.await.map(|address_id| GlobalId::new(NodeType::Address, address_id).encode()),
        )
    }

    /// Sets the default shipping or billing address, replacing the previous default.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn address_default_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the address.")] id: ID,
        #[graphql(desc = "Purposes to set, at least one.")] purposes: Vec<AddressPurpose>,
    ) -> Result<Option<AddressPayload>> {
        let context = request_context(ctx);
        let updated = async {
            if purposes.is_empty() {
                return Err(Error::bad_input("purposes", "give at least one purpose: SHIPPING, BILLING or both"));
            }
            let target = parse_target(&id, NodeType::Address, context.caller, None)?;
            address::set_default_address(&context.db, target, to_address_defaults(&purposes)).await
        };
        AddressPayload::from_result(updated.await)
    }
}

fn to_address_defaults(purposes: &[AddressPurpose]) -> AddressDefaults {
    AddressDefaults {
        shipping: purposes.contains(&AddressPurpose::Shipping),
        billing: purposes.contains(&AddressPurpose::Billing),
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
            country_code: to_patch(country_code).map(String::from),
            phone: to_patch(phone),
        }
    }
}
