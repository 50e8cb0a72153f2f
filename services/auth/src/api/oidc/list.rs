//! `GET /api/auth/oidc`

use contracts::auth::{IdentityProvider, ListIdentityProviders};
use contracts::page::Page;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::error::Error;

/// Shows which identity providers one may log in at: what a page needs for its buttons.
pub async fn list(
    api: Api,
    _call: Call<ListIdentityProviders>,
) -> Result<Answer<ListIdentityProviders>, Error> {
    let items = api.oidc.iter().map(|provider| IdentityProvider {
        name: provider.name().to_owned(),
        display_name: provider.display_name().to_owned(),
    });
    Ok(Answer::new(Page { items: items.collect(), next_cursor: None }))
}
