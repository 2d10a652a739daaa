//! The HTTP client of outbound requests, with limits on time and size.

use std::time::Duration;

use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
    redirect::Policy,
};

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
        let mut request = self.0.request(method, url).form(fields).timeout(timeout);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.execute(request.build()?).await?;
        Ok((response.status(), response.into_body()))
    }

    /// Sends a request.
    async fn send_request(&self, request: HttpRequest) -> Result<HttpResponse, HttpClientError> {
        self.execute(request.try_into()?).await
    }

    async fn execute(&self, request: reqwest::Request) -> Result<HttpResponse, HttpClientError> {
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
