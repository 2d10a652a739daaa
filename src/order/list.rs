//! Lists of orders: a customer's own, and everybody's for staff. One statement a page.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{FulfilmentStatus, Order, PaymentStatus, Status, number};
use crate::{
    base::{
        Country, Error, Result,
        page::{Cursor, Key, Page, Window, in_range},
        text,
    },
    customer::{Reach, check},
    infra::Sql,
};

/// The longest text to look for. Characters.
const SEARCH_LIMIT: usize = 200;

/// A moment from which on, and one up to which.
pub type Span = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// What is said of the orders that are looked for. Everything said must hold.
#[derive(Debug, Default)]
pub struct Filter {
    /// What the number, the name, the e-mail address or the telephone number begins with.
    pub search: Option<String>,
    /// One of these.
    pub status: Option<Vec<Status>>,
    /// One of these.
    pub payment_status: Option<Vec<PaymentStatus>>,
    /// One of these.
    pub fulfilment_status: Option<Vec<FulfilmentStatus>>,
    /// Placed in this time.
    pub placed: Span,
    /// Of this account.
    pub account: Option<i64>,
    /// With this number.
    pub number: Option<String>,
    /// With a line of this sku.
    pub sku: Option<String>,
    /// Of a total from so much up to so much, both included.
    pub total: (Option<i64>, Option<i64>),
}

/// By what orders are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sorted {
    /// The newest first.
    #[default]
    Placed,
    /// The dearest first.
    Total,
}

/// A filter, understood.
#[derive(Debug)]
pub struct Wanted {
    filter: Filter,
    reach: Reach,
    sorted: Sorted,
    reverse: bool,
    text: Option<Typed>,
}

/// What was typed to look for, as each column would begin with it.
#[derive(Debug)]
struct Typed {
    name: String,
    email: String,
    phone: Option<String>,
    number: String,
}

impl Filter {
    /// What is meant, in a shop that stands in a country, by somebody who reaches so far.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn understand(self, reach: Reach, (sorted, reverse): (Sorted, bool), country: Country) -> Result<Wanted> {
        for (field, said) in [("search", &self.search), ("number", &self.number), ("sku", &self.sku)] {
            if said.as_ref().is_some_and(|said| said.chars().count() > SEARCH_LIMIT) {
                return Err(Error::bad_input(&format!("filter.{field}"), format!("at most {SEARCH_LIMIT} characters")));
            }
        }
        for (name, at) in [("from", self.placed.0), ("to", self.placed.1)] {
            if at.is_some_and(|at| !in_range(&at)) {
                return Err(Error::bad_input(&format!("filter.placedAt.{name}"), "a year is from 1 to 9999"));
            }
        }
        let typed = |said: &str| Typed {
            name: text::search_key(said),
            email: said.trim().to_lowercase(),
            phone: check::phone_beginning(said, country),
            number: said.trim().to_uppercase(),
        };
        let text = self.search.as_deref().map(typed).filter(|typed| !typed.name.is_empty());
        Ok(Wanted { text, filter: self, reach, sorted, reverse })
    }
}

