//! TLS of the server: protocols, reload of certificates, invalid files, and connections that are no TLS.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use reqwest::{Client, Version, tls::TlsInfo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{CliSandbox, RunningProcess, TestFuture, trial_without_database};

/// Longer than a reload on a slow machine.
const WAIT_LIMIT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const SERVE: [&str; 2] = ["serve", "--no-demo"];
const CERTIFICATE_FILE: &str = "tls.crt";
const KEY_FILE: &str = "tls.key";

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> TestFuture| trial_without_database("tls", name, run);
    vec![
        trial("clients_use_http2_and_http1", || Box::pin(serve_both_protocols())),
        trial("web_socket_is_served", || Box::pin(serve_web_socket())),
        trial("changed_certificate_is_used_without_a_restart", || Box::pin(reload_certificate())),
        trial("invalid_certificate_keeps_the_one_before", || Box::pin(keep_certificate())),
        trial("unusable_files_stop_the_start", || Box::pin(refuse_files())),
        trial("unfinished_handshakes_do_not_hold_connection_slots", || Box::pin(close_unfinished_handshakes())),
        trial("plain_http_is_closed_with_an_alert", || Box::pin(close_plain_http())),
        trial("protocols_before_tls_1_2_are_refused", || Box::pin(refuse_old_protocols())),
        trial("stopping_server_closes_connections", || Box::pin(stop_server())),
    ]
}

/// A directory with the files of a certificate, in which the server runs.
struct TlsSandbox {
    sandbox: CliSandbox,
    certified: CertifiedKey<KeyPair>,
}

impl TlsSandbox {
    fn create(settings: &[(&str, &str)]) -> Self {
        let files =
            [("SAVANNAH_SERVER__TLS_CERTIFICATE", CERTIFICATE_FILE), ("SAVANNAH_SERVER__TLS_PRIVATE_KEY", KEY_FILE)];
        let sandbox = CliSandbox::new(&[&files[..], settings].concat());
        let certified = issue_certificate();
        write_certificate(&sandbox, &certified);
        Self { sandbox, certified }
    }

    async fn start(&self) -> RunningProcess {
        self.sandbox.start_server_with_args(&SERVE, &[]).await
    }
}

fn issue_certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("a certificate")
}

fn write_certificate(sandbox: &CliSandbox, certified: &CertifiedKey<KeyPair>) {
    sandbox.write_file(KEY_FILE, &certified.signing_key.serialize_pem());
    sandbox.write_file(CERTIFICATE_FILE, &certified.cert.pem());
}

/// Returns a builder of clients that trust one certificate only, without connections that they use again.
fn trusting_client(certified: &CertifiedKey<KeyPair>) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_der(certified.cert.der()).expect("a certificate");
    Client::builder().tls_certs_only([certificate]).tls_info(true).pool_max_idle_per_host(0)
}

fn health_url(server: &RunningProcess) -> String {
    format!("https://{}/health/live", server.address)
}

