//! Account lists for staff, newest first. Statements per page: 1; each condition has its own index.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use crate::{
    base::{
        Country, Error, Result,
        pagination::{CursorType, CursorValue, Page, PageRequest, is_storable_time},
        phone, text,
    },
    identity::{Role, account::normalize_email, entity::account},
    infra::{
        SqlBuilder,
        keyset::{self, KeysetOrder},
    },
};

/// Newest first.
const ACCOUNT_ORDER: KeysetOrder =
    KeysetOrder { tag: 'c', columns: &[("created_at", CursorType::Time)], id_column: "id", descending: true };
/// Maximum length of a search text in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// Filter of the account list. Conditions are combined with AND; `None` does not filter.
#[derive(Debug, Default)]
pub struct AccountListFilter {
    /// Prefix of a name, an email address or a phone number.
    pub search: Option<String>,
    /// Role of the account.
    pub role: Option<Role>,
    /// Id of the customer in another system.
    pub external_id: Option<String>,
    /// Creation time: from (inclusive), to (exclusive).
    pub created: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Whether the email address is verified.
    pub email_verified: Option<bool>,
    /// Whether the account is disabled.
    pub disabled: Option<bool>,
}

/// Validated filter with normalized search prefixes.
#[derive(Debug)]
pub struct ResolvedAccountFilter {
    filter: AccountListFilter,
    search: Option<AccountSearchPrefixes>,
}

/// Search text as a normalized prefix of each searched column.
#[derive(Debug)]
struct AccountSearchPrefixes {
    name: String,
    email: String,
    phone: Option<String>,
}

impl AccountListFilter {
    /// Validates the filter; `country` is the default region of phone numbers.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the search text is too long or a time is out of range.
    pub fn resolve(self, country: Country) -> Result<ResolvedAccountFilter> {
        let is_too_long = |text: &String| text.chars().count() > MAX_SEARCH_CHARS;
        if self.search.as_ref().is_some_and(is_too_long) {
            return Err(Error::bad_input("filter.search", format!("at most {MAX_SEARCH_CHARS} characters")));
        }
        if self.external_id.as_ref().is_some_and(is_too_long) {
            return Err(Error::bad_input("filter.externalId", format!("at most {MAX_SEARCH_CHARS} characters")));
        }
        for (name, time) in [("from", self.created.0), ("to", self.created.1)] {
            if time.is_some_and(|time| !is_storable_time(&time)) {
                return Err(Error::bad_input(&format!("filter.createdAt.{name}"), "the year must be from 1 to 9999"));
            }
        }
        let prefixes = |input: &str| AccountSearchPrefixes {
            name: text::normalize_for_search(input),
            email: normalize_email(input.trim()),
            phone: phone::normalize_phone_prefix(input, country),
        };
        let search = self.search.as_deref().map(prefixes).filter(|prefixes| !prefixes.name.is_empty());
        Ok(ResolvedAccountFilter { search, filter: self })
    }
}

impl ResolvedAccountFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let AccountListFilter { search: _, role, external_id, created: (from, to), email_verified, disabled } =
            &self.filter;
        sql.push(" FROM account WHERE deleted_at IS NULL");
        if let Some(role) = role {
            sql.push(" AND role = ").bind(role.name());
        }
        if let Some(external_id) = external_id {
            sql.push(" AND external_id = ").bind(external_id.as_str());
        }
        sql.and_within("created_at", *from, *to);
        for (column, expected) in [("email_verified_at", email_verified), ("disabled_at", disabled)] {
            if let Some(expected) = expected {
                sql.push(&format!(" AND {column} IS {}", if *expected { "NOT NULL" } else { "NULL" }));
            }
        }
        let Some(AccountSearchPrefixes { name, email, phone }) = &self.search else { return };
        sql.push(" AND (");
        sql.starts_with("email_normalized", email);
        sql.push(" OR ");
        sql.starts_with("name_normalized", name);
        sql.push(" OR ");
        sql.starts_with("last_name_normalized", name);
        if let Some(phone) = phone {
            sql.push(" OR ");
            let column = if sql.is_postgres() { "phone COLLATE \"C\"" } else { "phone" };
            sql.starts_with(column, phone);
        }
        sql.push(")");
    }
}

/// Returns one page of accounts. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid for this list.
pub async fn list_accounts(
    db: &impl ConnectionTrait,
    filter: &ResolvedAccountFilter,
    page_request: &PageRequest,
) -> Result<Page<account::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push_columns::<account::Entity>("account");
    filter.push_conditions(&mut sql);
    ACCOUNT_ORDER.load_page(db, sql, page_request).await
}

/// Counts the accounts that match the filter. Statements: 1.
pub async fn count_accounts(db: &impl ConnectionTrait, filter: &ResolvedAccountFilter) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT COUNT(*)");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

/// Encodes the cursor of an account in the list.
#[must_use]
pub fn encode_account_cursor(row: &account::Model) -> String {
    ACCOUNT_ORDER.cursor(vec![CursorValue::Time(row.created_at)], row.id)
}
