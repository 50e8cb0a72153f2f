//! `GET /api/auth/users`

use contracts::auth::{ListUsers, UserFilter};
use contracts::page::Page;
use contracts::problem::{Faults, Problem};
use http_kit::page::{Newest, Window};
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::domain::username::Username;
use crate::error::Error;
use crate::store::account::{account_by_name, account_list};

/// Lists users, newest first, or finds one by name.
pub async fn list(api: Api, call: Call<ListUsers>) -> Result<Answer<ListUsers>, Error> {
    let (name, window) = parse(&call.query)?;
    let mut tx = api.db.read().await?;
    let page = match name {
        Some(name) => {
            let found = account_by_name(&mut tx, &api.db, &name).await?;
            Page { items: found.into_iter().collect(), next_cursor: None }
        }
        None => window.page(account_list(&mut tx, &api.db, &window).await?),
    };
    let items = page.items.iter().map(|kept| kept.account.user.view(&kept.id)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

fn parse(filter: &UserFilter) -> Result<(Option<Username>, Window<Newest>), Problem> {
    let mut faults = Faults::new();
    let name = faults.take("username", filter.username.as_deref().map(Username::parse).transpose());
    let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
    faults.finish_query(name.zip(window))
}
