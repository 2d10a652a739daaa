//! The instances scenario: several instances behind nginx against one instance behind nginx, by CPU time per request.
//! On a machine whose cores are all busy with one instance, more instances cannot answer more requests; but as long as a
//! request costs the same CPU time, N instances on machines of their own answer N times as many.

use std::path::Path;

use crate::{
    Result,
    args::Options,
    benchmark::{LoadRound, PostgresCpu},
    nginx::Nginx,
    process::Server,
    scenario::{Scenario, ScenarioKind},
    wrk::WrkScript,
};

/// Instances behind nginx, with their measurements.
struct InstanceGroup {
    servers: Vec<Server>,
    nginx: Nginx,
    rounds: Vec<LoadRound>,
}

impl InstanceGroup {
    fn start(count: usize, program: &Path, url: &str) -> Result<Self> {
        let servers = (0..count).map(|_| Server::start_savannah(program, url)).collect::<Result<Vec<_>>>()?;
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        Ok(Self { nginx: Nginx::start(&addresses)?, servers, rounds: Vec::new() })
    }
}

/// Loads one instance and several in turn, and prints a table for each scenario.
pub fn run_instances_scenario(
    options: &Options,
    (program, count): (&Path, usize),
    scenarios: &[Scenario],
    postgres: &mut PostgresCpu<'_>,
) -> Result<()> {
    let selected = |kind: ScenarioKind| options.scenarios.contains(&kind);
    let is_measured = |kind| if options.scenarios.is_empty() { kind == ScenarioKind::Listing } else { selected(kind) };
    println!("| scenario | instances | req/s | p50 ms | p99 ms | CPU µs/req | PostgreSQL µs/req | capacity |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for scenario in scenarios.iter().filter(|scenario| is_measured(scenario.kind)) {
        let name = scenario.kind.title();
        let script = WrkScript::new(name, &scenario.bodies, None)?;
        let url = postgres.url().to_owned();
        let mut groups = [InstanceGroup::start(1, program, &url)?, InstanceGroup::start(count, program, &url)?];
        for group in &groups {
            script.run(options, group.nginx.address, true).map_err(|error| format!("{name}: {error}"))?;
        }
        for round in 1..=options.rounds {
            for InstanceGroup { servers, nginx, rounds } in &mut groups {
                let measured = postgres.run_round_on(options, (&script, nginx.address), servers)?;
                eprintln!("{name}, round {round}, {} instances: {:.0} a second", servers.len(), measured.result.rate);
                rounds.push(measured);
            }
        }
        print_rows(name, &groups);
    }
    Ok(())
}

/// Prints a row for each group. The capacity is the number of requests that the instances answer with a core each,
/// relative to the first group.
fn print_rows(name: &str, groups: &[InstanceGroup]) {
    let mut single_cpu = None;
    for group in groups {
        let LoadRound { result, cpu_micros, postgres_cpu_micros } = LoadRound::median(&group.rounds);
        let count = group.servers.len();
        let single = *single_cpu.get_or_insert(cpu_micros);
        let capacity = single
            .zip(cpu_micros)
            .map(|(single, cpu)| single / cpu * f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        let format_number = |number: Option<f64>, digits: usize| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
        };
        let (cpu, postgres, capacity) =
            (format_number(cpu_micros, 0), format_number(postgres_cpu_micros, 0), format_number(capacity, 2));
        let (rate, p50, p99) = (result.rate, result.p50, result.p99);
        println!("| {name} | {count} | {rate:.0} | {p50:.1} | {p99:.1} | {cpu} | {postgres} | {capacity} |");
    }
}
