//! The binary: its code is in the library, see [`savannah::cli::run_program`].

use std::process::ExitCode;

/// A response consists of many small short-lived allocations; with the system allocator they took a sixth of the CPU
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    disable_huge_pages();
    savannah::cli::run_program()
}

/// Disables transparent huge pages for the process: a page of 2 MB is resident as soon as a part of it is used, which made
/// the server's memory a fourth larger. It fails only on a kernel that has none.
#[cfg(target_os = "linux")]
fn disable_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
