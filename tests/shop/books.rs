//! A shop on paper: what stock, orders and money must come to, as plainly as it can be said.

mod units;

use super::Says;

/// What a step answers on paper: nothing, or the code of what stands in its way.
pub type Outcome<T = ()> = Result<T, &'static str>;

/// One variant, at two locations.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    pub price: i64,
    pub on_hand: [i64; 2],
    pub reserved: [i64; 2],
    pub backorder: bool,
}

impl Shelf {
    pub fn free(&self) -> i64 {
        (0..2).map(|at| self.free_at(at)).sum()
    }

    fn free_at(&self, at: usize) -> i64 {
        self.on_hand[at] - self.reserved[at]
    }

    /// Takes so many where they are free, as many as there are; how many at each location.
    fn take(&self, wanted: i64) -> [i64; 2] {
        let here = wanted.min(self.free_at(0));
        [here, (wanted - here).min(self.free_at(1))]
    }
}

/// Units of one variant in an order.
#[derive(Debug, Clone)]
pub struct Part {
    pub variant: usize,
    pub quantity: i64,
    pub price: i64,
    pub held: [i64; 2],
    pub fulfilled: i64,
    pub refunded: i64,
    pub cancelled: i64,
    pub returned: i64,
}

impl Part {
    pub fn unsent(&self) -> i64 {
        self.quantity - self.fulfilled - self.cancelled
    }

    /// Shipped units whose money has not gone back.
    fn kept(&self) -> i64 {
        self.fulfilled - (self.refunded - self.cancelled)
    }
}

/// Units of a part that the buyer gets money back for.
#[derive(Debug, Clone, Copy)]
pub struct Back {
    pub part: usize,
    pub sent: i64,
    pub unsent: i64,
    pub restock: bool,
}

/// Where the money of an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    Awaited,
    Promised,
    Taken,
    Gone,
}

/// An order.
#[derive(Debug, Clone)]
pub struct Sale {
    pub status: &'static str,
    pub money: Money,
    /// What is to be paid: less once units are canceled that are not paid.
    pub total: i64,
    pub refunded: i64,
    /// Paid by hand: staff vouch for it.
    pub by_hand: bool,
    pub ends: Option<i64>,
    pub parts: Vec<Part>,
}

impl Sale {
    pub fn captured(&self) -> i64 {
        if self.money == Money::Taken { self.total } else { 0 }
    }

    pub fn payment(&self) -> &'static str {
        match self.money {
            Money::Awaited => "PENDING",
            Money::Promised => "AUTHORISED",
            Money::Gone => "VOIDED",
            Money::Taken if self.refunded == 0 => "PAID",
            Money::Taken if self.refunded < self.total => "PARTIALLY_REFUNDED",
            Money::Taken => "REFUNDED",
        }
    }

    pub fn fulfilment(&self) -> &'static str {
        if self.parts.iter().all(|part| part.fulfilled == 0) {
            "UNFULFILLED"
        } else if self.all_sent() {
            "FULFILLED"
        } else {
            "PARTIAL"
        }
    }

    fn all_sent(&self) -> bool {
        self.parts.iter().all(|part| part.unsent() == 0)
    }
}

/// The shop on paper.
#[derive(Debug, Clone, Default)]
pub struct Books {
    pub shelves: Vec<Shelf>,
    pub sales: Vec<Sale>,
    /// Minutes since the shop opened.
    pub now: i64,
}

impl Books {
    /// Somebody orders, and pays at the door (`None`) or through a bank that says so.
    pub fn order(&mut self, items: &[(usize, i64)], bank: Option<Says>) -> Outcome<usize> {
        let mut wants = vec![0; self.shelves.len()];
        for (variant, quantity) in items {
            wants[*variant] += quantity;
        }
        if self.is_short(&wants) {
            // What is overdue is free for whoever wants it.
            let wanted = |sale: &Sale| sale.parts.iter().any(|part| wants[part.variant] > 0 && part.held != [0, 0]);
            self.end_overdue(wanted);
            if self.is_short(&wants) {
                return Err("INSUFFICIENT_STOCK");
            }
        }
        let mut parts = Vec::new();
        for (variant, quantity) in wants.into_iter().enumerate().filter(|(_, quantity)| *quantity > 0) {
            let board = &mut self.shelves[variant];
            let held = board.take(quantity);
            (0..2).for_each(|at| board.reserved[at] += held[at]);
            let price = board.price;
            parts.push(Part { variant, quantity, price, held, fulfilled: 0, refunded: 0, cancelled: 0, returned: 0 });
        }
        let total = parts.iter().map(|part| part.price * part.quantity).sum();
        let (status, money, ends) = match bank {
            None => ("PENDING", Money::Awaited, Some(self.now + 24 * 60)),
            Some(Says::Authorised) => ("CONFIRMED", Money::Promised, None),
            Some(Says::Done) => ("CONFIRMED", Money::Taken, None),
            Some(_) => ("PENDING", Money::Awaited, Some(self.now + 15)),
        };
        self.sales.push(Sale { status, money, total, refunded: 0, by_hand: bank.is_none(), ends, parts });
        let made = self.sales.len() - 1;
        if bank == Some(Says::Refused) {
            self.end(made);
        }
        Ok(made)
    }

