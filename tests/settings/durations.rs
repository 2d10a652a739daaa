//! Durations that are refused.

use super::{HUGE, Setting, fault};

pub fn durations_accepted() -> Vec<String> {
    let huge = HUGE.map(|number| format!("{number}d"));
    let wrong = ["-1s", "1.5s", "x", "s", "", " ", "5 parsecs", "500ms", "NaN", "0x10s", "1000000d"];
    let wrong: Vec<&str> = wrong.into_iter().chain(huge.iter().map(String::as_str)).collect();
    let mut faults = Vec::new();
    for one in Setting::durations() {
        for value in &wrong {
            let what = format!("{} = {value:?}", one.key);
            faults.extend(fault(one.in_environment(value), &one.names(), &what));
            faults.extend(fault(one.in_file(&format!("\"{value}\"")), &one.names(), &what));
        }
        for value in ["-1", "1.5", "nan", "1e300", "true"] {
            faults.extend(fault(one.in_file(value), &one.names(), &format!("{} = {value}", one.key)));
        }
    }
    faults
}

pub fn bare_integers_unexplained() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::durations() {
        let integers = ["0", "1", "15"].into_iter().chain(HUGE);
        let mut outcomes: Vec<_> = integers.map(|value| (value, one.in_environment(value))).collect();
        outcomes.extend(["0", "15", "9223372036854775807"].map(|value| (value, one.in_file(value))));
        outcomes.extend(["\"0\"", "\"15\""].map(|value| (value, one.in_file(value))));
        for (value, outcome) in outcomes {
            let what = format!("{} = {value}", one.key);
            if let Err(error) = &outcome
                && !error.contains("15m")
            {
                faults.push(format!("{what}: no example of a duration: {error}"));
            }
            faults.extend(fault(outcome, &one.names(), &what));
        }
    }
    faults
}
