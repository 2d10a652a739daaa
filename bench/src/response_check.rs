//! Comparison of the responses of both servers; the benchmark is only valid if they are equal.

use serde_json::Value;

use crate::{
    Result, http,
    process::{Server, is_complete_response},
    scenario::Scenario,
};

/// The maximum number of compared requests per scenario.
const MAX_COMPARED_REQUESTS: usize = 25;

/// Sends the same requests to both servers and compares the responses.
pub fn compare_responses(scenario: &Scenario, savannah: &Server, baseline: &Server) -> Result<()> {
    compare_scenarios((scenario, savannah), (scenario, baseline))
}

/// Sends the requests of two scenarios with the same operations, each to its server, and compares the responses.
pub fn compare_scenarios(
    (scenario, savannah): (&Scenario, &Server),
    (baseline_scenario, baseline): (&Scenario, &Server),
) -> Result<()> {
    let name = scenario.kind.title();
    let step = scenario.bodies.len().div_ceil(MAX_COMPARED_REQUESTS).max(1);
    for (body, baseline_body) in scenario.bodies.iter().zip(&baseline_scenario.bodies).step_by(step) {
        let savannah_response = query_server("Savannah", savannah, body)?;
        let baseline_response = query_server("the comparator", baseline, baseline_body)?;
        if let Some(difference) = find_difference("", &savannah_response, &baseline_response) {
            return Err(format!("{name}: the answers to {body} are not the same: {difference}"));
        }
    }
    Ok(())
}

fn query_server(server_name: &str, server: &Server, body: &str) -> Result<Value> {
    let (status, response) = http::post_graphql(server.address, body)?;
    if status != 200 || !is_complete_response(&response) {
        return Err(format!("{server_name} answers {status} {response} to {body}"));
    }
    serde_json::from_str(&response).map_err(|error| format!("{server_name} answers no JSON: {error}"))
}

/// Returns the JSON path and the values of the first difference.
fn find_difference(path: &str, savannah_value: &Value, baseline_value: &Value) -> Option<String> {
    match (savannah_value, baseline_value) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).find_map(|((key, a), b)| find_difference(&format!("{path}/{key}"), a, b))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| find_difference(&format!("{path}/{index}"), a, b))
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
    fn find_difference_reports_the_json_path() {
        let (savannah_value, baseline_value) =
            (json!({ "a": [{ "b": 1 }, { "b": 2 }] }), json!({ "a": [{ "b": 1 }, { "b": 3 }] }));
        assert_eq!(
            find_difference("", &savannah_value, &baseline_value).expect("a difference"),
            "at /a/1/b Savannah says 2 and the comparator 3"
        );
        assert_eq!(find_difference("", &savannah_value, &savannah_value), None);
    }
}
