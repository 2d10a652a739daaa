//! How trials are run, and those of tests that need no database.

use std::thread::available_parallelism;

use libtest_mimic::{Arguments, Trial};

use super::{RunningTest, TestFuture, runtime};

/// How many tests run at the same time for each processor. Many wait for other processes, timers and locks.
const TESTS_PER_PROCESSOR: usize = 3;
/// Maximum number of tests that run at the same time, unless `--test-threads` says otherwise: each opens about ten
/// connections, and a PostgreSQL server accepts 100 by default.
const MAX_RUNNING_TESTS: usize = 8;

/// Reads the arguments of the command line.
pub fn read_arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    let processor_count = available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.test_threads.get_or_insert((TESTS_PER_PROCESSOR * processor_count).min(MAX_RUNNING_TESTS));
    arguments
}

/// Creates the trial of a test that needs no database.
pub fn trial_without_database(file: &str, name: &str, run: fn() -> TestFuture) -> Trial {
    let full_name = format!("{file}::{name}");
    let running_name = full_name.clone();
    Trial::test(full_name, move || {
        let _running = RunningTest::register(running_name);
        runtime().block_on(run());
        Ok(())
    })
}
