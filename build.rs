//! Puts `GraphiQL`'s browser files into the binary, so that the shop serves the page from its own origin.
//!
//! The files come from a folder the builder names (`SAVANNAH_GRAPHIQL_DIR`) or from the npm registry, and only with
//! the exact bytes pinned below. Without them the build still succeeds: a shop needs no such page to sell, and the
//! page then says what is missing. What is written for `src/http/graphiql.rs` to include is described at `generate`.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

/// The last packages that come with files a browser can load as they are, without a bundler.
const PINNED_FILES: [PinnedFile; 4] = [
    PinnedFile {
        name: "graphiql.min.js",
        package: "graphiql@4.1.2",
        archive_path: "package/graphiql.min.js",
        sha256: "867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b",
    },
    PinnedFile {
        name: "graphiql.min.css",
        package: "graphiql@4.1.2",
        archive_path: "package/graphiql.min.css",
        sha256: "30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885",
    },
    PinnedFile {
        name: "react.production.min.js",
        package: "react@18.3.1",
        archive_path: "package/umd/react.production.min.js",
        sha256: "d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd",
    },
    PinnedFile {
        name: "react-dom.production.min.js",
        package: "react-dom@18.3.1",
        archive_path: "package/umd/react-dom.production.min.js",
        sha256: "35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d",
    },
];

/// Our own files beside them, which need a sum as well: it is their version in the browser's cache.
const OWN_FILES: [&str; 2] = ["start.js", "examples.graphql"];
const OWN_FILES_DIRECTORY: &str = "src/http/graphiql";

const DIRECTORY_VARIABLE: &str = "SAVANNAH_GRAPHIQL_DIR";

/// A refused or dead network ends by npm's own limits below; this one is for a network that only drips.
const NPM_TIMEOUT: Duration = Duration::from_mins(1);
const NPM_OPTIONS: &str = "pack --loglevel=error --ignore-scripts --prefer-offline --no-update-notifier \
    --fetch-timeout=5000 --fetch-retries=1 --fetch-retry-mintimeout=200 --fetch-retry-maxtimeout=1000";

struct PinnedFile {
    name: &'static str,
    package: &'static str,
    archive_path: &'static str,
    sha256: &'static str,
}

type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={DIRECTORY_VARIABLE}");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let directory = env::var_os(DIRECTORY_VARIABLE);
    let missing_reason = match provide_files(&out_dir, directory.as_deref()) {
        Ok(()) => String::new(),
        // Asked for, so no warning, and nothing to try again: for work far from any network.
        Err(_) if directory.is_some_and(|directory| directory.is_empty()) => {
            format!("{DIRECTORY_VARIABLE} was empty")
        }
        Err(reason) => {
            println!("cargo:warning=the GraphiQL page is left out of this build: {reason}");
            // A path that never exists makes Cargo run this again at the next build.
            println!("cargo:rerun-if-changed={}", out_dir.join("try-again").display());
            reason
        }
    };
    fs::write(out_dir.join("graphiql_files.rs"), generate_tables(&missing_reason)?)
}

/// Has all four files in `out` with the right sums, or says why not.
fn provide_files(out_dir: &Path, directory: Option<&OsStr>) -> Result<()> {
    if PINNED_FILES.iter().all(|file| file.read_from(out_dir).is_ok()) {
        return Ok(());
    }
    match directory {
        // A builder who names a folder wants those files and no network, also when they turn out wrong.
        Some(directory) => copy_files(Path::new(directory), out_dir),
        None => download_files(out_dir),
    }
}

fn copy_files(directory: &Path, out_dir: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() {
        return Err(String::from("no folder"));
    }
    for file in &PINNED_FILES {
        let path = directory.join(file.name);
        println!("cargo:rerun-if-changed={}", path.display());
    }
    for file in &PINNED_FILES {
        let bytes = file.read_from(directory).map_err(|error| format!("{DIRECTORY_VARIABLE}: {error}"))?;
        file.write_checked(&bytes, out_dir)?;
    }
    Ok(())
}

fn download_files(out_dir: &Path) -> Result<()> {
    let directory = out_dir.join("npm");
    // Tarballs of an earlier, interrupted try must not be taken for this one's.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|error| format!("a folder for npm: {error}"))?;
    let unpack_result = run_npm_pack(&directory)
        .and_then(|()| PINNED_FILES.iter().try_for_each(|file| file.unpack_tarball(&directory, out_dir)));
    let _ = fs::remove_dir_all(&directory);
    unpack_result
}