    fn is_short(&self, wants: &[i64]) -> bool {
        self.shelves.iter().zip(wants).any(|(board, wanted)| !board.backorder && board.free() < *wanted)
    }

    pub fn confirm(&mut self, sale: usize) -> Outcome {
        let sale = &mut self.sales[sale];
        if sale.status != "PENDING" || (sale.money == Money::Awaited && !sale.by_hand) {
            return Err("ILLEGAL_TRANSITION");
        }
        (sale.status, sale.money, sale.ends) = ("CONFIRMED", Money::Promised, None);
        Ok(())
    }

    /// Sends so many of which lines, or all that is left.
    pub fn fulfil(&mut self, sale: usize, wanted: Option<&[(usize, i64)]>) -> Outcome {
        let (sale, shelves) = (&mut self.sales[sale], &mut self.shelves);
        if !["CONFIRMED", "PROCESSING"].contains(&sale.status) {
            return Err("ILLEGAL_TRANSITION");
        }
        let all = sale.parts.iter().map(Part::unsent).enumerate().filter(|(_, left)| *left > 0).collect::<Vec<_>>();
        let wanted = wanted.map_or(all, <[_]>::to_vec);
        if wanted.is_empty() {
            return Err("ILLEGAL_TRANSITION");
        }
        if wanted.iter().any(|(part, quantity)| *quantity > sale.parts[*part].unsent()) {
            return Err("VALIDATION_ERROR");
        }
        let short = |(part, quantity): &(usize, i64)| {
            let part = &sale.parts[*part];
            shelves[part.variant].free() < quantity - part.held.iter().sum::<i64>()
        };
        if wanted.iter().any(short) {
            return Err("INSUFFICIENT_STOCK");
        }
        for (part, quantity) in wanted {
            let part = &mut sale.parts[part];
            let board = &mut shelves[part.variant];
            let kept = drop_held(part, board, quantity);
            (0..2).for_each(|at| board.on_hand[at] -= kept[at]);
            let more = board.take(quantity - kept[0] - kept[1]);
            (0..2).for_each(|at| board.on_hand[at] -= more[at]);
            part.fulfilled += quantity;
        }
        sale.status = if sale.all_sent() { "SHIPPED" } else { "PROCESSING" };
        Ok(())
    }

    pub fn deliver(&mut self, sale: usize) -> Outcome {
        if self.sales[sale].status != "SHIPPED" {
            return Err("ILLEGAL_TRANSITION");
        }
        self.sales[sale].status = "DELIVERED";
        Ok(())
    }

    pub fn capture(&mut self, sale: usize) -> Outcome {
        let sale = &mut self.sales[sale];
        match sale.money {
            Money::Taken => return Ok(()),
            Money::Promised if sale.status != "CANCELLED" => {}
            Money::Awaited if sale.by_hand && sale.status != "CANCELLED" => {}
            _ => return Err("ILLEGAL_TRANSITION"),
        }
        sale.money = Money::Taken;
        sale.ends = None;
        if sale.status == "PENDING" {
            sale.status = "CONFIRMED";
        }
        Ok(())
    }

    /// Money comes that was awaited, or that nobody awaits any more.
    pub fn paid_late(&mut self, sale: usize) {
        let sale = &mut self.sales[sale];
        sale.money = Money::Taken;
        sale.ends = None;
        if sale.status == "CANCELLED" {
            sale.refunded = sale.total;
        } else {
            sale.status = "CONFIRMED";
        }
    }

