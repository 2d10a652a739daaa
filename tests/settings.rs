//! Settings that cannot be: each is refused before anything is opened, with a sentence that names it.

mod durations;

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use libtest_mimic::Trial;
use savannah::infra::{Config, config::DEFAULT_SETTINGS};

use durations::{bare_integers_unexplained, durations_accepted};

use crate::malformed_settings::MALFORMED_TEXTS;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Vec<String>| {
        Trial::test(format!("settings::{name}"), move || {
            let wrong = run();
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
        })
    };
    vec![
        trial("defaults_are_accepted_one_by_one", defaults_refused),
        trial("value_out_of_range_in_the_environment_is_refused", numbers_accepted_from_environment),
        trial("value_out_of_range_in_the_file_is_refused", numbers_accepted_from_file),
        trial("duration_without_unit_or_out_of_range_is_refused", durations_accepted),
        trial("bare_integer_as_duration_is_refused_with_an_example", bare_integers_unexplained),
        trial("zero_is_refused_where_it_means_nothing", zeros_mistaken),
        trial("value_of_a_wrong_type_in_the_file_is_refused", wrong_types_accepted),
        trial("malformed_text_is_refused", malformed_texts_accepted),
        trial("malformed_file_is_refused", malformed_files_accepted),
        trial("debug_output_contains_no_secret", secrets_shown),
    ]
}

/// Where 0 says something: automatic, at once, none, or not at all.
const MAY_BE_ZERO: [&str; 28] = [
    "database.max_connections",
    "database.max_write_connections",
    "database.replica_max_connections",
    "database.min_connections",
    "server.shutdown_delay",
    "server.shutdown_timeout",
    "server.hsts_max_age",
    "server.trusted_proxies",
    "graphql.max_database_time",
    "graphql.max_expensive_reads",
    "graphql.document_cache_size",
    "cache.data_bytes",
    "cache.max_staleness",
    "cache.http_max_age",
    "cache.http_shared_max_age",
    "cache.http_stale_while_revalidate",
    "graphql.persisted_query_cache_size",
    "graphql.trusted_document_cache_size",
    "identity.refresh_token_reuse_interval",
    "identity.max_queued_passwords",
    "identity.providers.example.clock_skew",
    "sms.guest_daily_limit",
    "notification.email_interval",
    "notification.max_email_delay",
    "throttle.max_login_delay",
    "checkout.confirmation_timeout",
    "jobs.backoff",
    "webhooks.backoff",
];

/// More than any number may be, up to what no integer holds.
const HUGE: [&str; 5] = [
    "1000000000000000",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1000000000000000000000000000000",
];

/// A setting as the defaults have it.
struct Setting {
    key: String,
    default: &'static str,
}

