//! The daily figures as CSV, by day, channel and country, in parts of a month each.

use chrono::Days;
use csv::Writer;
use iso_currency::Currency;
use sea_orm::ConnectionTrait;

use super::{
    figures::OrderFigures,
    period::DayPeriod,
    queries::report::{DetailedFigures, load_detailed_figures},
};
use crate::{
    base::{Error, Money, Result},
    import_export::guard_formula,
};

/// The number of days that are read at once.
const DAYS_PER_PART: u64 = 31;

/// The columns of amounts.
const AMOUNTS: [&str; 7] = ["gross_sales", "discounts", "shipping", "tax", "canceled_sales", "total_sales", "refunds"];

/// A report as CSV. Each part is read and formatted when it is asked for, so the memory does not depend on the period.
#[derive(Debug)]
pub struct CsvReport {
    currency: Currency,
    time_zone: String,
    /// What remains to be written; `None` at the end.
    remaining: Option<DayPeriod>,
    is_header_written: bool,
}

impl CsvReport {
    /// Creates the report of a period. The days are those of the time zone.
    #[must_use]
    pub const fn new(period: DayPeriod, currency: Currency, time_zone: String) -> Self {
        Self { currency, time_zone, remaining: Some(period), is_header_written: false }
    }

    /// Returns the next part of the text; `None` at the end. Statements: 1.
    pub async fn next_part(&mut self, db: &impl ConnectionTrait) -> Result<Option<Vec<u8>>> {
        let Some(remaining) = self.remaining else { return Ok(None) };
        let to = (remaining.from + Days::new(DAYS_PER_PART - 1)).min(remaining.to);
        let part = DayPeriod { from: remaining.from, to };
        self.remaining = (to < remaining.to).then(|| DayPeriod { from: to + Days::new(1), to: remaining.to });
        let mut writer = Writer::from_writer(Vec::new());
        if !self.is_header_written {
            let mut header = vec!["day", "time_zone", "channel", "country", "currency"];
            header.extend(OrderFigures::COLUMNS);
            header.push("net_sales");
            writer.write_record(header).map_err(convert_write_error)?;
            self.is_header_written = true;
        }
        for row in load_detailed_figures(db, part).await? {
            writer.write_record(self.format_row(&row)).map_err(convert_write_error)?;
        }
        writer.into_inner().map(Some).map_err(|error| convert_write_error(error.into_error().into()))
    }

    fn format_row(&self, row: &DetailedFigures) -> Vec<String> {
        let amount = |minor: i64| Money::new(minor, self.currency).to_decimal().to_string();
        let text_cells = [self.time_zone.as_str(), &row.channel, &row.country, self.currency.code()];
        let mut cells = vec![row.day.to_string()];
        cells.extend(text_cells.map(guard_formula));
        let columns = OrderFigures::COLUMNS.iter().zip(row.figures.values());
        cells.extend(
            columns.map(|(column, value)| if AMOUNTS.contains(column) { amount(value) } else { value.to_string() }),
        );
        cells.push(amount(row.figures.net_sales()));
        cells
    }
}

fn convert_write_error(error: csv::Error) -> Error {
    Error::internal("writing the figures", error)
}
