//! `savannah operations`: trusted documents of apps.

mod output;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Subcommand};

use super::{
    database::connect_initialized_database,
    progress::{ProgressScale, show_progress},
};
use crate::{
    base::{Error, Result, pagination, pagination::PageRequest},
    graphql::{
        context::AppState,
        execution::{operation_check::label_operation, schema_check::ChangedSchema},
        operations::publishing::{PublishRequest, prepare_publication},
        render_sdl,
    },
    import_export::Progress,
    infra::{Config, Db},
    operations::{
        self, Manifest, PublishOutcome,
        manifest::{self, DocumentFile, MAX_MANIFEST_BYTES},
        publish::find_version_by_name,
        queries::{self, OperationVersionFilter},
    },
};

/// Subcommands of `operations`.
#[derive(Debug, Subcommand)]
pub(super) enum OperationsCommand {
    /// Publish the manifest of a version of an app: Apollo's, Relay's, that of GraphQL Code Generator, or a folder of
    /// .graphql files. Shows the cost of every operation. If one is invalid, nothing is published. Publishing the same
    /// manifest again changes nothing.
    #[command(
        after_help = "Example:\n  savannah operations publish --app ios --version 4.2 persisted-query-manifest.json\n  savannah operations publish --app ios --version 4.2 --dry-run src/graphql/"
    )]
    Publish(PublishArgs),
    /// List published versions with their use counts, newest first; with --version, the operations of one.
    #[command(
        after_help = "Example:\n  savannah operations list --app ios\n  savannah operations list --app ios --version 4.2"
    )]
    List(OperationListArgs),
    /// Retire a version: operations that no other version has are rejected from then on.
    #[command(after_help = "Example:\n  savannah operations retire --app ios --version 3.9")]
    Retire(VersionArgs),
    /// Check which operations of the published versions a changed schema breaks; exits with 1 if there are any.
    #[command(
        after_help = "Example:\n  savannah operations check --schema new.graphql\n  savannah operations check    check with the schema of this program"
    )]
    Check(CheckArgs),
}

/// Arguments that select a version.
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Name of the app: letters, digits and . _ - +
    #[arg(long)]
    app: String,
    /// Version of the app: letters, digits and . _ - +
    #[arg(long)]
    version: String,
}

/// Arguments of `operations publish`.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    version: VersionArgs,
    /// Manifest, or folder of .graphql files.
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
    /// Check the operations and show their costs, but publish nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `operations list`.
#[derive(Debug, Args)]
pub(super) struct OperationListArgs {
    /// Name of the app.
    #[arg(long)]
    app: Option<String>,
    /// Version of the app, whose operations are listed.
    #[arg(long, requires = "app")]
    version: Option<String>,
}

/// Arguments of `operations check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Text of the changed schema (default: the schema of this program).
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

pub(super) async fn run_operations_command(config: Config, command: OperationsCommand) -> Result<ExitCode, String> {
    match command {
        OperationsCommand::Publish(args) => Box::pin(publish_version(config, args)).await,
        OperationsCommand::List(args) => {
            let db = connect_initialized_database(&config, false).await?;
            let outcome = print_versions(&db, args).await;
            finish(db, outcome).await
        }
        OperationsCommand::Retire(VersionArgs { app, version }) => {
            let db = connect_initialized_database(&config, false).await?;
            let outcome = retire_version(&db, &app, &version).await;
            finish(db, outcome).await
        }
        OperationsCommand::Check(CheckArgs { schema }) => check_documents(&config, schema.as_deref()).await,
    }
}

async fn finish(db: Db, outcome: Result<()>) -> Result<ExitCode, String> {
    db.close().await;
    outcome.map(|()| ExitCode::SUCCESS).map_err(|error| describe_errors(&error))
}

/// Formats an error for the terminal: several errors on a line each.
fn describe_errors(error: &Error) -> String {
    match error {
        Error::UserErrors(errors) => {
            let lines = errors.iter().map(|error| format!("\n  {}", error.message));
            format!("{} errors; nothing was changed:{}", errors.len(), lines.collect::<String>())
        }
        Error::User(error) => error.message.clone(),
        error => error.log_message(),
    }
}

async fn publish_version(config: Config, args: PublishArgs) -> Result<ExitCode, String> {
    let PublishArgs { version: VersionArgs { app, version }, manifest, dry_run } = args;
    let manifest = read_manifest(&manifest)?;
    // Its queries are executed, with the limits of requests.
    let db = connect_initialized_database(&config, true).await?;
    let app_state = AppState::load(db.clone(), config).await.map_err(|error| error.log_message())?;
    let outcome = publish_manifest(&Arc::new(app_state), PublishRequest { app, version, manifest }, dry_run).await;
    finish(db, outcome).await
}