impl Setting {
    fn all() -> Vec<Self> {
        let mut section = "";
        let mut all = Vec::new();
        for line in DEFAULT_SETTINGS.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((name, default)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                all.push(Self { key: format!("{section}.{name}"), default });
            }
        }
        assert!(all.len() > 80, "only {} settings were found", all.len());
        all
    }

    /// Those that are a number.
    fn numbers() -> impl Iterator<Item = Self> {
        Self::all().into_iter().filter(|one| one.default.parse::<i64>().is_ok())
    }

    /// Those that are a duration, `shutdown_delay` too.
    fn durations() -> impl Iterator<Item = Self> {
        let duration = |one: &Self| {
            let text = one.default.trim_matches('"');
            let number = text.strip_suffix(['s', 'm', 'h', 'd']);
            number.is_some_and(|number| number.parse::<u64>().is_ok()) || one.key == "server.shutdown_delay"
        };
        let all: Vec<_> = Self::all().into_iter().filter(duration).collect();
        assert!(all.len() >= 30, "only {} durations were found", all.len());
        all.into_iter()
    }

    /// Zero of this setting: with a unit for a duration.
    fn zero(&self) -> &'static str {
        if self.default.starts_with('"') { "0s" } else { "0" }
    }

    fn may_be_zero(&self) -> bool {
        MAY_BE_ZERO.contains(&self.key.as_str())
    }

    fn variable(&self) -> String {
        format!("SAVANNAH_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// The words by which a sentence may name it.
    fn names(&self) -> Vec<String> {
        let own = [
            ("database.url", "DATABASE_URL"),
            ("database.replica_url", "DATABASE_REPLICA_URL"),
            ("redis.url", "REDIS_URL"),
            ("server.bind", "BIND_ADDR"),
        ];
        let own = own.iter().filter(|(key, _)| *key == self.key).map(|(_, name)| (*name).to_owned());
        own.chain([self.variable(), self.key.clone()]).collect()
    }

    /// What the shop says to this value of it in the environment.
    fn in_environment(&self, value: &str) -> Result<(), String> {
        read("", &self.needed(&[(&self.variable(), value)]))
    }

    /// What the shop says to this value of it in the file.
    fn in_file(&self, value: &str) -> Result<(), String> {
        let (section, name) = self.key.rsplit_once('.').expect("a section");
        read(&format!("[{section}]\n{name} = {value}\n"), &self.needed(&[]))
    }

    /// A provider needs more than one setting.
    fn needed(&self, message: &[(&str, &str)]) -> Vec<(String, String)> {
        const PROVIDER: [(&str, &str); 2] = [("ISSUER", "https://id.example"), ("CLIENT_ID", "savannah")];
        let mut vars: Vec<_> = message.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if self.key.starts_with("identity.providers.") {
            for (name, value) in PROVIDER {
                let name = format!("SAVANNAH_IDENTITY__PROVIDERS__EXAMPLE__{name}");
                if name != self.variable() {
                    vars.push((name, value.to_owned()));
                }
            }
        }
        vars
    }
}

fn read(file: &str, vars: &[(String, String)]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("savannah.toml");
    std::fs::write(&path, file).expect("a file");
    let vars: Vec<(OsString, OsString)> = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
    // The sentence is the same wherever the file is.
    let place = path.display().to_string();
    Config::load_from(&path, vars.into_iter()).map(drop).map_err(|reason| reason.replace(&place, "savannah.toml"))
}

/// Why a refusal is no good one: it did not come, does not name the setting, or is more than a sentence.
fn fault(outcome: Result<(), String>, names: &[String], what: &str) -> Option<String> {
    match outcome {
        Ok(()) => Some(format!("{what}: it was accepted")),
        Err(reason) if !names.iter().any(|name| reason.contains(name.as_str())) => {
            Some(format!("{what}: the setting is not named: {reason}"))
        }
        Err(reason)
            if reason.contains('\n')
                || reason.len() > 400
                || reason.contains("Error {")
                || reason.contains("Some(") =>
        {
            Some(format!("{what}: this is no sentence: {reason}"))
        }
        Err(_) => None,
    }
}

fn defaults_refused() -> Vec<String> {
    let environment = |one: &Setting| {
        let default = one.default.trim_matches(['"', '[', ']']).replace("\", \"", ",");
        one.in_environment(&default).and_then(|()| one.in_file(one.default))
    };
    // A provider without an address or without a name for the shop is none, and says so.
    let needed = ["identity.providers.example.issuer", "identity.providers.example.client_id"];
    let refused = |one: &Setting| environment(one).err().filter(|_| !needed.contains(&one.key.as_str()));
    Setting::all().iter().filter_map(|one| refused(one).map(|reason| format!("{}: {reason}", one.key))).collect()
}

fn numbers_accepted_from_environment() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::numbers() {
        for value in ["-1", "1.5", "x", "0x10", "1 000", "", "NaN"].into_iter().chain(HUGE) {
            faults.extend(fault(one.in_environment(value), &one.names(), &format!("{} = {value}", one.key)));
        }
    }
    faults
}

fn numbers_accepted_from_file() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::numbers() {
        for value in ["-1", "-9223372036854775808", "1000000000000000", "9223372036854775807", "\"x\"", "nan", "1e300"]
        {
            faults.extend(fault(one.in_file(value), &one.names(), &format!("{} = {value}", one.key)));
        }
    }
    faults
}

/// Sets every secret, and looks for them in what a log line of the settings would show.
fn secrets_shown() -> Vec<String> {
    const SECRET: &str = "sesame";
    let provider = "SAVANNAH_IDENTITY__PROVIDERS__EXAMPLE__";
    let vars = [
        ("DATABASE_URL".to_owned(), format!("postgres://shop:{SECRET}@db/shop?password={SECRET}")),
        ("DATABASE_REPLICA_URL".to_owned(), format!("postgres://shop:{SECRET}@replica/shop")),
        ("REDIS_URL".to_owned(), format!("redis://shop:{SECRET}@redis/0")),
        ("SAVANNAH_EMAIL__USERNAME".to_owned(), "shop".to_owned()),
        ("SAVANNAH_EMAIL__PASSWORD".to_owned(), SECRET.to_owned()),
        ("SAVANNAH_SMS__API_KEY".to_owned(), SECRET.to_owned()),
        ("SAVANNAH_MEDIA__ACCESS_KEY_ID".to_owned(), "shop".to_owned()),
        ("SAVANNAH_MEDIA__SECRET_ACCESS_KEY".to_owned(), SECRET.to_owned()),
        ("SAVANNAH_TELEMETRY__SENTRY_DSN".to_owned(), format!("https://{SECRET}@sentry.example/1")),
        ("SAVANNAH_WEBHOOKS__ENCRYPTION_KEY".to_owned(), SECRET.repeat(6)),
        (format!("{provider}ISSUER"), "https://id.example".to_owned()),
        (format!("{provider}CLIENT_ID"), "savannah".to_owned()),
        (format!("{provider}CLIENT_SECRET"), SECRET.to_owned()),
    ];
    let vars = vars.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let config = Config::load_from(Path::new("/nowhere/savannah.toml"), vars).expect("settings");
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("client_secret") && shown.contains("api_key"), "the settings are not shown at all: {shown}");
    shown.contains(SECRET).then_some(shown).into_iter().collect()
}

