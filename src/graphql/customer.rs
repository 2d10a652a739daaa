//! People who have an account: who they are, and who may ask.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

use async_graphql::{Context, ID, Json, Object};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    address::Address,
    cart::Cart,
    context::{Scope, scope},
    customers::{CustomerConnection, CustomerFilter, CustomerSearch},
    guard::{Can, SignedIn},
    loader::{AddressesOf, CustomerKey, PreferencesOf},
    message::Language,
    orders::list::OrderConnection,
    preference::{self, NotificationPreference},
    role::Role,
    session::{Session, sessions_of},
};
use crate::{
    base::{Error, GlobalId, Result, id::Kind, page::Window},
    cart,
    customer::{Reach, address_row, export},
    identity::{Caller, Permission, entity::account},
    order,
};

/// Somebody who has an account: a customer, or one of the staff. Seen by themselves and by staff.
#[derive(Debug, Clone)]
pub struct Customer(account::Model);

impl From<account::Model> for Customer {
    fn from(row: account::Model) -> Self {
        Self(row)
    }
}

impl Customer {
    /// A customer whom the caller may see.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn find(scope: &Scope, key: i64) -> Result<Option<Self>> {
        let Some(reach) = Reach::of(scope.caller, Permission::CustomerRead) else { return Ok(None) };
        Ok(scope.load(CustomerKey { key, reach }).await?.map(Self))
    }

    async fn one_address(&self, scope: &Scope, wanted: fn(&address_row::Model) -> bool) -> Result<Option<Address>> {
        let all = scope.load(AddressesOf(self.0.id)).await?;
        Ok(all.and_then(|all| all.iter().find(|row| wanted(row)).cloned()).map(Address::from))
    }
}

/// Whom a change is meant for: oneself, or somebody whom the caller may change. Anybody else is not there.
///
/// # Errors
/// When it is not there, or nobody is meant.
pub fn whose(scope: &Scope, id: Option<&ID>, field: &str) -> Result<i64> {
    let Some(id) = id else { return scope.caller.account() };
    let key = GlobalId::key(id, Kind::Customer, field)?;
    let reach = Reach::of(scope.caller, Permission::CustomerWrite);
    reach.filter(|reach| reach.covers(key)).map(|_| key).ok_or_else(|| Error::not_found(field, "customer"))
}

