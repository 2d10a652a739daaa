//! Integration tests against a running server, each with its own database: always on SQLite, on PostgreSQL if
//! `TEST_DATABASE_URL` names a server on which databases may be created.

#![expect(clippy::expect_used, reason = "a test that cannot continue has failed")]

mod support;

mod architecture;
mod naming;
mod migration_rules;
mod entities;
mod fuzz_documents;
mod schema;
mod catalog_queries;
mod product_pages;
mod product_pricing;
mod cart;
mod cart_merge;
mod cart_retention;
mod cart_answers;
mod cart_details;
mod cart_lines;
mod checkout;
mod further_payments;
mod payment_crashes;
mod payment_failures;
mod payment_methods;
mod payment_webhooks;
mod payments;
mod refunds;
mod mpesa;
mod mpesa_checkout;
mod mpesa_refunds;
mod stripe;
mod stripe_checkout;
mod checkout_concurrency;
mod stock_concurrency;
mod locking;
mod query_plans;
mod model_based_orders;
mod order_lifecycle;
mod locations;
mod nodes;
mod order_queries;
mod order_access;
mod order_returns;
mod guest_order_limits;
mod captures;
mod checkout_end_to_end;
mod cart_pricing;
mod shipping_and_tax;
mod shop;
mod subscription_connections;
mod subscription_resume;
mod subscriptions;
mod query_counts;
mod batched_lists;
mod login;
mod throttle;
mod throttle_http;
mod audit_log;
mod readme_examples;
mod rest_catalog;
mod rest_errors;
mod rest_execution;
mod rest_openapi;
mod rest_orders;
mod access_tokens;
mod passwords;
mod email_change;
mod login_codes;
mod order_links;
mod keys_command;
mod customer_lists;
mod customers;
mod staff;
mod data_erasure;
mod api_keys;
mod authorization;
mod cli_users;
mod pagination;
mod product_filters;
mod search;
mod search_suggestions;
mod facet_filters;
mod best_selling;
mod analytics;
mod analytics_queries;
mod analytics_rebuild;
mod page_details;
mod search_pages;
mod search_pins;
mod search_ranking;
mod search_report;
mod search_results;
mod search_synonyms;
mod search_scripts;
mod catalog_import;
mod import_files;
mod import_errors;
mod catalog_export;
mod import_real_files;
mod import_interrupted;
mod db_constraints_catalog;
mod db_constraints_orders;
mod catalog_mutations;
mod category_move_concurrency;
mod graphql_over_http;
mod idempotent_requests;
mod query_limits;
mod response_format;
mod direct_responses;
mod response_cache;
mod cache_invalidation;
mod cache_privacy;
mod shared_cache;
mod load_balancer;
mod rolling_upgrade;
mod deployment;
mod attack_documents;
mod cli_serve;
mod cli_exit;
mod browser;
mod clients;
mod federation;
mod external_tokens;
mod oidc_login;
mod oauth_errors;
mod oauth_library;
mod oauth_refresh;
mod oauth_tokens;
mod outbox_relay;
mod event_feed;
mod jobs;
mod job_worker;
mod schedules;
mod notification_preferences;
mod email_sms_delivery;
mod order_notifications;
mod null_fields;
mod expected_stock;
mod crash_recovery;
mod backup;
mod consistency;
mod prove;
mod attack_process;
mod outages;
mod read_replica;
mod redis_client;
mod throttle_redis;
mod rate_limits;
mod frozen_instance;
mod connection_pools;
mod connections;
mod disconnects;
mod startup;
mod storefront;
mod schema_upgrade;
mod malformed_settings;
mod settings;
mod secret_files;
mod tls;
mod persisted_operations;
mod trusted_documents;
mod operation_requests;
mod operations_command;
mod metrics;
mod request_log;
mod trace_export;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhook_load;
mod media;
mod media_copy;
mod media_jobs;
mod media_serving;
mod webhook_payloads;
mod webhook_retries;

use std::process::ExitCode;

use libtest_mimic::{Conclusion, Trial};
use support::{Backend, TestCase};

