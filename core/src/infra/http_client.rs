//! The HTTP client of outbound requests, with limits on time and size.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue, InvalidHeaderValue},
    redirect::Policy,
};

use tracing::Instrument;

use super::telemetry::trace_context::{create_outbound_span, insert_trace_headers};
use crate::base::error::format_error_chain;

/// The timeout of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout of a whole response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a response in bytes.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The HTTP client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

/// An outbound form request.
#[derive(Debug)]
pub struct FormRequest<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The URL.
    pub url: &'a str,
    /// The request headers.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The form fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// The timeout of the whole response.
    pub timeout: Duration,
}

/// An outbound request with a JSON body, or without a body. It cannot be printed, because bodies contain secrets.
pub struct JsonRequest<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The URL.
    pub url: &'a str,
    /// The request headers.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body, if any.
    pub body: Option<&'a serde_json::Value>,
    /// The timeout of the whole response.
    pub timeout: Duration,
}

/// The error of a request. For logs only: it contains URLs.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The request could not be sent, or its response not be read.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// The response exceeds the maximum size.
    #[error("the response has more than {MAX_RESPONSE_BYTES} bytes")]
    ResponseTooLarge,
}

impl HttpClientError {
    /// Returns whether the server certainly did not receive the request, because there was no connection.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_connect() || error.is_builder())
    }
}

/// Returns the value of the header `Authorization` for HTTP Basic authentication; it is not printed.
///
/// # Errors
/// Returns an error if the credentials contain characters that a header cannot contain.
pub fn basic_authorization(username: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive_header(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

/// Returns the value of the header `Authorization` for a bearer token; it is not printed.
///
/// # Errors
/// Returns an error if the token contains characters that a header cannot contain.
pub fn bearer_authorization(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive_header(&format!("Bearer {token}"))
}

fn sensitive_header(value: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Creates the client of the export of spans. It follows no redirects and is not traced itself.
///
/// # Errors
/// Returns a message for the operator if the TLS certificates cannot be loaded.
pub(super) fn build_collector_client() -> Result<reqwest::Client, String> {
    HttpClient::new().map(|client| client.0)
}

impl HttpClient {
    /// Creates a client that follows no redirects, so that only validated URLs are requested.
    ///
    /// # Errors
    /// Returns a message for the operator if the TLS certificates cannot be loaded.
    pub fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .user_agent(concat!("savannah/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| format!("the HTTP client cannot be created: {}", format_error_chain(&error)))
    }

    /// Sends a form and reads the whole response.
    ///
    /// # Errors
    /// Returns an error if the request fails or the response is too large.
    pub async fn send_form(&self, form: FormRequest<'_>) -> Result<(StatusCode, Vec<u8>), HttpClientError> {
        let FormRequest { method, url, headers, fields, timeout } = form;
        self.send_with_headers(self.0.request(method, url).form(fields).timeout(timeout), headers).await
    }

    /// Sends JSON, or nothing, and reads the whole response.
    ///
    /// # Errors
    /// Returns an error if the request fails or the response is too large.
    pub async fn send_json(&self, json: JsonRequest<'_>) -> Result<(StatusCode, Vec<u8>), HttpClientError> {
        let JsonRequest { method, url, headers, body, timeout } = json;
        let request = self.0.request(method, url).timeout(timeout);
        let request = if let Some(body) = body { request.json(body) } else { request };
        self.send_with_headers(request, headers).await
    }

    async fn send_with_headers(
        &self,
        request: reqwest::RequestBuilder,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<(StatusCode, Vec<u8>), HttpClientError> {
        let with_header =
            |request: reqwest::RequestBuilder, (name, value): &(HeaderName, HeaderValue)| request.header(name, value);
        let response = self.execute(headers.iter().fold(request, with_header).build()?).await?;
        Ok((response.status(), response.into_body()))
    }

    /// Sends a request.
    async fn send_request(&self, request: HttpRequest) -> Result<HttpResponse, HttpClientError> {
        self.execute(request.try_into()?).await
    }

    /// Sends a request in its span, whose trace context the server receives.
    async fn execute(&self, mut request: reqwest::Request) -> Result<HttpResponse, HttpClientError> {
        let span = create_outbound_span(request.method().as_str(), request.url().host_str().unwrap_or_default());
        insert_trace_headers(&span, request.headers_mut());
        let exchange = async {
            let response = self.exchange(request).await?;
            tracing::Span::current().record("http.response.status_code", response.status().as_u16());
            Ok(response)
        };
        exchange.instrument(span).await
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<HttpResponse, HttpClientError> {
        let mut response = self.0.execute(request).await?;
        let mut http_response = HttpResponse::new(Vec::new());
        *http_response.status_mut() = response.status();
        std::mem::swap(http_response.headers_mut(), response.headers_mut());
        while let Some(chunk) = response.chunk().await? {
            if http_response.body().len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(HttpClientError::ResponseTooLarge);
            }
            http_response.body_mut().extend_from_slice(&chunk);
        }
        Ok(http_response)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpClientError;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpClientError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send_request(request))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    async fn send_to(address: std::net::SocketAddr) -> HttpClientError {
        let client = HttpClient::new().expect("a client");
        let url = format!("http://{address}/");
        let request =
            JsonRequest { method: Method::GET, url: &url, headers: &[], body: None, timeout: RESPONSE_TIMEOUT };
        client.send_json(request).await.expect_err("no server responds")
    }

    #[tokio::test]
    async fn request_without_connection_is_unsent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        assert!(send_to(address).await.is_unsent());
    }

    #[tokio::test]
    async fn request_without_response_may_have_been_received() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = async {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let received_bytes = connection.read(&mut [0; 1024]).await.expect("a request");
            assert_ne!(received_bytes, 0);
        };
        let (error, ()) = futures_util::future::join(send_to(address), server).await;
        assert!(!error.is_unsent(), "{error}");
    }

    #[test]
    fn authorization_is_not_printed() {
        let headers = [basic_authorization("key", "sesame"), bearer_authorization("sesame")];
        let [basic, bearer] = headers.map(|header| header.expect("a header"));
        assert_eq!((basic.as_bytes(), bearer.as_bytes()), (&b"Basic a2V5OnNlc2FtZQ=="[..], &b"Bearer sesame"[..]));
        assert_eq!(format!("{basic:?} {bearer:?}"), "Sensitive Sensitive");
        assert!(bearer_authorization("line\nbreak").is_err());
    }
}
