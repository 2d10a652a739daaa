//! Settings that cannot be: each is refused before anything is opened, with a sentence that names it.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use libtest_mimic::Trial;
use savannah::infra::{Config, config::DEFAULT_SETTINGS};

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
        trial("zero_is_refused_where_it_means_nothing", zeros_mistaken),
        trial("value_of_a_wrong_type_in_the_file_is_refused", wrong_types_accepted),
        trial("malformed_text_is_refused", malformed_texts_accepted),
        trial("malformed_file_is_refused", malformed_files_accepted),
    ]
}

/// Where 0 says something: automatic, at once, none, or not at all.
const MAY_BE_ZERO: [&str; 16] = [
    "database.connections",
    "server.shutdown_delay",
    "server.shutdown_grace",
    "server.proxies",
    "graphql.max_database_time",
    "graphql.expensive_reads",
    "graphql.document_cache",
    "identity.refresh_reuse_grace",
    "identity.password_queue",
    "identity.providers.example.leeway",
    "sms.guest_daily_limit",
    "notification.email_interval",
    "notification.email_delay_limit",
    "throttle.max_login_delay",
    "checkout.unconfirmed_lifetime",
    "jobs.backoff",
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

    /// Those that are a number, `shutdown_delay` too.
    fn numbers() -> impl Iterator<Item = Self> {
        let number = |one: &Self| one.default.parse::<i64>().is_ok() || one.key == "server.shutdown_delay";
        Self::all().into_iter().filter(number)
    }

    fn may_be_zero(&self) -> bool {
        MAY_BE_ZERO.contains(&self.key.as_str())
    }

    fn variable(&self) -> String {
        format!("SAVANNAH_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// The words by which a sentence may name it.
    fn names(&self) -> Vec<String> {
        let own = [("database.url", "DATABASE_URL"), ("server.bind", "BIND_ADDR")];
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

fn zeros_mistaken() -> Vec<String> {
    let mut faults = Vec::new();
    for one in Setting::numbers() {
        let what = format!("{} = 0", one.key);
        for outcome in [one.in_environment("0"), one.in_file("0")] {
            if one.may_be_zero() {
                faults.extend(outcome.err().map(|reason| format!("{what}: {reason}")));
            } else {
                faults.extend(fault(outcome, &one.names(), &what));
            }
        }
    }
    // The list names settings that are there.
    let known: BTreeSet<String> = Setting::numbers().map(|one| one.key).collect();
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
    let cases: [(&str, &[&str]); 33] = [
        ("shop.name", &["", "  ", "a\nb"]),
        ("shop.currency", &["", "KSH", "kes", "€"]),
        ("shop.country", &["", "K", "KEN", "XX"]),
        ("shop.time_zone", &["", "Nairobi", "+3", "Africa/Atlantis"]),
        ("shop.language", &["", "xx", "english"]),
        ("shop.mode", &["", "staging", "Production"]),
        ("database.url", &["", "shop.db", "mysql://db/shop", "sqlite", "http://x"]),
        ("server.bind", &["", "8000", "localhost", "127.0.0.1:99999", "127.0.0.1:-1"]),
        ("server.public_url", &["shop", "https://", "https://shop.example/path", "ftp:"]),
        ("server.cors_origins", &["shop.example", "https://a.example,b.example", "ftp://a.example"]),
        ("server.cors_headers", &["x y", "x:", "é"]),
        ("server.shutdown_delay", &["soon", "", "5s", "AUTO"]),
        ("graphql.timing", &["maybe", "", "1", "yes"]),
        ("graphql.introspection", &["maybe", "", "on"]),
        ("identity.issuer", &["", " "]),
        ("identity.local_accounts", &["maybe", "", "2"]),
        ("identity.redirects", &["x", "https://a.example/#f", "//a.example"]),
        ("identity.providers.example.issuer", &["id.example", "ftp://id.example", "https://id.example/?x"]),
        ("identity.providers.example.accept_tokens", &["maybe", "true"]),
        ("mail.send", &["", "pigeon", "smtp"]),
        ("mail.from", &["", "nobody", "a@b@c"]),
        ("mail.reply_to", &["nobody"]),
        ("mail.tls", &["", "sometimes"]),
        ("sms.send", &["", "pigeon", "africastalking"]),
        ("sms.api_key", &["a b", "é"]),
        ("sms.url", &["x", "gopher://x", "https://x/?q"]),
        ("notification.folder", &[""]),
        ("notification.order_url", &["x", "https://shop.example/", "javascript:alert('{token}')"]),
        ("notification.verify_url", &["x", "https://shop.example/"]),
        ("notification.reset_url", &["x", "data:{token}"]),
        ("jobs.queues", &["mail", "mail=0", "mail=x", "=4", "mail=1001"]),
        ("checkout.payment_methods", &["", ","]),
        ("log.format", &["", "xml"]),
    ];
    let limits = Setting::all().into_iter().filter(|one| one.key.starts_with("throttle.") && one.default.contains('/'));
    let limits: Vec<_> = limits.map(|one| (one.key, &LIMITS[..])).collect();
    assert!(limits.len() >= 12, "limits are missing");
    let cases = cases.into_iter().map(|(key, values)| (key.to_owned(), values)).chain(limits);
    let mut faults = Vec::new();
    for (key, values) in cases {
        let one = Setting { key, default: "" };
        let mut names = one.names();
        // Settings that depend on each other are reported at either.
        let pair = [("mail.send", "mail.host"), ("sms.send", "sms.api_key")];
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
    // What is not UTF-8, and what is no file.
    let bytes = folder.path().join("savannah.toml");
    std::fs::write(&bytes, b"[shop]\nname = \"\xff\"").expect("a file");
    for path in [bytes.as_path(), folder.path() as &Path] {
        let outcome = Config::load_from(path, std::iter::empty()).map(drop);
        faults.extend(fault(outcome, &[path.display().to_string()], "no text"));
    }
    faults
}
