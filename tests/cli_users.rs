//! `savannah user`, and the first admin of an empty database.

use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, RunningProcess},
};

integration_tests![
    first_start_without_terminal_prints_no_password,
    first_start_on_terminal_creates_one_admin,
    user_commands_create_and_change_accounts,
    user_command_with_invalid_input_reports_one_error,
];

/// Returns whether a login succeeds.
async fn can_login(server: &RunningProcess, email: &str, password: &str) -> bool {
    let input = format!("{{ email: {}, password: {} }}", json!(email), json!(password));
    let response = server.query(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
    response["data"]["login"]["tokens"]["accessToken"].is_string()
}

async fn first_start_without_terminal_prints_no_password(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let server = sandbox.start_server(&[]).await;
    assert!(
        !server.stdout().contains("admin@") && server.stderr().contains("savannah user create"),
        "{}",
        server.stderr()
    );
    assert_eq!(sandbox.run_command(&["user", "list"], &[]).await.stdout, "");
    let output =
        sandbox.run_command(&["user", "create", "--email", "admin@savannah.example", "--role", "admin"], &[]).await;
    let password = output.stdout.split_whitespace().last().expect("a password");
    assert_eq!(password.len(), 24);
    assert!(can_login(&server, "admin@savannah.example", password).await);
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    let restarted = sandbox.start_server(&[]).await;
    assert!(!restarted.stderr().contains("savannah user create"), "{}", restarted.stderr());
}

/// `script` gives the binary a terminal and records its output.
async fn first_start_on_terminal_creates_one_admin(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let output = sandbox.serve_on_terminal().await;
    let line = output.lines().find(|line| line.contains("admin@savannah.example")).expect("a first admin");
    let password = line.split_whitespace().last().expect("a password");
    assert_eq!(password.len(), 24);
    assert_eq!(output.matches(password).count(), 1, "it is in the log");
    let server = sandbox.start_server(&[]).await;
    assert!(can_login(&server, "admin@savannah.example", password).await);
    let output = sandbox.serve_on_terminal().await;
    assert!(!output.contains("admin@"), "{output}");
    let listed = sandbox.run_command(&["user", "list"], &[]).await;
    assert_eq!(listed.stdout, "admin@savannah.example\tadmin\tactive\n");

    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    assert_eq!(sandbox.run_command(&["migrate"], &[]).await.exit_code, Some(0));
    let output = sandbox.serve_on_terminal().await;
    assert!(!output.contains("admin@"), "{output}");
}

async fn user_commands_create_and_change_accounts(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    assert_eq!(sandbox.run_command(&["migrate"], &[]).await.exit_code, Some(0));
    let run = async |args: &[&str]| {
        let exited = sandbox.run_command(&[&["user"], args].concat(), &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{args:?} {exited:?}");
        exited.stdout
    };
    let output = run(&["create", "--email", "amani@example.com", "--role", "admin", "--first-name", "Amani"]).await;
    let password = output.split_whitespace().last().expect("a password").to_owned();
    run(&["create", "--email", "juma@example.com"]).await;
    assert_eq!(run(&["list"]).await, "juma@example.com\tcustomer\tactive\namani@example.com\tadmin\tactive\tAmani\n");
    run(&["role", "JUMA@example.com", "staff"]).await;
    run(&["disable", "juma@example.com"]).await;
    assert_eq!(run(&["list", "--role", "staff"]).await, "juma@example.com\tstaff\tdisabled\n");
    run(&["enable", "juma@example.com"]).await;
    let all: Value = serde_json::from_str(&run(&["export", "amani@example.com"]).await).expect("JSON");
    assert_eq!((&all["customer"]["firstName"], &all["customer"]["role"]), (&json!("Amani"), &json!("admin")));
    let server = sandbox.start_server(&[]).await;
    assert!(can_login(&server, "amani@example.com", &password).await);
}

async fn user_command_with_invalid_input_reports_one_error(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[]).await;
    let amani: &[&str] = &["create", "--email", "amani@example.com", "--role", "admin"];
    assert_eq!(sandbox.run_command(&[&["user"], amani].concat(), &[]).await.exit_code, Some(0));
    let invalid_commands: [(&[&str], &str); 7] = [
        (amani, "there is already an account"),
        (&["create", "--email", "amani"], "not an e-mail address"),
        (&["create", "--email", "b@example.com", "--password-stdin"], "a password has 8 to 128 characters"),
        (&["create", "--email", "b@example.com", "--role", "king"], "it must be admin, staff or customer"),
        (&["role", "amani@example.com", "customer"], "the last active admin"),
        (&["disable", "amani@example.com"], "the last active admin"),
        (&["export", "nobody@example.com"], "there is no such account: nobody@example.com"),
    ];
    for (args, message) in invalid_commands {
        let exited = sandbox.run_command(&[&["user"], args].concat(), &[]).await;
        assert!(exited.exit_code != Some(0) && exited.stderr.contains(message), "{args:?} {exited:?}");
    }
}