/// Returns the test cases of each file.
#[expect(clippy::too_many_lines, reason = "one line per file of tests")]
fn test_cases_by_file() -> Vec<(&'static str, Vec<TestCase>)> {
    vec![
        ("catalog_queries", catalog_queries::test_cases()),
        ("product_pages", product_pages::test_cases()),
        ("product_pricing", product_pricing::test_cases()),
        ("cart", cart::test_cases()),
        ("cart_merge", cart_merge::test_cases()),
        ("cart_retention", cart_retention::test_cases()),
        ("cart_answers", cart_answers::test_cases()),
        ("cart_details", cart_details::test_cases()),
        ("cart_lines", cart_lines::test_cases()),
        ("checkout", checkout::test_cases()),
        ("further_payments", further_payments::test_cases()),
        ("payment_crashes", payment_crashes::test_cases()),
        ("payment_failures", payment_failures::test_cases()),
        ("payment_methods", payment_methods::test_cases()),
        ("payment_webhooks", payment_webhooks::test_cases()),
        ("payments", payments::test_cases()),
        ("refunds", refunds::test_cases()),
        ("mpesa_checkout", mpesa_checkout::test_cases()),
        ("stripe_checkout", stripe_checkout::test_cases()),
        ("checkout_concurrency", checkout_concurrency::test_cases()),
        ("stock_concurrency", stock_concurrency::test_cases()),
        ("locking", locking::test_cases()),
        ("query_plans", query_plans::test_cases()),
        ("model_based_orders", model_based_orders::test_cases()),
        ("order_lifecycle", order_lifecycle::test_cases()),
        ("locations", locations::test_cases()),
        ("nodes", nodes::test_cases()),
        ("order_queries", order_queries::test_cases()),
        ("order_access", order_access::test_cases()),
        ("order_returns", order_returns::test_cases()),
        ("guest_order_limits", guest_order_limits::test_cases()),
        ("captures", captures::test_cases()),
        ("checkout_end_to_end", checkout_end_to_end::test_cases()),
        ("cart_pricing", cart_pricing::test_cases()),
        ("shipping_and_tax", shipping_and_tax::test_cases()),
        ("shop", shop::test_cases()),
        ("subscription_connections", subscription_connections::test_cases()),
        ("subscription_resume", subscription_resume::test_cases()),
        ("subscriptions", subscriptions::test_cases()),
        ("query_counts", query_counts::test_cases()),
        ("batched_lists", batched_lists::test_cases()),
        ("login", login::test_cases()),
        ("throttle", throttle::test_cases()),
        ("throttle_http", throttle_http::test_cases()),
        ("audit_log", audit_log::test_cases()),
        ("readme_examples", readme_examples::test_cases()),
        ("rest_catalog", rest_catalog::test_cases()),
        ("rest_errors", rest_errors::test_cases()),
        ("rest_execution", rest_execution::test_cases()),
        ("rest_openapi", rest_openapi::test_cases()),
        ("rest_orders", rest_orders::test_cases()),
        ("access_tokens", access_tokens::test_cases()),
        ("passwords", passwords::test_cases()),
        ("email_change", email_change::test_cases()),
        ("login_codes", login_codes::test_cases()),
        ("order_links", order_links::test_cases()),
        ("keys_command", keys_command::test_cases()),
        ("customer_lists", customer_lists::test_cases()),
        ("customers", customers::test_cases()),
        ("staff", staff::test_cases()),
        ("data_erasure", data_erasure::test_cases()),
        ("api_keys", api_keys::test_cases()),
        ("authorization", authorization::test_cases()),
        ("cli_users", cli_users::test_cases()),
        ("pagination", pagination::test_cases()),
        ("product_filters", product_filters::test_cases()),
        ("search", search::test_cases()),
        ("search_suggestions", search_suggestions::test_cases()),
        ("facet_filters", facet_filters::test_cases()),
        ("best_selling", best_selling::test_cases()),
        ("analytics", analytics::test_cases()),
        ("analytics_queries", analytics_queries::test_cases()),
        ("analytics_rebuild", analytics_rebuild::test_cases()),
        ("page_details", page_details::test_cases()),
        ("search_pages", search_pages::test_cases()),
        ("search_pins", search_pins::test_cases()),
        ("search_ranking", search_ranking::test_cases()),
        ("search_report", search_report::test_cases()),
        ("search_synonyms", search_synonyms::test_cases()),
        ("search_results", search_results::test_cases()),
        ("search_scripts", search_scripts::test_cases()),
        ("catalog_import", catalog_import::test_cases()),
        ("import_files", import_files::test_cases()),
        ("import_errors", import_errors::test_cases()),
        ("catalog_export", catalog_export::test_cases()),
        ("import_real_files", import_real_files::test_cases()),
        ("import_interrupted", import_interrupted::test_cases()),
        ("entities", entities::test_cases()),
        ("db_constraints_catalog", db_constraints_catalog::test_cases()),
        ("db_constraints_orders", db_constraints_orders::test_cases()),
        ("catalog_mutations", catalog_mutations::test_cases()),
        ("category_move_concurrency", category_move_concurrency::test_cases()),
        ("idempotent_requests", idempotent_requests::test_cases()),
        ("graphql_over_http", graphql_over_http::test_cases()),
        ("query_limits", query_limits::test_cases()),
        ("response_format", response_format::test_cases()),
        ("direct_responses", direct_responses::test_cases()),
        ("response_cache", response_cache::test_cases()),
        ("cache_invalidation", cache_invalidation::test_cases()),
        ("cache_privacy", cache_privacy::test_cases()),
        ("shared_cache", shared_cache::test_cases()),
        ("load_balancer", load_balancer::test_cases()),
        ("rolling_upgrade", rolling_upgrade::test_cases()),
        ("attack_documents", attack_documents::test_cases()),
        ("cli_serve", cli_serve::test_cases()),
        ("cli_exit", cli_exit::test_cases()),
        ("browser", browser::test_cases()),
        ("clients", clients::test_cases()),
        ("federation", federation::test_cases()),
        ("external_tokens", external_tokens::test_cases()),
        ("oidc_login", oidc_login::test_cases()),
        ("oauth_errors", oauth_errors::test_cases()),
        ("oauth_library", oauth_library::test_cases()),
        ("oauth_refresh", oauth_refresh::test_cases()),
        ("oauth_tokens", oauth_tokens::test_cases()),
        ("outbox_relay", outbox_relay::test_cases()),
        ("event_feed", event_feed::test_cases()),
        ("jobs", jobs::test_cases()),
        ("job_worker", job_worker::test_cases()),
        ("schema_upgrade", schema_upgrade::test_cases()),
        ("schedules", schedules::test_cases()),
        ("persisted_operations", persisted_operations::test_cases()),
        ("trusted_documents", trusted_documents::test_cases()),
        ("operation_requests", operation_requests::test_cases()),
        ("operations_command", operations_command::test_cases()),
        ("metrics", metrics::test_cases()),
        ("request_log", request_log::test_cases()),
        ("trace_export", trace_export::test_cases()),
        ("webhook_deliveries", webhook_deliveries::test_cases()),
        ("webhook_endpoints", webhook_endpoints::test_cases()),
        ("webhook_load", webhook_load::test_cases()),
        ("media", media::test_cases()),
        ("media_copy", media_copy::test_cases()),
        ("media_jobs", media_jobs::test_cases()),
        ("media_serving", media_serving::test_cases()),
        ("webhook_payloads", webhook_payloads::test_cases()),
        ("webhook_retries", webhook_retries::test_cases()),
        ("notification_preferences", notification_preferences::test_cases()),
        ("email_sms_delivery", email_sms_delivery::test_cases()),
        ("order_notifications", order_notifications::test_cases()),
        ("null_fields", null_fields::test_cases()),
        ("expected_stock", expected_stock::test_cases()),
        ("crash_recovery", crash_recovery::test_cases()),
        ("backup", backup::test_cases()),
        ("consistency", consistency::test_cases()),
        ("prove", prove::test_cases()),
        ("attack_process", attack_process::test_cases()),
        ("rate_limits", rate_limits::test_cases()),
        ("throttle_redis", throttle_redis::test_cases()),
        ("read_replica", read_replica::test_cases()),
        ("redis_client", redis_client::test_cases()),
        ("outages", outages::test_cases()),
        ("frozen_instance", frozen_instance::test_cases()),
        ("connection_pools", connection_pools::test_cases()),
        ("connections", connections::test_cases()),
        ("disconnects", disconnects::test_cases()),
        ("startup", startup::test_cases()),
        ("storefront", storefront::test_cases()),
    ]
}

