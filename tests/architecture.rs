//! Rules of the source tree: modules import only modules above them in `lib.rs`, files stay short.

use std::{
    fs,
    path::{Path, PathBuf},
};

use libtest_mimic::Trial;

/// Maximum number of lines per file.
const MAX_FILE_LINES: usize = 400;

/// The sources of the library's crates, in import order.
pub const LIBRARY_FOLDERS: [&str; 2] = ["core/src", "src"];

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Vec<String>| {
        Trial::test(format!("architecture::{name}"), move || {
            let violations = run();
            if violations.is_empty() { Ok(()) } else { Err(violations.join("\n").into()) }
        })
    };
    vec![
        trial("modules_import_only_those_above_them", find_upward_imports),
        trial("no_file_is_too_long", find_long_files),
        trial("the_order_is_enforced", || {
            if find_violations("base", "use crate::infra::Db;", &module_order()).is_empty() {
                vec!["a module of the bottom may import one above it".to_owned()]
            } else {
                Vec::new()
            }
        }),
    ]
}

pub fn project_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn list_rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut rust_files = Vec::new();
    for entry in fs::read_dir(directory).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            rust_files.extend(list_rust_files(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            rust_files.push(entry);
        }
    }
    rust_files
}

/// Returns the source files of the library with their paths in its crates.
pub fn list_library_files() -> Vec<(PathBuf, PathBuf)> {
    let mut files = Vec::new();
    for folder in LIBRARY_FOLDERS.map(|folder| project_root().join(folder)) {
        for file in list_rust_files(&folder) {
            let relative_path = file.strip_prefix(&folder).expect("a file of the crate").to_owned();
            files.push((file, relative_path));
        }
    }
    files
}

/// Returns the modules in the order of `lib.rs`, those of the lower crate first.
pub fn module_order() -> Vec<String> {
    let read = |folder| fs::read_to_string(project_root().join(folder).join("lib.rs")).expect("lib.rs");
    let text = LIBRARY_FOLDERS.map(read).concat();
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn find_upward_imports() -> Vec<String> {
    let order = module_order();
    let mut violations = Vec::new();
    for (file, relative_path) in list_library_files() {
        let module =
            relative_path.iter().next().and_then(|first| first.to_str()).unwrap_or_default().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        violations.extend(
            find_violations(module, &text, &order)
                .into_iter()
                .map(|violation| format!("{}: {violation}", relative_path.display())),
        );
    }
    violations
}

/// Returns every `crate::other` in a module's text that comes later in the order, also inside `use crate::{…}`.
fn find_violations(module: &str, text: &str, order: &[String]) -> Vec<String> {
    let position_of = |name: &str| order.iter().position(|candidate| candidate == name);
    let Some(module_position) = position_of(module) else { return vec![format!("{module} is not in lib.rs")] };
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut named: Vec<&str> = Vec::new();
    for (offset, _) in code.match_indices("crate::") {
        let rest = &code[offset + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            named.extend(group_modules(group));
        } else {
            named.push(first_identifier(rest));
        }
    }
    let later =
        named.into_iter().filter(|name| position_of(name).is_some_and(|position_of| position_of > module_position));
    later.map(|name| format!("{module} imports {name}, which stands below it in lib.rs")).collect()
}

fn first_identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Returns the first path segments of a `{…}` group.
fn group_modules(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut module_names) = (0_u32, 0, Vec::new());
    for (offset, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                module_names.push(first_identifier(group[start..offset].trim_start()));
                return module_names;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                module_names.push(first_identifier(group[start..offset].trim_start()));
                start = offset + 1;
            }
            _ => {}
        }
    }
    module_names
}

fn find_long_files() -> Vec<String> {
    let folders = ["core/src", "src", "demo_data/src", "macros/src", "migration/src", "tests", "bench/src"];
    let all = folders.iter().flat_map(|directory| list_rust_files(&project_root().join(directory)));
    let counted = all.map(|file| (fs::read_to_string(&file).expect("a file").lines().count(), file));
    counted
        .filter(|(lines, _)| *lines > MAX_FILE_LINES)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect()
}