    /// Gives money back: for lines, an amount, or all that is left of both.
    pub fn refund(&mut self, sale: usize, lines: Option<&[Back]>, amount: Option<i64>) -> Outcome {
        let (sale, shelves) = (&mut self.sales[sale], &mut self.shelves);
        if sale.money != Money::Taken {
            return Err("ILLEGAL_TRANSITION");
        }
        let left = sale.total - sale.refunded;
        let rest =
            |(at, part): (usize, &Part)| Back { part: at, sent: part.kept(), unsent: part.unsent(), restock: false };
        let (lines, amount) = match (lines, amount) {
            (Some(lines), _) => {
                let wrong = |one: &Back| {
                    let part = &sale.parts[one.part];
                    one.sent > part.kept() || one.unsent > part.unsent() || (one.restock && one.sent == 0)
                };
                if lines.iter().any(|one| wrong(one) || one.sent + one.unsent == 0) {
                    return Err("VALIDATION_ERROR");
                }
                (lines.to_vec(), lines.iter().map(|one| sale.parts[one.part].price * (one.sent + one.unsent)).sum())
            }
            (None, Some(amount)) => (Vec::new(), amount),
            (None, None) => (sale.parts.iter().enumerate().map(rest).collect(), left),
        };
        if amount < 1 || amount > left {
            return Err("VALIDATION_ERROR");
        }
        for Back { part, sent, unsent, restock } in lines {
            let part = &mut sale.parts[part];
            drop_held(part, &mut shelves[part.variant], unsent);
            part.refunded += sent + unsent;
            part.cancelled += unsent;
            if restock {
                part.returned += sent;
                shelves[part.variant].on_hand[0] += sent;
            }
        }
        if sale.status == "PROCESSING" && sale.all_sent() {
            sale.status = "SHIPPED";
        }
        sale.refunded += amount;
        if sale.refunded == sale.total && sale.status != "CANCELLED" {
            sale.status = "REFUNDED";
            sale.parts.iter_mut().for_each(|part| let_go(part, shelves));
        }
        Ok(())
    }

    pub fn adjust(&mut self, variant: usize, at: usize, delta: i64) -> Outcome {
        let board = &mut self.shelves[variant];
        if board.on_hand[at] + delta < board.reserved[at] {
            return Err("INSUFFICIENT_STOCK");
        }
        board.on_hand[at] += delta;
        Ok(())
    }

    pub fn count(&mut self, variant: usize, at: usize, (quantity, expected): (i64, i64)) -> Outcome {
        if self.shelves[variant].on_hand[at] != expected {
            return Err("VERSION_CONFLICT");
        }
        self.adjust(variant, at, quantity - expected)
    }

    pub fn transfer(&mut self, variant: usize, (from, to): (usize, usize), quantity: i64) -> Outcome {
        self.adjust(variant, from, -quantity)?;
        self.adjust(variant, to, quantity)
    }

    /// Ends what is overdue, of some orders.
    pub fn end_overdue(&mut self, of: impl Fn(&Sale) -> bool) {
        let now = self.now;
        let overdue = |sale: &Sale| sale.ends.is_some_and(|ends| ends <= now) && of(sale);
        let all: Vec<usize> = (0..self.sales.len()).filter(|at| overdue(&self.sales[*at])).collect();
        for at in all {
            self.end(at);
        }
    }

    fn end(&mut self, sale: usize) {
        let (sale, shelves) = (&mut self.sales[sale], &mut self.shelves);
        sale.status = "CANCELLED";
        sale.ends = None;
        sale.parts.iter_mut().for_each(|part| let_go(part, shelves));
        match sale.money {
            Money::Taken => sale.refunded = sale.total,
            _ => sale.money = Money::Gone,
        }
    }
}

fn let_go(part: &mut Part, shelves: &mut [Shelf]) {
    drop_held(part, &mut shelves[part.variant], i64::MAX);
}

/// Lets go of so many that are kept, or as many as are; how many at each location.
fn drop_held(part: &mut Part, board: &mut Shelf, many: i64) -> [i64; 2] {
    let here = many.min(part.held[0]);
    let gone = [here, (many - here).min(part.held[1])];
    for (at, gone) in gone.iter().enumerate() {
        part.held[at] -= gone;
        board.reserved[at] -= gone;
    }
    gone
}
