//! Cursors and limits of lists.

use contracts::page::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use contracts::problem::Faults;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The stretch of a list that was asked for: after `K`, the sort key of the last item seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<K> {
    /// Where the page before ended.
    pub after: Option<K>,
    /// How many at most, 1 to 200.
    pub limit: u32,
}

impl<K: Serialize + DeserializeOwned> Window<K> {
    /// Reads `limit` and `cursor`; what is wrong goes to `faults`.
    pub fn parse(limit: Option<u32>, cursor: Option<&str>, faults: &mut Faults) -> Option<Self> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            faults.add("limit", format_args!("must be between 1 and {LIMIT_MAX}"));
        }
        let after = match cursor.map(read_cursor) {
            Some(None) => {
                faults.add("cursor", "must be the nextCursor of a page before");
                return None;
            }
            Some(Some(key)) => Some(key),
            None => None,
        };
        (1..=LIMIT_MAX).contains(&limit).then_some(Self { after, limit })
    }

    /// How many rows to read: one more than the page holds tells whether there is another.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The page, from [`Window::rows`] rows at most, with each one's sort key.
    pub fn page<T>(&self, mut rows: Vec<(K, T)>) -> Page<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|(key, _)| write_cursor(key));
        Page { items: rows.into_iter().map(|(_, item)| item).collect(), next_cursor }
    }
}

fn write_cursor(key: &impl Serialize) -> String {
    data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(key).unwrap_or_default())
}

fn read_cursor<K: DeserializeOwned>(cursor: &str) -> Option<K> {
    if cursor.len() > 1024 {
        return None;
    }
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_until_the_end() {
        let first = Window::<i64> { after: None, limit: 2 };
        let page = first.page(vec![(1, "a"), (2, "b"), (3, "c")]);
        assert_eq!(page.items, ["a", "b"]);
        let mut faults = Faults::new();
        let second = Window::<i64>::parse(Some(2), page.next_cursor.as_deref(), &mut faults).unwrap();
        assert_eq!(second.after, Some(2));
        assert_eq!(second.page(vec![(3, "c")]).next_cursor, None);
    }

    #[test]
    fn bad_limits_and_cursors_are_faults() {
        for (limit, cursor) in [(Some(0), None), (Some(201), None), (None, Some("x")), (None, Some("IiI"))] {
            let mut faults = Faults::new();
            assert_eq!(Window::<i64>::parse(limit, cursor, &mut faults), None);
            assert!(!faults.is_empty());
        }
    }
}
