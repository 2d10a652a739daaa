//! Stub of M-Pesa's Daraja API with the published formats, and the phones of its buyers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::http_stub::StubServer;

pub const TOKEN_PATH: &str = "/oauth/v1/generate";
pub const PUSH_PATH: &str = "/mpesa/stkpush/v1/processrequest";
pub const QUERY_PATH: &str = "/mpesa/stkpushquery/v1/query";
pub const REVERSAL_PATH: &str = "/mpesa/reversal/v1/request";
pub const STATUS_PATH: &str = "/mpesa/transactionstatus/v1/query";

/// Public URL of the shop in callback URLs.
pub const PUBLIC_URL: &str = "https://shop.example";

const CONSUMER_KEY: &str = "consumer-key";
const CONSUMER_SECRET: &str = "sesame-consumer-secret";
const SHORT_CODE: &str = "174379";
const PASSKEY: &str = "sesame-passkey";
const SECURITY_CREDENTIAL: &str = "sesame-credential";
const CALLBACK_KEY: &str = "sesame-callback-key-0123456789abcdef";

/// Behavior of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MpesaMode {
    /// The request is executed, but its response never arrives.
    LosesResponse,
    /// The response is a web page.
    ReturnsHtml,
    /// The response has two megabytes.
    ReturnsOversizedBody,
    /// The request fails with an HTTP status, an error code and a message.
    Fails(u16, &'static str, &'static str),
    /// Every access token is rejected.
    RejectsTokens,
}

#[derive(Debug, Default)]
struct MpesaState {
    modes: BTreeMap<&'static str, MpesaMode>,
    requests: Vec<(String, Value)>,
    issued_tokens: usize,
    is_token_invalid: bool,
    /// Results of the prompts on the phones, by `CheckoutRequestID`.
    prompt_results: BTreeMap<String, String>,
}

/// The stub; stopped on drop.
pub struct MpesaStub {
    server: StubServer,
    state: Arc<Mutex<MpesaState>>,
}

