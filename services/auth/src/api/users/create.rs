//! `POST /api/auth/users`

use contracts::auth::{CreateUser, UserCreated};
use contracts::id::UserId;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::api::hold::hold;
use crate::domain::user::{Account, User};
use crate::error::Error;
use crate::store::account::account_insert;
use crate::store::role::ROLES;

/// Creates a user.
pub async fn create(api: Api, call: Call<CreateUser>) -> Result<Answer<CreateUser>, Error> {
    let user = User::create(&call.body, api.policy)?;
    api.check_ties(&user, None).await?;
    let account = Account { password: api.hasher.hash(&call.body.password).await?, user };
    let id = UserId::generate(api.db.random());
    let created = UserCreated {
        user_id: id.clone(),
        username: account.user.username.to_string(),
        status: "Created".to_owned(),
    };
    let answer = Answer::new(created).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        tx.lock(&[ROLES]).await?;
        let mut account = account.clone();
        api.fill_roles(&mut tx, &call.caller, &mut account.user).await?;
        account_insert(&mut tx, &api.db, &id, &account).await?;
        hold(&mut tx, &call.caller).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
