//! Stories told to a running shop, each on a database of its own: on SQLite always, on PostgreSQL when
//! `TEST_DATABASE_URL` names a server on which databases may be made.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod shop;

mod architecture;
mod fuzz_documents;
mod schema;
mod browse;
mod pricing;
mod cart;
mod cart_merge;
mod cart_kept;
mod cart_answers;
mod orders;
mod paying;
mod paying_back;
mod rush;
mod rush_staff;
mod locking;
mod query_plans;
mod any_order;
mod order_steps;
mod order_lists;
mod order_access;
mod order_returns;
mod buyer_limits;
mod captures;
mod buying;
mod pricing_cart;
mod shipping;
mod cost;
mod ways;
mod signing_in;
mod throttle;
mod throttle_http;
mod audit;
mod readme;
mod tokens;
mod keys_command;
mod customers;
mod staff;
mod forgetting;
mod api_keys;
mod guards;
mod accounts;
mod listing;
mod filtering;
mod search;
mod search_scripts;
mod importing;
mod importing_files;
mod refusals;
mod exporting;
mod real_files;
mod interrupted;
mod constraints;
mod constraints_sales;
mod running;
mod moving;
mod edge;
mod edge_documents;
mod edge_answers;
mod attack_documents;
mod process;
mod process_ends;
mod browser;
mod outside;
mod openid;
mod relay;
mod jobs;
mod working;
mod schedules;
mod messages;
mod letters;
mod notices;
mod null_fields;
mod expected_stock;
mod crash;
mod attack_process;
mod outages;
mod frozen_instance;
mod connections;
mod disconnects;
mod starting;
mod settings;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Trial};
use shop::{Backend, Story};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let stories = [
        ("browse", browse::stories()),
        ("pricing", pricing::stories()),
        ("cart", cart::stories()),
        ("cart_merge", cart_merge::stories()),
        ("cart_kept", cart_kept::stories()),
        ("cart_answers", cart_answers::stories()),
        ("orders", orders::stories()),
        ("paying", paying::stories()),
        ("paying_back", paying_back::stories()),
        ("rush", rush::stories()),
        ("rush_staff", rush_staff::stories()),
        ("locking", locking::stories()),
        ("query_plans", query_plans::stories()),
        ("any_order", any_order::stories()),
        ("order_steps", order_steps::stories()),
        ("order_lists", order_lists::stories()),
        ("order_access", order_access::stories()),
        ("order_returns", order_returns::stories()),
        ("buyer_limits", buyer_limits::stories()),
        ("captures", captures::stories()),
        ("buying", buying::stories()),
        ("pricing_cart", pricing_cart::stories()),
        ("shipping", shipping::stories()),
        ("cost", cost::stories()),
        ("ways", ways::stories()),
        ("signing_in", signing_in::stories()),
        ("throttle", throttle::stories()),
        ("throttle_http", throttle_http::stories()),
        ("audit", audit::stories()),
        ("readme", readme::stories()),
        ("tokens", tokens::stories()),
        ("keys_command", keys_command::stories()),
        ("customers", customers::stories()),
        ("staff", staff::stories()),
        ("forgetting", forgetting::stories()),
        ("api_keys", api_keys::stories()),
        ("guards", guards::stories()),
        ("accounts", accounts::stories()),
        ("listing", listing::stories()),
        ("filtering", filtering::stories()),
        ("search", search::stories()),
        ("search_scripts", search_scripts::stories()),
        ("importing", importing::stories()),
        ("importing_files", importing_files::stories()),
        ("refusals", refusals::stories()),
        ("exporting", exporting::stories()),
        ("real_files", real_files::stories()),
        ("interrupted", interrupted::stories()),
        ("constraints", constraints::stories()),
        ("constraints_sales", constraints_sales::stories()),
        ("running", running::stories()),
        ("moving", moving::stories()),
        ("edge", edge::stories()),
        ("edge_documents", edge_documents::stories()),
        ("edge_answers", edge_answers::stories()),
        ("attack_documents", attack_documents::stories()),
        ("process", process::stories()),
        ("process_ends", process_ends::stories()),
        ("browser", browser::stories()),
        ("outside", outside::stories()),
        ("openid", openid::stories()),
        ("relay", relay::stories()),
        ("jobs", jobs::stories()),
        ("working", working::stories()),
        ("schedules", schedules::stories()),
        ("messages", messages::stories()),
        ("letters", letters::stories()),
        ("notices", notices::stories()),
        ("null_fields", null_fields::stories()),
        ("expected_stock", expected_stock::stories()),
        ("crash", crash::stories()),
        ("attack_process", attack_process::stories()),
        ("outages", outages::stories()),
        ("frozen_instance", frozen_instance::stories()),
        ("connections", connections::stories()),
        ("disconnects", disconnects::stories()),
        ("starting", starting::stories()),
    ];
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(architecture::trials());
    trials.extend(schema::trials());
    trials.extend(fuzz_documents::trials());
    trials.extend(settings::trials());
    for (file, stories) in stories {
        for story in stories {
            trials.extend(Backend::ALL.map(|backend| trial(file, story, backend)));
        }
    }
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    shop::clear_up();
    if Backend::Postgres.is_here() {
        println!("tested on SQLite and on PostgreSQL");
    } else {
        println!("tested on SQLite only: set TEST_DATABASE_URL=postgres://... to tell every story on PostgreSQL too");
    }
    conclusion.exit_code()
}

/// One story on one kind of database; ignored, and said to be, where that or what it needs is not here, unless
/// `SAVANNAH_TEST_EVERYTHING` is set: then it fails.
fn trial(file: &str, story: Story, backend: Backend) -> Trial {
    let Story { name, needs, tell } = story;
    let here = backend.is_here() && needs();
    let run = move || {
        if !here {
            return Err("what this story needs is not here".into());
        }
        shop::runtime().block_on(tell(backend));
        Ok(())
    };
    let everything = std::env::var_os("SAVANNAH_TEST_EVERYTHING").is_some_and(|value| value == "1");
    Trial::test(format!("{}::{file}::{name}", backend.name()), run).with_ignored_flag(!here && !everything)
}