/// The states that are wanted, as they are stored: of the order, its payment, its fulfilment.
type States = [Vec<&'static str>; 3];

/// The columns of those states.
const STATES: [&str; 3] = ["status", "payment_status", "fulfilment_status"];

impl Wanted {
    /// Which states are wanted; `None` of those that are not asked about.
    fn states(&self) -> [Option<Vec<&'static str>>; 3] {
        let Filter { status, payment_status, fulfilment_status, .. } = &self.filter;
        [
            status.as_ref().map(|list| list.iter().map(|one| one.stored()).collect()),
            payment_status.as_ref().map(|list| list.iter().map(|one| one.stored()).collect()),
            fulfilment_status.as_ref().map(|list| list.iter().map(|one| one.stored()).collect()),
        ]
    }

    /// The states that a page is read by, one combination of them after the other; `None` where another condition leaves
    /// fewer orders than that would, or none is asked about.
    fn by_state(&self) -> Option<States> {
        let Filter { account, number, sku, .. } = &self.filter;
        let narrow = account.is_some() || number.is_some() || sku.is_some() || self.text.is_some();
        let [status, payment, fulfilment] = self.states();
        if narrow || self.reach != Reach::All || [&status, &payment, &fulfilment].iter().all(|list| list.is_none()) {
            return None;
        }
        Some([
            status.unwrap_or_else(|| Status::ALL.iter().map(|one| one.stored()).collect()),
            payment.unwrap_or_else(|| PaymentStatus::ALL.iter().map(|one| one.stored()).collect()),
            fulfilment.unwrap_or_else(|| FulfilmentStatus::ALL.iter().map(|one| one.stored()).collect()),
        ])
    }

    fn conditions(&self, sql: &mut Sql) {
        // All states are named where one is asked about: the index by state begins with those of the order.
        let states = self.by_state().map_or_else(|| self.states(), |states| states.map(Some));
        for (column, list) in STATES.into_iter().zip(states) {
            if let Some(list) = list {
                sql.push(" AND ").any_text(&format!("o.{column}"), list);
            }
        }
        self.other_conditions(sql);
    }

    fn other_conditions(&self, sql: &mut Sql) {
        let Filter { placed, account, number, sku, total, .. } = &self.filter;
        if let Reach::Own(own) = self.reach {
            sql.push(" AND o.account_id = ").bind(own);
        }
        if let Some(account) = account {
            sql.push(" AND o.account_id = ").bind(*account);
        }
        if let Some(from) = placed.0 {
            sql.push(" AND o.placed_at >= ").bind(from);
        }
        if let Some(to) = placed.1 {
            sql.push(" AND o.placed_at < ").bind(to);
        }
        if let Some(least) = total.0 {
            sql.push(" AND o.total >= ").bind(least);
        }
        if let Some(most) = total.1 {
            sql.push(" AND o.total <= ").bind(most);
        }
        if let Some(said) = number {
            sql.push(" AND o.number = ").bind(number::read(said).unwrap_or_default());
        }
        if let Some(sku) = sku {
            sql.push(" AND o.id IN (SELECT l.order_id FROM order_line AS l WHERE ");
            sql.push(bytewise(sql.postgres(), "lower(l.sku)")).push(" = ").bind(sku.trim().to_lowercase()).push(")");
        }
        self.searched(sql);
    }

    fn searched(&self, sql: &mut Sql) {
        let Some(Typed { name, email, phone, number }) = &self.text else { return };
        let postgres = sql.postgres();
        sql.push(" AND (");
        sql.begins(bytewise(postgres, "o.number"), number);
        sql.push(" OR ");
        sql.begins(bytewise(postgres, "lower(o.email)"), email);
        sql.push(" OR ");
        sql.begins("o.name_key", name);
        if let Some(phone) = phone {
            sql.push(" OR ");
            sql.begins(bytewise(postgres, "o.phone"), phone);
        }
        sql.push(")");
    }

    /// The mark of the order's cursors, its column, and a key like its own.
    fn shape(&self) -> (char, &'static str, Key) {
        match (self.sorted, self.reverse) {
            (Sorted::Placed, false) => ('o', "o.placed_at", Key::Time(DateTime::UNIX_EPOCH)),
            (Sorted::Placed, true) => ('p', "o.placed_at", Key::Time(DateTime::UNIX_EPOCH)),
            (Sorted::Total, false) => ('t', "o.total", Key::Int(0)),
            (Sorted::Total, true) => ('u', "o.total", Key::Int(0)),
        }
    }

    /// An order's place in the list.
    #[must_use]
    pub fn cursor(&self, row: &Order) -> String {
        let key = match self.sorted {
            Sorted::Placed => Key::Time(row.placed_at),
            Sorted::Total => Key::Int(row.total),
        };
        Cursor { order: self.shape().0, keys: vec![key], id: row.id }.encode()
    }
}

/// A column as its index compares it.
fn bytewise(postgres: bool, column: &'static str) -> &'static str {
    match (postgres, column) {
        (true, "o.number") => "o.number COLLATE \"C\"",
        (true, "lower(o.email)") => "lower(o.email) COLLATE \"C\"",
        (true, "o.phone") => "o.phone COLLATE \"C\"",
        (true, "lower(l.sku)") => "lower(l.sku) COLLATE \"C\"",
        _ => column,
    }
}

/// One page. One statement.
///
/// Where states are asked about, PostgreSQL reads the first rows of each combination of them from the index that has them
/// in the list's order, and merges those: a page of a rare state costs as much as one of a frequent state.
///
/// # Errors
/// When the cursor is not one of this list, or the database cannot be asked.
pub async fn page(db: &impl ConnectionTrait, wanted: &Wanted, window: &Window) -> Result<Page<Order>> {
    let field = if window.backwards { "before" } else { "after" };
    let (mark, column, key) = wanted.shape();
    let cursor = window.cursor.as_deref().map(|text| Cursor::decode(text, mark, &[key], field)).transpose()?;
    let mut sql = Sql::new(db.get_database_backend());
    let states = wanted.by_state().filter(|_| sql.postgres());
    if let Some(states) = &states {
        sql.push("SELECT o.* FROM ");
        for (column, list) in STATES.into_iter().zip(states) {
            sql.push("unnest(").texts(list.iter().copied()).push(&format!(") AS by_{column} ({column}) CROSS JOIN "));
        }
        sql.push("LATERAL (SELECT o.* FROM customer_order AS o WHERE true");
        for column in STATES {
            sql.push(&format!(" AND o.{column} = by_{column}.{column}"));
        }
        wanted.other_conditions(&mut sql);
    } else {
        sql.push("SELECT o.* FROM customer_order AS o WHERE true");
        wanted.conditions(&mut sql);
    }
    let up = window.backwards != wanted.reverse;
    let (compare, way) = if up { (">", "") } else { ("<", " DESC") };
    if let Some(Cursor { keys, id, .. }) = &cursor {
        sql.push(&format!(" AND ({column}, o.id) {compare} ("));
        match keys.first() {
            Some(Key::Time(at)) => sql.bind(*at),
            Some(Key::Int(number)) => sql.bind(*number),
            _ => return Err(Error::bad_input(field, "this is not a cursor of this list")),
        };
        sql.push(", ").bind(*id).push(")");
    }
    let first = |nulls: &str| format!(" ORDER BY {column}{way}{nulls}, o.id{way}{nulls} LIMIT {}", window.size + 1);
    if states.is_some() {
        // No value is null. The words make this the order of the index by state and of no other.
        sql.push(&first(if up { " NULLS FIRST" } else { " NULLS LAST" })).push(") AS o");
    }
    sql.push(&first(""));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Order::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(rows, window))
}

/// How many are wanted. One statement, in proportion to their number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(db: &impl ConnectionTrait, wanted: &Wanted) -> Result<i64> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT COUNT(*) AS many FROM customer_order AS o WHERE true");
    wanted.conditions(&mut sql);
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "many"))?)
}
