//! Query plans of Savannah's statements, as executed by PostgreSQL.
//!
//! `auto_explain` is loaded into Savannah's connections and sends each plan to the client, which logs it as a notice.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use crate::{Result, args::Options, http, process::Server, scenario::ScenarioSet};

/// PostgreSQL chooses between a custom and a generic plan after five executions of a prepared statement.
const WARM_UP_REQUESTS: usize = 6;

/// Prints the query plans of every scenario.
pub fn print_plans(options: &Options, server: &Path, url: &str, scenario_set: &ScenarioSet) -> Result<()> {
    let mut shop = Server::start_with_plan_log(server, &with_auto_explain(url))?;
    let stderr = shop.take_stderr().ok_or("the shop's log cannot be read")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let read_log_lines = || std::iter::from_fn(|| lines.recv_timeout(Duration::from_millis(300)).ok());
    for scenario in scenario_set.scenarios.iter().filter(|scenario| options.includes(scenario.kind)) {
        for body in scenario.bodies.iter().cycle().take(WARM_UP_REQUESTS) {
            http::post_graphql(shop.address, body)?;
        }
        read_log_lines().for_each(drop);
        let body = scenario.bodies.last().map_or("", String::as_str);
        http::post_graphql(shop.address, body)?;
        println!("### {}\n\n`{body}`\n", scenario.kind.title());
        let mut plan_count = 0;
        for line in read_log_lines() {
            if let Some(plan) = extract_plan(&line) {
                println!("```\n{}\n```\n", plan.trim());
                plan_count += 1;
            }
        }
        println!("Statements: {plan_count}\n");
    }
    Ok(())
}

fn extract_plan(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    event["message"].as_str().filter(|message| message.contains("plan:")).map(str::to_owned)
}

fn with_auto_explain(url: &str) -> String {
    let settings = [
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_buffers=on",
        "client_min_messages=log",
    ];
    let settings: Vec<_> = settings.iter().map(|setting| format!("-c%20{setting}")).collect();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options={}", settings.join("%20"))
}
