//! The terms of `docs/GLOSSARY.md`: names are the field's, a type's name is declared once, the schema is described in
//! plain terms, and a table is named in SQL by its own module and those above it only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use libtest_mimic::Trial;

use crate::architecture::{LIBRARY_FOLDERS, list_rust_files, module_order, project_root};

/// Words of everyday speech that name nothing of the field.
const BANNED_WORDS: [&str; 31] = [
    "said",
    "told",
    "tell",
    "tells",
    "wish",
    "wishes",
    "wanted",
    "whoever",
    "whom",
    "whose",
    "somebody",
    "nobody",
    "anybody",
    "lay",
    "laid",
    "beside",
    "till",
    "desk",
    "gone",
    "dear",
    "story",
    "stories",
    "bell",
    "crosswise",
    "shelf",
    "shelve",
    "plant",
    "crowd",
    "dice",
    "begun",
    "quick",
];
/// Expressions that explain nothing in the description of a field.
const BANNED_PHRASES: [&str; 11] = [
    "said",
    "told",
    "whoever",
    "somebody",
    "nobody",
    "others were faster",
    "one statement",
    "what came of",
    "a letter",
    "short message",
    "way of shipping",
];
/// Names that a framework or the standard library asks for in every file.
const SHARED_TYPE_NAMES: [&str; 12] = [
    "Model",
    "Entity",
    "Relation",
    "Column",
    "ActiveModel",
    "PrimaryKey",
    "Err",
    "Error",
    "Item",
    "Value",
    "Data",
    "Target",
];
/// The module that owns each table.
const TABLE_OWNERS: [(&str, &str); 84] = [
    ("shop", "infra"),
    ("audit_log", "infra"),
    ("event_subscription", "infra"),
    ("idempotency_key", "infra"),
    ("idempotent_request", "infra"),
    ("job", "infra"),
    ("outbox_event", "infra"),
    ("outbox_position", "infra"),
    ("outbox_sequence", "infra"),
    ("schedule", "infra"),
    ("throttle", "infra"),
    ("account", "identity"),
    ("account_identity", "identity"),
    ("api_key", "identity"),
    ("email_change", "identity"),
    ("login_code", "identity"),
    ("oauth_grant", "identity"),
    ("oidc_login_state", "identity"),
    ("one_time_token", "identity"),
    ("refresh_token", "identity"),
    ("session", "identity"),
    ("signing_key", "identity"),
    ("address", "customer"),
    ("category", "catalog"),
    ("category_product_count", "catalog"),
    ("category_tree_version", "catalog"),
    ("product", "catalog"),
    ("product_description", "catalog"),
    ("product_image", "catalog"),
    ("product_option", "catalog"),
    ("product_search", "catalog"),
    ("product_search_name", "catalog"),
    ("product_tag", "catalog"),
    ("daily_search_count", "catalog"),
    ("search_boost", "catalog"),
    ("search_index_version", "catalog"),
    ("search_pin", "catalog"),
    ("search_ranking", "catalog"),
    ("search_rules_version", "catalog"),
    ("search_synonym_group", "catalog"),
    ("search_term", "catalog"),
    ("variant", "catalog"),
    ("variant_option", "catalog"),
    ("media", "media"),
    ("inventory_level", "inventory"),
    ("location", "inventory"),
    ("stock_movement", "inventory"),
    ("stock_reservation", "inventory"),
    ("shipping_method", "pricing"),
    ("tax_rate", "pricing"),
    ("cart", "cart"),
    ("cart_line", "cart"),
    ("orders", "order"),
    ("order_history", "order"),
    ("order_line", "order"),
    ("fulfillment", "order"),
    ("fulfillment_line", "order"),
    ("payment", "payment"),
    ("payment_transaction", "payment"),
    ("refund", "payment"),
    ("refund_line", "payment"),
    ("received_webhook", "payment"),
    ("guest_sms_daily_count", "notification"),
    ("notification", "notification"),
    ("notification_preference", "notification"),
    ("notification_throttle", "notification"),
    ("counted_sale", "analytics"),
    ("analytics_state", "analytics"),
    ("cart_figure", "analytics"),
    ("daily_cart_figure", "analytics"),
    ("daily_figure", "analytics"),
    ("daily_product_figure", "analytics"),
    ("order_figure", "analytics"),
    ("order_line_figure", "analytics"),
    ("operation_revision", "operations"),
    ("operation_version", "operations"),
    ("published_operation", "operations"),
    ("trusted_document", "operations"),
    ("trusted_document_use", "operations"),
    ("webhook_attempt", "webhook"),
    ("webhook_delivery", "webhook"),
    ("webhook_endpoint", "webhook"),
    ("webhook_event", "webhook"),
    ("webhook_subscription", "webhook"),
];
pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, find: fn() -> Vec<String>| {
        Trial::test(format!("naming::{name}"), move || {
            let violations = find();
            if violations.is_empty() { Ok(()) } else { Err(violations.join("\n").into()) }
        })
    };
    vec![
        trial("names_have_no_banned_words", find_banned_names),
        trial("type_names_are_unique_in_src", find_repeated_types),
        trial("schema_descriptions_use_standard_terms", find_banned_phrases),
        trial("tables_are_named_by_their_owners_and_above", find_foreign_tables),
        trial("tables_of_migrations_have_an_owner", find_unowned_tables),
    ]
}

