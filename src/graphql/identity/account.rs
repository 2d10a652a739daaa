//! Accounts: who logs in, as a customer or as staff.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    role::{AccountPermission, AccountRole},
    session::{Session, list_sessions},
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    customer::{
        OwnerScope,
        queries::{self, AccountListFilter, ResolvedAccountFilter},
    },
    graphql::{
        context::{RequestContext, request_context},
        customer::Customer,
        guard::RequirePermission,
        input::build_account_target,
        loader::AccountKey,
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
        scalars::{DateTimeRangeInput, LanguageScalar},
    },
    identity::{Caller, Permission, Role, account_admin, entity},
};

/// Account of a person who logs in, as a customer or as staff. Visible to the account itself and to staff.
#[derive(Debug, Clone)]
pub struct Account(entity::account::Model);

impl From<entity::account::Model> for Account {
    fn from(row: entity::account::Model) -> Self {
        Self(row)
    }
}

impl Account {
    /// Returns an account if the caller may see it.
    pub async fn find(context: &RequestContext, account_id: i64) -> Result<Option<Self>> {
        let Some(owner_scope) = OwnerScope::for_caller(context.caller, Permission::CustomerRead) else {
            return Ok(None);
        };
        Ok(context.load(AccountKey { key: account_id, owner_scope }).await?.map(Self))
    }

    /// Returns the account that the caller has just logged in with or is logged in with.
    pub async fn find_own(context: &RequestContext, account_id: i64) -> Result<Option<Self>> {
        let key = AccountKey { key: account_id, owner_scope: OwnerScope::Account(account_id) };
        Ok(context.load(key).await?.map(Self))
    }
}

/// Staff side of an account.
#[derive(Debug, Clone, SimpleObject)]
pub struct StaffMember {
    /// Role, which grants the permissions.
    role: AccountRole,
    /// Permissions of the role.
    permissions: Vec<AccountPermission>,
}

/// Account of a person who logs in, as a customer or as staff. Visible to the account itself and to staff.
#[Object]
impl Account {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Account, self.0.id).encode().into()
    }

    /// Email address, also the login name; null if an OpenID Connect provider supplied none.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// Whether the email address is verified.
    async fn email_verified(&self) -> bool {
        self.0.email_verified_at.is_some()
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

    /// Whether the phone number is verified, so that its owner can log in with a one-time code.
    async fn phone_verified(&self) -> bool {
        self.0.phone_verified_at.is_some()
    }

    /// Language of notifications: the choice of the account, or the shop's default.
    async fn language(&self, ctx: &Context<'_>) -> LanguageScalar {
        LanguageScalar(self.0.language.unwrap_or(request_context(ctx).app_state.config.shop.language))
    }

    /// Customer side of the account: addresses, cart and orders.
    async fn customer(&self) -> Customer {
        self.0.clone().into()
    }

    /// Staff side of the account; null for a customer.
    async fn staff(&self) -> Option<StaffMember> {
        (self.0.role != Role::Customer).then(|| StaffMember {
            role: self.0.role.into(),
            permissions: self.0.role.permissions().iter().map(Into::into).collect(),
        })
    }

    /// Whether the account is blocked from logging in.
    async fn disabled(&self) -> bool {
        self.0.disabled_at.is_some()
    }

    /// Active sessions, last used first; null unless the caller is the account itself.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Option<Vec<Session>>> {
        let context = request_context(ctx);
        match context.caller {
            Caller::User { account_id, .. } if account_id == self.0.id => {
                list_sessions(context, account_id).await.map(Some)
            }
            _ => Ok(None),
        }
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

payload!(
    /// Payload of the account mutations.
    AccountPayload {
        /// Account after the mutation; null if nothing was changed.
        account: Account
    }
);

/// Conditions of the filters for accounts and customers.
#[derive(Debug, Default, InputObject)]
pub struct AccountConditions {
    /// Prefix of the first name, last name, email address or phone number. Case and accents are ignored; a phone number
    /// may be in the national format of the shop's country. At most 200 characters.
    search: Option<String>,
    /// Creation time range.
    created_at: Option<DateTimeRangeInput>,
    /// Whether the email address is verified.
    verified: Option<bool>,
    /// Whether the account is blocked from logging in.
    disabled: Option<bool>,
}

impl AccountConditions {
    /// Converts the conditions to the domain's filter.
    #[must_use]
    pub fn into_list_filter(self) -> AccountListFilter {
        let Self { search, created_at, verified, disabled } = self;
        AccountListFilter {
            search,
            created: created_at.map(DateTimeRangeInput::into_range).unwrap_or_default(),
            email_verified: verified,
            disabled,
            ..AccountListFilter::default()
        }
    }
}

/// Filter for accounts. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct AccountFilter {
    #[graphql(flatten)]
    conditions: AccountConditions,
    /// Role of the account.
    role: Option<AccountRole>,
}

edge!(
    /// Account with its cursor.
    AccountEdge { cursor = "Cursor of the account.", node: Account = "Account." }
);

/// List of accounts.
#[derive(Debug)]
pub struct AccountList(ResolvedAccountFilter);

connection!(
    /// Page of accounts with list-level fields.
    AccountConnection(AccountList) {
        nodes: Vec<Account> = "Accounts of the page.",
        edges: Vec<AccountEdge> = "Accounts of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of accounts that match the filter, across all pages.",
    }
);

paged_list!(
    AccountList,
    entity::account::Model,
    |list, db, request| queries::list_accounts(db, &list.0, request),
    |_, row| queries::encode_account_cursor(row),
    |list, db| queries::count_accounts(db, &list.0)
);

/// Account queries.
#[derive(Debug, Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// The authenticated account; null for anonymous and API-key requests.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        let context = request_context(ctx);
        let Caller::User { account_id, .. } = context.caller else { return Ok(None) };
        Account::find_own(context, account_id).await
    }

    /// Account by ID, for staff; null if it does not exist.
    #[graphql(guard = "RequirePermission(Permission::CustomerRead)")]
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the account.")] id: ID,
    ) -> Result<Option<Account>> {
        Account::find(request_context(ctx), GlobalId::decode_as(&id, NodeType::Account, "id")?).await
    }

    /// Accounts of customers and staff, newest first, for staff.
    #[graphql(
        guard = "RequirePermission(Permission::CustomerRead)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<AccountFilter>,
    ) -> Result<Option<AccountConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let country = request_context(ctx).app_state.config.shop.country;
        let AccountFilter { conditions, role } = filter.unwrap_or_default();
        let filter = AccountListFilter { role: role.map(Into::into), ..conditions.into_list_filter() };
        Ok(Some(AccountConnection::new(AccountList(filter.resolve(country)?), page_request)))
    }
}

/// Account mutations.
#[derive(Debug, Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Blocks an account from logging in and revokes its sessions.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn account_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the account.")] id: ID,
    ) -> Result<Option<AccountPayload>> {
        AccountPayload::from_result(set_account_disabled(request_context(ctx), &id, true).await)
    }

    /// Lifts the login block of an account.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn account_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the account.")] id: ID,
    ) -> Result<Option<AccountPayload>> {
        AccountPayload::from_result(set_account_disabled(request_context(ctx), &id, false).await)
    }
}

async fn set_account_disabled(context: &RequestContext, id: &ID, disabled: bool) -> Result<entity::account::Model> {
    let target = build_account_target(context, GlobalId::decode_as(id, NodeType::Account, "id")?, None);
    let access_tokens = Some(&context.app_state.access_token_service);
    account_admin::set_account_disabled(&context.db, access_tokens, target, disabled).await
}