fn main() -> ExitCode {
    support::watch_running_tests();
    let arguments = support::read_arguments();
    let mut trials: Vec<Trial> = architecture::create_trials();
    trials.extend(naming::create_trials());
    trials.extend(migration_rules::create_trials());
    trials.extend(schema::create_trials());
    trials.extend(fuzz_documents::create_trials());
    trials.extend(settings::trials());
    trials.extend(metrics::create_trials());
    trials.extend(secret_files::create_trials());
    trials.extend(tls::create_trials());
    trials.extend(deployment::create_trials());
    trials.extend(mpesa::create_trials());
    trials.extend(mpesa_refunds::create_trials());
    trials.extend(stripe::create_trials());
    for (file, cases) in test_cases_by_file() {
        for test_case in cases {
            trials.extend(Backend::ALL.map(|backend| create_trial(file, test_case, backend)));
        }
    }
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    support::stop_replica_servers();
    support::drop_created_databases();
    support::print_slowest_tests();
    if Backend::Postgres.is_available() {
        println!("tested on SQLite and on PostgreSQL");
    } else {
        println!("tested on SQLite only: set TEST_DATABASE_URL=postgres://... to run every test on PostgreSQL too");
    }
    conclusion.exit_code()
}

/// Creates the trial of a test on one backend. Without the backend or a requirement it is reported as ignored, or
/// fails if `SAVANNAH_TEST_EVERYTHING` is set.
fn create_trial(file: &str, test_case: TestCase, backend: Backend) -> Trial {
    let TestCase { name, is_available: has_requirements, run: run_case } = test_case;
    let is_available = backend.is_available() && has_requirements();
    let full_name = format!("{}::{file}::{name}", backend.name());
    let running_name = full_name.clone();
    let run = move || {
        if !is_available {
            return Err("a requirement of this test is missing".into());
        }
        let _running = support::RunningTest::register(running_name);
        support::runtime().block_on(run_case(backend));
        Ok(())
    };
    let everything = std::env::var_os("SAVANNAH_TEST_EVERYTHING").is_some_and(|value| value == "1");
    Trial::test(full_name, run).with_ignored_flag(!is_available && !everything)
}
