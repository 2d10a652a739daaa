//! Lines of a cart: added to, set, removed. A constant number of statements for any number of lines.

use std::collections::{HashMap, HashSet};

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    entity::{Line, cart},
    hold::{Contents, Held, Target, contents, hold},
};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
        money::MAX_MINOR,
    },
    infra::{Sql, Tx},
    pricing::{Obstacle, Offer, quote::MOST},
};

/// More lines no cart has.
pub const LINES: usize = 200;

/// So many of a variant, as a shopper asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The variant.
    pub variant: i64,
    /// How many.
    pub quantity: i64,
}

/// What is to be done with wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// So many more.
    Add,
    /// So many, of what is there.
    Set,
}

/// Puts things into a cart, or says how many there are to be of what is there. All wishes, or none.
///
/// # Errors
/// When the cart cannot be changed, or with everything that is wrong with the wishes.
pub async fn change(tx: &Tx, target: Target<'_>, wishes: &[Wish], how: How) -> Result<Held> {
    let row = hold(tx, target).await?;
    fill(tx, row, wishes, (how, "lines")).await
}

/// The same with a cart that is held; `at` is where the wishes stand. Two statements on PostgreSQL, three on SQLite.
///
/// # Errors
/// With everything that is wrong with the wishes.
pub async fn fill(tx: &Tx, row: cart::Model, wishes: &[Wish], (how, at): (How, &str)) -> Result<Held> {
    if wishes.is_empty() || wishes.len() > LINES {
        return Err(Error::bad_input(at, format!("give from 1 to {LINES} lines; there are {}", wishes.len())));
    }
    let wanted: Vec<i64> = wishes.iter().map(|wish| wish.variant).collect();
    let Contents { lines: there, offers } = contents(tx, (row.id, &wanted), tx.now()).await?;
    let (lines, changed) = Desk { at, how, offers: &offers, problems: Vec::new() }.lay(&there, wishes)?;
    if changed.is_empty() {
        return Ok(Held { row, contents: Contents { lines: there, offers } });
    }
    let touched: Vec<Line> = lines.iter().filter(|line| changed.contains(&line.variant_id)).copied().collect();
    let row = store(tx, row, &touched).await?;
    Ok(Held { row, contents: Contents { lines, offers } })
}

/// Takes variants out of a cart. One that is not there is out of it already.
///
/// # Errors
/// When the cart cannot be changed.
pub async fn remove(tx: &Tx, target: Target<'_>, variants: &[i64]) -> Result<Held> {
    if variants.len() > LINES {
        return Err(Error::bad_input("variantIds", format!("at most {LINES} ids; there are {}", variants.len())));
    }
    let row = hold(tx, target).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart_line WHERE cart_id = ").bind(row.id).push(" AND ");
    sql.any("variant_id", variants.iter().copied());
    empty(tx, row, sql).await
}

/// Takes everything out of a cart. Addresses and what else was said stay.
///
/// # Errors
/// When the cart cannot be changed.
pub async fn clear(tx: &Tx, target: Target<'_>) -> Result<Held> {
    let row = hold(tx, target).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart_line WHERE cart_id = ").bind(row.id);
    empty(tx, row, sql).await
}

/// Takes lines out of a cart that is held. What is left is read in the same transaction, so that it is what belongs to
/// the version.
async fn empty(tx: &Tx, row: cart::Model, sql: Sql) -> Result<Held> {
    let gone = tx.execute_raw(sql.statement()).await?.rows_affected();
    let row = if gone == 0 { row } else { touch(tx, row).await? };
    Held::read(tx, row).await
}

/// Counts a change of a cart that is held.
async fn touch(tx: &Tx, row: cart::Model) -> Result<cart::Model> {
    let mut sql = tx.sql();
    count_change(&mut sql, tx, &row);
    tx.execute_raw(sql.statement()).await?;
    Ok(counted(tx, row))
}

