//! The plans of the statements that the shop sends, as PostgreSQL itself carried them out.
//!
//! `auto_explain` is loaded into the shop's own connections and told to send each plan to the client; the shop's log
//! then holds it as a notice.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use crate::{Result, args::Options, http, process::Server, scenario::Questions};

/// PostgreSQL makes up its mind about a prepared statement after it has seen it five times.
const BEFORE: usize = 6;

/// Prints the plans of every scenario.
pub fn run(options: &Options, server: &Path, url: &str, questions: &Questions) -> Result<()> {
    let mut shop = Server::talkative(server, &with_plans(url))?;
    let stderr = shop.stderr().ok_or("the shop's log cannot be read")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let heard = || std::iter::from_fn(|| lines.recv_timeout(Duration::from_millis(300)).ok());
    for scenario in questions.scenarios.iter().filter(|scenario| options.wants(scenario.kind)) {
        for body in scenario.bodies.iter().cycle().take(BEFORE) {
            http::post(shop.address, body)?;
        }
        heard().for_each(drop);
        let body = scenario.bodies.last().map_or("", String::as_str);
        http::post(shop.address, body)?;
        println!("### {}\n\n`{body}`\n", scenario.kind.title());
        let mut plans = 0;
        for line in heard() {
            if let Some(plan) = plan(&line) {
                println!("```\n{}\n```\n", plan.trim());
                plans += 1;
            }
        }
        println!("Statements: {plans}\n");
    }
    Ok(())
}

fn plan(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    event["message"].as_str().filter(|message| message.contains("plan:")).map(str::to_owned)
}

fn with_plans(url: &str) -> String {
    let settings = [
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_buffers=on",
        "client_min_messages=log",
    ];
    let settings: Vec<_> = settings.iter().map(|setting| format!("-c%20{setting}")).collect();
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options={}", settings.join("%20"))
}
