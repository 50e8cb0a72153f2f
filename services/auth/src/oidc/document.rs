//! What a provider says of itself (OpenID Connect Discovery 1.0 §3), so far as it is used here.

use reqwest::Url;
use serde::Deserialize;

use super::Fault;

/// As it comes.
#[derive(Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What was checked of it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where browsers are sent.
    pub authorization: Url,
    /// Where codes are redeemed.
    pub token: Url,
    /// Where its keys are.
    pub keys: Url,
    /// Whether we show who we are in the body, since it does not take a header.
    pub secret_in_body: bool,
    /// Whether it always says who it is when it sends a browser back (RFC 9207).
    pub says_issuer: bool,
}

/// Where the document of an issuer is (§4.1).
pub fn place(issuer: &str) -> Result<Url, Fault> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    url.parse().map_err(|error| Fault::Configuration(format!("the issuer is no address: {error}")))
}

impl Document {
    /// Reads one that was found below this issuer. It must call itself that, to the letter (§4.3): what it says would else be another's word.
    pub fn read(body: &[u8], issuer: &str) -> Result<Self, Fault> {
        let published: Published = super::fetch::json(body, super::fetch::What::Configuration)?;
        if published.issuer != issuer {
            return Err(Fault::Configuration("it calls itself by another issuer's name".to_owned()));
        }
        let is_plain = issuer.starts_with("http://");
        let methods = published.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|known| known == method);
        Ok(Self {
            authorization: endpoint("authorization_endpoint", &published.authorization_endpoint, is_plain)?,
            token: endpoint("token_endpoint", &published.token_endpoint, is_plain)?,
            keys: endpoint("jwks_uri", &published.jwks_uri, is_plain)?,
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            says_issuer: published.authorization_response_iss_parameter_supported,
        })
    }
}

/// An address that a browser, a code or our secret may be sent to. In the clear only where the provider is on this machine, to be tried.
fn endpoint(name: &str, text: &str, is_plain: bool) -> Result<Url, Fault> {
    let bad = |why: &str| Fault::Configuration(format!("{name} {why}"));
    let url: Url = text.parse().map_err(|_| bad("is no address"))?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if is_plain && is_here => {}
        _ => return Err(bad("is not an https address")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad("has a user or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://login.example/realms/a";

    fn document(change: &Value) -> Result<Document, String> {
        let mut document = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://login.example/auth?x=1", "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://keys.example/jwks", "something_else": [1],
        });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Document::read(document.to_string().as_bytes(), ISSUER).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_document_is_read_so_far_as_it_is_needed() {
        let plain = document(&json!({})).unwrap();
        assert!(!plain.secret_in_body && !plain.says_issuer);
        assert_eq!(plain.keys.as_str(), "https://keys.example/jwks");
        let post = document(
            &json!({"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}),
        );
        assert!(post.unwrap().secret_in_body);
        let both = document(&json!({
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        }))
        .unwrap();
        assert!(!both.secret_in_body && both.says_issuer);
    }

    #[test]
    fn one_that_is_anothers_or_leads_into_the_clear_is_not_used() {
        for (change, says) in [
            (json!({"issuer": "https://login.example/realms/a/"}), "another issuer's name"),
            (
                json!({"token_endpoint": "http://login.example/token"}),
                "token_endpoint is not an https address",
            ),
            (json!({"token_endpoint": "http://127.0.0.1/token"}), "token_endpoint is not an https address"),
            (json!({"jwks_uri": "file:///etc/passwd"}), "jwks_uri is not an https address"),
            (json!({"jwks_uri": "/jwks"}), "jwks_uri is no address"),
            (json!({"authorization_endpoint": "https://a:b@login.example/"}), "has a user or a fragment"),
            (json!({"jwks_uri": null}), "is not the JSON that it should be"),
        ] {
            let told = document(&change).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn a_provider_on_this_machine_may_be_tried_in_the_clear_and_leads_nowhere_else() {
        let issuer = "http://127.0.0.1:9000";
        let read = |token: &str| {
            let document = json!({
                "issuer": issuer, "authorization_endpoint": "http://127.0.0.1:9000/auth", "token_endpoint": token,
                "jwks_uri": "http://localhost:9000/jwks",
            });
            Document::read(document.to_string().as_bytes(), issuer)
        };
        assert!(read("http://127.0.0.1:9000/token").is_ok() && read("http://login.example/token").is_err());
    }

    #[test]
    fn the_document_is_found_below_the_issuer() {
        for issuer in ["https://login.example/realms/a", "https://login.example/realms/a/"] {
            assert_eq!(place(issuer).unwrap().path(), "/realms/a/.well-known/openid-configuration");
        }
    }
}
