//! [`Client`]: speaks to a started stack as anybody could.

use reqwest::Method;
use serde_json::Value;

/// Somebody at the gateway's door.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What was asked, for messages.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body's text.
    pub text: String,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The same answer, if its status is this one.
    ///
    /// # Panics
    /// With the body, if it is not.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        self
    }

    /// The paths of the fields at fault.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.json()["errors"].as_array().cloned().unwrap_or_default();
        faults.iter().filter_map(|fault| fault["field"].as_str().map(str::to_owned)).collect()
    }
}

impl Client {
    /// Without a token.
    ///
    /// # Panics
    /// If no HTTP client can be made.
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, base: base.to_owned(), token: None }
    }

    /// With an HTTP client made elsewhere: another name resolution, another certificate authority.
    pub fn over(http: reqwest::Client, base: &str) -> Self {
        Self { http, base: base.to_owned(), token: None }
    }

    /// The same, on connections of its own: for another runtime.
    #[must_use]
    pub fn on_connections_of_its_own(&self) -> Self {
        Self { http: Self::new("").http, ..self.clone() }
    }

    /// The same, with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, without one.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Signs in.
    ///
    /// # Panics
    /// If that fails.
    pub async fn sign_in(&self, username: &str, password: &str) -> Self {
        let body = serde_json::json!({ "username": username, "password": password }).to_string();
        let reply = self.anonymous().call("POST", "/api/auth/login", Some(&body)).await.expect(200);
        self.with_token(reply.json()["token"].as_str().expect("a token"))
    }

    /// A request to be built further.
    ///
    /// # Panics
    /// If the method is none.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Calls, with a JSON body if one is given.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&str>) -> Reply {
        self.try_call(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Calls, where no answer is an answer too.
    pub async fn try_call(&self, method: &str, path: &str, body: Option<&str>) -> reqwest::Result<Reply> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        self.send(format!("{method} {path}"), request).await
    }

    /// Sends a request that was built further.
    pub async fn send(&self, asked: String, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { asked, status, headers, text: response.text().await? })
    }
}
