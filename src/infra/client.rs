//! The way out: requests to other servers, with a limit on everything that can go wrong there.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
    redirect::Policy,
};

/// For a connection to another server.
const CONNECT: Duration = Duration::from_secs(3);
/// For a whole answer of another server.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer that is read. Bytes.
const LARGEST: usize = 1024 * 1024;

/// What sends requests to other servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

/// A form that is filled in for another server.
#[derive(Debug)]
pub struct Form<'a> {
    /// How it is handed over.
    pub method: Method,
    /// Where.
    pub url: &'a str,
    /// What is said beside it.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// Its fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// How long the whole answer may take.
    pub limit: Duration,
}

/// Why there is no answer, with every cause. It is for the log: it names addresses.
#[derive(Debug)]
pub struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

impl From<reqwest::Error> for NoAnswer {
    fn from(why: reqwest::Error) -> Self {
        let mut words = why.to_string();
        let mut cause = std::error::Error::source(&why);
        while let Some(deeper) = cause {
            words.push_str(": ");
            words.push_str(&deeper.to_string());
            cause = deeper.source();
        }
        Self(words)
    }
}

impl Client {
    /// One that follows no redirects: an address that was checked is the address that is asked.
    ///
    /// # Errors
    /// A sentence for the operator, when this machine has no certificates to know other servers by.
    pub fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .user_agent(concat!("savannah/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|why| format!("requests to other servers cannot be made: {}", NoAnswer::from(why)))
    }

    /// Sends a form, and reads the whole answer.
    ///
    /// # Errors
    /// When there is none, or one without end.
    pub async fn form(&self, form: Form<'_>) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
        let Form { method, url, headers, fields, limit } = form;
        let mut request = self.0.request(method, url).form(fields).timeout(limit);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = self.read(request.build()?).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// Sends a request.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        self.read(request.try_into()?).await
    }

    async fn read(&self, request: reqwest::Request) -> Result<HttpResponse, NoAnswer> {
        let mut answer = self.0.execute(request).await?;
        let mut out = HttpResponse::new(Vec::new());
        *out.status_mut() = answer.status();
        std::mem::swap(out.headers_mut(), answer.headers_mut());
        while let Some(piece) = answer.chunk().await? {
            if out.body().len() + piece.len() > LARGEST {
                return Err(NoAnswer(format!("the answer has more than {LARGEST} bytes")));
            }
            out.body_mut().extend_from_slice(&piece);
        }
        Ok(out)
    }
}

impl<'c> AsyncHttpClient<'c> for Client {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
