//! Cursors and limits of lists.

use chrono::{DateTime, Utc};
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

    /// The cursor of what comes after an item with this sort key.
    pub fn cursor_after(key: &K) -> String {
        write_cursor(key)
    }

    /// How many rows to read: one more than the page holds tells whether there is another.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Whether so many rows are all that [`Window::rows`] asks for: then there may be more.
    pub fn is_filled_by(&self, rows: usize) -> bool {
        rows > self.limit as usize
    }

    /// The page, from [`Window::rows`] rows at most, with each one's sort key.
    pub fn page<T>(&self, mut rows: Vec<(K, T)>) -> Page<T> {
        let limit = self.limit as usize;
        let more = self.is_filled_by(rows.len());
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|(key, _)| write_cursor(key));
        Page { items: rows.into_iter().map(|(_, item)| item).collect(), next_cursor }
    }
}

impl<K: Clone> Window<K> {
    /// This page, to be filled from stretches of so many rows, of which not all belong on it.
    pub fn filling<T>(&self, rows: u32) -> Filling<K, T> {
        let stretch = Self { limit: rows, ..self.clone() };
        Filling { page: self.clone(), stretch, found: Vec::new(), is_over: false }
    }
}

/// A page that is filled from a list of which not everything belongs on it: what does, whoever reads the rows says of each.
#[derive(Clone, Debug)]
pub struct Filling<K, T> {
    page: Window<K>,
    stretch: Window<K>,
    found: Vec<(K, T)>,
    /// Whether the list is.
    is_over: bool,
}

impl<K: Clone, T> Filling<K, T> {
    /// The stretch to be read next; `None`: the page is full, or the list over.
    pub fn unread(&self) -> Option<Window<K>> {
        (!self.is_over && !self.is_full()).then(|| self.stretch.clone())
    }

    /// So many rows were read: all there are, if they are fewer than were asked for.
    pub fn has_read(&mut self, rows: usize) {
        self.is_over = rows <= self.stretch.limit as usize;
    }

    /// Goes past a row, which is on the page if it became something. Whether the page is full.
    pub fn put(&mut self, key: K, item: Option<T>) -> bool {
        self.stretch.after = Some(key.clone());
        self.found.extend(item.map(|item| (key, item)));
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.found.len() > self.page.limit as usize
    }

    /// As many as [`Window::page`] takes, with each one's sort key.
    pub fn into_rows(self) -> Vec<(K, T)> {
        self.found
    }
}

/// The sort key of a list that begins with the newest: when, and the id, which parts what happened at once.
pub type Newest = (DateTime<Utc>, String);

impl Window<Newest> {
    /// Everything on the page sorts below this: the end of the page before, or a time that no row has.
    pub fn below(&self) -> Newest {
        let never = || (DateTime::from_timestamp(253_402_300_799, 0).unwrap_or_default(), String::new());
        self.after.clone().unwrap_or_else(never)
    }
}

fn write_cursor(key: &impl Serialize) -> String {
    data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(key).unwrap_or_default())
}

fn read_cursor<K: DeserializeOwned>(cursor: &str) -> Option<K> {
    if cursor.len() > 1024 {
        return None;
    }
    let key = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    // A forged key must not bring to the database what none of ours holds, and what it would fail on: a NUL (which JSON has to
    // escape), or a year beyond four digits (which has a sign).
    let is_odd = key.contains(&b'\\') || key.windows(2).any(|pair| matches!(pair, b"\"+" | b"\"-"));
    if is_odd { None } else { serde_json::from_slice(&key).ok() }
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
    fn a_page_is_filled_from_as_many_stretches_as_it_takes() {
        let even = |limit: u32, stretch: u32| {
            let window = Window { after: Some(3), limit };
            let (mut page, mut reads) = (window.filling(stretch), 0);
            while let Some(stretch) = page.unread() {
                let after = stretch.after.unwrap_or_default();
                let rows: Vec<i64> = (after + 1..=20).take(stretch.limit as usize + 1).collect();
                reads += 1;
                page.has_read(rows.len());
                for row in rows {
                    if page.put(row, (row % 2 == 0).then_some(row)) {
                        break;
                    }
                }
            }
            let page = window.page(page.into_rows());
            (page.items, page.next_cursor.is_some(), reads)
        };
        assert_eq!(even(2, 3), (vec![4, 6], true, 2));
        assert_eq!(even(8, 200), (vec![4, 6, 8, 10, 12, 14, 16, 18], true, 1));
        // The last one lies at the end of a stretch, and of the list.
        assert_eq!(even(9, 16), (vec![4, 6, 8, 10, 12, 14, 16, 18, 20], false, 2));
        assert_eq!(even(200, 4), (vec![4, 6, 8, 10, 12, 14, 16, 18, 20], false, 4));
    }

    #[test]
    fn a_forged_key_that_no_database_takes_is_no_cursor() {
        let parse = |json: &str| {
            read_cursor::<(String, String)>(&data_encoding::BASE64URL_NOPAD.encode(json.as_bytes()))
        };
        assert!(parse(r#"["2026-01-15T08:00:00Z","p1"]"#).is_some());
        for forged in
            [r#"["2026-01-15T08:00:00Z","p\u0000"]"#, r#"["+12026-01-15","p1"]"#, r#"["-0026-01-15","p1"]"#]
        {
            assert_eq!(parse(forged), None, "{forged}");
        }
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
