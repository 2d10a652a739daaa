//! GraphQL responses.

use serde_json::Value;

/// A GraphQL response with its statement count.
#[derive(Debug)]
pub struct GraphqlResponse {
    pub body: Value,
    pub statements: u64,
}

impl GraphqlResponse {
    /// Reads the whole response.
    pub async fn from_http_response(response: reqwest::Response) -> Self {
        let timing = response.headers().get("server-timing").map(|value| value.to_str().expect("text").to_owned());
        let statements = timing.as_deref().and_then(|timing| timing.split('"').nth(1)?.split(' ').next()?.parse().ok());
        let body = response.json().await.expect("JSON");
        Self { body, statements: statements.unwrap_or(0) }
    }

    /// Returns the code of the first entry of `errors`.
    pub fn error_code(&self) -> &str {
        self.first_error()["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code in {}", self.body))
    }

    /// Returns the `userErrors` of a mutation: code and field path.
    pub fn user_errors(&self, mutation: &str) -> Vec<(String, String)> {
        let list = self.data_at(&format!("/{mutation}/userErrors")).as_array().expect("a list");
        let field = |error: &Value| {
            let path = error["field"].as_array().expect("a path").iter();
            path.map(|segment| segment.as_str().expect("text")).collect::<Vec<_>>().join(".")
        };
        list.iter().map(|error| (error["code"].as_str().expect("a code").to_owned(), field(error))).collect()
    }

    /// Returns the data at a JSON pointer; panics if the response has errors.
    pub fn data_at(&self, pointer: &str) -> &Value {
        assert!(self.body.get("errors").is_none(), "errors in {}", self.body);
        self.body["data"].pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }

    /// Returns a string field of every element of a list.
    pub fn strings_at(&self, pointer: &str, field: &str) -> Vec<String> {
        let list = self.data_at(pointer).as_array().expect("a list");
        list.iter().map(|item| item[field].as_str().unwrap_or("null").to_owned()).collect()
    }

    /// Returns the first error.
    pub fn first_error(&self) -> &Value {
        &self.body["errors"][0]
    }

    /// Asserts that the first error is `BAD_USER_INPUT` for this field.
    pub fn assert_error_field(&self, field: &str) {
        let extensions = &self.first_error()["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT", "{}", self.body);
        let path = extensions["field"].as_array().unwrap_or_else(|| panic!("no field in {}", self.body));
        let path: Vec<_> = path.iter().filter_map(Value::as_str).collect();
        assert_eq!(path.join("."), field, "{}", self.body);
    }
}
