//! Scalars, enums and small types that several domains share.

use async_graphql::{Enum, InputObject, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use chrono::{DateTime, NaiveDate, Utc};
use iso_currency::Currency;
use macros::BatchedObject;
use rust_decimal::Decimal;

use crate::base::{LanguageCode, Money};

/// Currency code (ISO 4217), such as `KES` or `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

/// Currency code (ISO 4217), such as `KES` or `EUR`.
#[Scalar(specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html")]
impl ScalarType for CurrencyCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(code) = &value else { return Err(InputValueError::expected_type(value)) };
        let currency = Currency::from_code(code);
        currency.map(Self).ok_or_else(|| InputValueError::custom(format!("`{code}` is not a currency of ISO 4217")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// Country code (ISO 3166-1 alpha-2), such as `KE`. Inputs are not yet validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryCode(pub String);

/// Country code (ISO 3166-1 alpha-2), such as `KE`.
#[Scalar(specified_by_url = "https://www.iso.org/iso-3166-country-codes.html")]
impl ScalarType for CountryCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        // An unknown code is a user error of the field it is in.
        match value {
            Value::String(code) => Ok(Self(code)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl From<LanguageScalar> for LanguageCode {
    fn from(language: LanguageScalar) -> Self {
        language.0
    }
}

impl From<CountryCode> for String {
    fn from(code: CountryCode) -> Self {
        code.0
    }
}

/// Day of the calendar (ISO 8601): `2026-11-27`. Inputs are not yet validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarDate(pub String);

/// Day of the calendar (ISO 8601): `2026-11-27`.
#[Scalar(name = "Date")]
impl ScalarType for CalendarDate {
    fn parse(value: Value) -> InputValueResult<Self> {
        // An invalid day is a user error of the field it is in.
        match value {
            Value::String(day) => Ok(Self(day)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl From<NaiveDate> for CalendarDate {
    fn from(day: NaiveDate) -> Self {
        Self(day.to_string())
    }
}

/// Language code (ISO 639-1) of a language that the shop writes notifications in, such as `en` or `sw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageScalar(pub LanguageCode);

/// Language code (ISO 639-1) of a language that the shop writes notifications in, such as `en` or `sw`.
#[Scalar(name = "LanguageCode", specified_by_url = "https://www.iso.org/iso-639-language-code")]
impl ScalarType for LanguageScalar {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(code) = &value else { return Err(InputValueError::expected_type(value)) };
        LanguageCode::from_code(&code.to_ascii_lowercase()).map(Self).ok_or_else(|| {
            let languages = LanguageCode::ALL.map(LanguageCode::code).join(", ");
            InputValueError::custom(format!("`{code}` is not a language of the shop, which has {languages}"))
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// Amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject, BatchedObject)]
#[graphql(name = "Money")]
pub struct MoneyObject {
    /// Amount in the currency, with its number of decimal places.
    amount: Decimal,
    /// Currency of the amount.
    currency: CurrencyCode,
}

impl From<Money> for MoneyObject {
    fn from(money: Money) -> Self {
        Self { amount: money.to_decimal(), currency: CurrencyCode(money.currency) }
    }
}

/// Range of amounts in the shop's currency, both ends inclusive.
#[derive(Debug, Clone, Copy, Default, InputObject)]
pub struct MoneyRangeInput {
    /// Minimum amount.
    pub min: Option<Decimal>,
    /// Maximum amount.
    pub max: Option<Decimal>,
}

/// Time range.
#[derive(Debug, Clone, Copy, Default, InputObject)]
pub struct DateTimeRangeInput {
    /// Start, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// End, exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl DateTimeRangeInput {
    /// Returns the range from the start, inclusive, to the end, exclusive.
    #[must_use]
    pub fn into_range(self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.from, self.to)
    }
}

/// Event that triggers a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::NotificationEventType")]
pub enum NotificationEvent {
    /// An order was placed.
    OrderPlaced,
    /// An order was confirmed.
    OrderConfirmed,
    /// A fulfillment of an order was shipped.
    OrderShipped,
    /// An order was delivered.
    OrderDelivered,
    /// An order was canceled.
    OrderCanceled,
    /// A refund was issued.
    OrderRefunded,
    /// Link to an order; sent on request.
    OrderLink,
    /// Verification of an email address; sent on request.
    VerifyEmail,
    /// Password reset; sent on request.
    ResetPassword,
    /// Confirmation of a new email address; sent to it on request.
    ChangeEmail,
    /// A new email address was requested that another account has; sent to the owner of the address.
    EmailInUse,
    /// The email address of the account was changed; sent to both addresses.
    EmailChanged,
    /// One-time code; sent on request.
    LoginCode,
}

/// Clamps to the 32-bit range of `Int`.
pub(super) fn clamp_to_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}
