//! Analytics: figures of orders, products and carts over a period, for staff.

use async_graphql::{Context, Enum, Object};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio::sync::OnceCell;

use super::{
    catalog::product::Product,
    context::request_context,
    guard::RequirePermission,
    identity::api_key::ApiKey,
    loader::ProductKey,
    row_loader::RowKey,
    scalars::{CalendarDate, CountryCode, CurrencyCode, clamp_to_i32},
};
use crate::{
    analytics::{
        figures::{CartFigures, OrderFigures},
        order_source::API_KEY_CHANNEL_PREFIX,
        period::{DayPeriod, Interval},
        report::{self, DailyFigures, FigureGroup, FigureGrouping, PeriodFigures, ProductSales},
        state::AnalyticsState,
    },
    base::{Error, Result},
    identity::{Permission, entity::api_key},
};

/// Complexity of the figures of a period, besides the selected fields.
const ANALYTICS_COST: usize = 50;
/// Maximum number of best sellers.
const MAX_BEST_SELLERS: i32 = 100;
/// Default number of best sellers.
const DEFAULT_BEST_SELLERS: i32 = 10;

/// Interval into which a period is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::analytics::period::Interval")]
pub enum AnalyticsInterval {
    /// By day.
    Day,
    /// By week, from Monday to Sunday.
    Week,
    /// By month.
    Month,
}

/// Figures of orders. Amounts are in the currency of the shop. Canceled orders count only where the description says so.
#[derive(Debug, Clone, Copy)]
pub struct OrderFiguresObject(OrderFigures);

/// Figures of orders. Amounts are in the currency of the shop. Canceled orders count only where the description says so.
#[Object(name = "OrderFigures")]
impl OrderFiguresObject {
    /// Number of orders placed on the days that are not canceled.
    async fn orders(&self) -> i32 {
        clamp_to_i32(self.0.orders)
    }

    /// Number of orders placed on the days that are canceled by now, also those that expired unpaid.
    async fn canceled_orders(&self) -> i32 {
        clamp_to_i32(self.0.canceled_orders)
    }

    /// Number of units of the orders, without canceled units. Returned units count.
    async fn units(&self) -> i32 {
        clamp_to_i32(self.0.units)
    }

    /// Number of customers whose first order was placed on the days, canceled or not. Customers are the same if they have
    /// the same account or email address, or without an email address the same phone number.
    async fn new_customers(&self) -> i32 {
        clamp_to_i32(self.0.new_customers)
    }

    /// Number of orders placed on the days by customers who had ordered before, canceled or not.
    async fn returning_customer_orders(&self) -> i32 {
        clamp_to_i32(self.0.returning_orders)
    }

    /// Regular prices of all ordered units, before discounts. They include the tax where prices include it.
    async fn gross_sales(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.gross_sales)
    }

    /// Discounts from the regular prices.
    async fn discounts(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.discounts)
    }

    /// Shipping cost that buyers pay.
    async fn shipping(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.shipping)
    }

    /// Tax on goods and shipping, included in the prices or added to them.
    async fn tax(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.tax)
    }

    /// Value of units that were canceled before they were paid. The other amounts of the order stay as they were ordered.
    async fn canceled_sales(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.canceled_sales)
    }

    /// What buyers owe or have paid: `grossSales - discounts + shipping + tax - canceledSales`, where tax that the prices
    /// include is not added.
    async fn total_sales(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.total_sales)
    }

    /// Amounts refunded on the days, whenever the orders were placed. Refunds of canceled orders and of surplus payments
    /// do not count, because these are in no sales.
    async fn refunds(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.refunds)
    }

    /// `totalSales - refunds`; negative if more was refunded than sold.
    async fn net_sales(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.net_sales())
    }

    /// `totalSales / orders`, rounded; null without orders.
    async fn average_order_value(&self, ctx: &Context<'_>) -> Option<Decimal> {
        self.0.average_order_value().map(|minor_units| request_context(ctx).decimal_amount(minor_units))
    }
}

/// Figures of carts.
#[derive(Debug, Clone, Copy)]
pub struct CartFiguresObject(CartFigures);

/// Figures of carts.
#[Object(name = "CartFigures")]
impl CartFiguresObject {
    /// Number of carts created on the days that were filled. A guest's cart that was merged into the customer's does not
    /// count.
    async fn carts(&self) -> i32 {
        clamp_to_i32(self.0.carts)
    }

