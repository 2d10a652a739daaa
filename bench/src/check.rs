//! Whether both servers say the same: otherwise a comparison means nothing.

use serde_json::Value;

use crate::{
    Result, http,
    process::{Server, is_whole},
    scenario::Scenario,
};

/// So many sets of variables are tried.
const TRIES: usize = 25;

/// Asks both the same and compares.
pub fn same(scenario: &Scenario, savannah: &Server, comparator: &Server) -> Result<()> {
    let name = scenario.kind.title();
    let step = scenario.bodies.len().div_ceil(TRIES).max(1);
    for body in scenario.bodies.iter().step_by(step) {
        let ours = ask("Savannah", savannah, body)?;
        let theirs = ask("the comparator", comparator, body)?;
        if let Some(difference) = difference("", &ours, &theirs) {
            return Err(format!("{name}: the answers to {body} are not the same: {difference}"));
        }
    }
    Ok(())
}

fn ask(who: &str, server: &Server, body: &str) -> Result<Value> {
    let (status, answer) = http::post(server.address, body)?;
    if status != 200 || !is_whole(&answer) {
        return Err(format!("{who} answers {status} {answer} to {body}"));
    }
    serde_json::from_str(&answer).map_err(|why| format!("{who} answers no JSON: {why}"))
}

/// Where two answers part, and how.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).find_map(|((key, a), b)| difference(&format!("{path}/{key}"), a, b))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (a, b))| difference(&format!("{path}/{at}"), a, b))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("at {path} Savannah says {a} and the comparator {b}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_place() {
        let (ours, theirs) = (json!({ "a": [{ "b": 1 }, { "b": 2 }] }), json!({ "a": [{ "b": 1 }, { "b": 3 }] }));
        assert_eq!(difference("", &ours, &theirs).expect("one"), "at /a/1/b Savannah says 2 and the comparator 3");
        assert_eq!(difference("", &ours, &ours), None);
    }
}
