//! Refunds: of everything that is left, of lines, or of an amount. Units that were not shipped are canceled with it, units
//! that came back return to stock.

use iso_currency::Currency;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Ask, Payment, PaymentState, Providers, entity, ledger, settle};
use crate::{
    base::{
        Error, Money, Result,
        error::{Code, Problem},
    },
    customer::Reach,
    infra::{
        Db, Sql, Tx,
        jobs::{Job, Outcome},
    },
    inventory::hold,
    order::{
        Line, Order, OrderRefunded, Status, advance, entity::Refund, find, history, history::Told, lifecycle::Step,
    },
};

/// Units of a line that the buyer does not pay for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefundLine {
    /// The line.
    pub line: i64,
    /// How many of them were shipped.
    pub fulfilled: i64,
    /// How many were not: they are canceled.
    pub unfulfilled: i64,
    /// Whether those that were shipped came back into stock.
    pub restock: bool,
}

impl RefundLine {
    const fn quantity(&self) -> i64 {
        self.fulfilled + self.unfulfilled
    }

    const fn returned(&self) -> i64 {
        if self.restock { self.fulfilled } else { 0 }
    }
}

/// Money that is to go back, once it is known how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRefund {
    /// How much, in minor units. Nothing, where nothing was paid: then only the lines are settled.
    pub amount: i64,
    /// How much of it is for the shipping.
    pub shipping: i64,
    /// What for.
    pub lines: Vec<RefundLine>,
    /// Why.
    pub reason: Option<String>,
}

/// What staff ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Units of lines; `None` for all that is left.
    pub lines: Option<Vec<RefundLine>>,
    /// How much; when it is not said, what the lines cost.
    pub amount: Option<i64>,
    /// Whether what sending cost goes back too.
    pub shipping: bool,
    /// Why.
    pub reason: Option<String>,
}

/// Asks a refund's provider to give the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayBack {
    /// The refund.
    pub refund: i64,
}

impl Job for PayBack {
    const KIND: &'static str = "payment.refund";
    const QUEUE: &'static str = "payment";
}

/// Gives money back for an order that is held.
///
/// # Errors
/// When nothing was paid, there is less left than is wanted, or a line has fewer units.
pub async fn wanted(tx: &Tx, order: Order, wanted: Wanted) -> Result<(Order, Option<i64>)> {
    let payment = entity::of_order(tx, order.id).await?;
    let Some(payment) = payment.filter(|payment| payment.status == PaymentState::Captured) else {
        let possible: Vec<_> = order.status.possible(order.payment_status).map(Step::name).collect();
        let message = format!("nothing has been paid yet that could go back; it can: {}", possible.join(", "));
        return Err(Error::user(Code::IllegalTransition, "id", message));
    };
    let left = ledger::left(tx, &payment).await?;
    let there = find::lines_of(tx, order.id).await?;
    let Wanted { lines, amount, shipping, reason } = wanted;
    let all = lines.is_none() && amount.is_none();
    let lines = match lines {
        Some(lines) => check_lines(&there, &lines)?,
        None if all => there.iter().filter(|line| line.refunded < line.quantity).map(whole).collect(),
        None => Vec::new(),
    };
    let shipping = match (shipping && !all, amount) {
        (true, Some(_)) => {
            let message = "an amount already says how much goes back; the shipping goes back beside lines";
            return Err(Error::bad_input("input.shipping", message));
        }
        (true, None) => shipping_left(tx, &order, &there).await?,
        (false, _) => 0,
    };
    let (amount, field) = match amount {
        Some(amount) => (amount, "input.amount"),
        None if all => (left, "id"),
        None => (worth(&there, &lines) + shipping, "input.lines"),
    };
    // Lines that cost nothing, and orders that did, are settled without money.
    let is_free = !lines.is_empty() && field != "input.amount" && (!all || payment.captured == 0);
    let least = i64::from(!is_free);
    if amount < least || amount > left {
        let decimal =
            |minor| Currency::from_code(&order.currency).map(|currency| Money::new(minor, currency).decimal());
        let [left, amount] =
            [left, amount].map(|minor| decimal(minor).map_or_else(|| minor.to_string(), |one| one.to_string()));
        let message = format!("at most {left} {} can be refunded; this comes to {amount}", order.currency);
        return Err(Error::bad_input(field, message));
    }
    begin(tx, order, payment, NewRefund { amount, shipping, lines, reason }).await
}