    /// Number of these carts that were ordered, on whatever day. The cart of an unpaid order that is reopened does not
    /// count until it is ordered again.
    async fn ordered_carts(&self) -> i32 {
        clamp_to_i32(self.0.ordered_carts)
    }

    /// Percentage of the carts that were ordered, with two decimals: `"12.50"`; null without carts.
    async fn conversion(&self) -> Option<Decimal> {
        self.0.conversion_bps().map(|basis_points| Decimal::new(basis_points, 2))
    }
}

/// Figures of a part of the period.
#[derive(Debug, Clone, Copy)]
pub struct AnalyticsPart(PeriodFigures);

/// Figures of a part of the period.
#[Object]
impl AnalyticsPart {
    /// First day.
    async fn from(&self) -> CalendarDate {
        self.0.period.from.into()
    }

    /// Last day, inclusive.
    async fn to(&self) -> CalendarDate {
        self.0.period.to.into()
    }

    /// Figures of orders; zeros without orders.
    async fn orders(&self) -> OrderFiguresObject {
        OrderFiguresObject(self.0.orders)
    }

    /// Figures of carts; zeros without carts.
    async fn carts(&self) -> CartFiguresObject {
        CartFiguresObject(self.0.carts)
    }
}

/// Figures of a channel of sale.
#[derive(Debug, Clone)]
pub struct ChannelFigures(FigureGroup);

/// Figures of a channel of sale.
#[Object]
impl ChannelFigures {
    /// Channel: `storefront` (customers and guests), `staff` (placed by staff for a customer), `api_key:N` (placed with an
    /// API key), or `system`.
    async fn channel(&self) -> &str {
        &self.0.key
    }

    /// API key with which the orders were placed; null for another channel, and without the permission `API_KEY_WRITE`.
    async fn api_key(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        let context = request_context(ctx);
        let id = self.0.key.strip_prefix(API_KEY_CHANNEL_PREFIX).and_then(|id| id.parse().ok());
        match id.filter(|_| context.caller.permissions().has(Permission::ApiKeyWrite)) {
            Some(id) => Ok(context.load(RowKey::<api_key::Entity>::new(id)).await?.map(ApiKey::from)),
            None => Ok(None),
        }
    }

    /// Figures of the orders of the channel.
    async fn orders(&self) -> OrderFiguresObject {
        OrderFiguresObject(self.0.figures)
    }
}

/// Figures of a country.
#[derive(Debug, Clone)]
pub struct CountryFigures(FigureGroup);

/// Figures of a country.
#[Object]
impl CountryFigures {
    /// Country of the shipping address, or of the billing address if there is no shipping address; null if there is
    /// neither.
    async fn country(&self) -> Option<CountryCode> {
        Some(&self.0.key).filter(|code| !code.is_empty()).cloned().map(CountryCode)
    }

    /// Figures of the orders to the country.
    async fn orders(&self) -> OrderFiguresObject {
        OrderFiguresObject(self.0.figures)
    }
}

/// Product with its sales in the period.
#[derive(Debug, Clone)]
pub struct BestSeller(ProductSales);

/// Product with its sales in the period.
#[Object]
impl BestSeller {
    /// Product; null if it was deleted, or the caller may not see it.
    async fn product(&self, ctx: &Context<'_>) -> Result<Option<Product>> {
        let rows = request_context(ctx).load(ProductKey(self.0.product_id)).await?;
        Ok(rows.and_then(|rows| rows.first().cloned()).map(Product::from))
    }

    /// Number of units sold, without canceled units. Returned units count.
    async fn units(&self) -> i32 {
        clamp_to_i32(self.0.units)
    }

    /// Value of these units, after discounts and with added tax.
    async fn sales(&self, ctx: &Context<'_>) -> Decimal {
        request_context(ctx).decimal_amount(self.0.sales)
    }
}

/// Figures of the shop over a period.
#[derive(Debug)]
pub struct Analytics {
    period: DayPeriod,
    interval: Interval,
    state: AnalyticsState,
    /// Loaded once, by the first field that needs them.
    daily_figures: OnceCell<DailyFigures>,
}

impl Analytics {
    async fn load_daily_figures(&self, ctx: &Context<'_>) -> Result<&DailyFigures> {
        let db = &request_context(ctx).db;
        self.daily_figures.get_or_try_init(async || DailyFigures::load(db, self.period).await).await
    }

