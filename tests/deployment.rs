//! The files for deployments: their variables are settings, and what they refer to exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use libtest_mimic::Trial;
use savannah::infra::Config;
use serde_json::Value;

/// Time to close after the shutdown delay and the shutdown timeout.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const COMPOSE_FILES: [&str; 3] = ["docker-compose.yml", "docker-compose.override.yml", "deploy/compose/production.yml"];
const SHOP_SERVICES: [&str; 4] = ["migrate", "shop-1", "shop-2", "worker"];
const KUBERNETES: &str = "deploy/kubernetes";

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn()| {
        Trial::test(format!("deployment::{name}"), move || {
            run();
            Ok(())
        })
    };
    vec![
        trial("variables_of_the_image_are_settings", check_image),
        trial("context_of_the_image_contains_the_workspace", check_image_context),
        trial("variables_of_compose_are_settings", check_compose_settings),
        trial("references_of_compose_exist", check_compose_references),
        trial("variables_of_kubernetes_are_settings", check_kubernetes_settings),
        trial("files_of_kubernetes_are_used", check_kubernetes_files),
        trial("variables_of_systemd_are_settings", check_systemd),
    ]
}

fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read_file(path: &str) -> String {
    fs::read_to_string(repository_path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Parses all documents of a YAML file.
fn read_yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Loads the settings of a deployment. The files that variables name are replaced by files with a valid value.
fn load_settings(source: &str, variables: &BTreeMap<String, String>) -> Config {
    let directory = tempfile::tempdir().expect("a directory");
    let mut replaced = Vec::new();
    for (name, value) in variables {
        let mut value = value.clone();
        if let Some(plain_name) = name.strip_suffix("_FILE") {
            let contents = match plain_name {
                "DATABASE_URL" => "postgres://savannah:secret@postgres/savannah",
                "REDIS_URL" => "redis://redis",
                "SAVANNAH_WEBHOOKS__ENCRYPTION_KEY" => "0123456789abcdef0123456789abcdef",
                _ => panic!("{source}: no value for the file of {plain_name}"),
            };
            let path = directory.path().join(plain_name);
            fs::write(&path, contents).expect("a file");
            value = path.display().to_string();
        }
        replaced.push((name.into(), value.into()));
    }
    let config = Config::load_from(Path::new("/nowhere/savannah.toml"), replaced.into_iter());
    config.unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Parses lines of the form NAME=VALUE.
fn parse_variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.map(|line| pair(line).unwrap_or_else(|| panic!("no variable: {line}"))).collect()
}

/// Asserts that a process has the time to stop before it is killed.
fn assert_stops_within(source: &str, config: &Config, limit: Duration) {
    let delay = config.server.shutdown_delay.resolve(config.shop.mode);
    let needed = delay + config.server.shutdown_timeout + CLOSE_TIME;
    assert!(limit > needed, "{source}: a stop takes up to {needed:?}, the limit is {limit:?}");
}

fn check_image() {
    let image = read_file("Dockerfile");
    let final_stage = image.rsplit("\nFROM ").next().expect("a stage");
    let variables = final_stage.lines().filter_map(|line| line.strip_prefix("ENV ")).collect::<Vec<_>>().join("\n");
    let variables = parse_variables(&variables);
    let config = load_settings("Dockerfile", &variables);
    assert_eq!(config.server.bind.port(), 8000);
    assert_eq!(config.shop.mode, savannah::infra::config::ShopMode::Production);
    assert!(final_stage.contains("\nUSER 10001:10001\n"), "the user is not the one of the manifests");
    assert!(final_stage.contains("/dev/tcp/127.0.0.1/8000") && final_stage.contains("/health/ready"), "{final_stage}");
}

fn check_image_context() {
    let included: Vec<_> =
        read_file(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    let manifest = read_file("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("members");
    let members = members.trim_end_matches(']').split(", ").map(|name| name.trim_matches('"'));
    let test_target = manifest.split("[[test]]").nth(1).and_then(|rest| rest.split("path = \"").nth(1));
    let test_file = test_target.and_then(|rest| rest.split('"').next()).expect("a test target");
    for name in members.filter(|name| *name != ".").chain(["src", "build.rs", "Cargo.lock", test_file]) {
        assert!(included.iter().any(|entry| entry == name), "{name} is not in the context of the image");
    }
    for entry in &included {
        assert!(repository_path(entry).exists(), "{entry} does not exist");
    }
    // What the sources embed from outside of their directories.
    assert!(included.contains(&"config.example.toml".to_owned()));
}

/// Merges the files of a project of Docker Compose: of services, what the tests read.
fn merge_compose(files: &[&str]) -> Value {
    let mut merged = Value::Null;
    for file in files {
        let [document] = &read_yaml(file)[..] else { panic!("{file} has several documents") };
        merge_values(&mut merged, document);
    }
    merged
}

/// Objects are merged, lists appended, and other values replaced.
fn merge_values(target: &mut Value, source: &Value) {
    match (target, source) {
        (Value::Object(target), Value::Object(source)) => {
            for (key, value) in source {
                merge_values(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(source)) => target.extend(source.iter().cloned()),
        (target, source) => *target = source.clone(),
    }
}

/// Replaces `${NAME:-DEFAULT}` and `${NAME:?MESSAGE}`.
fn interpolate(text: &str, values: &BTreeMap<&str, &str>) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (expression, after) = rest.split_once('}').expect("a closing brace");
    let (name, default) = expression.split_once(':').expect("a default or a message");
    let default = default.strip_prefix('-');
    let value = values.get(name).copied().or(default);
    let value = value.unwrap_or_else(|| panic!("{name} is not set"));
    format!("{before}{value}{}", interpolate(after, values))
}

fn check_compose_settings() {
    let production = BTreeMap::from([("PUBLIC_URL", "https://api.shop.example"), ("SECRETS", "/etc/savannah/secrets")]);
    for (files, values) in
        [(&COMPOSE_FILES[..2], BTreeMap::new()), (&[COMPOSE_FILES[0], COMPOSE_FILES[2]][..], production)]
    {
        let project = merge_compose(files);
        for name in SHOP_SERVICES {
            let service = &project["services"][name];
            let variables = entries(&service["environment"]).map(|(variable, value)| {
                let value = value.as_str().unwrap_or_else(|| panic!("{name}: {variable} is no text"));
                (variable.clone(), interpolate(value, &values))
            });
            let source = format!("{files:?} {name}");
            let variables: BTreeMap<_, _> = variables.collect();
            assert!(variables.contains_key("DATABASE_URL_FILE"), "{source}");
            let config = load_settings(&source, &variables);
            let limit = service["stop_grace_period"].as_str().and_then(|limit| humantime::parse_duration(limit).ok());
            assert_stops_within(&source, &config, limit.expect("a limit"));
            // The names of the files are those of secrets that the service has.
            let secrets = texts(&service["secrets"]);
            for path in variables.iter().filter(|(variable, _)| variable.ends_with("_FILE")).map(|(_, path)| path) {
                let secret = path.strip_prefix("/run/secrets/").unwrap_or_else(|| panic!("{source}: {path}"));
                assert!(secrets.contains(&secret), "{source} has no secret {secret}");
            }
        }
    }
}

fn check_compose_references() {
    for files in [&COMPOSE_FILES[..2], &[COMPOSE_FILES[0], COMPOSE_FILES[2]][..]] {
        let project = merge_compose(files);
        let services: BTreeSet<_> = entries(&project["services"]).map(|(name, _)| name.as_str()).collect();
        assert!(services.is_superset(&BTreeSet::from(["nginx", "shop-1", "shop-2", "worker", "postgres", "redis"])));
        for (name, service) in entries(&project["services"]) {
            assert!(service["image"].is_string(), "{name} has no image");
            for (dependency, condition) in entries(&service["depends_on"]) {
                assert!(services.contains(dependency.as_str()), "{name} depends on {dependency}");
                let dependency_service = &project["services"][dependency];
                let has_health_check = dependency_service["healthcheck"]["test"].is_array()
                    || (dependency_service["image"] == "savannah" && dependency_service["healthcheck"].is_null());
                let needs_health = condition["condition"] == "service_healthy";
                assert!(!needs_health || has_health_check, "{name}: {dependency} has no health check");
            }
            for secret in texts(&service["secrets"]) {
                let file = project["secrets"][secret]["file"].as_str();
                let file = file.unwrap_or_else(|| panic!("{name}: unknown secret {secret}"));
                if let Some((_, default)) = file.split_once(":-") {
                    assert!(repository_path(&default.replace('}', "")).exists(), "{default}");
                }
            }
            for volume in texts(&service["volumes"]) {
                let source = volume.split(':').next().expect("a source");
                let exists = match source.strip_prefix("./") {
                    Some(path) => repository_path(path).exists(),
                    None => project["volumes"].get(source).is_some(),
                };
                assert!(exists, "{name}: {source} does not exist");
            }
        }
        let commands: [(&str, &[&str]); 4] = [
            ("shop-1", &["serve", "--no-worker"]),
            ("shop-2", &["serve", "--no-worker"]),
            ("worker", &["worker"]),
            ("migrate", &["migrate"]),
        ];
        for (name, arguments) in commands {
            assert_eq!(texts(&project["services"][name]["command"]), arguments, "{name}");
        }
    }
    let nginx = read_file("deploy/nginx/nginx.conf");
    let upstreams: Vec<_> = nginx.lines().filter_map(|line| line.trim().strip_prefix("server shop-")).collect();
    assert_eq!(upstreams.len(), 2, "nginx balances the instances of Docker Compose");
    // The development secrets belong together.
    let [url, password] = ["database_url", "postgres_password"]
        .map(|name| read_file(&format!("deploy/compose/development-secrets/{name}")).trim_end().to_owned());
    assert_eq!(url, format!("postgres://savannah:{password}@postgres/savannah"));
}

fn check_kubernetes_settings() {
    let base = parse_variables(&read_file(&format!("{KUBERNETES}/base/settings/settings.env")));
    for overlay in ["staging", "production"] {
        let source = format!("{KUBERNETES}/overlays/{overlay}");
        let mut variables = base.clone();
        variables.extend(parse_variables(&read_file(&format!("{source}/environment/settings.env"))));
        for path in variables.iter().filter(|(name, _)| name.ends_with("_FILE")).map(|(_, path)| path) {
            assert!(path.starts_with("/run/secrets/savannah/"), "{source}: {path}");
        }
        let config = load_settings(&source, &variables);
        assert_eq!(config.server.bind.port(), 8000, "{source}");
        for deployment in ["api-deployment", "worker-deployment"] {
            let file = format!("{KUBERNETES}/base/shop/{deployment}.yaml");
            let pod = &read_yaml(&file)[0]["spec"]["template"]["spec"];
            let limit = pod["terminationGracePeriodSeconds"].as_u64().expect("a limit");
            assert_stops_within(&file, &config, Duration::from_secs(limit));
        }
        assert!(config.server.public_url.starts_with("https://"), "{source}");
        let host = config.server.public_url.trim_start_matches("https://");
        let ingress = read_file(&format!("{KUBERNETES}/base/shop/ingress.yaml"));
        let patches = read_file(&format!("{source}/kustomization.yaml"));
        assert!([ingress, patches].iter().any(|text| text.contains(host)), "{source}: no Ingress for {host}");
    }
}

/// Returns all files below a directory.
fn list_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { list_files(&path) } else { vec![path] }).collect()
}

fn check_kubernetes_files() {
    let root = repository_path(KUBERNETES).canonicalize().expect("the manifests");
    let mut used = BTreeSet::new();
    let files = list_files(&root);
    for file in files.iter().filter(|file| file.ends_with("kustomization.yaml")) {
        let directory = file.parent().expect("a directory");
        let kustomization: Value = serde_saphyr::from_str(&fs::read_to_string(file).expect("a file"))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let generators = kustomization["configMapGenerator"].as_array().into_iter().flatten();
        let sources: Vec<_> = ["resources", "components"]
            .iter()
            .flat_map(|key| texts(&kustomization[*key]))
            .chain(generators.flat_map(|generator| texts(&generator["envs"])))
            .collect();
        assert!(!sources.is_empty(), "{}", file.display());
        for source in sources {
            let path = directory.join(source).canonicalize();
            let path = path.unwrap_or_else(|error| panic!("{}: {source}: {error}", file.display()));
            used.insert(if path.is_dir() { path.join("kustomization.yaml") } else { path });
        }
    }
    // What is applied: an overlay and its migration.
    let roots = ["staging", "production"].map(|overlay| root.join("overlays").join(overlay));
    used.extend(
        roots.iter().flat_map(|root| [root.join("kustomization.yaml"), root.join("migration/kustomization.yaml")]),
    );
    let unused: Vec<_> = files.iter().filter(|file| !used.contains(*file)).collect();
    assert!(unused.is_empty(), "no kustomization uses {unused:?}");
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(file).expect("a file");
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for document in documents {
            assert!(document["kind"].is_string() && document["apiVersion"].is_string(), "{}", file.display());
            assert_ne!(document["kind"], "Secret", "{}: secrets belong into the cluster", file.display());
        }
    }
}

fn check_systemd() {
    const UNIT: &str = "deploy/systemd/savannah.service";
    let unit = read_file(UNIT);
    let values = |key: &str| {
        let lines = unit.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| *name == key);
        lines.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
    };
    let variables = parse_variables(&values("Environment").join("\n"));
    let config = load_settings(UNIT, &variables);
    let limit: u64 = values("TimeoutStopSec").first().and_then(|limit| limit.parse().ok()).expect("a limit");
    assert_stops_within(UNIT, &config, Duration::from_secs(limit));
    let credentials: Vec<_> =
        values("LoadCredential").iter().filter_map(|value| value.split(':').next().map(str::to_owned)).collect();
    for (name, path) in variables.iter().filter(|(name, _)| name.ends_with("_FILE")) {
        let credential = path.strip_prefix("%d/").unwrap_or_else(|| panic!("{name}: {path}"));
        assert!(credentials.iter().any(|known| known == credential), "no credential {credential}");
    }
    let commands: Vec<_> = ["ExecStartPre", "ExecStart"].iter().flat_map(|key| values(key)).collect();
    assert_eq!(commands, ["/usr/local/bin/savannah migrate", "/usr/local/bin/savannah serve"]);
}