/// Returns what lines are worth together.
fn worth(there: &[Line], lines: &[RefundLine]) -> i64 {
    let share = |one: &RefundLine| {
        there.iter().find(|line| line.id == one.line).map_or(0, |line| line.refund_share(one.quantity()))
    };
    lines.iter().map(share).sum()
}

/// Returns what the shipping of an order cost, with its tax: it is refunded once.
async fn shipping_left(tx: &Tx, order: &Order, there: &[Line]) -> Result<i64> {
    let before = find::refunds(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    if before.iter().any(|refund| refund.shipping > 0 && refund.status != "failed") {
        return Err(Error::bad_input("input.shipping", "the shipping has been refunded already"));
    }
    Ok(order.total - there.iter().map(|line| line.total).sum::<i64>())
}

/// Everything of a line that has not gone back yet.
fn whole(line: &Line) -> RefundLine {
    RefundLine { line: line.id, fulfilled: line.kept(), unfulfilled: line.unsent(), restock: false }
}

/// Checks that each line belongs to the order, is named once, and has so many units of each kind.
///
/// # Errors
/// With everything that is wrong.
pub fn check_lines(there: &[Line], wanted: &[RefundLine]) -> Result<Vec<RefundLine>> {
    let mut problems = Vec::new();
    let mut lines: Vec<RefundLine> = Vec::new();
    for (at, one) in wanted.iter().enumerate() {
        let mut wrong = |code, name: &str, message: String| {
            let field = vec!["input".into(), "lines".into(), at.to_string(), name.to_owned()];
            problems.push(Problem { code, field, message });
        };
        let Some(line) = there.iter().find(|line| line.id == one.line) else {
            wrong(Code::NotFound, "lineId", "there is no such line of this order".into());
            continue;
        };
        let (kept, unsent) = (line.kept(), line.unsent());
        if lines.iter().any(|known| known.line == one.line) {
            wrong(Code::BadUserInput, "lineId", "this line is named twice".into());
        } else if !(0..=kept).contains(&one.fulfilled) {
            let message = format!("{kept} shipped units of {} are not refunded", line.sku);
            wrong(Code::BadUserInput, "quantityFulfilled", message);
        } else if !(0..=unsent).contains(&one.unfulfilled) {
            let message = format!("{unsent} units of {} are still to be shipped", line.sku);
            wrong(Code::BadUserInput, "quantityUnfulfilled", message);
        } else if one.quantity() == 0 {
            let message = "give quantityFulfilled for shipped units, quantityUnfulfilled for those not shipped".into();
            wrong(Code::BadUserInput, "quantityFulfilled", message);
        } else if one.restock && one.fulfilled == 0 {
            wrong(Code::BadUserInput, "restock", "only shipped units can come back into stock".into());
        } else {
            lines.push(*one);
        }
    }
    Error::all(problems)?;
    Ok(lines)
}

/// Writes down that money goes back, and what goes with it; the provider is asked after. Where no money goes back there is
/// nobody to ask, and no refund's key is returned. The order is held.
///
/// # Errors
/// When the database refuses.
pub async fn begin(tx: &Tx, order: Order, payment: Payment, new: NewRefund) -> Result<(Order, Option<i64>)> {
    let NewRefund { amount, shipping, lines, reason } = new;
    let status = if amount == 0 { "done" } else { "pending" };
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO refund (order_id, payment_id, amount, shipping, status, reason, created_at, updated_at) VALUES (",
    );
    sql.bind(order.id).push(", ").bind(payment.id).push(", ").bind(amount).push(", ").bind(shipping).push(", ");
    sql.bind(status).push(", ").bind(reason.as_deref()).push(", ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") RETURNING id");
    let row = tx.query_one_raw(sql.statement()).await?;
    let made: i64 =
        row.map_or_else(|| Err(Error::fault("giving money back", "no refund")), |row| Ok(row.try_get_by(0)?))?;
    if !lines.is_empty() {
        let columns = [
            ("refund_id", "bigint"),
            ("order_line_id", "bigint"),
            ("quantity", "bigint"),
            ("cancelled", "bigint"),
            ("returned", "bigint"),
        ];
        let row = |one: &RefundLine| json!([made, one.line, one.quantity(), one.unfulfilled, one.returned()]);
        let mut sql = tx.sql();
        sql.insert("refund_line", &columns, lines.iter().map(row).collect());
        tx.execute_raw(sql.statement()).await?;
        shelve(tx, &order, &lines).await?;
    }
    if amount == 0 {
        history::tell(tx, order.id, Told::Refund, (reason.as_deref(), true)).await?;
        return conclude(tx, order, Some(payment), reason.as_deref()).await.map(|order| (order, None));
    }
    let order = settle_lines(tx, order).await?;
    tx.enqueue(PayBack { refund: made }).await?;
    Ok((order, Some(made)))
}

/// Asks again for a refund that its provider refused, under a new key. Its lines are still those of the refund.
///
/// # Errors
/// When there is no such refund, it was not refused, or its money has gone back otherwise.
pub async fn retry(tx: &Tx, key: i64) -> Result<Order> {
    let refund = find_refund(tx, key).await?;
    let order = find::hold(tx, refund.order_id, Reach::All).await?;
    // Read again, now that nobody else changes it.
    let refund = find_refund(tx, key).await?;
    if refund.status != "failed" {
        return Err(Error::user(
            Code::IllegalTransition,
            "id",
            "this refund was not refused; only those are asked for again",
        ));
    }
    let payment = entity::of_order(tx, order.id).await?;
    let left = match &payment {
        Some(payment) => ledger::left(tx, payment).await?,
        None => 0,
    };
    let others = find::refunds(tx, &[order.id]).await?.remove(&order.id).unwrap_or_default();
    let shipping_gone = refund.shipping > 0 && others.iter().any(|one| one.shipping > 0 && one.status != "failed");
    if refund.amount > left || shipping_gone {
        let message = "its money has been refunded another way since; less is left than it comes to";
        return Err(Error::user(Code::IllegalTransition, "id", message));
    }
    let mut sql = tx.sql();
    sql.push("UPDATE refund SET status = 'pending', error = NULL, attempt = attempt + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE id = ").bind(key);
    tx.execute_raw(sql.statement()).await?;
    tx.enqueue(PayBack { refund: key }).await?;
    advance::store(tx, order).await
}

async fn find_refund(db: &impl ConnectionTrait, key: i64) -> Result<Refund> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT r.* FROM refund AS r WHERE r.id = ").bind(key);
    let row = db.query_one_raw(sql.statement()).await?.ok_or_else(|| Error::not_found("id", "refund"))?;
    Ok(Refund::from_query_result(&row, "")?)
}

