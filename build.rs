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
const PINNED: [Pinned; 4] = [
    Pinned {
        name: "graphiql.min.js",
        package: "graphiql@4.1.2",
        inside: "package/graphiql.min.js",
        sum: "867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b",
    },
    Pinned {
        name: "graphiql.min.css",
        package: "graphiql@4.1.2",
        inside: "package/graphiql.min.css",
        sum: "30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885",
    },
    Pinned {
        name: "react.production.min.js",
        package: "react@18.3.1",
        inside: "package/umd/react.production.min.js",
        sum: "d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd",
    },
    Pinned {
        name: "react-dom.production.min.js",
        package: "react-dom@18.3.1",
        inside: "package/umd/react-dom.production.min.js",
        sum: "35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d",
    },
];

/// Our own files beside them, which need a sum as well: it is their version in the browser's cache.
const OURS: [&str; 2] = ["start.js", "examples.graphql"];
const OUR_FOLDER: &str = "src/http/graphiql";

const FOLDER_VARIABLE: &str = "SAVANNAH_GRAPHIQL_DIR";

/// A refused or dead network ends by npm's own limits below; this one is for a network that only drips.
const NPM_LIMIT: Duration = Duration::from_mins(1);
const NPM_OPTIONS: &str = "pack --loglevel=error --ignore-scripts --prefer-offline --no-update-notifier \
    --fetch-timeout=5000 --fetch-retries=1 --fetch-retry-mintimeout=200 --fetch-retry-maxtimeout=1000";

struct Pinned {
    name: &'static str,
    package: &'static str,
    inside: &'static str,
    sum: &'static str,
}

type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={FOLDER_VARIABLE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let folder = env::var_os(FOLDER_VARIABLE);
    let missing = match obtain(&out, folder.as_deref()) {
        Ok(()) => String::new(),
        // Asked for, so no warning, and nothing to try again: for work far from any network.
        Err(_) if folder.is_some_and(|folder| folder.is_empty()) => {
            format!("{FOLDER_VARIABLE} was empty")
        }
        Err(reason) => {
            println!("cargo:warning=the GraphiQL page is left out of this build: {reason}");
            // A path that never exists makes Cargo run this again at the next build.
            println!("cargo:rerun-if-changed={}", out.join("try-again").display());
            reason
        }
    };
    fs::write(out.join("graphiql_files.rs"), generate(&missing)?)
}

/// Has all four files in `out` with the right sums, or says why not.
fn obtain(out: &Path, folder: Option<&OsStr>) -> Result<()> {
    if PINNED.iter().all(|file| file.read_from(out).is_ok()) {
        return Ok(());
    }
    match folder {
        // A builder who names a folder wants those files and no network, also when they turn out wrong.
        Some(folder) => copy(Path::new(folder), out),
        None => fetch(out),
    }
}

fn copy(folder: &Path, out: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() {
        return Err(String::from("no folder"));
    }
    for file in &PINNED {
        let path = folder.join(file.name);
        println!("cargo:rerun-if-changed={}", path.display());
    }
    for file in &PINNED {
        let bytes = file.read_from(folder).map_err(|why| format!("{FOLDER_VARIABLE}: {why}"))?;
        file.keep(&bytes, out)?;
    }
    Ok(())
}

fn fetch(out: &Path) -> Result<()> {
    let folder = out.join("npm");
    // Tarballs of an earlier, interrupted try must not be taken for this one's.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|why| format!("a folder for npm: {why}"))?;
    let unpacked = npm_pack(&folder).and_then(|()| PINNED.iter().try_for_each(|file| file.unpack(&folder, out)));
    let _ = fs::remove_dir_all(&folder);
    unpacked
}

/// Downloads the packages' tarballs into `folder`, which is also npm's working folder, away from any project.
fn npm_pack(folder: &Path) -> Result<()> {
    let mut packages = PINNED.map(|file| file.package).to_vec();
    packages.dedup();
    let log = folder.join("npm.log");
    let errors = File::create(&log).map_err(|why| format!("a log for npm: {why}"))?;
    let npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(NPM_OPTIONS.split_whitespace())
        .args(packages)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(|why| format!("npm did not start ({why})"))?;
    if within_limit(npm).map_err(|why| format!("npm: {why}"))? {
        return Ok(());
    }
    // Its first line is the error's code; the lines after it name hosts and paths, which the page must not show.
    let said = fs::read_to_string(&log).unwrap_or_default();
    let said = said.lines().next().unwrap_or("it gave no reason");
    Err(format!("npm could not fetch the packages ({said})"))
}

/// Whether the program succeeded in time; one that takes too long is ended.
fn within_limit(mut program: Child) -> io::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < NPM_LIMIT {
        if let Some(status) = program.try_wait()? {
            return Ok(status.success());
        }
        sleep(Duration::from_millis(50));
    }
    program.kill()?;
    program.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

impl Pinned {
    fn read_from(&self, folder: &Path) -> Result<Vec<u8>> {
        let bytes = fs::read(folder.join(self.name)).map_err(|why| self.wrong(&why))?;
        self.check(&bytes).map(|()| bytes)
    }

    fn check(&self, bytes: &[u8]) -> Result<()> {
        let found = sum(bytes);
        if found == self.sum {
            return Ok(());
        }
        Err(format!("{} has the SHA-256 {found}, which is not the pinned {}", self.name, self.sum))
    }

    /// The one way into the folder that is embedded: through the check.
    fn keep(&self, bytes: &[u8], out: &Path) -> Result<()> {
        self.check(bytes)?;
        fs::write(out.join(self.name), bytes).map_err(|why| self.wrong(&why))
    }

    fn unpack(&self, folder: &Path, out: &Path) -> Result<()> {
        let tarball = folder.join(self.package.replace('@', "-") + ".tgz");
        let bytes = self.within(&tarball).map_err(|why| self.wrong(&why))?;
        self.keep(&bytes, out)
    }

    fn within(&self, tarball: &Path) -> io::Result<Vec<u8>> {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(tarball)?));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if &*entry.path_bytes() == self.inside.as_bytes() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                return Ok(bytes);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn wrong(&self, why: &io::Error) -> String {
        format!("{} of {}: {why}", self.name, self.package)
    }
}

fn sum(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The tables that `src/http/graphiql.rs` includes: each file's name, SHA-256 and bytes.
/// `FILES` is empty when something is missing, and `MISSING` then says what.
fn generate(missing: &str) -> io::Result<String> {
    let mut files = String::new();
    let embedded = if missing.is_empty() { &PINNED[..] } else { &[] };
    for file in embedded {
        files += &row("OUT_DIR", file.name, file.name, file.sum);
    }
    let mut ours = String::new();
    for name in OURS {
        let path = format!("{OUR_FOLDER}/{name}");
        println!("cargo:rerun-if-changed={path}");
        ours += &row("CARGO_MANIFEST_DIR", &path, name, &sum(&fs::read(&path)?));
    }
    Ok(format!(
        "pub static FILES: &[(&str, &str, &[u8])] = &[{files}\n];\n\
         pub static OURS: &[(&str, &str, &[u8])] = &[{ours}\n];\n\
         pub static MISSING: &str = {missing:?};\n"
    ))
}

fn row(root: &str, path: &str, name: &str, sum: &str) -> String {
    let bytes = format!("include_bytes!(concat!(env!({root:?}), \"/{path}\"))");
    format!("\n    ({name:?}, {sum:?}, {bytes}),")
}
