//! The binary: its code is in the library, see [`savannah::cli::run_program`].

use std::process::ExitCode;

/// A response consists of many small short-lived allocations; with the system allocator they took a sixth of the CPU
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    savannah::cli::run_program()
}
