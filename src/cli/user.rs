//! `savannah user`: accounts, by whoever runs the shop's machine.

use std::{io::Read, io::Write};

use clap::{Args, Subcommand};

use super::open_ready;
use crate::{
    base::{Error, Result, page, page::Window},
    cart,
    customer::{
        export,
        list::{self, Filter},
        profile::Wish,
        staff::{self, Candidate},
    },
    identity::{Hasher, Role, account, entity},
    infra::{Config, Db},
    order,
};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Make an account. Without a password of yours one is made, and printed this once.
    #[command(
        after_help = "Example:\n  savannah user create --email amani@example.com --role admin\n  savannah user create --email amani@example.com --password-stdin < password.txt"
    )]
    Create(CreateArgs),
    /// List accounts, the newest first.
    #[command(after_help = "Example:\n  savannah user list --role admin")]
    List(ListArgs),
    /// Give an account another role. Its sessions end.
    #[command(after_help = "Example:\n  savannah user role amani@example.com staff")]
    Role(RoleArgs),
    /// Keep an account from signing in. Its sessions end.
    #[command(after_help = "Example:\n  savannah user disable amani@example.com")]
    Disable(WhoArgs),
    /// Let an account sign in again.
    #[command(after_help = "Example:\n  savannah user enable amani@example.com")]
    Enable(WhoArgs),
    /// Write everything the shop holds about somebody as one JSON document.
    #[command(after_help = "Example:\n  savannah user export amani@example.com > amani.json")]
    Export(WhoArgs),
}

/// Whom a new account is for.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Where mail goes; also what they sign in with.
    #[arg(long)]
    email: String,
    /// What they may do: admin, staff or customer.
    #[arg(long, default_value = "customer", value_parser = role)]
    role: Role,
    /// Their first name.
    #[arg(long, default_value = "")]
    first_name: String,
    /// Their last name.
    #[arg(long, default_value = "")]
    last_name: String,
    /// Take the password from standard input: its first line.
    #[arg(long)]
    password_stdin: bool,
}

/// Which accounts are listed.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of a role: admin, staff or customer.
    #[arg(long, value_parser = role)]
    role: Option<Role>,
}

/// Who gets which role.
#[derive(Debug, Args)]
pub(super) struct RoleArgs {
    /// Their e-mail address.
    email: String,
    /// What they may do from now on: admin, staff or customer.
    #[arg(value_parser = role)]
    role: Role,
}

/// Who is meant.
#[derive(Debug, Args)]
pub(super) struct WhoArgs {
    /// Their e-mail address.
    email: String,
}

fn role(name: &str) -> Result<Role, &'static str> {
    Role::named(name).ok_or("it is admin, staff or customer")
}

pub(super) async fn run(config: &Config, what: User) -> Result<(), String> {
    let db = open_ready(config, false).await?;
    let outcome = match what {
        User::Create(args) => create(&db, args).await,
        User::List(args) => show(&db, config, args.role).await,
        User::Role(args) => set_role(&db, config, &args).await,
        User::Disable(args) => disable(&db, config, &args.email, true).await,
        User::Enable(args) => disable(&db, config, &args.email, false).await,
        User::Export(args) => write_out(&db, &args.email).await,
    };
    db.close().await;
    outcome.map_err(|why| why.log())
}

async fn create(db: &Db, args: CreateArgs) -> Result<()> {
    let CreateArgs { email, role, first_name, last_name, password_stdin } = args;
    let (password, given) = if password_stdin { (typed()?, true) } else { (staff::generated()?, false) };
    let candidate = Candidate { email, role, first_name, last_name, password: Some(password.clone()) };
    let new = candidate.read(&Hasher::new(0)).await?;
    let made = db.write(async |tx| account::create(tx, new).await).await?;
    let email = made.email.unwrap_or_default();
    println!("{email} is {} now", role.name());
    if !given {
        println!("The password, told this once:  {password}");
    }
    Ok(())
}

/// The first line of standard input.
fn typed() -> Result<String> {
    let mut text = String::new();
    let longest = 4 * account::NAME_LIMIT as u64 * 10;
    std::io::stdin()
        .take(longest)
        .read_to_string(&mut text)
        .map_err(|why| Error::fault("reading the password", why))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn show(db: &Db, config: &Config, role: Option<Role>) -> Result<()> {
    let wanted = Filter { role, ..Filter::default() }.understand(config.shop.country)?;
    let mut out = std::io::stdout().lock();
    let mut window = Window { size: page::MAX, backwards: false, cursor: None };
    loop {
        let found = list::page(db, &wanted, &window).await?;
        for row in &found.rows {
            writeln!(out, "{}", line(row)).map_err(|why| Error::fault("writing the list", why))?;
        }
        window.cursor = found.rows.last().map(list::cursor);
        if !found.has_next {
            return Ok(());
        }
    }
}

fn line(row: &entity::account::Model) -> String {
    let email = row.email.as_deref().unwrap_or("(no e-mail address)");
    let state = if row.disabled_at.is_some() { "disabled" } else { "active" };
    let name = format!("{} {}", row.first_name, row.last_name);
    format!("{email}\t{}\t{state}\t{}", row.role.name(), name.trim()).trim_end().to_owned()
}

async fn set_role(db: &Db, config: &Config, RoleArgs { email, role }: &RoleArgs) -> Result<()> {
    let wish = wish(db, config, email).await?;
    db.write(async |tx| staff::set_role(tx, wish, *role).await).await?;
    println!("{email} is {} now", role.name());
    Ok(())
}

async fn disable(db: &Db, config: &Config, email: &str, disabled: bool) -> Result<()> {
    let wish = wish(db, config, email).await?;
    db.write(async |tx| staff::disable(tx, wish, disabled).await).await?;
    println!("{email} {}", if disabled { "may not sign in any more" } else { "may sign in again" });
    Ok(())
}

async fn write_out(db: &Db, email: &str) -> Result<()> {
    let account = who(db, email).await?;
    let mut everything = export::everything(db, account).await?;
    everything["carts"] = cart::told(db, account).await?.into();
    everything["orders"] = order::keep::told(db, account).await?.into();
    let fault = |why| Error::fault("writing the document", why);
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &everything).map_err(|why| Error::fault("writing the document", why))?;
    writeln!(out).map_err(fault)
}

async fn wish(db: &Db, config: &Config, email: &str) -> Result<Wish> {
    let account = who(db, email).await?;
    Ok(Wish { account, caller: None, expected: None, country: config.shop.country })
}

async fn who(db: &Db, email: &str) -> Result<i64> {
    let found = account::by_email(db, email).await?;
    found.map(|found| found.id).ok_or_else(|| Error::not_found("", &format!("account: {email}")))
}
