//! Sending an order off, all at once or parcel by parcel.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{
    Line, Order, OrderShipped,
    advance::{self, Target},
    find, history,
    history::Told,
    lifecycle::Step,
};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
    },
    infra::Tx,
    inventory::hold::{self, Short},
};

/// A parcel that goes off.
#[derive(Debug, Clone, Default)]
pub struct NewParcel {
    /// So many units of which lines; all that is left when nothing is said.
    pub lines: Option<Vec<(i64, i64)>>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// What they know it by.
    pub tracking_number: Option<String>,
    /// Where its way can be seen.
    pub tracking_url: Option<String>,
}

/// Sends a parcel off: what is in it leaves the shelf and the promises at once.
///
/// # Errors
/// When the order is not there or cannot be sent, or there is less of something than is to go.
pub async fn fulfil(tx: &Tx, target: Target, parcel: NewParcel) -> Result<(Order, i64)> {
    let order = advance::open(tx, target).await?;
    // Said before anything about its lines: what cannot be sent at all.
    order.status.take(Step::Fulfil { last: true }, order.payment_status)?;
    let mut lines = find::lines_of(tx, order.id).await?;
    let NewParcel { lines: wanted, carrier, tracking_number, tracking_url } = parcel;
    let wanted = match wanted {
        Some(wanted) => check(&lines, &wanted)?,
        None => lines.iter().map(|line| (line.id, line.unsent())).filter(|(_, quantity)| *quantity > 0).collect(),
    };
    if wanted.is_empty() {
        let message = "nothing is left to be sent";
        return Err(Error::user(Code::IllegalTransition, "input.lines", message));
    }
    take(tx, &order, &lines, &wanted).await?;
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO fulfilment (order_id, carrier, tracking_number, tracking_url, created_at, updated_at) VALUES (",
    );
    sql.bind(order.id).push(", ").bind(carrier).push(", ").bind(tracking_number).push(", ").bind(tracking_url);
    sql.push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(") RETURNING id");
    let row = tx.query_one_raw(sql.statement()).await?;
    let made: i64 =
        row.map_or_else(|| Err(Error::fault("sending an order", "no parcel")), |row| Ok(row.try_get_by(0)?))?;
    let columns = [("fulfilment_id", "bigint"), ("order_line_id", "bigint"), ("quantity", "bigint")];
    let rows = wanted.iter().map(|(line, quantity)| json!([made, line, quantity])).collect();
    let mut sql = tx.sql();
    sql.insert("fulfilment_line", &columns, rows);
    tx.execute_raw(sql.statement()).await?;
    for line in &mut lines {
        line.fulfilled += wanted.iter().find(|(key, _)| *key == line.id).map_or(0, |(_, quantity)| *quantity);
    }
    history::tell(tx, order.id, Told::Fulfilment, (None, true)).await?;
    let last = lines.iter().all(|line| line.unsent() == 0);
    let order = Order { fulfilment_status: advance::fulfilment(&lines), ..order };
    let order = advance::go(tx, order, Step::Fulfil { last }, None).await?;
    tx.emit(OrderShipped { order: order.id, fulfilment: made }).await?;
    Ok((order, made))
}

/// Whether each line is one of the order's, and has so many left to be sent.
fn check(lines: &[Line], wanted: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    let mut problems = Vec::new();
    let mut all: HashMap<i64, i64> = HashMap::new();
    for (at, (key, quantity)) in wanted.iter().enumerate() {
        let field = |name: &str| vec!["input".into(), "lines".into(), at.to_string(), name.to_owned()];
        let Some(line) = lines.iter().find(|line| line.id == *key) else {
            let message = "there is no such line of this order".to_owned();
            problems.push(Problem { code: Code::NotFound, field: field("lineId"), message });
            continue;
        };
        let sum = all.entry(*key).or_insert(0);
        *sum = sum.saturating_add(*quantity);
        if *quantity < 1 || *sum > line.unsent() {
            let message = format!("{} of {} are left to be sent", line.unsent(), line.sku);
            problems.push(Problem { code: Code::BadUserInput, field: field("quantity"), message });
        }
    }
    Error::all(problems)?;
    // In the order of the lines: each line once.
    Ok(lines.iter().filter_map(|line| Some((line.id, *all.get(&line.id)?))).collect())
}

/// Takes what is to go from the shelves.
async fn take(tx: &Tx, order: &Order, lines: &[Line], wanted: &[(i64, i64)]) -> Result<()> {
    let of = |key: i64| lines.iter().find(|line| line.id == key);
    let tracked = wanted.iter().filter_map(|(key, quantity)| {
        let line = of(*key).filter(|line| line.tracked)?;
        Some((line.id, line.variant_id?, *quantity))
    });
    let short = hold::send(tx, &tracked.collect::<Vec<_>>(), &format!("order {}", order.number)).await?;
    let problem = |short: &Short| {
        let sku = of(short.line).map_or("", |line| &line.sku);
        let message = format!("only {} of {sku} are there; the others were ordered before they came", short.left);
        Problem { code: Code::InsufficientStock, field: vec!["input".into(), "lines".into()], message }
    };
    Error::all(short.iter().map(problem).collect())
}