    async fn load_groups(&self, ctx: &Context<'_>, grouping: FigureGrouping) -> Result<Vec<FigureGroup>> {
        let context = request_context(ctx);
        let groups = report::load_groups(&context.db, self.period, grouping).await?;
        context.charge_list_values(ctx, groups.len())?;
        Ok(groups)
    }
}

/// Figures of the shop over a period. They follow the orders within seconds, those of carts within minutes.
#[Object]
impl Analytics {
    /// First day.
    async fn from(&self) -> CalendarDate {
        self.period.from.into()
    }

    /// Last day, inclusive.
    async fn to(&self) -> CalendarDate {
        self.period.to.into()
    }

    /// IANA name of the time zone of the days, such as `Africa/Nairobi`.
    async fn time_zone(&self) -> &'static str {
        self.state.time_zone.name()
    }

    /// Currency of all amounts.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(request_context(ctx).app_state.config.shop.currency)
    }

    /// Time at which a rebuild of all figures began that has not finished: until then they may be incomplete. Null if they
    /// are complete.
    async fn rebuild_started_at(&self) -> Option<DateTime<Utc>> {
        self.state.rebuild_started_at
    }

    /// Figures of the whole period.
    async fn totals(&self, ctx: &Context<'_>) -> Result<AnalyticsPart> {
        Ok(AnalyticsPart(self.load_daily_figures(ctx).await?.total()))
    }

    /// Figures by interval, without gaps, oldest first. The first and the last part end with the period.
    async fn series(&self, ctx: &Context<'_>) -> Result<Vec<AnalyticsPart>> {
        let parts = self.load_daily_figures(ctx).await?.divide(self.interval);
        request_context(ctx).charge_list_values(ctx, parts.len())?;
        Ok(parts.into_iter().map(AnalyticsPart).collect())
    }

    /// Figures by channel of sale, those with most total sales first.
    async fn channels(&self, ctx: &Context<'_>) -> Result<Vec<ChannelFigures>> {
        let groups = self.load_groups(ctx, FigureGrouping::Channel).await?;
        Ok(groups.into_iter().map(ChannelFigures).collect())
    }

    /// Figures by destination country, those with most total sales first.
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<CountryFigures>> {
        let groups = self.load_groups(ctx, FigureGrouping::Country).await?;
        Ok(groups.into_iter().map(CountryFigures).collect())
    }

    /// Products of which most units were sold, most first.
    #[graphql(complexity = "usize::try_from(first).unwrap_or(0).saturating_mul(child_complexity)")]
    async fn best_sellers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of products (0-100).", default_with = "DEFAULT_BEST_SELLERS")] first: i32,
    ) -> Result<Vec<BestSeller>> {
        let limit = u32::try_from(first).ok().filter(|_| first <= MAX_BEST_SELLERS);
        let limit =
            limit.ok_or_else(|| Error::bad_input("first", format!("this must be from 0 to {MAX_BEST_SELLERS}")))?;
        let products = report::load_best_sellers(&request_context(ctx).db, self.period, limit).await?;
        Ok(products.into_iter().map(BestSeller).collect())
    }
}

/// Analytics queries.
#[derive(Debug, Default)]
pub struct AnalyticsQuery;

#[Object]
impl AnalyticsQuery {
    /// Figures of orders, products and carts over a period of at most 1,100 days. Requires the permission `ANALYTICS_READ`.
    /// `BAD_USER_INPUT` if a day is invalid, or the period ends before it begins or is too long.
    #[graphql(guard = "RequirePermission(Permission::AnalyticsRead)", complexity = "ANALYTICS_COST + child_complexity")]
    async fn analytics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "First day, in the time zone of the figures.")] from: CalendarDate,
        #[graphql(desc = "Last day, inclusive.")] to: CalendarDate,
        #[graphql(desc = "Interval of `series`.", default_with = "AnalyticsInterval::Day")] interval: AnalyticsInterval,
    ) -> Result<Option<Analytics>> {
        let period = DayPeriod::parse(&from.0, &to.0)?;
        let state = AnalyticsState::load(&request_context(ctx).db).await?;
        Ok(Some(Analytics { period, interval: interval.into(), state, daily_figures: OnceCell::new() }))
    }
}