/// Opens a connection with TLS to a server with this certificate.
async fn connect_tls(
    server: &RunningProcess,
    certified: &CertifiedKey<KeyPair>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).expect("a root certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("protocols").with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(&server.address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// Waits until new connections get this certificate.
async fn wait_for_certificate(server: &RunningProcess, certified: &CertifiedKey<KeyPair>) {
    let started_at = Instant::now();
    while trusting_client(certified).build().expect("a client").get(health_url(server)).send().await.is_err() {
        assert!(started_at.elapsed() < WAIT_LIMIT, "the certificate is not used: {}", server.stderr());
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn serve_both_protocols() {
    let tls = TlsSandbox::create(&[("SAVANNAH_SERVER__HSTS_MAX_AGE", "365d")]);
    let server = tls.start().await;
    assert!(server.stdout().contains(&format!("https://{}/graphql", server.address)), "{}", server.stdout());
    let url = format!("https://{}/graphql", server.address);
    let both = trusting_client(&tls.certified).build().expect("a client");
    let old = trusting_client(&tls.certified).http1_only().build().expect("a client");
    for (client, version) in [(both, Version::HTTP_2), (old, Version::HTTP_11)] {
        for _ in 0..2 {
            let request = client.post(&url).json(&json!({ "query": "{ shop { name } }" }));
            let response = request.send().await.expect("a response");
            assert_eq!((response.status().as_u16(), response.version()), (200, version));
            assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
            let presented = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
            assert_eq!(presented.map(CertificateDer::from).as_ref(), Some(tls.certified.cert.der()));
            let body: serde_json::Value = response.json().await.expect("JSON");
            assert_eq!(body, json!({ "data": { "shop": { "name": "Savannah" } } }));
        }
    }
    let stranger = trusting_client(&issue_certificate()).build().expect("a client");
    stranger.get(health_url(&server)).send().await.expect_err("a certificate that is not trusted");
}

async fn serve_web_socket() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    let stream = connect_tls(&server, &tls.certified).await;
    let mut request = format!("wss://{}/graphql", server.address).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a value"));
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
    assert!(!response.headers().contains_key("strict-transport-security"), "the setting is off by default");
    socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await.expect("a sent message");
    let message = socket.next().await.expect("a message").expect("a message").into_text().expect("a text");
    assert!(message.contains("connection_ack"), "{message}");
}

async fn reload_certificate() {
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    let mut early = connect_tls(&server, &tls.certified).await;
    // The files are read again on the signal, also if they are the same.
    server.send_signal("HUP");
    server.wait_for_log("TLS certificate reloaded").await;
    let renewed = issue_certificate();
    write_certificate(&tls.sandbox, &renewed);
    wait_for_certificate(&server, &renewed).await;
    let stale = trusting_client(&tls.certified).build().expect("a client");
    stale.get(health_url(&server)).send().await.expect_err("the certificate before is no longer used");
    // Connections remain open.
    early.write_all(b"GET /health/live HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut response = String::new();
    early.read_to_string(&mut response).await.expect("a response and the end of TLS");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

async fn keep_certificate() {
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    let client = trusting_client(&tls.certified).build().expect("a client");
    let other = issue_certificate();
    let cases = [
        (CERTIFICATE_FILE, other.cert.pem(), "is not the key of the certificate"),
        (CERTIFICATE_FILE, "-----BEGIN CERTIFICATE-----\n".to_owned(), "no certificate in PEM format"),
        (CERTIFICATE_FILE, String::new(), "no certificate in PEM format"),
        (KEY_FILE, String::new(), "no private key in PEM format"),
    ];
    for (file, contents, reason) in cases {
        write_certificate(&tls.sandbox, &tls.certified);
        tls.sandbox.write_file(file, &contents);
        server.send_signal("HUP");
        server.wait_for_log(reason).await;
        let response = client.get(health_url(&server)).send().await.expect("the certificate before");
        assert_eq!(response.status(), 200);
    }
    std::fs::remove_file(tls.sandbox.path().join(KEY_FILE)).expect("a file");
    server.wait_for_log("cannot be read").await;
    assert_eq!(client.get(health_url(&server)).send().await.expect("the certificate before").status(), 200);
    write_certificate(&tls.sandbox, &other);
    wait_for_certificate(&server, &other).await;
    assert!(!server.stderr().contains("PRIVATE KEY-----"), "the log contains a key");
}

async fn refuse_files() {
    let tls = TlsSandbox::create(&[]);
    let key = issue_certificate().signing_key.serialize_pem();
    tls.sandbox.write_file("other.key", &key);
    tls.sandbox.write_file("text", "no PEM");
    let (certificate, private_key, hsts) =
        ("SAVANNAH_SERVER__TLS_CERTIFICATE", "SAVANNAH_SERVER__TLS_PRIVATE_KEY", "SAVANNAH_SERVER__HSTS_MAX_AGE");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[(certificate, "missing.crt")], "server.tls_certificate: the file `missing.crt` cannot be read"),
        (&[(certificate, "text")], "server.tls_certificate: the file contains no certificate"),
        (&[(private_key, "missing.key")], "server.tls_private_key: the file `missing.key` cannot be read"),
        (&[(private_key, "text")], "server.tls_private_key: the file contains no private key"),
        (&[(private_key, "other.key")], "server.tls_private_key is not the key of the certificate"),
        (&[(certificate, "")], "server.tls_private_key needs server.tls_certificate"),
        (&[(private_key, "")], "server.tls_certificate needs server.tls_private_key"),
        (&[(certificate, ""), (private_key, ""), (hsts, "1d")], "server.hsts_max_age is sent over TLS only"),
    ];
    for (variables, reason) in cases {
        let exited = tls.sandbox.run_command(&SERVE, variables).await;
        assert_eq!(exited.exit_code, Some(1), "{exited:?}");
        assert!(exited.stderr.starts_with(&format!("savannah: {reason}")), "{exited:?}");
        assert_eq!(exited.stderr.trim_end().lines().count(), 1, "{exited:?}");
    }
    assert!(!tls.sandbox.path().join("data").exists(), "the database was opened before the files");
}

async fn close_unfinished_handshakes() {
    let tls =
        TlsSandbox::create(&[("SAVANNAH_SERVER__HEADER_TIMEOUT", "1s"), ("SAVANNAH_SERVER__MAX_CONNECTIONS", "2")]);
    let server = tls.start().await;
    // Nothing, and the beginning of a handshake.
    for beginning in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
            stream.write_all(beginning).await.expect("sent");
            streams.push(stream);
        }
        for mut stream in streams {
            let mut received = Vec::new();
            let closed = tokio::time::timeout(WAIT_LIMIT, stream.read_to_end(&mut received)).await;
            closed.expect("the server closes the connection").expect("no reset");
        }
        let client = trusting_client(&tls.certified).build().expect("a client");
        let started_at = Instant::now();
        loop {
            let query = client.post(format!("https://{}/graphql", server.address));
            let response = query.json(&json!({ "query": "{ shop { name } }" })).send().await.expect("a response");
            if response.status() == 200 {
                break;
            }
            assert_eq!(response.status(), 503);
            assert!(started_at.elapsed() < WAIT_LIMIT, "no slot becomes free");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Sends bytes that are no valid handshake, and returns the response until the server closes the connection.
async fn send_bytes(server: &RunningProcess, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut received = Vec::new();
    let closed = tokio::time::timeout(WAIT_LIMIT, stream.read_to_end(&mut received)).await;
    closed.expect("the server closes the connection").expect("no reset");
    received
}

async fn close_plain_http() {
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    for request in
        [&b"GET /health/live HTTP/1.1\r\nhost: shop\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0; 64]]
    {
        let response = send_bytes(&server, request).await;
        // The type of the record is 21: an alert.
        assert_eq!((response.first(), response.len()), (Some(&21), 7), "{response:?}");
    }
    wait_for_certificate(&server, &tls.certified).await;
}

async fn refuse_old_protocols() {
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    // SSL 3.0, TLS 1.0 and TLS 1.1.
    for minor_version in 0..=2 {
        let body = [&[3, minor_version][..], &[7; 32], &[0, 0, 4, 0xc0, 0x13, 0xc0, 0x14, 1, 0]].concat();
        let length = u8::try_from(body.len()).expect("a short message");
        let hello = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
        let response = send_bytes(&server, &hello).await;
        // An alert that is fatal: no handshake is completed.
        assert_eq!((response.first(), response.get(5)), (Some(&21), Some(&2)), "{response:?}");
    }
    wait_for_certificate(&server, &tls.certified).await;
}

async fn stop_server() {
    let tls = TlsSandbox::create(&[]);
    let server = tls.start().await;
    let mut idle = connect_tls(&server, &tls.certified).await;
    let request = format!("GET /health/live HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    idle.write_all(request.as_bytes()).await.expect("sent");
    let mut response = Vec::new();
    while !response.ends_with(b"}}") {
        idle.read_buf(&mut response).await.expect("a response");
    }
    let mut unfinished = TcpStream::connect(&server.address).await.expect("a connection");
    server.send_signal("TERM");
    let mut rest = Vec::new();
    // Closed with the alert that TLS requires, or the read would fail.
    idle.read_to_end(&mut rest).await.expect("the end of TLS");
    unfinished.read_to_end(&mut rest).await.expect("the end of the connection");
    assert!(rest.is_empty(), "{rest:?}");
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
}