/// Returns the code of a file without comments, and whether it stands below `src`.
fn code_of_files() -> Vec<(String, String)> {
    let folders = ["core/src", "src", "demo_data/src", "tests", "bench/src"];
    let files = folders.iter().flat_map(|folder| list_rust_files(&project_root().join(folder)));
    let read = |file: std::path::PathBuf| {
        let text = fs::read_to_string(&file).expect("a file");
        let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
        let path = file.strip_prefix(project_root()).expect("a file of the project").display().to_string();
        (path, code.join("\n"))
    };
    files.map(read).collect()
}

/// Returns the path of a file in its crate if it belongs to the library.
fn path_in_library(path: &str) -> Option<&str> {
    LIBRARY_FOLDERS.iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'))
}

/// Returns the names that a keyword declares in a code.
fn declared_names<'a>(code: &'a str, keyword: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (offset, _) in code.match_indices(keyword) {
        let before = code[..offset].chars().next_back();
        let Some(rest) = code[offset + keyword.len()..].strip_prefix(' ') else { continue };
        if before.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            names.push(&rest[..end]);
        }
    }
    names
}

/// Returns the words of a name in snake case or camel case, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let is_constant = name.chars().all(|c| !c.is_lowercase());
    for c in name.chars() {
        let begins = c == '_' || (c.is_uppercase() && !is_constant);
        if begins {
            words.push(String::new());
        }
        if let (Some(word), true) = (words.last_mut(), c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words
}

fn find_banned_names() -> Vec<String> {
    let mut violations = Vec::new();
    for (path, code) in code_of_files().into_iter().filter(|(path, _)| path != "tests/naming.rs") {
        let module_names = path.split(['/', '.']);
        let keywords =
            ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules!", "let", "let mut"];
        let declared = keywords.iter().flat_map(|keyword| declared_names(&code, keyword));
        for name in module_names.chain(declared) {
            if words_of(name).iter().any(|word| BANNED_WORDS.contains(&word.as_str())) {
                violations.push(format!("{path}: {name}"));
            }
        }
    }
    violations
}

fn find_repeated_types() -> Vec<String> {
    let mut declarations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in code_of_files().into_iter().filter(|(path, _)| path_in_library(path).is_some()) {
        for keyword in ["struct", "enum", "trait", "union"] {
            for name in declared_names(&code, keyword) {
                if name.starts_with(char::is_uppercase) && !SHARED_TYPE_NAMES.contains(&name) {
                    declarations.entry(name.to_owned()).or_default().push(path.clone());
                }
            }
        }
    }
    let repeated = declarations.into_iter().filter(|(_, paths)| paths.len() > 1);
    repeated.map(|(name, paths)| format!("{name} is declared in {}", paths.join(", "))).collect()
}

fn find_banned_phrases() -> Vec<String> {
    let schema = fs::read_to_string(project_root().join("schema.graphql")).expect("the schema");
    // Descriptions stand between triple quotes; every second part is one.
    let descriptions = schema.split("\"\"\"").skip(1).step_by(2);
    let mut violations = Vec::new();
    for description in descriptions {
        let words: Vec<String> = description
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let text = format!(" {} ", words.join(" "));
        for phrase in BANNED_PHRASES.iter().filter(|phrase| text.contains(&format!(" {phrase} "))) {
            violations.push(format!("\"{phrase}\" in: {}", description.trim()));
        }
    }
    violations
}

fn find_foreign_tables() -> Vec<String> {
    let order = module_order();
    let position_of = |module: &str| order.iter().position(|name| name == module);
    let mut violations = Vec::new();
    for (path, code) in code_of_files() {
        let Some(module) = path_in_library(&path).and_then(|path| path.split(['/', '.']).next()) else { continue };
        let Some(module_position) = position_of(module) else { continue };
        for (table, owner) in TABLE_OWNERS {
            let is_below = position_of(owner).is_some_and(|owner| owner > module_position);
            if is_below && names_table(&code, table) {
                violations.push(format!("{path} names {table}, which belongs to {owner}"));
            }
        }
    }
    violations
}

/// Returns the tables of the migrations that no module owns, and owned tables that do not exist.
fn find_unowned_tables() -> Vec<String> {
    let folders = fs::read_dir(project_root().join("migration/src")).expect("the migrations");
    // Some tables exist in one of the databases only.
    let scripts = folders.flat_map(|entry| {
        let folder = entry.expect("an entry").path();
        ["up.sqlite.sql", "up.postgres.sql"].map(|name| fs::read_to_string(folder.join(name)))
    });
    let scripts = scripts.filter_map(Result::ok);
    let mut created_tables = BTreeSet::new();
    for script in scripts {
        let statements = script.lines().filter_map(|line| {
            line.strip_prefix("CREATE TABLE ").or_else(|| line.strip_prefix("CREATE VIRTUAL TABLE "))
        });
        created_tables.extend(statements.filter_map(|rest| rest.split(' ').next()).map(str::to_owned));
    }
    let owned_tables: BTreeSet<String> = TABLE_OWNERS.iter().map(|(table, _)| (*table).to_owned()).collect();
    created_tables.symmetric_difference(&owned_tables).cloned().collect()
}

fn names_table(code: &str, table: &str) -> bool {
    ["FROM", "JOIN", "INTO", "UPDATE"].iter().any(|keyword| {
        code.match_indices(&format!("{keyword} {table}")).any(|(offset, found)| {
            let next = code[offset + found.len()..].chars().next();
            next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    })
}