/// Downloads the packages' tarballs into `folder`, which is also npm's working folder, away from any project.
fn run_npm_pack(directory: &Path) -> Result<()> {
    let mut packages = PINNED_FILES.map(|file| file.package).to_vec();
    packages.dedup();
    let log_path = directory.join("npm.log");
    let log_file = File::create(&log_path).map_err(|error| format!("a log for npm: {error}"))?;
    let npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(NPM_OPTIONS.split_whitespace())
        .args(packages)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log_file)
        .spawn()
        .map_err(|error| format!("npm did not start ({error})"))?;
    if wait_with_timeout(npm).map_err(|error| format!("npm: {error}"))? {
        return Ok(());
    }
    // Its first line is the error's code; the lines after it name hosts and paths, which the page must not show.
    let log_text = fs::read_to_string(&log_path).unwrap_or_default();
    let log_text = log_text.lines().next().unwrap_or("it gave no reason");
    Err(format!("npm could not fetch the packages ({log_text})"))
}

/// Whether the program succeeded in time; one that takes too long is ended.
fn wait_with_timeout(mut child: Child) -> io::Result<bool> {
    let started_at = Instant::now();
    while started_at.elapsed() < NPM_TIMEOUT {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        sleep(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

impl PinnedFile {
    fn read_from(&self, directory: &Path) -> Result<Vec<u8>> {
        let bytes = fs::read(directory.join(self.name)).map_err(|error| self.format_error(&error))?;
        self.verify_checksum(&bytes).map(|()| bytes)
    }

    fn verify_checksum(&self, bytes: &[u8]) -> Result<()> {
        let actual = sha256_hex(bytes);
        if actual == self.sha256 {
            return Ok(());
        }
        Err(format!("{} has the SHA-256 {actual}, which is not the pinned {}", self.name, self.sha256))
    }

    /// The one way into the folder that is embedded: through the check.
    fn write_checked(&self, bytes: &[u8], out_dir: &Path) -> Result<()> {
        self.verify_checksum(bytes)?;
        fs::write(out_dir.join(self.name), bytes).map_err(|error| self.format_error(&error))
    }

    fn unpack_tarball(&self, directory: &Path, out_dir: &Path) -> Result<()> {
        let tarball = directory.join(self.package.replace('@', "-") + ".tgz");
        let bytes = self.read_from_tarball(&tarball).map_err(|error| self.format_error(&error))?;
        self.write_checked(&bytes, out_dir)
    }

    fn read_from_tarball(&self, tarball: &Path) -> io::Result<Vec<u8>> {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(tarball)?));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if &*entry.path_bytes() == self.archive_path.as_bytes() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                return Ok(bytes);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn format_error(&self, error: &io::Error) -> String {
        format!("{} of {}: {error}", self.name, self.package)
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The tables that `src/http/graphiql.rs` includes: each file's name, SHA-256 and bytes.
/// `FILES` is empty when something is missing, and `MISSING` then says what.
fn generate_tables(missing_reason: &str) -> io::Result<String> {
    let mut pinned_rows = String::new();
    let embedded = if missing_reason.is_empty() { &PINNED_FILES[..] } else { &[] };
    for file in embedded {
        pinned_rows += &format_table_row("OUT_DIR", file.name, file.name, file.sha256);
    }
    let mut own_rows = String::new();
    for name in OWN_FILES {
        let path = format!("{OWN_FILES_DIRECTORY}/{name}");
        println!("cargo:rerun-if-changed={path}");
        own_rows += &format_table_row("CARGO_MANIFEST_DIR", &path, name, &sha256_hex(&fs::read(&path)?));
    }
    Ok(format!(
        "pub static FILES: &[(&str, &str, &[u8])] = &[{pinned_rows}\n];\n\
         pub static OURS: &[(&str, &str, &[u8])] = &[{own_rows}\n];\n\
         pub static MISSING: &str = {missing_reason:?};\n"
    ))
}

fn format_table_row(root: &str, path: &str, name: &str, sha256: &str) -> String {
    let bytes = format!("include_bytes!(concat!(env!({root:?}), \"/{path}\"))");
    format!("\n    ({name:?}, {sha256:?}, {bytes}),")
}
