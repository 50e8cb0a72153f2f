//! Tells the audit when users' tokens are signed with other keys.

use std::sync::Arc;

use db::Db;
use http_kit::configuration::{Matter, follow};
use serde_json::{Map, Value};

use crate::signing::SigningKeys;

/// Tells it, for as long as the future lives.
pub async fn tell(db: Db, keys: Arc<SigningKeys>) {
    let now = || {
        let (current, public) = keys.told();
        let published = public.keys.into_iter().map(|key| Value::from(key.kid)).collect();
        Some(Map::from_iter([
            ("current".to_owned(), Value::from(current)),
            ("published".to_owned(), Value::Array(published)),
        ]))
    };
    match follow(&db, Matter::SigningKeys, now).await {}
}