impl MpesaStub {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(MpesaState::default()));
        let shared = Arc::clone(&state);
        let respond = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let shared = Arc::clone(&shared);
            async move {
                let (mode, response) = {
                    let mut state = shared.lock().expect("state");
                    (state.modes.get(uri.path()).copied(), state.respond(&method, &uri, &headers, &body))
                };
                if mode == Some(MpesaMode::LosesResponse) {
                    std::future::pending::<()>().await;
                }
                response
            }
        };
        Self { server: StubServer::start(respond).await, state }
    }

    /// Returns the settings of a shop that uses this stub.
    pub fn settings(&self) -> [(&str, &str); 10] {
        [
            ("SAVANNAH_SERVER__PUBLIC_URL", PUBLIC_URL),
            ("SAVANNAH_PAYMENT__REQUEST_TIMEOUT", "1s"),
            ("SAVANNAH_PAYMENT__MPESA__URL", &self.server.url),
            ("SAVANNAH_PAYMENT__MPESA__CONSUMER_KEY", CONSUMER_KEY),
            ("SAVANNAH_PAYMENT__MPESA__CONSUMER_SECRET", CONSUMER_SECRET),
            ("SAVANNAH_PAYMENT__MPESA__SHORT_CODE", SHORT_CODE),
            ("SAVANNAH_PAYMENT__MPESA__PASSKEY", PASSKEY),
            ("SAVANNAH_PAYMENT__MPESA__INITIATOR_NAME", "api-operator"),
            ("SAVANNAH_PAYMENT__MPESA__SECURITY_CREDENTIAL", SECURITY_CREDENTIAL),
            ("SAVANNAH_PAYMENT__MPESA__CALLBACK_KEY", CALLBACK_KEY),
        ]
    }

    fn state(&self) -> MutexGuard<'_, MpesaState> {
        self.state.lock().expect("state")
    }

    /// Sets the behavior of a path; `None`: as documented.
    pub fn set_mode(&self, path: &'static str, mode: Option<MpesaMode>) {
        match mode {
            Some(mode) => self.state().modes.insert(path, mode),
            None => self.state().modes.remove(path),
        };
    }

    /// Makes the current access token invalid, as another process that requests one does.
    pub fn invalidate_token(&self) {
        self.state().is_token_invalid = true;
    }

    /// Returns the bodies of the requests to a path that had a valid access token.
    pub fn requests(&self, path: &str) -> Vec<Value> {
        let state = self.state();
        state.requests.iter().filter(|(requested, _)| requested == path).map(|(_, body)| body.clone()).collect()
    }

    /// Returns the `CheckoutRequestID` of a push, by its number from 1.
    pub fn checkout_id(number: usize) -> String {
        format!("ws_CO_01112026120000{number}")
    }

    /// Lets the buyer answer a prompt: `0` confirms it.
    pub fn answer_prompt(&self, number: usize, result_code: &str) {
        self.state().prompt_results.insert(Self::checkout_id(number), result_code.to_owned());
    }

    /// Returns the path below the shop to which a push or a reversal asked to send its result.
    pub fn callback_path(&self, path: &str, number: usize) -> String {
        let body = &self.requests(path)[number - 1];
        let url = body.get("CallBackURL").or_else(|| body.get("ResultURL")).and_then(Value::as_str).expect("a URL");
        url.strip_prefix(PUBLIC_URL).expect("a URL of the shop").to_owned()
    }

    /// Returns the callback of an answered push.
    pub fn callback(&self, number: usize) -> Value {
        let checkout_id = Self::checkout_id(number);
        let code = self.state().prompt_results.get(&checkout_id).cloned().expect("an answered prompt");
        let mut callback = json!({
            "MerchantRequestID": format!("29115-34620561-{number}"),
            "CheckoutRequestID": checkout_id,
            "ResultCode": code.parse::<i64>().expect("a number"),
            "ResultDesc": "The service request is processed successfully.",
        });
        if code == "0" {
            let push = &self.requests(PUSH_PATH)[number - 1];
            let amount = push["Amount"].as_f64().expect("an amount");
            let msisdn: i64 = push["PhoneNumber"].as_str().expect("a number").parse().expect("a number");
            callback["CallbackMetadata"] = json!({ "Item": [
                { "Name": "MpesaReceiptNumber", "Value": Self::receipt(number) },
                { "Name": "Balance" },
                { "Name": "PhoneNumber", "Value": msisdn },
                { "Name": "Amount", "Value": amount },
                { "Name": "TransactionDate", "Value": 20_261_101_120_102_i64 },
            ] });
        }
        json!({ "Body": { "stkCallback": callback } })
    }

    /// Returns the receipt number of a paid push.
    pub fn receipt(number: usize) -> String {
        format!("SK{number:08}")
    }

    /// Returns the result of a reversal.
    pub fn reversal_result(&self, number: usize, code: &Value) -> Value {
        let reversal = &self.requests(REVERSAL_PATH)[number - 1];
        let mut result = json!({
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": "The OriginalTransactionID is invalid.",
            "OriginatorConversationID": format!("reversal-{number}"),
            "ConversationID": format!("AG_20261101_{number}"),
            "TransactionID": format!("RV{number:08}"),
            "ReferenceData": { "ReferenceItem": { "Key": "QueueTimeoutURL", "Value": "https://internal.example" } },
        });
        if *code == json!(0) {
            result["ResultParameters"] = json!({ "ResultParameter": [
                { "Key": "DebitAccountBalance", "Value": "Utility Account|KES|7722179.62|7722179.62|0.00|0.00" },
                { "Key": "Amount", "Value": reversal["Amount"].as_f64() },
                { "Key": "TransCompletedTime", "Value": 20_261_101_132_711_i64 },
                { "Key": "OriginalTransactionID", "Value": reversal["TransactionID"] },
                { "Key": "Charge", "Value": 0.00 },
            ] });
        }
        json!({ "Result": result })
    }

    /// Returns the result of a status request about a reversal.
    pub fn status_report(&self, number: usize, status: &str) -> Value {
        let requested = &self.requests(STATUS_PATH)[number - 1];
        let amount = self.requests(REVERSAL_PATH)[0]["Amount"].to_string();
        json!({ "Result": {
            "ResultType": 0,
            "ResultCode": 0,
            "ResultDesc": "The service request is processed successfully.",
            "OriginatorConversationID": format!("status-{number}"),
            "ConversationID": format!("AG_20261101_status_{number}"),
            "TransactionID": "SK00000000",
            "ResultParameters": { "ResultParameter": [
                { "Key": "OriginatorConversationID", "Value": requested["OriginalConversationID"] },
                { "Key": "TransactionReason" },
                { "Key": "TransactionStatus", "Value": status },
                { "Key": "Amount", "Value": amount },
                { "Key": "ReceiptNo", "Value": "RV00000001" },
            ] },
        } })
    }
}

