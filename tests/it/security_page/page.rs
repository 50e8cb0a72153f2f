//! A page in Markdown, as far as its tables and links go.

use std::path::Path;

use super::test_names::tests_in;

/// The heading of a column whose cells name tests.
const SHOWN_BY: &str = "shown by";
/// What a cell begins with that names none, before the reason.
const NO_TEST: &str = "no test: ";
/// A reason has so many characters at least.
const REASON_CHARS_MIN: usize = 13;

/// A row of a table that has a column of tests.
pub(super) struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
    shown_by: usize,
}

impl<'a> Row<'a> {
    /// What the row is about: its first cell.
    pub(super) fn cited(&self) -> &'a str {
        self.cells[0]
    }
}

/// A link: what it says, where it leads.
type Link<'a> = (&'a str, &'a str);

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(str::trim).collect()
}

/// The rows of all tables that say what shows them.
pub(super) fn rows(page: &str) -> Vec<Row<'_>> {
    let (mut rows, mut shown_by, mut is_table) = (Vec::new(), None, false);
    for (at, line) in page.lines().enumerate() {
        let (began, is_row) = (is_table, line.starts_with('|'));
        is_table = is_row;
        if !is_row {
            shown_by = None;
        } else if !began {
            shown_by = cells(line).iter().position(|cell| *cell == SHOWN_BY);
        } else if let Some(shown_by) = shown_by.filter(|_| !line.starts_with("|-")) {
            rows.push(Row { line: at + 1, cells: cells(line), shown_by });
        }
    }
    rows
}

fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let said = before.rsplit_once('[').map_or("", |(_, said)| said);
        let (to, behind) = after.split_once(')').unwrap_or((after, ""));
        found.push((said, to));
        rest = behind;
    }
    found
}

/// The anchor of a heading: small letters, dashes for spaces, and no other signs.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

/// Why a link leads nowhere.
fn broken(to: &str, page: &str, folder: &Path) -> Option<String> {
    if to.starts_with("https://") {
        return None;
    }
    let (file, heading) = to.split_once('#').map_or((to, None), |(file, heading)| (file, Some(heading)));
    let other = match file {
        "" => Ok(page.to_owned()),
        file if folder.join(file).is_dir() => Err("is a folder"),
        file => std::fs::read_to_string(folder.join(file)).map_err(|_| "is not there"),
    };
    match (other, heading) {
        (Err(fault), _) => Some(format!("{to} {fault}")),
        (Ok(other), Some(heading)) if !has_heading(&other, heading) => {
            Some(format!("{to} is no heading there"))
        }
        _ => None,
    }
}

fn has_heading(page: &str, wanted: &str) -> bool {
    page.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == wanted)
}

/// The links of a page, but for those to other sites, that lead nowhere.
pub(super) fn broken_links(page: &str, folder: &Path) -> Vec<String> {
    links(page).into_iter().filter_map(|(_, to)| broken(to, page, folder)).collect()
}

/// All that is not as a page says, whose links begin in `folder`.
pub(super) fn faults(page: &str, folder: &Path) -> Vec<String> {
    let mut faults = broken_links(page, folder);
    for row in rows(page) {
        let told = unshown(&row, folder).into_iter();
        faults.extend(told.map(|fault| format!("line {}, {}: {fault}", row.line, row.cited())));
    }
    faults
}

/// What is wrong with what a row is said to be shown by.
fn unshown(row: &Row<'_>, folder: &Path) -> Vec<String> {
    let Some(cell) = row.cells.get(row.shown_by) else { return vec!["has too few cells".to_owned()] };
    let tests = links(cell);
    if tests.is_empty() {
        let reason = cell.strip_prefix(NO_TEST).unwrap_or_default();
        let is_said = reason.chars().count() >= REASON_CHARS_MIN;
        return if is_said { Vec::new() } else { vec!["names no test, and no reason".to_owned()] };
    }
    tests.into_iter().filter_map(|(said, to)| missing(said, to, folder)).collect()
}

fn missing(said: &str, to: &str, folder: &Path) -> Option<String> {
    let name = said.trim_matches('`');
    // That the file is not there is told by its link.
    let source = std::fs::read_to_string(folder.join(to)).ok()?;
    (!tests_in(&source).contains(&name)).then(|| format!("{to} has no test {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with one row, beside a file with a test, and with a function that is none.
    fn told(row: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rs"), "#[test]\nfn it_holds() {}\n\nfn helps() {}\n").unwrap();
        std::fs::write(folder.path().join("b.md"), "# What *it* is, in short\n").unwrap();
        let page = format!("| | where | shown by | left |\n|---|---|---|---|\n{row}\n\nAfterwards.\n");
        faults(&page, folder.path())
    }

    #[test]
    fn a_row_that_names_what_there_is_is_good() {
        for row in [
            "| (a) | [b](b.md#what-it-is-in-short) | [`it_holds`](a.rs), [`it_holds`](a.rs) | – |",
            "| (a) | [b](b.md), [elsewhere](https://example.org/none) | no test: it is not built yet | – |",
        ] {
            assert_eq!(told(row), Vec::<String>::new(), "{row}");
        }
    }

    #[test]
    fn a_row_that_names_what_there_is_not_is_told() {
        for (row, fault) in [
            ("| (a) | – | [`it_held`](a.rs) | – |", "line 3, (a): a.rs has no test it_held"),
            ("| (a) | – | [`helps`](a.rs) | – |", "line 3, (a): a.rs has no test helps"),
            ("| (a) | – | [`it_holds`](c.rs) | – |", "c.rs is not there"),
            ("| (a) | [c](c.md) | [`it_holds`](a.rs) | – |", "c.md is not there"),
            ("| (a) | [b](b.md#who) | [`it_holds`](a.rs) | – |", "b.md#who is no heading there"),
            ("| (a) | – | – | – |", "line 3, (a): names no test, and no reason"),
            ("| (a) | – | it_holds | – |", "line 3, (a): names no test, and no reason"),
            ("| (a) | – | no test: none | – |", "line 3, (a): names no test, and no reason"),
            ("| (a) |", "line 3, (a): has too few cells"),
        ] {
            assert_eq!(told(row), [fault], "{row}");
        }
    }
}
