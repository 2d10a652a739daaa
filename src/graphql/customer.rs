//! Customers: who buys.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod address;
pub mod postal_address;
pub mod queries;
pub mod mutations;

use async_graphql::{Context, ID, MergedObject, Object};
use chrono::{DateTime, Utc};

use self::address::Address;
use super::{
    cart::Cart,
    context::{RequestContext, request_context},
    identity::account::Account,
    loader::{AccountKey, AddressesOf, PreferencesOf},
    notification::preference::{self, NotificationPreference},
    order::queries::OrderConnection,
    scalars::LanguageScalar,
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    cart,
    customer::{OwnerScope, address_row},
    identity::{Caller, Permission, entity::account},
};

/// Customer mutations.
#[derive(Debug, Default, MergedObject)]
pub struct CustomerMutations(mutations::CustomerMutation, address::AddressMutation);

/// Customer: the buying side of an account. Visible to the account itself and to staff.
#[derive(Debug, Clone)]
pub struct Customer(account::Model);

impl From<account::Model> for Customer {
    fn from(row: account::Model) -> Self {
        Self(row)
    }
}

impl Customer {
    /// Returns a customer if the caller may see it.
    pub async fn find(context: &RequestContext, account_id: i64) -> Result<Option<Self>> {
        let Some(owner_scope) = OwnerScope::for_caller(context.caller, Permission::CustomerRead) else {
            return Ok(None);
        };
        Ok(context.load(AccountKey { key: account_id, owner_scope }).await?.map(Self))
    }

    async fn find_address(
        &self,
        context: &RequestContext,
        predicate: fn(&address_row::Model) -> bool,
    ) -> Result<Option<Address>> {
        let addresses = context.load(AddressesOf(self.0.id)).await?;
        Ok(addresses.and_then(|addresses| addresses.iter().find(|row| predicate(row)).cloned()).map(Address::from))
    }
}

/// Customer: the buying side of an account. Visible to the account itself and to staff.
#[Object]
impl Customer {
    /// Global ID.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Customer, self.0.id).encode().into()
    }

    /// Email address of the account; null if an OpenID Connect provider supplied none.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// First name; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Last name; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// Phone number (E.164), such as `+254712345678`; null if there is none.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// Language of notifications: the customer's choice, or the shop's default.
    async fn language(&self, ctx: &Context<'_>) -> LanguageScalar {
        LanguageScalar(self.0.language.unwrap_or(request_context(ctx).app_state.config.shop.language))
    }

    /// Notification preferences for all configurable events.
    async fn notification_preferences(&self, ctx: &Context<'_>) -> Result<Vec<NotificationPreference>> {
        let context = request_context(ctx);
        let stored = context.load(PreferencesOf(self.0.id)).await?.unwrap_or_default();
        let preferences = preference::list_preferences(&stored);
        context.charge_list_values(ctx, preferences.len())?;
        Ok(preferences)
    }

    /// ID of the customer in another system; null if there is none or the caller may not read customers.
    async fn external_id(&self, ctx: &Context<'_>) -> Option<&str> {
        let is_staff = request_context(ctx).caller.permissions().has(Permission::CustomerRead);
        self.0.external_id.as_deref().filter(|_| is_staff)
    }

    /// Account that the customer logs in with.
    async fn account(&self) -> Account {
        self.0.clone().into()
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

    /// Saved addresses, oldest first; at most 100.
    async fn addresses(&self, ctx: &Context<'_>) -> Result<Vec<Address>> {
        let context = request_context(ctx);
        let addresses = context.load(AddressesOf(self.0.id)).await?;
        context.charge_list_values(ctx, addresses.as_ref().map_or(0, |addresses| addresses.len()))?;
        Ok(addresses.iter().flat_map(|addresses| addresses.iter().cloned()).map(Address::from).collect())
    }

    /// Open cart, shared by all devices; null if there is none or the caller is not the account itself.
    #[graphql(complexity = "super::cart::CART_COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>) -> Result<Option<Cart>> {
        let context = request_context(ctx);
        match context.caller {
            Caller::User { account_id, .. } if account_id == self.0.id => {
                Ok(cart::find_open_cart(&context.db, account_id).await?.map(Cart::from))
            }
            _ => Ok(None),
        }
    }

    /// Orders of the customer, newest first; null if the caller may not see them.
    #[graphql(complexity = "super::pagination::compute_connection_cost(first, last, child_complexity)")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<Option<OrderConnection>> {
        OrderConnection::for_customer(request_context(ctx), self.0.id, PageRequest::new(first, after, last, before)?)
    }

    /// Default shipping address; null if none is set.
    async fn default_shipping_address(&self, ctx: &Context<'_>) -> Result<Option<Address>> {
        self.find_address(request_context(ctx), |row| row.is_default_shipping).await
    }

    /// Default billing address; null if none is set.
    async fn default_billing_address(&self, ctx: &Context<'_>) -> Result<Option<Address>> {
        self.find_address(request_context(ctx), |row| row.is_default_billing).await
    }
}
