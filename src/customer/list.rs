//! Lists of accounts for staff, the newest first. One statement a page, each condition on an index of its own.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::check;
use crate::{
    base::{
        Country, Error, Result,
        page::{Cursor, Key, Page, Window, in_range},
        text,
    },
    identity::{Role, account::email_key, entity::account},
    infra::Sql,
};

/// The mark in cursors.
const ORDER: char = 'c';
/// The longest text to look for. Characters.
const SEARCH_LIMIT: usize = 200;

/// What staff say of the accounts they look for. Everything said must hold.
#[derive(Debug, Default)]
pub struct Filter {
    /// What a name, an e-mail address or a telephone number begins with.
    pub search: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// Made in this time: from the first moment on, up to the second.
    pub created: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Whether their e-mail address is known to be theirs.
    pub verified: Option<bool>,
    /// Whether they are kept from signing in.
    pub disabled: Option<bool>,
}

/// A filter, understood.
#[derive(Debug)]
pub struct Wanted {
    filter: Filter,
    text: Option<CustomerSearch>,
}

/// What is looked for, as the beginning of each thing that it may be.
#[derive(Debug)]
struct CustomerSearch {
    name: String,
    email: String,
    phone: Option<String>,
}

impl Filter {
    /// What is meant, in a shop that stands in a country.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn understand(self, country: Country) -> Result<Wanted> {
        let long = |text: &String| text.chars().count() > SEARCH_LIMIT;
        if self.search.as_ref().is_some_and(long) {
            return Err(Error::bad_input("filter.search", format!("at most {SEARCH_LIMIT} characters")));
        }
        for (name, at) in [("from", self.created.0), ("to", self.created.1)] {
            if at.is_some_and(|at| !in_range(&at)) {
                return Err(Error::bad_input(&format!("filter.createdAt.{name}"), "a year is from 1 to 9999"));
            }
        }
        let typed = |said: &str| CustomerSearch {
            name: text::search_key(said),
            email: email_key(said.trim()),
            phone: check::phone_beginning(said, country),
        };
        let text = self.search.as_deref().map(typed).filter(|typed| !typed.name.is_empty());
        Ok(Wanted { text, filter: self })
    }
}

impl Wanted {
    fn conditions(&self, sql: &mut Sql) {
        let Filter { search: _, role, created: (from, to), verified, disabled } = &self.filter;
        sql.push(" FROM account WHERE deleted_at IS NULL");
        if let Some(role) = role {
            sql.push(" AND role = ").bind(role.name());
        }
        if let Some(from) = from {
            sql.push(" AND created_at >= ").bind(*from);
        }
        if let Some(to) = to {
            sql.push(" AND created_at < ").bind(*to);
        }
        for (column, wanted) in [("email_verified_at", verified), ("disabled_at", disabled)] {
            if let Some(wanted) = wanted {
                sql.push(&format!(" AND {column} IS {}", if *wanted { "NOT NULL" } else { "NULL" }));
            }
        }
        let Some(CustomerSearch { name, email, phone }) = &self.text else { return };
        sql.push(" AND (");
        sql.begins("email_key", email);
        sql.push(" OR ");
        sql.begins("name_key", name);
        sql.push(" OR ");
        sql.begins("last_name_key", name);
        if let Some(phone) = phone {
            sql.push(" OR ");
            let column = if sql.postgres() { "phone COLLATE \"C\"" } else { "phone" };
            sql.begins(column, phone);
        }
        sql.push(")");
    }
}

/// One page. One statement.
///
/// # Errors
/// When the cursor is not one of this list, or the database cannot be asked.
pub async fn page(db: &impl ConnectionTrait, wanted: &Wanted, window: &Window) -> Result<Page<account::Model>> {
    let field = if window.backwards { "before" } else { "after" };
    let shape = [Key::Time(DateTime::UNIX_EPOCH)];
    let cursor = window.cursor.as_deref().map(|text| Cursor::decode(text, ORDER, &shape, field)).transpose()?;
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT *");
    wanted.conditions(&mut sql);
    let (compare, way) = if window.backwards { (">", "") } else { ("<", " DESC") };
    if let Some(Cursor { keys, id, .. }) = &cursor
        && let [Key::Time(at)] = keys[..]
    {
        sql.push(&format!(" AND (created_at, id) {compare} (")).bind(at).push(", ").bind(*id).push(")");
    }
    sql.push(&format!(" ORDER BY created_at{way}, id{way} LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| account::Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(rows, window))
}

/// How many are wanted. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(db: &impl ConnectionTrait, wanted: &Wanted) -> Result<i64> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT COUNT(*) AS many");
    wanted.conditions(&mut sql);
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "many"))?)
}

/// The place of an account in the list.
#[must_use]
pub fn cursor(row: &account::Model) -> String {
    Cursor { order: ORDER, keys: vec![Key::Time(row.created_at)], id: row.id }.encode()
}
