//! The contract: checked in, current, described to the last argument.

use std::fs;

use libtest_mimic::Trial;
use savannah::{graphql, http::graphiql};

use crate::architecture::{list_rust_files, project_root};

pub fn create_trials() -> Vec<Trial> {
    vec![
        Trial::test("schema::schema_graphql_is_current", || {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
            let published = fs::read_to_string(file).unwrap_or_default();
            if published == graphql::render_sdl() {
                return Ok(());
            }
            Err("schema.graphql is not current: run `cargo run -- schema --write schema.graphql`".into())
        }),
        Trial::test("schema::everything_has_a_description", || {
            let bare = find_undescribed_lines(&graphql::render_sdl());
            if bare.is_empty() { Ok(()) } else { Err(bare.join("\n").into()) }
        }),
        Trial::test("schema::guarded_fields_are_nullable", || {
            let non_null = find_non_null_guarded_fields();
            if non_null.is_empty() { Ok(()) } else { Err(non_null.join("\n").into()) }
        }),
        Trial::test("schema::mutations_return_nullable_payloads", || {
            let sdl = graphql::render_sdl();
            let (_, mutations) = sdl.split_once("type Mutation {").ok_or("no mutations")?;
            let (mutations, _) = mutations.split_once("\n}").ok_or("no end of the mutations")?;
            let is_result = |line: &&str| line.contains("Payload") && !line.trim_start().starts_with('"');
            let results: Vec<_> = mutations.lines().filter(is_result).collect();
            let non_null: Vec<_> = results.iter().filter(|line| line.ends_with('!')).copied().collect();
            if results.len() > 50 && non_null.is_empty() { Ok(()) } else { Err(non_null.join("\n").into()) }
        }),
        Trial::test("schema::the_examples_of_graphiql_are_valid", || {
            let config = savannah::infra::Config::load_from(std::path::Path::new("/nowhere"), std::iter::empty())?;
            let document = graphql::execution::document::parse_document(
                graphiql::EXAMPLE_QUERIES,
                graphql::execution::limits::DocumentLimits { config: &config.graphql, allows_introspection: true },
            );
            let document = document.map_err(|error| format!("{:?}", error.errors))?;
            let graph = graphql::AppSchema::new(&config);
            for (name, _) in document.executable.operations.iter() {
                let name = name.ok_or("an example has no name")?;
                // Its cost is looked at like any request's, but only introspection would be executed: nothing here is.
                let request = async_graphql::Request::new(graphiql::EXAMPLE_QUERIES).operation_name(name.as_str());
                let checked = graph.execute(request.only_introspection());
                let answer = crate::support::runtime().block_on(checked);
                let wrong: Vec<_> = answer.errors.iter().filter(|error| error.path.is_empty()).collect();
                if !wrong.is_empty() {
                    return Err(format!("{name}: {wrong:?}").into());
                }
            }
            Ok(())
        }),
    ]
}

/// Returns the resolvers with a guard whose type is not nullable: their error would remove the object they are in.
fn find_non_null_guarded_fields() -> Vec<String> {
    let (mut guarded, mut non_null) = (0, Vec::new());
    for file in list_rust_files(&project_root().join("src/graphql")) {
        let text = fs::read_to_string(&file).expect("a file");
        for (offset, _) in text.match_indices("guard = \"") {
            let resolver = &text[offset..];
            let Some(signature) = resolver.find("fn ").map(|start| &resolver[start..]) else { continue };
            let Some(signature) = signature.split(" {\n").next() else { continue };
            guarded += 1;
            let output = signature.rsplit("-> ").next().unwrap_or_default();
            // A subscription ends with the error instead.
            let accepted = ["Option<", "Result<Option<", "Result<EventStream<"];
            if !accepted.iter().any(|start| output.starts_with(start)) {
                let name = signature.split('(').next().unwrap_or_default();
                non_null.push(format!("{}: {name} returns {output}", file.display()));
            }
        }
    }
    assert!(guarded > 80, "found only {guarded} fields with a guard");
    non_null
}

/// Every line of the SDL that defines something and has no description above it, nor before it on its line.
fn find_undescribed_lines(sdl: &str) -> Vec<String> {
    let mut missing_descriptions = Vec::new();
    let mut described = false;
    let mut inside = false;
    for line in sdl.lines().map(str::trim) {
        if line.starts_with("\"\"\"") || inside {
            if line.matches("\"\"\"").count() == 1 {
                inside = !inside;
            }
            described = true;
            continue;
        }
        let structure = line.is_empty()
            || line.starts_with(['}', ')', '#'])
            || line.starts_with("schema")
            || line.starts_with("directive")
            || ["query:", "mutation:", "subscription:"].iter().any(|root| line.starts_with(root));
        if !structure && !described {
            missing_descriptions.push(format!("no description: {line}"));
        }
        // Arguments on the field's own line carry their descriptions there.
        if let Some((_, arguments)) = line.split_once('(') {
            let count = arguments.matches(": ").count();
            let description_count = arguments.matches("\"\"\"").count() / 2;
            if !structure && description_count + 1 < count.saturating_sub(description_count) {
                missing_descriptions.push(format!("an argument without description: {line}"));
            }
        }
        described = false;
    }
    missing_descriptions
}