/// Somebody who has an account: a customer, or one of the staff. Seen by themselves and by staff.
#[Object]
impl Customer {
    /// The lasting id.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Customer, self.0.id).encode().into()
    }

    /// Where mail goes, and what one signs in with; null for somebody whom a provider knows without one.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Whether the e-mail address is known to be theirs.
    async fn email_verified(&self) -> bool {
        self.0.email_verified_at.is_some()
    }

    /// The first name; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// The last name; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// The telephone number in E.164: `+254712345678`; null when there is none.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// The language that the shop writes to them in: what they have chosen, or the shop's own.
    async fn language(&self, ctx: &Context<'_>) -> Language {
        self.0.language.unwrap_or(scope(ctx).shared.config.shop.language).into()
    }

    /// What they are told of, and by which way: all that can be chosen. One statement for any number of customers.
    async fn notification_preferences(&self, ctx: &Context<'_>) -> Result<Vec<NotificationPreference>> {
        let scope = scope(ctx);
        let chosen = scope.load(PreferencesOf(self.0.id)).await?.unwrap_or_default();
        let all = preference::told(&chosen);
        scope.spend(ctx, all.len())?;
        Ok(all)
    }

    /// What they may do, in one word.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// Whether they are kept from signing in.
    async fn disabled(&self) -> bool {
        self.0.disabled_at.is_some()
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// Counts changes of the account: hand it to the next change as `expectedVersion` to be told when others were faster.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Where they are signed in, the last used first. Told to themselves only: null for anybody else. One statement.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Option<Vec<Session>>> {
        let scope = scope(ctx);
        match scope.caller {
            Caller::Person { account, .. } if account == self.0.id => sessions_of(scope, account).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Where they can be reached, the oldest first; at most 100. One statement for any number of customers.
    async fn addresses(&self, ctx: &Context<'_>) -> Result<Vec<Address>> {
        let scope = scope(ctx);
        let all = scope.load(AddressesOf(self.0.id)).await?;
        scope.spend(ctx, all.as_ref().map_or(0, |all| all.len()))?;
        Ok(all.iter().flat_map(|all| all.iter().cloned()).map(Address::from).collect())
    }

    /// What they are about to buy, on every device; null when nothing is, and for anybody but themselves. One statement.
    #[graphql(complexity = "super::cart::COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>) -> Result<Option<Cart>> {
        let scope = scope(ctx);
        match scope.caller {
            Caller::Person { account, .. } if account == self.0.id => {
                Ok(cart::hold::of_customer(&scope.db, account).await?.map(Cart::from))
            }
            _ => Ok(None),
        }
    }

    /// What they have bought, the newest first; null for whoever may not see their orders. One statement a page, and for
    /// each customer.
    #[graphql(complexity = "super::connection::cost(first, last, child_complexity)")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, from 0 to 100; 20 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor. Goes with `first`.")] after: Option<String>,
        #[graphql(desc = "The last so many, from 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor. Goes with `last`.")] before: Option<String>,
    ) -> Result<Option<OrderConnection>> {
        OrderConnection::of_customer(scope(ctx), self.0.id, Window::new(first, after, last, before)?)
    }

    /// Where parcels go when nothing else is said; null when nothing is.
    async fn default_shipping_address(&self, ctx: &Context<'_>) -> Result<Option<Address>> {
        self.one_address(scope(ctx), |row| row.is_default_shipping).await
    }

    /// Where bills go when nothing else is said; null when nothing is.
    async fn default_billing_address(&self, ctx: &Context<'_>) -> Result<Option<Address>> {
        self.one_address(scope(ctx), |row| row.is_default_billing).await
    }
}

/// The customers' part of the query root.
#[derive(Debug, Default)]
pub struct CustomerQuery;

#[Object]
impl CustomerQuery {
    /// Who asks; null when nobody is signed in, or a machine asks. One statement.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        let scope = scope(ctx);
        let Caller::Person { account, .. } = scope.caller else { return Ok(None) };
        let own = CustomerKey { key: account, reach: Reach::Own(account) };
        Ok(scope.load(own).await?.map(Customer))
    }

    /// Everything the shop holds about oneself, as one document.
    #[graphql(guard = "SignedIn", complexity = "5_000")]
    async fn customer_export(&self, ctx: &Context<'_>) -> Result<Json<Value>> {
        let scope = scope(ctx);
        scope.export_once()?;
        let account = scope.caller.account()?;
        let mut told = export::everything(&scope.db, account).await?;
        told["carts"] = cart::told(&scope.db, account).await?.into();
        told["orders"] = order::keep::told(&scope.db, account).await?.into();
        Ok(Json(told))
    }

    /// One customer by id, for staff; null when there is none. One statement.
    #[graphql(guard = "Can(Permission::CustomerRead)")]
    async fn customer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: ID,
    ) -> Result<Option<Customer>> {
        Customer::find(scope(ctx), GlobalId::key(&id, Kind::Customer, "id")?).await
    }

    /// Customers and staff, the newest first, for staff.
    #[graphql(
        guard = "Can(Permission::CustomerRead)",
        complexity = "super::connection::cost(first, last, child_complexity)"
    )]
    async fn customers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones; all when not said.", default)] filter: CustomerFilter,
    ) -> Result<CustomerConnection> {
        let window = Window::new(first, after, last, before)?;
        let country = scope(ctx).shared.config.shop.country;
        let wanted = filter.read().understand(country)?;
        Ok(CustomerConnection::new(CustomerSearch { wanted, window }))
    }
}