impl MpesaState {
    fn respond(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let path = uri.path();
        let mode = self.modes.get(path).copied();
        if path == TOKEN_PATH {
            assert_eq!((method, uri.query()), (&Method::GET, Some("grant_type=client_credentials")));
            let credentials = BASE64_STANDARD.encode(format!("{CONSUMER_KEY}:{CONSUMER_SECRET}"));
            assert_eq!(header("authorization"), format!("Basic {credentials}"));
            self.requests.push((path.to_owned(), Value::Null));
        } else {
            assert_eq!((method, header("content-type")), (&Method::POST, "application/json"));
            let token = format!("Bearer token-{}", self.issued_tokens);
            if header("authorization") != token || self.is_token_invalid || mode == Some(MpesaMode::RejectsTokens) {
                return fail(404, "404.001.03", "Invalid Access Token");
            }
            self.requests.push((path.to_owned(), serde_json::from_slice(body).expect("JSON")));
        }
        match mode {
            Some(MpesaMode::ReturnsHtml) => return (StatusCode::OK, "<html>Karibu</html>").into_response(),
            Some(MpesaMode::ReturnsOversizedBody) => return (StatusCode::OK, " ".repeat(2 << 20)).into_response(),
            Some(MpesaMode::Fails(status, code, message)) => return fail(status, code, message),
            Some(MpesaMode::LosesResponse | MpesaMode::RejectsTokens) | None => {}
        }
        let request = self.requests.last().map(|(_, body)| body.clone()).unwrap_or_default();
        let number = self.requests.iter().filter(|(requested, _)| requested == path).count();
        let response = match path {
            TOKEN_PATH => {
                self.issued_tokens += 1;
                self.is_token_invalid = false;
                json!({ "access_token": format!("token-{}", self.issued_tokens), "expires_in": "3599" })
            }
            PUSH_PATH => {
                check_password(&request);
                assert!(request["AccountReference"].as_str().is_some_and(|text| (1..=12).contains(&text.len())));
                assert!(request["TransactionDesc"].as_str().is_some_and(|text| (1..=13).contains(&text.len())));
                assert!(request["Amount"].as_i64().is_some_and(|amount| (1..=250_000).contains(&amount)));
                json!({
                    "MerchantRequestID": format!("29115-34620561-{number}"),
                    "CheckoutRequestID": MpesaStub::checkout_id(number),
                    "ResponseCode": "0",
                    "ResponseDescription": "Success. Request accepted for processing",
                    "CustomerMessage": "Success. Request accepted for processing",
                })
            }
            QUERY_PATH => {
                check_password(&request);
                let checkout_id = request["CheckoutRequestID"].as_str().expect("an id");
                let Some(code) = self.prompt_results.get(checkout_id) else {
                    return fail(500, "500.001.1001", "The transaction is being processed");
                };
                json!({
                    "ResponseCode": "0",
                    "ResponseDescription": "The service request has been accepted successsfully",
                    "MerchantRequestID": "29115-34620561-1",
                    "CheckoutRequestID": checkout_id,
                    "ResultCode": code,
                    "ResultDesc": "The service request is processed successfully.",
                })
            }
            REVERSAL_PATH => {
                assert_eq!(request["CommandID"], "TransactionReversal");
                assert_eq!(
                    (&request["RecieverIdentifierType"], &request["ReceiverParty"]),
                    (&json!("11"), &json!(SHORT_CODE))
                );
                assert_eq!(request["SecurityCredential"], SECURITY_CREDENTIAL);
                accepted(&format!("reversal-{number}"), number)
            }
            STATUS_PATH => {
                assert_eq!(request["CommandID"], "TransactionStatusQuery");
                assert_eq!((&request["IdentifierType"], &request["PartyA"]), (&json!("4"), &json!(SHORT_CODE)));
                accepted(&format!("status-{number}"), number)
            }
            _ => return fail(404, "404.001.01", "Resource not found"),
        };
        axum::Json(response).into_response()
    }
}

fn accepted(originator_conversation_id: &str, number: usize) -> Value {
    json!({
        "OriginatorConversationID": originator_conversation_id,
        "ConversationID": format!("AG_20261101_{number}"),
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    })
}

fn check_password(request: &Value) {
    let timestamp = request["Timestamp"].as_str().expect("a timestamp");
    assert_eq!(timestamp.len(), 14, "{timestamp}");
    assert_eq!(request["BusinessShortCode"], SHORT_CODE);
    assert_eq!(request["Password"], BASE64_STANDARD.encode(format!("{SHORT_CODE}{PASSKEY}{timestamp}")));
}

fn fail(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "requestId": "94fc-460e-a970", "errorCode": code, "errorMessage": message });
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
}
