//! `GET /api/auth/roles`

use contracts::auth::ListRoles;
use contracts::page::Page;
use contracts::permission::Role;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::domain::role;
use crate::error::Error;
use crate::store::role::role_list;

/// Lists the roles that a user can have: first those that every stack has.
pub async fn list(api: Api, _: Call<ListRoles>) -> Result<Answer<ListRoles>, Error> {
    let made = role_list(&mut api.db.read().await?).await?;
    let built_in = Role::ALL.into_iter().filter(|role| *role != Role::Service).map(role::view_of_built_in);
    let made = made.iter().map(|kept| role::view(&kept.name, kept.permissions));
    Ok(Answer::new(Page { items: built_in.chain(made).collect(), next_cursor: None }))
}
