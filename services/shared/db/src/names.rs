//! [`names`]: many names as one parameter of a statement, on either engine.

use std::collections::BTreeMap;

use sqlx::types::Json;

/// Names, each once, as one parameter: `where person in (select key from jsonb_each($1))`. Both engines have `jsonb_each`, and neither has the other's
/// way to bind a list.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Json<BTreeMap<&'a str, bool>> {
    Json(names.into_iter().map(|name| (name, true)).collect())
}