/// Releases the stock of units that were not shipped, and puts back into stock what came back.
async fn shelve(tx: &Tx, order: &Order, lines: &[RefundLine]) -> Result<()> {
    let there = find::lines_of(tx, order.id).await?;
    let tracked = |key: i64| there.iter().find(|line| line.id == key && line.tracked);
    let unsent = lines.iter().filter(|one| one.unfulfilled > 0 && tracked(one.line).is_some());
    let free: Vec<_> = unsent.map(|one| (one.line, one.unfulfilled)).collect();
    if !free.is_empty() {
        hold::release(tx, &free).await?;
    }
    let back = lines.iter().filter(|one| one.returned() > 0);
    let back: Vec<_> = back.filter_map(|one| Some((tracked(one.line)?.variant_id?, one.returned()))).collect();
    if !back.is_empty() {
        hold::put_back(tx, &back, &format!("order {}", order.number)).await?;
    }
    Ok(())
}

/// Lines that will not be sent any more may leave nothing to be sent.
async fn settle_lines(tx: &Tx, order: Order) -> Result<Order> {
    let lines = find::lines_of(tx, order.id).await?;
    let order = Order { fulfilment_status: advance::fulfilment(&lines), ..order };
    let nothing_left = lines.iter().all(|line| line.unsent() == 0) && lines.iter().any(|line| line.fulfilled > 0);
    if nothing_left && order.status == Status::Processing {
        return advance::go(tx, order, Step::Fulfil { last: true }, None).await;
    }
    advance::store(tx, order).await
}

