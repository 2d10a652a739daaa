//! Values of settings from files that variables with the suffix `_FILE` name.

use std::{collections::BTreeSet, path::Path};

use libtest_mimic::Trial;
use savannah::infra::{Config, config::DEFAULT_SETTINGS};
use secrecy::ExposeSecret;

const STRIPE_KEY: &str = "SAVANNAH_PAYMENT__STRIPE__SECRET_KEY";
/// Settings that the secret key needs.
const STRIPE_SETTINGS: [(&str, &str); 2] =
    [("SAVANNAH_PAYMENT__STRIPE__PUBLISHABLE_KEY", "pk_1"), ("SAVANNAH_PAYMENT__STRIPE__WEBHOOK_SECRETS", "whsec_1")];

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn()| {
        Trial::test(format!("secret_files::{name}"), move || {
            run();
            Ok(())
        })
    };
    vec![
        trial("value_of_a_file_is_read_without_its_last_line_break", read_values),
        trial("variables_with_names_of_their_own_have_files_too", read_named_variables),
        trial("variable_and_its_file_together_are_refused", refuse_both),
        trial("unusable_file_is_refused", refuse_unusable_files),
        trial("file_of_an_unknown_setting_is_refused", refuse_unknown_settings),
        trial("no_setting_has_the_name_of_the_file_of_another", compare_names),
    ]
}

/// A directory with files for variables.
struct SecretFiles(tempfile::TempDir);

impl SecretFiles {
    fn create() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        path.display().to_string()
    }
}

fn load_config(variables: &[(&str, &str)]) -> Result<Config, String> {
    let with_stripe = variables.iter().any(|(name, _)| name.starts_with(STRIPE_KEY));
    let stripe_settings = STRIPE_SETTINGS.iter().filter(|_| with_stripe);
    let variables = variables.iter().chain(stripe_settings).map(|(name, value)| ((*name).into(), (*value).into()));
    Config::load_from(Path::new("/nowhere/savannah.toml"), variables)
}

fn read_values() {
    let files = SecretFiles::create();
    let variable = format!("{STRIPE_KEY}_FILE");
    for (contents, expected) in
        [("sk_1", "sk_1"), ("sk_2\n", "sk_2"), ("sk_3\r\n", "sk_3"), ("sk_4\n\n", "sk_4\n"), (" sk_5 \n", " sk_5 ")]
    {
        let path = files.write("key", contents);
        let config = load_config(&[(&variable, &path)]);
        let config = config.unwrap_or_else(|error| panic!("{contents:?}: {error}"));
        assert_eq!(config.payment.stripe.secret_key.expose_secret(), expected);
    }
    // A list and the setting of a provider, as from their variables.
    let origins = files.write("origins", "https://a.example, https://b.example\n");
    let issuer = files.write("issuer", "https://id.example\n");
    let provider = "SAVANNAH_IDENTITY__PROVIDERS__GOOGLE__";
    let config = load_config(&[
        ("SAVANNAH_SERVER__CORS_ORIGINS_FILE", &origins),
        (&format!("{provider}ISSUER_FILE"), &issuer),
        (&format!("{provider}CLIENT_ID"), "savannah"),
    ]);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.server.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.identity.providers["google"].issuer, "https://id.example");
}

fn read_named_variables() {
    let files = SecretFiles::create();
    let paths = [("bind", "127.0.0.1:8123\n"), ("filter", "warn\n"), ("other", "127.0.0.1:8124\n")];
    let [bind, filter, other] = paths.map(|(name, contents)| files.write(name, contents));
    let config = load_config(&[
        ("BIND_ADDR_FILE", &bind),
        ("RUST_LOG_FILE", &filter),
        // The variable with a name of its own has precedence, wherever the values are.
        ("SAVANNAH_SERVER__BIND_FILE", &other),
        ("SAVANNAH_LOG__FILTER", "info"),
    ]);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8123");
    assert_eq!(config.log.filter, "warn");
    let url = files.write("url", "mysql://shop:sesame@db/shop\n");
    let error = load_config(&[("DATABASE_URL_FILE", &url)]).map(drop).expect_err("a refusal");
    assert!(error.to_lowercase().contains("database") && !error.contains("sesame"), "{error}");
}

fn refuse_both() {
    let files = SecretFiles::create();
    let path = files.write("value", "postgres://shop@db/shop");
    for name in ["DATABASE_URL", "SAVANNAH_DATABASE__URL"] {
        let file_variable = format!("{name}_FILE");
        for variables in [
            [(name, "postgres://shop@db/shop"), (file_variable.as_str(), path.as_str())],
            [(file_variable.as_str(), path.as_str()), (name, "postgres://shop@db/shop")],
        ] {
            let error = load_config(&variables).map(drop).expect_err("a refusal");
            assert_eq!(error, format!("{name} and {file_variable} are both set; set one of them"));
        }
    }
}

fn refuse_unusable_files() {
    let files = SecretFiles::create();
    let missing = files.0.path().join("missing").display().to_string();
    let directory = files.0.path().display().to_string();
    let largest = files.write("largest", "k".repeat(65_536));
    let cases = [
        (missing, "cannot be read"),
        (String::new(), "cannot be read"),
        (directory, "cannot be read"),
        ("/dev/zero".to_owned(), "larger than 65536 bytes"),
        (files.write("large", "k".repeat(65_537)), "larger than 65536 bytes"),
        (files.write("empty", ""), "is empty"),
        (files.write("binary", b"\xffsesame"), "not UTF-8"),
    ];
    for (path, reason) in cases {
        for name in ["DATABASE_URL_FILE", "SAVANNAH_PAYMENT__STRIPE__SECRET_KEY_FILE"] {
            let error = load_config(&[(name, &path)]).map(drop).expect_err("a refusal");
            assert!(error.starts_with(name) && error.contains(reason), "{path}: {error}");
            assert!(!error.contains('\n') && !error.contains("sesame"), "{path}: {error}");
        }
    }
    let config = load_config(&[(&format!("{STRIPE_KEY}_FILE"), &largest)]).expect("settings");
    assert_eq!(config.payment.stripe.secret_key.expose_secret().len(), 65_536);
}

fn refuse_unknown_settings() {
    let files = SecretFiles::create();
    let path = files.write("value", "x");
    for name in ["SAVANNAH_SHOP__NAEM_FILE", "SAVANNAH_SHPO__NAME_FILE", "SAVANNAH_SHOP__NAME_FILES"] {
        let error = load_config(&[(name, &path)]).map(drop).expect_err("a refusal");
        assert!(error.starts_with(&format!("unknown setting {name}")), "{error}");
    }
    // The variables of other programs, and those of the build, are not read.
    let others = [("OTHER_FILE", "/nowhere"), ("SAVANNAH_GRAPHIQL_FILE", "/nowhere"), ("DATABASE_FILE", "/nowhere")];
    load_config(&others).map(drop).expect("settings");
}

fn compare_names() {
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in DEFAULT_SETTINGS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.split_once(" = ") {
            keys.insert(format!("{section}.{name}"));
        }
    }
    assert!(keys.len() > 80, "only {} settings were found", keys.len());
    let ambiguous: Vec<_> = keys.iter().filter(|key| keys.contains(&format!("{key}_file"))).collect();
    assert!(ambiguous.is_empty(), "the variable of KEY_file is also that of the file of KEY: {ambiguous:?}");
}
