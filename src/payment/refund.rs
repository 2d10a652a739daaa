//! Giving money back: all of it, for lines, or an amount. What of it was never sent is not sent any more.

use serde::{Deserialize, Serialize};
use serde_json::json;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{Answer, Ask, Payment, PaymentState, Providers, entity, ledger, settle};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
    },
    customer::Reach,
    infra::{
        Db, Tx,
        jobs::{Job, Outcome},
    },
    inventory::hold,
    order::{
        Line, Order, OrderRefunded, Status, advance, entity::Refund, find, history, history::Told, lifecycle::Step,
    },
};

/// Units of a line whose money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundLine {
    /// The line.
    pub line: i64,
    /// How many.
    pub quantity: i64,
    /// Whether those that were sent are back on the shelf.
    pub restock: bool,
}

/// Money that is to go back, once it is known how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRefund {
    /// How much.
    pub amount: i64,
    /// What for: units with how many of them were never sent.
    pub lines: Vec<(RefundLine, i64)>,
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
pub async fn wanted(tx: &Tx, order: Order, wanted: Wanted) -> Result<(Order, i64)> {
    let payment = entity::of_order(tx, order.id).await?;
    let Some(payment) = payment.filter(|payment| payment.status == PaymentState::Captured) else {
        let possible: Vec<_> = order.status.possible().filter(|step| *step != Step::Refund).map(Step::name).collect();
        let message = format!("nothing has been paid yet that could go back; it can: {}", possible.join(", "));
        return Err(Error::user(Code::IllegalTransition, "id", message));
    };
    let left = ledger::left(tx, &payment).await?;
    let Wanted { lines, amount, shipping, reason } = wanted;
    let all = lines.is_none() && amount.is_none();
    let there = find::lines_of(tx, order.id).await?;
    let lines = match lines {
        Some(lines) => check(&there, &lines)?,
        None if all => there.iter().filter(|line| line.refunded < line.quantity).map(whole).collect(),
        None => Vec::new(),
    };
    let sent_for = if shipping { order.total - there.iter().map(|line| line.total).sum::<i64>() } else { 0 };
    let worth =
        |(one, _): &(RefundLine, i64)| there.iter().find(|l| l.id == one.line).map_or(0, |l| share(l, one.quantity));
    let amount = match amount {
        Some(amount) => amount,
        None if all => left,
        None => lines.iter().map(worth).sum::<i64>() + sent_for,
    };
    if amount < 1 || amount > left {
        let message = format!("from 1 to {left} minor units can go back; {amount} are wanted");
        return Err(Error::bad_input("input.amount", message));
    }
    begin(tx, order, payment, NewRefund { amount, lines, reason }).await
}

/// What so many more units of a line cost, so that all of them together come to its total.
fn share(line: &Line, quantity: i64) -> i64 {
    let up_to = |units: i64| i128::from(line.total) * i128::from(units) / i128::from(line.quantity.max(1));
    i64::try_from(up_to(line.refunded + quantity) - up_to(line.refunded)).unwrap_or(0)
}

/// Everything of a line that has not gone back yet.
fn whole(line: &Line) -> (RefundLine, i64) {
    let quantity = line.quantity - line.refunded;
    (RefundLine { line: line.id, quantity, restock: false }, line.unsent().min(quantity))
}

fn check(there: &[Line], wanted: &[RefundLine]) -> Result<Vec<(RefundLine, i64)>> {
    let mut problems = Vec::new();
    let mut lines: Vec<(RefundLine, i64)> = Vec::new();
    for (at, one) in wanted.iter().enumerate() {
        let mut wrong = |code, name: &str, message: String| {
            let field = vec!["input".into(), "lines".into(), at.to_string(), name.to_owned()];
            problems.push(Problem { code, field, message });
        };
        let Some(line) = there.iter().find(|line| line.id == one.line) else {
            wrong(Code::NotFound, "lineId", "there is no such line of this order".into());
            continue;
        };
        if lines.iter().any(|(known, _)| known.line == one.line) {
            wrong(Code::BadUserInput, "lineId", "this line is named twice".into());
        } else if one.quantity < 1 || one.quantity > line.quantity - line.refunded {
            let message = format!("{} of {} can go back", line.quantity - line.refunded, line.sku);
            wrong(Code::BadUserInput, "quantity", message);
        } else {
            lines.push((*one, line.unsent().min(one.quantity)));
        }
    }
    Error::all(problems)?;
    Ok(lines)
}

