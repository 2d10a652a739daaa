//! Settings from environment variables, and from files that variables with the suffix `_FILE` name.

use std::{collections::BTreeMap, ffi::OsString, fs::File, io::Read};

use config::ValueKind;

use super::identity;

/// Environment variables with names of their own.
const NAMED_VARIABLES: [(&str, &str); 5] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_REPLICA_URL", "database.replica_url"),
    ("REDIS_URL", "redis.url"),
    ("BIND_ADDR", "server.bind"),
    ("RUST_LOG", "log.filter"),
];
/// Prefix of the variables of all settings.
const PREFIX: &str = "SAVANNAH_";
/// Suffix of variables that name a file with the value: `DATABASE_URL_FILE`.
const FILE_SUFFIX: &str = "_FILE";
/// Maximum size of such a file in bytes.
const MAX_FILE_BYTES: u64 = 65_536;

/// A variable that sets a setting.
struct Variable {
    name: String,
    key: String,
    /// Whether the value is the path of a file with the value of the setting.
    names_file: bool,
    /// Whether the variable has a name of its own, which overrides the general one.
    has_own_name: bool,
}

/// Reads the environment: for each setting key, the name of the variable and the value.
///
/// # Errors
/// Returns a message that names the variable: an unknown setting, a value and a file for one variable, or a file that
/// cannot be used.
pub(super) fn read_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
    known_settings: &BTreeMap<String, ValueKind>,
) -> Result<BTreeMap<String, (String, String)>, String> {
    let mut overrides = BTreeMap::<(bool, String), (String, String)>::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        let Some(variable) = recognize_variable(name, known_settings)? else { continue };
        let value = value.into_string().map_err(|_| format!("{} is not UTF-8", variable.name))?;
        let value = if variable.names_file { read_value_file(&variable.name, &value)? } else { value };
        let key = (variable.has_own_name, variable.key);
        let other = overrides.insert(key, (variable.name.clone(), value));
        // Of a variable that is set twice, the last value counts.
        if let Some((other_name, _)) = other.filter(|(other_name, _)| *other_name != variable.name) {
            let plain_name = variable.name.strip_suffix(FILE_SUFFIX).filter(|_| variable.names_file);
            let plain_name = plain_name.unwrap_or(&variable.name);
            let file_name = if variable.names_file { &variable.name } else { &other_name };
            return Err(format!("{plain_name} and {file_name} are both set; set one of them"));
        }
    }
    // In this order, variables with names of their own replace the others.
    Ok(overrides.into_iter().map(|((_, key), value)| (key, value)).collect())
}

/// Returns the setting that a variable is for; `None` if it is for another program.
fn recognize_variable(name: String, known_settings: &BTreeMap<String, ValueKind>) -> Result<Option<Variable>, String> {
    let find_named = |name: &str| NAMED_VARIABLES.iter().find(|(own_name, _)| *own_name == name);
    let plain_name = name.strip_suffix(FILE_SUFFIX);
    if let Some((_, key)) = find_named(&name).or_else(|| plain_name.and_then(find_named)) {
        let names_file = find_named(&name).is_none();
        return Ok(Some(Variable { key: (*key).to_owned(), names_file, has_own_name: true, name }));
    }
    // `SAVANNAH_GRAPHIQL_DIR` and `SAVANNAH_TEST_...` are variables of the build and the tests.
    if !name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__")) {
        return Ok(None);
    }
    let to_key = |name: &str| name[PREFIX.len()..].to_lowercase().replace("__", ".");
    let is_known = |key: &str| known_settings.contains_key(&identity::to_template_key(key).0);
    let key = to_key(&name);
    // The name of a setting may end like this, too.
    if is_known(&key) {
        return Ok(Some(Variable { name, key, names_file: false, has_own_name: false }));
    }
    if let Some(key) = plain_name.map(to_key).filter(|key| is_known(key)) {
        return Ok(Some(Variable { name, key, names_file: true, has_own_name: false }));
    }
    let to_variable_name = |key: &str| format!("{PREFIX}{}", key.replace('.', "__").to_uppercase());
    let variable_name = to_variable_name(&key);
    Err(unknown_setting_message(&variable_name, "the environment", known_settings.keys(), to_variable_name))
}

/// Reads the value of a setting from a file, without its last line break.
fn read_value_file(variable: &str, path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{variable}: the file `{path}` cannot be read: {error}"))?;
    if bytes.is_empty() {
        return Err(format!("{variable}: the file `{path}` is empty"));
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{variable}: the file `{path}` is larger than {MAX_FILE_BYTES} bytes"));
    }
    let mut value = String::from_utf8(bytes).map_err(|_| format!("{variable}: the file `{path}` is not UTF-8"))?;
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

/// Returns the message about an unknown setting, with the most similar known one.
pub(super) fn unknown_setting_message<'a>(
    name: &str,
    location: &str,
    known_keys: impl Iterator<Item = &'a String>,
    format_key: impl Fn(&str) -> String,
) -> String {
    let dotted_key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
    let (_, provider_name) = identity::to_template_key(&dotted_key);
    let nearest_key = known_keys
        .map(|key| format_key(&identity::from_template_key(key, provider_name)))
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    let hint = nearest_key.map(|nearest_key| format!("; did you mean {nearest_key}?")).unwrap_or_default();
    format!("unknown setting {name} in {location}{hint}")
}
