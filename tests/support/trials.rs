//! Trials of tests that need no database.

use libtest_mimic::Trial;

use super::{RunningTest, TestFuture, runtime};

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
