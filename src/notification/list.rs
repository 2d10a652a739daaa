//! Lists of messages for staff, the newest first. One statement a page, each condition on an index of its own.

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{Channel, Occasion, message::Model};
use crate::{
    base::{
        Error, Result,
        page::{Cursor, Page, Window},
    },
    infra::Sql,
};

/// The mark in cursors.
const ORDER: char = 'm';
/// The longest recipient to look for. Characters.
const RECIPIENT_LIMIT: usize = 254;

/// Which messages are wanted. Everything said must hold; what is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What became of it.
    pub state: Option<&'static str>,
    /// By which way.
    pub channel: Option<Channel>,
    /// What it tells of.
    pub occasion: Option<Occasion>,
    /// About this order.
    pub order: Option<i64>,
    /// To this customer.
    pub account: Option<i64>,
    /// To this address or number, exactly; case does not matter.
    pub recipient: Option<String>,
}

impl Wanted {
    /// Whether it can be looked for.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(mut self) -> Result<Self> {
        self.recipient = self.recipient.map(|text| text.trim().to_lowercase());
        if self.recipient.as_ref().is_some_and(|text| text.chars().count() > RECIPIENT_LIMIT) {
            return Err(Error::bad_input("filter.recipient", format!("at most {RECIPIENT_LIMIT} characters")));
        }
        Ok(self)
    }

    fn conditions(&self, sql: &mut Sql) {
        let Self { state, channel, occasion, order, account, recipient } = self;
        sql.push(" FROM message WHERE true");
        let words = [
            ("state", *state),
            ("channel", channel.map(Channel::name)),
            ("occasion", occasion.map(Occasion::name)),
            ("lower(recipient)", recipient.as_deref()),
        ];
        for (column, wanted) in words {
            if let Some(wanted) = wanted {
                sql.push(&format!(" AND {column} = ")).bind(wanted);
            }
        }
        for (column, wanted) in [("order_id", order), ("account_id", account)] {
            if let Some(wanted) = wanted {
                sql.push(&format!(" AND {column} = ")).bind(*wanted);
            }
        }
    }
}

/// One page. One statement.
///
/// # Errors
/// When the cursor is not one of this list, or the database cannot be asked.
pub async fn page(db: &impl ConnectionTrait, wanted: &Wanted, window: &Window) -> Result<Page<Model>> {
    let field = if window.backwards { "before" } else { "after" };
    let cursor = window.cursor.as_deref().map(|text| Cursor::decode(text, ORDER, &[], field)).transpose()?;
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT *");
    wanted.conditions(&mut sql);
    let (compare, way) = if window.backwards { (">", "") } else { ("<", " DESC") };
    if let Some(cursor) = cursor {
        sql.push(&format!(" AND id {compare} ")).bind(cursor.id);
    }
    sql.push(&format!(" ORDER BY id{way} LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
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

/// The place of a message in the list.
#[must_use]
pub fn cursor(row: &Model) -> String {
    Cursor { order: ORDER, keys: Vec::new(), id: row.id }.encode()
}