/// Ends an order of which nothing is paid for any more; any other goes on. An order that cost nothing ends when all its
/// units are refunded.
async fn conclude(tx: &Tx, order: Order, payment: Option<Payment>, reason: Option<&str>) -> Result<Order> {
    let captured = payment.as_ref().map_or(0, |payment| payment.captured);
    let is_refunded = payment.is_some_and(|payment| payment.refunded == payment.captured);
    let lines = find::lines_of(tx, order.id).await?;
    let all = is_refunded && (captured > 0 || lines.iter().all(|line| line.refunded == line.quantity));
    if !all || order.status.after(Step::Refund, order.payment_status).is_none() {
        return settle_lines(tx, order).await;
    }
    // Nobody pays for what was not sent yet, so it will not be.
    let kept: Vec<_> = lines.iter().filter(|line| line.tracked).map(|line| (line.id, line.unsent())).collect();
    hold::release(tx, &kept).await?;
    let order = Order { fulfilment_status: advance::fulfilment(&lines), ..order };
    advance::go(tx, order, Step::Refund, reason).await
}

/// Asks the provider to give a refund's money back, and writes down what it says. As a job: until there is an answer.
pub async fn work(db: &Db, providers: &Providers, job: PayBack) -> Outcome {
    match pay_back(db, providers, job.refund).await {
        Ok(Answer::Unknown { why }) => Outcome::Retry(why),
        Ok(Answer::Later { .. }) => Outcome::Retry("the provider has not given the money back yet".into()),
        Ok(_) => Outcome::Done,
        Err(why) => Outcome::from(Err(why)),
    }
}

/// Asks the provider, once more if need be: it gives money back once.
///
/// # Errors
/// When the refund is not there, or the database refuses.
pub async fn pay_back(db: &Db, providers: &Providers, key: i64) -> Result<Answer> {
    let refund = find_refund(db, key).await?;
    if refund.status != "pending" {
        return Ok(Answer::Done { reference: format!("refund-{key}") });
    }
    let (order, payment) = db.write(async |tx| settle::open(tx, refund.order_id).await).await?;
    // A provider repeats its answer to a key: what it refused is asked for under another one.
    let again = if refund.attempt > 1 { format!("-{}", refund.attempt) } else { String::new() };
    let ask = Ask { key: format!("refund-{key}{again}"), amount: refund.amount, ..settle::ask_of(&order, &payment) };
    let answer = providers.of(&payment.provider)?.refund(ask).await;
    db.write_with_retry(|| async |tx| answered(tx, &refund, &answer).await).await?;
    Ok(answer)
}

/// What follows from a provider's answer to a refund. The same answer twice is the same as once.
///
/// # Errors
/// When the database refuses.
pub async fn answered(tx: &Tx, refund: &Refund, answer: &Answer) -> Result<Order> {
    let order = find::hold(tx, refund.order_id, Reach::All).await?;
    let (status, error) = match answer {
        Answer::Done { .. } | Answer::Authorised { .. } => ("done", None),
        Answer::Refused { why } => ("failed", Some(why.as_str())),
        Answer::Later { .. } | Answer::Unknown { .. } => return Ok(order),
    };
    let mut sql = tx.sql();
    sql.push("UPDATE refund SET status = ").bind(status).push(", error = ").bind(error).push(", updated_at = ");
    sql.bind(tx.now()).push(" WHERE status = 'pending' AND id = ").bind(refund.id);
    sql.push(" AND attempt = ").bind(refund.attempt);
    if tx.execute_raw(sql.statement()).await?.rows_affected() == 0 {
        return Ok(order);
    }
    if status == "failed" {
        history::tell(tx, order.id, Told::Refund, (error, false)).await?;
        return advance::store(tx, order).await;
    }
    ledger::enter(tx, refund.payment_id, ("refund", refund.amount), &format!("refund-{}", refund.id)).await?;
    let payment = entity::of_order(tx, order.id).await?;
    let order = Order { payment_status: ledger::status(payment.as_ref()), ..order };
    history::tell(tx, order.id, Told::Refund, (refund.reason.as_deref(), true)).await?;
    let order = conclude(tx, order, payment, refund.reason.as_deref()).await?;
    tx.emit(OrderRefunded { order: order.id, refund: refund.id }).await?;
    Ok(order)
}
