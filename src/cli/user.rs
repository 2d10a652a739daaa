//! `savannah user`: account administration by the operator.

use std::{io::Read, io::Write};

use clap::{Args, Subcommand};

use super::database::connect_initialized_database;
use crate::{
    base::{Error, Result, pagination, pagination::PageRequest},
    customer::queries::{self, AccountListFilter},
    identity::{
        AccountTarget, PasswordHashPool, Role, account,
        account_admin::{self, NewStaffAccount},
        entity,
    },
    infra::{Config, Db},
    privacy,
};

/// Subcommands of `user`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create an account. Without `--password-stdin` a password is generated and printed once.
    #[command(
        after_help = "Example:\n  savannah user create --email amani@example.com --role admin\n  savannah user create --email amani@example.com --password-stdin < password.txt"
    )]
    Create(UserCreateArgs),
    /// List accounts, newest first.
    #[command(after_help = "Example:\n  savannah user list --role admin")]
    List(UserListArgs),
    /// Change the role of an account and revoke its sessions.
    #[command(after_help = "Example:\n  savannah user role amani@example.com staff")]
    Role(UserRoleArgs),
    /// Disable an account and revoke its sessions.
    #[command(after_help = "Example:\n  savannah user disable amani@example.com")]
    Disable(AccountArgs),
    /// Enable a disabled account.
    #[command(after_help = "Example:\n  savannah user enable amani@example.com")]
    Enable(AccountArgs),
    /// Export all personal data of an account as one JSON document.
    #[command(after_help = "Example:\n  savannah user export amani@example.com > amani.json")]
    Export(AccountArgs),
}

/// Arguments of `user create`.
#[derive(Debug, Args)]
pub(super) struct UserCreateArgs {
    /// Email address, also the login name.
    #[arg(long)]
    email: String,
    /// Role: admin, staff or customer.
    #[arg(long, default_value = "customer", value_parser = parse_role)]
    role: Role,
    /// First name.
    #[arg(long, default_value = "")]
    first_name: String,
    /// Last name.
    #[arg(long, default_value = "")]
    last_name: String,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

/// Arguments of `user list`.
#[derive(Debug, Args)]
pub(super) struct UserListArgs {
    /// Filter by role: admin, staff or customer.
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
}

/// Arguments of `user role`.
#[derive(Debug, Args)]
pub(super) struct UserRoleArgs {
    /// Email address of the account.
    email: String,
    /// New role: admin, staff or customer.
    #[arg(value_parser = parse_role)]
    role: Role,
}

/// Arguments that select an account.
#[derive(Debug, Args)]
pub(super) struct AccountArgs {
    /// Email address of the account.
    email: String,
}

fn parse_role(name: &str) -> Result<Role, &'static str> {
    Role::from_name(name).ok_or("it must be admin, staff or customer")
}

pub(super) async fn run_user_command(config: &Config, command: UserCommand) -> Result<(), String> {
    let db = connect_initialized_database(config, false).await?;
    let outcome = match command {
        UserCommand::Create(args) => create_account(&db, args).await,
        UserCommand::List(args) => print_accounts(&db, config, args.role).await,
        UserCommand::Role(args) => set_account_role(&db, &args).await,
        UserCommand::Disable(args) => set_account_disabled(&db, &args.email, true).await,
        UserCommand::Enable(args) => set_account_disabled(&db, &args.email, false).await,
        UserCommand::Export(args) => export_account_data(&db, &args.email).await,
    };
    db.close().await;
    outcome.map_err(|error| error.log_message())
}

async fn create_account(db: &Db, args: UserCreateArgs) -> Result<()> {
    let UserCreateArgs { email, role, first_name, last_name, password_stdin } = args;
    let (password, was_password_provided) =
        if password_stdin { (read_password_from_stdin()?, true) } else { (account_admin::generate_password()?, false) };
    let new_staff_account =
        NewStaffAccount { email, role, first_name, last_name, password: Some(password.as_str().into()) };
    let hash_pool = PasswordHashPool::new(0);
    let created = account_admin::create_staff_account(db, &hash_pool, None, new_staff_account).await?;
    let email = created.email.unwrap_or_default();
    println!("{email} is {} now", role.name());
    if !was_password_provided {
        println!("The password, shown only once:  {password}");
    }
    Ok(())
}

/// Reads the first line of standard input.
fn read_password_from_stdin() -> Result<String> {
    let mut input = String::new();
    let max_input_bytes = 4 * account::MAX_NAME_CHARS as u64 * 10;
    std::io::stdin()
        .take(max_input_bytes)
        .read_to_string(&mut input)
        .map_err(|error| Error::internal("reading the password", error))?;
    Ok(input.lines().next().unwrap_or_default().to_owned())
}

async fn print_accounts(db: &Db, config: &Config, role: Option<Role>) -> Result<()> {
    let filter = AccountListFilter { role, ..AccountListFilter::default() }.resolve(config.shop.country)?;
    let mut stdout = std::io::stdout().lock();
    let mut page_request = PageRequest { size: pagination::MAX_PAGE_SIZE, backwards: false, cursor: None };
    loop {
        let account_page = queries::list_accounts(db, &filter, &page_request).await?;
        for row in &account_page.rows {
            writeln!(stdout, "{}", format_account(row)).map_err(|error| Error::internal("writing the list", error))?;
        }
        page_request.cursor = account_page.rows.last().map(queries::encode_account_cursor);
        if !account_page.has_next {
            return Ok(());
        }
    }
}

fn format_account(row: &entity::account::Model) -> String {
    let email = row.email.as_deref().unwrap_or("(no e-mail address)");
    let status = if row.disabled_at.is_some() { "disabled" } else { "active" };
    let name = format!("{} {}", row.first_name, row.last_name);
    format!("{email}\t{}\t{status}\t{}", row.role.name(), name.trim()).trim_end().to_owned()
}

async fn set_account_role(db: &Db, UserRoleArgs { email, role }: &UserRoleArgs) -> Result<()> {
    let target = account_target(db, email).await?;
    account_admin::set_account_role(db, None, target, *role).await?;
    println!("{email} is {} now", role.name());
    Ok(())
}

async fn set_account_disabled(db: &Db, email: &str, disabled: bool) -> Result<()> {
    let target = account_target(db, email).await?;
    account_admin::set_account_disabled(db, None, target, disabled).await?;
    println!("{email} {}", if disabled { "can no longer sign in" } else { "can sign in again" });
    Ok(())
}

async fn export_account_data(db: &Db, email: &str) -> Result<()> {
    let account_id = find_account_id(db, email).await?;
    let document = privacy::export_account(db, account_id).await?;
    let write_failed = |error| Error::internal("writing the document", error);
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, &document)
        .map_err(|error| Error::internal("writing the document", error))?;
    writeln!(stdout).map_err(write_failed)
}

async fn account_target(db: &Db, email: &str) -> Result<AccountTarget> {
    let account_id = find_account_id(db, email).await?;
    Ok(AccountTarget { id: account_id, scope: None, expected_version: None })
}

async fn find_account_id(db: &Db, email: &str) -> Result<i64> {
    let account = account::find_account_by_email(db, email).await?;
    account.map(|account| account.id).ok_or_else(|| Error::not_found("", &format!("account: {email}")))
}
