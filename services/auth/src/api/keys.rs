//! `GET /.well-known/jwks.json`

use contracts::auth::JsonWebKeys;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;

/// The public keys.
pub async fn jwks(api: Api, _: Call<JsonWebKeys>) -> Result<Answer<JsonWebKeys>, Error> {
    Ok(Answer::new(api.issuer.keys().public()))
}
