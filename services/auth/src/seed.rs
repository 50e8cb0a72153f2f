//! Users that nobody asked for through the API: the first administrator, and those of demo data.

use std::collections::BTreeMap;

use contracts::auth::UserStatus;
use contracts::id::UserId;
use contracts::permission::Role;
use db::Db;

use crate::domain::policy;
use crate::domain::user::{Account, User};
use crate::domain::username::Username;
use crate::error::Error;
use crate::password::Hasher;
use crate::store::account::{ADMINS, account_any, account_insert};

/// The first administrator's name.
pub const ADMIN: &str = "admin";
/// The stack's policy may be stricter; this much is asked of a first password too.
const ADMIN_PASSWORD_CHARS_MIN: usize = 8;

/// Why there is no first administrator.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// The password will not do.
    #[error(
        "the first administrator's password must have {ADMIN_PASSWORD_CHARS_MIN} to {} characters",
        policy::CHARS_MAX
    )]
    Password,
    /// It cannot be created.
    #[error("the first administrator cannot be created: {0}")]
    Create(#[from] Error),
}

impl From<db::Error> for FirstAdminError {
    fn from(error: db::Error) -> Self {
        Self::Create(Error::Db(error))
    }
}

/// Creates the user `admin` where there has never been a user; of several replicas that start at once, one does. Where there are
/// users, the password means nothing.
pub async fn first_admin(db: &Db, hasher: &Hasher, password: Option<&str>) -> Result<(), FirstAdminError> {
    if account_any(&mut db.read().await?).await? {
        return Ok(());
    }
    let Some(password) = password else {
        tracing::warn!("there is no user, and no password for a first administrator: nobody can log in");
        return Ok(());
    };
    if !(ADMIN_PASSWORD_CHARS_MIN..=policy::CHARS_MAX).contains(&password.chars().count()) {
        return Err(FirstAdminError::Password);
    }
    let admin = account(hasher, ADMIN, password, &[Role::Admin]).await?;
    let id = UserId::generate(db.random());
    db::retrying(db, async |mut tx| {
        tx.lock(&[ADMINS]).await?;
        if !account_any(&mut tx).await? {
            account_insert(&mut tx, db, &id, &admin).await?;
            tx.commit().await?;
        }
        Ok::<_, Error>(())
    })
    .await?;
    Ok(())
}

/// Creates a user for demo data, and for nothing else: the password policy is passed over, as the document's `password123` needs.
/// [`Error::Taken`] if the name was ever used.
pub async fn user(db: &Db, username: &str, password: &str, roles: &[Role]) -> Result<UserId, Error> {
    let account = account(&Hasher::new(db.random().clone()), username, password, roles).await?;
    let id = UserId::generate(db.random());
    db::retrying(db, async |mut tx| {
        account_insert(&mut tx, db, &id, &account).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(id)
}

async fn account(hasher: &Hasher, username: &str, password: &str, roles: &[Role]) -> Result<Account, Error> {
    let username = Username::parse(username).map_err(|error| Error::BadField("username", error))?;
    let user = User {
        username,
        roles: roles.iter().copied().filter(|role| *role != Role::Service).collect(),
        made: BTreeMap::new(),
        status: UserStatus::Active,
        patient_id: None,
        provider_id: None,
    };
    Ok(Account { user, password: hasher.hash(password).await? })
}
