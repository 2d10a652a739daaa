//! What the file tree promises: modules import only upwards in `lib.rs`, files stay short.

use std::{
    fs,
    path::{Path, PathBuf},
};

use libtest_mimic::Trial;

/// No file is longer.
const LINES: usize = 400;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Vec<String>| {
        Trial::test(format!("architecture::{name}"), move || {
            let wrong = run();
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
        })
    };
    vec![
        trial("modules_import_only_those_above_them", imports_against_the_order),
        trial("no_file_is_too_long", long_files),
        trial("the_order_is_enforced", || {
            if breaks("base", "use crate::infra::Db;", &order()).is_empty() {
                vec!["a module of the bottom may import one above it".to_owned()]
            } else {
                Vec::new()
            }
        }),
    ]
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            found.push(entry);
        }
    }
    found
}

/// The modules as `lib.rs` lists them.
fn order() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn imports_against_the_order() -> Vec<String> {
    let order = order();
    let mut wrong = Vec::new();
    for file in files(&root().join("src")) {
        let place = file.strip_prefix(root().join("src")).expect("a file of ours").to_owned();
        let module = place.iter().next().and_then(|first| first.to_str()).unwrap_or_default().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        wrong.extend(breaks(module, &text, &order).into_iter().map(|why| format!("{}: {why}", place.display())));
    }
    wrong
}

/// Every `crate::other` in a module's text that comes later in the order, also inside `use crate::{…}`.
fn breaks(module: &str, text: &str, order: &[String]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|known| known == name);
    let Some(own) = place(module) else { return vec![format!("{module} is not in lib.rs")] };
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut named: Vec<&str> = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            named.extend(top_level(group));
        } else {
            named.push(word(rest));
        }
    }
    let later = named.into_iter().filter(|name| place(name).is_some_and(|place| place > own));
    later.map(|name| format!("{module} imports {name}, which stands below it in lib.rs")).collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first words of the parts of a `{…}` group.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut words) = (0_u32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                words.push(word(group[start..at].trim_start()));
                return words;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                words.push(word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    words
}

fn long_files() -> Vec<String> {
    let folders = ["src", "migration/src", "tests", "bench/src"];
    let all = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let counted = all.map(|file| (fs::read_to_string(&file).expect("a file").lines().count(), file));
    counted
        .filter(|(lines, _)| *lines > LINES)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect()
}
