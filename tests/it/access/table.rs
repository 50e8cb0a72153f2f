//! The table as text: a line for each operation, held against the lines that are checked in.

use std::fmt::Write;

/// The longest route, and a space.
const ROUTE_CHARS: usize = 56;

/// One line: what is asked, and what comes of it in each column. A word is padded to its column's own heading.
pub(super) fn line(route: &str, headings: &[&str], cells: &[impl AsRef<str>]) -> String {
    let mut line = format!("{route:<ROUTE_CHARS$}");
    for (heading, cell) in headings.iter().zip(cells) {
        let _ = write!(line, " {:<width$}", cell.as_ref(), width = heading.len().max(4));
    }
    line.trim_end().to_owned()
}

/// What differs, a line each: `-` stands in the table and was not seen, `+` was seen and does not stand there. What begins with `#` is
/// for people.
pub(super) fn differences(kept: &str, seen: &[String]) -> Vec<String> {
    let kept = kept.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut missing: Vec<&str> = kept.collect();
    let mut differences = Vec::new();
    for line in seen {
        match missing.iter().position(|kept| kept == line) {
            Some(at) => drop(missing.remove(at)),
            None => differences.push(format!("+ {line}")),
        }
    }
    differences.extend(missing.into_iter().map(|line| format!("- {line}")));
    differences.sort_by(|one, other| one[2..].cmp(&other[2..]));
    differences
}

mod tests {
    use super::*;

    const KEPT: &str = "# For people.\n\nGET  /a yes -\nPUT  /a -   -\n";

    fn seen(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_lines_in_another_order_are_the_same_table() {
        assert!(differences(KEPT, &seen(&["PUT  /a -   -", "GET  /a yes -"])).is_empty());
    }

    #[test]
    fn a_missing_a_further_a_wrong_and_a_repeated_line_are_each_told() {
        let (get, put) = ("GET  /a yes -", "PUT  /a -   -");
        assert_eq!(differences(KEPT, &seen(&[get])), ["- PUT  /a -   -"]);
        assert_eq!(differences(KEPT, &seen(&[get, put, "GET  /b yes -"])), ["+ GET  /b yes -"]);
        let wrong = differences(KEPT, &seen(&["GET  /a yes yes", put]));
        assert_eq!(wrong, ["- GET  /a yes -", "+ GET  /a yes yes"]);
        assert_eq!(differences(KEPT, &seen(&[get, get, put])), ["+ GET  /a yes -"]);
    }
}