fn zeros_mistaken() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::numbers().chain(Setting::durations()) {
        let zero = one.zero();
        let what = format!("{} = {zero}", one.key);
        let in_file = if zero == "0" { "0".to_owned() } else { format!("\"{zero}\"") };
        for outcome in [one.in_environment(zero), one.in_file(&in_file)] {
            if one.may_be_zero() {
                faults.extend(outcome.err().map(|reason| format!("{what}: {reason}")));
            } else {
                faults.extend(fault(outcome, &one.names(), &what));
            }
        }
    }
    // The list names settings that are there.
    let known: BTreeSet<String> = Setting::numbers().chain(Setting::durations()).map(|one| one.key).collect();
    faults.extend(MAY_BE_ZERO.iter().filter(|key| !known.contains(**key)).map(ToString::to_string));
    faults
}

fn wrong_types_accepted() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::all() {
        let list = one.default.starts_with('[');
        let values: &[&str] = if list { &["7", "true", "[[1]]"] } else { &["[1]", "[\"x\"]"] };
        for value in values.iter().chain(&["2026-11-01T09:00:00Z", "{ x = 1 }"]) {
            // A date is a text like any other where any text will do.
            let outcome = one.in_file(value);
            if outcome.is_ok() && value.starts_with("2026") && one.default.starts_with('"') {
                continue;
            }
            faults.extend(fault(outcome, &one.names(), &format!("{} = {value}", one.key)));
        }
    }
    faults
}

fn malformed_texts_accepted() -> Vec<String> {
    const LIMITS: [&str; 9] = ["", "x", "0/1h", "-1/1h", "1/0s", "1/8d", "1/1y", "1", "99999999999999999999/1h"];
    let limits = Setting::all().into_iter().filter(|one| one.key.starts_with("throttle.") && one.default.contains('/'));
    let limits: Vec<_> = limits.map(|one| (one.key, &LIMITS[..])).collect();
    assert!(limits.len() >= 12, "limits are missing");
    let cases = MALFORMED_TEXTS.into_iter().map(|(key, values)| (key.to_owned(), values)).chain(limits);
    let mut faults = Vec::new();
    for (key, values) in cases {
        let one = Setting { key, default: "" };
        let mut names = one.names();
        // Settings that depend on each other are reported at either.
        let pair = [("email.transport", "email.host"), ("sms.transport", "sms.api_key")];
        names.extend(pair.iter().filter(|(key, _)| *key == one.key).map(|(_, name)| (*name).to_owned()));
        let accepts = "identity.providers.example.accept_tokens";
        names.extend((one.key == accepts).then(|| "identity.providers.example.audience".to_owned()));
        for value in values {
            faults.extend(fault(one.in_environment(value), &names, &format!("{} = {value:?}", one.key)));
        }
    }
    faults
}

fn malformed_files_accepted() -> Vec<String> {
    let files = [
        "[shop",
        "[shop]\nname",
        "[shop]\nname = ",
        "[shop]\nname = \"a\"\nname = \"b\"",
        "[shop]\nname = \"a",
        "shop = 1",
        "shop = [1]",
        "[shop]\nnaem = \"x\"",
        "[shpo]\nname = \"x\"",
        "[[shop]]\nname = \"x\"",
        "[shop.name]\nx = 1",
        "\u{0}",
        "{\"shop\": {\"name\": \"x\"}}",
        "[identity.providers]\nname = \"x\"",
        "[identity.providers.a]\nissuer = \"https://id.example\"\nclient = \"x\"",
    ];
    let read = |file: &&str| fault(read(file, &[]), &["savannah.toml".to_owned()], file);
    let mut faults: Vec<_> = files.iter().filter_map(read).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = folder.path().join("savannah.toml");
    std::fs::write(&bytes, b"[shop]\nname = \"\xff\"").expect("a file");
    for path in [bytes.as_path(), folder.path() as &Path] {
        let outcome = Config::load_from(path, std::iter::empty()).map(drop);
        faults.extend(fault(outcome, &[path.display().to_string()], "no text"));
    }
    faults
}
