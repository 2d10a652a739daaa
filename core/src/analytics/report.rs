//! Reports: sums of the daily figures over a period. The number of statements does not depend on its length.

use sea_orm::ConnectionTrait;

pub use super::queries::report::{FigureGroup, FigureGrouping, ProductSales, load_best_sellers, load_groups};
use super::{
    figures::{CartFigures, OrderFigures},
    period::{DayPeriod, Interval},
    queries::report::{self, DayCarts, DayFigures},
};
use crate::base::Result;

/// The figures of a part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodFigures {
    /// The days of the part.
    pub period: DayPeriod,
    /// The figures of orders; zeros for days without orders.
    pub orders: OrderFigures,
    /// The figures of carts.
    pub carts: CartFigures,
}

/// The daily figures of a period. Days on which there are none have no row.
#[derive(Debug)]
pub struct DailyFigures {
    period: DayPeriod,
    /// Sorted by day.
    days: Vec<DayFigures>,
    /// Sorted by day.
    carts: Vec<DayCarts>,
}

impl DailyFigures {
    /// Loads the figures of a period. Statements: 2.
    pub async fn load(db: &impl ConnectionTrait, period: DayPeriod) -> Result<Self> {
        let days = report::load_days(db, period).await?;
        Ok(Self { period, days, carts: report::load_carts(db, period).await? })
    }

    /// Returns the figures of the whole period.
    #[must_use]
    pub fn total(&self) -> PeriodFigures {
        self.add_up(self.period)
    }

    /// Returns the figures by interval, without gaps.
    #[must_use]
    pub fn divide(&self, interval: Interval) -> Vec<PeriodFigures> {
        self.period.divide(interval).into_iter().map(|part| self.add_up(part)).collect()
    }

    /// Adds up the figures of a part of the period.
    fn add_up(&self, part: DayPeriod) -> PeriodFigures {
        let mut sum = PeriodFigures { period: part, orders: OrderFigures::default(), carts: CartFigures::default() };
        let first_row = self.days.partition_point(|row| row.day < part.from);
        for row in self.days[first_row..].iter().take_while(|row| row.day <= part.to) {
            sum.orders.add(&row.figures);
        }
        let first_row = self.carts.partition_point(|row| row.day < part.from);
        for row in self.carts[first_row..].iter().take_while(|row| row.day <= part.to) {
            sum.carts.add(&row.figures);
        }
        sum
    }
}