/// Writes down that money goes back, and what goes with it; the provider is asked after. The order is held.
///
/// # Errors
/// When the database refuses.
pub async fn begin(tx: &Tx, order: Order, payment: Payment, new: NewRefund) -> Result<(Order, i64)> {
    let NewRefund { amount, lines, reason } = new;
    let mut sql = tx.sql();
    sql.push("INSERT INTO refund (order_id, payment_id, amount, status, reason, created_at, updated_at) VALUES (");
    sql.bind(order.id)
        .push(", ")
        .bind(payment.id)
        .push(", ")
        .bind(amount)
        .push(", 'pending', ")
        .bind(reason.as_deref());
    sql.push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(") RETURNING id");
    let row = tx.query_one_raw(sql.statement()).await?;
    let made: i64 =
        row.map_or_else(|| Err(Error::fault("giving money back", "no refund")), |row| Ok(row.try_get_by(0)?))?;
    if !lines.is_empty() {
        let columns = [
            ("refund_id", "bigint"),
            ("order_line_id", "bigint"),
            ("quantity", "bigint"),
            ("cancelled", "bigint"),
            ("restocked", "boolean"),
        ];
        let row = |(one, unsent): &(RefundLine, i64)| json!([made, one.line, one.quantity, unsent, one.restock]);
        let mut sql = tx.sql();
        sql.insert("refund_line", &columns, lines.iter().map(row).collect());
        tx.execute_raw(sql.statement()).await?;
        shelve(tx, &order, &lines).await?;
    }
    let order = settle_lines(tx, order).await?;
    tx.enqueue(PayBack { refund: made }).await?;
    Ok((order, made))
}

/// What was never sent is free again; what came back lies on the shelf.
async fn shelve(tx: &Tx, order: &Order, lines: &[(RefundLine, i64)]) -> Result<()> {
    let there = find::lines_of(tx, order.id).await?;
    let tracked = |key: i64| there.iter().find(|line| line.id == key && line.tracked);
    let unsent = lines.iter().filter(|(one, unsent)| *unsent > 0 && tracked(one.line).is_some());
    let free: Vec<_> = unsent.map(|(one, unsent)| (one.line, *unsent)).collect();
    if !free.is_empty() {
        hold::release(tx, &free).await?;
    }
    let back = lines
        .iter()
        .filter(|(one, unsent)| one.restock && one.quantity > *unsent)
        .filter_map(|(one, unsent)| Some((tracked(one.line)?.variant_id?, one.quantity - unsent)));
    let back: Vec<_> = back.collect();
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
    let mut sql = db.sql();
    sql.push("SELECT r.* FROM refund AS r WHERE r.id = ").bind(key);
    let row = db.query_one_raw(sql.statement()).await?.ok_or_else(|| Error::not_found("id", "refund"))?;
    let refund = Refund::from_query_result(&row, "")?;
    if refund.status != "pending" {
        return Ok(Answer::Done { reference: format!("refund-{key}") });
    }
    let (order, payment) = db.write(async |tx| settle::open(tx, refund.order_id).await).await?;
    let ask = Ask { key: format!("refund-{key}"), amount: refund.amount, ..settle::ask_of(&order, &payment) };
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
    let all = payment.is_some_and(|payment| payment.refunded == payment.captured);
    let order = if all && order.status.after(Step::Refund).is_some() {
        // Nobody pays for what was not sent yet, so it will not be.
        let lines = find::lines_of(tx, order.id).await?;
        let kept: Vec<_> = lines.iter().filter(|line| line.tracked).map(|line| (line.id, line.unsent())).collect();
        hold::release(tx, &kept).await?;
        advance::go(tx, order, Step::Refund, refund.reason.as_deref()).await?
    } else {
        advance::store(tx, order).await?
    };
    tx.emit(OrderRefunded { order: order.id, refund: refund.id }).await?;
    Ok(order)
}