async fn publish_manifest(app_state: &Arc<AppState>, request: PublishRequest, dry_run: bool) -> Result<()> {
    let total = u64::try_from(request.manifest.operations.len()).unwrap_or(u64::MAX);
    let progress = Progress::default();
    let preparation = Box::pin(prepare_publication(app_state, request, || progress.add_items(1)));
    let publication = show_progress("operations", ProgressScale::Items(Some(total)), &progress, preparation).await?;
    print!("{}", output::format_checked_operations(&publication.operations));
    let name = format!("{} {}", publication.app, publication.version);
    let count = publication.operations.len();
    if dry_run {
        println!("{count} valid operations; nothing was published (--dry-run)");
        return Ok(());
    }
    match operations::publish_version(&app_state.db, publication).await? {
        PublishOutcome::Published(_) => println!("{name} published, operations: {count}"),
        PublishOutcome::Unchanged(_) => println!("{name} was published before with the same operations"),
    }
    Ok(())
}

/// Reads a manifest file or a folder of `.graphql` files.
fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let shown_path = path.display();
    let cannot_read = |error: std::io::Error| format!("cannot read {shown_path}: {error}");
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    let manifest = if metadata.is_dir() {
        let mut files = Vec::new();
        collect_document_files(path, &mut files).map_err(cannot_read)?;
        if files.is_empty() {
            return Err(format!("{shown_path} has no .graphql files"));
        }
        files.sort_by(|file, other| file.path.cmp(&other.path));
        manifest::build_folder_manifest(&files)
    } else {
        if metadata.len() > u64::try_from(MAX_MANIFEST_BYTES).unwrap_or(u64::MAX) {
            return Err(format!("{shown_path} is larger than {MAX_MANIFEST_BYTES} bytes"));
        }
        manifest::parse_manifest(&std::fs::read_to_string(path).map_err(cannot_read)?)
    };
    manifest.map_err(|error| format!("{shown_path}: {}", describe_errors(&error)))
}

fn collect_document_files(folder: &Path, files: &mut Vec<DocumentFile>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_document_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| ["graphql", "gql"].iter().any(|known| extension == *known)) {
            files.push(DocumentFile { path: path.display().to_string(), text: std::fs::read_to_string(&path)? });
        }
    }
    Ok(())
}

async fn retire_version(db: &Db, app: &str, version: &str) -> Result<()> {
    let existing = find_version_by_name(db, app, version).await?;
    let existing = existing.ok_or_else(|| Error::not_found("", "version of this app"))?;
    operations::retire_version(db, existing.id).await?;
    println!("{app} {version} is retired");
    Ok(())
}

async fn print_versions(db: &Db, args: OperationListArgs) -> Result<()> {
    let OperationListArgs { app, version } = args;
    if let (Some(app), Some(version)) = (&app, &version) {
        let existing = find_version_by_name(db, app, version).await?;
        let existing = existing.ok_or_else(|| Error::not_found("", "version of this app"))?;
        let rows = queries::load_operations(db, &[existing.id]).await?.remove(&existing.id).unwrap_or_default();
        print!("{}", output::format_published_operations(&rows));
        return Ok(());
    }
    let filter = OperationVersionFilter { app, is_retired: None };
    let (mut lines, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest { size: pagination::MAX_PAGE_SIZE, backwards: false, cursor };
        let page = queries::list_versions(db, &filter, &request).await?;
        let keys: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
        let mut operations = queries::load_operations(db, &keys).await?;
        for row in &page.rows {
            lines.push(output::VersionLine::new(row, &operations.remove(&row.id).unwrap_or_default()));
        }
        cursor = page.rows.last().map(operations::entity::operation_version::Model::cursor);
        if !page.has_next {
            break;
        }
    }
    print!("{}", output::format_versions(&lines));
    Ok(())
}

async fn check_documents(config: &Config, schema: Option<&Path>) -> Result<ExitCode, String> {
    let path = schema.map_or_else(|| "the schema of this program".to_owned(), |path| path.display().to_string());
    let text = match schema {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("cannot read {path}: {error}"))?,
        None => render_sdl(),
    };
    let changed_schema =
        ChangedSchema::parse(&text, &path).map_err(|errors| format!("{path} is invalid: {}", errors.join("; ")))?;
    let db = connect_initialized_database(config, false).await?;
    let documents = queries::load_live_documents(&db).await;
    db.close().await;
    let documents = documents.map_err(|error| error.log_message())?;
    let mut broken_count = 0;
    for live in &documents {
        let errors = changed_schema.find_errors(&live.document.text);
        if errors.is_empty() {
            continue;
        }
        broken_count += 1;
        println!("{}", label_operation(&live.document.document_id, &live.document.text));
        println!("  of {}", live.versions.join(", "));
        for error in errors {
            println!("  {error}");
        }
    }
    println!("{broken_count} of {} published operations do not fit {path}", documents.len());
    Ok(if broken_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
