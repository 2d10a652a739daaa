//! The REST scenario: resources of `/api/v1` against the same GraphQL operations at `/graphql`, as trusted documents and as
//! texts. There is no hand-written server to compare with: the measure is the processor time per request.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    Result,
    args::Options,
    benchmark::{LoadRound, PostgresCpu},
    process::Server,
    wrk::WrkScript,
};

/// The folder of the stored operations.
const OPERATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/http/rest/operations");

/// A resource: its path, and the documents and variables of the same operation.
struct RestResource {
    name: &'static str,
    path: &'static str,
    documents: &'static [&'static str],
    variables: serde_json::Value,
}

/// Measures each resource both ways in turn and prints a table.
pub fn run_rest_scenario(options: &Options, program: &Path, postgres: &mut PostgresCpu<'_>) -> Result<()> {
    let server = Server::start_savannah(program, postgres.url())?;
    let resources = [
        RestResource {
            name: "24 products",
            path: "/api/v1/products?first=24",
            documents: &["product_list.graphql", "fragments/product_list_item.graphql"],
            variables: json!({ "first": 24 }),
        },
        RestResource {
            name: "categories",
            path: "/api/v1/categories",
            documents: &["category_list.graphql", "fragments/category.graphql"],
            variables: json!({}),
        },
    ];
    println!("| resource | REST CPU µs/req | GraphQL CPU µs/req | ratio | REST req/s | GraphQL req/s |");
    println!("|---|--:|--:|--:|--:|--:|");
    for RestResource { name, path, documents, variables } in resources {
        let texts: Result<Vec<String>> = documents.iter().map(|file| read_document(file)).collect();
        let body = json!({ "query": texts?.concat(), "variables": variables }).to_string();
        let graphql_script = WrkScript::new(&format!("{name}graphql"), &[body], None)?;
        let rest_script = WrkScript::reading(&format!("{name}rest"), path)?;
        let mut rounds = [Vec::new(), Vec::new()];
        for script in [&rest_script, &graphql_script] {
            script.run(options, server.address, true).map_err(|error| format!("{name}: {error}"))?;
        }
        for _ in 0..options.rounds {
            for (script, rounds) in [&rest_script, &graphql_script].into_iter().zip(&mut rounds) {
                rounds.push(postgres.run_round(options, script, &server)?);
            }
        }
        let [rest, graphql] = rounds.map(|rounds| LoadRound::median(&rounds));
        let ratio = rest.cpu_micros.zip(graphql.cpu_micros).map_or(f64::NAN, |(rest, graphql)| rest / graphql);
        let micros = |round: &LoadRound| round.cpu_micros.unwrap_or(f64::NAN);
        let (rest_cpu, graphql_cpu) = (micros(&rest), micros(&graphql));
        let (rest_rate, graphql_rate) = (rest.result.rate, graphql.result.rate);
        println!("| {name} | {rest_cpu:.0} | {graphql_cpu:.0} | {ratio:.2} | {rest_rate:.0} | {graphql_rate:.0} |");
    }
    Ok(())
}

fn read_document(file: &str) -> Result<String> {
    fs::read_to_string(format!("{OPERATIONS}/{file}")).map_err(|error| format!("{file}: {error}"))
}
