//! Load generation with `wrk`.

use std::{fmt::Write, fs, net::SocketAddr, path::PathBuf, process::Command};

use crate::{Result, args::Options, http};

/// The results of a `wrk` run.
#[derive(Debug, Clone, Copy)]
pub struct WrkResult {
    /// The number of responses.
    pub requests: f64,
    /// Responses per second.
    pub rate: f64,
    /// The median latency, in milliseconds.
    pub p50: f64,
    /// The 99th percentile latency, in milliseconds.
    pub p99: f64,
}

/// A `wrk` script file, deleted on drop.
#[derive(Debug)]
pub struct WrkScript {
    path: PathBuf,
}

impl WrkScript {
    /// Writes a script that sends the bodies in turn, with an optional access token.
    pub fn new(name: &str, bodies: &[String], token: Option<&str>) -> Result<Self> {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let path = std::env::temp_dir().join(format!("savannah-bench-{}-{name}.lua", std::process::id()));
        let mut lua = String::from("local bodies = {\n");
        for body in bodies {
            // Writing to a string cannot fail. The bodies do not contain the Lua string delimiter.
            let _ = writeln!(lua, "[==[{body}]==],");
        }
        lua.push_str("}\nlocal headers = {}\n");
        for (name, value) in http::HEADERS {
            let _ = writeln!(lua, "headers[\"{name}\"] = \"{value}\"");
        }
        if let Some(token) = token {
            let _ = writeln!(lua, "headers[\"Authorization\"] = \"Bearer {token}\"");
        }
        lua.push_str(WRK_LUA_SCRIPT);
        fs::write(&path, lua).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Writes a script that reads a path.
    pub fn reading(name: &str, path_and_query: &str) -> Result<Self> {
        let script = Self::new(name, &[String::new()], None)?;
        let request = format!("wrk.format(\"GET\", \"{path_and_query}\", headers)");
        let lua = fs::read_to_string(&script.path).map_err(|error| format!("cannot read the script: {error}"))?;
        let lua = lua.replace("wrk.format(\"POST\", nil, headers, body)", &request);
        fs::write(&script.path, lua).map_err(|error| format!("cannot write {}: {error}", script.path.display()))?;
        Ok(script)
    }

    /// Loads a server. The warm-up also checks the content of every response.
    pub fn run(&self, options: &Options, address: SocketAddr, warm_up: bool) -> Result<WrkResult> {
        let seconds = if warm_up { options.seconds.min(2) } else { options.seconds };
        let output = Command::new("wrk")
            .arg(format!("-t{}", options.threads))
            .arg(format!("-c{}", options.connections.max(options.threads)))
            .arg(format!("-d{seconds}s"))
            .args(["--timeout", "30s", "--latency", "-s"])
            .arg(&self.path)
            .arg(format!("http://{address}/graphql"))
            .env("BENCH_LOOK", if warm_up { "1" } else { "" })
            .output()
            .map_err(|error| format!("wrk cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result_line = text.lines().find_map(|result_line| result_line.strip_prefix("SEEN "));
        let numbers: Vec<f64> = result_line.into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
        let &[requests, micros, p50, p99, errors, incomplete] = &*numbers else {
            return Err(format!("wrk failed: {}{}", text.trim(), String::from_utf8_lossy(&output.stderr).trim()));
        };
        if requests < 1.0 || errors + incomplete > 0.0 {
            return Err(format!("of {requests} answers under load {errors} failed and {incomplete} were not whole"));
        }
        Ok(WrkResult { requests, rate: requests / micros * 1e6, p50: p50 / 1e3, p99: p99 / 1e3 })
    }
}

impl Drop for WrkScript {
    fn drop(&mut self) {
        // Errors are ignored: the file is in the temporary directory.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns an error with installation instructions if `wrk` is not installed.
pub fn check_wrk_installed() -> Result<()> {
    let is_installed = Command::new("wrk").arg("-v").output().is_ok();
    if is_installed { Ok(()) } else { Err("wrk is not installed; `apt-get install wrk` brings it".to_owned()) }
}

/// Each thread has its own Lua state; `done` runs in another one and sees only the globals of the threads. Requests are
/// formatted once, because `wrk` shares the cores with the servers.
const WRK_LUA_SCRIPT: &str = r#"
local threads, requests, turn = {}, {}, 0
bad = 0

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

function init()
    for at, body in ipairs(bodies) do
        requests[at] = wrk.format("POST", nil, headers, body)
    end
    turn = number * 37 - 1
end

function request()
    turn = turn + 1
    return requests[turn % #requests + 1]
end

if os.getenv("BENCH_LOOK") == "1" then
    function response(status, headers, body)
        if status ~= 200 or body:sub(1, 8) ~= '{"data":' or body:find('"errors":', 1, true)
            or body:find('"code":', 1, true) then
            bad = bad + 1
        end
    end
end

function done(summary, latency)
    local missing = 0
    for _, thread in ipairs(threads) do
        missing = missing + thread:get("bad")
    end
    local e = summary.errors
    local errors = e.connect + e.read + e.write + e.status + e.timeout
    io.write(string.format("SEEN %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), errors, missing))
end
"#;