fn count_change(sql: &mut Sql, tx: &Tx, row: &cart::Model) {
    sql.push("UPDATE cart SET version = version + 1, updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(row.id);
}

/// The row as it is once its change is counted: nobody else changes it while it is held.
fn counted(tx: &Tx, row: cart::Model) -> cart::Model {
    cart::Model { version: row.version + 1, updated_at: tx.now(), ..row }
}

/// Writes lines of a cart that is held and counts the change. One statement on PostgreSQL, two on SQLite.
async fn store(tx: &Tx, row: cart::Model, lines: &[Line]) -> Result<cart::Model> {
    let mut sql = tx.sql();
    if !sql.postgres() {
        write(tx, row.id, lines).await?;
        return touch(tx, row).await;
    }
    sql.push("WITH counted AS (");
    count_change(&mut sql, tx, &row);
    sql.push(") ");
    upsert(&mut sql, tx, row.id, lines);
    tx.execute_raw(sql.statement()).await?;
    Ok(counted(tx, row))
}

/// Writes lines of a cart that is held, new or not. One statement.
///
/// # Errors
/// When the database refuses.
pub(super) async fn write(tx: &Tx, cart: i64, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    upsert(&mut sql, tx, cart, lines);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

fn upsert(sql: &mut Sql, tx: &Tx, cart: i64, lines: &[Line]) {
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let row = |line: &Line| -> Value {
        json!([cart, line.variant_id, line.position, line.quantity, line.unit_price, now, now])
    };
    let columns = [
        ("cart_id", "bigint"),
        ("variant_id", "bigint"),
        ("position", "int"),
        ("quantity", "bigint"),
        ("unit_price", "bigint"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    sql.insert("cart_line", &columns, lines.iter().map(row).collect()).push(
        " ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity, \
         unit_price = excluded.unit_price, updated_at = excluded.updated_at",
    );
}

/// Lays wishes over lines, and gathers what is wrong with them. Pure.
struct Desk<'a> {
    at: &'a str,
    how: How,
    offers: &'a HashMap<i64, Offer>,
    problems: Vec<Problem>,
}

impl Desk<'_> {
    /// The lines as they are to be, and the variants whose lines change.
    fn lay(mut self, there: &[Line], wishes: &[Wish]) -> Result<(Vec<Line>, HashSet<i64>)> {
        let mut lines = there.to_vec();
        let mut places: HashMap<i64, usize> =
            there.iter().enumerate().map(|(place, line)| (line.variant_id, place)).collect();
        let mut next = there.iter().map(|line| line.position).max().map_or(0, |last| last.saturating_add(1));
        let mut asked = HashSet::new();
        for (number, wish) in wishes.iter().enumerate() {
            let again = !asked.insert(wish.variant);
            let place = places.get(&wish.variant).copied();
            let has = place.map_or(0, |place| lines[place].quantity);
            // What is set twice in one call is to be so many together, like what is added twice.
            let base = if self.how == How::Add || again { has } else { 0 };
            if self.how == How::Set && place.is_none() && self.offers.contains_key(&wish.variant) {
                self.wrong(number, "variantId", Code::NotFound, "this is not in the cart; add it instead");
                continue;
            }
            let Some((offer, quantity)) = self.judge(number, *wish, base) else { continue };
            let unit_price = offer.unit;
            if let Some(place) = place {
                lines[place] = Line { quantity, unit_price, ..lines[place] };
            } else {
                places.insert(wish.variant, lines.len());
                lines.push(Line { variant_id: wish.variant, position: next, quantity, unit_price });
                next = next.saturating_add(1);
            }
        }
        if lines.len() > LINES {
            self.whole(format!("a cart has at most {LINES} lines; this one would have {}", lines.len()));
        }
        let worth = |line: &Line| self.offers.get(&line.variant_id).map_or(0, |offer| i128::from(offer.list));
        let worth: i128 = lines.iter().map(|line| worth(line) * i128::from(line.quantity)).sum();
        // Room is left for tax.
        if worth > i128::from(MAX_MINOR / 2) {
            self.whole("this comes to more than the shop can count; take fewer".to_owned());
        }
        Error::all(self.problems)?;
        let before: HashMap<i64, &Line> = there.iter().map(|line| (line.variant_id, line)).collect();
        let changed = lines.iter().filter(|line| before.get(&line.variant_id) != Some(line));
        let changed = changed.map(|line| line.variant_id).collect();
        Ok((lines, changed))
    }

    /// Whether a line can have what it has and what is wished for; what it then has.
    fn judge(&mut self, number: usize, wish: Wish, base: i64) -> Option<(&Offer, i64)> {
        if !(1..=MOST).contains(&wish.quantity) {
            self.wrong(number, "quantity", Code::BadUserInput, format!("a quantity is from 1 to {MOST}"));
            return None;
        }
        let quantity = base + wish.quantity;
        let Some(offer) = self.offers.get(&wish.variant) else {
            self.wrong(number, "variantId", Code::NotFound, "there is no such variant");
            return None;
        };
        match offer.obstacle(quantity) {
            Some(Obstacle::Gone) => {
                self.wrong(number, "variantId", Code::ProductNotAvailable, "the shop does not sell this");
            }
            Some(Obstacle::SoldOut) => {
                self.wrong(number, "quantity", Code::InsufficientStock, "this is sold out: 0 are left");
            }
            Some(Obstacle::Fewer(left)) => {
                let has = if base > 0 { format!("; the cart has {base}") } else { String::new() };
                self.wrong(number, "quantity", Code::InsufficientStock, format!("only {left} are left{has}"));
            }
            None if quantity > MOST => {
                let message = format!("a cart has at most {MOST} of one thing; this would make {quantity}");
                self.wrong(number, "quantity", Code::BadUserInput, message);
            }
            None => return Some((offer, quantity)),
        }
        None
    }

    fn wrong(&mut self, number: usize, field: &str, code: Code, message: impl Into<String>) {
        let number = number.to_string();
        let field = self.at.split('.').chain([number.as_str(), field]).map(str::to_owned).collect();
        self.problems.push(Problem { code, field, message: message.into() });
    }

    fn whole(&mut self, message: String) {
        let field = self.at.split('.').map(str::to_owned).collect();
        self.problems.push(Problem { code: Code::BadUserInput, field, message });
    }
}
