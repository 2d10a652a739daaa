//! A part of all requests, as a percentage: `1%`, `0.1%`.

use std::str::FromStr;

/// Number of parts of a integer.
const MILLION: u32 = 1_000_000;

/// A part of all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRate {
    parts_per_million: u32,
}

impl SampleRate {
    /// Returns the rate as a number from 0 to 1.
    #[must_use]
    pub fn to_ratio(self) -> f64 {
        f64::from(self.parts_per_million) / f64::from(MILLION)
    }

    /// Returns whether the request with this number is selected. The selected requests are spread evenly.
    #[must_use]
    pub fn selects(self, number: u32) -> bool {
        let selected_before = |number: u64| number * u64::from(self.parts_per_million) / u64::from(MILLION);
        selected_before(u64::from(number) + 1) > selected_before(u64::from(number))
    }

    /// Returns whether no request is selected.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.parts_per_million == 0
    }
}

impl FromStr for SampleRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPLANATION: &str = "write a percentage from 0% to 100%, with at most four decimal places: 1%, 0.1%";
        let percentage = text.strip_suffix('%').ok_or(EXPLANATION)?;
        let (integer, decimals) = percentage.split_once('.').unwrap_or((percentage, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if integer.is_empty() || integer.len() > 3 || decimals.len() > 4 || !is_number(integer) || !is_number(decimals)
        {
            return Err(EXPLANATION);
        }
        let parts_per_million = format!("{integer}{decimals:0<4}").parse().map_err(|_| EXPLANATION)?;
        if parts_per_million > MILLION { Err(EXPLANATION) } else { Ok(Self { parts_per_million }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_percentage() {
        let parts = |text: &str| text.parse::<SampleRate>().map(|rate| rate.parts_per_million);
        for (text, expected) in [("0%", 0), ("1%", 10_000), ("0.1%", 1000), ("0.0001%", 1), ("100%", MILLION)] {
            assert_eq!(parts(text), Ok(expected), "{text}");
        }
        for text in ["", "1", "%", "-1%", "101%", "100.1%", "1e1%", "0.00001%", ".5%"] {
            assert!(parts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn selected_requests_are_spread_evenly() {
        let selected = |text: &str, numbers: std::ops::Range<u32>| {
            let rate: SampleRate = text.parse().expect("a rate");
            numbers.filter(|number| rate.selects(*number)).count()
        };
        assert_eq!((selected("0%", 0..1000), selected("100%", 0..1000)), (0, 1000));
        assert_eq!((selected("10%", 0..10), selected("10%", 990..1000), selected("0.1%", 0..3000)), (1, 1, 3));
    }
}
